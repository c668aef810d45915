"""What is measured, made on the spot: clips, and networks with random weights in state dicts, which the product loads as any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision import models

from benchmarks.gpu.budget import Note, Setup
from benchmarks.throughput import footage
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.networks import build
from ml_backend.features.trunks import Taps, TimmTrunk
from ml_backend.features.weights import Weights, find_weights
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline
from ml_backend.video.view import View

MOBILENET, VIT_S, VIT_B = "mobilenet_v2", "timm/vit_small_patch16_224", "vit_b_16"
NETWORKS = (MOBILENET, VIT_S, VIT_B)
DETECTORS = ("torchvision/ssdlite320_mobilenet_v3_large", "torchvision/fasterrcnn_mobilenet_v3_large_320_fpn")
# A GPU is fed by sixteen cores and more: a clip of half a minute would be over before it is measured.
_REPEATED = 20
_SHORT, _SHORT_SIZE = 20, (426, 240)


def make_clips(setup: Setup, note: Note) -> None:
    drawn = setup.scaled(750, 60)
    footage.encode(footage.street(drawn), setup.folder / "drawn.mp4")
    times = _REPEATED if setup.on_gpu else 2
    footage.repeated(setup.folder / "drawn.mp4", times, clip_of(setup))
    note(clip="1280 x 720, H.264", clip_frames=drawn * times)
    frames = setup.scaled(80, 16)
    for number in range(setup.scaled(_SHORT, 3)):
        pictures = footage.street(frames, *_SHORT_SIZE, seed=number + 1)
        footage.encode(pictures, setup.folder / f"short-{number:02}.mp4")
        note(short_clips=number + 1, short_frames=frames)


def clip_of(setup: Setup) -> Path:
    return setup.folder / "street-720p.mp4"


def shorts_of(setup: Setup) -> list[Path]:
    return sorted(setup.folder.glob("short-*.mp4"))


def shown(paths: list[Path], most: int, side: int) -> NDArray[np.uint8]:
    """(k, side, side, 3) uint8 RGB: as many frames, evenly of all videos, as the product shows them to a network."""
    each = -(-most // len(paths))
    pictures = []
    for path in paths:
        timeline = read_timeline(path)
        wanted = set(np.linspace(0, len(timeline) - 1, min(each, len(timeline))).round().astype(int).tolist())
        pictures += [seen.rgb for seen in decode(path, timeline, view=View(side)) if seen.index in wanted]
    return np.stack(pictures)[:most]


def noise(count: int, side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def weights_of(name: str, setup: Setup) -> Path:
    """MobileNetV2's real weights where there is a folder with them, else a state dict of random ones, made once."""
    if name == MOBILENET and setup.weights is not None:
        real = next(iter(sorted(setup.weights.glob("mobilenet_v2*.pth"))), None)
        if real is not None:
            return real
    return _saved(setup.cache / f"random-{name.replace('/', '_')}.pth", lambda: _untrained(name))


def backbone_of(name: str, setup: Setup, device: str | None = None) -> Backbone:
    """The backbone as a worker with these weights in `BACKBONE_WEIGHTS` loads it."""
    return load_backbone(name, str(weights_of(name, setup)), device or setup.device, setup.cache)


def network_of(name: str, setup: Setup) -> tuple[nn.Module, Taps]:
    """The network with the same weights, and what of it becomes features."""
    model = build(name, find_weights(name, str(weights_of(name, setup)), setup.cache))
    return model, Taps.of(name, model)


def detectors_folder(setup: Setup) -> Path:
    """A folder of detectors' weights with a state dict of random ones for each of `DETECTORS`."""
    folder = setup.folder / "detectors"
    for name in DETECTORS:
        model = name.partition("/")[2]
        _saved(folder / f"{name}.pth", partial(models.get_model, model, weights=None, weights_backbone=None))
    return folder


def _untrained(name: str) -> nn.Module:
    """As `BACKBONE_WEIGHTS=none` makes it, so that batch norms have seen something."""
    model = build(name, Weights(None, "untrained"))
    inner: Any = model.model if isinstance(model, TimmTrunk) else model
    return inner  # type: ignore[no-any-return]


def _saved(path: Path, make: Callable[[], nn.Module]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(make().state_dict(), part)
        part.rename(path)
    return path

"""Frozen networks that turn pictures into embeddings: several layers of one, on CPU or GPU. Converted before anybody waits for it:
`python -m ml_backend.features.backbones`."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend import logs
from ml_backend.errors import ColdblitzError, SettingsError
from ml_backend.features.runtimes import on_cpu, on_gpu
from ml_backend.features.weights import digest, find_weights
from ml_backend.roi import RegionOfInterest
from ml_backend.settings import Settings
from ml_backend.video.view import PICTURE, SCALER, WHOLE, View, with_view
from ml_backend.wording import quoted

_VERSION = 3
# What processors calculate in: of 100 frames 99 or more get the same label, whichever of them embedded the video.
_NUMBERS = ("bf16", "f16", "f32", "cuda-fp16")
_FORMAT = re.compile(rf"-(?:{'|'.join(_NUMBERS)})(?=-v\d+$)")
_SECOND = re.compile(r"-v2$")
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, Windows


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network ready to run. `key` names all that a feature's value depends on: features of another key are other features.

    `view`: what it is to be shown of a video. `embed`: (b, side, side, 3) uint8 RGB, the side as the view says, to per block
    (b, d) float32: `appearance`, `middle`, `early`.
    `batch`: how many pictures it takes best at a time. `trained` is False, with the reason and the remedy in `warning`,
    when no weights were to be had. `licence`, `source`: of the weights, empty where nobody says. `runtime`: a sentence that says in
    which numbers it calculates, and why.
    """

    name: str
    key: str
    trained: bool
    warning: str | None
    batch: int
    embed: Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]] = field(repr=False)
    licence: str = ""
    source: str = ""
    view: View = WHOLE
    runtime: str = ""

    def at(self, roi: RegionOfInterest | None) -> Backbone:
        """The same network that is shown this part of the pictures; of None all."""
        view = self.view.at(roi)
        return self if view == self.view else replace(self, view=view, key=with_view(self.key, view))

    @property
    def network(self) -> str:
        """`key` without the number format: what heads carry over between."""
        return network_of(self.key)

    @property
    def keys(self) -> tuple[str, ...]:
        """`key`, then those of the same network on other processors: their features are good enough for its heads."""
        network, _, version = self.network.rpartition("-")
        return self.key, *(key for each in _NUMBERS if (key := f"{network}-{each}-{version}") != self.key)


def network_of(key: str) -> str:
    """A backbone's key without the number format that its processor calculates in."""
    # The third version keeps all of the second, and how things move: its heads go on.
    return _SECOND.sub(f"-v{_VERSION}", _FORMAT.sub("", key))


def load_backbone(
    name: str = "mobilenet_v2",
    weights: str = "default",
    device: str = "auto",
    cache_dir: Path | None = None,
    accepted: str | None = None,
    tuned: Path | None = None,
    side: int = PICTURE,
    runtime: str = "auto",
) -> Backbone:
    """torchvision's classifier `name`, timm's `timm/<name>` or transformers' `hf/<name>`, loaded once per process.

    `weights`: `default` (its makers' own from the local cache or the network; torchvision's untrained with a warning when
    there is neither), `none`, or the path of a state dict or folder. `accepted`: a licence that the admin has read. `tuned`: the
    state dict of a network that was fine-tuned from these. `device`: `auto`, `cpu` or `cuda`. `cache_dir` keeps downloads and
    converted models. `side`: of the pictures that it is shown, in pixels. `runtime`: one of RUNTIMES, for the processor.

    Raises WeightsError, and SettingsError for a device that is not there or a runtime that is none.
    """
    return _load(name, weights, device_for(device), cache_dir, accepted, tuned, side, runtime)


def device_for(device: str) -> str:
    """`cpu` or `cuda`, as `device` wants it and this machine has it. Raises SettingsError."""
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"DEVICE is {quoted(device)}.", "Set it to auto, cpu or cuda.")
    # Loading torch takes seconds and half a gigabyte: not where there is no driver that it could find a GPU by.
    if device == "cpu" or (device == "auto" and not any(Path(driver).exists() for driver in _DRIVERS)):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise SettingsError("DEVICE is cuda, but this machine has no GPU that torch can use.", "Set DEVICE to auto.")
    return "cpu"


@lru_cache(maxsize=2)
def _load(
    name: str,
    weights: str,
    device: str,
    cache_dir: Path | None,
    accepted: str | None,
    tuned: Path | None,
    side: int,
    runtime: str,
) -> Backbone:
    if tuned is not None and not name.startswith(("timm/", "hf/")):
        weights, tuned = str(tuned), None
    found = find_weights(name, weights, cache_dir, accepted)
    if tuned is not None:
        found = replace(found, tuned=tuned, warning=None, digest=digest(tuned))
    of = name, found, cache_dir, side
    running = on_gpu(*of) if device == "cuda" else on_cpu(*of, runtime)
    view = View(side)
    key = f"{name}-{found.digest}-{view.key}-{SCALER}-{running.numbers}-v{_VERSION}"
    return Backbone(
        name,
        key,
        found.path is not None or found.tuned is not None,
        found.warning,
        running.batch,
        running.embed,
        found.licence,
        found.source,
        view,
        running.why,
    )


log = logging.getLogger(__name__)

# As workers: a job that comes meanwhile waits for it.
_NICER = 10


def convert_ahead(settings: Settings) -> None:
    """Converts the backbone and measures in which numbers it is fastest here, unless both is done or it runs on a GPU. Raises
    WeightsError and SettingsError."""
    folder = settings.data_dir / "weights"
    if device_for(settings.device) == "cpu":
        weights = find_weights(settings.backbone, settings.backbone_weights, folder, settings.backbone_license)
        on_cpu(settings.backbone, weights, folder, runtime=settings.embedding_runtime)


if __name__ == "__main__":
    os.nice(_NICER)
    logs.set_up()
    try:
        convert_ahead(Settings.from_environment())
    except (ColdblitzError, OSError) as error:
        # The first job that needs it tells the admin.
        log.warning("The backbone could not be converted ahead of the first job: %s", error)

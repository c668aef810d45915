"""Detectors that can learn a project's own classes: torchvision's, and a small one on MobileNetV2 where there are no weights of those.

The small one is FCOS (Tian et al., 2019) with a pyramid of 96 channels, which a processor trains in minutes. What it begins from
are MobileNetV2's own weights, as the backbone has them, so that no weights of a detector are needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops import FeaturePyramidNetwork

from ml_backend.detector_names import SMALL
from ml_backend.errors import StorageError, WeightsError
from ml_backend.features.backbones import device_for
from ml_backend.features.detection import Built, DetectionNetwork, on_device
from ml_backend.features.detection_weights import find_detector_weights
from ml_backend.features.networks import settle, state_dict
from ml_backend.features.torchvision_detection import BACKGROUND, as_built, load_fitting

_WIDTH = 96
# Of MobileNetV2: the blocks up to each of three scales, and how many channels it has there.
_BLOCKS, _CHANNELS = ((0, 7), (7, 14), (14, 18)), [32, 96, 320]
_SIZES = ((8,), (16,), (32,), (64,))
_SEED = 20260
_SETTLED = 96
_AGAIN = "The detector is trained again by itself; until then tracks stay as they are."

Start = Literal["detector", "backbone", "nothing"]


@dataclass(frozen=True, eq=False)
class Trainable:
    """A detector with one output for each of `labels`, which are 1, 2, … to it. `base`: `torchvision/<name>` or `SMALL`. `slow`:
    the beginning of the names of those parameters that know something already. `started`: what its weights come from. `told`:
    what was not to be had for it, in a sentence."""

    module: nn.Module
    base: str
    labels: tuple[str, ...]
    slow: str
    started: Start
    told: str = ""

    @property
    def side(self) -> int:
        """The longer side of the pictures that it likes, in pixels."""
        return as_built(self.module, (BACKGROUND, *self.labels)).side


def trainable(
    base: str,
    labels: tuple[str, ...],
    side: int,
    *,
    folder: Path | None = None,
    cache_dir: Path | None = None,
    accepted: str | None = None,
    backbone: Callable[[], Path | None] = lambda: None,
    named: bool = False,
) -> Trainable:
    """What to begin a training from: the detector `base`, where its weights are to be had, see `find_detector_weights`; else the small
    one, on the weights of MobileNetV2 that `backbone` finds, or on none.

    `side`: the longer side of the pictures of the small one, in pixels. `named`: whether a person has asked for this base: then
    no other one takes its place. Raises WeightsError.
    """
    try:
        weights = find_detector_weights(base, folder, cache_dir, accepted)
    except WeightsError as error:
        if named:
            raise
        return replace(small(labels, side, backbone()), told=str(error))
    module = _new(base, len(labels), side)
    remedy = f"Use a state dict of torchvision's {base.partition('/')[2]}."
    if not load_fitting(module, weights.path, remedy):
        raise WeightsError(f"The weights in {weights.path} do not fit {base}.", remedy)
    return Trainable(module, base, labels, "backbone", "detector")


def small(labels: tuple[str, ...], side: int, path: Path | None) -> Trainable:
    """The small one, on the weights of MobileNetV2 at `path`, or on none. Raises WeightsError for those of another network."""
    module = _new(SMALL, len(labels), side)
    body: Any = module.backbone
    if path is None:
        return Trainable(module, SMALL, labels, "backbone.stages", "nothing")
    remedy = "Use a state dict of torchvision's mobilenet_v2."
    state = {_renamed(key): value for key, value in state_dict(path, remedy).items() if key.startswith("features.")}
    own = body.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    # How many batches norms have seen is not in all files.
    needed = {key for key in own if key.startswith("stages.") and not key.endswith("num_batches_tracked")}
    if not needed <= fitting.keys():
        raise WeightsError(f"The weights in {path} do not fit mobilenet_v2.", remedy)
    body.load_state_dict(fitting, strict=False)
    return Trainable(module, SMALL, labels, "backbone.stages", "backbone")


def load_trained(
    base: str, labels: tuple[str, ...], side: int, threshold: float, weights: bytes, device: str, cache_dir: Path | None
) -> DetectionNetwork:
    """A trained detector, ready to run. Raises StorageError where `weights` are not what was trained, and SettingsError for a device
    that is not there."""
    where = device_for(device)
    return on_device(built_from(base, labels, side, threshold, weights), where, cache_dir)


def built_from(base: str, labels: tuple[str, ...], side: int, threshold: float, weights: bytes) -> Built:
    """Raises StorageError where `weights`, safetensors, are not of such a detector."""
    module = _empty(base, len(labels), side)
    try:
        module.load_state_dict(load(weights), strict=True)
    except Exception as error:  # safetensors and torch raise several kinds
        raise StorageError("The weights of a trained detector are damaged.", _AGAIN) from error
    return as_built(module, (BACKGROUND, *labels), threshold)


def _new(base: str, labels: int, side: int) -> nn.Module:
    """With new weights, which are always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = _empty(base, labels, side)
        if base == SMALL:
            body: Any = module.backbone
            settle(body, _SETTLED)
        return module


def _empty(base: str, labels: int, side: int) -> nn.Module:
    if base == SMALL:
        anchors = AnchorGenerator(_SIZES, ((1.0,),) * len(_SIZES))
        head = FCOSHead(_WIDTH, 1, labels + 1, num_convs=2)
        network: nn.Module = FCOS(
            _Pyramid(models.mobilenet_v2(weights=None).features),
            labels + 1,
            min_size=side,
            max_size=side,
            anchor_generator=anchors,
            head=head,
            score_thresh=0.05,
        )
        return network
    name = base.partition("/")[2]
    made: nn.Module = models.get_model(name, weights=None, weights_backbone=None, num_classes=labels + 1)
    return made


class _Pyramid(nn.Module):
    """MobileNetV2 at three scales and one above them, each with the same number of channels."""

    def __init__(self, blocks: nn.Sequential) -> None:
        super().__init__()
        self.stages = nn.ModuleList([blocks[first:last] for first, last in _BLOCKS])
        self.pyramid = FeaturePyramidNetwork(_CHANNELS, _WIDTH)
        self.above = nn.Conv2d(_WIDTH, _WIDTH, 3, 2, 1)
        self.out_channels = _WIDTH

    def forward(self, pictures: Tensor) -> Mapping[str, Tensor]:
        seen: OrderedDict[str, Tensor] = OrderedDict()
        for at, stage in enumerate(self.stages):
            pictures = stage(pictures)
            seen[str(at)] = pictures
        scales: OrderedDict[str, Tensor] = self.pyramid(seen)
        scales[str(len(self.stages))] = self.above(scales[str(len(self.stages) - 1)])
        return scales


def _renamed(key: str) -> str:
    """MobileNetV2's `features.9.…` is `stages.1.9.…` here."""
    _, block, rest = key.split(".", 2)
    for stage, (first, last) in enumerate(_BLOCKS):
        if first <= int(block) < last:
            return f"stages.{stage}.{block}.{rest}"
    return key

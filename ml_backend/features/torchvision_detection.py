"""torchvision's object detectors: SSD, SSDLite, FCOS, RetinaNet and Faster R-CNN, with their weights in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import models

from ml_backend.errors import WeightsError
from ml_backend.features.detection import Built, Found, Picture
from ml_backend.features.detection_weights import DetectorWeights
from ml_backend.features.networks import state_dict

BACKGROUND = "__background__"
_USUAL = 0.4


def build_torchvision(name: str, weights: DetectorWeights) -> Built:
    """The detector `torchvision/<name>` in eval mode. Raises WeightsError when the weights are of another one."""
    model = name.partition("/")[2]
    if weights.names is not None:
        classes = (BACKGROUND, *weights.names)
    else:
        classes = tuple(models.get_model_weights(model).DEFAULT.meta["categories"])
    module = models.get_model(model, weights=None, weights_backbone=None, num_classes=len(classes))
    remedy = f"Use a state dict of torchvision's {model} (torch.save of model.state_dict(), or safetensors)."
    _load(module, name, weights.path, len(classes), remedy)
    return as_built(module, classes)


def as_built(module: Any, classes: tuple[str, ...], usual: float = _USUAL) -> Built:
    """A detector of torchvision's kinds, with its weights in it, ready to run. `classes`: the background first. `usual`: what is less
    sure is noise mostly."""
    module = module.eval().requires_grad_(False)

    def run(pictures: Sequence[Picture], device: str, least: float) -> list[Found]:
        return [_found(each) for each in module(as_tensors(pictures, device))]

    # One that stretches pictures to a square is shown wide ones in about its own height.
    side = int(module.transform.max_size) * (2 if module.transform.fixed_size else 1)
    return Built(module, classes, side, usual, run)


def as_tensors(pictures: Sequence[Picture], device: str) -> list[Tensor]:
    """(3, h, w) float32 in 0..1 of each picture, as these detectors take them."""
    return [torch.from_numpy(each).to(device).permute(2, 0, 1).float() / 255 for each in pictures]


def load_fitting(module: nn.Module, path: Path, remedy: str) -> bool:
    """Takes from a state dict what has the same name and shape, all but what belongs to other classes; returns whether most of it
    did. Raises WeightsError for a file that is none."""
    own, state = module.state_dict(), state_dict(path, remedy)
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    module.load_state_dict(fitting, strict=False)
    return len(fitting) > len(own) // 2


def _load(module: Any, name: str, path: Path, classes: int, remedy: str) -> None:
    state = state_dict(path, remedy)
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        # Of weights that were trained on other classes torch says which tensor has another size.
        if "size mismatch" in str(error):
            remedy += (
                f" If it was trained on other classes than torchvision's {classes - 1}, name them in "
                f'{path.with_suffix(".json").name}: {{"labels": ["mouse", "rat"]}}.'
            )
        raise WeightsError(f"The weights in {path} do not fit {name}.", remedy) from error


def _found(answer: dict[str, Tensor]) -> Found:
    boxes, scores = (answer[key].float().cpu().numpy().astype(np.float32) for key in ("boxes", "scores"))
    return Found(boxes, scores, answer["labels"].cpu().numpy().astype(np.int64))

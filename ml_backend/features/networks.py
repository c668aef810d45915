"""torchvision's networks with their weights in them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from ml_backend.errors import WeightsError
from ml_backend.features.weights import Weights

_SEED = 20160


def build(name: str, weights: Weights) -> nn.Module:
    """torchvision's model `name` in eval mode, with its weights. Raises WeightsError when they do not fit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model: nn.Module = models.get_model(name, weights=None, **options)
        if weights.path is None:
            _settle(model)
    if weights.path is not None:
        _load(model, name, weights.path)
    return model.eval()


def _settle(model: nn.Module) -> None:
    """Gives an untrained model's batch norms the statistics of noise at several scales; without them it sees nothing."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    scales = [torch.randn(4, 3, size, size) for size in (4, 10, 40, 160)]
    pictures = torch.cat([nn.functional.interpolate(noise, (160, 160), mode="bilinear") for noise in scales])
    with torch.no_grad():
        model.train()(pictures)


def _load(model: nn.Module, name: str, path: Path) -> None:
    remedy = f"Use a state dict of torchvision's {name} (torch.save of model.state_dict(), or safetensors)."
    try:
        if path.suffix == ".safetensors":
            state: dict[str, Tensor] = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the loaders raise a dozen kinds on a file that is not theirs
        raise WeightsError(f"{path} is not a file of weights ({type(error).__name__}).", remedy) from error
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise WeightsError(f"The weights in {path} do not fit {name}.", remedy) from error

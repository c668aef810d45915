"""A backbone's weights: torchvision's own, a file, or none; and what to say when they cannot be had."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import requests
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from ml_backend.errors import WeightsError

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
_SEED = 20160


@dataclass(frozen=True)
class Weights:
    """Where a backbone's weights come from. `path` is None for an untrained one; `warning` says what is wrong with that."""

    path: Path | None
    digest: str
    warning: str | None = None


def find_weights(name: str, weights: str, cache_dir: Path | None) -> Weights:
    """Resolves `default`, `none` or a path for torchvision's model `name`. Raises WeightsError."""
    if name not in models.list_models(module=models):
        raise WeightsError(
            f"BACKBONE is {name!r}, which torchvision's classifiers do not include.",
            "Use mobilenet_v2, squeezenet1_0, resnet18, resnet34 or resnet50.",
        )
    if weights == "none":
        return Weights(None, "untrained", _warning("BACKBONE_WEIGHTS is none", name))
    if weights != "default":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"BACKBONE_WEIGHTS names {weights}, which is not a file.",
                "Give a state dict's path, `default` or `none`.",
            )
        return Weights(path, _digest(path))
    return _default(name, cache_dir)


def _default(name: str, cache_dir: Path | None) -> Weights:
    url: str = models.get_model_weights(name).DEFAULT.url
    file = url.rsplit("/", 1)[-1]
    places = [Path(torch.hub.get_dir()) / "checkpoints"] + ([cache_dir] if cache_dir else [])
    for place in places:
        if (place / file).is_file():
            return Weights(place / file, _digest(place / file))
    try:
        path = _download(url, places[-1] / file)
    except (requests.RequestException, OSError, ValueError) as error:
        return Weights(None, "untrained", _warning(f"{url} could not be fetched ({type(error).__name__})", name))
    return Weights(path, _digest(path))


def _warning(reason: str, name: str) -> str:
    return (
        f"The backbone {name} is untrained, because {reason}: it is good enough for a demonstration only. "
        f"Set BACKBONE_WEIGHTS to a file with torchvision's weights for {name}, or let the backend reach download.pytorch.org."
    )


def _download(url: str, target: Path) -> Path:
    """torchvision's file names end in the first digits of their SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    digest = hashlib.sha256()
    try:
        with (
            requests.get(url, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as answer,
            part.open("wb") as file,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_content(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        expected = target.stem.rsplit("-", 1)[-1]
        if not digest.hexdigest().startswith(expected):
            raise ValueError(f"{url} gave something else")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


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

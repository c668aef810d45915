"""Networks with their weights in them: torchvision's, timm's, and vision towers of transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from ml_backend.errors import WeightsError
from ml_backend.features.hub import CONFIG, PREPROCESSOR, WEIGHTS, config_of, needed
from ml_backend.features.trunks import USUAL, TimmTrunk, TransformersTrunk, trunk_of
from ml_backend.features.weights import Weights
from ml_backend.video.decode import PICTURE

_SEED = 20160
# Networks that take pictures of one size only, and of a larger one by default, are given this one: what is decoded is smaller.
_LARGEST = 224


def build(name: str, weights: Weights) -> nn.Module:
    """The network `name` in eval mode, with its weights. Raises WeightsError when they do not fit."""
    family = name.partition("/")[0]
    make = {"timm": _timm, "hf": _transformers}.get(family, _torchvision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = make(name, weights)
        if weights.path is None and weights.tuned is None:
            settle(model, trunk_of(name, model).side or PICTURE)
    if weights.tuned is not None:
        _fitted(name, weights.tuned, lambda: model.load_state_dict(load_file(weights.tuned or ""), strict=True))
    return model.eval()


def settle(model: nn.Module, side: int) -> None:
    """Gives an untrained model's batch norms the statistics of noise at several scales; without them it sees nothing."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = None
    scales = [torch.randn(4, 3, size, size) for size in (4, 10, 40, 160)]
    pictures = torch.cat([nn.functional.interpolate(noise, (side, side), mode="bilinear") for noise in scales])
    with torch.no_grad():
        model.train()(pictures)


def _torchvision(name: str, weights: Weights) -> nn.Module:
    path = weights.path
    state = None if path is None else _state(path, _remedy(name))
    options: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if state is not None and name == "vit_h_14" and "encoder.pos_embedding" in state:
        # There are weights for pictures of 224 and of 518.
        options["image_size"] = 14 * int((state["encoder.pos_embedding"].shape[1] - 1) ** 0.5)
    model: nn.Module = models.get_model(name, weights=None, **options)
    if path is not None and state is not None:
        _fitted(name, path, lambda: model.load_state_dict(state, strict=True))
    return model


def _timm(name: str, weights: Weights) -> nn.Module:
    timm = needed("timm", "timm")
    model = name.partition("/")[2]
    about: dict[str, Any] = {}
    options: dict[str, Any] = {}
    path = weights.path
    if path is not None and path.is_dir():
        said = config_of(path)
        about = {
            k: v for k, v in said.get("pretrained_cfg", {}).items() if k not in ("url", "file", "hf_hub_id", "source")
        }
        options = dict(said.get("model_args") or {})
        path = path / WEIGHTS
    # What weights there are for a name with a tag is known; for one without, those of its usual ones.
    usual = timm.get_pretrained_cfg(model, allow_unregistered=True)
    known = {**(usual.to_dict() if usual is not None else {}), **about}
    native = int(known.get("input_size", (3, _LARGEST, _LARGEST))[-1])
    side = min(native, _LARGEST) if known.get("fixed_input_size") else None
    if side is not None and side != native:
        options["img_size"] = side
    overlay = dict(about)
    if path is not None:
        state = _state(path, _remedy(name))
        classes = _classes(state, known.get("classifier"))
        # Asked for as many classes as the weights have, timm takes them only when every layer fits.
        overlay |= {"state_dict": state, "num_classes": classes, "label_offset": 0}
        options["num_classes"] = classes

    def make() -> Any:
        options_without = {key: value for key, value in options.items() if key != "img_size"}
        for some in (options, options_without):
            try:
                return timm.create_model(
                    model, pretrained=path is not None, pretrained_cfg_overlay=overlay, exportable=True, **some
                )
            except TypeError:
                if some is options_without:
                    raise
        raise AssertionError("the last try returns or raises")

    made = _fitted(name, path or Path(), make)
    taken = getattr(getattr(made, "patch_embed", None), "img_size", None)
    return TimmTrunk(made, int(taken[0]) if side is not None and taken else native if side is not None else None)


def _classes(state: dict[str, Tensor], classifier: str | tuple[str, ...] | None) -> int:
    """How many classes the last layer of the weights has, 0 without one."""
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    return next((len(state[f"{each}.weight"]) for each in names if f"{each}.weight" in state), 0)


def _transformers(name: str, weights: Weights) -> nn.Module:
    needed("transformers", "text")
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = weights.path
    if folder is None:
        raise AssertionError("a model of transformers always has a folder")
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

    def make() -> Any:
        config = AutoConfig.from_pretrained(folder, **safe)
        return AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            # One that a config names may have to be downloaded.
            attn_implementation="eager",
            output_loading_info=True,
            **safe,
        )

    loaded, told = _fitted(name, folder / WEIGHTS, make)
    tower = getattr(loaded, "vision_model", loaded)
    # A summary that is not among the weights is not used.
    absent = [key for key in (*told["missing_keys"], *told["mismatched_keys"]) if "pooler" not in str(key)]
    if absent:
        raise WeightsError(f"The weights in {folder} do not fit its {CONFIG} ({absent[0]}).", _remedy(name))
    config = tower.config
    said = config_of(folder, PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}
    colours = tuple(said.get("image_mean") or USUAL[0]), tuple(said.get("image_std") or USUAL[1])
    if tower.main_input_name != "pixel_values":
        raise WeightsError(f"{name} is no model of pictures.", "Use another BACKBONE.")
    native = getattr(config, "image_size", None)
    native = native if isinstance(native, int) else None
    side, patch = (native and min(native, _LARGEST)), getattr(config, "patch_size", None)
    with torch.no_grad():
        shown = tower(pixel_values=torch.zeros(1, 3, native or PICTURE, native or PICTURE), output_hidden_states=True)
    if shown.last_hidden_state.dim() == 4:
        side, patch = None, None
    elif getattr(shown, "reshaped_hidden_states", None) is not None:
        patch = None
    elif side is not None and isinstance(patch, int):
        side = side // patch * patch
    return TransformersTrunk(tower, side, colours, patch, resized=side is not None and side != native)


def _fitted(name: str, path: Path, load: Callable[[], Any]) -> Any:
    """What `load` gives. Raises WeightsError when the weights at `path` do not fit."""
    try:
        return load()
    except Exception as error:  # the loaders raise a dozen kinds on weights that are not theirs
        raise WeightsError(f"The weights in {path} do not fit {name}.", _remedy(name)) from error


def _state(path: Path, remedy: str) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            found: dict[str, Tensor] = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the loaders raise a dozen kinds on a file that is not theirs
        raise WeightsError(f"{path} is not a file of weights ({type(error).__name__}).", remedy) from error
    return found


def _remedy(name: str) -> str:
    family, _, model = name.rpartition("/")
    if family.startswith("hf"):
        return f"Use a folder with {name[3:]} as transformers saves it."
    maker = "timm" if family == "timm" else "torchvision"
    return f"Use a state dict of {maker}'s {model} (torch.save of model.state_dict(), or safetensors)."

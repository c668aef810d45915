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
from ml_backend.video.view import PICTURE

_SEED = 20160
# Networks that take pictures of one size only, and of a larger one by default, are given this one, unless what is decoded is
# larger.
_LARGEST = 224


def build(name: str, weights: Weights, side: int = PICTURE) -> nn.Module:
    """The network `name` in eval mode, with its weights, for pictures of this `side`. Raises WeightsError when they do not fit."""
    family = name.partition("/")[0]
    make = {"timm": _timm, "hf": _transformers}.get(family, _torchvision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = make(name, weights, max(side, _LARGEST))
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


def _torchvision(name: str, weights: Weights, largest: int) -> nn.Module:
    path = weights.path
    state = None if path is None else state_dict(path, _remedy(name))
    options: dict[str, Any] = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if state is not None and name == "vit_h_14" and "encoder.pos_embedding" in state:
        # There are weights for pictures of 224 and of 518.
        options["image_size"] = 14 * int((state["encoder.pos_embedding"].shape[1] - 1) ** 0.5)
    model: nn.Module = models.get_model(name, weights=None, **options)
    if path is not None and state is not None:
        _fitted(name, path, lambda: model.load_state_dict(state, strict=True))
    return model


def _timm(name: str, weights: Weights, largest: int) -> nn.Module:
    timm = needed("timm", "timm")
    model = name.partition("/")[2]
    about: dict[str, Any] = {}
    options: dict[str, Any] = {}
    path = weights.path
    if path is not None and path.is_dir():
        config = config_of(path)
        about = {
            k: v for k, v in config.get("pretrained_cfg", {}).items() if k not in ("url", "file", "hf_hub_id", "source")
        }
        options = dict(config.get("model_args") or {})
        path = path / WEIGHTS
    # What weights there are for a name with a tag is known; for one without, those of its usual ones.
    usual = timm.get_pretrained_cfg(model, allow_unregistered=True)
    known = {**(usual.to_dict() if usual is not None else {}), **about}
    said = options.pop("img_size", None)
    made_for = said or known.get("input_size", _LARGEST)
    native = int(made_for[-1] if isinstance(made_for, list | tuple) else made_for)
    usual_side = int(usual.input_size[-1]) if usual is not None else None
    overlay = dict(about)
    state: dict[str, Tensor] = {}
    if path is not None:
        state = state_dict(path, _remedy(name))
        classes = _classes(state, known.get("classifier"))
        # Asked for as many classes as the weights have, timm takes them only when every layer fits.
        overlay |= {"num_classes": classes, "label_offset": 0}
        options["num_classes"] = classes

    def make(side: int | None) -> TimmTrunk:
        # As the weights were saved with: else what they say of places is brought to another size and back.
        size = side or (native if said else None)
        more = {} if size is None or (size == usual_side and not said) else {"img_size": size}
        try:
            made = _fitted(name, path or Path(), lambda: create(**more), TypeError)
        except TypeError:  # of a model that has no such option
            made = _fitted(name, path or Path(), create)
        return TimmTrunk(made, side)

    def create(**more: Any) -> Any:
        # A copy, since timm takes out of it what it renames.
        given = {**overlay, "state_dict": dict(state)} if state else overlay
        return timm.create_model(
            model, pretrained=path is not None, pretrained_cfg_overlay=given, exportable=True, **options, **more
        )

    # The smallest that it can be run with: what is decoded is no larger.
    sides = [min(native, largest), native] if known.get("fixed_input_size") else [None, _LARGEST, native]
    if largest > _LARGEST and known.get("fixed_input_size"):
        # Patches of 14 do not fill a picture of 320.
        sides[1:1] = [min(native, largest // 14 * 14), min(native, _LARGEST)]
    for side in dict.fromkeys(sides):
        made = make(side)
        if _runs(made, side or PICTURE):
            return made
    raise WeightsError(f"{name} cannot be run on pictures of {native} x {native}.", "Use another BACKBONE.")


def _runs(trunk: TimmTrunk, side: int) -> bool:
    """Whether it takes pictures of this side."""
    try:
        with torch.no_grad():
            trunk.eval()(torch.zeros(2, 3, side, side))
    except (RuntimeError, AssertionError, ValueError):
        return False
    return True


def _classes(state: dict[str, Tensor], classifier: str | tuple[str, ...] | None) -> int:
    """How many classes the last layer of the weights has, 0 without one."""
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    return next((len(state[f"{each}.weight"]) for each in names if f"{each}.weight" in state), 0)


def _transformers(name: str, weights: Weights, largest: int) -> nn.Module:
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
    side, patch = (native and min(native, largest)), getattr(config, "patch_size", None)
    with torch.no_grad():
        shown = tower(pixel_values=torch.zeros(1, 3, native or PICTURE, native or PICTURE), output_hidden_states=True)
    if shown.last_hidden_state.dim() == 4:
        side, patch = None, None
    elif getattr(shown, "reshaped_hidden_states", None) is not None:
        patch = None
    elif side is not None and isinstance(patch, int):
        side = side // patch * patch
    return TransformersTrunk(tower, side, colours, patch, resized=side is not None and side != native)


def _fitted(name: str, path: Path, load: Callable[[], Any], let: type[Exception] | tuple[()] = ()) -> Any:
    """What `load` gives. Raises WeightsError when the weights at `path` do not fit, and lets errors of the kind `let` pass."""
    try:
        return load()
    except let:
        raise
    except Exception as error:  # the loaders raise a dozen kinds on weights that are not theirs
        raise WeightsError(f"The weights in {path} do not fit {name}.", _remedy(name)) from error


def state_dict(path: Path, remedy: str) -> dict[str, Tensor]:
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

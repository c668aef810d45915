"""A text model (CLIP: Radford et al., 2021): how well a picture fits some words. An optional extra.

Read from a folder that holds JSON and safetensors; nothing in it is run or unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import DeviceFull, WeightsError
from ml_backend.features.hub import WEIGHTS, fetch_model_folder
from ml_backend.wording import quoted

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

_BESIDE = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")
_VERSION = 1
_BATCH = 32
# What CLIP was trained with, for a folder that does not say.
_MEAN, _SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_FOLDER = "Use a folder with a CLIP model as transformers saves it: config.json, model.safetensors and tokenizer.json."


@dataclass(frozen=True, eq=False)
class TextModel:
    """A network ready to run. `key` names all that an embedding's value depends on.

    `size`: side of the pictures, in pixels. `scale`: what it was trained to multiply a cosine by (CLIP's inverse
    temperature). `pictures`: (b, size, size, 3) uint8 RGB to (b, d) float32; `words`: b texts to (b, d) float32; rows
    have length 1. Both raise DeviceFull.
    """

    name: str
    key: str
    size: int
    scale: float
    pictures: Callable[[NDArray[np.uint8]], Floats] = field(repr=False)
    words: Callable[[Sequence[str]], Floats] = field(repr=False)


def text_model_beside(backbone: str, weights: str) -> str | None:
    """The text model that the folder of the backbone `hf/<name>` holds as well; None for one of pictures alone, or without
    its words.

    One that is fetched by name was fetched with its words, and is found by that name again.
    """
    folder = Path(weights).expanduser()
    if weights != "default":
        with contextlib.suppress(WeightsError):
            _check(folder)
            return str(folder)
        return None
    name = backbone.removeprefix("hf/")
    return name if "clip" in name.lower() and "siglip" not in name.lower() else None


def load_text_model(name: str, device: str, cache_dir: Path) -> TextModel:
    """The CLIP model `name`: a folder, or a name on Hugging Face, which is fetched into `cache_dir` once.

    `device`: `cpu` or `cuda`. Raises WeightsError, also when the extra is not installed.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise WeightsError(
            f"TEXT_MODEL is set, but the extra `text` is not installed ({error}).",
            "Install transformers next to Coldblitz (docs/text.md says how), or unset TEXT_MODEL.",
        ) from error
    folder = _found(name, cache_dir)
    _check(folder)
    return _loaded(name, folder, device, cache_dir)


def _found(name: str, cache_dir: Path) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise WeightsError(f"TEXT_MODEL names {name}, which is not a folder.", _FOLDER)
    return fetch_model_folder(
        name,
        cache_dir,
        _BESIDE,
        f"TEXT_MODEL is {name}, which is no folder and could not be fetched from Hugging Face ({{}}).",
        "Correct the name, let a worker reach the network once, or give a folder.",
    )


def _check(folder: Path) -> None:
    """Raises WeightsError for what `from_pretrained` would read otherwise, or fill with noise."""
    kind = _json(folder / "config.json").get("model_type")
    if kind != "clip":
        raise WeightsError(f"{folder} holds no CLIP model (model_type is {quoted(kind)}).", _FOLDER)
    if not (folder / WEIGHTS).is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        told = f"its weights are pickled ({pickled[0]}), which is never read" if pickled else "it has no weights"
        raise WeightsError(f"{folder} has no {WEIGHTS}: {told}.", _FOLDER)
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise WeightsError(f"{folder} has no tokenizer.", _FOLDER)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({type(error).__name__}).", _FOLDER) from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} is not a JSON object.", _FOLDER)
    return found


def _loaded(name: str, folder: Path, device: str, cache_dir: Path) -> TextModel:
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, **safe)
        # A config may name an implementation of attention that would be downloaded.
        loaded: Any = CLIPModel.from_pretrained(
            folder,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
            **safe,
        )
    except Exception as error:  # the loaders raise a dozen kinds on files that are not theirs
        raise WeightsError(f"{folder} cannot be loaded ({type(error).__name__}: {error}).", _FOLDER) from error
    model, told = loaded
    if absent := [*told["missing_keys"], *told["mismatched_keys"]]:
        raise WeightsError(f"The weights in {folder} do not fit its config ({absent[0]}).", _FOLDER)
    model = model.eval().requires_grad_(False)
    shown = folder / "preprocessor_config.json"
    said = _json(shown) if shown.is_file() else {}
    mean = torch.tensor(said.get("image_mean") or _MEAN).reshape(3, 1, 1)
    spread = torch.tensor(said.get("image_std") or _SPREAD).reshape(3, 1, 1)
    longest = int(model.config.text_config.max_position_embeddings)

    def run(rows: Callable[[slice, str], Tensor], count: int) -> Floats:
        parts = []
        with _ready(model, device, cache_dir), torch.inference_mode():
            for first in range(0, count, _BATCH):
                found = rows(slice(first, first + _BATCH), device)
                parts.append(torch.nn.functional.normalize(found, dim=-1).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, int(model.config.projection_dim)), np.float32)

    def pictures(pixels: NDArray[np.uint8]) -> Floats:
        def rows(at: slice, where: str) -> Tensor:
            values = (torch.from_numpy(pixels[at]).permute(0, 3, 1, 2) / 255 - mean) / spread
            found: Tensor = model.visual_projection(model.vision_model(pixel_values=values.to(where)).pooler_output)
            return found

        return run(rows, len(pixels))

    def words(texts: Sequence[str]) -> Floats:
        # Always as long, since a batch of another width may round differently.
        tokens = tokenizer(list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt")

        def rows(at: slice, where: str) -> Tensor:
            given = {part: tokens[part][at].to(where) for part in ("input_ids", "attention_mask")}
            found: Tensor = model.text_projection(model.text_model(**given).pooler_output)
            return found

        return run(rows, len(texts))

    return TextModel(
        name,
        f"text-{_digest(folder)}-v{_VERSION}",
        int(model.config.vision_config.image_size),
        float(model.logit_scale.exp()),
        pictures,
        words,
    )


@contextlib.contextmanager
def _ready(model: Any, device: str, cache_dir: Path) -> Iterator[None]:
    """The model is on the GPU only while it runs, and only one worker's is, as with the backbones."""
    if device == "cpu":
        yield
        return
    import torch

    from ml_backend.features.gpu import gpu_lock
    from ml_backend.processes import locked

    with locked(gpu_lock(cache_dir)):
        try:
            model.to(device)
            yield
        except torch.OutOfMemoryError:
            raise DeviceFull(
                f"The memory of {device} is full: the text model does not fit.",
                "It is retried automatically. Stop other programs that use the GPU, or set DEVICE to cpu.",
            ) from None
        finally:
            model.to("cpu")
            torch.cuda.empty_cache()


def _digest(folder: Path) -> str:
    """Of everything that is read, so that a folder whose content was exchanged is another model."""
    whole = hashlib.sha256()
    for name in (*_BESIDE, WEIGHTS):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                whole.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]

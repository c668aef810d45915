"""The researcher's own model, as a file: a Python module, TorchScript, `torch.export`, or ONNX with a JSON file beside it.

A Python file defines `labels: list[str]` and `predict(frames)`: (N, H, W, 3) uint8 RGB to (N, L) floats in 0..1. It may
define `input_size` (one number or height and width; 224 by default) and `fit(frames, labels)`. The form of the
dissertation works unchanged too: `custom_model_predict(img_path) -> (label, confidence)`.

Running such a file is running its author's code: only files that the administrator has put there are ever loaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.learning.onepicture import OnePicture, answers, one_by_one
from ml_backend.video.decode import decode_sized
from ml_backend.video.timeline import Timeline

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Predict = Callable[[Pictures], Any]

SUFFIXES = (".py", ".pt", ".pt2", ".onnx")
DEFAULT_SIZE = 224
BATCH = 32


@dataclass(frozen=True, eq=False)
class CustomModel:
    """A loaded and checked model file.

    `labels`: its own, in the order of its outputs. `columns`: per project label, which outputs stand for it (none: the
    model does not know the label). `ignored`: outputs that stand for no label of the project. `size`: (height, width).
    """

    name: str
    file: Path
    digest: str
    labels: tuple[str, ...]
    project_labels: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    ignored: tuple[str, ...]
    size: tuple[int, int]
    predict: Predict
    fit: Callable[[Pictures, Sequence[str]], Any] | None = None

    def probabilities(self, pictures: Pictures) -> Floats:
        """(N, H, W, 3) uint8 to (N, L) float32 in 0..1 for the project's labels.

        Several outputs of one label count by the surest of them. Raises CustomModelError with file and line.
        """
        with _blamed(self.file):
            given = self.predict(pictures)
        scores = _checked(given, len(pictures), len(self.labels), self.file)
        found = np.zeros((len(pictures), len(self.project_labels)), np.float32)
        for column, outputs in enumerate(self.columns):
            if outputs:
                found[:, column] = scores[:, list(outputs)].max(axis=1)
        return found


def custom_file(folder: Path, name: str) -> Path:
    """The model file `name` inside `folder`; raises CustomModelError when it is not there or lies elsewhere."""
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents or path.suffix not in SUFFIXES or not path.is_file():
        raise CustomModelError(
            f"There is no custom model “{name}”.", f"Put a {', '.join(SUFFIXES)} file of that name into {folder}."
        )
    return path


def load_custom(
    file: Path, project_labels: Sequence[str], predicted_values: Mapping[str, str] | None = None
) -> CustomModel:
    """Load a model file and try it on two pictures.

    `predicted_values` maps the model's words to labels of the project (Label Studio's attribute of that name, a comma
    between several); equal words need no mapping. Raises CustomModelError saying what to mend, with file and line.
    """
    project = tuple(project_labels)
    mapping = {word.strip(): label for words, label in (predicted_values or {}).items() for word in words.split(",")}
    parts = _loaded(file, tuple(dict.fromkeys((*project, *mapping))))
    labels = parts.labels
    meant = [mapping.get(label, label) for label in labels]
    columns = tuple(tuple(at for at, label in enumerate(meant) if label == wanted) for wanted in project)
    if not any(columns):
        raise CustomModelError(
            f"{file.name} predicts {listed(labels)}, none of which is a label of the project ({listed(project)}).",
            "Rename them, or map them with predicted_values in the label config.",
        )
    ignored = tuple(label for label, means in zip(labels, meant, strict=True) if means not in project)
    digest = sha256(b"".join(path.read_bytes() for path in files_of(file))).hexdigest()[:16]
    model = CustomModel(
        file.stem, file, digest, labels, project, columns, ignored, parts.size, parts.predict, parts.fit
    )
    model.probabilities(np.zeros((2, *parts.size, 3), np.uint8))
    return model


def words_of(file: Path, pictures: Callable[[tuple[int, int]], Pictures]) -> tuple[str, ...]:
    """The labels that a model file names, or, where it names none, those that it answers for some `pictures`.

    `pictures` gives (N, H, W, 3) uint8 RGB for a height and width. Raises CustomModelError.
    """
    parts = _loaded(file, ())
    if parts.labels or parts.one is None:
        return parts.labels
    shown = pictures(parts.size)
    with _blamed(file):
        return tuple(dict.fromkeys(label for label, _ in answers(parts.one, shown, file.name)))


def files_of(file: Path) -> tuple[Path, ...]:
    """The model file and, where there is one, the JSON file beside it."""
    beside = file.with_suffix(".json")
    return (file, beside) if beside.is_file() and beside != file else (file,)


def video_probabilities(
    model: CustomModel,
    path: Path,
    timeline: Timeline,
    *,
    exclusive: bool,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """(n, L) for every frame of a video, in batches of 32; frames that do not decode repeat the one before them.

    With `exclusive` labels, rows that sum to more than 1 are scaled down to it.
    """
    found = np.full((len(timeline), len(model.project_labels)), np.nan, np.float32)
    indices: list[int] = []
    pictures: list[Pictures] = []

    def flush() -> None:
        if indices:
            found[indices] = model.probabilities(np.stack(pictures))
            if progress is not None:
                progress((indices[-1] + 1) / len(timeline))
            indices.clear()
            pictures.clear()

    for index, picture in decode_sized(path, timeline, model.size):
        indices.append(index)
        pictures.append(picture)
        if len(indices) == BATCH:
            flush()
    flush()
    seen = np.maximum.accumulate(np.where(np.isnan(found[:, 0]), -1, np.arange(len(found))))
    whole = np.where((seen >= 0)[:, None], found[np.maximum(seen, 0)], 0)
    if exclusive:
        whole = whole / np.maximum(whole.sum(axis=1, keepdims=True), 1)
    return np.asarray(whole, np.float32)


@dataclass(frozen=True, eq=False)
class _Parts:
    labels: tuple[str, ...]
    size: tuple[int, int]
    predict: Predict
    fit: Callable[[Pictures, Sequence[str]], Any] | None = None
    one: OnePicture | None = None


def _loaded(file: Path, words: tuple[str, ...]) -> _Parts:
    """`words`: what a function that names one label at a time may answer when the file does not list its labels."""
    if not file.is_file():
        raise CustomModelError(f"The custom model {file} does not exist.", "Check the path.")
    loaders: dict[str, Callable[[Path], _Parts]] = {
        ".py": lambda path: _from_python(path, words),
        ".pt": _from_torchscript,
        ".pt2": _from_export,
        ".onnx": _from_onnx,
    }
    if file.suffix not in loaders:
        raise CustomModelError(f"{file.name} is no kind of model that is known.", f"Use one of {', '.join(SUFFIXES)}.")
    return loaders[file.suffix](file)


def _from_python(file: Path, words: tuple[str, ...]) -> _Parts:
    module = _import(file)
    with _blamed(file):
        size = _size(getattr(module, "input_size", DEFAULT_SIZE), file)
        labels = getattr(module, "labels", None)
        predict, one = getattr(module, "predict", None), getattr(module, "custom_model_predict", None)
        fit = getattr(module, "fit", None)
    if callable(predict):
        if not isinstance(labels, list | tuple):
            raise CustomModelError(f"{file.name} has no list called labels.", 'Add labels = ["…", "…"] to it.')
        return _Parts(_labels(labels, file), size, predict, fit if callable(fit) else None)
    if callable(one):
        known = _labels(labels, file) if isinstance(labels, list | tuple) else words
        return _Parts(known, size, one_by_one(one, known, file.name), one=one)
    raise CustomModelError(
        f"{file.name} has no function predict.", "Define predict(frames) or custom_model_predict(img_path) in it."
    )


def _from_torchscript(file: Path) -> _Parts:
    import torch

    with _blamed(file), warnings.catch_warnings():
        # torch would rather have torch.export; files of the older kind are still around.
        warnings.filterwarnings("ignore", message=".*deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*deprecated", category=DeprecationWarning)
        network = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return _network(file, network)


def _from_export(file: Path) -> _Parts:
    import torch

    with _blamed(file), _tensors_only():
        network = torch.export.load(str(file)).module()
    return _network(file, network)


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Keeps torch from unpickling what is no tensor: torch.export's own loader asks for that when a tensor fails."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _network(file: Path, network: Callable[..., Any]) -> _Parts:
    import torch

    described = _described(file)

    def predict(pictures: Pictures) -> Floats:
        with torch.inference_mode():
            scores = network(torch.from_numpy(_normalised(pictures, described)))
        return np.asarray(_activated(np.asarray(scores.float().cpu().numpy(), np.float32), described, file))

    return _Parts(_labels(described["labels"], file), _size(described.get("size", DEFAULT_SIZE), file), predict)


def _from_onnx(file: Path) -> _Parts:
    import openvino as ov

    described = _described(file)
    with _blamed(file):
        network = ov.Core().compile_model(str(file), "CPU")

    def predict(pictures: Pictures) -> Floats:
        scores = np.asarray(network(_normalised(pictures, described))[0], np.float32)
        return _activated(scores, described, file)

    return _Parts(_labels(described["labels"], file), _size(described.get("size", DEFAULT_SIZE), file), predict)


def _described(file: Path) -> Mapping[str, Any]:
    """The JSON beside a network: labels, size, mean, std, and what turns its outputs into 0..1."""
    beside = file.with_suffix(".json")
    try:
        described = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        described = None
    except (OSError, ValueError) as error:
        raise CustomModelError(f"{beside.name} is not JSON: {error}.", "Mend it.") from error
    if not isinstance(described, dict) or not isinstance(described.get("labels"), list):
        raise CustomModelError(
            f"{file.name} comes without {beside.name}, or that names no labels.",
            f'Write {beside.name}: {{"labels": ["…"], "size": 224, "mean": [0, 0, 0], "std": [1, 1, 1], '
            '"activation": "softmax"}.',
        )
    return described


def _normalised(pictures: Pictures, described: Mapping[str, Any]) -> Floats:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32, scaled to 0..1, then (x - mean) / std."""
    mean = np.asarray(described.get("mean", [0.0] * 3), np.float32)
    std = np.asarray(described.get("std", [1.0] * 3), np.float32)
    return np.ascontiguousarray(((pictures.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2))


def _activated(scores: Floats, described: Mapping[str, Any], file: Path) -> Floats:
    kind = described.get("activation", "none")
    if kind == "softmax":
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))
    if kind == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-scores)))
    if kind == "none":
        return scores
    raise CustomModelError(f"{file.name} asks for the activation {kind!r}.", "Use softmax, sigmoid or none.")


def _import(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"coldblitz_custom_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise CustomModelError(f"{file.name} cannot be imported.", "Give it a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    with _blamed(file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _blamed(file: Path) -> Iterator[None]:
    """Turns whatever a model file raises, `sys.exit` included, into a CustomModelError with file and line."""
    try:
        yield
    except CustomModelError:
        raise
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        if isinstance(error, SyntaxError) and error.filename == str(file):
            lines.append(error.lineno)
        place = f"{file.name}, line {lines[-1]}" if lines else file.name
        raise CustomModelError(
            f"{place}: {type(error).__name__}: {error}.", "Correct the file; it is loaded anew the next time."
        ) from error


def _checked(given: Any, pictures: int, labels: int, file: Path) -> Floats:
    try:
        scores = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise CustomModelError(f"predict of {file.name} gave no array: {error}.", "Return floats (N, L).") from error
    if scores.shape != (pictures, labels):
        raise CustomModelError(
            f"predict of {file.name} gave the shape {scores.shape} for {pictures} frames and {labels} labels.",
            f"Return ({pictures}, {labels}): one row a frame, one column a label.",
        )
    if not np.isfinite(scores).all() or scores.min() < -1e-3 or scores.max() > 1 + 1e-3:
        raise CustomModelError(
            f"predict of {file.name} gave values outside 0..1 (from {scores.min():g} to {scores.max():g}).",
            "Return probabilities, for example through a softmax or sigmoid.",
        )
    return scores.clip(0, 1)


def _labels(labels: Sequence[Any], file: Path) -> tuple[str, ...]:
    if not labels or not all(isinstance(label, str) and label for label in labels) or len(set(labels)) < len(labels):
        raise CustomModelError(f"The labels of {file.name} are {list(labels)!r}.", "Give distinct, non-empty strings.")
    return tuple(labels)


def _size(size: Any, file: Path) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(pair) != 2 or not all(isinstance(side, int) and 1 <= side <= 4096 for side in pair):
        raise CustomModelError(f"The input size of {file.name} is {size!r}.", "Give one number, or height and width.")
    return int(pair[0]), int(pair[1])


def listed(labels: Sequence[str]) -> str:
    """Labels as a sentence names them."""
    return ", ".join(f"“{label}”" for label in labels)

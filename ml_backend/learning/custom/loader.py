"""What a researcher's model file offers, whatever its kind, the dissertation's `custom_model_predict(img_path)` too: read, with its
mistakes named by file and line."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.project_settings import SUFFIXES
from ml_backend.researcher_files import blamed, checked_labels, described, import_file, normalized
from ml_backend.wording import quoted

OnePicture = Callable[[str], tuple[str, float]]


def answers(one: OnePicture, pictures: NDArray[np.uint8], name: str) -> Iterator[tuple[str, float]]:
    """Label and confidence of each of (N, H, W, 3) uint8 RGB pictures, written to disk one by one.

    `name` is the model file's, for errors. Raises CustomModelError when an answer has another form.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "frame.jpg")
        for picture in pictures:
            cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            answer = one(path)
            if not isinstance(answer, tuple | list) or len(answer) != 2:
                raise CustomModelError(
                    f"custom_model_predict of {name} gave {quoted(answer)}.", "Return (label, confidence)."
                )
            yield str(answer[0]), float(answer[1])


def one_by_one(one: OnePicture, words: Sequence[str], name: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function of batches: the label that was answered gets its confidence, the other `words` share the rest."""

    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.zeros((len(pictures), len(words)), np.float32)
        for row, (label, sure) in zip(scores, answers(one, pictures, name), strict=True):
            if label in words:
                row[:] = (1 - sure) / max(len(words) - 1, 1)
                row[words.index(label)] = sure
        return scores

    return predict


Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Predict = Callable[[Pictures], Any]

DEFAULT_SIZE = 224
_EXAMPLE = '{"labels": ["…"], "size": 224, "mean": [0, 0, 0], "std": [1, 1, 1], "activation": "softmax"}'


class Learning(NamedTuple):
    """The functions of a Python file that learns: `fit(frames, labels)`, `save(folder)` and `load(folder)`."""

    fit: Callable[[Pictures, Floats], Any]
    save: Callable[[str], Any]
    load: Callable[[str], Any]


@dataclass(frozen=True, eq=False)
class Parts:
    labels: tuple[str, ...]
    size: tuple[int, int]
    predict: Predict
    learning: Learning | None = None
    unfit: str = ""
    one: OnePicture | None = None


def loaded(file: Path, words: tuple[str, ...]) -> Parts:
    """`words`: what a function that names one label at a time may answer when the file does not list its labels."""
    if not file.is_file():
        raise CustomModelError(f"The custom model {file} does not exist.", "Check the path.")
    loaders: dict[str, Callable[[Path], Parts]] = {
        ".py": lambda path: _from_python(path, words),
        ".pt": _from_torchscript,
        ".pt2": _from_export,
        ".onnx": _from_onnx,
    }
    if file.suffix not in loaders:
        raise CustomModelError(f"{file.name} is not a supported kind of model.", f"Use one of {', '.join(SUFFIXES)}.")
    return loaders[file.suffix](file)


def _from_python(file: Path, words: tuple[str, ...]) -> Parts:
    module = import_file(file)
    with blamed(file):
        size = _size(getattr(module, "input_size", DEFAULT_SIZE), file)
        labels = getattr(module, "labels", None)
        predict, one = getattr(module, "predict", None), getattr(module, "custom_model_predict", None)
        learning, unfit = _learning(module)
    if callable(predict):
        if not isinstance(labels, list | tuple):
            raise CustomModelError(f"{file.name} has no list called labels.", 'Add labels = ["…", "…"] to it.')
        return Parts(checked_labels(labels, file), size, predict, learning, unfit)
    if callable(one):
        known = checked_labels(labels, file) if isinstance(labels, list | tuple) else words
        return Parts(known, size, one_by_one(one, known, file.name), one=one)
    raise CustomModelError(
        f"{file.name} has no function predict.", "Define predict(frames) or custom_model_predict(img_path) in it."
    )


def _learning(module: ModuleType) -> tuple[Learning | None, str]:
    """The functions that a file learns with; why its `fit` is not called, where it has one and the others are missing."""
    found = [getattr(module, name, None) for name in Learning._fields]
    missing = [name for name, function in zip(Learning._fields, found, strict=True) if not callable(function)]
    if "fit" in missing:
        return None, ""
    if missing:
        what = " and ".join(f"{name}(folder)" for name in missing)
        return None, f"Its fit is not called, since it has no {what}: what it learns could not be kept."
    return Learning(*found), ""  # type: ignore[arg-type]


def _from_torchscript(file: Path) -> Parts:
    import torch

    with blamed(file), warnings.catch_warnings():
        # torch would rather have torch.export; files of the older kind are still around.
        warnings.filterwarnings("ignore", message=".*deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*deprecated", category=DeprecationWarning)
        network = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return _network(file, network)


def _from_export(file: Path) -> Parts:
    import torch

    with blamed(file), _tensors_only():
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


def _network(file: Path, network: Callable[..., Any]) -> Parts:
    import torch

    about = described(file, _EXAMPLE)

    def predict(pictures: Pictures) -> Floats:
        with torch.inference_mode():
            scores = network(torch.from_numpy(normalized(pictures, about)))
        return np.asarray(_activated(np.asarray(scores.float().cpu().numpy(), np.float32), about, file))

    return Parts(checked_labels(about["labels"], file), _size(about.get("size", DEFAULT_SIZE), file), predict)


def _from_onnx(file: Path) -> Parts:
    from ml_backend.features.silent_openvino import ov

    about = described(file, _EXAMPLE)
    with blamed(file):
        network = ov.Core().compile_model(str(file), "CPU")

    def predict(pictures: Pictures) -> Floats:
        scores = np.asarray(network(normalized(pictures, about))[0], np.float32)
        return _activated(scores, about, file)

    return Parts(checked_labels(about["labels"], file), _size(about.get("size", DEFAULT_SIZE), file), predict)


def _activated(scores: Floats, about: Mapping[str, Any], file: Path) -> Floats:
    kind = about.get("activation", "none")
    if kind == "softmax":
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))
    if kind == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-scores)))
    if kind == "none":
        return scores
    raise CustomModelError(f"{file.name} asks for the activation {quoted(kind)}.", "Use softmax, sigmoid or none.")


def checked(given: Any, pictures: int, labels: int, file: Path) -> Floats:
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


def _size(size: Any, file: Path) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(pair) != 2 or not all(isinstance(side, int) and 1 <= side <= 4096 for side in pair):
        raise CustomModelError(
            f"The input size of {file.name} is {quoted(size)}.", "Give one number, or height and width."
        )
    return int(pair[0]), int(pair[1])


def listed(labels: Sequence[str]) -> str:
    """Labels as a sentence names them."""
    return ", ".join(f"“{label}”" for label in labels)

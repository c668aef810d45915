"""A detector that a researcher brings, as a file: a Python function, or an ONNX network with a JSON file beside it.

A Python file defines `labels: list[str]` and `detect(frames)`: (n, height, width, 3) uint8 RGB to n lists, one for each frame, of
`(label, score, left, top, width, height)` in shares of the picture. It may define `input_size`, the longer side of the frames in
pixels (640 by default), and `rate`, how many frames of a second it is shown (5 by default).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.detector_names import CUSTOM_STEM, is_file_name
from ml_backend.errors import CustomModelError
from ml_backend.objects.boxes import Detections
from ml_backend.objects.detector import Picture
from ml_backend.researcher_files import blamed, checked_labels, described, import_file, normalized
from ml_backend.wording import cut, quoted

Frames = NDArray[np.uint8]
BATCH = 16
_SIDE, _RATE = 640, 5.0
_SIDES, _RATES = (16, 4096), (0.1, 60.0)
_EXAMPLE = '{"labels": ["…"], "size": 640, "mean": [0, 0, 0], "std": [1, 1, 1]}'
# Boxes of one class that overlap by more are one object, unless the JSON says another IoU.
_OVERLAP = 0.6


class CustomDetector:
    """A researcher's file, loaded. It runs in the thread that asks, where a time limit can end it."""

    def __init__(
        self,
        file: Path,
        labels: tuple[str, ...],
        find: Callable[[Sequence[Picture]], list[Detections]],
        side: int,
        rate: float,
    ) -> None:
        self.names, self.side, self.rate, self.batch = labels, side, rate, BATCH
        self._file, self._find = file, find

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Raises CustomModelError with file and line."""
        with blamed(self._file):
            return self._find(pictures)


def custom_detector_file(folder: Path, name: str) -> Path:
    """The file that `custom` or `custom:<name>` means, in `folder`. Raises CustomModelError when it is not there."""
    _, named, file = name.partition(":")
    files = [folder / file] if named else [folder / f"{CUSTOM_STEM}.py", folder / f"{CUSTOM_STEM}.onnx"]
    there = [each for each in files if is_file_name(each.name) and each.is_file()]
    if not there:
        what = f"“{file}”" if named else f"{CUSTOM_STEM}.py or {CUSTOM_STEM}.onnx"
        raise CustomModelError(
            f"The detector is {name}, and there is no {what} in {folder}.",
            "Put the file there, or name another one: custom:<file>.",
        )
    return there[0]


def load_custom_detector(file: Path) -> CustomDetector:
    """Raises CustomModelError saying what to mend, with file and line."""
    if not file.is_file():
        raise CustomModelError(f"The detector {file} does not exist.", "Check the path.")
    if not is_file_name(file.name):
        raise CustomModelError(f"{file.name} cannot be a detector.", "Use a .py or an .onnx file.")
    return _from_python(file) if file.suffix == ".py" else _from_onnx(file)


def _from_python(file: Path) -> CustomDetector:
    module = import_file(file)
    with blamed(file):
        detect, labels = getattr(module, "detect", None), getattr(module, "labels", None)
        side, rate = getattr(module, "input_size", _SIDE), getattr(module, "rate", _RATE)
    if not callable(detect):
        raise CustomModelError(f"{file.name} has no function detect.", "Define detect(frames) in it.")
    if not isinstance(labels, list | tuple):
        raise CustomModelError(f"{file.name} has no list called labels.", 'Add labels = ["…", "…"] to it.')

    def find(pictures: Sequence[Picture]) -> list[Detections]:
        given = list(detect(np.stack(pictures)))
        if len(given) != len(pictures):
            raise CustomModelError(
                f"detect of {file.name} answered for {len(given)} of {len(pictures)} frames.",
                "Return one list for each frame, empty when nothing is in it.",
            )
        return [_read(each, file) for each in given]

    return CustomDetector(
        file,
        checked_labels(labels, file),
        find,
        round(_number(side, "input_size", _SIDES, file)),
        _number(rate, "rate", _RATES, file),
    )


def _number(value: Any, name: str, limits: tuple[float, float], file: Path) -> float:
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise CustomModelError(
            f"The {name} of {file.name} is {quoted(value)}.", f"Give a number between {low:g} and {high:g}."
        )
    return float(value)


def _read(rows: Any, file: Path) -> Detections:
    """One frame's answer."""
    try:
        found = [(str(label), [float(number) for number in numbers]) for label, *numbers in rows]
    except (TypeError, ValueError) as error:
        raise _no_rows(file, rows) from error
    wrong = next((row for row, (_, numbers) in zip(rows, found, strict=True) if len(numbers) != 5), None)
    if wrong is not None:
        raise _no_rows(file, wrong)
    numbers = np.array([each for _, each in found], np.float32).reshape(-1, 5)
    return Detections(numbers[:, 1:], numbers[:, 0], tuple(label for label, _ in found))


def _no_rows(file: Path, rows: Any) -> CustomModelError:
    return CustomModelError(
        f"detect of {file.name} gave {cut(rows)} for a frame.",
        "Return a list of (label, score, left, top, width, height), in shares of the frame.",
    )


def _from_onnx(file: Path) -> CustomDetector:
    from ml_backend.features.silent_openvino import ov

    about = described(file, _EXAMPLE)
    labels = checked_labels(about["labels"], file)
    size = round(_number(about.get("size", _SIDE), "size", _SIDES, file))
    overlap = _number(about.get("overlap", _OVERLAP), "overlap", (0.0, 1.0), file)
    with blamed(file):
        network = ov.Core().compile_model(str(file), "CPU")

    def find(pictures: Sequence[Picture]) -> list[Detections]:
        found = []
        for picture in pictures:
            shown = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            answer = network(normalized(np.asarray(shown[None], np.uint8), about))
            boxes, scores = (np.asarray(answer[at], np.float32)[0] for at in (0, 1))
            found.append(_of_network(boxes, scores, labels, overlap, file))
        return found

    rate = _number(about.get("rate", _RATE), "rate", _RATES, file)
    # A wide picture has about the network's height then, before it is stretched.
    return CustomDetector(file, labels, find, 2 * size, rate)


def _of_network(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: tuple[str, ...], overlap: float, file: Path
) -> Detections:
    """(k, 4) left, top, right, bottom in shares, and (k, L) scores: of each box its surest label, without boxes that overlap with a
    surer one of the same."""
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != (len(boxes), len(labels)):
        raise CustomModelError(
            f"{file.name} gave boxes of shape {boxes.shape} and scores of shape {scores.shape} for a picture.",
            f"Its first output must be boxes (1, k, 4), its second scores (1, k, {len(labels)}): one for each label.",
        )
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    surest, which = scores.max(axis=1, initial=0), scores.argmax(axis=1) if len(boxes) else np.empty(0, np.int64)
    if not np.isfinite(sizes).all() or not np.isfinite(surest).all():
        return Detections(sizes, surest, tuple(labels[each] for each in which))
    kept = cv2.dnn.NMSBoxesBatched(sizes.tolist(), surest.tolist(), which.tolist(), 0.05, overlap) if len(boxes) else ()
    keep = np.asarray(kept, np.int64).ravel()
    return Detections(sizes[keep], surest[keep], tuple(labels[each] for each in which[keep]))

"""The dissertation's form of a model: `custom_model_predict(img_path) -> (label, confidence)`, one picture at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError

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
                    f"custom_model_predict of {name} gave {answer!r}.", "Return (label, confidence)."
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

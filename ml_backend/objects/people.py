"""Finding people who stand or walk, with the detector that OpenCV brings along: histograms of oriented gradients and a linear
classifier (Dalal and Triggs, 2005). Slow and coarse, but it needs no download and no background."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Detections, clipped, in_shares

NAME = "person"
# Of the window that it looks through a person fills about so much, around the middle.
_FILLS = (0.55, 0.82)
# Boxes that overlap by more are one person.
_OVERLAP = 0.4
_STRIDE, _SCALE = (8, 8), 1.06
# It finds people of at least this height, in pixels.
_WINDOW = 128


class PeopleDetector:
    """Detects people; all it finds is called `person`. `side`: the longer side of its pictures, in pixels."""

    names: tuple[str, ...] = (NAME,)

    def __init__(self, side: int = 640, rate: float = 4.0, batch: int = 16) -> None:
        self.side, self.rate, self.batch = side, rate, batch
        self._people = cv2.HOGDescriptor()
        self._people.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [self._in(picture) for picture in pictures]

    def _in(self, picture: NDArray[np.uint8]) -> Detections:
        height, width = picture.shape[:2]
        if height < _WINDOW or width < _WINDOW // 2:
            return Detections.none()
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        windows, margins = self._people.detectMultiScale(grey, winStride=_STRIDE, scale=_SCALE, groupThreshold=0)
        if not len(windows):
            return Detections.none()
        boxes = np.asarray(windows, np.float64)
        fills = np.array(_FILLS) * boxes[:, 2:]
        boxes = np.concatenate([boxes[:, :2] + (boxes[:, 2:] - fills) / 2, fills], axis=1)
        # The distance from the classifier's boundary, as a probability.
        scores = 1 / (1 + np.exp(-2 * np.asarray(margins, np.float64).ravel()))
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, _OVERLAP)
        keep = np.asarray(kept, np.int64).ravel()
        return Detections(
            clipped(in_shares(boxes[keep], width, height)), scores[keep].astype(np.float32), (NAME,) * len(keep)
        )

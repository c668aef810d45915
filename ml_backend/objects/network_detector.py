"""A network of torchvision or transformers as a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml_backend.objects.boxes import Detections, clipped, in_shares
from ml_backend.objects.detector import Picture

if TYPE_CHECKING:
    from ml_backend.features.detection import DetectionNetwork, Found

# What torchvision's lists of classes have where COCO has none.
_NOTHING = ("__background__", "N/A")


class NetworkDetector:
    """`least`: the score below which boxes are noise; None is what is usual for such a network."""

    def __init__(self, network: DetectionNetwork, least: float | None = None, rate: float = 5.0) -> None:
        self.names = tuple(name for name in network.names if name not in _NOTHING)
        self.side, self.batch, self.rate = network.side, network.batch, rate
        self._network, self._least = network, network.usual if least is None else least

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Raises DeviceFull."""
        found = self._network.find(pictures, self._least)
        return [self._read(each, picture) for each, picture in zip(found, pictures, strict=True)]

    def _read(self, found: Found, picture: Picture) -> Detections:
        height, width = picture.shape[:2]
        boxes = found.boxes.astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        names = tuple(self._network.names[each] for each in found.classes)
        # Networks draw boxes a little over the edge of a picture, or far over it where half of an object is out of sight.
        inside = np.isfinite(boxes).all(axis=1)
        boxes[inside] = clipped(in_shares(boxes[inside], width, height))
        read = Detections(boxes.astype(np.float32), found.scores, names)
        return read.at(np.array([name not in _NOTHING for name in names], np.bool_))

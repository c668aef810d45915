"""Pictures with the boxes that people drew in them, and how they are varied while a detector learns from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
_QUALITY = 95
# A box of which less is left in a varied picture is not there; one with fewer pixels on a side is nothing to learn from.
_LEFT, _FEWEST = 0.25, 2.0
_ZOOM = (0.75, 1.35)
_LIGHT, _CONTRAST, _TINT = 0.25, 0.25, 0.06
_SIDED = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class BoxedPicture:
    """One frame of a video. `jpeg`: the picture, packed, since many are held in memory at once. `boxes`: (n, 4) float32 left, top,
    right, bottom as shares of it. `classes`: (n,) int64, from 1. `video`: the task that it is of."""

    jpeg: bytes
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    video: int

    @classmethod
    def of(
        cls, picture: Picture, boxes: NDArray[np.floating], classes: NDArray[np.integer], video: int
    ) -> BoxedPicture:
        """`picture`: (h, w, 3) uint8 RGB."""
        _, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        inside = np.clip(np.asarray(boxes, np.float32).reshape(-1, 4), 0, 1)
        return cls(packed.tobytes(), inside, np.asarray(classes, np.int64), video)

    def picture(self) -> Picture:
        """(h, w, 3) uint8 RGB."""
        read = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(np.asarray(read, np.uint8)[..., ::-1])

    def in_pixels(self, picture: Picture) -> NDArray[np.float32]:
        """(n, 4) its boxes in the pixels of `picture`."""
        height, width = picture.shape[:2]
        return self.boxes * np.array((width, height, width, height), np.float32)


def may_be_mirrored(labels: Sequence[str]) -> bool:
    """Whether a mirrored picture shows the same: not where a label says a side."""
    return not any(_SIDED.search(label.replace("_", " ")) for label in labels)


def varied(
    one: BoxedPicture, random: np.random.Generator, *, mirrored: bool
) -> tuple[Picture, NDArray[np.float32], NDArray[np.int64]]:
    """A picture of the same size, its boxes in its pixels, and their classes: nearer or farther, elsewhere, brighter or darker, with
    more or less contrast and a tint, and where that is allowed `mirrored` half of the time."""
    picture, classes = one.picture(), one.classes
    boxes = one.in_pixels(picture)
    height, width = picture.shape[:2]
    zoom = float(np.exp(random.uniform(*np.log(_ZOOM))))
    # Where it is nearer, what is cut off may be at any side; where it is farther, it may stand anywhere.
    shift = np.array([(1 - zoom) * width, (1 - zoom) * height]) * random.uniform(0, 1, 2)
    move = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    if mirrored and random.random() < 0.5:
        move[0] = -move[0] + (0, 0, width)
    shown = cv2.warpAffine(picture, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if zoom < 1:
        # What a mirror at the edge repeats would be objects without a box.
        inside = cv2.warpAffine(np.ones((height, width), np.uint8), move, (width, height), flags=cv2.INTER_NEAREST)
        shown[inside == 0] = picture.reshape(-1, 3).mean(axis=0)
    light = 1 + random.uniform(-_LIGHT, _LIGHT)
    tint = 1 + random.uniform(-_TINT, _TINT, 3)
    contrast = 1 + random.uniform(-_CONTRAST, _CONTRAST)
    mean = float(shown.mean())
    toned = ((shown.astype(np.float32) - mean) * contrast + mean) * (light * tint).astype(np.float32)
    across = np.sort(boxes[:, [0, 2]] * move[0, 0] + move[0, 2], axis=1)
    down = boxes[:, [1, 3]] * move[1, 1] + move[1, 2]
    moved = np.stack([across[:, 0], down[:, 0], across[:, 1], down[:, 1]], axis=1)
    cut = np.clip(moved, 0, (width, height, width, height))
    sizes, left = moved[:, 2:] - moved[:, :2], cut[:, 2:] - cut[:, :2]
    keep = (left.min(axis=1, initial=np.inf) >= _FEWEST) & (
        left.prod(axis=1) >= _LEFT * np.maximum(sizes.prod(axis=1), 1e-9)
    )
    return np.clip(toned, 0, 255).astype(np.uint8), cut[keep].astype(np.float32), classes[keep]

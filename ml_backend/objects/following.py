"""Following what one box holds from picture to picture, by its texture and its colors.

Where it goes is the median of how points inside of it move, each tracked there and back (Kalal et al., Forward-Backward Error,
2010). How large it is then, its colors tell, if they told so in the first picture: an animal that turns changes its box, and
not its coat. What is not seen for a second is lost.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import iou
from ml_backend.objects.points import moved_points
from ml_backend.objects.segment import Colors, Picture

# Points across and down a box, and how far, in pixels, one may be from where it began when it was tracked there and back.
_GRID, _BACK = 9, 1.0
_FEWEST = 6
# The colors decide on the box's size if by them it is as much as this where it was drawn.
_TOLD = 0.6
# A box that changes by more than this factor between two pictures is hidden by something, or one with something.
_SUDDEN = 1.6
# How much of the colors is taken over from each picture, and how much of a new size and place.
_LEARN, _TRUST = 0.03, 0.85
# How alike its picture stays (correlation) without colors to go by.
_LEAST_ALIKE = 0.35
_PATCH = 24
# What has to look the same around a point, in pixels, and how often pictures are halved.
_WINDOW, _LEVELS = 17, 3


class Follower:
    """Follows one subject through pictures of (h, w, 3) uint8 RGB that are shown to it in order, forwards or backwards.

    `patience`: for how many pictures it may be hidden. `lost`: whether it was for longer.
    """

    def __init__(self, picture: Picture, box: NDArray[np.float64], patience: int) -> None:
        """`box`: (4,) left, top, width, height in pixels of the first picture."""
        self._box, self._speed = box.copy(), np.zeros(2)
        self._grey = _grey(picture)
        self._colors = Colors(picture, box)
        self._patience, self._missed = patience, 0
        self._first = self._last = _patch(self._grey, box)
        told = self._colors.extent(picture, box)
        self._by_color = told is not None and float(iou(told[0], box)) >= _TOLD
        # What a person draws is not quite what the colors say: the difference stays.
        self._frame = _difference(box, told[0]) if told is not None and self._by_color else None

    @property
    def lost(self) -> bool:
        return self._missed > self._patience

    def step(self, picture: Picture) -> tuple[NDArray[np.float64], float]:
        """Its box (4,) in pixels of the next picture and how sure that is, 0 where it is hidden and only supposed."""
        grey = _grey(picture)
        moved = self._moved(grey)
        expected = moved if moved is not None else np.concatenate([self._box[:2] + self._speed, self._box[2:]])
        seen = self._by_colors(picture, expected) if self._by_color else self._by_texture(grey, moved)
        self._grey = grey
        if seen is None:
            self._missed += 1
            # Flow inside a hidden subject is that of what hides it.
            self._box = np.concatenate([self._box[:2] + self._speed, self._box[2:]])
            self._speed *= 0.9
            return self._box, 0.0
        box, sure = seen
        middle = box[:2] + box[2:] / 2 - self._box[:2] - self._box[2:] / 2
        self._speed += 0.5 * (middle - self._speed)
        self._box, self._missed = box, 0
        self._last = _patch(grey, box)
        self._colors.learn(picture, box, _LEARN)
        return box, sure

    def _moved(self, grey: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Its box moved, and grown, as its points have."""
        steps = (np.arange(_GRID) + 0.5) / _GRID * 0.8 + 0.1
        across, down = np.meshgrid(steps, steps)
        points = self._box[:2] + np.stack([across.ravel(), down.ravel()], axis=1) * self._box[2:]
        before = points.astype(np.float32)
        guess = before + self._speed.astype(np.float32)
        there, found = moved_points(self._grey, grey, before, guess, window=_WINDOW, levels=_LEVELS)
        back, again = moved_points(grey, self._grey, there, before, window=_WINDOW, levels=_LEVELS)
        good = found & again & (np.abs(back - before).max(axis=1) < _BACK)
        if good.sum() < _FEWEST:
            return None
        a, b = before[good].astype(np.float64), there[good].astype(np.float64)
        shift = np.median(b - a, axis=0)
        apart = np.linalg.norm(a[:, None] - a[None], axis=2)
        pairs = apart > 1
        ratio = np.linalg.norm(b[:, None] - b[None], axis=2)[pairs] / apart[pairs]
        scale = float(np.clip(np.median(ratio), 0.95, 1.05)) if len(ratio) else 1.0
        size = self._box[2:] * scale
        return np.asarray(np.concatenate([self._box[:2] + shift - (size - self._box[2:]) / 2, size]), np.float64)

    def _by_colors(self, picture: Picture, expected: NDArray[np.float64]) -> tuple[NDArray[np.float64], float] | None:
        told = self._colors.extent(picture, expected)
        if told is None or self._frame is None:
            return None
        box = _with(told[0], self._frame)
        change = np.maximum(box[2:] / self._box[2:], self._box[2:] / box[2:])
        if (change > _SUDDEN).any():
            return None
        return expected + _TRUST * (box - expected), told[1]

    def _by_texture(
        self, grey: NDArray[np.uint8], moved: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], float] | None:
        if moved is None:
            return None
        patch = _patch(grey, moved)
        alike = max(_correlation(patch, self._last), _correlation(patch, self._first))
        return (moved, min(alike, 1.0)) if alike >= _LEAST_ALIKE else None


def _grey(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _patch(grey: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.float32]:
    """(24, 24) of what a box holds, outside of the picture its rim."""
    size = np.maximum(box[2:], 2)
    matrix = np.array([[size[0] / _PATCH, 0, box[0]], [0, size[1] / _PATCH, box[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(grey, matrix, (_PATCH, _PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two patches, -1..1; 0 when one of them is flat."""
    a, b = one - one.mean(), other - other.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / length if length > 1e-6 else 0.0


def _difference(box: NDArray[np.float64], told: NDArray[np.float64]) -> NDArray[np.float64]:
    """How a box lies around another: (4,) shift in its sizes, and ratio of sizes."""
    return np.concatenate([(box[:2] - told[:2]) / told[2:], box[2:] / told[2:]])


def _with(told: NDArray[np.float64], difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_difference`."""
    return np.concatenate([told[:2] + difference[:2] * told[2:], told[2:] * difference[2:]])

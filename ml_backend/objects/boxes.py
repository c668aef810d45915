"""Boxes, and what is known of them: what a detector finds in one frame, and one object's track through a video.

A box is left, top, width, height as shares of the picture's width and height, 0..1 and float32, so that it holds at every
resolution. Frames are frame indices, in the order in which they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
Floats = NDArray[np.float32]
Shades = NDArray[np.uint8]
NOT_IT = 255
# What there is nothing to compare with has no looks.
NO_LOOKS: Floats = np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one frame.

    `boxes`: (n, 4) float32 shares of the picture. `scores`: (n,) float32 in 0..1. `names`: n class names. `looks`: (n, d)
    float32, what each subject looks like, by which it is known again: the roots of the shares of d colors; (0, 0) when the
    detector does not say. `shades`: n pictures (h, w) uint8 of what is in each box, at any scale: which of the d colors each pixel
    has, `NOT_IT` where it is not the subject; empty when the detector does not say.
    """

    boxes: Boxes
    scores: Floats
    names: tuple[str, ...]
    looks: Floats = field(default_factory=lambda: NO_LOOKS)
    shades: tuple[Shades, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Detections:
        """Some of them, by mask or by position."""
        positions = np.flatnonzero(which) if which.dtype == np.bool_ else which
        looks = self.looks[positions] if len(self.looks) else self.looks
        shades = tuple(self.shades[each] for each in positions) if self.shades else ()
        names = tuple(self.names[each] for each in positions)
        return Detections(self.boxes[positions], self.scores[positions], names, looks, shades)

    @classmethod
    def none(cls) -> Detections:
        """Of a frame in which nothing was found."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), ())


@dataclass(frozen=True, eq=False)
class Track:
    """One object's way through a video.

    `number`: stable when the same video is tracked again, counted from 1 in the order in which the objects appear. `frames`:
    (k,) int64 ascending frame indices; where some are missing the object is not seen. `boxes`: (k, 4) float32, a box for
    each. `scores`: (k,) float32 in 0..1, how sure each box is; less between detections. `score`: of the whole track.
    `label`: a class name, None when nothing is known of what it is. `looks`: (d,) float32, the mean of its detections'.
    `crops`: pictures of it as JPEG (`objects.crops`), where any were asked for.
    """

    number: int
    frames: NDArray[np.int64]
    boxes: Boxes
    scores: Floats
    score: float
    label: str | None = None
    looks: Floats | None = None
    crops: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def first(self) -> int:
        return int(self.frames[0])

    @property
    def last(self) -> int:
        return int(self.frames[-1])

    def box(self, frame: int) -> Boxes | None:
        """(4,) float32 where the object is at frame index `frame`; None where it is not seen."""
        at = int(np.searchsorted(self.frames, frame))
        return self.boxes[at] if at < len(self) and self.frames[at] == frame else None

    def spans(self) -> Iterator[tuple[int, int]]:
        """Each run of frames without a gap, as the positions of its first and behind its last in `frames`."""
        edges = np.flatnonzero(np.diff(self.frames) != 1) + 1
        starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(self)]
        yield from zip(starts, stops, strict=True)

    def labeled(self, label: str | None) -> Track:
        """The same under another label."""
        return replace(self, label=label)


def iou(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of boxes, 0..1; (..., 4) and (..., 4) that broadcast give (...).

    Two boxes without area have none, even when they are equal.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    either = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - shared
    return np.asarray(np.where(either > 0, shared / np.where(either > 0, either, 1), 0.0), np.float64)


def iou_matrix(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, m) of (n, 4) and (m, 4) boxes, each with each."""
    return iou(one[:, None], other[None])


def covered(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, m) how much of each of (n, 4) boxes lies in each of (m, 4), 0..1."""
    a, b = np.asarray(one, np.float64)[:, None], np.asarray(other, np.float64)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    area = np.prod(a[..., 2:], axis=-1)
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=-1) / np.maximum(area, 1e-12), np.float64)


def clipped(boxes: NDArray[np.floating]) -> Boxes:
    """(n, 4) float32: the part of each box that lies inside the picture, without area where there is none."""
    low = np.clip(boxes[..., :2], 0, 1)
    high = np.clip(boxes[..., :2] + boxes[..., 2:], 0, 1)
    return np.asarray(np.concatenate([low, np.maximum(high - low, 0)], axis=-1), np.float32)


def in_shares(pixels: NDArray[np.generic], width: int, height: int) -> Boxes:
    """(n, 4) float32 shares of the picture from (n, 4) left, top, width, height in its pixels."""
    return (np.asarray(pixels, np.float64) / (width, height, width, height)).astype(np.float32).reshape(-1, 4)


def in_pixels(boxes: Boxes, width: int, height: int) -> NDArray[np.float64]:
    """The inverse of `in_shares`, not rounded."""
    return np.asarray(boxes, np.float64) * (width, height, width, height)

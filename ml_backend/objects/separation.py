"""Several subjects in one box: which part of it is whose.

A detector that knows no classes sees subjects that touch as one. Where they have different colors, each pixel goes to the
subject that has its color and was expected there; where they look alike, or the detector shows no pixels, each side of the box
belongs to the subject that was expected nearest to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import NOT_IT, Floats, Shades

# Looks are told apart by pixels when they are less alike than this (Bhattacharyya coefficient).
_ALIKE = 0.7
# A color that a subject was never seen to have may still be its own.
_NEVER_SEEN = 0.004
# How fast the expectation fades outside of where a subject was expected, in its own sizes.
_FADES = 0.5
# A subject of which less is seen, as a share of its expected box, is hidden; one that fills so much of its size is all seen.
_HIDDEN, _ALL = 0.06, 0.8
# How sure a part is that was taken out by its pixels, and one that was placed.
_BY_PIXELS, _PLACED = 0.8, 0.5
_CROSS = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)


@dataclass(frozen=True, eq=False)
class Inmate:
    """A subject that is known to be in the box. `expected`: (4,) where, `looks`: as in `Detections`, None when unknown."""

    expected: NDArray[np.float64]
    looks: Floats | None


@dataclass(frozen=True, eq=False)
class Part:
    """Its part of the box. `whole`: whether all of it is seen, so that its size is its own. `sureness`: 0..1."""

    box: NDArray[np.float64]
    whole: bool
    sureness: float


def take_apart(box: NDArray[np.float64], shades: Shades | None, inmates: Sequence[Inmate]) -> list[Part | None]:
    """The part of each subject in a box (4,), shares of the picture; None for one that is hidden behind the others.

    `shades`: as in `Detections`, None when the detector does not say.
    """
    looks = [each.looks for each in inmates if each.looks is not None]
    expected = np.stack([each.expected for each in inmates])
    if shades is None or len(looks) < len(inmates) or not _differ(np.stack(looks)):
        return [Part(each, False, _PLACED) for each in share_out(box, expected)]
    return _by_pixels(box, shades, expected, np.stack(looks))


def share_out(box: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, 4) where each of m subjects is that fill a box (4,) together, from (m, 4) where they were expected.

    Each keeps its size and is moved into the box; each side of the box belongs to the subject that was expected nearest to it.
    """
    placed = expected.copy()
    for axis in (0, 1):
        low, high = float(box[axis]), float(box[axis] + box[axis + 2])
        first, last = int(placed[:, axis].argmin()), int((placed[:, axis] + placed[:, axis + 2]).argmax())
        placed[:, axis] = np.clip(placed[:, axis], low, np.maximum(high - placed[:, axis + 2], low))
        placed[last, axis] = max(high - placed[last, axis + 2], low)
        placed[first, axis] = low
        if first == last:
            placed[first, axis + 2] = high - low
    return placed


def _differ(looks: NDArray[np.float32]) -> bool:
    """Whether no two of (m, d) looks are alike."""
    alike = looks @ looks.T / np.maximum(np.outer(*[np.linalg.norm(looks, axis=1)] * 2), 1e-9)
    return bool(alike[~np.eye(len(looks), dtype=np.bool_)].max() < _ALIKE)


def _by_pixels(
    box: NDArray[np.float64], shades: Shades, expected: NDArray[np.float64], looks: NDArray[np.float32]
) -> list[Part | None]:
    height, width = shades.shape
    unit = box[2:] / (width, height)
    there = shades != NOT_IT
    likely = np.square(looks) / np.maximum(np.square(looks).sum(axis=1, keepdims=True), 1e-9) + _NEVER_SEEN
    prior = _expectation(box, unit, (height, width), expected)
    color = np.where(there, shades, 0)
    owner = np.where(there, (likely[:, color] * prior).argmax(axis=0), -1)
    parts: list[Part | None] = []
    for number, where in enumerate(expected):
        own = cv2.morphologyEx((owner == number).astype(np.uint8), cv2.MORPH_OPEN, _CROSS)
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        if own.sum() * np.prod(unit) < _HIDDEN * np.prod(where[2:]):
            parts.append(None)
            continue
        low = box[:2] + unit * (columns[0], rows[0])
        high = box[:2] + unit * (columns[-1] + 1, rows[-1] + 1)
        seen = np.concatenate([low, high - low])
        whole = bool((seen[2:] >= _ALL * where[2:]).all())
        parts.append(Part(seen if whole else _grown(seen, where, box), whole, _BY_PIXELS))
    return parts


def _expectation(
    box: NDArray[np.float64], unit: NDArray[np.float64], shape: tuple[int, int], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(m, h, w) how likely each pixel is each subject's by place alone: 1 where it was expected, fading outside."""
    height, width = shape
    x = box[0] + unit[0] * (np.arange(width) + 0.5)
    y = box[1] + unit[1] * (np.arange(height) + 0.5)
    left, top, wide, high = (expected[:, axis, None] for axis in range(4))
    across = np.maximum(np.maximum(left - x, x - left - wide), 0) / (wide * _FADES)
    down = np.maximum(np.maximum(top - y, y - top - high), 0) / (high * _FADES)
    return np.asarray(np.exp(-np.square(across))[:, None, :] * np.exp(-np.square(down))[:, :, None] + 1e-6, np.float64)


def _grown(seen: NDArray[np.float64], expected: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """A box of the expected size that holds what is seen of a subject and stays in the box of all, as near as possible to
    where it was expected."""
    grown = seen.copy()
    for axis in (0, 1):
        size = min(max(expected[axis + 2], seen[axis + 2]), box[axis + 2])
        least = max(seen[axis] + seen[axis + 2] - size, box[axis])
        most = min(seen[axis], box[axis] + box[axis + 2] - size)
        grown[axis], grown[axis + 2] = np.clip(expected[axis], least, max(most, least)), size
    return grown

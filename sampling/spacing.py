"""What the strategies share: which frames they choose among, and how far apart their picks stay."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Frames = NDArray[np.int64]


def indices(rows: int, frames: ArrayLike | None) -> Frames:
    """(rows,) int64: the ascending frame indices `frames`, or 0..rows-1.

    Raises ValueError when there is not one for each row, or when they do not ascend.
    """
    index = np.arange(rows, dtype=np.int64) if frames is None else np.asarray(frames, np.int64)
    if index.shape != (rows,):
        raise ValueError(f"{index.shape} frame indices do not belong to {rows} rows")
    if (np.diff(index) <= 0).any():
        raise ValueError("frame indices must ascend")
    return index


def free(frames: Frames, taken: ArrayLike | None, gap: int = 0) -> NDArray[np.bool_]:
    """(m,) bool: which of `frames` are at least `gap` frames, and at least one, from each of the frame indices `taken`."""
    return time_to(frames, taken) >= max(gap, 1)


def time_to(frames: Frames, taken: ArrayLike | None) -> Floats:
    """(m,) float64: frames to the nearest of the frame indices `taken`; infinite without any."""
    marks = np.unique(np.asarray([] if taken is None else taken, np.int64))
    if not len(marks):
        return np.full(len(frames), np.inf)
    return np.asarray(np.abs(frames - marks[nearest(marks, frames)]), np.float64)


def nearest(
    marks: Frames, frames: NDArray[np.int64], *, tie: Literal["before", "after"] = "before"
) -> NDArray[np.intp]:
    """(m,) positions in the ascending `marks` (k,), one or more, of those nearest to `frames` (m,).

    `tie`: which of two that are as far away.
    """
    after = np.searchsorted(marks, frames).clip(0, len(marks) - 1)
    before = (after - 1).clip(0)
    to_before, to_after = np.abs(frames - marks[before]), np.abs(frames - marks[after])
    return np.where(to_before <= to_after if tie == "before" else to_before < to_after, before, after)


def in_order(
    order: NDArray[np.int64], frames: Frames, count: int, *, gap: int = 0, labelled: ArrayLike | None = None
) -> Frames:
    """At most `count` of `frames`, sorted: taken in the `order` of their positions, each at least `gap` from the others."""
    open_ = free(frames, labelled, gap)
    chosen: list[int] = []
    for position in order.tolist():
        if len(chosen) >= count:
            break
        if open_[position]:
            chosen.append(int(frames[position]))
            open_ &= free(frames, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)

"""What a strategy chooses among, so that strategies compose (*filter, then spread, then pick*), and how far apart their picks stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.unique import hash_numbers

Floats = NDArray[np.float64]
Frames = NDArray[np.int64]
_Mask = NDArray[np.bool_] | NDArray[np.int64]


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) float32: each of the (n, d) `rows` divided by its Euclidean length; rows of zeros stay."""
    given = np.asarray(rows, np.float32)
    length = np.sqrt(np.einsum("nd,nd->n", given, given))
    return np.asarray(given / np.maximum(length, 1e-9)[:, None], np.float32)


@dataclass(frozen=True, eq=False)
class Candidates:
    """m frames of one video and what is known of them; None is not known.

    `frames`: (m,) int64, ascending frame indices. `hashes`: perceptual hashes, given as (m,) uint64 or m of ImageHash and
    kept as numbers. `sharpness`: (m,) 0 or more, the variance of the Laplacian. `brightness`: (m,) 0..255, the mean grey.
    `entropy`: (m,) 0..8 bits, of the grey values. `embeddings`: (m, d).
    `probabilities`: (m, L) in 0..1 by a model. Raises ValueError when they do not fit together.
    """

    frames: Frames
    hashes: NDArray[np.uint64] | None = None
    sharpness: NDArray[np.floating] | None = None
    brightness: NDArray[np.floating] | None = None
    entropy: NDArray[np.floating] | None = None
    embeddings: NDArray[np.floating] | None = None
    probabilities: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", indices(len(self.frames), self.frames))
        if self.hashes is not None:
            object.__setattr__(self, "hashes", hash_numbers(self.hashes))
        for name, rows in vars(self).items():
            if rows is not None and len(rows) != len(self.frames):
                raise ValueError(f"{len(rows)} {name} do not belong to {len(self.frames)} frames")

    def __len__(self) -> int:
        return len(self.frames)

    def only(self, which: _Mask) -> Candidates:
        """Those of a mask (m,) bool, or at these ascending positions."""
        known: Mapping[str, NDArray[Any] | None] = vars(self)
        return replace(self, **{name: rows[which] for name, rows in known.items() if rows is not None})


# At most so many of the candidates' frame indices, sorted and distinct.
Strategy = Callable[[Candidates, int], Frames]


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

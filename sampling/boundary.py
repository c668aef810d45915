"""Frames around predicted changes: margin sampling (Settles, 2009, section 3.1) for the borders of a timeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.spacing import Frames, free, indices
from sampling.uncertain import margin, with_none


def boundary(
    probabilities: NDArray[np.floating],
    count: int,
    *,
    exclusive: bool,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames at predicted changes, the least sure changes first, on both sides of each.

    `probabilities` (m, L) in 0..1 of the ascending frame indices `frames` (m,) int64 (default 0..m-1). A change is where
    the answer of one frame (`exclusive`: the most probable label or none; else the labels of .5 and more) is not that of
    the next. Its two sides are the frames next to it, or as much farther out as it takes for them to be `gap` frames
    apart without leaving the stretches that it divides. No pick is nearer than `gap` frames to another, or to the frame
    indices `labelled` (k,). `seed` decides between equals. Returns at most `count` sorted, distinct frame indices; fewer
    when there are fewer changes. Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(probabilities), frames)
    changes = changes_of(probabilities, exclusive)
    doubt = margin(probabilities, exclusive)
    least_sure = np.maximum(doubt[changes], doubt[changes + 1])
    shuffled = np.random.default_rng(seed).permutation(len(changes))
    order = shuffled[np.argsort(-least_sure[shuffled], kind="stable")]
    open_ = free(index, labelled, gap)
    chosen: list[int] = []
    for number in order.tolist():
        start = int(changes[number - 1]) + 1 if number else 0
        end = int(changes[number + 1]) if number + 1 < len(changes) else len(index) - 1
        sides = _sides(index, start, int(changes[number]), end, gap)
        for position in sorted(sides, key=lambda side: -doubt[side]):
            if len(chosen) < count and open_[position]:
                chosen.append(int(index[position]))
                open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def changes_of(probabilities: NDArray[np.floating], exclusive: bool) -> NDArray[np.int64]:
    """(c,) int64 ascending: the positions whose answer is another than that of the next."""
    answers = with_none(probabilities).argmax(axis=1)[:, None] if exclusive else np.asarray(probabilities) >= 0.5
    return np.flatnonzero((answers[1:] != answers[:-1]).any(axis=1))


def _sides(frames: Frames, start: int, last: int, end: int, gap: int) -> tuple[int, int]:
    """Positions in start..last and last + 1..end, as near to each other as `gap` frames allow."""
    middle = (frames[last] + frames[last + 1]) / 2
    before = int(np.searchsorted(frames, middle - gap / 2, side="right")) - 1
    before = min(max(before, start), last)
    after = int(np.searchsorted(frames, frames[before] + gap))
    after = min(max(after, last + 1), end)
    # Where the stretch behind the change is too short, the side before it moves out instead.
    before = min(before, max(start, int(np.searchsorted(frames, frames[after] - gap, side="right")) - 1))
    return before, after

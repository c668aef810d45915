"""Frames spread evenly over a video (Sørensen, *AI Generated Video Annotation*, 2019, Algorithm 1), and frames drawn by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Frames, in_order, indices


def uniform(frame_count: int, count: int) -> NDArray[np.int64]:
    """`count` frame indices of 0..frame_count-1, sorted: the middles of `count` equal stretches.

    The dissertation keeps every frame whose index is divisible by frame_count / count rounded down, which starts at the
    first frame and gives one frame too many when the division leaves a rest; the middles have neither flaw. All frames
    are returned when there are no more than `count`. Raises ValueError when either number is not positive.
    """
    if frame_count < 1 or count < 1:
        raise ValueError(f"cannot pick {count} of {frame_count} frames")
    if count >= frame_count:
        return np.arange(frame_count, dtype=np.int64)
    middles: NDArray[np.int64] = (np.arange(count, dtype=np.int64) * 2 + 1) * frame_count // (2 * count)
    return middles


def thin(frames: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the sorted `frames`, spread evenly over them; the first and the last stay when count is 2 or more."""
    if count < 1:
        raise ValueError(f"cannot keep {count} frames")
    if len(frames) <= count:
        return frames
    if count == 1:
        return frames[len(frames) // 2 : len(frames) // 2 + 1]
    kept: NDArray[np.int64] = frames[np.arange(count) * (len(frames) - 1) // (count - 1)]
    return kept


def at_random(
    frames: ArrayLike, count: int, *, labelled: ArrayLike | None = None, gap: int = 0, seed: int = 0
) -> Frames:
    """Draw `count` of the ascending frame indices `frames` (m,) one after the other, each as probable as the others.

    A draw that is nearer than `gap` frames to one before, or to the frame indices `labelled` (k,), is put back for good:
    random sequential addition (Rényi's parking, 1958), which may end with fewer than would fit if they were placed with
    care. Returns at most `count` sorted, distinct frame indices. Raises ValueError when `frames` do not ascend.
    """
    index = indices(np.size(frames), frames)
    order = np.random.default_rng(seed).permutation(len(index))
    return in_order(order, index, count, gap=gap, labelled=labelled)

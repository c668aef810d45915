"""Shots as strata: where a video cuts, and how many frames each shot is worth.

A cut is a difference between neighbouring frames that stands out from those around it, as for PySceneDetect's adaptive
detector, and from those of the whole video: Tukey's outer fence (*Exploratory Data Analysis*, 1977). Something that moves
through the picture differs for longer; fades, which no single step shows, stay one shot. Sharing out: one frame a shot
first, the rest by highest averages (Webster).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Candidates, Floats, Frames, Strategy, in_order, indices, unit
from sampling.uniform import uniform
from sampling.unique import Hashes, hash_numbers

# Even in a video where nothing moves, a cut changes a quarter of what two unrelated pictures differ by.
_LEAST = 0.25
_HALF_OF_THE_BITS = 32
_FENCE = 3.0
# A cut is one step: so many times the mean of the differences on both sides of it, of which so many are looked at.
_STEP, _AROUND = 3.0, 2


def shots(differences: NDArray[np.floating], count: int, *, frames: ArrayLike | None = None, gap: int = 0) -> Frames:
    """Choose `count` frames: evenly spread in each shot, every shot getting its share.

    `differences` (m - 1,) between neighbours among the ascending frame indices `frames` (m,) int64 (default 0..m-1), see
    `hash_differences`, `embedding_differences` and `grey_differences`. `gap`: least distance in frames between two picks.
    Returns at most `count` sorted, distinct frame indices. Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(differences) + 1, frames)
    return _in_each(
        index, shot_starts(differences), count, gap, lambda start, end, own: start + uniform(end - start, own)
    )


def per_shot(pick: Strategy, *, gap: int = 0) -> Strategy:
    """The strategy that lets `pick` choose within each shot, by the embeddings' differences or else the hashes'.

    It raises ValueError for candidates that have neither.
    """

    def spread(candidates: Candidates, count: int) -> Frames:
        def within(start: int, end: int, own: int) -> NDArray[np.int64]:
            picked = pick(candidates.only(np.arange(start, end)), own)
            return np.searchsorted(candidates.frames, picked)

        if not len(candidates):
            return np.empty(0, np.int64)
        return _in_each(candidates.frames, shot_starts(_differences(candidates)), count, gap, within)

    return spread


def shot_starts(differences: NDArray[np.floating]) -> NDArray[np.int64]:
    """(s,) int64: the positions at which a shot begins, 0 among them, of m frames with `differences` (m - 1,) 0 or more.

    About 1 is what two unrelated pictures differ by.
    """
    steps = np.asarray(differences, np.float64)
    if not len(steps):
        return np.zeros(1, np.int64)
    low, high = np.percentile(steps, [25, 75])
    wide = np.ones(2 * _AROUND + 1)
    beside = np.convolve(np.ones(len(steps)), wide)[_AROUND:-_AROUND] - 1
    around = (np.convolve(steps, wide)[_AROUND:-_AROUND] - steps) / np.maximum(beside, 1)
    cuts = np.flatnonzero((steps > max(high + _FENCE * (high - low), _LEAST)) & (steps > _STEP * around))
    return np.concatenate([[0], cuts + 1]).astype(np.int64)


def share(count: int, lengths: ArrayLike) -> NDArray[np.int64]:
    """(s,) int64: how many of `count` frames each of s shots gets, never more than its length.

    One each, the longest shots first; the rest goes where a shot has most frames for each that it would have.
    """
    left = np.asarray(lengths, np.int64)
    given = np.zeros(len(left), np.int64)
    for _ in range(min(count, int(left.sum()))):
        worth = np.where(given < left, left / (2 * given + 1), 0.0)
        # More than any second frame can be worth.
        worth[(given == 0) & (left > 0)] += left.max() + 1
        given[worth.argmax()] += 1
    return given


def hash_differences(hashes: Hashes) -> Floats:
    """(m - 1,) in 0..2 of m perceptual hashes of 64 bits (of ImageHash, or (m,) uint64), of which unrelated pictures share about half."""
    pictures = hash_numbers(hashes)
    return np.asarray(np.bitwise_count(pictures[1:] ^ pictures[:-1]) / _HALF_OF_THE_BITS, np.float64)


def embedding_differences(embeddings: NDArray[np.floating]) -> Floats:
    """(m - 1,) in 0..2: 1 - cosine of (m, d) embeddings, best without what all frames of the video have in common."""
    rows = unit(embeddings)
    cosine = (rows[1:] * rows[:-1]).sum(axis=1)
    return np.asarray(np.clip(1 - cosine, 0, 2), np.float64)


def grey_differences(grey: NDArray[np.uint8]) -> Floats:
    """(m - 1,) 0 or more: the mean difference of (m, h, w) grey pictures, over that of pixels drawn from each by chance."""
    pictures = np.asarray(grey, np.float32).reshape(len(grey), -1)
    step = np.abs(pictures[1:] - pictures[:-1]).mean(axis=1)
    # Of two values of one distribution, Gini's mean difference from their order statistics.
    ordered = np.sort(pictures, axis=1)
    places = 2 * np.arange(ordered.shape[1], dtype=np.float32) - ordered.shape[1] + 1
    apart = 2 * (ordered @ places) / max(ordered.shape[1] ** 2, 1)
    return np.asarray(step / np.maximum((apart[1:] + apart[:-1]) / 2, 1.0), np.float64)


def _differences(candidates: Candidates) -> Floats:
    if candidates.embeddings is not None:
        return embedding_differences(candidates.embeddings)
    if candidates.hashes is not None:
        return hash_differences(candidates.hashes)
    raise ValueError("shots are told apart by embeddings or hashes, and the candidates have neither")


def _in_each(
    frames: Frames,
    starts: NDArray[np.int64],
    count: int,
    gap: int,
    pick: Callable[[int, int, int], NDArray[np.int64]],
) -> Frames:
    """What `pick` gives for the first position of each shot, the one after its last, and its share of `count`."""
    ends = np.append(starts[1:], len(frames))
    shares = share(count, ends - starts)
    bounds = zip(starts.tolist(), ends.tolist(), shares.tolist(), strict=True)
    positions = [pick(start, end, own) for start, end, own in bounds if own]
    order = np.concatenate([np.empty(0, np.int64), *positions])
    return in_order(order, frames, count, gap=gap)

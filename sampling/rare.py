"""Frames that most probably show what has been labelled least.

Labels weigh by the inverse of how often they were met, as in Aggarwal, Popescu and Hudelot, "Active Learning for
Imbalanced Datasets", 2020; what a pick will probably add counts before the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.spacing import Frames, free, indices


def rare(
    probabilities: NDArray[np.floating],
    count: int,
    *,
    examples: ArrayLike,
    exclusive: bool,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames, one after the other: the one with the greatest probability of a label over its examples.

    `probabilities` (m, L) in 0..1 of the ascending frame indices `frames` (m,) int64 (default 0..m-1); `examples` (L,)
    0 or more: how many labelled frames each label has. A label's probability p counts as p / (1 + examples), and every
    pick adds its probabilities to the examples; when `exclusive`, rows that sum to more than 1 count as if they summed
    to 1. `labelled` (k,) frame indices and picks stay `gap` frames apart. `seed` decides between equals. Returns at most
    `count` sorted, distinct frame indices; none where no label is possible. Raises ValueError for arrays that do not fit
    together.
    """
    rows = np.asarray(probabilities, np.float64)
    index = indices(len(rows), frames)
    met = np.asarray(examples, np.float64).copy()
    if rows.ndim != 2 or met.shape != rows.shape[1:] or (met < 0).any():
        raise ValueError(f"examples {met.tolist()} are not counts of the labels of probabilities {rows.shape}")
    if not rows.size:
        return np.empty(0, np.int64)
    if exclusive:
        rows = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    open_ = free(index, labelled, gap)
    shuffled = np.random.default_rng(seed).permutation(len(index))
    chosen: list[int] = []
    while len(chosen) < count:
        score = np.where(open_, (rows / (1 + met)).max(axis=1), 0.0)
        best = int(shuffled[score[shuffled].argmax()])
        if score[best] <= 0:
            break
        chosen.append(int(index[best]))
        met += rows[best]
        open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)

"""Frames drawn by chance: what any other strategy has to be better than."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sampling.spacing import Frames, in_order, indices


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

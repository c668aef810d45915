"""Frames such that no other looks much different from the nearest of them: k-centre; and other frames in the place of chosen ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Floats, Frames, free, indices, nearest
from sampling.diverse import principal

# Points nearer to each other than this are the same picture.
_SAME = 1e-5


def k_centre(
    embeddings: NDArray[np.floating],
    count: int,
    *,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames, each the farthest from those before in a 32-dimensional PCA; without a gap and labelled
    frames, every frame is at most twice as far from the nearest of them as it must be.

    `embeddings` (m, d) of the ascending frame indices `frames` (m,) int64 (default 0..m-1). The frame indices `labelled`
    (k,) count as chosen before, each as the nearest row; without any, `seed` draws the first. `gap`: least distance in
    frames between two picks, and of a pick to what is labelled. Returns at most `count` sorted, distinct frame indices;
    fewer when there are fewer distinct pictures. Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(embeddings), frames)
    if count < 1 or not len(index):
        return np.empty(0, np.int64)
    points = principal(embeddings)
    open_ = free(index, labelled, gap)
    known = np.unique(np.asarray([] if labelled is None else labelled, np.int64))
    centres = np.unique(nearest(index, known))
    distance = to_nearest(points, centres)
    drawn = int(np.random.default_rng(seed).integers(len(points)))
    chosen: list[int] = []
    while len(chosen) < count:
        far = np.where(open_, distance, 0.0)
        best = int(far.argmax()) if chosen or len(centres) else drawn
        if far[best] <= _SAME:
            break
        chosen.append(int(index[best]))
        distance = np.minimum(distance, np.linalg.norm(points - points[best], axis=1))
        open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def radius(points: Floats, centres: NDArray[np.int64]) -> float:
    """How far the point farthest from all of `centres` (k,), positions in `points` (m, d), is from the nearest of them."""
    return float(to_nearest(points, centres).max(initial=0.0))


def to_nearest(points: Floats, centres: NDArray[np.int64]) -> Floats:
    """(m,) distance of each point to the nearest of those at the positions `centres`; infinite without any."""
    nearest = np.full(len(points), np.inf)
    for centre in centres.tolist():
        nearest = np.minimum(nearest, np.linalg.norm(points - points[centre], axis=1))
    return nearest


def instead(
    embeddings: NDArray[np.floating],
    appearance: NDArray[np.floating],
    kept: NDArray[np.intp],
    count: int,
    least: float,
    free: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """At most `count` positions, in the order of choice: each the farthest, among the `embeddings` (m, d) in 32 dimensions,
    from the nearest of the positions `kept` (k,), one or more, and of those before it.

    None is chosen whose row in `appearance` (m, e), of unit length, has a cosine of `least` or more with one of these, nor one
    that is not `free` (m,). Fewer when nothing unlike is left.
    """
    points = principal(embeddings, standardised=False)
    open_ = np.ones(len(points), bool) if free is None else free.copy()
    for position in kept.tolist():
        open_ &= appearance @ appearance[position] < least
    distance = to_nearest(points, kept)
    chosen: list[int] = []
    while len(chosen) < count and open_.any():
        farthest = int(np.where(open_, distance, -1.0).argmax())
        chosen.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
        open_ &= appearance @ appearance[farthest] < least
        open_[farthest] = False
    return np.array(chosen, np.intp)

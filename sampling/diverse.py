"""The frames that stand best for everything a video shows: medoids of k-means clusters of its embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Floats, Frames, free, indices

# Clusters are found among at most this many frames; any frame can be the medoid.
MAX_POINTS = 4000


def diverse(
    embeddings: NDArray[np.floating],
    count: int,
    *,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
    seed: int = 0,
) -> Frames:
    """Choose `count` frames by k-means in a 32-dimensional PCA, one per cluster: the frame nearest its centre.

    `embeddings` (m, d) of the ascending frame indices `frames` (m,) int64 (default 0..m-1); where they are sparse, each
    stands for the frames around it. `gap`: least distance in frames between two picks, and of a pick to the frame indices
    `labelled` (k,); the largest clusters choose first, and one without a frame far enough gets none. Returns at most
    `count` sorted, distinct frame indices; fewer when there are fewer distinct embeddings, since the same picture is
    never asked about twice. Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(embeddings), frames)
    if count <= 0 or not len(index):
        return np.empty(0, np.int64)
    # Frames are embedded more densely where the picture moves. Counting each for the frames around it would forget
    # short scenes, counting all the same the still ones: the root is between the two.
    shown = np.sqrt(np.gradient(index.astype(np.float64))) if len(index) > 1 else np.ones(1)
    points: Floats
    points, first, same = np.unique(
        principal(embeddings, weight=shown).round(6), axis=0, return_index=True, return_inverse=True
    )
    shown = np.bincount(same.ravel(), weights=shown).astype(np.float64)
    index = index[first]
    centres = points
    if len(points) > count:
        # Evenly thinned, a long video still shows all of its scenes.
        thinned = np.argsort(index)[:: -(-len(points) // MAX_POINTS)]
        centres = k_means(points[thinned], shown[thinned], count, np.random.default_rng(seed))
    distance = squared_distances(points, centres)
    own = distance.argmin(axis=1) if len(points) > count else np.arange(len(points))
    open_ = free(index, labelled, gap)
    chosen: list[int] = []
    for cluster in np.argsort(-np.bincount(own, minlength=len(centres)), kind="stable").tolist():
        members = np.flatnonzero((own == cluster) & open_)
        if len(members):
            chosen.append(int(index[members[distance[members, cluster].argmin()]]))
            open_ &= free(index, chosen[-1:], gap)
    return np.array(sorted(chosen), np.int64)


def principal(
    embeddings: NDArray[np.floating],
    dimensions: int = 32,
    weight: Floats | None = None,
    *,
    standardised: bool = True,
) -> Floats:
    """(m, d) rows projected on their first principal components: (m, <= dimensions).

    `standardised`: every feature is given the same spread first. `weight` (m,): how much each row counts.
    """
    rows = np.asarray(embeddings, np.float32)
    share = (
        np.full(len(rows), 1 / len(rows), np.float32) if weight is None else (weight / weight.sum()).astype(np.float32)
    )
    rows = rows - share @ rows
    spread = np.sqrt(share @ rows**2)
    rows = rows[:, spread > 1e-6]
    if standardised:
        rows /= spread[spread > 1e-6]
    if not rows.size:
        return np.zeros((len(embeddings), 1))
    weighted = rows * np.sqrt(share)[:, None]
    if len(rows) < rows.shape[1]:
        values, vectors = np.linalg.eigh((weighted @ weighted.T).astype(np.float64))
        kept = values[::-1][:dimensions] > 1e-9 * values[-1]
        directions = weighted.T @ (vectors[:, ::-1][:, :dimensions][:, kept] / np.sqrt(values[::-1][:dimensions][kept]))
    else:
        directions = np.linalg.eigh((weighted.T @ weighted).astype(np.float64))[1][:, ::-1][:, :dimensions]
    return np.asarray(rows @ directions, np.float64)


def k_means(
    points: Floats, weight: Floats, count: int, rng: np.random.Generator, restarts: int = 8, rounds: int = 100
) -> Floats:
    """Centres (<= count, d) of the best of `restarts` runs of Lloyd's algorithm from k-means++ seeds.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007.
    """
    best, least = points[:1], np.inf
    for _ in range(restarts):
        centres = _seeds(points, weight, count, rng)
        own = np.full(len(points), -1)
        for _ in range(rounds):
            distance = squared_distances(points, centres)
            nearest = distance.argmin(axis=1)
            if np.array_equal(nearest, own):
                break
            own = nearest
            held = np.eye(len(centres))[own] * weight[:, None]
            size = held.sum(axis=0)
            centres = np.where(size[:, None] > 0, (held.T @ points) / np.maximum(size, 1e-9)[:, None], centres)
        cost = float(weight @ squared_distances(points, centres).min(axis=1))
        if cost < least:
            best, least = centres, cost
    return best


def _seeds(points: Floats, weight: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Far apart points: each the best of a few drawn in proportion to their squared distance from those chosen."""
    chosen = [int(rng.choice(len(points), p=weight / weight.sum()))]
    distance = squared_distances(points, points[chosen])[:, 0]
    tries = 2 + int(np.log(count))
    while len(chosen) < count and (pull := weight * distance).sum() > 0:
        drawn = rng.choice(len(points), size=tries, p=pull / pull.sum())
        nearer = np.minimum(distance[:, None], squared_distances(points, points[drawn]))
        best = int((weight @ nearer).argmin())
        chosen.append(int(drawn[best]))
        distance = nearer[:, best]
    return points[chosen]


def squared_distances(points: Floats, centres: Floats) -> Floats:
    """(m, k) of (m, d) to (k, d)."""
    cross = points @ centres.T
    return np.asarray(np.maximum((points**2).sum(axis=1)[:, None] - 2 * cross + (centres**2).sum(axis=1), 0.0))

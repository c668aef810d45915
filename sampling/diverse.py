"""The frames that stand best for everything a video shows: medoids of k-means clusters of its embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Clusters are found among at most this many frames; any frame can be the medoid.
MAX_POINTS = 4000


def diverse(
    embeddings: NDArray[np.floating], count: int, *, frames: NDArray[np.int64] | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Choose `count` frames by k-means in a 32-dimensional PCA, one per cluster: the frame nearest its centre.

    `embeddings` (m, d) of the frames `frames` (m,) int64 (default 0..m-1). Returns at most `count` sorted, distinct
    frame indices; fewer when there are fewer distinct embeddings, since the same picture is never asked about twice.
    """
    index = np.arange(len(embeddings), dtype=np.int64) if frames is None else np.asarray(frames, np.int64)
    if count <= 0 or not len(index):
        return np.empty(0, np.int64)
    points = principal(embeddings)
    points, first = np.unique(points.round(6), axis=0, return_index=True)
    index = index[first]
    if len(points) <= count:
        return np.sort(index)
    # Evenly thinned, a long video still shows all of its scenes.
    thinned = points[np.argsort(index)][:: -(-len(points) // MAX_POINTS)]
    centres = k_means(thinned, count, np.random.default_rng(seed))
    distance = _squared_distances(points, centres)
    own = distance.argmin(axis=1)
    medoids = [
        int(members[distance[members, cluster].argmin()])
        for cluster in range(len(centres))
        if len(members := np.flatnonzero(own == cluster))
    ]
    return np.sort(index[medoids])


def principal(embeddings: NDArray[np.floating], dimensions: int = 32) -> Floats:
    """(m, d) rows standardised per feature, then projected on their first principal components: (m, <= dimensions)."""
    rows = np.asarray(embeddings, np.float32)
    rows = rows - rows.mean(axis=0)
    spread = rows.std(axis=0)
    rows = rows[:, spread > 1e-6] / spread[spread > 1e-6]
    if not rows.size:
        return np.zeros((len(embeddings), 1))
    if len(rows) < rows.shape[1]:
        values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
        kept = values[::-1][:dimensions].clip(0)
        return np.asarray(vectors[:, ::-1][:, :dimensions] * np.sqrt(kept))
    _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    return np.asarray(rows @ vectors[:, ::-1][:, :dimensions], np.float64)


def k_means(points: Floats, count: int, rng: np.random.Generator, restarts: int = 8, rounds: int = 100) -> Floats:
    """Centres (<= count, d) of the best of `restarts` runs of Lloyd's algorithm from k-means++ seeds.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007.
    """
    best, least = points[:1], np.inf
    for _ in range(restarts):
        centres = _seeds(points, count, rng)
        own = np.full(len(points), -1)
        for _ in range(rounds):
            distance = _squared_distances(points, centres)
            nearest = distance.argmin(axis=1)
            if np.array_equal(nearest, own):
                break
            own = nearest
            held = np.eye(len(centres))[own]
            size = held.sum(axis=0)
            centres = np.where(size[:, None] > 0, (held.T @ points) / np.maximum(size, 1)[:, None], centres)
        cost = float(_squared_distances(points, centres).min(axis=1).sum())
        if cost < least:
            best, least = centres, cost
    return best


def _seeds(points: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Far apart points: each the best of a few drawn in proportion to their squared distance from those chosen."""
    chosen = [int(rng.integers(len(points)))]
    distance = _squared_distances(points, points[chosen])[:, 0]
    tries = 2 + int(np.log(count))
    while len(chosen) < count and distance.sum() > 0:
        drawn = rng.choice(len(points), size=tries, p=distance / distance.sum())
        nearer = np.minimum(distance[:, None], _squared_distances(points, points[drawn]))
        best = int(nearer.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        distance = nearer[:, best]
    return points[chosen]


def _squared_distances(points: Floats, centres: Floats) -> Floats:
    cross = points @ centres.T
    return np.asarray(np.maximum((points**2).sum(axis=1)[:, None] - 2 * cross + (centres**2).sum(axis=1), 0.0))

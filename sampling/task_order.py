"""In which order videos should be looked at: the least certain first, but not ten that pose the same problem.

Greedy, as farthest-first traversal is (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985), with
each distance weighted by how much there is to gain.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Floats, unit

# Two videos whose embeddings have this cosine or less are different problems; at 1 they are one. Mean embeddings of the halves
# of one video have .93 and more, of different videos .80 on average.
DIFFERENT = 0.9
# Nobody looks at more videos than this between two models.
MOST_PLACED = 1000
_SKETCH = 128


def least_certain_first(certainty: ArrayLike, embeddings: NDArray[np.floating], *, most: int = MOST_PLACED) -> Floats:
    """(n,) scores in 0..1, ascending in the order in which videos are most useful to look at.

    `certainty` (n,) in 0..1: how sure a model is of each video. `embeddings` (n, d): the mean of the frames of which it
    is least sure; a row of zeros is like no other. Again and again the video with the most to gain is placed: 1 - certainty,
    times how far it is from all those placed before it. Its score is 1 minus that: its certainty while nothing like it is
    ahead of it, nearly 1 for a copy. After `most` videos the rest is scored as if each were next. Raises ValueError for
    arrays that do not fit together.
    """
    sure = np.asarray(certainty, np.float64)
    if sure.ndim != 1 or embeddings.ndim != 2 or len(embeddings) != len(sure):
        raise ValueError(f"{embeddings.shape} embeddings do not belong to {sure.shape} certainties")
    rows = unit(embeddings)
    scores, waiting = np.ones(len(sure)), np.ones(len(sure), bool)
    gain = 1 - sure.clip(0, 1)
    for _ in range(min(most, len(sure))):
        best = int(np.where(waiting, gain, -1.0).argmax())
        scores[best], waiting[best] = 1 - gain[best], False
        alike = ((rows @ rows[best]).astype(np.float64) - DIFFERENT) / (1 - DIFFERENT)
        # Against the nearest of those placed, so that many that are a little alike do not add up.
        gain = np.minimum(gain, (1 - sure.clip(0, 1)) * (1 - alike.clip(0, 1)))
    scores[waiting] = 1 - gain[waiting]
    return scores


def score_among(
    certainty: float, embedding: NDArray[np.floating], scores: ArrayLike, embeddings: NDArray[np.floating]
) -> float:
    """The score in 0..1 of one more video beside those in order, which keep theirs.

    `certainty` in 0..1 and `embedding` (d,) as in `least_certain_first`, of which `scores` (n,) are, and `embeddings` (n, d)
    what they were made of. Since the others stay where they are, what one of them will teach is not to be gained by this one: of a
    video that comes before it, all that is alike; of one that comes after it, as much as there is to gain by that. Raises
    ValueError for arrays that do not fit together.
    """
    placed = np.asarray(scores, np.float64)
    if embeddings.shape != (*placed.shape, len(embedding)):
        raise ValueError(
            f"{embeddings.shape} embeddings do not belong to {placed.shape} scores, or not to one of {embedding.shape}"
        )
    cosine = unit(embeddings) @ unit(np.asarray(embedding)[None])[0]
    alike = ((cosine - DIFFERENT) / (1 - DIFFERENT)).clip(0, 1)
    gain = 1 - float(np.clip(certainty, 0, 1))
    return 1 - gain + float((alike * np.minimum(1 - placed, gain)).max(initial=0))


def sketch(embedding: NDArray[np.floating]) -> NDArray[np.float32]:
    """(d,) as (128,) with about the same cosines, so that a hundred thousand fit into memory.

    A Gaussian random projection, the same every time (Johnson and Lindenstrauss, 1984): a cosine of .9 is off by .02, one of
    1 by nothing.
    """
    return np.asarray(_projection(len(embedding)) @ np.asarray(embedding, np.float32), np.float32)


@lru_cache(maxsize=2)
def _projection(width: int) -> NDArray[np.float32]:
    made = np.random.default_rng(0).standard_normal((_SKETCH, width)) / np.sqrt(_SKETCH)
    return np.asarray(made, np.float32)

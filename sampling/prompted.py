"""Frames that show every label early, by how well each frame fits the label's name, before anybody has labelled one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sampling.candidates import indices, unit
from sampling.diverse import diverse
from sampling.uniform import thin

# Of the frames that are asked for, at most this share is chosen by words: they may be wrong.
SHARE = 0.5
# Pictures whose embeddings' cosine is at least this are the same picture.
_SAME = 0.9999


def prompted(
    scores: NDArray[np.floating],
    count: int,
    *,
    frames: NDArray[np.int64] | None = None,
    embeddings: NDArray[np.floating] | None = None,
    gap: int = 0,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Choose `count` frames: the labels take turns with their best frame, for half of them; the others stand for the rest.

    `scores` (m, L): how well each of the ascending frame indices `frames` (m,) int64 (default 0..m-1) fits each label,
    nan where that is not known. Every label has a turn while `count` lasts, the one with the best score first.
    `embeddings` (m, d): the same picture is then not chosen twice, and the rest are their medoids (`diverse`) that are
    least like what has been chosen; without them, frames far from it in time. `gap`: frames between two that labels
    choose, at least. Returns at most `count` sorted, distinct frame indices; fewer when there are fewer distinct pictures.
    Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(scores), frames)
    if count <= 0 or not len(index):
        return np.empty(0, np.int64)
    rows = None if embeddings is None else unit(embeddings)
    chosen: list[int] = []

    def is_new(position: int, apart: int) -> bool:
        far = all(abs(int(index[position]) - int(index[other])) >= max(apart, 1) for other in chosen)
        return far and (rows is None or not chosen or float((rows[chosen] @ rows[position]).max()) < _SAME)

    by_words = min(count, max(scores.shape[1], int(count * SHARE)))
    turns = [_best_first(scores[:, label]) for label in _by_best_score(scores)]
    while turns and len(chosen) < by_words:
        for turn in list(turns):
            if len(chosen) == by_words:
                break
            if (position := next((p for p in turn if is_new(p, gap)), None)) is None:
                turns.remove(turn)
            else:
                chosen.append(position)
    if embeddings is None:
        others = thin(np.arange(len(index)), max(2 * count, 2))
    else:
        others = np.searchsorted(index, diverse(embeddings, count, frames=index, seed=seed))
    rest = [int(position) for position in others if int(position) not in chosen]
    while rest and len(chosen) < count:
        if not chosen:
            position = rest[0]
        elif rows is None:
            position = max(rest, key=lambda p: int(np.abs(index[chosen] - index[p]).min()))
        else:
            position = min(rest, key=lambda p: float((rows[chosen] @ rows[p]).max()))
        rest.remove(position)
        if is_new(position, 0):
            chosen.append(position)
    return np.sort(index[chosen])


def _by_best_score(scores: NDArray[np.floating]) -> list[int]:
    best = np.where(np.isnan(scores), -np.inf, scores).max(axis=0)
    return [int(label) for label in np.argsort(-best, kind="stable")]


def _best_first(scores: NDArray[np.floating]) -> Iterator[int]:
    """Positions by falling score, without those that have none."""
    order = np.argsort(-scores, kind="stable")
    return iter([int(position) for position in order if not np.isnan(scores[position])])

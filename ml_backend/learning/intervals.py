"""How far held-out scores might be off, had other videos been recorded.

Videos are drawn again, not frames: neighbouring frames look alike, and thousands of them from three videos know no more of
a fourth than the three do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.framelabels import UNKNOWN, YES

Values = NDArray[np.int8]

# Below this many recordings drawing them again says nothing.
ENOUGH_RECORDINGS = 3
_ROUNDS = 1000
_PERCENTILES = (2.5, 97.5)


def f1_intervals(recordings: Sequence[tuple[Values, Values]], seed: int = 0) -> dict[str, Any] | None:
    """95 % intervals of F1 from (k, L) int8 answers and truth of each recording; None for fewer than three.

    `labels` holds low and high for each label, None for one that never occurs; `macro_f1` those of their mean.
    The percentile bootstrap of Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    if len(recordings) < ENOUGH_RECORDINGS:
        return None
    counts = np.stack([_counts(answer, values) for answer, values in recordings])
    drawn = np.random.default_rng(seed).integers(len(counts), size=(_ROUNDS, len(counts)))
    both, said, support = np.moveaxis(counts[drawn].sum(axis=1), 1, 0)
    occurs = support > 0
    scores = np.where(occurs, 2 * both / np.maximum(said + support, 1), np.nan)
    return {
        "macro_f1": _middle(scores[occurs.any(axis=1)]),
        "labels": [_middle(column[known][:, None]) for column, known in zip(scores.T, occurs.T, strict=True)],
    }


def _counts(answer: Values, values: Values) -> NDArray[np.int64]:
    """(3, L): frames said and so, said, and so."""
    known = values != UNKNOWN
    said, is_so = (answer == YES) & known, values == YES
    return np.stack([(said & is_so).sum(axis=0), said.sum(axis=0), is_so.sum(axis=0)])


def _middle(scores: NDArray[np.float64]) -> list[float] | None:
    """Of (rounds, labels) scores, nan where a label does not occur: the range in which 95 % of their means lie."""
    if not len(scores):
        return None
    low, high = np.percentile(np.nanmean(scores, axis=1), _PERCENTILES)
    return [float(low), float(high)]

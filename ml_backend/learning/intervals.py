"""How far held-out scores might be off, had other videos been recorded.

Videos are drawn again, not frames: neighbouring frames look alike, and thousands of them from three videos know no more of
a fourth than the three do. What is drawn again from few videos varies too little, and another recording of as many videos
is off by as much once more: both are made up for, so that 95 of 100 repetitions do lie within.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from ml_backend.learning.frame_labels import UNKNOWN, YES

Values = NDArray[np.int8]

# Below this many recordings drawing them again says nothing.
ENOUGH_RECORDINGS = 3
_ROUNDS = 1000
_PERCENTILES = (2.5, 97.5)


def f1_intervals(recordings: Sequence[tuple[Values, Values]], seed: int = 0) -> dict[str, Any] | None:
    """95 % intervals of F1 from (k, L) int8 answers and truth of each recording; None for fewer than three.

    `labels` holds low and high for each label, None for one that never occurs; `macro_f1` those of their mean.
    The percentile bootstrap of Efron, "Bootstrap methods: another look at the jackknife", 1979, widened for few recordings
    (Hesterberg, "What teachers should know about the bootstrap", 2015) and for a repetition instead of the true score.
    """
    if len(recordings) < ENOUGH_RECORDINGS:
        return None
    counts = np.stack([_counts(answer, values) for answer, values in recordings])
    drawn = np.random.default_rng(seed).integers(len(counts), size=(_ROUNDS, len(counts)))
    scores = _f1(counts[drawn].sum(axis=1))
    measured = _f1(counts.sum(axis=0)[None])[0]
    widened = _widened(len(counts))
    occurs = ~np.isnan(scores)
    return {
        "macro_f1": _middle(scores[occurs.any(axis=1)], measured, widened),
        "labels": [
            _middle(column[known][:, None], measured[at : at + 1], widened)
            for at, (column, known) in enumerate(zip(scores.T, occurs.T, strict=True))
        ],
    }


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(rounds, labels), nan where a label does not occur, of (rounds, 3, labels) counts."""
    both, said, support = np.moveaxis(counts, 1, 0)
    return np.where(support > 0, 2 * both / np.maximum(said + support, 1), np.nan)


def _widened(recordings: int) -> float:
    """How much further a repetition may be off than what is drawn again from so many recordings."""
    degrees = recordings - 1
    student = float(t.ppf(0.975, degrees) / norm.ppf(0.975))
    return float(np.sqrt(recordings / degrees) * student * np.sqrt(2))


def _counts(answer: Values, values: Values) -> NDArray[np.int64]:
    """(3, L): frames said and so, said, and so."""
    known = values != UNKNOWN
    said, is_so = (answer == YES) & known, values == YES
    return np.stack([(said & is_so).sum(axis=0), said.sum(axis=0), is_so.sum(axis=0)])


def _middle(scores: NDArray[np.float64], measured: NDArray[np.float64], widened: float) -> list[float] | None:
    """Of (rounds, labels) scores, nan where a label does not occur, around those `measured` (labels,)."""
    if not len(scores):
        return None
    middle = float(np.nanmean(measured))
    low, high = np.percentile(np.nanmean(scores, axis=1), _PERCENTILES)
    return [
        float(np.clip(middle - widened * (middle - low), 0, 1)),
        float(np.clip(middle + widened * (high - middle), 0, 1)),
    ]

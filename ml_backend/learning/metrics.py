"""How right a prediction is, how honest about being unsure, and how far off that may be, had other videos been recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from ml_backend.cards.measurements import Interval, LabelScore, ReliabilityBin
from ml_backend.learning.examples import classes_of
from ml_backend.learning.frame_labels import UNKNOWN, YES
from ml_backend.learning.probabilities import HOLDS, Floats, Values, with_none

# Confidence is compared with accuracy in this many equally wide bins.
_BINS = 15


def per_label(answer: Values, values: Values, labels: Sequence[str]) -> dict[str, LabelScore]:
    """Precision, recall, F1 and support (known yes frames) of each label; None where there is nothing to divide by."""
    table: dict[str, LabelScore] = {}
    for column, label in enumerate(labels):
        known = values[:, column] != UNKNOWN
        said, is_so = answer[known, column] == YES, values[known, column] == YES
        both, support = int((said & is_so).sum()), int(is_so.sum())
        table[label] = LabelScore(
            precision=_share(both, int(said.sum())),
            recall=_share(both, support),
            f1=_share(2 * both, int(said.sum()) + support),
            support=support,
        )
    return table


def macro_f1(table: Mapping[str, LabelScore]) -> float | None:
    """Mean F1 of the labels that occur."""
    scores = [float(row.f1 or 0.0) for row in table.values() if row.support]
    return float(np.mean(scores)) if scores else None


def confusion(answer: Values, values: Values) -> tuple[tuple[int, ...], ...]:
    """Exclusive labels: [true][predicted] counts, the last row and column being none of the labels."""
    truth, said = classes_of(values, True), classes_of(answer, True)
    size = values.shape[1] + 1
    known = truth >= 0
    counts = np.bincount(truth[known] * size + said[known], minlength=size * size)
    return tuple(tuple(int(cell) for cell in row) for row in counts.reshape(size, size))


def calibration_error(probabilities: Floats, values: Values, exclusive: bool) -> float | None:
    """Expected calibration error: |confidence - accuracy| over bins of confidence, weighted by their size.

    Guo et al., "On calibration of modern neural networks", 2017. Confidence is that of the decided label (or none), in
    multi-label projects that of each yes or no.
    """
    table = reliability(probabilities, values, exclusive)
    total = sum(row.decisions for row in table)
    if not total:
        return None
    return float(sum(abs(row.confidence - row.right) * row.decisions for row in table) / total)


def reliability(probabilities: Floats, values: Values, exclusive: bool) -> tuple[ReliabilityBin, ...]:
    """What `calibration_error` adds up, for each bin that is not empty: its range, decisions, mean confidence, share right."""
    sure, right = confidence(probabilities, values, exclusive)
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    return tuple(
        ReliabilityBin(
            low=round(int(b) / _BINS, 3),
            high=round((int(b) + 1) / _BINS, 3),
            decisions=int((bins == b).sum()),
            confidence=float(sure[bins == b].mean()),
            right=float(right[bins == b].mean()),
        )
        for b in np.unique(bins)
    )


def confidence(probabilities: Floats, values: Values, exclusive: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """(k,) confidence in 0..1 of every known decision and (k,) whether it is right."""
    if exclusive:
        answers = with_none(probabilities).clip(0, 1)
        truth = classes_of(values, True)
        known = truth >= 0
        return np.asarray(answers.max(axis=1)[known], np.float32), (answers.argmax(axis=1) == truth)[known]
    known = values != UNKNOWN
    sure = np.maximum(probabilities, 1 - probabilities)[known]
    return np.asarray(sure, np.float32), ((probabilities >= HOLDS) == (values == YES))[known]


def segments(column: Values) -> list[tuple[int, int]]:
    """First and last index of every run of yes in (n,) int8."""
    edge = np.flatnonzero(np.diff(np.concatenate([[0], column == YES, [0]]).astype(np.int8)))
    return [(int(first), int(stop) - 1) for first, stop in zip(edge[::2], edge[1::2], strict=True)]


@dataclass(frozen=True)
class SegmentScores:
    """Of one video. `boundary_frames`: the distance of each boundary of a found segment, in frames."""

    found: int
    predicted: int
    true: int
    boundary_frames: tuple[int, ...]


def segment_scores(answer: Values, values: Values, overlap: float = 0.5) -> SegmentScores:
    """Of fully known videos: segment F1 at an intersection over union of `overlap`, and the boundary error in frames.

    A true segment is found when a predicted one of the same label overlaps it that much, each counting once; the error
    is the mean distance of the boundaries of found segments. Returns counts, so that videos can be added up.
    """
    found = predicted = true = 0
    distance: list[int] = []
    for column in range(values.shape[1]):
        wanted, given = segments(values[:, column]), segments(answer[:, column])
        predicted, true = predicted + len(given), true + len(wanted)
        free = set(range(len(given)))
        for first, last in wanted:
            best, best_overlap = None, overlap
            for position in free:
                a, b = given[position]
                union = max(last, b) - min(first, a) + 1
                shared = (min(last, b) - max(first, a) + 1) / union
                if shared >= best_overlap:
                    best, best_overlap = position, shared
            if best is not None:
                free.discard(best)
                found += 1
                distance += [abs(given[best][0] - first), abs(given[best][1] - last)]
    return SegmentScores(found, predicted, true, tuple(distance))


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


# Below this many recordings drawing them again says nothing.
ENOUGH_RECORDINGS = 3
_ROUNDS = 1000
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class F1Intervals:
    """Low and high end; `labels`: of each label, None for one that never occurs. `macro_f1`: of their mean."""

    macro_f1: Interval | None
    labels: tuple[Interval | None, ...]


def f1_intervals(recordings: Sequence[tuple[Values, Values]], seed: int = 0) -> F1Intervals | None:
    """95 % intervals of F1 from (k, L) int8 answers and truth of each recording; None for fewer than three.

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
    return F1Intervals(
        _middle(scores[occurs.any(axis=1)], measured, widened),
        tuple(
            _middle(column[known][:, None], measured[at : at + 1], widened)
            for at, (column, known) in enumerate(zip(scores.T, occurs.T, strict=True))
        ),
    )


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


def _middle(scores: NDArray[np.float64], measured: NDArray[np.float64], widened: float) -> Interval | None:
    """Of (rounds, labels) scores, nan where a label does not occur, around those `measured` (labels,)."""
    if not len(scores):
        return None
    middle = float(np.nanmean(measured))
    low, high = np.percentile(np.nanmean(scores, axis=1), _PERCENTILES)
    return (
        float(np.clip(middle - widened * (middle - low), 0, 1)),
        float(np.clip(middle + widened * (high - middle), 0, 1)),
    )

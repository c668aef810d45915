"""What became of each region that people left in Label Studio: how many frames it taught, or why it taught none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region
from ml_backend.learning.annotation_reading import (
    DENSE,
    GROUND_TRUTH,
    NO,
    UNKNOWN,
    UNTOUCHED,
    YES,
    Reading,
    is_asked,
    is_untouched,
    read_annotation,
    span_of,
)
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.video.timeline import StudioGrid

Reason = Literal[
    "taught",
    "taken over",
    "unanswered",
    "no label",
    "unknown label",
    "untouched",
    "outside",
    "ground truth",
    "timeline",
    "contradicted",
    "contradicts itself",
    "unusable",
    "nobody",
]


@dataclass(frozen=True)
class Outcome:
    """`frames`: how many frame indices are known to have the region's label, which it says; 0 unless it taught.

    `labels`: those that the project does not have. `by`: Label Studio's ids of the annotators who say otherwise, None for
    one who is not known.
    """

    reason: Reason
    frames: int = 0
    labels: tuple[str, ...] = ()
    by: tuple[int | None, ...] = ()


@dataclass(frozen=True, eq=False)
class _Said:
    """An annotation and its reading."""

    annotation: Annotation
    reading: Reading


def outcomes(
    annotations: Sequence[Annotation],
    grid: StudioGrid,
    known: FrameLabels,
    default_label: str | None = None,
    *,
    exclusive: bool,
    pushed: Mapping[str, Region],
    dense: bool | None = None,
) -> Iterator[Outcome]:
    """One for each region of the annotations, in their order. `known` is what `frame_labels` made of them and of the same
    parameters."""
    said = [
        _Said(one, read_annotation(one, grid, known.labels, default_label, exclusive, pushed, dense))
        for one in annotations
    ]
    shown = np.unique(grid.shown)
    for mine in said:
        others = [other for other in said if other is not mine]
        for region in mine.annotation.regions:
            yield _outcome(region, mine, others, grid, shown, known, pushed)


def _outcome(
    region: Region,
    mine: _Said,
    others: Sequence[_Said],
    grid: StudioGrid,
    shown: NDArray[np.int64],
    known: FrameLabels,
    pushed: Mapping[str, Region],
) -> Outcome:
    columns = [known.labels.index(label) for label in region.labels if label in known.labels]
    if not region.labels and not region.nothing:
        return Outcome("unanswered" if is_asked(region) else "no label")
    if region.labels and not columns:
        return Outcome("unknown label", labels=tuple(sorted(set(region.labels))))
    if is_untouched(region, pushed) and not mine.reading.dense:
        return Outcome("untouched")
    span = span_of(region, len(grid))
    if span.start >= span.stop:
        return Outcome("outside")
    pictures = grid.shown[span]
    values = known.values[int(pictures[0]) : int(pictures[-1]) + 1]
    first, stop = np.searchsorted(shown, [pictures[0], pictures[-1] + 1])
    here = slice(int(first), int(stop))
    if taught := int(_says(values, columns).sum()):
        # Somebody who submitted a timeline as it was predicted has not looked at all of it.
        unlooked = is_untouched(region, pushed) and bool((mine.reading.rank[here] == UNTOUCHED).all())
        return Outcome("taken over" if unlooked else "taught", taught)
    against = [(other, rank) for other in others if (rank := _rank_against(other.reading, columns, here)) is not None]
    if not against:
        return Outcome("contradicts itself")
    highest = max(rank for _, rank in against)
    by = tuple(dict.fromkeys(other.annotation.author for other, rank in against if rank == highest))
    own = int(mine.reading.rank[here].max(initial=-1))
    if highest > own and highest in (GROUND_TRUTH, DENSE):
        return Outcome("ground truth" if highest == GROUND_TRUTH else "timeline", by=by)
    return Outcome("contradicted", by=by)


def _says(values: NDArray[np.int8], columns: Sequence[int]) -> NDArray[np.bool_]:
    """(n,) whether (n, L) values say what a region of these labels says; without any, that none of them holds."""
    if not columns:
        return np.asarray((values == NO).all(axis=1))
    return np.asarray((values[:, list(columns)] == YES).any(axis=1))


def _rank_against(reading: Reading, columns: Sequence[int], here: slice) -> int | None:
    """The highest standing with which an annotation says otherwise on some of these pictures; None where it does not."""
    values = reading.values[here]
    spoken = (values != UNKNOWN).any(axis=1)
    differs = spoken & ~_says(values, columns)
    return int(reading.rank[here][differs].max()) if differs.any() else None

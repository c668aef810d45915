"""How right the answers are: of frames, of segments, and of how sure they claim to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.data import balanced, f1
from ml_backend.learning.metrics import calibration_error

Classes = NDArray[np.intp]
_OVERLAPS = (0.1, 0.25, 0.5)


def frames(truth: Classes, answer: Classes, scored: NDArray[np.bool_]) -> dict[str, float]:
    return {"macro_f1": f1(truth, answer, scored), "balanced": balanced(truth[scored], answer[scored])}


def segments(truth: Classes, answer: Classes) -> dict[str, float]:
    """Segment F1 at three overlaps and the edit score, as in the field's papers on temporal segmentation, in 0..1.

    Lea et al., "Temporal convolutional networks for action segmentation and detection", 2017.
    """
    wanted, given = runs(truth), runs(answer)
    found: dict[str, float] = {}
    for overlap in _OVERLAPS:
        used: set[int] = set()
        hits = 0
        for first, stop, label in given:
            shares = [
                (max(min(stop, b) - max(first, a), 0) / (max(stop, b) - min(first, a)), at)
                for at, (a, b, own) in enumerate(wanted)
                if own == label and at not in used
            ]
            share, at = max(shares, default=(0.0, -1))
            if share >= overlap:
                used.add(at)
                hits += 1
        found[f"f1@{round(100 * overlap)}"] = 2 * hits / max(len(wanted) + len(given), 1)
    one, other = [label for *_, label in wanted], [label for *_, label in given]
    found["edit"] = 1 - _distance(one, other) / max(len(one), len(other), 1)
    return found


def runs(classes: Classes) -> list[tuple[int, int, int]]:
    """First index, the index after the last, and class of every run."""
    edge = np.flatnonzero(np.diff(classes)) + 1
    starts, stops = [0, *edge.tolist()], [*edge.tolist(), len(classes)]
    return [(first, stop, int(classes[first])) for first, stop in zip(starts, stops, strict=True)]


def _distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def calibration(parts: Sequence[tuple[NDArray[np.float32], NDArray[np.int8]]], exclusive: bool) -> float | None:
    """Expected calibration error of all these predictions together."""
    if not parts:
        return None
    p, values = (np.concatenate(side) for side in zip(*parts, strict=True))
    return calibration_error(p, values, exclusive)

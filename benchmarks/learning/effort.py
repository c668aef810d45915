"""What it takes to get timelines right: labelled frames plus edits, against drawing and labelling every segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.cold import ours, suggested
from benchmarks.learning.data import Track, answers

_COUNTS = (3, 4, 5, 6, 8, 10)
# In a clip of fewer segments there is nothing to save.
_SEGMENTS = 6


def effort(tracks: dict[str, list[Track]], seeds: int) -> dict[str, Any]:
    """Sums over all videos with enough segments; by hand a segment costs two actions, to draw it and to label it."""
    videos = [track for each in tracks.values() for track in each if len(segments(track.truth)) >= _SEGMENTS]
    if not videos:
        return {"effort_ratio": None}
    manual = sum(2 * len(segments(track.truth)) for track in videos)
    totals = {}
    for count in _COUNTS:
        found = []
        for seed in range(seeds):
            actions = 0
            for track in videos:
                frames = suggested(track, count, seed)
                said = answers(ours([(track, frames)], track, known=True))
                actions += len(frames) + edits(said, track.truth, track.tolerance)
            found.append(actions / manual)
        totals[f"k{count}"] = float(np.mean(found))
    return {"effort_ratio": min(totals.values()), "effort_by_k": totals, "effort_manual_actions": manual}


def edits(said: NDArray[np.intp], truth: NDArray[np.intp], tolerance: int) -> int:
    """Actions that turn one timeline into the other: a segment removed, added or relabelled, a boundary moved.

    A boundary between two segments is moved once. Boundaries within the tolerance are right.
    """
    wanted, given = segments(truth), segments(said)
    pairs, used = [], set()
    for first, last, label in wanted:
        shared = [
            (min(last, b) - max(first, a), at)
            for at, (a, b, own) in enumerate(given)
            if own == label and at not in used and min(last, b) >= max(first, a)
        ]
        best = max(shared, default=None)
        if best is not None:
            used.add(best[1])
        pairs.append(None if best is None else given[best[1]])
    actions = (len(given) - len(used)) + sum(pair is None for pair in pairs)
    for before, after, left, right in zip(wanted, wanted[1:], pairs, pairs[1:], strict=False):
        if left is None or right is None:
            continue
        off = max(abs(left[1] - before[1]), abs(right[0] - after[0]))
        actions += off > tolerance
    return int(actions)


def segments(classes: NDArray[np.intp]) -> Sequence[tuple[int, int, int]]:
    """(first, last, class) of each run of equal classes, ends included."""
    edge = np.flatnonzero(np.diff(classes)) + 1
    starts, stops = [0, *edge.tolist()], [*edge.tolist(), len(classes)]
    return [(first, stop - 1, int(classes[first])) for first, stop in zip(starts, stops, strict=True)]

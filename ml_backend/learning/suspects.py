"""Labels that are probably wrong: a region's label, a short segment overlooked in a longer one, a boundary drawn too early or late.

People do not err frame by frame. So within each run of equal labels the stretch is looked for that speaks most for another label
(the maximal-scoring segments of Ruzzo and Tompa, 1999, over log-odds frame by frame), by classifiers that have not seen the run.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.examples import classes_of
from ml_backend.learning.families import Floats
from ml_backend.learning.frame_labels import YES
from ml_backend.learning.run_predictions import HeldOut
from ml_backend.video.timeline import FrameIndex
from ml_backend.wording import counted, some

Kind = Literal["label", "boundary"]

# No frame speaks louder than this, in log-odds.
_MOST = 2.5
# Neighbouring frames say the same thing: a stretch counts as if this much was added that says nothing; less where labels
# change faster.
_SECONDS, _OF_A_RUN = 0.5, 0.25
# A stretch at the edge of a run, at most this long and this much of it, is about where the boundary lies.
_BOUNDARY_SECONDS, _BOUNDARY_SHARE = 1.5, 0.7
# Where one label is usually taken for another, a stretch must say more than half of what is usual, and more than this.
_OFTEN, _LEAST = 0.5, 0.15
# Of fewer others nothing is usual.
_ENOUGH = 3
# How many stretches are looked for in a run: the best one, and those beside it, so many times.
_DEPTH = 3


@dataclass(frozen=True)
class Suspect:
    """Frames `first`..`last` (both included) of a task whose label classifiers contradict that have not seen it.

    `given` and `expected`: the labels said and predicted there, empty for none. `doubt` in 0..1: how much surer what is
    expected is than what was said, over its frames. `kind`: `boundary` when it is about where a region begins or ends, `label`
    when it is about these frames' label, be they a region or a part of one. `later`: of a boundary, whether what is given begins
    after these frames, rather than what is expected before them.
    """

    task: int
    first: FrameIndex
    last: FrameIndex
    given: tuple[str, ...]
    expected: tuple[str, ...]
    doubt: float
    kind: Kind
    later: bool = False


@dataclass(frozen=True)
class _Stretch:
    """Frames of a run, of video and question `where`, that speak for the class `other` rather than `said`."""

    where: tuple[int, int]
    run: int
    first: int
    last: int
    said: int
    other: int
    kind: Kind
    later: bool
    score: float


def suspects(found: Sequence[HeldOut], labels: Sequence[str], *, exclusive: bool) -> tuple[Suspect, ...]:
    """Stretches of known frames that predictions held out contradict, the most doubtful first."""
    stretches = [
        stretch
        for video, one in enumerate(found)
        for position, logs in enumerate(one.logs)
        for stretch in _stretches(one, logs, (video, position), exclusive)
    ]
    kept: list[_Stretch] = []
    taken = {stretch.where: np.zeros(len(found[stretch.where[0]].judged), bool) for stretch in stretches}
    for stretch in sorted(
        _beyond_often(stretches, _runs(found, exclusive)), key=lambda one: (-one.score, one.where, one.first)
    ):
        frames = taken[stretch.where][stretch.first : stretch.last + 1]
        if stretch.score > _LEAST and not frames.any():
            frames[:] = True
            kept.append(stretch)
    return tuple(_suspect(found[stretch.where[0]], stretch, tuple(labels), exclusive) for stretch in kept)


def off_by(suspect: Suspect, frames: int) -> str:
    """Of a boundary, that it is so many `frames` off, in words; empty otherwise."""
    if suspect.kind != "boundary":
        return ""
    off = f"{counted(frames, 'frame')} {'later' if suspect.later else 'earlier'}"
    begins, ends = (suspect.given, suspect.expected) if suspect.later else (suspect.expected, suspect.given)
    # Of several labels at a time those that do not change say nothing.
    begins, ends = (tuple(x for x in own if x not in other) for own, other in ((begins, ends), (ends, begins)))
    return f"{some(begins)} begins {off}" if begins else f"{some(ends)} ends {off}"


def _stretches(one: HeldOut, logs: Floats, where: tuple[int, int], exclusive: bool) -> Iterator[_Stretch]:
    said = classes_of(one.video.labels.values, exclusive, where[1])
    edges = [0, *(np.flatnonzero(said[1:] != said[:-1]) + 1).tolist(), len(said)]
    known = [last - first for first, last in itertools.pairwise(edges) if said[first] >= 0]
    if not known:
        return
    timeline = one.video.features.timeline
    fps = len(timeline) / max(float(timeline.duration), 1e-3)
    silent = min(_SECONDS * fps, _OF_A_RUN * float(np.median(known)))
    for run, (start, stop) in enumerate(itertools.pairwise(edges)):
        own, given = logs[start:stop], int(said[start])
        if given < 0 or np.isnan(own).any():
            continue
        before = int(said[start - 1]) if start else -1
        after = int(said[stop]) if stop < len(said) else -1
        for other in range(own.shape[1]):
            if other == given:
                continue
            odds = np.clip(own[:, other] - own[:, given], -_MOST, _MOST).astype(np.float64)
            for total, first, last in _maximal(odds, _DEPTH):
                at_start, at_end = first == 0 and before == other, last == stop - start - 1 and after == other
                length = last - first + 1
                small = length <= min(_BOUNDARY_SECONDS * fps, _BOUNDARY_SHARE * (stop - start))
                kind: Kind = "boundary" if small and at_start != at_end else "label"
                score = total / (length + silent)
                yield _Stretch(where, run, start + first, start + last, given, other, kind, at_start, score)


def _maximal(odds: NDArray[np.float64], depth: int) -> Iterator[tuple[float, int, int]]:
    """Sum, first and last position of the stretch with the largest sum, and of those on both sides of it."""
    if not len(odds):
        return
    sums = np.concatenate([[0.0], odds.cumsum()])
    lowest = np.minimum.accumulate(sums)
    last = int((sums[1:] - lowest[:-1]).argmax())
    total = float(sums[last + 1] - lowest[last])
    if total <= 0:
        return
    first = int(sums[: last + 1].argmin())
    yield total, first, last
    if depth:
        yield from _maximal(odds[:first], depth - 1)
        after = last + 1
        yield from ((own, after + a, after + b) for own, a, b in _maximal(odds[after:], depth - 1))


def _beyond_often(stretches: Sequence[_Stretch], runs: Mapping[tuple[int, int], int]) -> Iterator[_Stretch]:
    """With what is usual where this is said and that is expected, in other runs, taken off their scores. `runs`: how many there
    are, by question and class said."""
    alike: dict[tuple[int, int, int, Kind], list[_Stretch]] = {}
    for one in stretches:
        alike.setdefault((one.where[1], one.said, one.other, one.kind), []).append(one)
    for (position, said, _, _), group in alike.items():
        best: dict[tuple[int, int], float] = {}
        for one in group:
            best[one.where[0], one.run] = max(best.get((one.where[0], one.run), 0.0), one.score)
        # Of most runs there is nothing to say.
        silent = runs[position, said] - len(best)
        ranked = np.sort(np.array([*best.values(), *[0.0] * silent]))
        for one in group:
            usual = _median_without(ranked, best[one.where[0], one.run]) if len(ranked) > _ENOUGH else 0.0
            yield replace(one, score=one.score - _OFTEN * usual)


def _median_without(ranked: NDArray[np.float64], value: float) -> float:
    """The median of all ascending numbers but one that has this value."""
    rest, own = len(ranked) - 1, int(np.searchsorted(ranked, value))
    low, high = (rest - 1) // 2, rest // 2
    return float(ranked[low + (low >= own)] + ranked[high + (high >= own)]) / 2


def _runs(found: Sequence[HeldOut], exclusive: bool) -> Counter[tuple[int, int]]:
    """How many runs there are, by question and class said."""
    counts: Counter[tuple[int, int]] = Counter()
    for one in found:
        for position in range(len(one.logs)):
            said = classes_of(one.video.labels.values, exclusive, position)
            firsts = np.concatenate([[True], said[1:] != said[:-1]]) if len(said) else np.zeros(0, bool)
            counts.update((position, int(each)) for each in said[firsts])
    return counts


def _suspect(one: HeldOut, stretch: _Stretch, labels: tuple[str, ...], exclusive: bool) -> Suspect:
    given = _names(one.video.labels.values[stretch.first], labels)
    if exclusive:
        expected = labels[stretch.other : stretch.other + 1]
    else:
        name = labels[stretch.where[1]]
        expected = tuple(label for label in labels if (stretch.other == 0 if label == name else label in given))
    return Suspect(
        one.video.task,
        FrameIndex(stretch.first),
        FrameIndex(stretch.last),
        given,
        expected,
        float(1 / (1 + np.exp(-stretch.score))),
        stretch.kind,
        stretch.later,
    )


def _names(row: NDArray[np.int8], labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(label for label, value in zip(labels, row, strict=True) if value == YES)

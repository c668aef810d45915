"""Where a person had better look in a video, and in which order: where the answer changes, where the model is least
sure, where two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ml_backend.annotation import Region
from ml_backend.projects.label_report import HumanRegion

Regions = Sequence[Region] | Sequence[HumanRegion]
# Where a model is as sure as that, there is nothing to look at.
SURE = 95
_MOST = 200


def certainty(percent: Mapping[str, Sequence[int]]) -> list[int]:
    """How sure the model is in each stretch of a video, in percent, from the probabilities of its labels: of its
    answer where only one label can hold at a time, no label included; else of the answer about the label that it is
    least sure of."""
    rows = list(zip(*percent.values(), strict=False))
    if all(sum(row) <= 105 for row in rows):
        return [min(100, max(*row, 100 - sum(row))) for row in rows]
    return [min(max(each, 100 - each) for each in row) for row in rows]


@dataclass(frozen=True)
class Doubt:
    """Label Studio frames `start`..`end`, both included, of which the model is not sure, and its lowest certainty
    there, in percent, at `worst`."""

    start: int
    end: int
    worst: int
    percent: int


def doubts(sure: Sequence[int], frames: int, most: int = _MOST) -> list[Doubt]:
    """The stretches of which the model is not sure, the least sure first.

    `sure`: of equally long stretches of a video of so many `frames`. Each valley is one: what rises by 10 percent and
    falls again is two.
    """
    found, begin = [], None
    for at in range(len(sure) + 1):
        if at < len(sure) and sure[at] < SURE:
            begin = at if begin is None else begin
        elif begin is not None:
            found += _valleys(sure, begin, at)
            begin = None
    scale = frames / len(sure) if sure else 0.0

    def doubt(first: int, last: int) -> Doubt:
        lowest = min(range(first, last), key=lambda each: sure[each])
        start, end = _frame(first * scale), max(_frame(first * scale), int(last * scale))
        return Doubt(start, end, min(max(start, _frame((lowest + 0.5) * scale)), end), sure[lowest])

    return sorted((doubt(*each) for each in found), key=lambda each: (each.percent, each.start))[:most]


def _frame(position: float) -> int:
    return int(position) + 1


_RISE = 10


def _valleys(sure: Sequence[int], begin: int, end: int) -> list[tuple[int, int]]:
    """Cuts `begin`..`end` (exclusive) at the ridges between valleys."""
    cuts, low, high, ridge = [begin], sure[begin], 0, begin
    for at in range(begin, end):
        if sure[at] > high or sure[at] <= low:
            high, ridge = sure[at], at
        if sure[at] <= low:
            low = sure[at]
        elif high - low >= _RISE and high - sure[at] >= _RISE:
            cuts.append(ridge)
            low, high = sure[at], 0
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def changes(regions: Regions, frames: int) -> list[int]:
    """The frames at which the answer changes, in order, without the beginning of the video."""
    said = sorted((int(each.start), int(each.end)) for each in regions if each.labels)
    found = {start for start, _ in said} | {end + 1 for _, end in said}
    return sorted(frame for frame in found if 1 < frame <= frames)


@dataclass(frozen=True)
class Difference:
    """Label Studio frames `start`..`end`, both included, of which one says these labels and the other those."""

    start: int
    end: int
    one: tuple[str, ...]
    other: tuple[str, ...]


def differences(one: Regions, other: Regions, frames: int, *, partial: bool = False) -> list[Difference]:
    """Where two say other labels, in order. `partial`: where either says nothing, it may not have looked."""
    steps: dict[int, list[tuple[int, str, int]]] = {1: [], frames + 1: []}
    for side, regions in enumerate((one, other)):
        for region in regions:
            for label in region.labels:
                steps.setdefault(int(region.start), []).append((side, label, 1))
                steps.setdefault(int(region.end) + 1, []).append((side, label, -1))
    here, found = (Counter[str](), Counter[str]()), list[Difference]()
    ordered = sorted(steps)
    for at, after in pairwise(ordered):
        for side, label, step in steps[at]:
            here[side][label] += step
        mine, theirs = (tuple(sorted(label for label, number in side.items() if number > 0)) for side in here)
        end = min(after - 1, frames)
        if mine == theirs or at > frames or (partial and not (mine and theirs)):
            continue
        if found and found[-1].end == at - 1 and (found[-1].one, found[-1].other) == (mine, theirs):
            found[-1] = Difference(found[-1].start, end, mine, theirs)
        else:
            found.append(Difference(at, end, mine, theirs))
    return found

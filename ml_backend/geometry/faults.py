"""Tracks that are probably wrong: what no animal or person does, and what trackers do when they err.

Each rule is about what is seen in the boxes alone, in lengths of the object and its own habits, so that it holds for any subject, camera
and frame rate. Thresholds are far from what good tracks of drawn scenes have (`tests/geometry/test_faults.py`), since a list with many
false alarms is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.geometry.trajectory import Floats, Trajectory

Kind = Literal["jump", "switch", "double", "flicker", "still"]

# A step from one frame to the next of so many lengths, and so many times as long as its own longest twentieth, and all others'.
_JUMP, _OWN, _OTHERS = 0.6, 5.0, 2.5
# Over a gap it may have gone on at such a pace, or at that of the fastest other, or so many lengths a second, whatever it did before.
_GAP_OWN, _GAP_PACE, _GAP_JUMP = 1.5, 2.0, 2.0
# Two boxes of which one is the other for so many seconds; sizes are compared over as long before and after a meeting.
_DOUBLE_IOU, _DOUBLE_WITHIN, _DOUBLE_SECONDS = 0.6, 0.9, 1.5
_SIZE_SECONDS, _MET = 1.5, 0.1
# By how much (a factor) sizes have to fit better when two tracks that met are exchanged behind the meeting.
_SWITCHED = 1.5
# A track of fewer seconds, or several pieces of fewer each.
_FLICKER, _PIECES = 0.4, 3
# A box that is there in so much of the video and whose middle stays within so many lengths.
_STILL_SHARE, _STILL_LENGTHS, _STILL_SECONDS = 0.95, 0.15, 10.0


@dataclass(frozen=True)
class Fault:
    """`tracks`: the names of the one or two tracks that it is about. `start`, `end`: the Label Studio frames in which it is seen.
    `doubt`: 0..1, how far beyond good tracks it is. `sentence`: what is wrong, for people."""

    kind: Kind
    tracks: tuple[str, ...]
    start: int
    end: int
    doubt: float
    sentence: str


def faults_of(tracks: Sequence[Trajectory], frames: int) -> list[Fault]:
    """What is probably wrong with the tracks of a video of so many Label Studio `frames`, the most doubtful first."""
    known = [each for each in tracks if len(each)]
    usual = [_usual_step(each) for each in known]
    found: list[Fault] = []
    for number, each in enumerate(known):
        others = max((step for at, step in enumerate(usual) if at != number), default=0.0)
        found += [*_jumps(each, usual[number], others), *_flickers(each, frames), *_still(each, frames)]
    for one, other in combinations(known, 2):
        met = _Meeting(one, other)
        found += [*_doubled(met), *_switched(met)]
    return sorted(found, key=lambda fault: -fault.doubt)


def _usual_step(track: Trajectory) -> float:
    """Lengths of itself from frame to frame that a twentieth of its steps exceed."""
    steps = np.diff(track.frames)
    lengths = np.linalg.norm(np.diff(track.centers, axis=0), axis=1)[steps == 1] / max(track.length, 1e-9)
    return float(np.quantile(lengths, 0.95)) if len(lengths) else 0.0


def _jumps(track: Trajectory, own: float, others: float) -> Iterator[Fault]:
    gaps = np.diff(track.frames)
    steps = np.linalg.norm(np.diff(track.centers, axis=0), axis=1) / max(track.length, 1e-9)
    most = np.where(gaps == 1, max(_JUMP, _OWN * own, _OTHERS * others), np.inf)
    pace = max(_GAP_OWN * own, others, _GAP_PACE / track.framerate)
    most = np.where(gaps > 1, np.maximum(_GAP_JUMP, pace * gaps), most)
    at = np.flatnonzero(steps > most)
    for first in at[np.concatenate([[True], np.diff(at) > track.framerate / 2])] if len(at) else ():
        over = " while out of sight" if gaps[first] > 1 else " from one frame to the next"
        sentence = f"It jumps by {steps[first]:.1f} times its own length{over}; it may be another object from here on."
        doubt = _beyond(float(steps[first] / most[first]))
        yield Fault("jump", (track.name,), int(track.frames[first]), int(track.frames[first + 1]), doubt, sentence)


def _flickers(track: Trajectory, frames: int) -> Iterator[Fault]:
    pieces = track.pieces()
    lengths = [(piece.stop - piece.start) / track.framerate for piece in pieces]
    start, end = int(track.frames[0]), int(track.frames[-1])
    seconds = sum(lengths)
    # One that has only begun when the video ends, or is leaving when it begins, is short for a reason.
    inside = start > 1 and end < frames
    if len(pieces) >= _PIECES and np.median(lengths) < _FLICKER:
        sentence = f"It flickers: {len(pieces)} pieces, most of them shorter than {_FLICKER:g} seconds."
        yield Fault("flicker", (track.name,), start, end, _beyond(len(pieces) / _PIECES + 0.5), sentence)
    elif inside and seconds < _FLICKER:
        sentence = f"It is seen for {seconds:.1f} seconds only; it may be no object."
        yield Fault("flicker", (track.name,), start, end, _beyond(_FLICKER / max(seconds, 0.01)), sentence)


def _still(track: Trajectory, frames: int) -> Iterator[Fault]:
    if len(track) < _STILL_SHARE * frames or len(track) < _STILL_SECONDS * track.framerate:
        return
    spread = float(np.ptp(track.smooth, axis=0).max() / max(track.length, 1e-9))
    if spread < _STILL_LENGTHS:
        sentence = "It stands still for the whole video; it may be a part of the background."
        yield Fault("still", (track.name,), int(track.frames[0]), int(track.frames[-1]), 0.5, sentence)


class _Meeting:
    """Two tracks in the frames in which both are seen. `overlap`, `within`: (k,) IoU, and how much of the smaller box is in the other."""

    def __init__(self, one: Trajectory, other: Trajectory) -> None:
        self.one, self.other = one, other
        self.frames, at, there = np.intersect1d(one.frames, other.frames, True, True)
        a, b = one.boxes[at], other.boxes[there]
        low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(a[:, 2:], axis=1), np.prod(b[:, 2:], axis=1)
        self.overlap: Floats = shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)
        self.within: Floats = shared / np.maximum(np.minimum(*areas), 1e-12)


def _doubled(met: _Meeting) -> Iterator[Fault]:
    rate = met.one.framerate
    same = (met.overlap > _DOUBLE_IOU) | (met.within > _DOUBLE_WITHIN)
    for start, stop in _runs(met.frames, same):
        seconds = (stop - start) / rate
        if seconds < _DOUBLE_SECONDS:
            continue
        sentence = f"Both are on the same object for {seconds:.1f} seconds."
        ends = int(met.frames[start]), int(met.frames[stop - 1])
        yield Fault("double", (met.one.name, met.other.name), *ends, _beyond(seconds / _DOUBLE_SECONDS), sentence)


def _switched(met: _Meeting) -> Iterator[Fault]:
    """Where two that overlapped are as large afterwards as the other one was before."""
    rate = met.one.framerate
    for start, stop in _runs(met.frames, met.overlap > _MET, join=round(rate / 2)):
        first, last = int(met.frames[start]), int(met.frames[stop - 1])
        sizes = [_sizes(track, first, last, round(_SIZE_SECONDS * rate)) for track in (met.one, met.other)]
        if any(size is None for size in sizes):
            continue
        (before, after), (other_before, other_after) = [size for size in sizes if size is not None]
        kept = abs(after - before) + abs(other_after - other_before)
        exchanged = abs(after - other_before) + abs(other_after - before)
        if kept - exchanged > 2 * np.log(_SWITCHED):
            sentence = (
                "They met, and each is as large afterwards as the other one was before: they may have been exchanged."
            )
            doubt = _beyond(float(np.exp((kept - exchanged) / 2) / _SWITCHED))
            yield Fault("switch", (met.one.name, met.other.name), first, last, doubt, sentence)


def _sizes(track: Trajectory, first: int, last: int, window: int) -> tuple[float, float] | None:
    """The logarithm of the median area before and after some frames; None where it is hardly seen on one side."""
    areas = np.log(np.maximum(np.prod(track.boxes[:, 2:], axis=1), 1e-12))
    before = areas[(track.frames < first) & (track.frames >= first - window)]
    after = areas[(track.frames > last) & (track.frames <= last + window)]
    if min(len(before), len(after)) < window // 3 or not len(before):
        return None
    return float(np.median(before)), float(np.median(after))


def _runs(frames: NDArray[np.int64], mask: NDArray[np.bool_], join: int = 1) -> list[tuple[int, int]]:
    """Positions, the later behind the last, of stretches of true; those with fewer than `join` frames between them are one."""
    at = np.flatnonzero(mask)
    if not len(at):
        return []
    edges = np.flatnonzero(np.diff(frames[at]) > max(join, 1))
    starts, stops = np.concatenate([[0], edges + 1]), np.concatenate([edges, [len(at) - 1]])
    return [(int(at[start]), int(at[stop]) + 1) for start, stop in zip(starts, stops, strict=True)]


def _beyond(times: float) -> float:
    """Of 1, at a threshold, one half; nearly 1 far beyond it."""
    return round(1 - 0.5 / max(times, 1.0), 3)

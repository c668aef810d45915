"""Which tracks are of the same object: those that were found before keep their numbers, and what a person has boxed stands in place
of what was found of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ml_backend.jobs.box_tracks import Said, as_shown
from ml_backend.objects.boxes import iou
from ml_backend.projects.tracks import StoredTrack

# Two tracks whose boxes overlap by less, on average over all frames of either, are of two objects.
_SAME = 0.3
# A track of which so much, on average over its own frames, is in another one is of the same object.
_WITHIN = 0.4
# Of a longer video some frames are compared.
_MOST_FRAMES = 20_000

Floats = NDArray[np.float64]


def numbered(
    found: Sequence[StoredTrack], before: Iterable[StoredTrack], frames: int, highest: int
) -> list[StoredTrack]:
    """The `found` tracks of one control with the numbers that the same objects had `before`; others get the next ones above
    `highest`. `frames`: how many Label Studio counts in the video."""
    known = [each for each in before if not each.drawn]
    names: dict[int, int] = {}
    if found and known:
        new, old = ([_boxes(each, frames) for each in side] for side in (found, known))
        overlap = np.array([[_overlap(one, other) for other in old] for one in new])
        rows, columns = linear_sum_assignment(-overlap)
        names = {
            int(row): known[column].number
            for row, column in zip(rows, columns, strict=True)
            if overlap[row, column] >= _SAME
        }
    numbered = []
    for at, track in enumerate(found):
        if at not in names:
            highest += 1
        numbered.append(replace(track, number=names.get(at, highest)))
    return numbered


def joined(
    found: Sequence[StoredTrack], followed: Sequence[StoredTrack], frames: int, highest: int
) -> list[StoredTrack]:
    """Both together, of one control; `followed` in the order in which they were drawn.

    A followed track whose number is 0 gets that of what it stands in place of, else the next one above `highest`.
    """
    shown = [(replace(each, replaced=False), _boxes(each, frames)) for each in found]
    for track in followed:
        own = _boxes(track, frames)
        shares = [_within(boxes, own) for _, boxes in shown]
        number = track.number
        if not number:
            best = int(np.argmax(shares)) if shares else 0
            number = shown[best][0].number if shares and shares[best] >= _WITHIN else 0
        if not number:
            number = highest = max([highest, *(each.number for each, _ in shown)]) + 1
        shown = [
            (replace(each, replaced=each.replaced or share >= _WITHIN or each.number == number), boxes)
            for (each, boxes), share in zip(shown, shares, strict=True)
        ]
        shown.append((replace(track, number=number, replaced=False), own))
    return [each for each, _ in shown]


def named(
    tracks: Sequence[StoredTrack], said: Said, by_hand: Sequence[StoredTrack] = (), frames: int = 1
) -> list[StoredTrack]:
    """The tracks of one control under the labels that people gave to them; a drawn box has its own.

    `by_hand`: tracks that people drew alone. What was found of the same object is called as they are; those of which nothing was found
    come behind the others.
    """
    every = [
        each if each.drawn and each.label else replace(each, label=said.labels.get((each.control, each.number)))
        for each in tracks
    ]
    if not by_hand:
        return every
    boxes = [_boxes(each, frames) for each in every]
    alone = []
    for one in by_hand:
        own = _boxes(one, frames)
        same = [at for at, other in enumerate(boxes) if max(_within(own, other), _within(other, own)) >= _WITHIN]
        for at in same:
            every[at] = every[at] if every[at].label else replace(every[at], label=one.label)
        if not same:
            alone.append(one)
    return [*every, *alone]


def _boxes(track: StoredTrack, frames: int) -> Floats:
    """(m, 4) in percent at each of a video's `frames`, or evenly between them; NaN where there is none."""
    return as_shown(track).boxes(np.linspace(1, frames, min(frames, _MOST_FRAMES)).round())[:, :4]


def _overlap(one: Floats, other: Floats) -> float:
    """The mean IoU over the frames that have either."""
    either = ~(np.isnan(one[:, 0]) & np.isnan(other[:, 0]))
    return float(np.nan_to_num(iou(one[either], other[either])).mean()) if either.any() else 0.0


def _within(one: Floats, other: Floats) -> float:
    """The mean IoU over the frames of `one`."""
    own = ~np.isnan(one[:, 0])
    return float(np.nan_to_num(iou(one[own], other[own])).mean()) if own.any() else 0.0

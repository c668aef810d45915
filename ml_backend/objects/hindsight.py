"""Subjects that were one box before they parted, told apart from before on.

To a detector without classes, subjects that touch are one box, and nothing before tells how many they are. What comes after does: followed
backwards from where they are apart, each is expected in that box, which is taken apart for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ml_backend.objects.boxes import Detections, covered, iou
from ml_backend.objects.tracker import Piece, Tracker

# So many frames that were looked at are held for it: more than an hour's.
MOST_FRAMES = 20_000
# Where a piece begins it is compared for so many seconds with those that were followed backwards: the boxes of the same one overlap by so
# much on average.
_COMPARED, _SAME = 2.0, 0.5
# It looks back from so many times that behind the last beginning.
_AHEAD = 2
# Fewer detections before a piece are none.
_FEWEST = 2
# A box that holds so much of a part that was taken out of it is that of several.
_HOLDS, _MOSTLY = 0.6, 0.5
# A box that overlaps with another by so much on average is not a part of it, but the same.
_KNOWN = 0.7

Seen = tuple[int, Detections]


def with_hindsight(pieces: Sequence[Piece], seen: Sequence[Seen], rate: float) -> list[Piece]:
    """The pieces of a video, those of which more is known from behind with that, by their first frames.

    `seen`: what was found in each frame that was looked at, by its index, ascending. `rate`: how many of them a second.
    """
    later = [piece.frames[0] for piece in pieces if seen and piece.frames[0] > seen[0][0]]
    if not later:
        return list(pieces)
    step = max(1, round((seen[-1][0] - seen[0][0]) / max(len(seen) - 1, 1)))
    compared = round(_COMPARED * rate) * step
    tracker = Tracker(rate)
    for frame, found in reversed(seen):
        # Behind the last beginning nothing is asked; frames ascend for a tracker, whichever way it looks.
        if frame <= max(later) + _AHEAD * compared:
            tracker.update(-frame, found)
    backward = [_turned(piece) for piece in tracker.finish()]
    result = list(pieces)
    gained: list[Piece] = []
    grown: dict[int, Piece | None] = {}
    for at in sorted(range(len(result)), key=lambda at: -result[at].frames[0]):
        begun = result[at].frames[0]
        other = _same(result[at], backward, begun, begun + compared)
        early = _part(other, 0, begun - 1) if other is not None else None
        if early is None or len(early.frames) < _FEWEST:
            continue
        there = [own for own, piece in enumerate(result) if own != at and _is_shared(piece, early)]
        alone = {own: _same(result[own], backward, begun, begun + compared) for own in there}
        rivals = [own for own in there if alone[own] in (None, other) and not _are_together(result[own], result[at])]
        if any(_is_known(early, result[own]) for own in rivals):
            # It was followed to where this one begins, or this one took its place.
            continue
        result[at] = _joined(early, result[at])
        gained.append(early)
        grown[at] = other
        for own, apart in alone.items():
            if apart is not None and apart is not other and apart.frames[0] < begun:
                result[own] = _told_apart(result[own], apart, early)
    # What was nothing but several others is none of its own.
    taken = [each for each in grown.values() if each is not None]
    left = [p for at, p in enumerate(result) if at in grown or not _is_several(p, gained, backward, taken)]
    return sorted(left, key=lambda each: each.frames[0])


def _told_apart(piece: Piece, apart: Piece, early: Piece) -> Piece:
    """A piece with the boxes of `apart`, which is the same one followed back, where its own hold `early` too."""
    own, both = ({frame: at for at, frame in enumerate(each.frames)} for each in (apart, early))
    boxes, scores, whole = list(piece.boxes), list(piece.scores), list(piece.whole)
    for at, frame in enumerate(piece.frames):
        if frame in own and frame in both and covered(early.boxes[both[frame]][None], boxes[at][None])[0, 0] >= _HOLDS:
            there = own[frame]
            boxes[at], scores[at], whole[at] = apart.boxes[there], apart.scores[there], apart.whole[there]
    return replace(piece, boxes=boxes, scores=scores, whole=whole)


def _same(piece: Piece, backward: Sequence[Piece], first: int, last: int) -> Piece | None:
    """The one of `backward` that is where the piece is from frame `first` to `last`; None where none is."""
    mine = {frame: box for frame, box in zip(piece.frames, piece.boxes, strict=True) if first <= frame <= last}
    best, overlap = None, _SAME
    for other in backward:
        both = [(mine[frame], box) for frame, box in zip(other.frames, other.boxes, strict=True) if frame in mine]
        if 2 * len(both) <= len(mine):
            continue
        mean = float(iou(*(np.stack(side) for side in zip(*both, strict=True))).mean())
        if mean >= overlap:
            best, overlap = other, mean
    return best


def _is_known(early: Piece, piece: Piece) -> bool:
    """Whether a piece is where one was followed back to."""
    boxes = dict(zip(piece.frames, piece.boxes, strict=True))
    both = [(boxes[frame], box) for frame, box in zip(early.frames, early.boxes, strict=True) if frame in boxes]
    if 2 * len(both) <= len(early.frames):
        return False
    return bool(iou(*(np.stack(side) for side in zip(*both, strict=True))).mean() >= _KNOWN)


def _are_together(one: Piece, other: Piece) -> bool:
    """Whether both are there for most of the shorter one's time, so that they are not the same."""
    shared = min(one.frames[-1], other.frames[-1]) - max(one.frames[0], other.frames[0])
    return 2 * shared > min(each.frames[-1] - each.frames[0] for each in (one, other))


def _is_several(piece: Piece, parts: Sequence[Piece], backward: Sequence[Piece], taken: Sequence[Piece]) -> bool:
    """Whether a piece holds subjects that were followed back for most of its time, and is not one that nobody else is when followed
    backwards itself."""
    own = _same(piece, backward, piece.frames[0], piece.frames[-1])
    if own is not None and not any(own is each for each in taken):
        return False
    return _holding(piece, [part for part in parts if not _is_known(part, piece)]) > _MOSTLY * len(piece.frames)


def _is_shared(piece: Piece, early: Piece) -> bool:
    """Whether most boxes of a piece, of the time of one that was followed back, hold that."""
    there = len(set(piece.frames).intersection(early.frames))
    return there > 0 and 2 * _holding(piece, [early]) > there


def _holding(piece: Piece, parts: Sequence[Piece]) -> int:
    """In how many frames its box holds one of the parts."""
    where = [dict(zip(part.frames, part.boxes, strict=True)) for part in parts]
    held = 0
    for frame, box in zip(piece.frames, piece.boxes, strict=True):
        inside = [boxes[frame] for boxes in where if frame in boxes]
        held += bool(inside) and bool((covered(np.stack(inside), box[None]) >= _HOLDS).any())
    return held


def _turned(piece: Piece) -> Piece:
    return replace(
        piece,
        frames=[-frame for frame in reversed(piece.frames)],
        boxes=piece.boxes[::-1],
        scores=piece.scores[::-1],
        whole=piece.whole[::-1],
    )


def _part(piece: Piece, first: int, last: int) -> Piece:
    """Its detections from frame index `first` to `last`."""
    at = slice(int(np.searchsorted(piece.frames, first)), int(np.searchsorted(piece.frames, last, side="right")))
    return replace(
        piece, frames=piece.frames[at], boxes=piece.boxes[at], scores=piece.scores[at], whole=piece.whole[at]
    )


def _joined(early: Piece, late: Piece) -> Piece:
    return replace(
        late,
        frames=early.frames + late.frames,
        boxes=early.boxes + late.boxes,
        scores=early.scores + late.scores,
        whole=early.whole + late.whole,
    )

"""From boxes in single frames to pieces of tracks, in one pass forward.

Norfair predicts each object by a Kalman filter and matches what is found to what was expected. What "near" means is said here:
the place, the size and the looks. Two subjects that touch are one patch to a detector that knows no classes; such a
box is taken apart again where its subjects were expected, so that both go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import norfair
import numpy as np
from norfair.tracker import TrackedObject
from numpy.typing import NDArray

from ml_backend.objects.boxes import Detections, Floats, covered, iou_matrix
from ml_backend.objects.crops import Crops
from ml_backend.objects.exclusion import jumped, parted
from ml_backend.objects.separation import Inmate, take_apart

# An object that is not found for so many seconds is a piece of its own when it comes back.
_SECONDS = 1.5
# Detections before an object counts, and what a match weighs: distance in sizes, difference of size, and of looks.
_BEFORE = 2
_SIZE, _LOOKS = 0.5, 1.0
_FARTHEST = 1.6
# One that jumps was found so often, and lately in one of so many frames.
_KNOWN, _JUST = 5, 2
# And it has moved by so much of its size within so many detections: lights that flicker do not.
_MOVED, _LATELY = 1.0, 100
# A box holds a subject when it covers so much of where that was expected.
_HOLDS, _TOUCHES = 0.6, 0.15
# How fast what is known of a subject's size and looks follows what is seen.
_FOLLOW = 0.15
# Norfair counts in pixels.
_UNIT = 1000.0


@dataclass(eq=False)
class Piece:
    """An object as long as it was followed without losing it.

    `frames`: frame indices of its detections, ascending. `boxes`: (4,) shares of the picture of each, `scores` in 0..1.
    `whole`: whether each was all seen, and not in part behind others. `size`, `looks`: about what they are now, from `seen` boxes
    that were its own. `crops`: pictures of it, where any were offered.
    """

    name: str
    size: NDArray[np.float64]
    looks: Floats | None
    seen: int = 0
    frames: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    crops: Crops = field(default_factory=Crops)

    def has_moved(self) -> bool:
        """Whether its middle has been somewhere else lately, by more than a part of its size."""
        boxes = np.stack(self.boxes[-_LATELY:])
        middles = boxes[:, :2] + boxes[:, 2:] / 2
        return bool((np.ptp(middles, axis=0) > _MOVED * self.size).any())

    def see(self, box: NDArray[np.float64], looks: Floats | None) -> None:
        """Takes its size and looks from a box that is its own."""
        self.seen += 1
        follow = max(_FOLLOW, 1 / self.seen)
        self.size += follow * (box[2:] - self.size)
        if looks is not None and self.looks is not None:
            self.looks = self.looks + np.float32(follow) * (looks - self.looks)


@dataclass(frozen=True, eq=False)
class _Found:
    """What a detection carries through norfair. `piece`: the one that it was taken apart for. `whole`: whether its size is
    the subject's own."""

    box: NDArray[np.float64]
    score: float
    name: str
    looks: Floats | None
    piece: Piece | None = None
    whole: bool = True


class _Nearness(norfair.Distance):
    """How unlike an expected object and a detection are: 0 is the same, `_FARTHEST` is too far."""

    def __init__(self, pieces: dict[int, Piece]) -> None:
        self._pieces = pieces

    def get_distances(
        self, objects: Sequence[TrackedObject], candidates: Sequence[norfair.Detection | TrackedObject] | None
    ) -> NDArray[np.float64]:
        if not objects or not candidates:
            return np.full((len(candidates or ()), len(objects)), np.inf)
        found: list[_Found] = [each.data for each in candidates]  # type: ignore[union-attr]
        pieces = [self._pieces[id(each)] for each in objects]
        distances = _unlike(np.stack([_box_of(each.estimate) for each in objects]), pieces, found)
        for at, one in enumerate(found):
            if one.piece is not None:
                distances[at] = [0.0 if one.piece is piece else np.inf for piece in pieces]
        return distances


def _unlike(expected: NDArray[np.float64], pieces: Sequence[Piece], found: Sequence[_Found]) -> NDArray[np.float64]:
    """(n, m) between each of n found and m pieces, which were expected at (m, 4); infinite between different class names."""
    boxes = np.stack([each.box for each in found])[:, None]
    sizes = np.stack([piece.size for piece in pieces])
    apart = (expected[:, :2] + expected[:, 2:] / 2 - boxes[..., :2] - boxes[..., 2:] / 2) / (
        (sizes + boxes[..., 2:]) / 2 + 1e-6
    )
    grown = np.abs(np.log((boxes[..., 2:] + 1e-6) / (sizes + 1e-6))).sum(axis=2)
    unlike = np.zeros(grown.shape)
    for at, each in enumerate(found):
        for column, piece in enumerate(pieces):
            if each.looks is not None and piece.looks is not None:
                unlike[at, column] = 1 - float(each.looks @ piece.looks)
    same = np.array([[each.name == piece.name for piece in pieces] for each in found])
    return np.where(same, np.hypot(apart[..., 0], apart[..., 1]) + _SIZE * grown + _LOOKS * unlike, np.inf)


class Tracker:
    """Follows what is found in the frames of one video. `rate`: how many frames of a second are looked at."""

    def __init__(self, rate: float) -> None:
        self._pieces: dict[int, Piece] = {}
        self._done: list[Piece] = []
        # The last frames looked at.
        self._looked: deque[int] = deque(maxlen=_JUST)
        # Norfair's objects are known by their address, so none may go before its piece is filed.
        self._known: dict[int, TrackedObject] = {}
        self._tracker = norfair.Tracker(
            "iou",
            distance_threshold=_FARTHEST,
            hit_counter_max=max(_BEFORE + 1, round(_SECONDS * rate)),
            initialization_delay=_BEFORE,
            past_detections_length=0,
            filter_factory=norfair.OptimizedKalmanFilterFactory(R=1.0, Q=0.5),
        )
        self._tracker.distance_function = _Nearness(self._pieces)

    def update(self, frame: int, found: Detections) -> list[Piece]:
        """Adds what was found in frame index `frame`, which is later than all before; returns the pieces that have a box of it to
        themselves."""
        here = self._taken_apart(found)
        self._looked.append(frame)
        self._tracker.update([_detection(each) for each in here])
        live = {id(each): each for each in self._tracker.tracked_objects}
        for key in [key for key in self._known if key not in live]:
            self._done.append(self._pieces.pop(key))
            del self._known[key]
        alone: list[Piece] = []
        for key, each in live.items():
            last: _Found = each.last_detection.data
            if key not in self._known:
                self._known[key] = each
                self._pieces[key] = Piece(str(each.label), last.box[2:].copy(), last.looks)
            if any(last is one for one in here):
                piece = self._pieces[key]
                piece.frames.append(frame)
                piece.boxes.append(last.box)
                piece.scores.append(last.score)
                piece.whole.append(last.whole)
                if last.whole:
                    piece.see(last.box, last.looks)
                if last.piece is None:
                    alone.append(piece)
        return alone

    def finish(self) -> list[Piece]:
        """All pieces of more than `_BEFORE` detections, by their first frames."""
        pieces = [*self._done, *self._pieces.values()]
        return sorted((each for each in pieces if len(each.frames) > _BEFORE), key=lambda each: each.frames[0])

    def _taken_apart(self, found: Detections) -> list[_Found]:
        """The detections; where one holds several known subjects, one for each of these instead."""
        boxes = found.boxes.astype(np.float64)
        singles = [
            _Found(box, float(score), name, found.looks[at] if len(found.looks) else None)
            for at, (box, score, name) in enumerate(zip(boxes, found.scores, found.names, strict=True))
        ]
        known = [each for each in self._tracker.tracked_objects if not each.is_initializing]
        if not known or not singles:
            return singles
        pieces = [self._pieces[id(each)] for each in known]
        expected = np.stack([_centered(_ahead(each), piece) for each, piece in zip(known, pieces, strict=True)])
        unlike = _unlike(expected, pieces, singles)
        inside_of = self._inside(expected, unlike, boxes, bool(found.shades))
        sizes = np.stack([piece.size for piece in pieces])
        gone = parted(inside_of, unlike, boxes, sizes, _FARTHEST)
        just = [
            len(piece.frames) >= _KNOWN
            and piece.frames[-1] >= self._looked[0]
            and near >= _FARTHEST
            and piece.has_moved()
            for piece, near in zip(pieces, unlike.min(axis=0), strict=True)
        ]
        gone |= jumped(inside_of, unlike, boxes, expected, _alike(pieces, singles), just, _FARTHEST)
        result: list[_Found] = []
        for at, single in enumerate(singles):
            inside = [number for number, box in enumerate(inside_of) if box == at and number not in gone]
            if len(inside) < 2:
                taken = next((pieces[number] for number, box in gone.items() if box == at), None)
                result.append(single if taken is None else replace(single, piece=taken))
                continue
            inmates = [Inmate(expected[number], pieces[number].looks) for number in inside]
            shades = found.shades[at] if found.shades else None
            parts = take_apart(single.box, shades, inmates)
            result += [
                _Found(part.box, single.score * part.sureness, pieces[number].name, None, pieces[number], part.whole)
                for number, part in zip(inside, parts, strict=True)
                if part is not None
            ]
        return result

    def _inside(
        self,
        expected: NDArray[np.float64],
        unlike: NDArray[np.float64],
        boxes: NDArray[np.float64],
        by_pixels: bool,
    ) -> list[int]:
        """For each known subject the box that it is in, alone or with others; -1 for none."""
        held = covered(expected, boxes)
        own = iou_matrix(expected, boxes).argmax(axis=1)
        nearest = unlike.min(axis=0)
        result = []
        for number, at in enumerate(own.tolist()):
            # One that nothing looks like is probably hidden in what is near; pixels will tell.
            enough = _TOUCHES if by_pixels and nearest[number] > _FARTHEST else _HOLDS
            result.append(at if held[number, at] >= enough else -1)
        return result


def _alike(pieces: Sequence[Piece], found: Sequence[_Found]) -> NDArray[np.float64]:
    """(n, m) how alike each of n found and m pieces look, 0..1; 0 between different class names, 1 where nobody knows."""
    alike = np.array([[float(each.name == piece.name) for piece in pieces] for each in found])
    for at, each in enumerate(found):
        for column, piece in enumerate(pieces):
            if each.looks is not None and piece.looks is not None:
                alike[at, column] *= float(each.looks @ piece.looks) / max(float(np.linalg.norm(piece.looks)), 1e-9)
    return alike


def _detection(found: _Found) -> norfair.Detection:
    left, top, width, height = found.box * _UNIT
    points = np.array([[left, top], [left + width, top + height]])
    return norfair.Detection(points, data=found, label=found.name)


def _box_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    (left, top), (right, bottom) = points / _UNIT
    return np.array([left, top, right - left, bottom - top])


def _ahead(known: TrackedObject) -> NDArray[np.float64]:
    """Where it is expected in the next frame."""
    return _box_of(known.estimate + known.estimate_velocity)


def _centered(box: NDArray[np.float64], piece: Piece) -> NDArray[np.float64]:
    """A box of the size that the subject usually has, around the same middle."""
    return np.concatenate([box[:2] + (box[2:] - piece.size) / 2, piece.size])

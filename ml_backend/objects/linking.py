"""Which piece of a track goes on as which other one, decided for all at once: the assignment of least cost.

By where a short gap leads; by exclusion, where one vanishes amid the picture and another one appears there; and over a long gap
by the looks, where the same place, or how different the video's other objects look, speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ml_backend.objects.tracker import Piece

# Up to so many seconds, where it was going counts; and how far from there it may be, in its own sizes, and more each second.
_SHORT = 2.0
_AWAY, _AWAY_A_SECOND = 1.5, 1.5
# How alike two pieces have to look (Bhattacharyya coefficient): over a short gap, and over a long one, where two of one kind must not
# be taken for one; and by what factor their sizes may differ then.
_ALIKE, _SAME, _GROWN = 0.6, 0.985, 2.0
# One that jumps: found so often before and after, so near to a border's inside, in its own sizes.
_SEEN, _INSIDE = 4, 0.5
# What a jump, and a long gap, cost: each is taken only where nothing that is cheaper explains it.
_JUMPED, _LATER = 2.0, 5.0
# After a long gap, the same place is so many sizes around; anywhere else counts where all who are there together look less alike.
_THERE, _TELLING = 3.0, 0.95
_NEVER = 1e6


def linked(pieces: Sequence[Piece], fps: float) -> list[list[Piece]]:
    """The pieces of each object, in order. `fps`: frames of the video a second."""
    count = len(pieces)
    costs = np.full((count, count), _NEVER)
    telling = _looks_tell(pieces)
    for at, one in enumerate(pieces):
        for then, other in enumerate(pieces):
            if other.frames[0] > one.frames[-1] and one.name == other.name:
                costs[at, then] = _cost(one, other, fps, telling)
    before, after = linear_sum_assignment(costs)
    follows = {int(one): int(other) for one, other in zip(before, after, strict=True) if costs[one, other] < _NEVER}
    begun = sorted(set(range(count)) - set(follows.values()))
    chains = []
    for at in begun:
        chain = [pieces[at]]
        while at in follows:
            at = follows[at]
            chain.append(pieces[at])
        chains.append(chain)
    return chains


def _cost(one: Piece, other: Piece, fps: float, telling: bool) -> float:
    """How unlikely it is that `other` goes on where `one` ends; `_NEVER` when it does not."""
    seconds = (other.frames[0] - one.frames[-1]) / fps
    alike = _alike(one, other)
    away = _apart(_middle(one.boxes[-1]), other, one)
    grown = np.abs(np.log(other.size / one.size)).max()
    if seconds <= _SHORT and (alike >= _ALIKE or one.looks is None):
        led = min(away, _apart(_led_to(one, other.frames[0]), other, one))
        if led <= _AWAY + _AWAY_A_SECOND * seconds:
            return (1 - alike) + 0.2 * led + 0.1 * seconds
        if (
            min(len(one.frames), len(other.frames)) >= _SEEN
            and grown < np.log(_GROWN)
            and _is_inside(one, -1)
            and _is_inside(other, 0)
        ):
            return _JUMPED + (1 - alike) + 0.1 * away + 0.1 * seconds
    if alike >= _SAME and grown < np.log(_GROWN) and (telling or away <= _THERE):
        return _LATER + (1 - alike) + 0.01 * min(seconds, 60)
    return _NEVER


def _looks_tell(pieces: Sequence[Piece]) -> bool:
    """Whether those who are there at one time look different from each other."""
    alike = [
        _alike(one, other)
        for at, one in enumerate(pieces)
        for other in pieces[:at]
        if _together(one, other) and min(len(one.frames), len(other.frames)) >= _SEEN
    ]
    return bool(alike) and max(alike) < _TELLING


def _together(one: Piece, other: Piece) -> bool:
    return max(one.frames[0], other.frames[0]) < min(one.frames[-1], other.frames[-1])


def _alike(one: Piece, other: Piece) -> float:
    """0..1; 0 where nobody knows."""
    if one.looks is None or other.looks is None:
        return 0.0
    lengths = float(np.linalg.norm(one.looks) * np.linalg.norm(other.looks))
    return float(one.looks @ other.looks) / max(lengths, 1e-9)


def _apart(middle: NDArray[np.float64], other: Piece, one: Piece) -> float:
    """How far from a point `other` begins, in sizes of both."""
    return float(np.hypot(*((middle - _middle(other.boxes[0])) / ((one.size + other.size) / 2))))


def _is_inside(piece: Piece, at: int) -> bool:
    """Whether one of its boxes is not at the rim of the picture."""
    box, rim = piece.boxes[at], _INSIDE * piece.size
    return bool((box[:2] > rim).all() and (box[:2] + box[2:] < 1 - rim).all())


def _led_to(piece: Piece, frame: int) -> NDArray[np.float64]:
    """Where the middle of a piece's box would be at a later frame, by its last second or so."""
    frames, middles = piece.frames[-6:], np.stack([_middle(box) for box in piece.boxes[-6:]])
    speed = (middles[-1] - middles[0]) / max(frames[-1] - frames[0], 1)
    return np.asarray(middles[-1] + speed * (frame - frames[-1]), np.float64)


def _middle(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(box[:2] + box[2:] / 2, np.float64)

"""Pieces of tracks that are one object's: it was lost for a moment, or left and came back.

Which piece goes on as which is decided for all at once (the assignment of least cost): by where a short gap leads, and over
a long one by the looks alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ml_backend.objects.tracker import Piece

# Up to so many seconds, where it was going counts; and how far from there it may be, in its own sizes, and more each second.
_SHORT = 2.0
_AWAY, _AWAY_A_SECOND = 1.5, 1.5
# How alike two pieces have to look (Bhattacharyya coefficient): over a short gap, and over a long one.
_ALIKE, _SAME = 0.6, 0.85
_NEVER = 1e6


def linked(pieces: Sequence[Piece], fps: float) -> list[list[Piece]]:
    """The pieces of each object, in order. `fps`: frames of the video a second."""
    count = len(pieces)
    costs = np.full((count, count), _NEVER)
    for at, one in enumerate(pieces):
        for then, other in enumerate(pieces):
            if other.frames[0] > one.frames[-1] and one.name == other.name:
                costs[at, then] = _cost(one, other, fps)
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


def _cost(one: Piece, other: Piece, fps: float) -> float:
    """How unlikely it is that `other` goes on where `one` ends; `_NEVER` when it does not."""
    seconds = (other.frames[0] - one.frames[-1]) / fps
    alike = 0.0
    if one.looks is not None and other.looks is not None:
        lengths = float(np.linalg.norm(one.looks) * np.linalg.norm(other.looks))
        alike = float(one.looks @ other.looks) / max(lengths, 1e-9)
    if seconds <= _SHORT and (alike >= _ALIKE or one.looks is None):
        size = (one.size + other.size) / 2
        away = float(np.hypot(*((_led_to(one, other.frames[0]) - _middle(other.boxes[0])) / size)))
        away = min(away, float(np.hypot(*((_middle(one.boxes[-1]) - _middle(other.boxes[0])) / size))))
        if away <= _AWAY + _AWAY_A_SECOND * seconds:
            return (1 - alike) + 0.2 * away + 0.1 * seconds
    if alike >= _SAME:
        # Longer gaps are taken only by those that no shorter one explains.
        return 1.0 + (1 - alike) + 0.01 * min(seconds, 60)
    return _NEVER


def _led_to(piece: Piece, frame: int) -> NDArray[np.float64]:
    """Where the middle of a piece's box would be at a later frame, by its last second or so."""
    frames, middles = piece.frames[-6:], np.stack([_middle(box) for box in piece.boxes[-6:]])
    speed = (middles[-1] - middles[0]) / max(frames[-1] - frames[0], 1)
    return np.asarray(middles[-1] + speed * (frame - frames[-1]), np.float64)


def _middle(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(box[:2] + box[2:] / 2, np.float64)

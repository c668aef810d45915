"""When something moves as it hardly ever does in this video: a small subject's short event, of which the whole picture tells nothing."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.flow import COLUMNS, STEPS

# Of each step, the column that holds how much moves.
_AMOUNT = 2
# Rows of movement, every second frame, that one is compared with on either side; the next ones belong to the event itself.
_SIDE, _BESIDE = 8, 1
# Stretches that a stretch is compared with, and how many there must be first.
_REMEMBERED, _ENOUGH = 128, 12
# The score above which a stretch stands out; and no more than one stretch in eighteen does, also where a video grows livelier.
_SHARE, _ONE_IN = 0.92, 18
_MOST = 6.0

Floats = NDArray[np.float32]


class Unusual:
    """Takes the movement of stretches of a video in order, and says of each whether, and where, it stands out."""

    def __init__(self) -> None:
        self._before: NDArray[np.float64] = np.zeros((0, len(STEPS)))
        self._squares: NDArray[np.float64] = np.zeros(len(STEPS))
        self._count = 0
        self._scores: deque[float] = deque(maxlen=_REMEMBERED)
        self._left = 1.0  # how many stretches may stand out

    def look(self, flow: Floats, known: NDArray[np.bool_]) -> int | None:
        """Of (k, 2 x COLUMNS) rows of `features.flow`, the position of the one at which more, or less, moves than before and
        after it by an amount that few of the stretches so far have had; else None, also where it is `known` (k,) anyway."""
        amounts = np.sqrt(np.maximum(flow[:, _AMOUNT::COLUMNS].astype(np.float64), 0))
        rows = np.concatenate([self._before, amounts])
        start = len(self._before)
        self._before = rows[-_SIDE - _BESIDE :]
        if not start or not len(amounts):
            return None
        beside = np.array([_outside(rows, at) for at in range(start, len(rows))])
        self._squares += (beside**2).sum(axis=0)
        self._count += len(beside)
        usual = np.sqrt(self._squares / self._count) + 1e-6
        scores = np.sqrt((np.minimum(beside / usual, _MOST) ** 2).mean(axis=1))
        most = int(scores.argmax())
        self._left += 1 / _ONE_IN
        stands_out = (
            self._left >= 1
            and not known[most]
            and len(self._scores) >= _ENOUGH
            and scores[most] > np.quantile(self._scores, _SHARE)
        )
        self._scores.append(float(scores[most]))
        self._left -= stands_out
        return most if stands_out else None


def _outside(amounts: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    """(s,) how far a row lies outside of what was before it and what comes after it, as far as that is known."""
    before = amounts[max(at - _SIDE - _BESIDE, 0) : max(at - _BESIDE, 1)].mean(axis=0)
    rest = amounts[at + _BESIDE + 1 :]
    after = rest.mean(axis=0) if len(rest) else before
    low, high = np.minimum(before, after), np.maximum(before, after)
    return np.asarray(np.maximum(np.maximum(amounts[at] - high, low - amounts[at]), 0))

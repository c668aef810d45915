"""Frames spread over a video that together stand for everything it shows: each the most telling one of its stretch of time.

Medoids (`sampling.diverse`) may leave long parts of a video without a frame, and what happens there unseen; evenly spread
frames look at nothing. Here time is cut into equal stretches, and the frame of each is chosen so that all frames of the
video are as near as may be to a chosen one: k-medoids by alternating exchange (Kaufman and Rousseeuw, "Finding groups in
data", 1990) under the constraint of one pick a stretch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sampling.candidates import Frames, free, indices
from sampling.diverse import principal, squared_distances

# Evenly thinned to so many candidates, a long video still shows all of its scenes.
MAX_POINTS = 2000
# A stretch whose frame adds less than this share of what one more frame elsewhere would add gives it away.
_WORTH = 0.5
# No more than a third do, whatever there is elsewhere: most of the video stays looked at.
_GIVEN_AWAY = 3
_ROUNDS = 8
# Nearer than this share of the spread of all, two pictures are the same one.
_SAME = 1e-9

_Floats = NDArray[np.float32]


def telling(
    embeddings: NDArray[np.floating],
    count: int,
    *,
    frames: ArrayLike | None = None,
    labelled: ArrayLike | None = None,
    gap: int = 0,
) -> Frames:
    """Choose `count` frames, one in each of as many equal stretches of time as far as each has something to show.

    `embeddings` (m, d) of the ascending frame indices `frames` (m,) int64 (default 0..m-1); their distances are taken as
    they are, so that whoever joins several kinds of columns decides how much each counts. Where frames are sparse, each
    stands for those around it. A stretch that shows nothing new gives its frame to another. `gap`: least distance in
    frames between two picks, and of a pick to the frame indices `labelled` (k,). Returns at most `count` sorted, distinct
    frame indices; fewer when there are fewer distinct embeddings, since the same picture is never asked about twice.
    Raises ValueError for arrays that do not fit together.
    """
    index = indices(len(embeddings), frames)
    if count <= 0 or not len(index):
        return np.empty(0, np.int64)
    thinned = np.arange(len(index)) % -(-len(index) // MAX_POINTS) == 0
    index, rows = index[thinned], np.asarray(embeddings)[thinned]
    # As in `diverse`, but short events, around which frames are dense, count a little more.
    shown = np.gradient(index.astype(np.float64)) ** 0.25 if len(index) > 1 else np.ones(1)
    points = principal(rows, 64, shown, standardised=False)
    stretch = (index - index[0]) * count // (index[-1] - index[0] + 1)
    search = _Search(index, points, shown, free(index, labelled, gap), gap)
    for number in range(count):
        search.slots.append(stretch == number)
    return search.run()


class _Search:
    """Picks for `slots`, each (m,) bool: the candidates that one pick is chosen among."""

    def __init__(
        self, index: Frames, points: NDArray[np.float64], shown: NDArray[np.float64], open_: NDArray[np.bool_], gap: int
    ) -> None:
        self._index, self._gap, self._open = index, gap, open_
        self._apart = squared_distances(points, points).astype(np.float32)
        self._shown = (shown / shown.sum()).astype(np.float32)
        self._far = np.float32(max(float(self._apart.max()), 1e-12))
        self.slots: list[NDArray[np.bool_]] = []
        self._picks: list[int | None] = []

    def run(self) -> Frames:
        self._picks = [None] * len(self.slots)
        self._settle()
        anywhere = np.ones(len(self._index), bool)
        for number, pick in enumerate(self._picks):
            if pick is None:
                self.slots[number] = anywhere
        self._settle()
        for _ in range(len(self.slots) // _GIVEN_AWAY):
            if (poorest := self._gives_away()) is None:
                break
            self.slots[poorest], self._picks[poorest] = anywhere, None
            self._settle()
        return np.sort(self._index[[pick for pick in self._picks if pick is not None]])

    def _settle(self) -> None:
        """Each pick in turn becomes the best of its slot beside the others, until none changes."""
        for _ in range(_ROUNDS):
            before = list(self._picks)
            # Those that are free to go anywhere see what the others leave.
            for number in sorted(range(len(self.slots)), key=lambda each: int(self.slots[each].sum())):
                self._picks[number] = self._best(number)
            if self._picks == before:
                return

    def _best(self, number: int) -> int | None:
        others = [pick for place, pick in enumerate(self._picks) if pick is not None and place != number]
        base = self._to_nearest(others)
        allowed = self.slots[number] & self._open & (base > _SAME * self._far)
        if self._gap > 1:
            allowed &= free(self._index, self._index[others], self._gap)
        members = np.flatnonzero(allowed)
        if not len(members):
            return None
        left = self._shown @ np.minimum(base[:, None], self._apart[:, members])
        return int(members[left.argmin()])

    def _gives_away(self) -> int | None:
        """The slot whose pick is worth least, when another frame anywhere is worth that much more."""
        picks = {number: pick for number, pick in enumerate(self._picks) if pick is not None}
        held = list(picks)
        if len(held) < 2:
            return None
        apart = self._apart[list(picks.values())]
        nearest, second = np.partition(apart, 1, axis=0)[:2]
        lost = np.bincount(apart.argmin(axis=0), weights=self._shown * (second - nearest), minlength=len(held))
        poorest = int(lost.argmin())
        gain = float((self._shown @ np.maximum(nearest[:, None] - self._apart, 0)).max())
        bound = not self.slots[held[poorest]].all()
        return held[poorest] if bound and lost[poorest] < _WORTH * gain else None

    def _to_nearest(self, picks: list[int]) -> _Floats:
        """(m,) squared distance of every candidate to the nearest of these picks; that of the farthest two without any."""
        return self._apart[picks].min(axis=0) if picks else np.full(len(self._index), self._far)

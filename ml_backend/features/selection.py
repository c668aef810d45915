"""The frames of a running video that wait for their embeddings, and which of them are to be embedded next.

Frames are known by their position among the decoded ones. Only a bounded look-back is held: pictures are dropped as soon
as nobody can ask for them any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.density import Density, short_events
from ml_backend.video.decode import Picture

Rows = Mapping[str, NDArray[np.floating]]


@dataclass(eq=False)
class Interval:
    """Consecutive pictures from one that is embedded anyway to the next, both included; `open` spans are not settled yet."""

    first: int
    pictures: Sequence[Picture]
    grey: NDArray[np.uint8]
    open: int = 0
    embedded: list[int] = field(default_factory=list)
    rows: dict[int, Rows] = field(default_factory=dict)


class Selection:
    """Takes pictures in order, says which to embed, and hands back each interval once all its embeddings are there."""

    def __init__(self, density: Density) -> None:
        self._density = density
        self._intervals: deque[Interval] = deque()
        self._spans: dict[int, list[tuple[Interval, int, int]]] = {}
        self._rows: dict[int, tuple[Rows, NDArray[np.float32]]] = {}
        self.wanted: deque[tuple[int, Picture]] = deque()

    @property
    def held(self) -> int:
        """How many pictures are held."""
        return sum(len(interval.pictures) - 1 for interval in self._intervals)

    def begin(self, first: Picture) -> None:
        self.wanted.append((0, first))

    def add(self, first: int, pictures: Sequence[Picture], grey: NDArray[np.uint8]) -> None:
        """The pictures at positions `first` and on, the first of them the last of those added before; k, and (k, 64, 64)."""
        interval = Interval(first, pictures, grey, embedded=[first])
        self._intervals.append(interval)
        ends = [0, *short_events(grey, self._density.pixels), len(pictures) - 1]
        for position in ends[1:]:
            self._want(interval, first + position)
        for left, right in pairwise(ends):
            self._watch(interval, first + left, first + right)

    def put(self, position: int, rows: Rows, unit: NDArray[np.float32]) -> None:
        """The embedding of one of the `wanted`, and its appearance scaled to length one."""
        self._rows[position] = (rows, unit)
        for interval, left, right in self._spans.pop(position, ()):
            self._look(interval, left, right)

    def done(self) -> list[Interval]:
        """The next intervals that are complete, each with the rows of its embedded frames, both ends included."""
        ready = []
        while self._intervals and not self._intervals[0].open:
            interval = self._intervals.popleft()
            interval.rows = {position: self._rows[position][0] for position in sorted(interval.embedded)}
            *inner, _ = interval.rows
            for position in inner:  # the last is the first of the next interval
                del self._rows[position]
            ready.append(interval)
        return ready

    def only_row(self) -> Rows | None:
        """The embedding of a video of a single frame, which makes no interval."""
        return self._rows[0][0] if list(self._rows) == [0] else None

    def _want(self, interval: Interval, position: int) -> None:
        interval.embedded.append(position)
        self.wanted.append((position, interval.pictures[position - interval.first]))

    def _watch(self, interval: Interval, left: int, right: int) -> None:
        interval.open += 1
        self._look(interval, left, right)

    def _look(self, interval: Interval, left: int, right: int) -> None:
        """Bisects the span between two wanted frames if need be; comes back to it when one of them is not there yet."""
        missing = next((end for end in (left, right) if end not in self._rows), None)
        if missing is not None:
            self._spans.setdefault(missing, []).append((interval, left, right))
            return
        interval.open -= 1
        distance = 1 - float(self._rows[left][1] @ self._rows[right][1])
        if right - left > 1 and distance > self._density.cosine:
            middle = (left + right) // 2
            self._want(interval, middle)
            self._watch(interval, left, middle)
            self._watch(interval, middle, right)

"""Which frames of a video to embed: every so many, and in between where the picture changes. Of a running video: those that wait, and which
is next."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.features.flow import BACK, EVERY, Unusual, flow
from ml_backend.video.decode import Picture
from ml_backend.video.view import GREY
from sampling.candidates import time_to

_BLOCK = 8


@dataclass(frozen=True)
class Density:
    """`stride`: frames between two that are embedded anyway; 1 embeds all. `cosine`: the distance (0..2) from which on
    the frame in the middle of two is embedded as well. `pixels`: a frame is embedded when one of its 8 x 8 blocks, in a
    64 x 64 grey picture, differs from both neighbours by more than this on average (0..255). `least`: in a short video the
    stride is smaller, so that it has at least so many embedded frames, or as many as there are.
    """

    stride: int = 16
    cosine: float = 0.22
    pixels: float = 25.0
    least: int = 64

    @property
    def key(self) -> str:
        """Empty for the default, so that a backbone's key alone names its usual features."""
        return "" if self == Density() else f"-s{self.stride}c{self.cosine:g}p{self.pixels:g}l{self.least}"

    def stride_in(self, frames: int) -> int:
        """The stride in a video of so many frames."""
        return min(self.stride, max(1, frames // self.least))


DEFAULT = Density()


def short_event(grey: NDArray[np.uint8], threshold: float) -> int | None:
    """The position in (k, 64, 64) consecutive grey pictures of the one that differs most from both the first and the last.

    Only those count of which one block differs by more than `threshold` from the same block of both; None without any.
    """
    inner = grey[1:-1]
    if not len(inner):
        return None
    differing = np.minimum(_blocks(inner, grey[0]), _blocks(inner, grey[-1]))
    total = np.where(differing.max(axis=1) > threshold, differing.sum(axis=1, dtype=np.int64), 0)
    most = int(total.argmax())
    return 1 + most if total[most] else None


def _blocks(inner: NDArray[np.uint8], end: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(k, 64 x 64 / 8 x 8) mean absolute difference of every picture's blocks from those of `end`."""
    difference = np.maximum(inner, end)
    difference -= np.minimum(inner, end)
    difference = difference.reshape(-1, GREY)
    shape = (GREY // _BLOCK, len(difference) // _BLOCK)
    return np.asarray(cv2.resize(difference, shape, interpolation=cv2.INTER_AREA), np.uint8).reshape(len(inner), -1)


Rows = Mapping[str, NDArray[np.floating]]

# Decoded frames held for a while before they are scaled, in case that nobody asks for them.
_UNSCALED_BYTES = 256 * 2**20
# Where frames are embedded at a smaller distance than this, short events are hit anyway.
_COARSE = 8
# A frame so near to an embedded one shows the same short event.
_NEAR = 2


@dataclass(eq=False)
class Interval:
    """Consecutive frames from one that is embedded anyway to the next, both included; complete when no span is `open`.

    `first`: the position of its first frame. `indices`, `grey`: (k,) int64 frame indices and (k, 64, 64) uint8. `flow`: how
    things move (`features.flow`) at the frame indices `flow_frames`, those of all frames but the first that have a row.
    `rows`: once complete, the embeddings by position, ascending, those of both ends included.
    """

    first: int
    indices: NDArray[np.int64]
    grey: NDArray[np.uint8]
    flow_frames: NDArray[np.int64]
    flow: NDArray[np.float32]
    pictures: Sequence[Picture]
    open: int = 0
    embedded: list[int] = field(default_factory=list)
    rows: dict[int, Rows] = field(default_factory=dict)


class Selection:
    """Takes pictures in order, says which to embed, and hands back each interval once all its embeddings are there."""

    def __init__(self, density: Density) -> None:
        self._density = density
        self._unusual = Unusual()
        self._soft: NDArray[np.uint8] = np.zeros((0, GREY, GREY), np.uint8)  # of the last frames whose flow is known
        self._last = 0
        self._intervals: deque[Interval] = deque()
        self._spans: dict[int, list[tuple[Interval, int, int]]] = {}
        self._rows: dict[int, tuple[Rows, NDArray[np.float32]]] = {}
        self._unscaled: deque[Picture] = deque()
        self.wanted: deque[tuple[int, Picture]] = deque()

    @property
    def held(self) -> int:
        """How many frames are held, from the first interval that is not complete on."""
        return sum(len(interval.indices) - 1 for interval in dropwhile(lambda one: not one.open, self._intervals))

    def begin(self, first: Picture) -> None:
        """The first picture of a video."""
        self.wanted.append((0, first))
        self._soft = first.soft[None]

    def add(self, pictures: Sequence[Picture]) -> None:
        """The next pictures, beginning with the last of those before."""
        first, last = self._last, self._last + len(pictures) - 1
        self._last = last
        indices = np.array([picture.index for picture in pictures], np.int64)
        held = np.concatenate([self._soft, np.stack([picture.soft for picture in pictures[1:]])])
        self._soft = held[-BACK:]
        # Positions among the pictures of those that have a row.
        rows = np.arange(1, len(pictures))[(first + np.arange(1, len(pictures))) % EVERY == 0]
        moves = flow(held, rows + len(held) - len(pictures))
        grey = np.stack([picture.grey for picture in pictures])
        interval = Interval(first, indices, grey, indices[rows], moves, pictures, embedded=[first])
        self._intervals.append(interval)
        self._want(interval, last)
        event = self._event(interval, first, last)
        inner = [] if event is None else [event]
        if len(pictures) > _COARSE:
            near = time_to(first + rows, [first, last, *inner]) <= _NEAR
            if (unusual := self._unusual.look(moves, near)) is not None:
                inner = sorted([*inner, first + int(rows[unusual])])
        for mark in inner:
            self._want(interval, mark)
        for left, right in itertools.pairwise([first, *inner, last]):
            self._watch(interval, left, right)
        self._unscaled.extend(picture for picture in pictures[1:] if picture.nbytes)
        while self._unscaled and len(self._unscaled) * max(self._unscaled[-1].nbytes, 1) > _UNSCALED_BYTES:
            self._unscaled.popleft().shrink()

    def put(self, position: int, rows: Rows, unit: NDArray[np.float32]) -> None:
        """The embedding of one of the `wanted`, and its appearance scaled to length one."""
        self._rows[position] = (rows, unit)
        for span in self._spans.pop(position, ()):
            self._look(*span)

    def done(self) -> list[Interval]:
        """The next intervals that are complete."""
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
        return self._rows[0][0] if self._last == 0 else None

    def _want(self, interval: Interval, position: int) -> None:
        interval.embedded.append(position)
        self.wanted.append((position, interval.pictures[position - interval.first]))

    def _event(self, interval: Interval, left: int, right: int) -> int | None:
        grey = interval.grey[left - interval.first : right - interval.first + 1]
        found = short_event(grey, self._density.pixels)
        return None if found is None else left + found

    def _split(self, interval: Interval, left: int, middle: int, right: int) -> None:
        self._want(interval, middle)
        self._watch(interval, left, middle)
        self._watch(interval, middle, right)

    def _watch(self, interval: Interval, left: int, right: int) -> None:
        """Looks at the span between two wanted frames, and splits it as long as the network finds its ends different.

        A frame that differs in its pixels only does not split a span a second time: most of those are ordinary motion.
        """
        interval.open += 1
        self._look(interval, left, right)

    def _look(self, interval: Interval, left: int, right: int) -> None:
        missing = next((end for end in (left, right) if end not in self._rows), None)
        if missing is not None:
            self._spans.setdefault(missing, []).append((interval, left, right))
            return
        interval.open -= 1
        distance = 1 - float(self._rows[left][1] @ self._rows[right][1])
        if right - left > 1 and distance > self._density.cosine:
            event = self._event(interval, left, right)
            self._split(interval, left, (left + right) // 2 if event is None else event, right)
        if not interval.open:
            # The last picture is also the first of the next interval.
            for picture in interval.pictures[:-1]:
                picture.release()
            interval.pictures = ()

"""The way of one object through a video, and how far it went.

Lengths are in widths of the picture, in both directions, so that a circle on the floor stays one. Boxes tremble by a pixel or two from
frame to frame, which is no movement: positions are smoothed, and a step counts once it is longer than the box trembles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Seconds over which positions are smoothed: a polynomial of degree 2 through so many (Savitzky and Golay, 1964), which leaves turns alone.
SMOOTHED_OVER = 0.5
# In lengths of the object: so far it has to get from where it last was for its way to count.
LEAST_STEP = 0.1
# Seconds over which a speed is taken.
SPEED_OVER = 0.5


@dataclass(frozen=True, eq=False)
class Trajectory:
    """`frames`: (n,) int64, ascending, those in which the object is seen, counted from 1 as Label Studio does, at `framerate` a second.
    `boxes`: (n, 4) left, top, width, height in widths of the picture. `name`: what people call it.
    """

    name: str
    frames: NDArray[np.int64]
    boxes: Floats
    framerate: float

    @classmethod
    def of(cls, name: str, frames: NDArray[np.int64], percent: Floats, framerate: float, aspect: float) -> Trajectory:
        """From (n, 4) boxes in percent of a picture that is `aspect` times as wide as it is high; frames whose box is NaN are left out."""
        known = ~np.isnan(percent).any(axis=1)
        boxes = percent[known] / (100, 100 * aspect, 100, 100 * aspect)
        return cls(name, np.asarray(frames[known], np.int64), boxes, framerate)

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def centers(self) -> Floats:
        """(n, 2) the middle of each box."""
        return np.asarray(self.boxes[:, :2] + self.boxes[:, 2:] / 2, np.float64)

    @cached_property
    def length(self) -> float:
        """Of the object: the median of its boxes' longer sides."""
        return float(np.median(self.boxes[:, 2:].max(axis=1))) if len(self) else 0.0

    @cached_property
    def seconds(self) -> Floats:
        """(n,) when each frame is shown."""
        return np.asarray((self.frames - 1) / self.framerate, np.float64)

    def pieces(self) -> list[slice]:
        """Each run of frames without a gap."""
        edges = np.flatnonzero(np.diff(self.frames) != 1) + 1
        stops = [*edges.tolist(), len(self)] if len(self) else []
        return [slice(start, stop) for start, stop in zip([0, *edges.tolist()], stops, strict=False)]

    @cached_property
    def smooth(self) -> Floats:
        """(n, 2) the centers without their tremble; each run of frames by itself."""
        half = round(SMOOTHED_OVER * self.framerate / 2)
        found = self.centers.copy()
        for piece in self.pieces():
            found[piece] = _smoothed(self.centers[piece], half)
        return found

    @cached_property
    def traveled(self) -> Floats:
        """(n,) the length of the way up to each frame. Ways that nobody has seen, over gaps, do not count."""
        found = np.zeros(len(self))
        way = 0.0
        for piece in self.pieces():
            own = _traveled(self.smooth[piece], LEAST_STEP * self.length, max(1, round(SPEED_OVER * self.framerate)))
            found[piece] = way + own
            way += float(own[-1])
        return found

    def distance(self, start: float, end: float) -> float:
        """How far it went between two times, in seconds."""
        if not len(self):
            return 0.0
        # Over a gap the way stays what it was, until the object is seen again.
        along = np.interp([start, end], self.seconds, self.traveled)
        return float(along[1] - along[0])

    def top_speed(self, start: float, end: float) -> float:
        """The fastest `SPEED_OVER` seconds between two times, in widths a second; of less, the mean speed."""
        inside = (self.seconds >= start) & (self.seconds < end)
        if not inside.any():
            return 0.0
        over = min(SPEED_OVER, max(end - start, 1 / self.framerate))
        begins = np.minimum(self.seconds[inside], max(end - over, start))
        way = np.interp(begins + over, self.seconds, self.traveled) - np.interp(begins, self.seconds, self.traveled)
        return float(way.max() / over)


def told_apart(names: Sequence[str]) -> list[str]:
    """The same names, each once: the second *mouse* is *mouse (2)*."""
    seen = Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _smoothed(points: Floats, half: int) -> Floats:
    """(n, 2) by windows of 2 * `half` + 1 points, smaller ones at the ends."""
    count = len(points)
    found = points.copy()
    for size in range(2, half + 1):
        steps = np.arange(-size, size + 1)
        weights = (3 * (3 * size**2 + 3 * size - 1) - 15 * steps**2) / (
            (2 * size - 1) * (2 * size + 1) * (2 * size + 3)
        )
        if count < 2 * size + 1:
            break
        if size == half:
            for axis in range(2):
                found[size : count - size, axis] = np.convolve(points[:, axis], weights, "valid")
        else:
            found[size] = weights @ points[: 2 * size + 1]
            found[count - 1 - size] = weights @ points[count - 2 * size - 1 :]
    return found


def _traveled(points: Floats, least: float, most: int) -> Floats:
    """(n,) the length of the way along (n, 2) points of which those count that are more than `least` from the last that counted. The way
    from one to the next is made in the last `most` frames before it at most: who stands there for longer stands."""
    frames, way = [0], [0.0]
    x, y = points[:, 0].tolist(), points[:, 1].tolist()
    here_x, here_y = x[0], y[0]
    for index in range(1, len(points)):
        step = ((x[index] - here_x) ** 2 + (y[index] - here_y) ** 2) ** 0.5
        if step > least:
            if index - frames[-1] > most:
                frames.append(index - most)
                way.append(way[-1])
            frames.append(index)
            way.append(way[-1] + step)
            here_x, here_y = x[index], y[index]
    return np.asarray(np.interp(np.arange(len(points)), frames, way), np.float64)

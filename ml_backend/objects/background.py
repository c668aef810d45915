"""What a camera sees when nothing moves: the median of pictures from different moments, under one light and one aim.

Pictures are first laid over each other (phase correlation: Kuglin and Hines, 1975), since a camera that trembles moves every
edge, and brought to one brightness. A subject that stands still for a while is not in the median as long as it is elsewhere in
more than half of its pictures; those come from the last two minutes and from what follows, so that there is no ghost where a
subject was when the video began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Shift = tuple[float, float]

# Pictures whose median is taken, and how many of them are remembered from before.
_SAMPLES, _REMEMBERED = 25, 15
# Pictures between two that are remembered: at eight a second, eight seconds.
_APART = 64
# The longer side of the pictures that are laid over each other, and the least shift that is worth a correction, in its pixels.
_SMALL, _STILL = 160, 0.06
# A shift by more than this share of the picture is another view, not a tremble.
_FARTHEST = 0.2
# Every so many-th pixel tells how bright it is.
_EVERY = 9
# A light that differs by less is the same.
_SAME_LIGHT = 0.01
# Pixels at once in the median, so that they stay in the processor's cache.
_PART = 1 << 14


@dataclass(frozen=True, eq=False)
class Aligned:
    """A picture as the camera would have taken it from where it stood first.

    `picture`: (h, w, 3) uint8. `shift`: how far its content had moved right and down, in pixels. `valid`: the rows and columns
    that the picture covers, all where it did not move.
    """

    picture: Picture
    shift: Shift
    valid: tuple[slice, slice]


class Background:
    """The background of one video, which is told its pictures in batches, in order."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None
        self._window: NDArray[np.float32] | None = None
        self._before: deque[Picture] = deque(maxlen=_REMEMBERED)
        self._since = _APART
        self.picture: Picture | None = None

    def align(self, pictures: Sequence[Picture]) -> list[Aligned]:
        """Each of (h, w, 3) uint8 pictures laid over the video's first one."""
        return [self._aligned(picture) for picture in pictures]

    def learn(self, aligned: Sequence[Aligned]) -> None:
        """Makes `picture`, (h, w, 3) uint8, anew from these pictures and those that are remembered."""
        count = min(len(aligned), _SAMPLES - len(self._before))
        some = [aligned[at].picture for at in np.linspace(0, len(aligned) - 1, count).round().astype(int)]
        first = self.picture if self.picture is not None else some[0]
        self.picture = _median([_in_light_of(first, each) for each in (*self._before, *some)])
        self._reference = self._reduced(self.picture)
        for each in aligned:
            self._since += 1
            if self._since >= _APART:
                self._before.append(_in_light_of(self.picture, each.picture))
                self._since = 0

    def forget(self) -> None:
        """Before pictures of another view."""
        self._before.clear()
        self._reference, self.picture, self._since = None, None, _APART

    def lit_as(self, picture: Picture) -> Picture:
        """(h, w, 3) uint8: the background as it is under the light of `picture`."""
        assert self.picture is not None
        return _in_light_of(picture, self.picture)

    def _aligned(self, picture: Picture) -> Aligned:
        height, width = picture.shape[:2]
        small = self._reduced(picture)
        if self._reference is None or self._window is None:
            self._reference = small
            self._window = np.asarray(cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F), np.float32)
        (right, down), _ = cv2.phaseCorrelate(self._reference, small, self._window)
        scale = width / small.shape[1]
        too_far = abs(right) > _FARTHEST * small.shape[1] or abs(down) > _FARTHEST * small.shape[0]
        if too_far or max(abs(right), abs(down)) < _STILL:
            return Aligned(picture, (0.0, 0.0), (slice(0, height), slice(0, width)))
        x, y = right * scale, down * scale
        moved = cv2.warpAffine(
            picture, np.array([[1, 0, -x], [0, 1, -y]]), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        rows = slice(max(0, round(-y)), min(height, height - round(y)))
        columns = slice(max(0, round(-x)), min(width, width - round(x)))
        return Aligned(np.asarray(moved, np.uint8), (x, y), (rows, columns))

    def _reduced(self, picture: Picture) -> NDArray[np.float32]:
        """Small, grey, and without what is larger than a subject, so that light does not count."""
        height, width = picture.shape[:2]
        scale = min(1.0, _SMALL / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        levels = grey.astype(np.float32)
        return np.asarray(levels - cv2.blur(levels, (15, 15)), np.float32)


def _in_light_of(model: Picture, picture: Picture) -> Picture:
    """`picture` as bright, in each color, as `model` is: by the median of their ratios, which a subject does not change."""
    wanted = model[::_EVERY, ::_EVERY].reshape(-1, 3).astype(np.float32) + 1
    given = picture[::_EVERY, ::_EVERY].reshape(-1, 3).astype(np.float32) + 1
    gain = np.median(wanted / given, axis=0)
    if np.abs(gain - 1).max() < _SAME_LIGHT:
        return picture
    levels = np.arange(256, dtype=np.float32)[:, None] * gain
    table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]), np.uint8)


def _median(pictures: Sequence[Picture]) -> Picture:
    """The middle one of each pixel's values; with an even number of pictures, the upper one."""
    if len(pictures) == 1:
        return pictures[0]
    flat = [picture.reshape(-1) for picture in pictures]
    middle = np.empty_like(flat[0])
    for start in range(0, len(middle), _PART):
        part = slice(start, start + _PART)
        rows = [each[part].copy() for each in flat]
        spare = np.empty_like(rows[0])
        for low, high in _exchanges(len(rows)):
            np.minimum(rows[low], rows[high], out=spare)
            np.maximum(rows[low], rows[high], out=rows[high])
            rows[low], spare = spare, rows[low]
        middle[part] = rows[len(rows) // 2]
    return middle.reshape(pictures[0].shape)


@cache
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Which pairs of `count` rows to put in order so that all are: Batcher's odd-even merge sort (1968).

    A sort along the pictures would go through memory pixel by pixel; this compares whole rows of them.
    """

    def pairs() -> Iterator[tuple[int, int]]:
        size = 1
        while size < count:
            step = size
            while step >= 1:
                for start in range(step % size, count - step, 2 * step):
                    for low in range(start, min(start + step, count - step)):
                        if low // (2 * size) == (low + step) // (2 * size):
                            yield low, low + step
                step //= 2
            size *= 2

    return tuple(pairs())

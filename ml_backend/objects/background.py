"""What a camera sees when nothing moves: the median of pictures from different moments, under one light and one aim.

Pictures are first laid over each other by corners that are found again, since a camera that trembles moves every edge, and
brought to one brightness. A subject that stands still for a while is not in the median as long as it is elsewhere in more than
half of its pictures; those come from the last two minutes and from what follows, so that there is no ghost where a subject was
when the video began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.points import moved_points

Picture = NDArray[np.uint8]
Shift = tuple[float, float]

# Pictures whose median is taken, and how many of them are remembered from before.
_SAMPLES, _REMEMBERED = 25, 15
# Pictures between two that are remembered: at eight a second, eight seconds.
_APART = 64
# So many corners of the background are looked for again in each picture, and at least so many must be there.
_CORNERS, _ENOUGH = 60, 8
# They agree on a shift when so many are within a pixel of it; a smaller shift, in pixels, is none.
_AGREEING, _STILL = 0.4, 0.2
# A shift by more than this share of the picture is another view, not a tremble.
_FARTHEST = 0.2
# What differs by more, in levels and in typical differences, is something in one of two pictures; not if it is most of them. Below
# this share of the picture it is a speck. The one whose outline is so much weaker is without.
_DIFFERS, _NOISE, _OTHER_VIEW, _SPECK, _SMOOTHER = 12.0, 4.0, 0.5, 0.0004, 0.7
_CROSS = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
_ROUND = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), np.uint8)
# So many of the pictures at hand are asked, too, what the background is without.
_OWN = 8
# Every so many-th pixel tells how bright it is.
_EVERY = 9
# A light that differs by less is the same.
_SAME_LIGHT = 0.01
_STANDS: Shift = (0.0, 0.0)
_NO_CORNERS: NDArray[np.float32] = np.empty((0, 2), np.float32)
# Pixels at once in the median, so that they stay in the processor's cache.
_PART = 1 << 14


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture at half its size, and how it lies over the background.

    `half`: (h // 2, w // 2, 3) uint8. `shift`: how far its content has moved right and down, in pixels of the whole picture.
    """

    picture: Picture
    half: Picture
    shift: Shift


class Background:
    """The background of one video, which is told its pictures in batches, in order.

    `picture`, `half`: (h, w, 3) and (h // 2, w // 2, 3) uint8, at the place of the video's first picture.
    """

    picture: Picture
    half: Picture

    def __init__(self) -> None:
        self._elsewhen: list[Picture] = []
        self._emptier: list[Picture] = []
        self._reference: NDArray[np.uint8] | None = None
        self._corners: NDArray[np.float32] = _NO_CORNERS
        self._before: deque[Picture] = deque(maxlen=_REMEMBERED)
        self._since = _APART
        self._known = False

    def preview(self, pictures: Sequence[Picture]) -> None:
        """Takes (h, w, 3) uint8 pictures from all over the video, before the first is seen: what stands somewhere for long is
        elsewhere in some of them."""
        self._elsewhen = list(pictures)

    def see(self, pictures: Sequence[Picture]) -> list[Seen]:
        """Lays each of (h, w, 3) uint8 pictures over what is known, and learns from them what the background is."""
        seen = self._laid_over(pictures)
        count = min(len(seen), _SAMPLES - len(self._before))
        some = [_upright(seen[at]) for at in np.linspace(0, len(seen) - 1, count).round().astype(int)]
        first = self.picture if self._known else some[0]
        self.picture = _median([lit_like(each, gain(first, each)) for each in (*self._before, *some)])
        if not self._emptier and self._elsewhen:
            same = [each for each in self._elsewhen if each.shape == pictures[0].shape]
            self._emptier = [_upright(each) for each in self._laid_over(same)]
            self._elsewhen = []
        own = some[:: max(1, len(some) // _OWN)]
        self.picture = cleared(self.picture, [*self._emptier, *own])
        self.half = halved(self.picture)
        self._lay_over(_grey(self.half))
        self._known = True
        for each in seen:
            self._since += 1
            if self._since >= _APART:
                upright = _upright(each)
                self._before.append(lit_like(upright, gain(self.picture, upright)))
                self._since = 0
        return seen

    def forget(self) -> None:
        """Before pictures of another view."""
        self._before.clear()
        self._reference, self._known, self._since = None, False, _APART

    def _lay_over(self, reference: NDArray[np.uint8]) -> None:
        self._reference = reference
        corners = cv2.goodFeaturesToTrack(reference, _CORNERS, 0.02, min(reference.shape) / 12)
        self._corners = np.asarray(corners, np.float32).reshape(-1, 2) if corners is not None else _NO_CORNERS

    def _laid_over(self, pictures: Sequence[Picture]) -> list[Seen]:
        """A camera that has moved in none of every fourth picture stands still."""
        halves = [halved(picture) for picture in pictures]
        if self._reference is None:
            self._lay_over(_grey(halves[0]))
        shifts: dict[int, Shift] = {at: self._shift(_grey(halves[at])) for at in range(0, len(halves), 4)}
        if any(shift != _STANDS for shift in shifts.values()):
            shifts |= {at: self._shift(_grey(half)) for at, half in enumerate(halves) if at not in shifts}
        return [
            Seen(picture, half, shifts.get(at, _STANDS))
            for at, (picture, half) in enumerate(zip(pictures, halves, strict=True))
        ]

    def _shift(self, grey: NDArray[np.uint8]) -> Shift:
        """How far most corners are from where they were, in pixels of the whole picture; none when they do not agree."""
        if self._reference is None or len(self._corners) < _ENOUGH:
            return _STANDS
        there, known = moved_points(self._reference, grey, self._corners)
        ways = (there - self._corners)[known]
        if len(ways) < _ENOUGH:
            return _STANDS
        way = np.median(ways, axis=0)
        agree = np.abs(ways - way).max(axis=1) < 1
        height, width = grey.shape
        if agree.sum() < _AGREEING * len(self._corners) or np.abs(way / (width, height)).max() > _FARTHEST:
            return _STANDS
        right, down = (2 * ways[agree].mean(axis=0)).tolist()
        return (right, down) if max(abs(right), abs(down)) >= _STILL else _STANDS


def cleared(background: Picture, others: Sequence[Picture]) -> Picture:
    """(h, w, 3) uint8 without what stands in the background, but is not there in one of `others`, of the same size and view.

    Where two pictures differ in a patch, one of them has something there, and its outline: edges around the patch that the other
    one has not (as Cucchiara et al., 2003, tell ghosts from objects). The background takes over the patch without.
    """
    clear = background
    half, edges = halved(clear), None
    for other in others:
        brighter = gain(clear, other)
        small = lit_like(halved(other), brighter)
        difference = np.asarray(cv2.absdiff(small, half).max(axis=2), np.uint8)
        threshold = max(_DIFFERS, _NOISE * float(np.median(difference[::4, ::4])))
        mask = (difference > threshold).astype(np.uint8)
        if mask.mean() > _OTHER_VIEW:
            continue
        mask = np.asarray(cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _CROSS), cv2.MORPH_CLOSE, _ROUND))
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        mine = _edges(half) if edges is None else edges
        theirs = _edges(small)
        taken = np.zeros(mask.shape, np.uint8)
        for number in range(1, count):
            left, top, wide, high, area = statistics[number].tolist()
            if area < _SPECK * mask.size:
                continue
            part = (slice(max(top - 3, 0), top + high + 3), slice(max(left - 3, 0), left + wide + 3))
            patch = (labels[part] == number).astype(np.uint8)
            wider = cv2.dilate(patch, _ROUND)
            outline = (wider > 0) & (cv2.erode(patch, _ROUND) == 0)
            if theirs[part][outline].mean() < _SMOOTHER * mine[part][outline].mean():
                taken[part][wider > 0] = 1
        if taken.any():
            large = cv2.resize(taken, (clear.shape[1], clear.shape[0]), interpolation=cv2.INTER_NEAREST)
            clear = np.where(large[..., None] > 0, lit_like(other, brighter), clear)
            half, edges = halved(clear), None
        else:
            edges = mine
    return np.asarray(clear, np.uint8)


def _edges(picture: Picture) -> NDArray[np.float32]:
    """(h, w) how steeply a picture's colors change, the steepest one's."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *way, ksize=3) for way in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down).max(axis=2), np.float32)


def halved(picture: Picture) -> Picture:
    """(h // 2, w // 2, 3) of (h, w, 3)."""
    height, width = picture.shape[:2]
    size = (max(width // 2, 1), max(height // 2, 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def moved(picture: Picture, shift: Shift) -> Picture:
    """(h, w, 3) uint8 with its content moved right and down by so many pixels."""
    if shift == _STANDS:
        return picture
    height, width = picture.shape[:2]
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def gain(model: Picture, picture: Picture) -> NDArray[np.float32]:
    """(3,) by how much brighter each color of `model` is than of `picture`: the median ratio, which a subject does not move."""
    wanted = model[::_EVERY, ::_EVERY].reshape(-1, 3).astype(np.float32) + 1
    given = picture[::_EVERY, ::_EVERY].reshape(-1, 3).astype(np.float32) + 1
    return np.asarray(np.median(wanted / given, axis=0), np.float32)


def lit_like(picture: Picture, brighter: NDArray[np.float32]) -> Picture:
    """(h, w, 3) uint8, each color brighter by so much."""
    if np.abs(brighter - 1).max() < _SAME_LIGHT:
        return picture
    table = np.clip(np.round(np.arange(256, dtype=np.float32)[:, None] * brighter), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]), np.uint8)


def _upright(seen: Seen) -> Picture:
    right, down = seen.shift
    return moved(seen.picture, (-right, -down))


def _grey(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


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

"""Finding what moves in front of a still background, whatever it is and without any weights.

A pixel counts when it differs from the background by more than noise does; a subject is a patch of such pixels with some that
differ clearly. Shadows are left out where they can be told from the subject: they darken every color alike (as in Prati et al.,
2003). What changes more than half of the picture is another view, or a light that no gain explains, and says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.background import Background, Picture, Seen, gain, lit_like, moved
from ml_backend.objects.boxes import NOT_IT, Detections, Shades, in_shares

NAME = "object"

# In levels of 0..255: what differs by less is never seen; and in typical differences of the picture.
_LEAST, _NOISE = 12.0, 4.0
# Some pixel of a subject differs by so many times the threshold.
_CLEAR = 1.8
# The rim of a subject is where it differs by this share of what its middle does: half, since encoding blurs it.
_RIM = 0.5
# Patches below this share of the picture are specks; above the other, the picture says nothing.
_SPECK, _TOO_MUCH = 0.0004, 0.5
# How dark a shadow makes what it falls on, and how unlike in different colors.
_SHADOW = (0.45, 0.97)
_TINTED = 0.12
# Below this share of a patch, what is no shadow is noise, and the patch is a dark subject.
_SUBJECT = 0.12
_CROSS = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
_ROUND = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), np.uint8)
_SQUARE = np.ones((3, 3), np.uint8)
# So many shades of each color tell what a subject looks like.
_SHADES = 4


@dataclass(frozen=True, eq=False)
class _Patch:
    """One subject's pixels. `box`: left, top, width, height in pixels. `contrast`: of its middle, in levels. `shades`: as in
    `Detections`, at half the size."""

    box: tuple[int, int, int, int]
    contrast: float
    shades: Shades


class MotionDetector:
    """Detects by the difference to the video's own background; one for each video.

    All it finds is called `object`. `side`: the longer side of its pictures in pixels: larger ones find smaller subjects and
    take longer.
    """

    names: tuple[str, ...] = (NAME,)

    def __init__(self, side: int = 512, rate: float = 5.0, batch: int = 128) -> None:
        self.side, self.rate, self.batch = side, rate, batch
        self._background = Background()

    def preview(self, pictures: Sequence[Picture]) -> None:
        self._background.preview(pictures)

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        found = [self._in(each) for each in self._background.see(pictures)]
        if len(found) > 1 and sum(each is None for each in found) > len(found) / 2:
            # Another view: what was known of the one before does not help.
            self._background.forget()
            found = [self._in(each) for each in self._background.see(pictures)]
        return [each if each is not None else Detections.none() for each in found]

    def _in(self, seen: Seen) -> Detections | None:
        """None when the picture says nothing."""
        height, width = seen.half.shape[:2]
        half = moved(self._background.half, (seen.shift[0] / 2, seen.shift[1] / 2))
        brighter = gain(seen.half, half)
        half = lit_like(half, brighter)
        difference = _largest(cv2.absdiff(seen.half, half))
        _blank(difference, (seen.shift[0] / 2, seen.shift[1] / 2))
        threshold = max(_LEAST, _NOISE * float(np.median(difference[::4, ::4])))
        _, mask = cv2.threshold(difference, threshold, 1, cv2.THRESH_BINARY)
        if cv2.countNonZero(mask) > _TOO_MUCH * height * width:
            return None
        mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _CROSS), cv2.MORPH_CLOSE, _ROUND)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
        table = _table(brighter)
        patches = []
        for number in range(1, count):
            left, top, wide, high, area = statistics[number].tolist()
            if area < _SPECK * height * width:
                continue
            part = (slice(top, top + high), slice(left, left + wide))
            inside = labels[part] == number
            if difference[part][inside].max() < _CLEAR * threshold:
                continue
            own = _without_shadow(inside, seen.half[part], half[part])
            patch = self._patch(seen, own, (left, top), brighter, table, threshold)
            if patch is not None:
                patches.append(patch)
        if not patches:
            return Detections.none()
        contrasts = np.array([patch.contrast for patch in patches])
        return Detections(
            in_shares(np.array([patch.box for patch in patches]), seen.picture.shape[1], seen.picture.shape[0]),
            np.clip(1 - threshold / contrasts, 0.01, 1).astype(np.float32),
            (NAME,) * len(patches),
            np.stack([_looks(patch.shades) for patch in patches]),
            tuple(patch.shades for patch in patches),
        )

    def _patch(
        self,
        seen: Seen,
        own: NDArray[np.bool_],
        corner: tuple[int, int],
        brighter: NDArray[np.float32],
        table: NDArray[np.uint8],
        threshold: float,
    ) -> _Patch | None:
        """The subject around (h, w) pixels of the halved picture at `corner`: up to where the whole picture differs by a good
        part of what its middle does."""
        height, width = seen.picture.shape[:2]
        left, top = max(2 * corner[0] - 2, 0), max(2 * corner[1] - 2, 0)
        right, bottom = (
            min(2 * (corner[0] + own.shape[1]) + 2, width),
            min(2 * (corner[1] + own.shape[0]) + 2, height),
        )
        near = own.astype(np.uint8)
        whole = np.zeros((bottom - top, right - left), np.uint8)
        doubled = cv2.resize(near, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        down, along = 2 * corner[1] - top, 2 * corner[0] - left
        doubled = doubled[: whole.shape[0] - down, : whole.shape[1] - along]
        whole[down : down + doubled.shape[0], along : along + doubled.shape[1]] = doubled
        part = (slice(top, bottom), slice(left, right))
        background = lit_like(_cut(self._background.picture, part, seen.shift), brighter)
        picture = seen.picture[part]
        difference = _largest(cv2.absdiff(picture, background))
        middle = difference[::2, ::2][whole[::2, ::2] > 0]
        if not len(middle):
            return None
        contrast = float(np.partition(middle, 3 * len(middle) // 4)[3 * len(middle) // 4])
        subject = (difference >= max(threshold, _RIM * contrast)) & (whole > 0)
        rows = np.flatnonzero(subject.sum(axis=1, dtype=np.uint16) > 1)
        columns = np.flatnonzero(subject.sum(axis=0, dtype=np.uint16) > 1)
        if not len(rows) or not len(columns):
            return None
        box = (left + columns[0], top + rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
        if box[2] * box[3] < _SPECK * height * width:
            return None
        here = (slice(rows[0], rows[-1] + 1, 2), slice(columns[0], columns[-1] + 1, 2))
        return _Patch(box, max(contrast, 1.0), _shades(picture[here], subject[here], table))


def _largest(difference: cv2.typing.MatLike) -> NDArray[np.uint8]:
    """(h, w) of (h, w, 3): what differs most of the three colors."""
    red, green, blue = cv2.split(difference)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _blank(difference: NDArray[np.uint8], shift: tuple[float, float]) -> None:
    """Where a picture that has moved shows what the background does not have, nothing differs."""
    right, down = (math.ceil(abs(each)) * (1 if each > 0 else -1) for each in shift)
    if right:
        difference[:, slice(0, right) if right > 0 else slice(right, None)] = 0
    if down:
        difference[slice(0, down) if down > 0 else slice(down, None)] = 0


def _cut(picture: Picture, part: tuple[slice, slice], shift: tuple[float, float]) -> Picture:
    """A part of (h, w, 3) after its content has moved right and down by `shift`."""
    if shift == (0.0, 0.0):
        return picture[part]
    rows, columns = part
    # The part's own corner is where the shift leads to from.
    matrix = np.array([[1, 0, shift[0] - columns.start], [0, 1, shift[1] - rows.start]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _without_shadow(inside: NDArray[np.bool_], picture: Picture, background: Picture) -> NDArray[np.bool_]:
    """(h, w) of a patch's pixels those that are not only the background, darker in every color alike; all of them where next to
    nothing would be left, since a grey subject is like a shadow."""
    ratio = (picture.astype(np.float32) + 1) / (background.astype(np.float32) + 1)
    red, green, blue = (ratio[..., color] for color in range(3))
    mean = (red + green + blue) / 3
    uneven = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    shadow = (mean > _SHADOW[0]) & (mean < _SHADOW[1]) & (uneven < _TINTED)
    own = cv2.morphologyEx((inside & ~shadow).astype(np.uint8), cv2.MORPH_OPEN, _CROSS).astype(np.bool_)
    return np.asarray(own if own.sum() >= _SUBJECT * inside.sum() else inside, np.bool_)


def _table(brighter: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(1, 256, 3): what each level adds to a pixel's color, one of 64, under the background's own light."""
    shade = np.minimum(np.arange(256)[:, None] / brighter * (_SHADES / 256), _SHADES - 1).astype(np.uint8)
    return np.ascontiguousarray((shade * np.array([_SHADES**2, _SHADES, 1], np.uint8))[None])


def _shades(pixels: Picture, subject: NDArray[np.bool_], table: NDArray[np.uint8]) -> Shades:
    """(h, w) which color each pixel has."""
    red, green, blue = cv2.split(cv2.LUT(np.ascontiguousarray(pixels), table))
    return np.where(subject, cv2.add(cv2.add(red, green), blue), np.uint8(NOT_IT)).astype(np.uint8)


def _looks(shades: Shades) -> NDArray[np.float32]:
    """(64,) float32 of length 1, so that a product of two is their Bhattacharyya coefficient."""
    counts = np.bincount(shades.ravel(), minlength=NOT_IT + 1)[: _SHADES**3]
    return np.asarray(np.sqrt(counts / max(counts.sum(), 1)), np.float32)

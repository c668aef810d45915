"""Finding what moves in front of a still background, whatever it is and without any weights.

A pixel counts when it differs from the background by more than noise does; a subject is a patch of such pixels with some that
differ clearly. Shadows are left out where they can be told from the subject: they darken every color alike (as in Prati et al.,
2003). What changes more than half of the picture is another view, or a light that no gain explains, and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.background import Background, Picture
from ml_backend.objects.boxes import Detections, clipped, in_shares

NAME = "object"

# In levels of 0..255: what differs by less is never seen; and in typical differences of the picture.
_LEAST, _NOISE = 12.0, 4.0
# Some pixel of a subject differs by so many times the threshold.
_CLEAR = 1.8
# The rim of a subject is where it differs by this share of what its middle does: half, since encoding blurs it.
_RIM = 0.4
# Patches below this share of the picture are specks; above the other, the picture says nothing.
_SPECK, _TOO_MUCH = 0.0004, 0.5
# How dark a shadow makes what it falls on, and how unlike in different colors.
_SHADOW = (0.45, 0.97)
_TINTED = 0.08
# Below this share of a patch, what is no shadow is noise, and the patch is a dark subject.
_SUBJECT = 0.12
# So many shades of each color tell what a subject looks like.
_SHADES = 4


@dataclass(frozen=True, eq=False)
class _Patch:
    """One subject's pixels. `box`: left, top, width, height in pixels. `contrast`: of its middle, in levels."""

    box: tuple[int, int, int, int]
    contrast: float
    looks: NDArray[np.float32]


class MotionDetector:
    """Detects by the difference to the video's own background; one for each video.

    All it finds is called `object`. `side`: the longer side of its pictures in pixels: larger ones find smaller subjects and
    take longer.
    """

    names = (NAME,)

    def __init__(self, side: int = 512, rate: float = 8.0, batch: int = 96) -> None:
        self.side, self.rate, self.batch = side, rate, batch
        self._background = Background()

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        aligned = self._background.align(pictures)
        self._background.learn(aligned)
        found = [self._in(each.picture, each.shift, each.valid) for each in aligned]
        if len(found) > 1 and sum(each is None for each in found) > len(found) / 2:
            # Another view: what was known of the one before does not help.
            self._background.forget()
            aligned = self._background.align(pictures)
            self._background.learn(aligned)
            found = [self._in(each.picture, each.shift, each.valid) for each in aligned]
        return [each if each is not None else Detections.none() for each in found]

    def _in(
        self, picture: Picture, shift: tuple[float, float], valid: tuple[slice, slice]
    ) -> Detections | None:
        """None when the picture says nothing."""
        height, width = picture.shape[:2]
        background = self._background.lit_as(picture)
        difference = _largest(cv2.absdiff(picture, background))
        outside = np.ones((height, width), np.bool_)
        outside[valid] = False
        if outside.any():
            difference[outside] = 0
        soft = np.asarray(cv2.blur(difference, (3, 3)), np.uint8)
        threshold = max(_LEAST, _NOISE * float(np.median(difference[::5, ::5])))
        mask = np.asarray(soft > threshold, np.uint8)
        if float(mask.mean()) > _TOO_MUCH:
            return None
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disk(3)), np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disk(7)), np.uint8)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        patches = []
        for number in range(1, count):
            left, top, wide, high, area = (int(each) for each in statistics[number])
            if area < _SPECK * height * width:
                continue
            part = (slice(top, top + high), slice(left, left + wide))
            inside = labels[part] == number
            if soft[part][inside].max() < _CLEAR * threshold:
                continue
            patch = _patch(picture[part], background[part], difference[part], inside, threshold, (left, top))
            if patch is not None and patch.box[2] * patch.box[3] >= _SPECK * height * width:
                patches.append(patch)
        if not patches:
            return Detections.none()
        boxes = np.array([patch.box for patch in patches], np.float64)
        boxes[:, :2] += shift
        scores = np.array([1 - threshold / max(patch.contrast, threshold) for patch in patches], np.float32)
        return Detections(
            clipped(in_shares(boxes, width, height)),
            np.maximum(scores, 0.01).astype(np.float32),
            (NAME,) * len(patches),
            np.stack([patch.looks for patch in patches]),
        )


def _largest(difference: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(h, w) of (h, w, 3): what differs most of the three colors."""
    red, green, blue = cv2.split(difference)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _disk(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _patch(
    picture: Picture,
    background: Picture,
    difference: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    threshold: float,
    corner: tuple[int, int],
) -> _Patch | None:
    """The subject in a patch: without its shadow, and up to where it differs by a good part of what its middle does."""
    own = inside & ~_shadow(picture, background)
    own = np.asarray(cv2.morphologyEx(own.astype(np.uint8), cv2.MORPH_OPEN, _disk(3)), np.bool_)
    if own.sum() < _SUBJECT * inside.sum():
        own = inside
    contrast = float(np.percentile(difference[own], 75))
    subject = own & (difference >= max(threshold, _RIM * contrast))
    rows, columns = np.flatnonzero(subject.sum(axis=1) > 1), np.flatnonzero(subject.sum(axis=0) > 1)
    if not len(rows) or not len(columns):
        return None
    left, top = corner
    box = (
        left + int(columns[0]),
        top + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    return _Patch(box, contrast, _looks(picture[subject]))


def _shadow(picture: Picture, background: Picture) -> NDArray[np.bool_]:
    """(h, w) where the picture is the background, but darker in every color alike."""
    ratio = (picture.astype(np.float32) + 1) / (background.astype(np.float32) + 1)
    mean = ratio.mean(axis=2)
    return np.asarray(
        (mean > _SHADOW[0]) & (mean < _SHADOW[1]) & (np.abs(ratio - mean[..., None]).max(axis=2) < _TINTED), np.bool_
    )


def _looks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(64,) float32 of length 1: the roots of the shares of colors, so that a product of two is their Bhattacharyya
    coefficient."""
    step = 256 // _SHADES
    red, green, blue = (pixels // step).astype(np.int64).T
    counts = np.bincount((red * _SHADES + green) * _SHADES + blue, minlength=_SHADES**3)
    return np.sqrt(counts / max(counts.sum(), 1)).astype(np.float32)

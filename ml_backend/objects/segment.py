"""Which pixels around a box are its subject's, by color alone: what has more of the subject's colors than of what is around it
(the histogram part of Bertinetto et al., Staple, 2016)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
# So many shades of each color; of one that makes up less than this share of the pixels nothing is known.
_SHADES, _UNSEEN = 16, 0.002
# How far around the box is looked at, in its own sizes.
AROUND = 0.6
# The subject is where its colors are likelier than not; a patch of less than this share of the box is not it.
_LIKELY, _LEAST = 0.55, 0.12
_ROUND = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), np.uint8)


class Colors:
    """The colors of one subject and those around it, which are followed slowly as they change."""

    def __init__(self, picture: Picture, box: NDArray[np.float64]) -> None:
        """`picture`: (h, w, 3) uint8 RGB; `box`: (4,) left, top, width, height in its pixels."""
        self._inside, self._around = _histograms(picture, box)

    def learn(self, picture: Picture, box: NDArray[np.float64], rate: float) -> None:
        """Takes over so much, 0..1, from a picture in which the subject is at `box`."""
        inside, around = _histograms(picture, box)
        self._inside += rate * (inside - self._inside)
        self._around += rate * (around - self._around)

    def extent(self, picture: Picture, box: NDArray[np.float64]) -> tuple[NDArray[np.float64], float] | None:
        """The box (4,) in pixels of the patch in the subject's colors that is nearest to `box`, and how sure its pixels are, 0..1;
        None when there is none."""
        part, corner = _window(picture, box, AROUND)
        if part.size == 0:
            return None
        likely = self._likely(part)
        mask = (likely > _LIKELY).astype(np.uint8)
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _ROUND), np.uint8)
        count, labels, statistics, centers = cv2.connectedComponentsWithStats(mask, connectivity=8)
        if count < 2:
            return None
        areas = statistics[1:, cv2.CC_STAT_AREA].astype(np.float64)
        away = np.hypot(*((centers[1:] + corner - box[:2] - box[2:] / 2) / np.maximum(box[2:], 1)).T)
        worth = areas * np.exp(-2 * np.square(away))
        if areas[worth.argmax()] < _LEAST * np.prod(box[2:]):
            return None
        number = int(worth.argmax()) + 1
        left, top, width, height = statistics[number, :4].tolist()
        found = np.array([left + corner[0], top + corner[1], width, height], np.float64)
        return found, float(likely[labels == number].mean())

    def _likely(self, part: Picture) -> NDArray[np.float32]:
        shades = _shades(part)
        share = (self._inside + _UNSEEN / 2) / (self._inside + self._around + _UNSEEN)
        return np.asarray(cv2.blur(share[shades].astype(np.float32), (3, 3)), np.float32)


def _histograms(picture: Picture, box: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(4096,) shares of the colors in the box, and of those around it."""
    part, corner = _window(picture, box, AROUND)
    shades = _shades(part)
    left, top = np.round(box[:2] - corner).astype(int).clip(0)
    right, bottom = np.round(box[:2] + box[2:] - corner).astype(int).clip(0)
    inside = np.zeros(shades.shape, np.bool_)
    inside[top:bottom, left:right] = True
    # The corners of a box are seldom its subject's: an ellipse inside of it counts.
    middle, half = (box[:2] + box[2:] / 2 - corner), np.maximum(box[2:] / 2, 1)
    y, x = np.mgrid[: shades.shape[0], : shades.shape[1]]
    core = np.square((x + 0.5 - middle[0]) / half[0]) + np.square((y + 0.5 - middle[1]) / half[1]) < 0.7
    own = np.bincount(shades[inside & core], minlength=_SHADES**3).astype(np.float64)
    others = np.bincount(shades[~inside], minlength=_SHADES**3).astype(np.float64)
    return own / max(own.sum(), 1), others / max(others.sum(), 1)


def _window(picture: Picture, box: NDArray[np.float64], around: float) -> tuple[Picture, NDArray[np.float64]]:
    """The part of a picture around a box, and its left upper corner."""
    height, width = picture.shape[:2]
    margin = np.maximum(box[2:] * around, 8)
    left, top = np.floor(box[:2] - margin).astype(int).clip(0, (width, height))
    right, bottom = np.ceil(box[:2] + box[2:] + margin).astype(int).clip(0, (width, height))
    return picture[top:bottom, left:right], np.array([left, top], np.float64)


def _shades(part: Picture) -> NDArray[np.int64]:
    red, green, blue = (part // (256 // _SHADES)).astype(np.int64).transpose(2, 0, 1)
    return np.asarray((red * _SHADES + green) * _SHADES + blue, np.int64)

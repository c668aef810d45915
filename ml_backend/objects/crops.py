"""Pictures of one object, spread over its track: what it looks like, at a better resolution than a detector is shown.

While a video is decoded nobody knows yet which boxes are one object's, so each piece of a track keeps some as it goes, encoded, and
ever sparser ones the longer it lasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.detector import Picture
from ml_backend.video.view import PICTURE

# Of one object, and of a second while it is looked for; and the longer side, in pixels, of the pictures that they are cut from.
MOST, SIDE = 16, 1024
CROPS_PER_SECOND = 1.0
# How much of a box's longer side is shown around it, on each side.
_MARGIN = 0.1
_QUALITY = 95
# Cuts as small as this show nothing.
_LEAST_PIXELS = 4.0


def crop(picture: Picture, box: NDArray[np.floating], side: int = PICTURE) -> Picture:
    """(side, side, 3) uint8: the square around `box` (4,), shares of the picture, of its longer side and a margin. What lies outside
    of the picture is its rim."""
    height, width = picture.shape[:2]
    left, top, wide, high = np.asarray(box, np.float64) * (width, height, width, height)
    half = max(wide, high, _LEAST_PIXELS) * (0.5 + _MARGIN)
    x, y = left + wide / 2, top + high / 2
    x0, y0, x1, y1 = round(x - half), round(y - half), round(x + half), round(y + half)
    inside = picture[max(y0, 0) : max(y1, 1), max(x0, 0) : max(x1, 1)]
    if inside.size == 0:
        inside = picture[-1:, -1:]
    above, below, before, behind = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
    square = cv2.copyMakeBorder(inside, above, below, before, behind, cv2.BORDER_REPLICATE)
    how = cv2.INTER_AREA if max(square.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)


class Crops:
    """Up to `MOST` pictures of one piece of a track, about evenly spread over those that it was offered."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._offered, self._every = 0, 1
        self._coarse = False

    def __len__(self) -> int:
        return len(self._kept)

    def offer(self, picture: Picture, box: NDArray[np.floating], *, coarse: bool = False) -> None:
        """Keeps what is in `box`, if its turn has come. `coarse`: of a small picture, which a better one takes the place of."""
        if coarse:
            if not self._kept:
                self._kept, self._coarse = [encoded(crop(picture, box))], True
            return
        if self._coarse:
            self._kept, self._coarse = [], False
        if self._offered % self._every == 0:
            self._kept.append(encoded(crop(picture, box)))
        self._offered += 1
        if len(self._kept) > MOST:
            self._kept, self._every = self._kept[::2], 2 * self._every

    @property
    def kept(self) -> tuple[bytes, ...]:
        return tuple(self._kept)


def encoded(picture: Picture) -> bytes:
    """As JPEG, of which a long video may have thousands."""
    done, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return content.tobytes()


def decoded(crops: Sequence[bytes], side: int = PICTURE) -> NDArray[np.uint8]:
    """(k, side, side, 3) uint8 RGB."""
    pictures = []
    for each in crops:
        picture = cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert picture is not None
        pictures.append(cv2.resize(picture, (side, side)) if picture.shape[0] != side else picture)
    return np.stack(pictures).astype(np.uint8) if pictures else np.empty((0, side, side, 3), np.uint8)


def spread(crops: Sequence[bytes]) -> tuple[bytes, ...]:
    """At most `MOST` of them, evenly spread."""
    if len(crops) <= MOST:
        return tuple(crops)
    return tuple(crops[at] for at in np.linspace(0, len(crops) - 1, MOST).round().astype(int))

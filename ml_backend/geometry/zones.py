"""Parts of the picture that somebody has named: rectangles and polygons, in percent of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.wording import cut

_FORM = (
    "Write NAME=left,top,width,height for a rectangle or NAME=x,y x,y x,y for a polygon, in percent of the picture, "
    'such as "nest=0,0,25,30".'
)


# Columns in seconds, which zones have too.
_COLUMNS = ("start", "end", "seen", "contact", "together")


@dataclass(frozen=True)
class Zone:
    """`corners`: at least three, (x, y) in percent of the picture; the last one is joined to the first."""

    name: str
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, text: str) -> Zone:
        """From `NAME=left,top,width,height` or `NAME=x,y x,y x,y`. Raises SettingsError."""
        name, equals, place = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise SettingsError(f"The zone “{cut(text)}” has no name.", _FORM)
        points = [_numbers(text, part) for part in place.replace(";", " ").split()]
        if len(points) == 1 and len(points[0]) == 4:
            left, top, width, height = points[0]
            if width <= 0 or height <= 0:
                raise SettingsError(f"The zone {name} has no area.", _FORM)
            right, bottom = left + width, top + height
            return cls(name, ((left, top), (right, top), (right, bottom), (left, bottom)))
        if len(points) < 3 or any(len(each) != 2 for each in points):
            raise SettingsError(f"The zone {name} is neither a rectangle nor a polygon.", _FORM)
        return cls(name, tuple((x, y) for x, y in points))

    @classmethod
    def parse_all(cls, texts: Iterable[str]) -> tuple[Zone, ...]:
        """Each with a name of its own, that is none of the columns that a table of tracks has anyway. Raises SettingsError."""
        zones = tuple(map(cls.parse, texts))
        names = [zone.name for zone in zones]
        if len(set(names)) < len(names):
            raise SettingsError("Two zones have the same name.", "Give each of them its own.")
        for name in names:
            if name in _COLUMNS:
                raise SettingsError(
                    f"A zone cannot be called {name}, since a column of the table is.", "Give it another name."
                )
        return zones

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether each of (n, 2) points, in percent, lies inside; by how often a ray from it crosses the edges."""
        x, y = points[:, 0], points[:, 1]
        inside = np.zeros(len(points), bool)
        for (x0, y0), (x1, y1) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if y0 == y1:
                continue
            between = (y0 > y) != (y1 > y)
            inside ^= between & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return inside


def _numbers(text: str, part: str) -> list[float]:
    try:
        found = [float(each) for each in part.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(each) and abs(each) <= 1000 for each in found):
        raise SettingsError(
            f"The zone “{cut(text)}” is not in percent of the picture: “{cut(part)}” is not numbers.", _FORM
        )
    return found

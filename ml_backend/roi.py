"""The region of interest: the part of a picture that is looked at, as Label Studio counts rectangles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_backend.wording import quoted

# What a task's data call it, and a project's extra params.
ROI = "roi"
# A side of less shows nothing that could be told apart.
LEAST = 2.0
_FORM = (
    "write [x, y, width, height] in percent of the picture, such as [25, 10, 50, 60], without the brackets in a table"
)
# Label Studio's rectangles end a little beyond the picture.
_SLACK = 0.5


class RoiError(ValueError):
    """`what` is wrong with a region, the rest of a sentence; `remedy`: what to write in its place."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: {_FORM}")
        self.what, self.remedy = what, _FORM


class RegionOfInterest(NamedTuple):
    """`x`, `y`: its left upper corner, `width`, `height`: its sides; in percent of the picture as it is shown, 0..100."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def parse(cls, value: object) -> RegionOfInterest:
        """From a list of four numbers, or a text with commas between them, as tables hold it. Raises RoiError."""
        parts: Any = value.strip(" []").split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or len(parts) != len(cls._fields) or any(map(_is_bool, parts)):
            raise RoiError(f"{quoted(value)} is not four numbers")
        try:
            x, y, width, height = (float(each) for each in parts)
        except (TypeError, ValueError, OverflowError):
            raise RoiError(f"{quoted(value)} is not four numbers") from None
        if not all(map(math.isfinite, (x, y, width, height))):
            raise RoiError(f"{quoted(value)} is not four numbers")
        if min(x, y) < 0 or x + width > 100 + _SLACK or y + height > 100 + _SLACK:
            raise RoiError(f"{quoted(value)} reaches beyond the picture")
        if min(width, height) < LEAST:
            raise RoiError(f"{quoted(value)} is less than {LEAST:g} percent wide or high")
        # Of -0 the key would hold a minus sign.
        return cls(abs(x), abs(y), min(width, 100 - x), min(height, 100 - y))

    @property
    def is_whole(self) -> bool:
        """Whether it leaves nothing out."""
        return self == (0, 0, 100, 100)

    @property
    def key(self) -> str:
        """What tells it from others, to a hundredth of a percent; made of digits, points and plus signs."""
        return "".join(f"+{round(each, 2):g}" for each in self)


def roi_of(data: Mapping[str, Any]) -> RegionOfInterest | None:
    """What a task's data say of it; None where they say nothing. Raises RoiError."""
    value = data.get(ROI)
    return None if value is None or value == "" else RegionOfInterest.parse(value)


def usable_roi(data: Mapping[str, Any]) -> RegionOfInterest | None:
    """The same, and None where it cannot be understood."""
    try:
        return roi_of(data)
    except RoiError:
        return None


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)

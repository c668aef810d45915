"""How a backbone is shown a video: which part of each picture, and how large."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ml_backend.roi import RegionOfInterest

# Part of the features' cache key: another scaler changes about one label in sixty.
SCALER = "fastbilinear-rgb"
# The usual side of what a network is shown, and that of what motion is measured in.
PICTURE = 160
GREY = 64

_KEY = re.compile(rf"-(\d+)((?:\+[\d.]+){{4}})?-{SCALER}(?=-)")


@dataclass(frozen=True)
class View:
    """`side`: of the square that the network sees, in pixels. `roi`: the part that is scaled to it, None for all."""

    side: int = PICTURE
    roi: RegionOfInterest | None = None

    @property
    def key(self) -> str:
        """Part of a backbone's key."""
        return f"{self.side}{self.part}"

    @property
    def part(self) -> str:
        """The `key` of the region of interest, empty for the whole picture."""
        return self.roi.key if self.roi else ""

    def at(self, roi: RegionOfInterest | None) -> View:
        """The same of this part."""
        return replace(self, roi=None if roi is None or roi.is_whole else roi)


WHOLE = View()


def view_in(key: str) -> str | None:
    """The `key` of the view in a backbone's key, or in the name of a file that is called by it."""
    found = _KEY.search(key)
    return found[1] + (found[2] or "") if found else None


def part_in(key: str) -> str:
    """The same of its `part`."""
    found = _KEY.search(key)
    return (found[2] or "") if found else ""


def with_view(key: str, view: View) -> str:
    """A backbone's key with another view in it."""
    return _KEY.sub(f"-{view.key}-{SCALER}", key, count=1)

"""When and where a video was taken, as cameras and phones write it into the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ml_backend.video.container import open_video

_TIMES = ("com.apple.quicktime.creationdate", "creation_time")
_PLACES = ("com.apple.quicktime.location.ISO6709", "location", "location-eng")
# A camera without a clock writes the zero of MP4 (1904) or of Unix.
_EARLIEST = 1980
# ISO 6709, annex H: latitude, longitude and perhaps an altitude in metres.
_PLACE = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")


@dataclass(frozen=True)
class Taken:
    """`recorded`: when the first frame was, in UTC. `latitude` in -90..90 and `longitude` in -180..180 degrees,
    `altitude` in metres; None for what the file does not say."""

    recorded: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None


def read_taken(path: Path) -> Taken:
    """Raises VideoUnreadable."""
    with open_video(path) as (container, stream):
        return taken({**stream.metadata, **container.metadata})


def taken(tags: Mapping[str, str]) -> Taken:
    """From a container's tags, whatever their case."""
    found = {name.lower(): value for name, value in tags.items()}
    times = (_time(found[name.lower()]) for name in _TIMES if name.lower() in found)
    places = (_place(found[name.lower()]) for name in _PLACES if name.lower() in found)
    place = next((place for place in places if place), None)
    return Taken(next((time for time in times if time), None), *(place or (None, None, None)))


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year >= _EARLIEST else None


def _place(text: str) -> tuple[float, float, float | None] | None:
    match = _PLACE.match(text.strip())
    if match is None:
        return None
    latitude, longitude = _degrees(match[1], 2), _degrees(match[2], 3)
    # What has no fix yet says 0, 0.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    return latitude, longitude, float(match[3]) if match[3] else None


def _degrees(text: str, digits: int) -> float:
    """`+DD.D`, `+DDMM.M` or `+DDMMSS.S`, `digits` being those of the degrees."""
    whole, _, part = text[1:].partition(".")
    fraction = float(f"0.{part or 0}")
    parts = [int(whole[:digits]), *(int(whole[at : at + 2]) for at in range(digits, len(whole), 2))]
    value = sum((number + (fraction if at == len(parts) - 1 else 0)) / 60**at for at, number in enumerate(parts))
    return round(float(-value if text[0] == "-" else value), 7)

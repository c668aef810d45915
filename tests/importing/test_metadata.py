"""When and where a video was taken, whatever way a camera writes it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from footage import Film

from ml_backend.importing.origins import Taken, read_taken, taken


@pytest.mark.parametrize(
    ("text", "latitude", "longitude", "altitude"),
    [
        ("+51.4988-000.1749/", 51.4988, -0.1749, None),
        ("+27.5916+086.5640+8850.0/", 27.5916, 86.564, 8850),
        ("-3352.30+15112.60/", -33.8716667, 151.21, None),
        ("+404512.5-0735912/", 40.7534722, -73.9866667, None),
    ],
)
def test_iso_6709_in_degrees_minutes_or_seconds(
    text: str, latitude: float, longitude: float, altitude: float | None
) -> None:
    found = taken({"com.apple.quicktime.location.ISO6709": text})
    assert (found.latitude, found.longitude, found.altitude) == (latitude, longitude, altitude)


@pytest.mark.parametrize("text", ["", "London", "+00.0000+000.0000/", "+99.0+010.0/", "+10.0+190.0/"])
def test_no_place_is_made_up(text: str) -> None:
    assert taken({"location": text}) == Taken()


@pytest.mark.parametrize("text", ["1904-01-01T00:00:00.000000Z", "1970-01-01T00:00:00Z", "soon"])
def test_nor_a_time_from_a_camera_without_a_clock(text: str) -> None:
    assert taken({"creation_time": text}) == Taken()


def test_the_time_of_the_place_wins_over_that_of_the_file() -> None:
    tags = {"creation_time": "2026-05-02T10:00:00Z", "com.apple.quicktime.creationdate": "2026-05-01T20:30:00+0200"}
    assert taken(tags).recorded == datetime(2026, 5, 1, 18, 30, tzinfo=UTC)


def test_it_is_read_from_a_file(film: Film) -> None:
    tags = {"creation_time": "2026-05-01T20:30:00Z", "com.apple.quicktime.location.ISO6709": "+51.4988-000.1749/"}
    path = film("a.mov", seconds=0.2, tags=tags)
    assert read_taken(path) == Taken(datetime(2026, 5, 1, 20, 30, tzinfo=UTC), 51.4988, -0.1749)

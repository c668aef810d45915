"""Where videos were taken, drawn without a network; and which data of a task say so."""

from __future__ import annotations

import re
from typing import Any

import dashboard_scene as scene
import pytest
from dashboard_html import client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.labelstudio.task_data import place_in
from ml_backend.projects import playback
from ml_backend.server.dashboard.map_page import Place, degrees, drawing
from ml_backend.settings import Settings

__all__ = ["client", "settings"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"latitude": 48.1, "longitude": -11}, (48.1, -11)),
        ({"Lat": " 48.1 ", "LON": "11"}, (48.1, 11)),
        ({"lat": "48,1", "lng": "11,5"}, (48.1, 11.5)),
        ({"location": {"latitude": 1, "longitude": 2}}, (1, 2)),
        ({"meta": {"gps_latitude": 1, "gps_longitude": 2}}, (1, 2)),
        ({"latitude": 0, "longitude": 0}, (0, 0)),
        ({"latitude": 48.1}, None),
        ({"latitude": 91, "longitude": 2}, None),
        ({"latitude": 1, "longitude": 181}, None),
        ({"latitude": "nan", "longitude": 2}, None),
        ({"latitude": "48°N", "longitude": 2}, None),
        ({"latitude": True, "longitude": 2}, None),
        ({"latitude": [1], "longitude": {}}, None),
        ({"location": "here", 5: 3}, None),
        ({"latitude": 10**400, "longitude": 2}, None),
    ],
)
def test_a_task_says_where_its_video_was_taken(data: dict[Any, Any], place: tuple[float, float] | None) -> None:
    assert place_in(data) == place


def centers(places: list[Place], client: FlaskClient) -> dict[str, tuple[float, float]]:
    """Where the dot of each place is drawn, by the task that it names."""
    with client.application.test_request_context():
        drawn = drawing(places, 7)
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)".*?><title>Task (\d+)', drawn)
    return {task: (float(x), float(y)) for x, y, task in found}


def test_north_is_up_and_east_is_right_and_what_is_far_apart_stays_so(client: FlaskClient) -> None:
    at = centers([Place(1, 48.0, 11.0, False), Place(2, 49.0, 11.0, False), Place(3, 48.0, 12.0, False)], client)
    assert at["2"][1] < at["1"][1]
    assert at["3"][0] > at["1"][0]
    # A degree of longitude is shorter there: cos(48.5 degrees).
    assert (at["3"][0] - at["1"][0]) / (at["1"][1] - at["2"][1]) == pytest.approx(0.663, abs=0.01)


def test_neighbors_across_the_date_line_are_neighbors(client: FlaskClient) -> None:
    at = centers([Place(1, -17.0, 179.5, False), Place(2, -17.0, -179.5, False), Place(3, -17.5, 179.9, False)], client)
    assert at["1"][0] < at["3"][0] < at["2"][0]


def test_the_poles_and_a_single_place_can_be_drawn(client: FlaskClient) -> None:
    assert len(centers([Place(1, 90.0, 0.0, False), Place(2, -90.0, 0.0, False)], client)) == 2
    assert len(centers([Place(1, 90.0, 180.0, False)], client)) == 1


def test_those_that_lie_on_each_other_are_one_dot_that_says_how_many(
    client: FlaskClient, redis: Redis, settings: Settings
) -> None:
    scene.open_project(settings, redis)
    found = page(client, "/dashboard/projects/7/map")
    named = [link["aria-label"] for link in found.all("a") if str(link.get("aria-label")).startswith("Task ")]
    assert sorted(map(str, named)) == ["Task 1, 2: 2 of 2 labeled", "Task 3: 0 of 1 labeled"]
    assert "48.1300° N" in found.text
    assert "/dashboard/projects/7/map" in [
        link["href"] for link in page(client, "/dashboard/projects/7/videos").all("a")
    ]


def test_without_any_it_says_what_to_do(client: FlaskClient, redis: Redis, settings: Settings) -> None:
    scene.open_project(settings, redis)
    playback.delete(settings.data_dir, scene.P, {1, 2, 3, 4})
    assert "latitude and longitude" in page(client, "/dashboard/projects/7/map").text
    assert "/dashboard/projects/7/map" not in [
        link["href"] for link in page(client, "/dashboard/projects/7/videos").all("a")
    ]


def test_degrees_are_read_as_people_write_them() -> None:
    assert degrees(-33.5, "NS", 0.5) == "33.5° S"
    assert degrees(10, "EW", 5) == "10° E"

"""Where the objects of a video went: drawn, counted, and as a file."""

from __future__ import annotations

import csv
import io
import math

import boxed_scene
import pytest
from dashboard_html import client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import task_view, tracks
from ml_backend.projects.task_view import ContactSheet
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.settings import Settings

__all__ = ["client", "settings"]

PATHS = "/dashboard/projects/6/videos/1/paths"


@pytest.fixture(autouse=True)
def boxed(redis: Redis, settings: Settings) -> None:
    boxed_scene.open_boxes(settings, redis)


def table(client: FlaskClient, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"{PATHS}.csv?{query}")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_peoples_paths_come_first_and_the_models_when_they_are_asked_for(client: FlaskClient) -> None:
    assert [(row["track"], row["whose"]) for row in table(client)] == [("mouse 1", "Ada Lovelace")]
    assert [(row["track"], row["whose"]) for row in table(client, "whose=model")] == [
        ("mouse 1", "the model"),
        ("Object 2", "the model"),
    ]


def test_the_numbers_are_those_of_the_circle_that_it_walked(client: FlaskClient) -> None:
    # An ellipse with half axes of 25 % of the width and 30 % of the height, on a floor 80 cm wide; Ramanujan's circumference.
    a, b = 0.25 * 80, 0.30 * 80 * 9 / 16
    around = math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b)))
    mouse, _ = table(client, "whose=model&cm=80&zones=left%3D0,0,50,100")
    assert float(mouse["distance_cm"]) == pytest.approx(around, rel=0.02)
    assert float(mouse["seen_s"]) == 12
    # Its center is left of the middle of the picture for the same share of its angle as of the time.
    assert float(mouse["left_s"]) == pytest.approx(12 * 0.5, abs=0.15)
    assert (mouse["left_visits"], mouse["contacts"]) == ("1", "1")


def test_the_page_draws_each_and_shows_the_same_numbers(client: FlaskClient) -> None:
    found = page(client, f"{PATHS}?whose=model&cm=80&bin=4")
    pictures = [str(chart.get("aria-label")) for chart in found.all("svg") if chart.get("class") == "chart paths"]
    assert pictures[0].startswith("Paths. mouse 1 went ")
    assert pictures[1].startswith("Presence. the largest square is ")
    # Three pieces, each with a dark line behind it.
    lines = [line for line in found.all("polyline") if line.get("stroke")]
    assert len(lines) == 3
    assert len({(line["stroke"], line.get("stroke-dasharray")) for line in lines}) == 2, (
        "no color alone tells them apart"
    )
    for row in table(client, "whose=model&cm=80&bin=4"):
        assert row["distance_cm"] in found.text
    assert [str(link["href"]) for link in found.all("a") if ".csv" in str(link.get("href"))] == [
        f"{PATHS}.csv?whose=model&cm=80&bin=4"
    ]


def test_there_is_a_picture_behind_them_once_there_are_some(client: FlaskClient, settings: Settings) -> None:
    assert page(client, PATHS).all("image") == []
    task_view.save_sheet(
        settings.data_dir, boxed_scene.BOXED, 1, ContactSheet((1, 100, 160, 290), 0, 2, 320, 180), b"a JPEG"
    )
    found = page(client, PATHS)
    [image] = found.all("image")
    assert str(image["href"]).endswith("/sheet.jpg")
    # Of frame 160, which is nearest to the middle: the third.
    assert "0 180 320 180" in [chart.get("viewbox") for chart in found.all("svg")]


def test_zones_are_drawn_and_what_is_none_is_told(client: FlaskClient) -> None:
    assert len(page(client, f"{PATHS}?zones=nest%3D0,0,30,40%0Aarm%3D50,30 95,30 70,90").all("polygon")) == 2
    for zones, why in (("nest", "has no name"), ("a%3D0,0,9,9%0Aa%3D0,0,8,8", "same name")):
        answer = client.get(f"{PATHS}?zones={zones}")
        assert answer.status_code == 400
        assert why in answer.text


@pytest.mark.parametrize("query", ["cm=-4&bin=0&contact=nan", "cm=x&bin=1e-9", "whose=nobody"])
def test_a_form_that_makes_no_sense_is_as_if_it_were_empty(client: FlaskClient, query: str) -> None:
    assert len(table(client, query)) <= 501
    assert "Distance widths" in page(client, f"{PATHS}?{query}").text


def test_many_and_long_tracks_do_not_hold_up_the_page(client: FlaskClient, settings: Settings) -> None:
    keys = ((1, 10.0, 10.0, 5.0, 5.0, True), (90_000, 80.0, 60.0, 5.0, 5.0, False))
    many = tuple(StoredTrack(number, "box", keys, 0.5) for number in range(1, 31))
    lengths = {"box": (90_000, 3600.0, 25.0)}
    task_view.delete(settings.data_dir, boxed_scene.BOXED, 1)
    tracks.save(settings.data_dir, boxed_scene.BOXED, 1, StoredTracks(tracks=many, lengths=lengths))
    text = page(client, f"{PATHS}?whose=model").text
    assert "26 more tracks are left out" in text
    assert "coldblitz stats 6 --tracks" in text


def test_a_video_without_tracks_says_so(client: FlaskClient) -> None:
    assert "No object is tracked in this video yet." in page(client, PATHS.replace("videos/1", "videos/5")).text
    assert client.get(f"{PATHS.replace('videos/1', 'videos/5')}.csv").text == ""

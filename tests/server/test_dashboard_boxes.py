"""The dashboard of a project that only asks for boxes."""

from __future__ import annotations

from dataclasses import replace

import boxed_scene
import dashboard_scene as scene
import pytest
from dashboard_html import at_work, client, page, settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.cards.detector_card import DetectorCard, DetectorFigures
from ml_backend.projects import detector_versions, registry, track_faults, track_questions, tracks
from ml_backend.projects.detector_versions import DetectorReport
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks
from ml_backend.settings import Settings

__all__ = ["at_work", "client", "settings"]

BOXES = """<View><Labels name="who" toName="v"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="v"/>
  <Video name="v" value="$video"/></View>"""


@pytest.mark.parametrize("path", ["videos", "videos/1", "models", "models/cold-v3", "quality", "export", "settings"])
def test_every_page_of_it_can_be_read(client: FlaskClient, redis: Redis, at_work: None, path: str) -> None:
    known = registry.recall(redis, scene.P)
    assert known is not None
    registry.remember(redis, replace(known, label_config=BOXES))
    text = page(client, f"/dashboard/projects/7/{path}").text
    if path == "settings":
        assert "box: boxes, 1 label; tracks are predicted by the detector motion." in text


def test_a_videos_page_says_how_many_tracks_there_are_or_why_there_are_none(
    client: FlaskClient, settings: Settings, at_work: None
) -> None:
    def said(stored: StoredTracks) -> str:
        tracks.save(settings.data_dir, scene.P, 1, stored)
        return str(page(client, "/dashboard/projects/7/videos/1").text)

    one = StoredTrack(1, "box", ((1, 0.0, 0.0, 5.0, 5.0, False),), 0.5)
    assert "1 object is tracked in this video" in said(StoredTracks(tracks=(one, replace(one, replaced=True))))
    assert "2 objects are tracked" in said(StoredTracks(tracks=(one, replace(one, number=2))))
    assert "No object was found" in said(StoredTracks())
    assert "Task 1 has no tracks: why." in said(StoredTracks(Made(problem="Task 1 has no tracks: why.")))


@pytest.fixture
def boxed(redis: Redis, settings: Settings) -> None:
    boxed_scene.open_boxes(settings, redis)


class TestLanes:
    def test_each_track_is_a_lane_that_says_whose_it_is_and_when_it_has_a_box(
        self, client: FlaskClient, boxed: None
    ) -> None:
        found = page(client, "/dashboard/projects/6/videos/1")
        pictures = [
            str(chart.get("aria-label")) for chart in found.all("svg") if chart.get("class") == "chart timeline"
        ]
        assert pictures == [
            "mouse 1 (Ada Lovelace). 1 stretch in 300 frames",
            "rat (Ada Lovelace). 1 stretch in 300 frames",
            "mouse 1 (the model). 1 stretch in 300 frames, 91 % sure",
            "Object 2 (the model). 2 stretches in 300 frames, 64 % sure",
        ]
        assert "Object 2, the model: frames 180 to 260 at 0:07.16, 64 % sure" in found.text
        # One drawn box says where the object is at one frame.
        assert "rat, Ada Lovelace: frame 120 at 0:04.76" in found.text
        colours = [str(bar["fill"]) for bar in found.all("rect") if "shape" not in bar and "fill" in bar]
        assert "#D55E00" in colours
        assert "Least confident segments" not in found.text, "nothing is learned from boxes"

    def test_a_track_of_very_many_key_frames_is_drawn_with_fewer(
        self, client: FlaskClient, settings: Settings, boxed: None
    ) -> None:
        keys = tuple((frame, frame % 90 + 0.5, 10.0, 5.0, 5.0, frame % 30_000 != 0) for frame in range(1, 100_001))
        long = StoredTrack(1, "box", keys, 0.5)
        tracks.save(
            settings.data_dir,
            boxed_scene.BOXED,
            1,
            StoredTracks(tracks=(long,), lengths={"box": (100_001, 4000.0, 25.0)}),
        )
        drawn = client.get("/dashboard/projects/6/videos/1/tracks.json").json
        assert drawn is not None
        [_, _, track] = drawn["tracks"]
        assert 1900 < len(track["keys"]) < 2100
        assert {30_000, 60_000, 90_000} <= {key[0] for key in track["keys"]}, "where it goes out of sight"
        assert page(client, "/dashboard/projects/6/videos/1").text

    def test_a_video_of_which_nothing_but_tracks_is_known_has_a_page(
        self, client: FlaskClient, redis: Redis, settings: Settings
    ) -> None:
        registry.remember(redis, registry.Known(boxed_scene.BOXED, boxed_scene.BOXES, {}))
        one = StoredTrack(1, "box", ((1, 0.0, 0.0, 5.0, 5.0, True), (50, 50.0, 0.0, 5.0, 5.0, False)), 0.5)
        tracks.save(
            settings.data_dir, boxed_scene.BOXED, 3, StoredTracks(tracks=(one,), lengths={"box": (80, 3.2, 25.0)})
        )
        assert "80 frames" in page(client, "/dashboard/projects/6/videos/3").text


def test_tracks_that_are_probably_wrong_are_listed_and_none_is_said_to_be_none(
    client: FlaskClient, settings: Settings, boxed: None
) -> None:
    text = page(client, "/dashboard/projects/6/quality").text
    assert "Most doubtful first, 1 of 1" in text
    assert "It jumps by 3.1 times its own length" in text
    assert "Where labels come from" not in text
    track_faults.save(settings.data_dir, boxed_scene.BOXED, 1, "model", [])
    assert "No track looks wrong." in page(client, "/dashboard/projects/6/quality").text


def test_boxes_worth_a_look_are_listed_with_their_moment_until_the_task_is_answered(
    client: FlaskClient, settings: Settings, boxed: None
) -> None:
    found = page(client, "/dashboard/projects/6/videos")
    assert "Boxes worth a look" in found.text
    assert "draw a box around the other one here" in found.text
    assert "/dashboard/projects/6/videos/1?frame=180#time" in [str(each.get("href")) for each in found.all("a")]
    track_questions.close(settings.data_dir, boxed_scene.BOXED, 1)
    assert "Boxes worth a look" not in page(client, "/dashboard/projects/6/videos").text


def test_a_detector_that_learns_has_its_versions_and_what_it_learns_from_on_the_pages_and_as_json(
    client: FlaskClient, redis: Redis, settings: Settings, at_work: None
) -> None:
    empty = client.get("/detectors?project=7").get_json()
    assert empty == {"detectors": [], "active": None, "report": None}
    known = registry.recall(redis, scene.P)
    assert known is not None
    registry.remember(redis, replace(known, label_config=BOXES, extra_params={"detector": "train"}))
    report = DetectorReport(2, 1, 4, 9, "Needed to train the detector: 2 more videos with submitted boxes.")
    detector_versions.save_report(settings.data_dir, scene.P, report)
    for path in ("/", "/dashboard/projects/7/models"):
        assert "2 more videos with submitted boxes" in page(client, path).text
    figures = DetectorFigures("detector-v1", 0.91, 0.52, 0.77), DetectorFigures("motion", 0.12, 0.05, 0.33)
    curve = tuple({"epoch": n, "train_loss": 1.0 / n, "validation_ap50": n / 3, "validation_ap": n / 5} for n in (1, 2))

    def card(name: str) -> DetectorCard:
        made = DetectorCard(name, "small", ("mouse",), 320, 0.4, "", "2026-02-01T12:00:00+00:00", name != "detector-v2")
        return replace(made, figures=figures[0], against=figures[1], curve=curve, started="random weights")

    for _ in range(2):
        detector_versions.save(settings.data_dir, scene.P, card, b"weights")
    text = page(client, "/dashboard/projects/7/models").text
    assert all(said in text for said in ("detector-v1", "detector-v2 not used", "0.910 (0.120)", "random weights"))
    told = client.get("/detectors?project=7").get_json()
    assert [(each["name"], each["active"]) for each in told["detectors"]] == [
        ("detector-v1", True),
        ("detector-v2", False),
    ]
    assert (told["active"], told["report"]["videos"]) == ("detector-v1", 2)
    assert told["detectors"][0]["against"]["hota"] == 0.33

"""`coldblitz stats --tracks`: numbers of tracks that were found in a drawn scene, against its truth, and of what people submitted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import serving
from studio import Studio
from typer.testing import CliRunner, Result

from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH, Filmed, Scene, film
from ml_backend.cli import app
from ml_backend.geometry.trajectory import Trajectory
from ml_backend.labelstudio.box_track import KeyFrame, Track
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import track_items
from ml_backend.objects.finder import find_tracks
from ml_backend.objects.keyframes import thin
from ml_backend.objects.motion import MotionDetector
from ml_backend.video.timeline import StudioFrame, read_timeline, studio_grid

CONFIG = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/><Label value="rat"/></Labels>'
    '<VideoRectangle name="box" toName="film"/><Video name="film" value="$video" framerate="25"/></View>'
)
QUESTION = parse_label_config(CONFIG).tracks[0]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return film(Scene("two", 2, seconds=12, seed=3), tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def found(scene: Filmed) -> list[dict[str, Any]]:
    """The items of what is found in it."""
    timeline = read_timeline(scene.path)
    tracks = []
    for each in find_tracks(scene.path, timeline, MotionDetector()):
        keys = (
            KeyFrame(StudioFrame(key.frame + 1), *(100 * float(side) for side in key.box), enabled=key.enabled)
            for key in thin(each.frames, each.boxes)
        )
        tracks.append(Track(f"coldblitz-track-{each.number}", tuple(keys), (), each.score))
    return track_items(tracks, QUESTION, studio_grid(timeline, RATE))


@pytest.fixture
def studio(scene: Filmed, found: list[dict[str, Any]]) -> Studio:
    made = Studio()
    assert made.project is not None
    made.project |= {"label_config": CONFIG, "model_version": "keyframes-v1"}
    made.users = [{"id": 3, "first_name": "Ada", "last_name": "", "email": "ada@example.org"}]
    made.add_task(1, scene.path)
    made.predictions.append({"id": 1, "task": 1, "model_version": "keyframes-v1", "score": 0.5, "result": found})
    return made


@pytest.fixture
def environment(studio: Studio, tmp_path: Path) -> Iterator[dict[str, str]]:
    with serving(studio) as url:
        yield {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": "the-token", "DATA_DIR": str(tmp_path / "data")}


def stats(environment: dict[str, str], *words: str) -> Result:
    done = CliRunner().invoke(app, ["stats", "7", "--tracks", *words], env=environment)
    assert done.exit_code == 0, f"{done.output} {done.exception!r}"
    return done


def rows(environment: dict[str, str], *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stats(environment, "--json", *words).stdout)
    return found


def submit(studio: Studio, result: list[dict[str, Any]]) -> None:
    annotation = {"id": 1, "result": result, "updated_at": "2026-02-01T12:00:00Z", "completed_by": 3}
    studio.tasks[1]["annotations"] = [annotation]


def true_ways(scene: Filmed) -> list[Trajectory]:
    return [
        Trajectory.of(f"{each.number}", each.frames + 1, 100.0 * each.boxes, RATE, WIDTH / HEIGHT)
        for each in scene.truth
    ]


def test_found_tracks_give_the_numbers_of_the_truth(environment: dict[str, str], scene: Filmed) -> None:
    told = rows(environment, "--zone", "left=0,0,50,100", "--zone", "middle=30,30 70,30 70,70 30,70")
    assert [(row["source"], row["task"], row["annotator"]) for row in told] == [("model", 1, None)] * 2
    truth = true_ways(scene)
    # Which is which: whoever begins nearer.
    for way in truth:
        row = min(told, key=lambda each: abs(each["left_s"] - _inside(way, 0, 50, 0, 100)))
        assert row["distance_widths"] == pytest.approx(way.distance(0, 12), rel=0.06)
        assert row["top_speed_widths_per_s"] == pytest.approx(way.top_speed(0, 12), rel=0.15)
        assert row["left_s"] == pytest.approx(_inside(way, 0, 50, 0, 100), abs=0.4)
        assert row["middle_s"] == pytest.approx(_inside(way, 30, 70, 30, 70), abs=0.4)
        assert row["seen_s"] == pytest.approx(12, abs=0.3)


def _inside(way: Trajectory, left: float, right: float, top: float, bottom: float) -> float:
    x, y = 100 * way.centers[:, 0], 100 * way.centers[:, 1] * WIDTH / HEIGHT
    return float(((x > left) & (x < right) & (y > top) & (y < bottom)).sum() / RATE)


def test_a_scale_turns_widths_into_centimeters(environment: dict[str, str]) -> None:
    widths, centimeters = rows(environment), rows(environment, "--cm-per-width", "80")
    for one, other in zip(widths, centimeters, strict=True):
        assert other["distance_cm"] == pytest.approx(80 * one["distance_widths"], abs=0.01)
        assert "distance_widths" not in other


def test_parts_of_the_video_are_written_to_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "tracks.csv"
    assert "6 rows" in stats(environment, "--bin", "5", "-o", str(file)).stdout
    with file.open() as read:
        written = list(csv.DictReader(read))
    assert [(row["track"], row["start_s"], row["end_s"]) for row in written] == [
        (track, start, end)
        for track in ("1", "2")
        for start, end in (("0.0", "5.0"), ("5.0", "10.0"), ("10.0", "12.0"))
    ]
    refused = CliRunner().invoke(app, ["stats", "7", "--tracks", "-o", str(file)], env=environment)
    assert "already exists" in str(refused.exception)


def test_pairs_have_a_row_for_each_two(environment: dict[str, str], scene: Filmed) -> None:
    [pair] = rows(environment, "--pairs", "--contact", "3")
    one, other = true_ways(scene)
    apart = np.linalg.norm(one.centers - other.centers, axis=1)
    near = float((apart < 1.5 * (one.length + other.length)).sum() / RATE)
    assert (pair["track"], pair["other_track"]) == ("1", "2")
    assert pair["mean_distance_widths"] == pytest.approx(apart.mean(), rel=0.05)
    assert pair["contact_s"] == pytest.approx(near, abs=0.5)


def test_what_a_person_submitted_counts_in_place_of_what_was_predicted(
    environment: dict[str, str], studio: Studio, found: list[dict[str, Any]]
) -> None:
    submit(studio, [{**found[0], "value": {**found[0]["value"], "labels": ["rat"]}}])
    [row] = rows(environment)
    assert (row["source"], row["annotator"], row["track"], row["label"]) == ("human", "Ada", "1", "rat")
    assert [each["source"] for each in rows(environment, "--source", "model")] == ["model", "model"]
    assert len(rows(environment, "--source", "human")) == 1


def test_one_drawn_box_is_no_track(environment: dict[str, str], studio: Studio, found: list[dict[str, Any]]) -> None:
    [key, *_] = found[0]["value"]["sequence"]
    drawn = {
        **found[0],
        "id": "mine",
        "origin": "manual",
        "value": {"labels": ["rat"], "sequence": [{**key, "enabled": True}]},
    }
    submit(studio, [drawn])
    assert [row["source"] for row in rows(environment)] == ["model", "model"]
    assert rows(environment, "--source", "human") == []


def test_what_cannot_be_read_is_told_and_the_rest_counted(
    environment: dict[str, str], studio: Studio, found: list[dict[str, Any]]
) -> None:
    studio.predictions[0]["result"] = [{**found[0], "value": {"sequence": []}}, found[1]]
    studio.add_task(2)
    studio.files["2.mp4"] = Path(__file__)
    studio.predictions.append({"id": 2, "task": 2, "model_version": "keyframes-v1", "result": found})
    done = stats(environment)
    assert "it has no key frames" in done.stderr
    assert "Task 2 is left out" in done.stderr
    assert done.stdout.splitlines()[-1].split()[:3] == ["1", "model", "2"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--tracks", "--geo", "x.geojson"], "two questions"),
        (["--bin", "5"], "about tracks"),
        (["--tracks", "--zone", "nest"], "has no name"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(words: list[str], why: str) -> None:
    done = CliRunner().invoke(app, ["stats", "7", *words], env={"LABEL_STUDIO_URL": "http://127.0.0.1:9"})
    assert done.exit_code == 1
    assert why in str(done.exception)


def test_a_project_without_boxes_has_none(environment: dict[str, str], studio: Studio) -> None:
    assert studio.project is not None
    studio.project["label_config"] = (
        '<View><TimelineLabels name="t" toName="v"><Label value="a"/></TimelineLabels><Video name="v" value="$video"/></View>'
    )
    done = CliRunner().invoke(app, ["stats", "7", "--tracks"], env=environment)
    assert "asks for no boxes" in str(done.exception)

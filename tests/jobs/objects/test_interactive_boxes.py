"""A box that is drawn while Label Studio asks for interactive pre-annotations: the track of its object comes at once where it is
known, else the box is followed and its track is there the next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from asking import ask
from known_project import queued
from redis import Redis
from studio import KEY, Studio

from benchmarks.objects.scenes import Filmed, Scene, film
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.track import track
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import iou
from ml_backend.projects import drawn_boxes
from ml_backend.server.app import create_app

CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/></TimelineLabels>'
    '<Labels name="who" toName="film"><Label value="mouse"/><Label value="rat"/></Labels>'
    '<VideoRectangle name="box" toName="film"/><Video name="film" value="$video" framerate="25"/></View>'
)
QUESTION = parse_label_config(CONFIG).tracks[0]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return film(Scene("two", 2, seconds=6, crossing=True, seed=2), tmp_path_factory.mktemp("scene"))


@pytest.fixture
def studio(scene: Filmed) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    studio.add_task(1, scene.path)
    return studio


def drawn_on(scene: Filmed, frame: int, region: str = "just-now") -> dict[str, Any]:
    """What the editor tells of a box that somebody has drawn on the first subject and called a rat."""
    box = scene.truth[0].box(frame - 1)
    assert box is not None
    x, y, width, height = (100 * box.astype(float)).tolist()
    key = {"frame": frame, "enabled": True, "rotation": 0, "x": x, "y": y, "width": width, "height": height}
    value = {"labels": ["rat"], "sequence": [key], "framesCount": 150, "duration": 6}
    head = {"id": region, "from_name": "box", "to_name": "film", "type": "videorectangle", "origin": "manual"}
    return {**head, "value": value}


def asked(context: JobContext, studio: Studio, items: Sequence[object]) -> dict[str, Any]:
    """What Label Studio gets for `POST /api/ml/<id>/interactive-annotating`."""
    client = create_app(context.settings).test_client()
    shown = [{"model_version": "keyframes-v1"}]
    own = {key: studio.tasks[1][key] for key in ("id", "data", "created_at")}
    body = {
        "tasks": [{**own, "predictions": shown, "annotations": [], "drafts": []}],
        "project": KEY,
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": {"result": list(items)}},
    }
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200
    [found] = answer.get_json()["results"]
    assert isinstance(found, dict)
    return found


def likeness(item: dict[str, Any], scene: Filmed) -> float:
    [found] = read_tracks([item], QUESTION).tracks
    truth = scene.truth[0]
    return float(np.nan_to_num(iou(found.boxes(truth.frames + 1)[:, :4] / 100, truth.boxes)).mean())


def test_what_is_known_comes_at_once_in_the_place_of_the_drawn_box(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, CONFIG)
    track.within(context, KEY, 1)
    found = asked(context, studio, [drawn_on(scene, 60)])
    [item] = found["result"]
    assert (item["id"], item["value"]["labels"]) == ("just-now", ["rat"])
    assert len(item["value"]["sequence"]) > 2
    assert likeness(item, scene) > 0.75
    assert found["score"] == item["score"] > 0
    assert found["model_version"] == "keyframes-v1"
    assert "track 1" not in queued(redis)


def test_what_is_not_known_is_followed_and_there_when_it_is_asked_for_again(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, CONFIG)
    box = drawn_on(scene, 60)
    assert asked(context, studio, [box])["result"] == []
    assert "track 1" in queued(redis)
    track.within(context, KEY, 1)
    [item] = asked(context, studio, [box])["result"]
    assert (item["id"], item["value"]["labels"]) == ("just-now", ["rat"])
    assert likeness(item, scene) > 0.75
    # What is submitted is what counts, and what was drawn before is forgotten.
    accepted = {key: value for key, value in item.items() if key not in ("score", "meta")}
    studio.tasks[1]["annotations"] = [
        {"id": 1, "result": [{**accepted, "origin": "manual"}], "updated_at": "2099-01-01T12:00:00Z"}
    ]
    track.within(context, KEY, 1)
    assert drawn_boxes.recall(redis, KEY, 1) is None


@pytest.mark.parametrize(
    "items",
    [
        [],
        ["x", 1, None],
        [{"id": "r", "type": "timelinelabels", "from_name": "events", "to_name": "film", "value": {}}],
        [{"id": "r", "type": "videorectangle", "from_name": "box", "value": {"sequence": [{"frame": "x"}]}}],
        [{"id": "r", "type": "videorectangle", "from_name": "other", "value": {"sequence": []}}],
    ],
)
def test_anything_else_gets_nothing_and_starts_nothing(
    context: JobContext, studio: Studio, redis: Redis, items: list[object]
) -> None:
    ask(redis, studio, CONFIG)
    assert asked(context, studio, items)["result"] == []
    assert "track 1" not in queued(redis)


def test_a_box_in_another_task_under_the_same_number_gets_no_old_track(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, CONFIG)
    track.within(context, KEY, 1)
    studio.tasks[1]["created_at"] = "2026-03-01T12:00:00Z"
    assert asked(context, studio, [drawn_on(scene, 60)])["result"] == []

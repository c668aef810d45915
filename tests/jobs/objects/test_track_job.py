"""Tracks of a task: found, kept under their numbers, pushed with whatever else is predicted, and followed from one drawn box."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import ask
from known_project import queued
from redis import Redis
from studio import KEY, Studio, drawn

from benchmarks.objects.scenes import HEIGHT, WIDTH, Filmed, Scene, film
from ml_backend.jobs.box_tracks import with_tracks
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.track import track
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import ReadTracks, read_tracks
from ml_backend.objects.boxes import iou
from ml_backend.projects import registry, stored_predictions, task_view, tracks

TIMELINE = '<TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
BOXES = (
    '<View>{}<Labels name="who" toName="film"><Label value="mouse"/>{}</Labels><VideoRectangle name="box" toName="film"/>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
ALONE, BESIDE = BOXES.format("", ""), BOXES.format(TIMELINE, "")
SEVERAL = BOXES.format("", '<Label value="rat"/>')
QUESTION = parse_label_config(ALONE).tracks[0]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return film(Scene("two_crossing", 2, seconds=8, crossing=True, seed=2), tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return film(Scene("nobody", 0, seconds=2), tmp_path_factory.mktemp("still"))


@pytest.fixture
def studio(scene: Filmed) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = ALONE
    studio.add_task(1, scene.path)
    return studio


def shown(studio: Studio, task: int = 1, version: str = "keyframes-v1") -> ReadTracks:
    [prediction] = [p for p in studio.predictions if p["task"] == task and p["model_version"] == version]
    return read_tracks(prediction["result"], QUESTION)


def off(found: ReadTracks, scene: Filmed) -> list[float]:
    """Of each subject the best mean IoU of a track over its frames; Label Studio's frame i shows picture i - 1 here."""
    best = []
    for truth in scene.truth:
        boxes = [each.boxes(truth.frames + 1)[:, :4] / 100 for each in found.tracks]
        best.append(max((float(np.nan_to_num(iou(each, truth.boxes)).mean()) for each in boxes), default=0.0))
    return best


def draw_box(
    studio: Studio, scene: Filmed, frame: int, *, label: str = "mouse", when: str = "2026-02-01T12:00:00Z"
) -> None:
    """A person submits one box, on the first subject at a Label Studio frame."""
    box = scene.truth[0].box(frame - 1)
    assert box is not None
    x, y, width, height = (100 * box.astype(float)).tolist()
    key = {"frame": frame, "enabled": True, "rotation": 0, "x": x, "y": y, "width": width, "height": height}
    item = {**head("by-hand"), "origin": "manual", "value": {"labels": [label], "sequence": [key]}}
    submit(studio, [item], when)


def head(region: str) -> dict[str, Any]:
    return {"id": region, "from_name": "box", "to_name": "film", "type": "videorectangle"}


def submit(studio: Studio, result: list[dict[str, Any]], when: str) -> None:
    studio.tasks[1]["annotations"] = [{"id": 1, "result": result, "updated_at": when}]
    studio.tasks[1]["updated_at"] = when


def problems(context: JobContext) -> list[str]:
    return registry.problems(context.redis).get(KEY, [])


def test_boxes_alone_are_shown_without_anybody_doing_anything(
    context: JobContext, studio: Studio, scene: Filmed
) -> None:
    assert suggest.within(context, KEY, 1) == "task 1 asks about no frame"
    assert studio.project is not None
    assert studio.project["model_version"] == "keyframes-v1"
    assert "track 1" in queued(context.redis)
    assert track.within(context, KEY, 1) == "found 2 tracks in the video of task 1"
    found = shown(studio)
    assert min(off(found, scene)) > 0.75
    assert found.refused == ()
    assert [each.id for each in found.tracks] == ["coldblitz-track-1", "coldblitz-track-2"]
    # The config has one label only.
    assert {each.labels for each in found.tracks} == {("mouse",)}
    [prediction] = studio.predictions
    assert prediction["score"] == min(each.score or 0 for each in found.tracks) > 0
    kept = stored_predictions.load(context.settings.data_dir, KEY, "keyframes-v1", 1)
    assert kept is not None
    assert kept["result"] == prediction["result"]


def test_tracks_that_are_there_first_come_with_the_suggestions_and_with_a_models_prediction(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, BESIDE)
    track.within(context, KEY, 1)
    assert studio.predictions == []
    suggest.within(context, KEY, 1)
    [prediction] = studio.predictions
    assert {item["type"] for item in prediction["result"]} == {"timelinelabels", "videorectangle"}
    assert len(shown(studio).tracks) == 2
    studio.add_task(2, scene.path)
    cats = [drawn(f"r{frame}", frame, frame, ("cat", "dog")[frame > 100]) for frame in range(5, 195, 10)]
    submit(studio, [{**each, "origin": "manual"} for each in cats], "2026-02-01T12:00:00Z")
    train.within(context, KEY)
    suggest.within(context, KEY, 2)
    embed.within(context, KEY, 1)
    embed.within(context, KEY, 2)
    rollout.within(context, KEY, "cold-v1")
    assert registry.active_version(redis, KEY) == "cold-v1"
    assert len(shown(studio, 1, "cold-v1").tracks) == 2
    # Of this task the tracks come later than the version.
    assert shown(studio, 2, "cold-v1").tracks == ()
    track.within(context, KEY, 2)
    assert len(shown(studio, 2, "cold-v1").tracks) == 2
    assert shown(studio, 2).tracks == ()
    studio.add_task(3, scene.path)
    track.within(context, KEY, 3)
    predict.within(context, KEY, 3)
    assert len(shown(studio, 3, "cold-v1").tracks) == 2


def test_a_task_that_was_answered_first_gets_its_tracks_in_what_a_model_says_of_it(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, BESIDE)
    suggest.within(context, KEY, 1)
    answers = [drawn(f"r{frame}", frame, frame, ("cat", "dog")[frame > 100]) for frame in range(5, 195, 10)]
    submit(studio, [{**each, "origin": "manual"} for each in answers], "2026-02-01T12:00:00Z")
    train.within(context, KEY)
    embed.within(context, KEY, 1)
    rollout.within(context, KEY, "cold-v1")
    assert shown(studio, 1, "cold-v1").tracks == ()
    track.within(context, KEY, 1)
    assert len(shown(studio, 1, "cold-v1").tracks) == 2
    assert shown(studio, 1).tracks == (), "what the answer began with stays"


def test_numbers_stay_when_the_settings_change_and_what_is_left_out_gives_its_number_to_nobody(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    before = {each.id: each for each in shown(studio).tracks}
    ask(redis, studio, ALONE, track_iou=0.8)
    track.within(context, KEY, 1)
    after = {each.id: each for each in shown(studio).tracks}
    assert after.keys() == before.keys()
    assert sum(len(each.keys) for each in after.values()) < sum(len(each.keys) for each in before.values())
    for name, each in after.items():
        same = each.boxes(np.arange(30, 170)), before[name].boxes(np.arange(30, 170))
        assert np.nanmean(iou(same[0][:, :4], same[1][:, :4])) > 0.8
    ask(redis, studio, ALONE, max_tracks=1)
    track.within(context, KEY, 1)
    [left] = shown(studio).tracks
    assert left.id in before
    ask(redis, studio, ALONE)
    track.within(context, KEY, 1)
    again = shown(studio).tracks
    assert len(again) == 2
    assert left.id in {each.id for each in again}


def test_a_reconcile_queues_what_has_no_tracks_by_the_settings_of_now(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    suggest.within(context, KEY, 1)
    reconcile.within(context, KEY)
    assert "track 1" in queued(redis)
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    track.within(context, KEY, 1)
    reconcile.within(context, KEY)
    assert "track 1" not in queued(redis)
    ask(redis, studio, ALONE, smallest_box=0.1)
    reconcile.within(context, KEY)
    assert "track 1" in queued(redis)
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    ask(redis, studio, ALONE, detector="none")
    assert shown(studio).tracks
    reconcile.within(context, KEY)
    assert "track 1" in queued(redis)
    assert track.within(context, KEY, 1) == "the project asks for no tracks"
    assert shown(studio).tracks == (), "what is not wanted any more is not shown"
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    reconcile.within(context, KEY)
    assert "track 1" not in queued(redis)


def test_tracks_are_called_by_the_label_that_there_is_now(context: JobContext, studio: Studio, redis: Redis) -> None:
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    ask(redis, studio, ALONE.replace("mouse", "rat"))
    reconcile.within(context, KEY)
    assert "track 1" in queued(redis)
    track.within(context, KEY, 1)
    assert {each.labels for each in shown(studio).tracks} == {("rat",)}


def test_a_box_after_the_end_of_the_video_is_not_followed(context: JobContext, studio: Studio, scene: Filmed) -> None:
    draw_box(studio, scene, 10)
    studio.tasks[1]["annotations"][0]["result"][0]["value"]["sequence"][0]["frame"] = 5000
    track.within(context, KEY, 1)
    stored = tracks.load(context.settings.data_dir, KEY, 1)
    assert stored is not None
    assert not [each for each in stored.tracks if each.drawn]


def test_the_page_of_a_video_that_was_annotated_before_has_its_length(
    context: JobContext, studio: Studio, scene: Filmed
) -> None:
    draw_box(studio, scene, 10)
    track.within(context, KEY, 1)
    view = task_view.load(context.settings.data_dir, KEY, 1)
    assert view is not None
    assert view.frames > 0


def test_one_drawn_box_is_followed_in_place_of_what_was_found(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, SEVERAL)
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    before = shown(studio)
    assert {each.labels for each in before.tracks} == {()}
    draw_box(studio, scene, 60)
    assert train.within(context, KEY) == "nothing is learned from boxes alone"
    assert "track 1" in queued(redis)
    assert track.within(context, KEY, 1) == "found 2 tracks in the video of task 1"
    after = shown(studio)
    assert {each.id for each in after.tracks} == {each.id for each in before.tracks}
    [followed] = [each for each in after.tracks if each.labels == ("mouse",)]
    truth = scene.truth[0]
    there = followed.boxes(truth.frames + 1)[:, :4] / 100
    assert float(np.nan_to_num(iou(there, truth.boxes)).mean()) > 0.75
    # Nothing new is said: nothing is followed again.
    for key in redis.scan_iter("rq:*"):
        redis.delete(key)
    train.within(context, KEY)
    assert "track 1" not in queued(redis)
    # What the person has taken back is shown as it was found.
    submit(studio, [], "2026-02-01T13:00:00Z")
    train.within(context, KEY)
    assert "track 1" in queued(redis)


def test_of_two_boxes_on_one_subject_the_newest_is_followed_also_when_it_is_turned(
    context: JobContext, studio: Studio, redis: Redis, scene: Filmed
) -> None:
    ask(redis, studio, SEVERAL)
    suggest.within(context, KEY, 1)
    draw_box(studio, scene, 60)
    box = scene.truth[0].box(119)
    assert box is not None
    x, y, width, height = (box.astype(float) * (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist()
    # A quarter turn about the corner that comes to lie at the top right.
    turned = {"x": 100 * (x + width) / WIDTH, "y": 100 * y / HEIGHT, "rotation": 90}
    sides = {"width": 100 * height / WIDTH, "height": 100 * width / HEIGHT}
    key = {"frame": 120, "enabled": True, **turned, **sides}
    outside = {**key, "x": 150, "y": 150, "rotation": 0}
    items = [
        {**head(name), "origin": "manual", "value": {"labels": ["rat"], "sequence": [each]}}
        for name, each in (("turned", key), ("outside", outside))
    ]
    studio.tasks[1]["annotations"].append({"id": 2, "result": items, "updated_at": "2026-02-02T12:00:00Z"})
    assert track.within(context, KEY, 1) == "found 2 tracks in the video of task 1"
    found = shown(studio)
    assert sorted(each.labels for each in found.tracks) == [(), ("rat",)]
    [followed] = [each for each in found.tracks if each.labels]
    truth = scene.truth[0]
    there = followed.boxes(truth.frames + 1)[:, :4] / 100
    assert float(np.nan_to_num(iou(there, truth.boxes)).mean()) > 0.7


def test_a_task_that_was_annotated_before_it_had_a_prediction_gets_one_for_its_drawn_box(
    context: JobContext, studio: Studio, scene: Filmed
) -> None:
    draw_box(studio, scene, 60)
    track.within(context, KEY, 1)
    assert len(shown(studio).tracks) == 2
    assert studio.project is not None
    assert studio.project["model_version"] == "keyframes-v1"


def test_what_a_person_works_on_is_left_alone_but_for_a_drawn_box(context: JobContext, studio: Studio) -> None:
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    [prediction] = studio.predictions
    result = json.loads(json.dumps(prediction["result"]))
    submit(studio, result, "2026-02-01T12:00:00Z")
    tracks.delete(context.settings.data_dir, KEY, 1)
    track.within(context, KEY, 1)
    assert studio.predictions[0]["result"] == result
    assert studio.tasks[1]["annotations"][0]["result"] == result


def test_what_a_person_calls_a_track_stays_when_it_is_found_again(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    ask(redis, studio, SEVERAL)
    suggest.within(context, KEY, 1)
    track.within(context, KEY, 1)
    item = next(each for each in studio.predictions[0]["result"] if each["id"] == "coldblitz-track-2")
    named = {**item, "value": {**item["value"], "labels": ["rat"]}}
    submit(studio, [named], "2026-02-01T12:00:00Z")
    train.within(context, KEY)
    assert "track 1" in queued(redis)
    track.within(context, KEY, 1)
    work = open_project(context, KEY)
    task = context.studio.tasks.get(7, 1)
    item = with_tracks(work, task, {"task": 1, "model_version": "keyframes-v1", "score": 0.0, "result": []})
    found = {each.id: each.labels for each in read_tracks(item["result"], QUESTION).tracks}
    assert found == {"coldblitz-track-1": (), "coldblitz-track-2": ("rat",)}


def test_nothing_moves(context: JobContext, studio: Studio, still: Filmed) -> None:
    studio.add_task(2, still.path)
    suggest.within(context, KEY, 2)
    assert track.within(context, KEY, 2) == "found 0 tracks in the video of task 2"
    assert shown(studio, 2).tracks == ()
    assert problems(context) == []


def test_a_broken_video_is_told_once_and_others_go_on(context: JobContext, studio: Studio, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 100)
    studio.add_task(2, broken)
    assert track.within(context, KEY, 2).startswith("Task 2 has no tracks: ")
    [told] = problems(context)
    assert told.startswith("Task 2 has no tracks: ")
    assert "2.mp4" in told
    assert track.within(context, KEY, 1) == "found 2 tracks in the video of task 1"
    reconcile.within(context, KEY)
    assert "track 2" not in queued(context.redis)
    studio.delete_task(2)
    reconcile.within(context, KEY)
    assert tracks.tasks(context.settings.data_dir, KEY) == {1}
    assert [each for each in problems(context) if "tracks" in each] == []


def test_files_of_other_releases_and_damaged_ones_are_read_as_far_as_they_are_known(
    context: JobContext, studio: Studio
) -> None:
    track.within(context, KEY, 1)
    [path] = (context.settings.data_dir / "projects" / KEY / "tracks").glob("*.json")
    known = tracks.load(context.settings.data_dir, KEY, 1)
    head, rest = (json.loads(line) for line in path.read_text().split("\n"))
    for each in rest["tracks"]:
        del each["replaced"], each["drawn"]
        each["later"] = 1
    path.write_text(json.dumps({**head, "later": 1}) + "\n" + json.dumps({**rest, "later": []}))
    assert tracks.load(context.settings.data_dir, KEY, 1) == known
    for text in ("", "{}", "[]\n[]", '{"state": "x"}\n{"tracks": [[]], "lengths": {}, "highest": 1}', "\x00"):
        path.write_text(text)
        assert tracks.load(context.settings.data_dir, KEY, 1) is None
    assert track.within(context, KEY, 1) == "found 2 tracks in the video of task 1"

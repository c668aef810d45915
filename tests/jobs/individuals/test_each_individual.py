"""Each individual of a video has a timeline of its own: learned from what people say of some, predicted for the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from asking import ask
from filmed_individuals import CONFIG, act_item, act_items, box_items, keep, reviewed, stored, submit
from known_project import queued
from loopback import serving
from redis import Redis
from studio import BACKEND, KEY, Studio

from benchmarks.objects.acts import ACTS, FilmedActs, film_acts
from ml_backend.export.choose import Choice
from ml_backend.export.project import open_work
from ml_backend.export.write import write_export
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.individuals.reel import reel_of
from ml_backend.jobs.predictions.rollout import predict, rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.training.labelled import annotated_tasks, are_exclusive, labels_of
from ml_backend.jobs.training.train import train
from ml_backend.learning.frame_labels import NO, UNKNOWN, YES
from ml_backend.learning.versions import list_versions
from ml_backend.projects import label_report, links, registry, stored_predictions, task_view
from ml_backend.provenance import RegionId
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[FilmedActs]:
    folder = tmp_path_factory.mktemp("acts")
    return [film_acts(2, folder / f"{number}.mp4", 40 + number, seconds=10) for number in range(3)]


def opened(films: list[FilmedActs]) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task, film in enumerate(films, start=1):
        studio.add_task(task, film.path)
    return studio


@pytest.fixture
def studio(films: list[FilmedActs]) -> Studio:
    return opened(films)


@contextmanager
def working(studio: Studio, settings: Settings, data_dir: Path) -> Iterator[JobContext]:
    with serving(studio) as url:
        here = {"label_studio_url": url, "data_dir": data_dir, "redis_url": redis_url(settings)}
        made = JobContext(replace(settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        studio.answering[BACKEND] = lambda: links.answer(made.redis)
        ask(made.redis, studio, CONFIG, per_individual=True, mode="cold")
        yield made
        made.redis.close()


@pytest.fixture(scope="module")
def embedded(
    films: list[FilmedActs],
    redis_settings: Settings,
    warm: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A data folder with the tracks of all videos, and what is seen of each individual."""
    data = warm(tmp_path_factory.mktemp("data"))
    with working(opened(films), redis_settings, data) as context:
        for task, film in enumerate(films, start=1):
            keep(data, task, stored(film))
            embed.within(context, KEY, task)
    return data


@pytest.fixture
def each(
    embedded: Path, studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path
) -> Iterator[JobContext]:
    shutil.copytree(embedded, tmp_path / "data")
    with working(studio, redis_settings, tmp_path / "data") as made:
        work = open_project(made, KEY)
        for task in made.studio.tasks.all(work.id):
            task_features(made, work.question, task, made.backbone)
        yield made


def say_all(studio: Studio, films: list[FilmedActs], *tasks: int) -> None:
    """Everything that both animals do, each below its track; and the whole video was looked at."""
    for task in tasks:
        film = films[task - 1]
        said = [item for who in (1, 2) for item in act_items(film, who, parentID=f"coldblitz-track-{who}")]
        submit(studio, task, [*box_items(stored(film)), *said, reviewed()])


def predicted(studio: Studio, task: int) -> list[dict[str, Any]]:
    [found] = [each for each in studio.predictions if each["task"] == task and each["model_version"] != "keyframes-v1"]
    return list(found["result"])


def right(items: list[dict[str, Any]], film: FilmedActs, number: int) -> float:
    """The share of frames in which what is said of an animal is what it does."""
    said = np.full(film.frames, -1)
    for item in items:
        labels = item["value"].get("timelinelabels")
        if labels and item.get("parentID") == f"coldblitz-track-{number}":
            [span] = item["value"]["ranges"]
            said[span["start"] - 1 : span["end"]] = ACTS.index(labels[0])
    return float((said == film.acts[number - 1]).mean())


def problems(context: JobContext) -> list[str]:
    return registry.problems(context.redis).get(KEY, [])


def test_what_each_does_is_learned_and_predicted_below_its_track(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    say_all(studio, films, 1, 2)
    assert "cold-v1 is rolled out" in train.within(each, KEY)
    assert rollout.within(each, KEY, "cold-v1") == "predicted 1 of 3 tasks with cold-v1"
    items = predicted(studio, 3)
    # A model of whole frames could be right about one of them only.
    assert min(right(items, films[2], number) for number in (1, 2)) > 0.6
    for item in items:
        if item["type"] == "timelinelabels":
            ours = RegionId.parse(item["id"])
            assert ours is not None
            assert item["parentID"] == f"coldblitz-track-{ours.whose}"
            assert item["meta"] == {"text": [f"who: mouse-{ours.whose}"]}
    assert len({item["id"] for item in items}) == len(items)
    assert [item["id"] for item in items if item["type"] == "videorectangle"] == [
        "coldblitz-track-1",
        "coldblitz-track-2",
    ]
    asked = [item for item in items if item["value"].get("timelinelabels") == []]
    assert 1 <= len(asked) <= 5
    view = task_view.load(each.settings.data_dir, KEY, 3)
    assert view is not None
    assert set(view.more) == {"mouse-1", "mouse-2"}
    assert (view.frames, view.percent) == (films[2].frames, {})
    [card] = list_versions(each.models_dir(KEY))
    assert card.exclusive
    assert problems(each) == [problem for problem in problems(each) if "untrained" in problem or "weights" in problem]
    # The same again: nothing is to be done.
    assert train.within(each, KEY).endswith("knows these annotations already")
    assert predict.within(each, KEY, 3) == "task 3 has its prediction already"


def test_two_who_do_different_things_at_once_do_not_contradict_each_other(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    say_all(studio, films, 1)
    work = open_project(each, KEY)
    [annotated] = annotated_tasks(work)
    assert are_exclusive(work, [annotated])
    cast = annotated.cast(work.question)
    assert cast is not None
    reel = reel_of(work, annotated.task, cast)
    labels = labels_of(work, annotated, reel.grid.timeline, True)
    assert len(labels) == 2 * films[0].frames
    assert labels.dense
    assert labels.judged
    truth = np.concatenate(films[0].acts)
    assert (labels.values.argmax(axis=1) == truth).mean() > 0.99
    assert ((labels.values == YES).sum(axis=1) == 1).all()


def test_a_gap_says_nothing_of_who_is_away(each: JobContext, studio: Studio, films: list[FilmedActs]) -> None:
    film = films[0]
    boxes = box_items(stored(film))
    # The second one leaves in the middle of the video.
    boxes[1]["value"]["sequence"] = [key for key in boxes[1]["value"]["sequence"] if key["frame"] <= 100]
    boxes[1]["value"]["sequence"][-1]["enabled"] = False
    last = boxes[1]["value"]["sequence"][-1]["frame"]
    submit(studio, 1, [*boxes, act_item("a", 1, 50, "walks", parentID="coldblitz-track-1"), reviewed()])
    work = open_project(each, KEY)
    [annotated] = annotated_tasks(work)
    labels = labels_of(work, annotated, None, True)  # type: ignore[arg-type]
    assert len(labels) == film.frames + last
    assert (labels.values[50 : film.frames] == NO).all()
    assert (labels.values[film.frames :] == NO).all()


def test_a_track_that_a_person_draws_is_not_taken_for_the_found_one_that_they_deleted(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    first, second = box_items(stored(films[0]))
    submit(studio, 1, [first, {**second, "id": "drawn", "origin": "manual"}])
    [annotated] = annotated_tasks(open_project(each, KEY))
    cast = annotated.cast(open_project(each, KEY).question)
    assert cast is not None
    # In the prediction the second one is still there, and is no parent of what the drawn one does.
    assert [(who.name, who.track.id, who.shown) for who in cast.individuals] == [
        ("mouse-1", "coldblitz-track-1", True),
        ("mouse-3", "drawn", False),
    ]


def test_what_is_nobodys_teaches_nothing_and_is_told_once(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    say_all(studio, films, 1, 2)
    items = studio.tasks[1]["annotations"][0]["result"]
    for item in items:
        if item["id"].startswith("by-hand-1-"):
            del item["parentID"]
    count = sum(item["id"].startswith("by-hand-1-") for item in items)
    train.within(each, KEY)
    [told] = [problem for problem in problems(each) if "nobody's" in problem]
    assert told.startswith(f"{count} regions of timelines are nobody's and not used for training (task 1)")
    account = label_report.load_account(each.settings.data_dir, KEY, 1)
    assert account is not None
    assert {row.reason: row.regions for row in account.rows}["nobody"] == count
    assert sum(row.regions for row in account.rows) == account.regions
    work = open_project(each, KEY)
    annotated = annotated_tasks(work)[0]
    labels = labels_of(work, annotated, None, True)  # type: ignore[arg-type]
    # Somebody does it, so it cannot be said that the first one does nothing.
    assert (labels.values[: films[0].frames] == UNKNOWN).all()
    # Once they are said to be somebody's, nothing is told any more.
    say_all(studio, films, 1, 2)
    studio.tasks[1]["annotations"][0]["updated_at"] = "2026-02-02T12:00:00Z"
    train.within(each, KEY)
    assert not [problem for problem in problems(each) if "nobody's" in problem]


def test_a_track_that_is_gone_takes_its_regions_along(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    say_all(studio, films, 1, 2)
    train.within(each, KEY)
    rollout.within(each, KEY, "cold-v1")
    before = predicted(studio, 3)
    keep(each.settings.data_dir, 3, stored(films[2], without=[2]))
    assert predict.within(each, KEY, 3) == "predicted task 3 with cold-v1"
    after = predicted(studio, 3)
    assert {item.get("parentID") for item in after} == {None, "coldblitz-track-1"}
    mine = [
        [item["id"], item["value"]]
        for item in after
        if item["type"] == "timelinelabels" and item["value"]["timelinelabels"]
    ]
    assert mine
    assert len(after) < len(before)
    kept = stored_predictions.load(each.settings.data_dir, KEY, "cold-v1", 3)
    assert kept is not None
    assert [item["id"] for item in kept["result"]] == [item["id"] for item in after]


def test_a_video_in_which_nobody_is_tracked_is_told_and_others_go_on(
    each: JobContext, studio: Studio, films: list[FilmedActs]
) -> None:
    say_all(studio, films, 1, 2)
    keep(each.settings.data_dir, 3, stored(films[2], without=[1, 2]))
    train.within(each, KEY)
    assert "predicted 1 of 3" in rollout.within(each, KEY, "cold-v1")
    assert predicted(studio, 3) == []
    assert [problem for problem in problems(each) if "no timelines" in problem] == [
        "1 video (task 3) without a track has no timelines: draw a box around each individual, or choose another detector."
    ]


def test_a_setting_that_cannot_be_used_is_told(each: JobContext, studio: Studio, redis: Redis) -> None:
    alone = CONFIG.replace('<VideoRectangle name="box" toName="film"/>', "").replace(
        '<Labels name="who" toName="film"><Label value="mouse"/></Labels>', ""
    )
    ask(redis, studio, alone, per_individual=True)
    reconcile.within(each, KEY)
    assert [problem for problem in problems(each) if "per_individual" in problem] == [
        (
            "The setting per_individual needs boxes and a timeline on the same video, and the label config does not have both, "
            "so it is ignored. Add a <VideoRectangle> and a <TimelineLabels> to the same <Video>, or remove the setting."
        )
    ]
    ask(redis, studio, alone)
    reconcile.within(each, KEY)
    assert not [problem for problem in problems(each) if "per_individual" in problem]


def test_a_version_of_whole_pictures_is_not_used_for_individuals(
    each: JobContext, studio: Studio, films: list[FilmedActs], redis: Redis
) -> None:
    ask(redis, studio, CONFIG, mode="cold")
    submit(studio, 1, [*act_items(films[0], 1), reviewed()])
    train.within(each, KEY)
    ask(redis, studio, CONFIG, per_individual=True, mode="cold")
    with pytest.raises(Exception, match="was trained on whole pictures, and the setting per_individual has changed"):
        rollout.within(each, KEY, "cold-v1")
    assert "train" in queued(redis)


def test_features_of_individuals_are_kept_apart_from_those_of_whole_pictures(each: JobContext) -> None:
    folder = each.settings.data_dir / "features"
    assert len(list(folder.glob("*.safetensors"))) == 3
    assert len(list((folder / "individuals").glob("*.safetensors"))) == 6


def test_a_table_of_labels_says_who_has_them(
    each: JobContext, studio: Studio, films: list[FilmedActs], tmp_path: Path
) -> None:
    say_all(studio, films, 1)
    assert studio.project is not None
    studio.project["model_version"] = "cold-v1"
    predicted_of_two = act_item("cold-v1-1_11_60_of2", 11, 60, "grooms", parentID="coldblitz-track-2", score=0.8)
    studio.predictions.append({"id": 9, "task": 3, "model_version": "cold-v1", "result": [predicted_of_two]})
    write_export(open_work(each, 7), tmp_path / "labels.parquet", None, Choice(), lambda _text: lambda _share: None)
    rows = pyarrow.parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    for number, acts in enumerate(films[0].acts, start=1):
        mine = {row["frame"]: row["label"] for row in rows if (row["task"], row["who"]) == (1, f"mouse-{number}")}
        assert len(mine) == films[0].frames
        assert np.mean([ACTS[acts[frame]] == label for frame, label in mine.items()]) > 0.99
    other = [(row["frame"], row["label"], row["who"], row["source"]) for row in rows if row["task"] == 3]
    assert other == [(frame, "grooms", "mouse-2", "model") for frame in range(10, 60)]

"""A project with a trained version and four videos, two of which are copies: what the tests of roll-outs begin with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from known_project import worker
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions import rollout as rollouts
from ml_backend.jobs.predictions.predictor import Predictor, predictor
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import registry
from ml_backend.settings import Settings

CONFIG = (
    '<View><TimelineLabels name="events" toName="film">'
    + "".join(f'<Label value="{label}"/>' for label in LABELS)
    + '</TimelineLabels><Video name="film" value="$video" framerate="25"/></View>'
)
SCRIPTS = (
    Script("labelled.mp4", 25, (("clear", 20), ("ball", 30), ("car", 30)), 1),
    Script("waiting.mp4", 25, (("car", 30), ("clear", 20), ("ball", 30)), 2),
)
LABELLED, WAITING, COPY, COPIED_AGAIN = 1, 2, 3, 4


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS)


def opened(clips: list[Clip]) -> Studio:
    """Some frames of task 1 are labelled; tasks 2, 3 and 4 show the same video."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task in (LABELLED, WAITING, COPY, COPIED_AGAIN):
        studio.add_task(task, clips[task > LABELLED].path)
    result = [answer(frame, clips[0].labels[frame - 1]) for frame in range(5, 80, 10)]
    studio.tasks[LABELLED]["annotations"] = [{"id": 1, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]
    return studio


@pytest.fixture
def studio(clips: list[Clip]) -> Studio:
    return opened(clips)


def answer(frame: int, label: str) -> dict[str, Any]:
    return {**drawn(f"kf-{frame}", frame, frame, label), "origin": "prediction-changed"}


@pytest.fixture(scope="module")
def trained(
    clips: list[Clip],
    redis_settings: Settings,
    warm: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A data folder in which cold-v1 is."""
    data = warm(tmp_path_factory.mktemp("data"))
    with serving(opened(clips)) as url:
        made = worker(redis_settings, url, data, CONFIG)
        assert "cold-v1 is rolled out" in train.within(made, KEY)
        made.redis.close()
    return data


@pytest.fixture
def context(
    trained: Path,
    studio: Studio,
    redis: Redis,
    redis_settings: Settings,
    tmp_path: Path,
) -> Iterator[JobContext]:
    shutil.copytree(trained, tmp_path / "data")
    with serving(studio) as url:
        made = worker(redis_settings, url, tmp_path / "data", CONFIG)
        registry.want(redis, KEY, "cold-v1")
        yield made
        made.redis.close()


def pushed(studio: Studio) -> dict[int, dict[str, Any]]:
    found = {each["task"]: each for each in studio.predictions}
    assert len(found) == len(studio.predictions)
    return found


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], object]], None]:
    """What the given function does, of a task, happens while that task is predicted."""

    def set_up(happens: Callable[[int], object]) -> None:
        def watched(*arguments: Any) -> Predictor:
            predict_one = predictor(*arguments)

            def during(task: Task, annotated: Any) -> Any:
                happens(task.id)
                return predict_one(task, annotated)

            return during

        monkeypatch.setattr(rollouts, "predictor", watched)

    return set_up

"""A video project with a companion, for the tests of both: a film whose frames show their numbers, and frames suggested of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from companion_studio import CompanionStudio
from numbered import numbered_video
from redis import Redis
from studio import BACKEND, CONFIG, KEY

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import prediction_json, suggestion
from ml_backend.projects import links, registry
from ml_backend.video.timeline import StudioFrame

FRAMES = (3, 60, 61, 140)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 frames with their numbers drawn in, 25 a second, which is the grid's rate too: frame 3 shows number 2."""
    return numbered_video(tmp_path_factory.mktemp("film") / "film.mp4", 150)


@pytest.fixture
def studio() -> CompanionStudio:
    return CompanionStudio()


@pytest.fixture(autouse=True)
def wanted(redis: Redis) -> None:
    remember(redis)


def remember(redis: Redis, **params: object) -> None:
    wanted = {"companion": True, **params}
    registry.remember(redis, registry.Known(KEY, CONFIG, wanted))
    links.note(redis, KEY, links.Link(BACKEND, 1))


def suggest(studio: CompanionStudio, task: int, frames: tuple[int, ...], version: str = "keyframes-v1") -> None:
    item = prediction_json(suggestion(task, map(StudioFrame, frames)), parse_label_config(CONFIG).main)
    studio.predictions = [p for p in studio.predictions if (p["task"], p["model_version"]) != (task, version)]
    studio.predictions.append({**item, "id": len(studio.predictions), "model_version": version})


def with_film(studio: CompanionStudio, film: Path, task: int = 5, frames: tuple[int, ...] = FRAMES) -> None:
    studio.add_task(task, film)
    suggest(studio, task, frames)


def opened(context: JobContext) -> ProjectWork:
    return open_project(context, KEY)

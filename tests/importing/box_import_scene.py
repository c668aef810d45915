"""A project with boxes and two videos, and an import into it, as fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxed_project import add_video, boxed_project, key, numbered
from studio import Studio
from workroom import context, redis, redis_settings, studio

from ml_backend.importing.import_boxes import BoxImport, Outcome, import_boxes
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_boxes
from ml_backend.labelstudio.tracks import read_tracks

__all__ = ["context", "redis", "redis_settings", "studio"]

Import = Callable[..., list[Outcome]]
OTHER = [key(3, 70, 10, 20, 20), key(40, 5, 60, 20, 30, on=False)]


@pytest.fixture
def project(studio: Studio, tmp_path: Path) -> Studio:
    boxed_project(studio)
    assert studio.project is not None
    studio.project["model_version"] = ""
    film = numbered(tmp_path / "film.mp4")
    for task in (1, 2):
        add_video(studio, task, film, name=("Day one.mp4", "night.mp4")[task - 1])
    return studio


@pytest.fixture
def bring(context: JobContext) -> Import:
    def run(*files: Path, **how: Any) -> list[Outcome]:
        return import_boxes(
            open_boxes(context, 7), files, BoxImport(**{"version": "import-x", **how}), lambda share: None
        )

    return run


def mot(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def shown(studio: Studio, context: JobContext, task: int = 1) -> dict[str, Any]:
    """The tracks that the task's prediction shows, by their regions' ids."""
    [prediction] = [each for each in studio.predictions if each["task"] == task]
    return {each.id: each for each in read_tracks(prediction["result"], open_boxes(context, 7).question).tracks}

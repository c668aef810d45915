"""`coldblitz export --as coco` and `coldblitz import-boxes`: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from boxed_project import add_video, boxed_project, key, numbered, region, submit
from studio import Studio
from typer.testing import CliRunner, Result
from workroom import context, redis, redis_settings, studio

from ml_backend.cli import app
from ml_backend.errors import SettingsError
from ml_backend.jobs.context import JobContext

__all__ = ["context", "redis", "redis_settings", "studio"]
Run = Callable[..., Result]


@pytest.fixture
def run(studio: Studio, context: JobContext, tmp_path: Path) -> Run:
    boxed_project(studio)
    film = numbered(tmp_path / "film.mp4")
    for task, name in ((1, "one [x].mp4"), (2, "two.mp4")):
        add_video(studio, task, film, name=name)
        submit(studio, task, region("a", [key(1, 10, 10, 20, 20), key(20, 60, 10, 20, 20, on=False)]))
    settings = context.settings
    environment = {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url or "",
        "COLUMNS": "200",
    }
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


def test_an_export_says_what_it_has_written(run: Run, tmp_path: Path) -> None:
    told = run("export", 7, "-o", tmp_path / "set", "--as", "yolo", "--every", 10)
    assert told.exit_code == 0, told.output
    assert "2 videos, 4 frames, 4 boxes: " in told.output
    assert "all: mouse 4" in told.output
    told = run("export", 7, "-o", tmp_path / "none", "--as", "mot", "--preview", "--json")
    assert json.loads(told.stdout)["frames"] == 40


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--as", "coco", "--near", "4", "--none", "x"), "--near and --none cannot be used when exporting boxes"),
        (("--as", "crops", "--max-per-label", "4"), "--max-per-label cannot be used"),
        (("--key-frames",), "--key-frames cannot be used when exporting frames"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    run: Run, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    error = run("export", 7, "-o", tmp_path / "set", *options).exception
    assert isinstance(error, SettingsError)
    assert said in error.message


def test_an_import_says_what_became_of_each_video(run: Run, studio: Studio, tmp_path: Path) -> None:
    run("export", 7, "-o", tmp_path / "mot", "--as", "mot")
    studio.tasks[2]["data"]["name"] = "other.mp4"
    tables = sorted((tmp_path / "mot").glob("*/gt/gt.txt"))
    told = run("import-boxes", *tables, "--project", 7, "--name", "again")
    assert told.exit_code == 1
    assert "imported  one [x].mp4: task 1, 1 track, 2 key frames" in told.output
    assert "unmatched two_task2: The project has no video called two_task2." in told.output
    assert "1 video as predictions of import-again" in told.output
    studio.tasks[2]["data"]["name"] = "two.mp4"
    told = run("import-boxes", *tables, "--project", 7, "--json")
    assert told.exit_code == 0
    answer = json.loads(told.stdout)
    assert answer["version"] == "import-one-x-task1"
    assert [each["state"] for each in answer["videos"]] == ["imported", "imported"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--class", "car"), "--class car is not a class and its label"),
        (("--class", "a=mouse", "--class", "a=rat"), "--class a is given twice"),
        (("--name", "a/b"), "'a/b' cannot be the name of predictions"),
        (("--name", "x", "--annotations"), "--name is that of predictions"),
        (("--control", "who"), "no boxes called “who”"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    (tmp_path / "two.txt").write_text("1,1,1,1,5,5\n")
    error = run("import-boxes", tmp_path / "two.txt", "--project", 7, *options).exception
    assert isinstance(error, SettingsError)
    assert said in error.message

"""`coldblitz check --project`: the videos of a project's tasks, looked at before anybody labels them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from studio import Studio
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import SCRIPTS, make_clips


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A project with a good clip in task 1, something else in task 2, and nothing where task 3 says its video is."""
    studio = Studio()
    (clip,) = make_clips(tmp_path, SCRIPTS[:1])
    studio.add_task(1, clip.path)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    studio.add_task(2, broken)
    studio.add_task(3)
    return studio


@pytest.fixture
def environment(studio: Studio, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    with serving(studio) as url:
        yield {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": "the-token", "DATA_DIR": str(tmp_path / "data")}


def check(environment: Mapping[str, str], *arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by the name of each task."""
    told = CliRunner().invoke(app, ["check", "--project", "7", "--json", *arguments], env=dict(environment))
    assert isinstance(told.exception, SystemExit | None), told.exc_info
    return told.exit_code, {each["name"]: each["findings"] for each in json.loads(told.stdout)}


def test_every_task_is_checked_and_a_broken_video_is_exit_code_1(environment: Mapping[str, str]) -> None:
    code, found = check(environment)
    assert code == 1
    assert list(found) == ["task 1 (1.mp4)", "task 2 (2.mp4)", "task 3 (3.mp4)"]
    assert all(finding["severity"] != "error" for finding in found["task 1 (1.mp4)"])
    assert found["task 2 (2.mp4)"][0]["severity"] == "error"
    assert [finding["kind"] for finding in found["task 3 (3.mp4)"]] == ["unreachable"]
    assert all(finding["remedy"] for findings in found.values() for finding in findings)


def test_one_task_alone(environment: Mapping[str, str]) -> None:
    code, found = check(environment, "--task", "1")
    assert (code, list(found)) == (0, ["task 1 (1.mp4)"])


def test_it_knows_the_frame_rate_of_the_label_config(environment: Mapping[str, str], studio: Studio) -> None:
    assert studio.project is not None
    studio.project["label_config"] = studio.project["label_config"].replace('framerate="25"', 'framerate="7"')
    _, found = check(environment, "--task", "1")
    assert any("framerate=" in finding["remedy"] for finding in found["task 1 (1.mp4)"])


def test_a_project_that_is_gone_is_one_line(environment: Mapping[str, str], studio: Studio) -> None:
    studio.project = None
    told = CliRunner().invoke(app, ["check", "--project", "7"], env=dict(environment))
    assert told.exit_code == 1
    assert "404" in str(told.exception)

"""`coldblitz custom check`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import SCRIPTS, make_clips
from ml_backend.errors import CustomModelError

EXAMPLES = Path(__file__).parents[2] / "docs" / "custom-models"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    (clip,) = make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS[:1])
    return str(clip.path)


@pytest.mark.parametrize("example", ["brightness.py", "one_picture.py", "learning.py", "template.py"])
def test_the_examples_can_be_used(example: str, film: str) -> None:
    told = CliRunner().invoke(app, ["custom", "check", str(EXAMPLES / example), "--video", film])
    assert told.exit_code == 0
    assert f"{example} can be used." in told.stdout
    assert "frames per second" in told.stdout


def test_json_holds_what_was_found_whatever_the_file_prints(tmp_path: Path, film: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text("labels = ['a']\nprint('loading')\ndef predict(frames):\n    return [[0.25]] * len(frames)")
    told = subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", "custom", "check", str(file), "--video", film, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(told.stdout)
    assert (found["usable"], found["labels"], found["lowest"], found["highest"]) == (True, ["a"], 0.25, 0.25)
    assert found["first"][0] == {"index": 0, "seconds": 0.0, "probabilities": [0.25]}


def test_a_broken_file_is_exit_code_1_with_file_line_and_what_to_do(tmp_path: Path, film: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text("labels = ['a']\n\ndef predict(frames):\n    return 1 / 0")
    command = ["custom", "check", str(file), "--video", film]
    told = CliRunner().invoke(app, command)
    assert isinstance(told.exception, CustomModelError)
    assert "mine.py, line 4: ZeroDivisionError" in str(told.exception)
    told = CliRunner().invoke(app, [*command, "--json"])
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    assert found["usable"] is False
    assert "line 4" in found["error"]
    assert "Correct the file" in found["remedy"]


def test_a_command_that_lacks_its_video_is_exit_code_2(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["custom", "check", str(EXAMPLES / "template.py")]).exit_code == 2

"""`coldblitz import` as a process: what it refuses at once, and a folder that it watches until it is told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flask import jsonify
from footage import Film, Studio
from loopback import closed_port, serving

_CONFIG = (
    '<View><TimelineLabels name="labels" toName="video"><Label value="cat"/></TimelineLabels>'
    '<Video name="video" value="$video" framerate="$fps"/></View>'
)


def command(url: str, data: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": "the-token", "DATA_DIR": str(data)}
    return [sys.executable, "-m", "ml_backend.cli", "import", *arguments], {**os.environ, **environment}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "There is nothing to import."),
        (("a.mp4", "--clip", "soon"), "--clip soon is not a time range."),
        (("a.mp4", "--link", "local-files"), "--link requires the folder"),
        (("--watch", "/missing"), "The folder /missing cannot be read"),
        (("a.mp4",), "does not answer"),
    ],
)
def test_what_cannot_begin_is_one_line_and_exit_code_1(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    line, environment = command(f"http://127.0.0.1:{closed_port()}", tmp_path, "--project", "7", *arguments)
    told = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (told.returncode, told.stdout, len(told.stderr.strip().splitlines())) == (1, "", 1)
    assert said in told.stderr


def test_a_watched_folder_is_imported_as_it_fills_until_ctrl_c(studio: Studio, film: Film, tmp_path: Path) -> None:
    project = {
        "id": 7,
        "title": "x",
        "label_config": _CONFIG,
        "model_version": "",
        "created_at": "2026-01-31T12:00:00Z",
    }
    studio.add_url_rule("/api/projects/7/", view_func=lambda: jsonify(project))
    folder, film_one = tmp_path / "camera", film("one.mp4")
    folder.mkdir()
    with serving(studio) as url:
        line, environment = command(url, tmp_path / "data", "--project", "7", "--watch", str(folder), "--json")
        with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                (folder / "one.mp4").write_bytes(film_one.read_bytes())
                assert json.loads(process.stdout.readline())["state"] == "imported"
                (folder / "again.mp4").write_bytes(film_one.read_bytes())
                assert json.loads(process.stdout.readline())["state"] == "present"
            finally:
                process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
    assert len(studio.tasks) == 1

"""A folder's videos are imported whatever they are called, and what is none is said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask import jsonify
from footage import Film, Studio
from loopback import serving
from test_import_command import _CONFIG, command


@pytest.fixture
def served(studio: Studio) -> Studio:
    project = {
        "id": 7,
        "title": "x",
        "label_config": _CONFIG,
        "model_version": "",
        "created_at": "2026-01-31T12:00:00Z",
    }
    studio.add_url_rule("/api/projects/7/", view_func=lambda: jsonify(project))
    return studio


def told(studio: Studio, data: Path, *arguments: str) -> tuple[int, bytes, bytes]:
    with serving(studio) as url:
        line, environment = command(url, data, "--project", "7", *arguments)
        ended = subprocess.run(line, env=environment, capture_output=True, timeout=120, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_videos_are_known_by_their_contents_too_and_the_rest_is_named(
    served: Studio, film: Film, tmp_path: Path
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    for seed, name in enumerate((b"a.3gp", b"recording", b"souris_\xe9t\xe9.mp4")):
        film("made.mp4", seed=seed, seconds=1).rename(folder / os.fsdecode(name))
    (folder / "notes.txt").write_text("not a film")
    code, out, _ = told(served, tmp_path / "data", str(folder), "--json")
    answer: dict[str, Any] = json.loads(out.decode("utf-8"))
    assert [(row["name"], row["state"]) for row in answer["videos"]] == [
        ("a.3gp", "imported"),
        ("recording", "imported"),
        ("souris_été.mp4", "imported"),
    ]
    assert answer["skipped"] == [str(folder / "notes.txt")]
    assert code == 0


def test_a_folder_without_a_video_is_told_so(served: Studio, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a film")
    code, _, said = told(served, tmp_path / "data", str(tmp_path))
    assert code == 1
    assert b"notes.txt is not a video" in said

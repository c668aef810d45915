"""Videos into a real Label Studio by the command line, and what it then says of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import requests

from ml_backend.demo.clips import LABELS, Clip
from ml_backend.demo.loop import label_config
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e

_PLACE = "+51.4988-000.1749/"


def coldblitz(studio: Studio, data: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "DATA_DIR": str(data),
    }
    command = [sys.executable, "-m", "ml_backend.cli", *arguments]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert told.returncode == code, told.stderr
    return dict(json.loads(told.stdout)) if told.stdout else {"error": told.stderr}


def unplayable(clip: Clip, path: Path) -> Path:
    """The first two seconds as MPEG-4 part 2, which no browser plays, with the place where it was taken."""
    with av.open(str(clip.path)) as source, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata.update({"location": _PLACE, "creation_time": "2026-05-01T20:30:00Z"})
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == 50:
                break
            made = frame.reformat(format="yuv420p")
            made.pts, made.time_base, made.pict_type = number, Fraction(1, 25), av.video.frame.PictureType.NONE
            out.mux(stream.encode(made))
        out.mux(stream.encode(None))
    return path


def test_each_video_becomes_one_task_that_plays(studio: Studio, clips: list[Clip], tmp_path: Path) -> None:
    project = studio.create_project("Imported", label_config(LABELS))
    good, bad = str(clips[0].path), str(unplayable(clips[1], tmp_path / "bad.mp4"))
    into = ("--project", str(project), "--json")

    first = coldblitz(studio, tmp_path / "one", "import", good, good, bad, *into, code=1)
    assert [video["state"] for video in first["videos"]] == ["imported", "present", "refused"]
    assert "--fix" in first["videos"][2]["message"]
    again = coldblitz(studio, tmp_path / "another machine", "import", good, bad, "--fix", *into)
    assert [video["state"] for video in again["videos"]] == ["present", "imported"]
    assert again["advice"] == ""

    tasks = studio.tasks(project)
    assert [(task["data"]["name"], task["data"]["fps"]) for task in tasks] == [("street-1.mp4", 25), ("bad.mp4", 25)]
    assert (tasks[1]["data"]["latitude"], tasks[1]["data"]["longitude"]) == (51.4988, -0.1749)
    headers = {"Authorization": f"Token {studio.legacy_token}"}
    stored = requests.get(studio.url + tasks[0]["data"]["video"], headers=headers, timeout=60).content
    assert stored == clips[0].path.read_bytes()

    label = {"from_name": "labels", "to_name": "video", "type": "timelinelabels", "id": "a"}
    result = [{**label, "value": {"ranges": [{"start": 1, "end": 10}], "timelinelabels": ["car"]}}]
    studio.post(f"/api/tasks/{tasks[0]['id']}/annotations/", {"result": result, "lead_time": 12.5})
    geo = tmp_path / "places.geojson"
    stats = coldblitz(studio, tmp_path / "one", "stats", str(project), "--geo", str(geo), "--json")
    assert {state: number for state, number in stats["states"].items() if number} == {"labelled": 1, "none": 1}
    assert stats["labels"]["car"] == {"regions": 1, "frames": 10}
    assert stats["annotators"][studio.user]["seconds"] == stats["total"]["median_seconds"] == 12.5
    [place] = json.loads(geo.read_text())["features"]
    assert place["geometry"]["coordinates"] == [-0.1749, 51.4988]


def test_files_that_label_studio_serves_are_linked(studio: Studio, clips: list[Clip], tmp_path: Path) -> None:
    project = studio.create_project("Linked", label_config(LABELS).replace(' framerate="$fps"', ""))
    folder = studio.files / "camera 1"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(clips[2].path.read_bytes())
    into = ("--project", str(project), "--json", "--link", "local-files", "--root", str(studio.files))
    told = coldblitz(studio, tmp_path, "import", str(folder), *into)
    assert [video["state"] for video in told["videos"]] == ["imported"]
    assert 'framerate="$fps"' in told["advice"]
    [task] = studio.tasks(project)
    headers = {"Authorization": f"Token {studio.legacy_token}"}
    served = requests.get(studio.url + task["data"]["video"], headers=headers, timeout=60)
    assert served.content == clips[2].path.read_bytes()


def test_a_project_that_is_not_there_is_named(studio: Studio, clips: list[Clip], tmp_path: Path) -> None:
    told = coldblitz(studio, tmp_path, "import", str(clips[0].path), "--project", "999999", code=1)
    assert "There is no project 999999" in told["error"]

"""The researcher's way: export frames, train on the folder with the docs' few lines, bring the model back, see its timelines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests

from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop, right_frames

pytestmark = pytest.mark.e2e

_TRAIN = Path(__file__).resolve().parents[2] / "docs" / "custom-models" / "train_on_export.py"


def _run(loop: Loop, *command: str) -> str:
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": loop.studio.url,
        "LABEL_STUDIO_API_KEY": loop.studio.token,
        "DATA_DIR": str(loop.backend.data),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_export_train_bring_back(open_project: Callable[..., Loop], clips: list[Clip], tmp_path: Path) -> None:
    loop = open_project(clips)
    loop.suggestions()
    for task, clip in zip(loop.tasks[:2], clips, strict=False):
        loop.answer(task, clip)
    version, _ = loop.timelines()

    frames = tmp_path / "frames"
    told = json.loads(
        _run(loop, "-m", "ml_backend.cli", "export", str(loop.project), "-o", str(frames), "--every", "5", "--json")
    )
    counts = told["counts"][""]
    assert set(counts) <= {"car", "ball", "clear"}
    assert sum(counts.values()) == told["pictures"] == len(list(frames.rglob("*.jpg"))) > 50
    card = json.loads((frames / "dataset.json").read_text())
    assert {task["version"] for task in card["tasks"]} == {version}

    labels = tmp_path / "labels.json"
    _run(loop, "-m", "ml_backend.cli", "export", str(loop.project), "-o", str(labels))
    rows = {film["task"]: film["frames"] for film in json.loads(labels.read_text())}
    shown = [row for row in rows[loop.tasks[2]] if row["source"] == "model"]
    agreeing = [clips[2].labels[row["frame"]] == row["label"] for row in shown]
    assert np.mean(agreeing) > 0.85
    assert {row["source"] for row in rows[loop.tasks[0]]} == {"human", "model"}

    table = f"{loop.backend.url}/exports/labels.csv?project={loop.project}"
    assert requests.post(table, timeout=60).status_code == 202
    loop.wait_for("export", lambda: requests.get(table, timeout=60).ok)
    assert len(requests.get(table, timeout=60).text.splitlines()) == 1 + sum(map(len, rows.values()))

    models = loop.backend.data / "custom_models"
    models.mkdir(exist_ok=True)
    _run(loop, str(_TRAIN), str(frames), str(models / "mine.pt"))
    [backend] = loop.studio.get("/api/ml/", project=loop.project)
    loop.studio.patch(f"/api/ml/{backend['id']}", {**backend, "extra_params": {"custom_model": "mine.pt"}})
    loop.studio.get("/api/ml/", project=loop.project)
    loop.wait_for("own model", lambda: loop.shown_version() == "custom-mine-v1" and loop.backend.idle)
    found = [each for each in loop.studio.predictions(loop.tasks[2]) if each["model_version"] == "custom-mine-v1"]
    right, asked = right_frames(found[-1]["result"], clips[2])
    assert right / asked > 0.6

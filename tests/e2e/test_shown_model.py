"""Which model a project shows: Cold, then Blitz, a researcher's own, and back again; each seen in Label Studio's predictions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby

import pytest

from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop, right_frames

pytestmark = pytest.mark.e2e

_BRIGHT = """
import numpy as np

labels = ["car", "ball", "clear"]
input_size = 32

def predict(frames):
    blue = frames[..., 2].astype(float).mean(axis=(1, 2)) - frames[..., 0].mean(axis=(1, 2))
    car = np.clip((blue - blue.mean()) / 20 + 0.5, 0.05, 0.95)
    return np.stack([car, (1 - car) / 3, 2 * (1 - car) / 3], axis=1)
"""


def test_blitz_takes_over_a_custom_file_comes_and_goes_and_a_version_is_rolled_back(
    open_project: Callable[..., Loop], clips: list[Clip]
) -> None:
    loop = open_project(clips)
    loop.suggestions()
    loop.answer(loop.tasks[0], clips[0])
    cold, _ = loop.timelines()
    assert cold.startswith("cold-v")

    for task, clip in zip(loop.tasks[:2], clips, strict=False):
        _review(loop, task, clip)
    blitz = loop.wait_for("Blitz model", lambda: _settled(loop, "blitz-v"))
    # A reviewed timeline needs no prediction any more; the others have Blitz's.
    assert not any(_predicted(loop, task, blitz) for task in loop.tasks[:2])
    right, asked = right_frames(_predicted(loop, loop.tasks[2], blitz), clips[2])
    assert right / asked >= 0.9

    _activate(loop, cold)
    loop.wait_for("roll-back", lambda: _settled(loop, cold))
    _activate(loop, blitz)
    loop.wait_for("return", lambda: _settled(loop, blitz))

    folder = loop.backend.data / "custom_models"
    folder.mkdir(exist_ok=True)
    (folder / "bright.py").write_text(_BRIGHT)
    _set_extra_params(loop, {"custom_model": "bright.py"})
    custom = loop.wait_for("custom model", lambda: _settled(loop, "custom-bright-v1"))
    regions = _predicted(loop, loop.tasks[2], custom)
    assert {label for region in regions for label in region["value"]["timelinelabels"]} <= {"car", "ball", "clear"}
    assert all(region["id"].removeprefix("kf-").startswith("custom-bright-v1-") for region in regions)

    _set_extra_params(loop, {"custom_model": "missing.py"})
    reason = loop.wait_for("reason", lambda: _failure(loop, "train"))
    assert "missing.py" in reason

    _set_extra_params(loop, {})
    loop.wait_for("own model again", lambda: _settled(loop, blitz))


def _review(loop: Loop, task: int, clip: Clip) -> None:
    """Submits the whole true timeline, marked as reviewed."""
    result = []
    start = 1
    for number, (label, run) in enumerate(groupby(clip.labels)):
        end = start + len(list(run)) - 1
        value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
        result.append({"id": f"mine{number}", "type": "timelinelabels", "value": value, "from_name": "labels"})
        start = end + 1
    result.append({"id": "done", "type": "choices", "value": {"choices": ["reviewed"]}, "from_name": "reviewed"})
    body = {"result": [{**item, "to_name": "video", "origin": "manual"} for item in result]}
    loop.studio.post(f"/api/tasks/{task}/annotations/", body)


def _settled(loop: Loop, version: str) -> str | None:
    """The version that is shown, when it is this one (or one of this kind) and no job is under way."""
    shown = loop.shown_version()
    return shown if shown.startswith(version) and loop.backend.idle else None


def _predicted(loop: Loop, task: int, version: str) -> list[dict[str, object]]:
    found = [each for each in loop.studio.predictions(task) if each["model_version"] == version]
    return found[-1]["result"] if found else []


def _activate(loop: Loop, version: str) -> None:
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": loop.studio.url,
        "LABEL_STUDIO_API_KEY": loop.studio.token,
        "DATA_DIR": str(loop.backend.data),
    }
    command = [sys.executable, "-m", "ml_backend.cli", "models", "activate", str(loop.project), version]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def _set_extra_params(loop: Loop, extra_params: dict[str, str]) -> None:
    """As the form of Label Studio does; asking for the list afterwards makes it call `/setup`, as opening the page does."""
    [backend] = loop.studio.get("/api/ml/", project=loop.project)
    loop.studio.patch(f"/api/ml/{backend['id']}", {**backend, "extra_params": extra_params})
    loop.studio.get("/api/ml/", project=loop.project)


def _failure(loop: Loop, kind: str) -> str | None:
    mine = f"{loop.project}."
    jobs = [job for job in loop.backend.jobs()["failed"] if job["kind"] == kind and job["project"].startswith(mine)]
    return jobs[0]["reason"] if jobs else None

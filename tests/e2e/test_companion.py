"""The companion project in headless Chromium on a real Label Studio: from a suggested frame to an image, one key and Enter,
and back to a timeline. Screenshots go to `.artifacts/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from playwright.sync_api import Page

from benchmarks.alignment.player import browser_page, chromium
from benchmarks.sampling.keystrokes import companion_project, enter_submits, label_images
from ml_backend.demo.clips import Clip, read_index
from ml_backend.demo.loop import Loop, label_at, labels_at, right_frames
from ml_backend.demo.studio import Studio

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium: `apt-get install chromium fonts-dejavu-core`"),
]
OpenProject = Callable[..., Loop]
_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"


@pytest.fixture(scope="module")
def loop(open_project: OpenProject, clips: list[Clip]) -> Loop:
    return open_project(clips[:2], extra_params={"companion": True, "frames_per_video": 8})


@pytest.fixture(scope="module")
def companion(loop: Loop) -> int:
    return companion_project(loop)


def test_each_suggested_frame_is_one_image_of_exactly_its_picture(studio: Studio, loop: Loop, companion: int) -> None:
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    images = [task["data"] for task in studio.tasks(companion)]
    suggested = {
        (task, region["value"]["ranges"][0]["start"]) for task, r in loop.suggestions().items() for region in r
    }
    assert sorted((image["task"], image["frame"]) for image in images) == sorted(suggested)
    for image in images:
        # Frame n of the grid, which has the clip's own rate, is frame index n - 1.
        assert _index_in(studio, image) == image["frame"] - 1


def test_one_key_and_enter_a_frame_teach_the_model_which_labels_the_timelines(
    studio: Studio, loop: Loop, companion: int, clips: list[Clip]
) -> None:
    by_task = dict(zip(loop.tasks, clips, strict=False))
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    labelled: dict[tuple[int, int], str] = {}

    def label_of(data: Mapping[str, Any]) -> str:
        label = label_at(by_task[data["task"]], data["frame"])
        labelled[data["task"], data["frame"]] = label
        return label

    def screenshot(page: Page, number: int) -> None:
        if number == 1:
            _ARTIFACTS.mkdir(exist_ok=True)
            page.screenshot(path=_ARTIFACTS / "companion.png")

    with browser_page(studio) as page, enter_submits(studio):
        effort = label_images(page, studio, companion, label_of, "Enter", seen=screenshot)
    assert effort.frames == len(labelled) >= 6
    assert (effort.keys, effort.clicks) == (2 * effort.frames, 0)

    assert all(not task["annotations"] for task in studio.tasks(loop.project)), (
        "nobody has opened the videos themselves"
    )
    loop.wait_for("a model of all answers", lambda: _frames_learnt(loop) == len(labelled))
    _, timelines = loop.timelines()
    for (task, frame), label in labelled.items():
        assert labels_at(timelines[task], frame) == {label}, "what a person said of a frame is held"
    for task, clip in by_task.items():
        right, asked = right_frames(timelines[task], clip)
        assert right / asked >= 0.9


def _frames_learnt(loop: Loop) -> int:
    version = loop.trained_version()
    models = loop.backend.get(f"/models?project={loop.project}")["models"] if version else []
    return next((int(model["labelled_frames"]) for model in models if model["name"] == version), 0)


def _index_in(studio: Studio, image: Mapping[str, Any]) -> int | None:
    """The frame index that is drawn into the picture of an image task."""
    headers = {"Authorization": f"Token {studio.legacy_token}"}
    answer = requests.get(f"{studio.url}{image['image']}", headers=headers, timeout=60)
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return read_index(np.asarray(picture, np.uint8))

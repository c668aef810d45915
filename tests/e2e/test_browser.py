"""What an annotator sees and does, in headless Chromium on a real Label Studio. Screenshots go to `.artifacts/`."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from ml_backend.demo.clips import LABELS, Clip, read_index
from ml_backend.demo.loop import Loop, label_at, right_frames
from ml_backend.demo.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
OpenProject = Callable[..., Loop]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
_CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")

# The editor's whole state is at window.Htx; a click before the video has its length does not seek.
_READY = """task => { const store = window.Htx?.annotationStore, video = document.querySelector('video');
    return store?.selected && video?.readyState >= 2 && store.selected.names.get('video').length > 1
        && store.selected.regions.length > 0 && (task === null || window.Htx.task.id === task); }"""
_REGIONS = """() => window.Htx.annotationStore.selected.regions.map(region => (
    {id: region.cleanId, start: region.ranges[0].start, end: region.ranges[0].end, labels: [...(region.labels || [])]}))"""
_SHOWN_FRAME = "() => window.Htx.annotationStore.selected.names.get('video').frame"
_PICTURE = """() => { const video = document.querySelector('video'), canvas = document.createElement('canvas');
    if (video.seeking || video.readyState < 2) return null;
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL('image/png').split(',')[1]; }"""


@pytest.fixture(scope="module")
def page(studio: Studio) -> Iterator[Page]:
    """A browser in which the annotator is logged in."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium fonts-dejavu-core`")
    _ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=list(_CHROMIUM))
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.goto(f"{studio.url}/user/login/")
        page.fill("#email", studio.user)
        page.fill("#password", studio.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/user/login" not in url)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def labelled(page: Page, open_project: OpenProject, clips: list[Clip]) -> tuple[Loop, list[dict[str, Any]]]:
    """A project in which the annotator has answered the first task's suggestions by hand; and what was submitted."""
    loop = open_project(clips)
    suggestions = loop.suggestions()
    loop.wait_for("end of all jobs", lambda: loop.backend.idle)
    task, clip = loop.tasks[0], clips[0]
    _open_task(page, loop, task)
    regions = page.evaluate(_REGIONS)
    assert [region["id"] for region in regions] == [region["id"] for region in suggestions[task]]
    for number, region in enumerate(regions):
        _click(page, number, region)
        if number == len(regions) // 2:
            _screenshot(page, "suggestions")
        label = label_at(clip, region["start"])
        page.keyboard.press(str(LABELS.index(label) + 1))
        page.wait_for_function(f"([at, label]) => ({_REGIONS})()[at].labels.join() === label", arg=[number, label])
    _screenshot(page, "answered")
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{task}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201
    return loop, json.loads(posted.value.request.post_data or "{}")["result"]


def test_clicking_a_suggestion_shows_its_picture_and_a_digit_labels_it(
    labelled: tuple[Loop, list[dict[str, Any]]], clips: list[Clip]
) -> None:
    _, result = labelled
    assert len(result) >= 3
    for region in result:
        [span] = region["value"]["ranges"]
        assert region["value"]["timelinelabels"] == [label_at(clips[0], span["start"])]
        assert region["id"].startswith("kf-")


def test_submit_starts_training_and_the_next_task_opens_with_the_predicted_timeline(
    labelled: tuple[Loop, list[dict[str, Any]]], page: Page, clips: list[Clip]
) -> None:
    loop, _ = labelled
    version, timelines = loop.timelines()
    page.goto(f"{loop.studio.url}/projects/{loop.project}/data?labeling=1")
    page.wait_for_function(_READY, arg=None, timeout=30_000)
    task = page.evaluate("() => window.Htx.task.id")
    assert task in loop.tasks[1:]
    regions = page.evaluate(_REGIONS)
    assert [region["id"] for region in regions] == [region["id"] for region in timelines[task]]
    assert all(region["id"].startswith(f"{version}-") for region in regions)
    right, asked = right_frames(timelines[task], clips[loop.tasks.index(task)])
    assert right / asked >= 0.9
    for number, region in enumerate(regions):
        _click(page, number, region)
    _screenshot(page, "predicted")


def test_a_task_with_a_few_labelled_frames_can_be_opened_with_its_whole_timeline(
    labelled: tuple[Loop, list[dict[str, Any]]], page: Page
) -> None:
    loop, _ = labelled
    version, timelines = loop.timelines()
    task = loop.tasks[0]
    _open_task(page, loop, task)
    page.evaluate(
        """version => { const store = window.Htx.annotationStore;
            store.selectPrediction(store.predictions.find(each => each.createdBy.includes(version)).id); }""",
        version,
    )
    page.wait_for_function(f"id => ({_REGIONS})().some(region => region.id === id)", arg=timelines[task][0]["id"])
    assert [each["id"] for each in page.evaluate(_REGIONS)] == [each["id"] for each in timelines[task]]
    _screenshot(page, "review")


def _open_task(page: Page, loop: Loop, task: int) -> None:
    page.goto(f"{loop.studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(_READY, arg=task, timeout=30_000)


def _click(page: Page, number: int, region: dict[str, Any]) -> None:
    """Clicks a row of the list of regions; the player must then show the picture that the region begins with."""
    page.locator("[class*=outliner-item__title]").nth(number).click()
    page.wait_for_function(f"frame => ({_SHOWN_FRAME})() === frame", arg=region["start"])
    # Frame n of the grid, which has the clip's own rate, is frame index n - 1.
    page.wait_for_function("() => !document.querySelector('video').seeking")
    assert _shown_index(page) == region["start"] - 1


def _shown_index(page: Page) -> int | None:
    """The frame index drawn into the picture that the player shows."""
    encoded = page.wait_for_function(_PICTURE).json_value()
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return read_index(np.asarray(picture, np.uint8))


def _screenshot(page: Page, name: str) -> None:
    page.wait_for_timeout(500)  # the timeline is drawn after the state has changed
    page.screenshot(path=_ARTIFACTS / f"{name}.png")

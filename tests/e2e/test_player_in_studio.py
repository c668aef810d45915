"""The dashboard's player beside Label Studio's: the same video, fetched from there, at the same frames, and what the model says of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_page import PICTURE, SEEK
from numpy.typing import NDArray
from playwright.sync_api import Page

from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop, label_at, labels_at

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
_OPENED = """task => { const store = window.Htx?.annotationStore, video = document.querySelector('video');
    return store?.selected && video?.readyState >= 2 && window.Htx.task.id === task; }"""
_AT = "Math.round(document.querySelector('video').currentTime * window.Htx.annotationStore.selected.names.get('video').framerate) + 1"


def picture(page: Page) -> NDArray[np.uint8]:
    """(h, w, 3) of what its video element shows, once it has come to rest."""
    page.wait_for_timeout(400)
    page.wait_for_function(f"({PICTURE})() !== null")
    content = np.frombuffer(base64.b64decode(page.evaluate(PICTURE)), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def frame_of(page: Page) -> int:
    return int((page.locator("#now").text_content() or "").split()[1])


def test_the_player_shows_what_label_studio_shows(
    open_project: Callable[..., Loop], clips: list[Clip], page: Page
) -> None:
    loop = open_project(clips[:2])
    loop.suggestions()
    loop.answer(loop.tasks[0], clips[0])
    version, timelines = loop.timelines()
    task, clip = loop.tasks[1], clips[1]
    regions = timelines[task]
    address = f"{loop.backend.url}/dashboard/projects/{loop.project}/videos/{task}"

    page.goto(address)
    page.locator("#player[data-ready]").wait_for()
    page.locator("#deck").focus()
    # Each change of the timeline that Label Studio has is a stop, and the model says there what stands there.
    starts = sorted(region["value"]["ranges"][0]["start"] for region in regions)
    for start in starts[1:4]:
        page.keyboard.press("c")
        assert frame_of(page) == start
        said = page.locator("#now").text_content() or ""
        assert all(label in said for label in labels_at(regions, start)), said
    shown = {}
    for frame in (starts[1], starts[1] + 1, len(clip.labels) - 5):
        page.goto(f"{address}?frame={frame}")
        page.locator("#player[data-ready]").wait_for()
        assert frame_of(page) == frame
        shown[frame] = picture(page)
    page.screenshot(path=_ARTIFACTS / "player-in-studio.png", full_page=True)

    # Segments of one label alone, by keyboard.
    facts = page.evaluate("fetch(document.getElementById('player').dataset.facts).then(answer => answer.json())")
    [word] = [each for each in facts["words"] if not each["person"]]
    assert {(start, end) for start, end, *_ in word["regions"]} == {
        (span["start"], span["end"]) for region in regions for span in region["value"]["ranges"]
    }, json.dumps(word)
    label = label_at(clip, starts[1])
    page.locator("#only").select_option(label)
    page.locator("#deck").focus()
    page.keyboard.press("Home")
    page.keyboard.press("n")
    assert label in labels_at(regions, frame_of(page))

    page.get_by_role("link", name="Open in Label Studio", exact=True).click()
    page.wait_for_function(_OPENED, arg=task)
    for frame, ours in shown.items():
        # It begins anew at the first frame when it has read the task's regions.
        page.wait_for_function(f"frame => {{ ({SEEK})(frame); return {_AT} === frame; }}", arg=frame, polling=500)
        theirs = picture(page)
        assert theirs.shape == ours.shape
        assert np.abs(theirs.astype(int) - ours).mean() < 1, frame
    assert version in (loop.shown_version(),)

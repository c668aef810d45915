"""What an annotator sees and does, in headless Chromium on a real Label Studio. Screenshots go to `.artifacts/`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from ml_backend.demo.clips import LABELS, Clip, read_index
from ml_backend.demo.loop import Loop, is_empty, label_at, labels_at, right_frames

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
OpenProject = Callable[..., Loop]

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"

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
def labelled(page: Page, open_project: OpenProject, clips: list[Clip]) -> tuple[Loop, list[dict[str, Any]]]:
    """A project in which the annotator has answered the first task's suggestions by hand; and what was submitted.

    The last two tasks show the same videos as the two before. Label Studio is to serve uncertain tasks first.
    """
    loop = open_project([*clips, *clips[1:]], extra_params={"serve_uncertain_first": True})
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
    task = _open_stream(page, loop)
    assert task in loop.tasks[1:]
    regions = page.evaluate(_REGIONS)
    assert [region["id"] for region in regions] == [region["id"] for region in _predicted(loop, version, task)]
    right, asked = right_frames(timelines[task], _clip(loop, clips, task))
    assert right / asked >= 0.9
    for number, region in enumerate(regions):
        _click(page, number, region)
    _screenshot(page, "predicted")


def test_questions_are_the_first_rows_and_the_least_confident_regions_follow(
    labelled: tuple[Loop, list[dict[str, Any]]], page: Page
) -> None:
    loop, _ = labelled
    version, _ = loop.timelines()
    task = _open_stream(page, loop)
    rows = page.evaluate(_REGIONS)
    questions = [row for row in rows if not row["labels"]]
    assert 1 <= len(questions) <= 5
    assert rows[: len(questions)] == questions
    assert all(row["id"] == f"kf-{version}-{row['start']}" and row["start"] == row["end"] for row in questions)
    assert all(row["id"].startswith(f"{version}-") for row in rows[len(questions) :])
    scores = [each["score"] for each in _predicted(loop, version, task) if not is_empty(each)]
    assert scores == sorted(scores)
    texts = page.locator("[class*=outliner-item__title]").all_inner_texts()
    assert not any(label in text for text in texts[: len(questions)] for label in LABELS)
    assert texts[len(questions)].strip()
    _screenshot(page, "questions")


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
    assert [each["id"] for each in page.evaluate(_REGIONS)] == [each["id"] for each in _predicted(loop, version, task)]
    _screenshot(page, "review")


def test_answering_one_question_labels_one_frame_and_leads_to_the_next_model(
    labelled: tuple[Loop, list[dict[str, Any]]], page: Page, clips: list[Clip]
) -> None:
    loop, _ = labelled
    before, _ = loop.timelines()
    task = _open_stream(page, loop)
    question = page.evaluate(_REGIONS)[0]
    _click(page, 0, question)
    label = label_at(_clip(loop, clips, task), question["start"])
    page.keyboard.press(str(LABELS.index(label) + 1))
    page.wait_for_function(f"label => ({_REGIONS})()[0].labels.join() === label", arg=label)
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{task}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    assert posted.value.status == 201

    version, timelines = loop.timelines(newer_than=before)
    models = {each["name"]: each for each in loop.backend.get(f"/models?project={loop.project}")["models"]}
    # Neither the questions without an answer nor the timeline that was left as it is teach anything.
    assert models[version]["labelled_frames"] == models[before]["labelled_frames"] + 1
    # The video is not reviewed: it has a new timeline, in which the answer is held, and other questions.
    assert labels_at(timelines[task], question["start"]) == {label}
    asked = [each["value"]["ranges"][0]["start"] for each in _predicted(loop, version, task) if is_empty(each)]
    assert asked
    assert question["start"] not in asked


def test_label_studio_serves_tasks_in_the_order_of_their_scores_and_copies_last(
    labelled: tuple[Loop, list[dict[str, Any]]],
) -> None:
    loop, _ = labelled
    studio = loop.studio
    assert studio.get(f"/api/projects/{loop.project}/")["sampling"] == "Uncertainty sampling"
    version, _ = loop.timelines()
    waiting = [task["id"] for task in studio.tasks(loop.project) if not task["annotations"]]
    scores = {task: _prediction(loop, version, task)["score"] for task in waiting}
    assert len(scores) == 3
    served = []
    for _ in scores:
        task = studio.get(f"/api/projects/{loop.project}/next")["id"]
        served.append(task)
        studio.post(f"/api/tasks/{task}/annotations/", {"result": [], "was_cancelled": True, "lead_time": 1})
    assert sorted(served) == sorted(scores)
    assert [scores[task] for task in served] == sorted(scores.values())
    # Two of the three show the same video; the one that is served later gains nothing more.
    of = {task: (loop.tasks.index(task) - 1) % 2 for task in served}
    twice = [task for task in served if list(of.values()).count(of[task]) == 2]
    assert scores[twice[1]] > 0.99
    assert scores[twice[1]] == max(scores.values())


def _open_stream(page: Page, loop: Loop) -> int:
    """Opens *Label All Tasks*; returns the task that is served."""
    page.goto(f"{loop.studio.url}/projects/{loop.project}/data?labeling=1")
    page.wait_for_function(_READY, arg=None, timeout=180_000)
    return int(page.evaluate("() => window.Htx.task.id"))


def _clip(loop: Loop, clips: list[Clip], task: int) -> Clip:
    return [*clips, *clips[1:]][loop.tasks.index(task)]


def _prediction(loop: Loop, version: str, task: int) -> dict[str, Any]:
    [found] = [each for each in loop.studio.predictions(task) if each["model_version"] == version]
    return found


def _predicted(loop: Loop, version: str, task: int) -> list[dict[str, Any]]:
    """The regions of a task's prediction, questions first."""
    return list(_prediction(loop, version, task)["result"])


def _open_task(page: Page, loop: Loop, task: int) -> None:
    page.goto(f"{loop.studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(_READY, arg=task, timeout=180_000)


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

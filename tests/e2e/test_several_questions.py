"""Projects that ask more than one question, or another one, in a real Label Studio and a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.demo.loop import Loop, label_at, labels_at
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
# A machine that does other work as well takes long to embed videos.
_PATIENCE = 900

_ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
_READY = """task => { const store = window.Htx?.annotationStore, video = document.querySelector('video');
    return store?.selected && video?.readyState >= 2 && store.selected.names.get('video').length > 1
        && store.selected.regions.length > 0 && window.Htx.task.id === task; }"""
_REGIONS = """() => window.Htx.annotationStore.selected.regions.map(region => (
    {id: region.cleanId, start: region.ranges[0].start, answers: region.results.length}))"""

TWO = """<View>
  <TimelineLabels name="what" toName="video"><Label value="clear"/><Label value="ball"/><Label value="car"/></TimelineLabels>
  <TimelineLabels name="road" toName="video"><Label value="free"/><Label value="used"/></TimelineLabels>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="200"/></View>"""
CHOICES = """<View><Video name="video" value="$video" framerate="$fps"/>
  <Choices name="kind" toName="video" showInLine="true"><Choice value="busy"/><Choice value="quiet"/></Choices></View>"""
DYNAMIC = """<View><TimelineLabels name="labels" toName="video" value="$labels"/>
  <Video name="video" value="/data/upload/$file" framerate="$fps" timelineHeight="200"/></View>"""


def connected(studio: Studio, backend: Backend, config: str, data: list[dict[str, Any]], project: int) -> Loop:
    # In this order: Label Studio 1.23.2 imports no list for a <TimelineLabels value="$labels">, and shows it all the same.
    tasks = studio.import_tasks(project, data)
    studio.patch(f"/api/projects/{project}/", {"label_config": config})
    studio.connect(project, backend.url)
    return Loop(studio, backend, project, tuple(tasks))


def with_clips(studio: Studio, backend: Backend, config: str, clips: list[Clip]) -> Loop:
    project = studio.create_project("Questions", "<View/>")
    data = [{"video": studio.upload(project, clip.path), "fps": float(clip.fps)} for clip in clips]
    return connected(studio, backend, config, data, project)


def item(control: str, kind: str, value: dict[str, Any], number: str) -> dict[str, Any]:
    return {"id": number, "from_name": control, "to_name": "video", "type": kind, "value": value, "origin": "manual"}


def predicted(loop: Loop, task: int, version: str) -> list[dict[str, Any]]:
    found = [each for each in loop.studio.predictions(task) if each["model_version"] == version]
    return list(found[-1]["result"]) if found else []


def trained(loop: Loop) -> str:
    return loop.wait_for("trained model", lambda: loop.trained_version(None), _PATIENCE)


@pytest.mark.browser
def test_two_timelines_on_one_video_are_answered_learnt_and_predicted_each(
    studio: Studio, backend: Backend, clips: list[Clip], page: Page
) -> None:
    loop = with_clips(studio, backend, TWO, clips)
    suggestions = loop.suggestions()
    loop.wait_for("end of all jobs", lambda: loop.backend.idle, _PATIENCE)
    task, clip = loop.tasks[0], clips[0]
    page.goto(f"{studio.url}/projects/{loop.project}/data?task={task}")
    page.wait_for_function(_READY, arg=task)
    regions = page.evaluate(_REGIONS)
    assert {region["from_name"] for region in suggestions[task]} == {"what"}
    for number, region in enumerate(regions):
        page.locator("[class*=outliner-item__title]").nth(number).click()
        page.wait_for_function(
            "id => window.Htx.annotationStore.selected.regionStore.selection.list[0]?.cleanId === id", arg=region["id"]
        )
        truth = label_at(clip, region["start"])
        # The second control's digits go on where those of the first end.
        page.keyboard.press({"clear": "1", "ball": "2", "car": "3"}[truth])
        page.keyboard.press("4" if truth == "clear" else "5")
        # The editor keeps the answer to the second control beside the first one's, in the same region.
        page.wait_for_function(f"at => ({_REGIONS})()[at].answers === 2", arg=number)
    page.screenshot(path=_ARTIFACTS / "two-timelines-answered.png")
    page.keyboard.press("Escape")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and f"/api/tasks/{task}/annotations" in answer.url
    ) as posted:
        page.keyboard.press("Control+Enter")
    result = json.loads(posted.value.request.post_data or "{}")["result"]
    assert {each["from_name"] for each in result} == {"what", "road"}

    version = trained(loop)
    other = loop.tasks[1]
    found = loop.wait_for("prediction of both", lambda: predicted(loop, other, version), _PATIENCE)
    assert len({each["id"] for each in found}) == len(found)
    for control, truth_of in (("what", str), ("road", lambda label: "free" if label == "clear" else "used")):
        own = [each for each in found if each["from_name"] == control]
        frames = range(1, len(clips[1].labels) + 1)
        right = sum(labels_at(own, frame) == {truth_of(label_at(clips[1], frame))} for frame in frames)
        assert right / len(frames) >= 0.8, control

    page.goto(f"{studio.url}/projects/{loop.project}/data?task={other}")
    page.wait_for_function(_READY, arg=other)
    page.wait_for_timeout(1500)
    page.screenshot(path=_ARTIFACTS / "two-timelines-predicted.png")
    assert {region["id"] for region in page.evaluate(_REGIONS)} == {each["id"] for each in found}


def test_a_project_that_asks_only_what_its_videos_are(
    studio: Studio, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    busy, quiet = (("car", 30), ("ball", 30), ("clear", 5)), (("clear", 50), ("ball", 10))
    scripts = tuple(Script(f"{number}.mp4", 25, busy if number % 2 else quiet, number) for number in range(1, 7))
    loop = with_clips(studio, backend, CHOICES, make_clips(tmp_path_factory.mktemp("whole"), scripts))
    loop.wait_for("end of all jobs", lambda: loop.backend.idle and loop.shown_version(), _PATIENCE)
    for number, task in enumerate(loop.tasks[:4], start=1):
        chosen = item("kind", "choices", {"choices": ["busy" if number % 2 else "quiet"]}, f"c{number}")
        studio.post(f"/api/tasks/{task}/annotations/", {"result": [chosen]})
    version = trained(loop)
    for number, task in enumerate(loop.tasks[4:], start=5):
        found = loop.wait_for("predicted class", lambda task=task: predicted(loop, task, version))  # type: ignore[misc]
        (choice,) = found
        assert (choice["from_name"], choice["type"]) == ("kind", "choices")
        assert choice["value"] == {"choices": ["busy" if number % 2 else "quiet"]}
        assert 0.5 < choice["score"] <= 1


def test_labels_and_addresses_from_the_data_of_tasks(studio: Studio, backend: Backend, clips: list[Clip]) -> None:
    project = studio.create_project("Dynamic", "<View/>")
    labels = [["clear", "ball", "car"], ["ball", "clear", "car"], ["car", "ball", "clear"]]
    data = [
        {
            "file": studio.upload(project, clip.path).removeprefix("/data/upload/"),
            "fps": float(clip.fps),
            "labels": [{"value": label} for label in own],
        }
        for clip, own in zip(clips, labels, strict=True)
    ]
    loop = connected(studio, backend, DYNAMIC, data, project)
    suggestions = loop.suggestions()
    task, clip = loop.tasks[0], clips[0]
    result = []
    for region in suggestions[task]:
        (span,) = region["value"]["ranges"]
        result.append({**region, "value": {"ranges": [span], "timelinelabels": [label_at(clip, span["start"])]}})
    studio.post(f"/api/tasks/{task}/annotations/", {"result": result})
    version = trained(loop)
    found = loop.wait_for("timeline", lambda: predicted(loop, loop.tasks[1], version))
    assert {label for each in found for label in each["value"]["timelinelabels"]} == {"clear", "ball", "car"}

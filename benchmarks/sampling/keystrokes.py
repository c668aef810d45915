"""What labelling a frame costs a person: on the video's timeline, and in the companion project.

In headless Chromium on a real Label Studio, with the backend at work beside it. The person knows every label and never
hesitates, so `seconds` are what the programs take; nor does the mouse take its way to a row of the list, which flatters the
timeline.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.alignment.player import browser_page
from ml_backend.demo.clips import LABELS, SCRIPTS, Clip, make_clips
from ml_backend.demo.loop import Loop, label_at, label_config, upload_tasks
from ml_backend.demo.process import coldblitz
from ml_backend.demo.studio import Studio, label_studio
from ml_backend.labelstudio.payloads import companion_of

_PATIENCE = 90_000  # milliseconds
# What *Account & Settings*, *Hotkeys* stores when somebody lets Enter alone submit.
_ENTER_SUBMITS = {"annotation:annotation:submit": {"key": "enter", "active": True}}
_TIMELINE_READY = """([task, regions]) => { const shown = window.Htx?.annotationStore?.selected, video = document.querySelector('video');
    return shown && video?.readyState >= 2 && shown.names.get('video')?.length > 1 && window.Htx.task.id === task
        && shown.regions.length === regions; }"""
_AT_FRAME = """frame => window.Htx.annotationStore.selected.names.get('video').frame === frame
    && !document.querySelector('video').seeking"""
_LABELLED = (
    """([number, label]) => [...(window.Htx.annotationStore.selected.regions[number].labels || [])].join() === label"""
)
_REGIONS = "() => window.Htx.annotationStore.selected.regions.map(region => region.ranges[0].start)"
_IMAGE_READY = """task => { const shown = window.Htx?.annotationStore?.selected, image = document.querySelector('img[alt=image]')
        ?? [...document.querySelectorAll('[class*=image] img')].find(each => each.naturalWidth > 1);
    return shown && window.Htx.task && window.Htx.task.id !== task && image?.complete && image.naturalWidth > 1; }"""
_CHOSEN = (
    "label => window.Htx.annotationStore.selected.serializeAnnotation().some(each => each.value.choices?.[0] === label)"
)


@dataclass(frozen=True)
class Effort:
    """`keys`: pressed, each of a chord counted. `seconds`: from the first frame in sight to the answer to the last Submit."""

    frames: int
    keys: int
    clicks: int
    seconds: float

    def each(self) -> dict[str, float]:
        """Of a frame; `keystrokes` are keys and clicks."""
        return {
            "keystrokes": round((self.keys + self.clicks) / self.frames, 2),
            "clicks": round(self.clicks / self.frames, 2),
            "seconds": round(self.seconds / self.frames, 3),
        }


def keystrokes() -> dict[str, dict[str, float]]:
    """Keys and clicks, and seconds, of a labelled frame: `timeline`, `companion`, and `companion_default`, where the
    annotator has left Submit at Ctrl+Enter. Raises SettingsError without a Label Studio or a Chromium."""
    with tempfile.TemporaryDirectory(prefix="coldblitz-keystrokes-") as folder, label_studio() as studio:
        clips = make_clips(Path(folder) / "clips", SCRIPTS[:2])
        settings = {"BACKBONE_WEIGHTS": "none"}
        with coldblitz(studio.url, studio.token, Path(folder) / "data", settings=settings) as backend:

            def opened(**params: Any) -> Loop:
                project = studio.create_project("A street", label_config(LABELS))
                tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
                studio.connect(project, backend.url, params)
                loop = Loop(studio, backend, project, tuple(tasks))
                loop.suggestions()
                loop.wait_for("end of all jobs", lambda: backend.idle)
                return loop

            def known(loop: Loop) -> Callable[[Mapping[str, Any]], str]:
                by_task = dict(zip(loop.tasks, clips, strict=True))
                return lambda data: label_at(by_task[data["task"]], data["frame"])

            with browser_page(studio) as page:
                plain, usual, quick = opened(), opened(companion=True), opened(companion=True)
                timeline = label_timeline(page, plain, plain.tasks[0], clips[0])
                default = label_images(page, studio, companion_project(usual), known(usual), "Control+Enter")
                with enter_submits(studio):
                    companion = label_images(page, studio, companion_project(quick), known(quick), "Enter")
    return {"timeline": timeline.each(), "companion": companion.each(), "companion_default": default.each()}


def label_timeline(page: Page, loop: Loop, task: int, clip: Clip) -> Effort:
    """Answers the suggested frames of `task`, which shows `clip`: a click on each row of the list, which goes to the frame,
    and a digit; then Submit."""
    page.goto(f"{loop.studio.url}/projects/{loop.project}/data?task={task}")
    expected = len((loop.suggestions())[task])
    page.wait_for_function(_TIMELINE_READY, arg=[task, expected], timeout=_PATIENCE)
    frames: list[int] = page.evaluate(_REGIONS)
    began = time.perf_counter()
    for number, frame in enumerate(frames):
        page.locator("[class*=outliner-item__title]").nth(number).click()
        page.wait_for_function(_AT_FRAME, arg=frame)
        label = label_at(clip, frame)
        page.keyboard.press(str(LABELS.index(label) + 1))
        page.wait_for_function(_LABELLED, arg=[number, label])
    page.keyboard.press("Escape")
    _submit(page, "Control+Enter")
    return Effort(len(frames), len(frames) + 3, len(frames), time.perf_counter() - began)


def label_images(
    page: Page,
    studio: Studio,
    project: int,
    label_of: Callable[[Mapping[str, Any]], str],
    submit: str,
    most: int = 1000,
    seen: Callable[[Page, int], None] = lambda page, number: None,
) -> Effort:
    """Labels what the label stream of a companion serves, at most so many images: a digit and `submit` each.

    `label_of`: the label of an image by its task's data. `seen`: called with each labelled image in sight, and its number.
    """
    left = min(most, sum(not task["annotations"] for task in studio.tasks(project)))
    page.goto(f"{studio.url}/projects/{project}/data?labeling=1")
    page.wait_for_function(_IMAGE_READY, arg=None, timeout=_PATIENCE)
    began = time.perf_counter()
    for number in range(left):
        task, data = page.evaluate("() => [window.Htx.task.id, JSON.parse(window.Htx.task.data)]")
        label = label_of(data)
        page.keyboard.press(str(LABELS.index(label) + 1))
        page.wait_for_function(_CHOSEN, arg=label)
        seen(page, number)
        _submit(page, submit)
        if number < left - 1:
            page.wait_for_function(_IMAGE_READY, arg=task, timeout=_PATIENCE)
    return Effort(left, left * (1 + len(submit.split("+"))), 0, time.perf_counter() - began)


def companion_project(loop: Loop) -> int:
    """Waits until the companion of the loop's project holds an image of each suggested frame; returns its number."""
    wanted = {
        (task, region["value"]["ranges"][0]["start"])
        for task, regions in loop.suggestions().items()
        for region in regions
    }

    def complete() -> int | None:
        for each in loop.studio.get("/api/projects/", page_size=1000)["results"]:
            key = companion_of(each.get("description"))
            if key is not None and key.id == loop.project:
                there = [(task["data"]["task"], task["data"]["frame"]) for task in loop.studio.tasks(each["id"])]
                return int(each["id"]) if wanted <= set(there) else None
        return None

    return loop.wait_for("image of each suggested frame", complete)


@contextmanager
def enter_submits(studio: Studio) -> Iterator[None]:
    """The annotator lets Enter alone submit, and sets it back."""
    path = "/api/current-user/hotkeys"
    before = studio.get(path)
    studio.patch(path, {"custom_hotkeys": _ENTER_SUBMITS})
    try:
        yield
    finally:
        studio.patch(path, before)


def _submit(page: Page, keys: str) -> None:
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and "/annotations" in answer.url
    ) as posted:
        page.keyboard.press(keys)
    if posted.value.status != 201:
        raise RuntimeError(f"Label Studio answered {posted.value.status} to Submit")

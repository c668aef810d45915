"""A project of many tasks some way down the road, in Redis and on disk, as its pages find it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from redis import Redis

from ml_backend.checks import Finding
from ml_backend.prediction_item import ResultItem
from ml_backend.projects import (
    asked_frames,
    label_report,
    registry,
    reports,
    stored_predictions,
    task_view,
    track_faults,
    track_questions,
)
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.label_report import Author, HumanRegion, LabelReport
from ml_backend.projects.reconcile_state import Identity, note_identities
from ml_backend.projects.registry import Known
from ml_backend.projects.reports import QualityReport, SuspectRow
from ml_backend.projects.storage import put_rows
from ml_backend.projects.task_view import TaskView
from ml_backend.projects.track_faults import TrackFault
from ml_backend.projects.track_questions import AskedTrack

CONFIG = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="film"/>'
    '<TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
SUGGESTED, ACTIVE = "keyframes-v1", "cold-v1"
_FRAMES, _RATE = 750, 25.0
_ASKED = 8
_MADE = "2026-01-31T12:00:00+00:00"


@dataclass(frozen=True)
class Shares:
    """One of so many tasks has it: a finding about its video, a submitted annotation, tracks that are wrong, a question."""

    found: int = 10
    labeled: int = 10
    wrong: int = 20
    asked: int = 10


def key_of(number: int) -> str:
    return f"{number}.1769860800"


def fill(redis: Redis, data: Path, number: int, tasks: int, shares: Shares | None = None) -> None:
    """A project of this number with so many tasks: all of them suggested, predicted and drawn, some with what else pages show."""
    key, shares, every = key_of(number), shares or Shares(), range(1, tasks + 1)
    registry.remember(redis, Known(key, CONFIG))
    registry.activate(redis, key, ACTIVE)
    registry.note_reconciled(redis, key)
    registry.note_overview(
        redis, key, title=f"Project {number}", tasks=tasks, versions={SUGGESTED: tasks, ACTIVE: tasks}
    )
    for task in every:
        for version in (SUGGESTED, ACTIVE):
            item = {"model_version": version, "score": 0.5, "result": _regions(version), "task": task}
            stored_predictions.save(data, key, item)  # type: ignore[arg-type]
        percent = {label: [50] * 100 for label in ("cat", "dog")}
        view = TaskView(task, f"{task}.mp4", _RATE, _FRAMES, _FRAMES / _RATE, ACTIVE, percent, natural=_RATE)
        task_view.save(data, key, view)
    note_identities(data, key, {task: Identity.of(_MADE, [(f"/data/{task}.mp4", _RATE)]) for task in every})
    for task in every[:: shares.found]:
        registry.note_findings(redis, key, task, [_finding(task)])
    _label(data, key, every[:: shares.labeled])
    _ask(data, key, tasks)
    for task in every[:: shares.wrong]:
        track_faults.save(data, key, task, "model", [_fault(task)])
    for task in every[:: shares.asked]:
        track_questions.save(data, key, task, [_asked(task)])


def _regions(version: str) -> list[ResultItem]:
    labels = [] if version == SUGGESTED else ["cat"]
    return [
        {
            "id": f"{version}-{n}",
            "from_name": "events",
            "to_name": "film",
            "type": "timelinelabels",
            "score": 0.5,
            "value": {"ranges": [{"start": 50 * n + 1, "end": 50 * n + 40}], "timelinelabels": labels},
        }
        for n in range(10)
    ]


def _finding(task: int) -> Finding:
    return Finding(
        kind=("variable-rate", "dark", "short")[task % 3],
        message=f"The frame rate varies: frames last from {task % 7} to 100 ms.",
        remedy="Encode it at a constant rate.",
        severity="warning",
    )


def _label(data: Path, key: str, tasks: range) -> None:
    regions = tuple(HumanRegion(50 * n, 50 * n + 40, ("cat",), 1, "person") for n in range(5))
    author = Author(1, len(tasks), 200 * len(tasks), 5 * len(tasks), 0, 0, _MADE, "Ann", 60.0, 50.0)
    counts = {"cat": 200 * len(tasks)}
    sources = {"cat": {"person": 5 * len(tasks)}}
    report = LabelReport(_MADE, tuple(tasks), tuple(tasks[::2]), counts, {"cat": 5 * len(tasks)}, (author,), sources)
    label_report.save(data, key, report, ((task, regions) for task in tasks))
    suspects = tuple(
        SuspectRow(task, f"{task}.mp4", 1, 40, 0.0, 1.6, ("cat",), ("dog",), 0.9, "swapped", "") for task in tasks[:500]
    )
    reports.save_quality(data, key, QualityReport(_MADE, len(tasks), len(suspects), suspects, {}, {}, 1000))


def _ask(data: Path, key: str, tasks: int) -> None:
    """Eight pictures of each task are asked about, and each tenth of all in place of another task's."""
    pictures = np.zeros(_ASKED * tasks, asked_frames.PICTURE)
    pictures["task"] = np.repeat(np.arange(1, tasks + 1), _ASKED)
    pictures["frame"] = np.tile(np.arange(1, _ASKED + 1), tasks)
    pictures["same_task"] = pictures["same_frame"] = asked_frames.NONE
    pictures["same_task"][::10] = np.maximum(pictures["task"][::10] - 1, 1)
    pictures["same_frame"][::10] = 2
    videos = np.zeros(tasks, asked_frames.VIDEO)
    videos["task"], videos["copy_of"] = np.arange(1, tasks + 1), asked_frames.NONE
    with asked_frames.writing(data, key):
        put_rows(ProjectFolder(data, key).pictures / "pictures.rows", asked_frames.PICTURE, (), pictures)
        put_rows(ProjectFolder(data, key).pictures / "videos.rows", asked_frames.VIDEO, (), videos)


def _fault(task: int) -> TrackFault:
    doubt = float(np.sin(task) ** 2)
    return TrackFault(task, f"{task}.mp4", "model", ("mouse-1",), 10, 40, 0.4, doubt, "jump", "It jumps.", "box", (1,))


def _asked(task: int) -> AskedTrack:
    worth = float(np.cos(task) ** 2)
    return AskedTrack(
        task, f"{task}.mp4", "box", 1, "mouse-1", 10, 0.4, (10, 10, 5, 5), "Which one is it?", True, worth
    )


def pages(number: int, task: int) -> Iterator[tuple[str, str]]:
    """(what it is, its path) of each page and answer that is about a project of many tasks."""
    yield "projects", "/"
    yield "jobs", "/dashboard/jobs"
    project = f"/dashboard/projects/{number}"
    yield "videos", f"{project}/videos"
    yield "videos, a later page", f"{project}/videos?page=900"
    yield "one video", f"{project}/videos/{task}"
    yield "models", f"{project}/models"
    yield "label quality", f"{project}/quality"
    yield "export", f"{project}/export"
    yield "settings", f"{project}/settings"
    for name in ("/jobs", "/metrics", "/versions", "/ready"):
        yield name, name
    for name in ("/models", "/quality", "/labels"):
        yield name, f"{name}?project={number}"

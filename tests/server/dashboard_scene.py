"""What a backend at work has in Redis and on disk, for the tests of the dashboard's pages."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis

from ml_backend.cards.measurements import Calibration, Measurements, TrainingCurves
from ml_backend.checks import Finding, fault, fixable, ok, warning
from ml_backend.export.bouts import BoutVideo
from ml_backend.formats.events import Event, VideoEvents
from ml_backend.learning.versions import ModelCard, publish
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects import (
    check_reports,
    label_report,
    links,
    playback,
    registry,
    reports,
    stored_predictions,
    task_view,
)
from ml_backend.projects.check_reports import INSTALLATION
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.label_report import Account, AccountRow, Author, HumanRegion, LabelReport, WorkDay
from ml_backend.projects.links import Link
from ml_backend.projects.playback import Playback
from ml_backend.projects.reports import VIDEO, QualityReport, StoppingReport, SuspectRow, TaskErrors
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.queue import enqueue, queue_of
from ml_backend.settings import Settings
from ml_backend.video.container import media_kind, open_video
from ml_backend.video.timeline import read_timeline, studio_grid

P = "7.1769860800"
COLOURS = {"clear": "#999999", "ball": "#E69F00", "car": "#0072B2"}
PAGES = {
    "projects": "/",
    "jobs": "/dashboard/jobs",
    "videos": "/dashboard/projects/7/videos",
    "video": "/dashboard/projects/7/videos/1",
    "player": "/dashboard/projects/7/videos/2",
    "map": "/dashboard/projects/7/map",
    "models": "/dashboard/projects/7/models",
    "model": "/dashboard/projects/7/models/cold-v3",
    "quality": "/dashboard/projects/7/quality",
    "bouts": "/dashboard/projects/7/bouts",
    "export": "/dashboard/projects/7/export",
    "settings": "/dashboard/projects/7/settings",
    "settings form": "/dashboard/projects/7/settings/change",
    "setup": "/dashboard/start",
    "checks": "/dashboard/projects/7/checks",
    "remedy": "/dashboard/projects/7/checks/reviewed",
    "boxes": "/dashboard/projects/6/videos/1?frame=120",
    "paths": "/dashboard/projects/6/videos/1/paths?zones=nest=0,0,30,40%0Aarm=50,30 95,30 70,90&cm=80&whose=model",
    "boxes quality": "/dashboard/projects/6/quality",
    "odd names": "/dashboard/projects/8/videos/1",
    "odd model": "/dashboard/projects/8/models/cold-v3",
    "an error": "/dashboard/projects/9/models",
}
ODD = {"a/b <script>alert(1)</script>": "red;", "日本語": "#abc", "x" * 200: "#E69F00", "'\"&": ""}
FRAMES, FPS = 300, 25.0
EPOCHS = [
    {
        "epoch": n,
        "train_loss": 1.1 * 0.6**n,
        "validation_loss": 1.0 * 0.7**n + 0.1,
        "validation_macro_f1": 1 - 0.5 * 0.6**n,
    }
    for n in range(5)
]


DECIDED = (
    "on the 5 recordings that neither version was trained on, its macro-F1 is 0.912, and that of cold-v1 is 0.700."
)


def label_config(labels: dict[str, str]) -> str:
    from ml_backend.labelstudio.recommended import recommended_config

    return recommended_config(labels)


def measured(labels: list[str], score: float) -> dict[str, Any]:
    """Full held-out metrics as `learning.evaluation` writes them."""
    rows = {
        label: {
            "precision": score,
            "recall": score - 0.02,
            "f1": score - 0.01 * position,
            "support": 400 - 90 * position,
            "f1_interval": [max(0.0, score - 0.08), min(1.0, score + 0.03)],
        }
        for position, label in enumerate(labels)
    }
    counts = [[200 if row == column else 7 for column in range(len(labels) + 1)] for row in range(len(labels) + 1)]
    return {
        "judgement": "Measured on 6 recordings, each predicted by a model that had not seen it (leave videos out).",
        "scheme": "leave out videos",
        "videos": 6,
        "frames": 1234,
        "macro_f1": score,
        "macro_f1_error": 0.02,
        "macro_f1_interval": [score - 0.05, min(1.0, score + 0.03)],
        "labels": rows,
        "confusion": {"labels": [*labels, "none of the labels"], "counts": counts},
        "segment_f1": 0.88,
        "segments": {"found": 10, "predicted": 11, "true": 12},
        "boundary_error_frames": 1.6,
        "calibration_error": 0.021,
        "reliability": [
            {
                "from": b / 15,
                "to": (b + 1) / 15,
                "decisions": 10 * b,
                "confidence": (b + 0.5) / 15,
                "right": min(1.0, b / 14),
            }
            for b in range(6, 15)
        ],
        "temperature": 1.1,
    }


def open_project(
    settings: Settings,
    redis: Redis,
    key: str = P,
    title: str = "Street",
    colours: dict[str, str] = COLOURS,
    tasks: int = 4,
) -> None:
    """A project some way down the road: suggested, labelled, trained three times, and predicted."""
    labels, data = list(colours), settings.data_dir
    registry.remember(redis, registry.Known(key, label_config(colours), {"min_frames": 3, "samplin": "x"}))
    registry.set_problems(redis, key, "settings", ["Extra param 'samplin' is unknown and was ignored."])
    finding = Finding(
        kind="variable-rate",
        message="The frame rate varies: frames last from 33 to 100 ms.",
        remedy="Encode it at a constant rate.",
        severity="warning",
    )
    registry.note_findings(redis, key, 2, [finding])
    versions = {"keyframes-v1": tasks, "cold-v3": tasks - 1}
    registry.note_overview(redis, key, title=title, tasks=tasks + 2, versions=versions)
    for number, (score, frames) in enumerate(((0.62, 10), (0.81, 30), (0.93, 60)), start=1):
        card = ModelCard(
            f"cold-v{number}",
            "cold",
            tuple(labels),
            True,
            "mobilenet_v2:default",
            f"2026-01-0{number}T12:00:00+00:00",
            metrics=Measurements.from_json(measured(labels, score)),
            annotations={"1": "2026-01-01"},
            settings={**asdict(ProjectSettings(min_frames=3)), "fingerprint": "0" * 64, "backbone_trained": True},
            calibration=Calibration(1.1),
            curves=TrainingCurves(tuple(EPOCHS), 4) if number == 3 else TrainingCurves(),
            videos=number,
            labelled_frames=frames,
            train_seconds=0.31,
            file_bytes=412_000,
            decision=f"cold-v{number} is rolled out: {DECIDED}" if number > 1 else "",
            account=what_was_read(labels).as_json() if number == 3 else {},
        )
        root = data / "projects" / key / "models"
        root.mkdir(parents=True, exist_ok=True)
        publish(root, card, {})
        if number > 1:
            registry.activate(redis, key, card.name)
    for task in range(1, tasks + 1):
        suggest_and_predict(settings, key, task, labels)
    count_errors(settings, key, tasks)
    count_bouts(settings, key, labels, tasks)
    people = [HumanRegion(1, 120, (labels[0],), 11, "person"), HumanRegion(121, 200, (labels[-1],), 12, "changed")]
    report = LabelReport(
        "2026-01-03T12:00:00+00:00",
        (1, 2),
        (1,),
        {label: 300 - 80 * position for position, label in enumerate(labels)},
        dict.fromkeys(labels, 5),
        (
            Author(11, 2, 340, 20, 3, 4, "2026-01-03T11:00:00+00:00", "Ada Lovelace", 151.0, 75.5),
            Author(12, 1, 80, 2, 0, 1, "2026-01-03T11:30:00+00:00"),
        ),
        {label: {"person": 8 - position, "changed": position, "accepted": 2} for position, label in enumerate(labels)},
        work=(
            WorkDay(11, "2026-01-01", 1, 71.0),
            WorkDay(12, "2026-01-03", 1),
            WorkDay(11, "2026-01-03", 1, 80.0),
        ),
    )
    for task, place in ((1, (48.13, 11.57)), (2, (48.13, 11.57)), (3, (48.2, 11.7))):
        playback.note_place(data, key, task, place)
    account = what_was_read(labels)
    label_report.save_account(data, key, account, {1: account})
    label_report.save(data, key, report, [(1, people), (2, people[:1])])
    suspects = tuple(
        SuspectRow(
            1, "street_1.mp4", 40 + n, 55 + n, 1.56, 2.2, (labels[0],), (labels[-1],), 0.97 - 0.05 * n, "label", "x"
        )
        for n in range(4)
    )
    quality = QualityReport(
        "2026-01-03T12:05:00+00:00",
        2,
        4,
        suspects,
        dict.fromkeys(labels, 0.81),
        {"11": 0.8, "12": 0.78},
        90,
        {"11": 0.91},
    )
    reports.save_quality(data, key, quality)


def look_at(redis: Redis, key: str = P) -> None:
    """What checks have found: of the installation nothing that keeps it from working, of the project what can be repaired."""
    untrained = warning("weights", "The backbone is untrained.", "Set BACKBONE_WEIGHTS to a file.")
    check_reports.note(redis, INSTALLATION, [ok("label studio", "It answers."), ok("token", "It is taken."), untrained])
    links.note(redis, key, Link("http://localhost:9090", 1))
    hook = fault("project 7, webhook", "There is no webhook.", "Restart Coldblitz or wait five minutes.")
    grid = warning("project 7, label config", "It has no framerate.", 'Write framerate="$fps" into <Video>.')
    pin = warning("project 7, model version", "No version is pinned.", "Coldblitz pins one.")
    found = [
        fixable(hook, "webhook"),
        fixable(grid, "framerate"),
        ok("project 7, rights", "All there."),
        fixable(pin, "pin"),
    ]
    check_reports.note(redis, key, found, check_reports.about(redis, key))


def employ(redis: Redis, workers: int = 1) -> None:
    """So many workers have given a sign of life."""
    redis.zadd("coldblitz:alive", {f"host.{number}@x.1-a": time.time() for number in range(workers)})


def open_film(settings: Settings, task: int, path: Path, framerate: float = FPS, key: str = P) -> Playback:
    """A task's video as a job leaves it: in the cache, with what its player needs."""
    timeline, content = read_timeline(path), hashlib.sha256(path.read_bytes()).hexdigest()
    cached = settings.data_dir / "videos" / content
    cached.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, cached)
    kind, grid = media_kind(path), studio_grid(timeline, framerate)
    with open_video(path) as (_, stream):
        size = stream.codec_context.width, stream.codec_context.height
    found = Playback(content, kind.mime, kind.codec, kind.plays, framerate, len(grid), len(timeline), *size)
    playback.save(settings.data_dir, key, task, found, playback.time_table(grid))
    return found


def what_was_read(labels: list[str]) -> Account:
    """One region for each that taught, and one that nothing reads."""
    rows = (
        AccountRow("labels", "taught", 20, 340),
        AccountRow("labels", "unknown label", 2, detail=f"“{labels[0]} of old”"),
        AccountRow("box", "another control", 3),
    )
    return Account("2026-01-03T12:00:00+00:00", annotations=3, skipped=1, regions=25, rows=rows)


def count_errors(settings: Settings, key: str = P, tasks: int = 4) -> None:
    """What the active version leaves: more errors in each video than in the one before it, and less certain."""
    rows = [(task, 12.6 * task, FRAMES, 1 - task / 2 / tasks) for task in range(2, tasks + 1)]
    worst = tuple(TaskErrors(task, errors, frames) for task, errors, frames, _ in rows[:-6:-1])
    left = StoppingReport(
        made="2026-01-03T12:01:00+00:00",
        version="cold-v3",
        verdict="go on",
        why="The held-out macro-F1 rose from 0.810 at 30 labeled frames to 0.930 at 60.",
        tasks=len(rows),
        frames=FRAMES * len(rows),
        errors=sum(row[1] for row in rows),
        correction=1.2,
        held_out=60,
        worst=worst,
        kappa=0.981,
        gain=0.12,
        since_frames=30,
    )
    reports.save_stopping(settings.data_dir, key, left, np.array(rows, VIDEO))


def count_bouts(settings: Settings, key: str, labels: list[str], tasks: int) -> None:
    """Bouts of two individuals in each video, as a worker has counted them."""
    from ml_backend.export.bout_tables import write_report

    videos = []
    for task in range(1, tasks + 1):
        events = tuple(
            Event(
                labels[(at + task) % len(labels)],
                (at * 0.4, at * 0.4 + 0.3),
                (10 * at, 10 * at + 7),
                who=f"mouse-{at % 2 + 1}",
                group="labels",
                score=0.9 if task > 2 else None,
            )
            for at in range(30)
        )
        film = VideoEvents("", (f"street-{task}.mp4",), events, duration=FRAMES / FPS)
        videos.append(BoutVideo(task, film, {"labels": labels}, "model" if task > 2 else "human"))
    skipped = ["Task 9 is left out: Its video is broken. Encode it anew."]
    colors = {("labels", label): color for label, color in COLOURS.items()}
    write_report(ProjectFolder(settings.data_dir, key).bouts, videos, skipped, colors)


def suggest_and_predict(settings: Settings, key: str, task: int, labels: list[str]) -> None:
    data, bins = settings.data_dir, 100
    stored_predictions.save(
        data, key, prediction("keyframes-v1", task, [(f, f, [], None) for f in range(15, FRAMES, 40)], 0.0)
    )
    questions = [(60, 60, [], None), (150, 150, [], None)]
    spans = [*questions, (1, 110, [labels[0]], 0.97), (111, 190, [labels[-1]], 0.55), (191, FRAMES, [labels[0]], 0.91)]
    stored_predictions.save(data, key, prediction("cold-v3", task, spans, 0.55))
    percent = {label: [round(50 + 50 * math.sin(b / 9 + 2 * n)) for b in range(bins)] for n, label in enumerate(labels)}
    view = TaskView(task, f"street_{task}.mp4", FPS, FRAMES, FRAMES / FPS, "cold-v3", percent, FPS)
    task_view.save(data, key, view)


def prediction(
    version: str, task: int, spans: list[tuple[int, int, list[str], float | None]], score: float
) -> dict[str, Any]:
    result = [
        {
            "id": f"{version}-{number}",
            "from_name": "labels",
            "to_name": "video",
            "type": "timelinelabels",
            "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": labels},
            **({} if sure is None else {"score": sure}),
        }
        for number, (start, end, labels, sure) in enumerate(spans, start=1)
    ]
    return {"task": task, "model_version": version, "score": score, "result": result}


def run_jobs(redis: Redis, key: str = P) -> None:
    """One training under way, one that waits, one that is done and one that failed, without a worker."""
    from datetime import UTC, datetime, timedelta

    from rq.job import Job, JobStatus
    from rq.serializers import JSONSerializer

    def made(kind: str, *subject: int | str) -> Job:
        job_id = enqueue(redis, kind, key, *subject)
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        queue_of(redis, kind).remove(job)
        return job

    train = made("train")
    train.started_at = datetime.now(UTC) - timedelta(seconds=30)
    train.meta.update(percent=40.0, text="epoch 4 of 10, task 3", curve=EPOCHS)
    train.set_status(JobStatus.STARTED)
    train.save()
    redis.zadd(queue_of(redis, "train").started_job_registry.key, {f"{train.id}:1": 4e9})
    failed = made("suggest", 9)
    failed.ended_at = datetime.now(UTC)
    failed.meta.update(reason="Task 9 has no video: its data has no address under 'video'. Import it again.")
    failed.set_status(JobStatus.FAILED)
    failed.save()
    queue_of(redis, "suggest").failed_job_registry.add(failed, ttl=1000)
    finished = made("predict", 3)
    finished.ended_at = datetime.now(UTC)
    finished.meta.update(text="predicted task 3 with cold-v3", percent=100)
    finished.set_status(JobStatus.FINISHED)
    finished.save()
    queue_of(redis, "predict").finished_job_registry.add(finished, ttl=1000)
    enqueue(redis, "embed", key, 4)

"""A project's labels: how good they are, what is there twice, and how to take them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ml_backend.projects import asked_frames, job_requests, label_report, reports, track_faults
from ml_backend.projects.label_report import LabelReport
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.queueing.queue import is_under_way, last_failure
from ml_backend.queueing.waiting import last_result, last_try, wait_of
from ml_backend.server.dashboard.site import blueprint, done, project_page, titles
from ml_backend.server.dashboard.work_chart import work
from ml_backend.server.label_studio_routes import backend

_SHOWN = 100
_SOURCES = {
    "person": ("drawn or answered by a person", "#0072B2"),
    "changed": ("predicted, then changed by a person", "#E69F00"),
    "accepted": ("predicted and accepted", "#999999"),
}


@blueprint.get("/dashboard/projects/<int:project_id>/quality")
def quality_page(project_id: int) -> str:
    project, data_dir = project_page(project_id), backend().settings.data_dir
    labels, found = label_report.load(data_dir, project.key), reports.load_quality(data_dir, project.key)
    faults, wrong = track_faults.worst(data_dir, project.key, _SHOWN)
    return render_template(
        "dashboard/quality.html",
        project=project,
        people=labels.authors if labels else (),
        work=work(labels.work, {each.author: each.called for each in labels.authors}) if labels else None,
        found=found,
        suspects=found.suspects[:_SHOWN] if found else (),
        sources=_sources(_total(labels)) if labels else [],
        learns=project.config is None or bool(project.config.questions),
        boxed=bool(project.config and project.config.tracks),
        faults=faults,
        wrong=wrong,
        by_label=[(label, counts, _sources(counts)) for label, counts in _by_label(labels)] if labels else [],
    )


@blueprint.post("/dashboard/projects/<int:project_id>/quality")
def look_again(project_id: int) -> Response:
    queue(backend().redis, "quality", project_page(project_id).key, again=True)
    return done("The labels are being checked again.", "dashboard.jobs_page")


def _by_label(report: LabelReport) -> Iterator[tuple[str, dict[str, int]]]:
    """How many regions of each label are of which source, the most frequent label first."""
    for label, found in sorted(report.sources.items(), key=lambda item: -sum(item[1].values())):
        yield label, {source: found.get(source, 0) for source in _SOURCES}


def _total(report: LabelReport) -> dict[str, int]:
    return {source: sum(getattr(author, source) for author in report.authors) for source in _SOURCES}


def _sources(counts: Mapping[str, int]) -> list[tuple[str, float, str]]:
    """Who or what authored so many regions: (name, number, colour)."""
    return [(name, counts[source], colour) for source, (name, colour) in _SOURCES.items() if counts[source]]


_SHOWN_COPIES = 50


@dataclass(frozen=True)
class Same:
    """`number` pictures of `task` that are not asked about, since they show what `other` is asked about."""

    task: int
    other: int
    number: int


@dataclass(frozen=True)
class Twice:
    """The first few of `groups` videos that are there more than once, each as its tasks, and of `pairs` of tasks that share
    pictures, those with the most first."""

    copies: tuple[tuple[int, ...], ...]
    groups: int
    shared: tuple[Same, ...]
    pairs: int


def twice(data_dir: Path, project: str) -> Twice:
    copies = asked_frames.copies(data_dir, project)
    shared, pairs = asked_frames.shared_pictures(data_dir, project, _SHOWN_COPIES)
    return Twice(
        tuple(tuple(group[:_SHOWN_COPIES]) for group in copies[:_SHOWN_COPIES]),
        len(copies),
        tuple(Same(*each) for each in shared),
        pairs,
    )


_OFFERED = ("labels.json", "labels.csv", "labels.parquet", "frames.zip")


@blueprint.get("/dashboard/projects/<int:project_id>/export")
def exports_page(project_id: int) -> str:
    project = project_page(project_id)
    redis, asked = backend().redis, request.args.get("asked", "")[:100]
    wait = wait_of(redis, "export", project.key, asked) if asked else None
    failure = last_failure(redis, "export", project.key, asked) if asked else None
    return render_template(
        "dashboard/exports.html",
        project=project,
        made=job_requests.exports_made(backend().settings.data_dir, project.key),
        offered=_OFFERED,
        asked=asked,
        making=bool(asked) and is_under_way(redis, "export", project.key, asked),
        failed=failure.meta.get("reason") if failure is not None else None,
        holds=last_result(redis, "export", project.key, asked) if asked else None,
        wait=wait,
        tried=last_try(redis, "export", project.key, asked) if asked else None,
        titles=titles(wait.running if wait is not None else ()),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/export")
def make_export(project_id: int) -> Response:
    name = request.form.get("name", "")
    step = request.form.get("every", "1")
    if name == "frames.zip" and step != "1":
        name = f"frames-every-{step}.zip"
    job_requests.ask_export(backend().redis, backend().settings.data_dir, project_page(project_id).key, name)
    return redirect(url_for("dashboard.exports_page", project_id=project_id, asked=name), 303)

"""`/`: every connected project with its progress, its model, and what is wrong with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, render_template, request

from ml_backend.checks import Check
from ml_backend.labelstudio import pages
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import (
    companions,
    installation,
    label_report,
    model_versions,
    registry,
    stopping_report,
    stored_predictions,
)
from ml_backend.projects.label_report import LabelReport
from ml_backend.projects.stopping_report import StoppingReport
from ml_backend.queueing import queue
from ml_backend.server.dashboard.site import ProjectPage, blueprint
from ml_backend.server.label_studio_routes import backend, health

# Beyond this many a page would be slow; the newest are shown.
_MOST_PROJECTS = 50


@dataclass(frozen=True)
class Progress:
    """How many of a project's tasks have been `done`; `text` says what that is."""

    name: str
    done: int
    of: int
    text: str


@dataclass(frozen=True)
class Row:
    """A project on the page. `versions`: summaries of its model versions, the oldest first. `companion`: the project with
    its suggested frames as images."""

    project: ProjectPage
    labels: LabelReport | None
    versions: list[dict[str, Any]]
    progress: tuple[Progress, ...]
    problems: list[str]
    findings: list[dict[str, Any]]
    left: StoppingReport | None
    companion: companions.Known | None

    @property
    def companion_page(self) -> str | None:
        return pages.project_page(backend().settings.label_studio_pages, self.companion.id) if self.companion else None

    @property
    def active(self) -> Mapping[str, Any] | None:
        return next((version for version in self.versions if version["active"]), None)

    @property
    def trend(self) -> list[float | None]:
        return [version["macro_f1"] for version in self.versions[-30:]]

    @property
    def distribution(self) -> list[tuple[str, float, str]]:
        frames = self.labels.frames if self.labels else {}
        order = [*self.project.colours, *sorted(frames.keys() - self.project.colours.keys())]
        return [(label, frames[label], self.project.colour(label)) for label in order if frames.get(label)]


@blueprint.get("/")
def home() -> str | Response:
    """The dashboard for a browser; for everybody else what `/health` says."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return health()
    redis = backend().redis
    keys = registry.known_keys(redis)
    shown = sorted(keys, key=registry.number_of, reverse=True)[:_MOST_PROJECTS]
    problems, findings = registry.problems(redis), registry.findings(redis)
    rows = [_row(known, problems, findings) for key in shown if (known := registry.recall(redis, key))]
    return render_template(
        "dashboard/projects.html",
        rows=rows,
        more=len(keys) - len(shown),
        counts=queue.counts(redis),
        checks=list(_checks()),
        url=request.url_root.rstrip("/"),
    )


def _row(known: registry.Known, problems: Mapping[str, list[str]], findings: Mapping[str, list[dict[str, Any]]]) -> Row:
    data_dir, project = backend().settings.data_dir, ProjectPage(known)
    labels = label_report.load(data_dir, known.key)
    return Row(
        project,
        labels,
        model_versions.summaries(data_dir, backend().redis, known.key),
        tuple(_progress(project, labels)),
        problems.get(known.key, []),
        findings.get(known.key, []),
        stopping_report.load(data_dir, known.key, project.active) if project.active else None,
        companions.recall(backend().redis, known.key),
    )


def _progress(project: ProjectPage, labels: LabelReport | None) -> Iterator[Progress]:
    """Of what is ready in files and of what Label Studio last said, the larger: each of them lags behind the other at times."""
    seen, active = project.overview, project.active
    stored = seen.versions if seen else {}
    suggested = max(_ready(project.key, KEYFRAMES_VERSION), stored.get(KEYFRAMES_VERSION, 0))
    predicted = max(_ready(project.key, active), stored.get(active, 0)) if active else 0
    labelled, reviewed = (len(labels.tasks), len(labels.reviewed)) if labels else (0, 0)
    tasks = max(seen.tasks if seen else 0, suggested, labelled)
    yield Progress("suggested", suggested, tasks, "have suggested frames")
    yield Progress("labeled", labelled, tasks, "have a submitted annotation")
    yield Progress("reviewed", reviewed, tasks, "are fully reviewed")
    yield Progress(
        "predicted", predicted, tasks, f"have a timeline of {active}" if active else "no model is active yet"
    )


def _ready(key: str, version: str) -> int:
    return stored_predictions.number(backend().settings.data_dir, key, version)


def _checks() -> Iterator[Check]:
    """What keeps the backend as a whole from working; Label Studio is not asked, a page does not wait for it,
    and an untrained backbone is among the projects' problems."""
    redis, settings = backend().redis, backend().settings
    found = (installation.check_workers(redis), installation.check_disk(settings.data_dir))
    return (check for check in found if check.state != "ok")

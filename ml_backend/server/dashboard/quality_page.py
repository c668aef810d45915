"""How good a project's labels are: who gave them, how far people agree, and which are probably wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import render_template
from werkzeug.wrappers import Response

from ml_backend.projects import label_report, quality_report
from ml_backend.projects.label_report import LabelReport
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.server.dashboard.site import blueprint, done, project_page
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
    labels, found = label_report.load(data_dir, project.key), quality_report.load(data_dir, project.key)
    return render_template(
        "dashboard/quality.html",
        project=project,
        people=labels.authors if labels else (),
        found=found,
        suspects=found.suspects[:_SHOWN] if found else (),
        sources=_sources(_total(labels)) if labels else [],
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

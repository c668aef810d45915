"""How good a project's labels are: who gave them, how far people agree, and which are probably wrong."""

from __future__ import annotations

from flask import render_template
from werkzeug.wrappers import Response

from ml_backend.queueing.queue import request as queue
from ml_backend.records import label_report, quality_report
from ml_backend.records.label_report import LabelReport
from ml_backend.server.dashboard.site import blueprint, done, project_page
from ml_backend.server.protocol import backend

_SHOWN = 100


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
        sources=_sources(labels),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/quality")
def look_again(project_id: int) -> Response:
    queue(backend().redis, "quality", project_page(project_id).key, again=True)
    return done("The labels are looked through again.", "dashboard.jobs_page")


def _sources(labels: LabelReport | None) -> list[tuple[str, float, str]]:
    """Who or what authored the regions: (name, number, colour)."""
    if labels is None:
        return []
    told = (
        ("drawn or answered by a person", sum(author.person for author in labels.authors), "#0072B2"),
        ("predicted, changed by a person", sum(author.changed for author in labels.authors), "#E69F00"),
        ("predicted, left as it was", sum(author.accepted for author in labels.authors), "#999999"),
    )
    return [(name, number, colour) for name, number, colour in told if number]

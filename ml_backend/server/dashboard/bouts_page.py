"""The bouts of a project's timelines: how much time what takes, what follows what, over time as a picture, and each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import abort, render_template, request, send_file
from werkzeug.wrappers import Response

from ml_backend.projects import bout_report
from ml_backend.projects.bout_report import PAGE, PICTURED, BoutReport, Follows
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.queue import enqueue
from ml_backend.server.dashboard.site import ProjectPage, blueprint, done, project_page
from ml_backend.server.label_studio_routes import backend

# More rows and columns nobody reads; the files have all.
_MOST_SPENT, _MOST_LABELS = 100, 15


@dataclass(frozen=True)
class Matrix:
    """`counts[before][after]` of the labels of one control, the most frequent of them."""

    control: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@blueprint.get("/dashboard/projects/<int:project_id>/bouts")
def bouts_page(project_id: int) -> str:
    project = project_page(project_id)
    folder = _folder(project)
    report = bout_report.load(folder)
    pages = len(report.tables["bouts"].offsets) if report else 0
    page = _within("page", pages)
    picture = _within("picture", report.pictures if report else 0)
    return render_template(
        "dashboard/bouts.html",
        project=project,
        report=report,
        rows=bout_report.rows(folder, report, "bouts", page) if report else [],
        page=page,
        pages=pages,
        first=(page - 1) * PAGE + 1,
        picture=picture,
        pictured=PICTURED,
        spent=report.spent[:_MOST_SPENT] if report else (),
        matrices=list(_matrices(report)) if report else [],
    )


@blueprint.post("/dashboard/projects/<int:project_id>/bouts")
def count_bouts(project_id: int) -> Response:
    enqueue(backend().redis, "bouts", project_page(project_id).key, again=True)
    return done("The bouts are being counted.", "dashboard.bouts_page", project_id=project_id)


@blueprint.get("/dashboard/projects/<int:project_id>/bouts/<name>")
def bouts_file(project_id: int, name: str) -> Response:
    """A table of all rows, or a picture."""
    folder = _folder(project_page(project_id))
    report = bout_report.load(folder)
    path = bout_report.file_of(folder, report, name) if report else None
    if path is None or not path.is_file():
        abort(404)
    if path.suffix == ".svg":
        return send_file(path.absolute(), mimetype="image/svg+xml")
    return send_file(path.absolute(), as_attachment=True, download_name=f"project-{project_id}-{name}")


def _folder(project: ProjectPage) -> Path:
    return ProjectFolder(backend().settings.data_dir, project.key).bouts


def _within(name: str, last: int) -> int:
    return min(max(request.args.get(name, 1, int), 1), max(last, 1))


def _matrices(report: BoutReport) -> Iterator[Matrix]:
    for control in dict.fromkeys(each.control for each in report.follows):
        own = [each for each in report.follows if each.control == control]
        labels = _most_frequent(own)
        counted = {(each.before, each.after): each.count for each in own}
        counts = tuple(tuple(counted.get((before, after), 0) for after in labels) for before in labels)
        yield Matrix(control, labels, counts)


def _most_frequent(follows: Sequence[Follows]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for each in follows:
        for label in (each.before, each.after):
            seen[label] = seen.get(label, 0) + each.count
    return tuple(sorted(sorted(seen, key=lambda label: -seen[label])[:_MOST_LABELS]))

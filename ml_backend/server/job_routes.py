"""What a person asks the workers for over HTTP: the same as `coldblitz suggest`, `train`, `predict` and `reconcile`."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from ml_backend.errors import PayloadError
from ml_backend.projects import job_requests
from ml_backend.queueing import interventions
from ml_backend.server.label_studio_routes import backend, json_body

blueprint = Blueprint("asking", __name__)
_FIELDS = {"kind", "project", "tasks", "thorough"}
_RECONCILE = "reconcile"
_MOST_TASKS = 10_000


@dataclass(frozen=True)
class Asked:
    """`project`: its number or key; None only where all are meant. `tasks`: none for all that lack something."""

    kind: str
    project: str | None
    tasks: tuple[int, ...] = ()
    thorough: bool = False


@blueprint.post("/jobs")
def ask() -> tuple[Response, int]:
    """Queues the jobs, and answers with their ids."""
    asked = parse(json_body())
    redis, studio = backend().redis, backend().settings.label_studio_url
    jobs = (
        job_requests.reconcile(redis, studio, asked.project, thorough=asked.thorough)
        if asked.kind == _RECONCILE
        else job_requests.ask(redis, asked.kind, str(asked.project), asked.tasks)
    )
    return jsonify(jobs=jobs), 202


@blueprint.get("/jobs/<job_id>")
def show(job_id: str) -> Response:
    """What has become of one job."""
    return jsonify(interventions.result(backend().redis, job_id))


def parse(body: object) -> Asked:
    """Raises PayloadError."""
    if not isinstance(body, dict) or not body.keys() <= _FIELDS:
        raise PayloadError(f"The body is no object of {', '.join(sorted(_FIELDS))}.", "See docs/openapi.yaml.")
    kind, project, tasks, thorough = body.get("kind"), body.get("project"), body.get("tasks", []), body.get("thorough")
    if kind not in (*job_requests.KINDS, _RECONCILE):
        known = ", ".join((*job_requests.KINDS, _RECONCILE))
        raise PayloadError(f"There is no job of the kind {str(kind)[:40]!r}.", f"It must be one of {known}.")
    if not isinstance(project, str) and not (project is None and kind == _RECONCILE):
        raise PayloadError("The body names no project.", "Give its number in Label Studio as a string.")
    usable = isinstance(tasks, list) and len(tasks) <= _MOST_TASKS
    if not usable or any(type(task) is not int or not 0 < task < 2**31 for task in tasks):
        raise PayloadError(f"The tasks are not a list of at most {_MOST_TASKS:,} numbers.", "Give the tasks' ids.")
    if not isinstance(thorough, bool | None):
        raise PayloadError("thorough is neither true nor false.", "Give one of them, or leave it out.")
    return Asked(kind, project, tuple(tasks), bool(thorough))

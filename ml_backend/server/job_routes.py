"""Jobs over HTTP: what the backend is doing, for people and for `coldblitz status`, and what a person asks the workers for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from flask import Blueprint, Response, abort, jsonify

from ml_backend.errors import PayloadError
from ml_backend.projects import job_requests, registry, reports
from ml_backend.projects.reports import StoppingReport
from ml_backend.queueing import interventions, queue
from ml_backend.server.label_studio_routes import backend, json_body
from ml_backend.wording import quoted

blueprint = Blueprint("jobs", __name__)
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
        raise PayloadError(f"There is no job of the kind {quoted(str(kind))}.", f"It must be one of {known}.")
    if not isinstance(project, str) and not (project is None and kind == _RECONCILE):
        raise PayloadError("The body names no project.", "Give its number in Label Studio as a string.")
    usable = isinstance(tasks, list) and len(tasks) <= _MOST_TASKS
    if not usable or any(type(task) is not int or not 0 < task < 2**31 for task in tasks):
        raise PayloadError(f"The tasks are not a list of at most {_MOST_TASKS:,} numbers.", "Give the tasks' ids.")
    if not isinstance(thorough, bool | None):
        raise PayloadError("thorough is neither true nor false.", "Give one of them, or leave it out.")
    return Asked(kind, project, tuple(tasks), bool(thorough))


_UNKNOWN = "There is no such job."


@blueprint.get("/jobs")
def jobs() -> Response:
    """Queued, running, finished and failed jobs, what is wrong with which project, what is unusual
    about its videos, the version each one shows, how many errors that one leaves, and its companion project."""
    redis = backend().redis
    return jsonify(
        **queue.listing(redis),
        counts=queue.counts(redis),
        problems=registry.problems(redis),
        findings=registry.findings(redis),
        versions={key: backend().version(key) for key in registry.known_keys(redis)},
        stopping={key: left.as_json() for key, left in _left()},
        companions={key: asdict(known) | {"project": known.id} for key, known in registry.companions(redis).items()},
    )


def _left() -> Iterator[tuple[str, StoppingReport]]:
    for key, version in registry.active_versions(backend().redis).items():
        left = reports.load_stopping(backend().settings.data_dir, key, version)
        if left is not None:
            yield key, left


@blueprint.post("/jobs/retry")
def retry() -> Response:
    """Queues every failed job again but the cancelled ones, for when the cause has been mended."""
    return jsonify(queued=interventions.retry_failed(backend().redis))


@blueprint.post("/jobs/<job_id>/retry")
def retry_one(job_id: str) -> Response:
    """Queues one job again, cancelled or not."""
    queued = interventions.retry_job(backend().redis, job_id)
    return abort(404, _UNKNOWN) if queued is None else jsonify(queued=queued)


@blueprint.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    """Takes a job out of its queue; one that runs stops at its next report. What it has finished stays."""
    cancelled = interventions.cancel(backend().redis, job_id)
    return abort(404, _UNKNOWN) if cancelled is None else jsonify(cancelled=cancelled)

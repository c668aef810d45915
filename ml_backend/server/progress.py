"""What the backend is doing, for people and for `coldblitz status`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from flask import Blueprint, Response, abort, jsonify

from ml_backend.projects import companions, registry, stopping_report
from ml_backend.projects.stopping_report import StoppingReport
from ml_backend.queueing import interventions, queue
from ml_backend.server.label_studio_routes import backend

blueprint = Blueprint("progress", __name__)
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
        companions={key: asdict(known) | {"project": known.id} for key, known in companions.every(redis).items()},
    )


def _left() -> Iterator[tuple[str, StoppingReport]]:
    for key, version in registry.active_versions(backend().redis).items():
        left = stopping_report.load(backend().settings.data_dir, key, version)
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

"""What the backend is doing, for people and for `coldblitz status`."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from ml_backend.jobs import projects, queue
from ml_backend.server.protocol import backend

blueprint = Blueprint("progress", __name__)


@blueprint.get("/jobs")
def jobs() -> Response:
    """Queued, running, finished and failed jobs, what is wrong with which project, what is unusual
    about its videos, and the version each one shows."""
    redis = backend().redis
    return jsonify(
        **queue.listing(redis),
        counts=queue.counts(redis),
        problems=projects.problems(redis),
        findings=projects.findings(redis),
        versions={key: backend().version(key) for key in projects.known_keys(redis)},
    )


@blueprint.post("/jobs/retry")
def retry() -> Response:
    """Queues every failed job again, for when the cause has been mended."""
    return jsonify(queued=queue.retry_failed(backend().redis))

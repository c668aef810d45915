"""The web process: answers Label Studio from what is ready and queues everything else. It imports no torch."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, jsonify, request
from redis import Redis
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from ml_backend import logs
from ml_backend.errors import ColdblitzError, PayloadError
from ml_backend.projects import links
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server import exports, job_routes, label_studio_routes, models, progress
from ml_backend.server.dashboard import pages
from ml_backend.server.load_shedding import keep_threads_for_health
from ml_backend.server.login import add_login
from ml_backend.server.metrics import add_metrics
from ml_backend.server.readiness import add_readiness
from ml_backend.server.security_headers import protect_browsers
from ml_backend.settings import Settings

log = logging.getLogger(__name__)

# 1,200 tasks with their predictions and annotations are about 30 MB.
_MAX_BODY = 64 * 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application for one installation; without `settings` they come from the environment (for gunicorn).

    Raises SettingsError.
    """
    settings = settings or Settings.from_environment()
    logs.hide(*settings.secrets)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    redis = Redis.from_url(redis_url(settings), socket_timeout=5)
    app.extensions["coldblitz"] = label_studio_routes.Backend(settings, redis)
    # The measuring first, so that it sees what the others refuse.
    add_metrics(app, settings)
    keep_threads_for_health(app)
    add_readiness(app, settings)
    app.register_blueprint(label_studio_routes.blueprint)
    app.register_blueprint(progress.blueprint)
    app.register_blueprint(job_routes.blueprint)
    app.register_blueprint(models.blueprint)
    app.register_blueprint(exports.blueprint)
    app.register_blueprint(pages.blueprint)
    add_login(app, settings)
    protect_browsers(app, settings, connected=lambda: links.addresses(redis))
    app.register_error_handler(ColdblitzError, _refused)
    app.register_error_handler(RedisError, _without_redis)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Exception, _unexpected)
    return app


def _refused(error: ColdblitzError) -> tuple[Response, int]:
    log.warning("%s %s: %s", request.method, request.path, error)
    return _error(error.message, error.remedy), 400


def _without_redis(error: RedisError) -> tuple[Response, int]:
    log.error("%s %s: Redis does not answer (%s)", request.method, request.path, error)
    if "MISCONF" in str(error):
        return _error(
            "Redis cannot write to its disk.",
            "Free up disk space there; the next reconcile catches up on what was missed.",
        ), 503
    return _error("Redis does not answer.", "Start it again; the next reconcile catches up on what was missed."), 503


def _too_deep(error: RecursionError) -> tuple[Response, int]:
    return _refused(
        PayloadError("The request's JSON is nested too deeply.", "Only Label Studio should call this address.")
    )


def _http_error(error: HTTPException) -> tuple[Response, int]:
    return _error(
        error.description or error.name, "See the README for the addresses and what they take."
    ), error.code or 500


def _unexpected(error: Exception) -> tuple[Response, int]:
    log.exception("%s %s failed", request.method, request.path)
    return _error(f"Unexpected {type(error).__name__}.", "Check the backend's log, and please report it."), 500


def _error(message: str, remedy: str) -> Response:
    body: dict[str, Any] = {"error": message, "remedy": remedy}
    return jsonify(body)

"""The web process: answers Label Studio from what is ready and queues everything else. It imports no torch, and keeps threads free for
`/health`: Label Studio takes a backend that does not say within a second that it is up for dead."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from flask import Flask, Response, g, jsonify, request
from redis import Redis
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from ml_backend import logs
from ml_backend.errors import ColdblitzError, PayloadError
from ml_backend.projects import links
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server import job_routes, label_studio_routes, project_routes
from ml_backend.server.dashboard import pages
from ml_backend.server.monitoring import add_metrics, add_readiness
from ml_backend.server.security import add_login, protect_browsers
from ml_backend.settings import Settings
from ml_backend.store.connect import connect

log = logging.getLogger(__name__)

# The web process has more threads than this.
AT_ONCE = 24
_PATIENCE, _STUCK_FOR = 0.3, 1.0


def keep_threads_for_health(app: Flask, at_once: int = AT_ONCE) -> None:
    """Lets at most so many other requests in at once.

    One that comes then waits a little, which is long for a busy server; when it waits in vain, the others hang, and for
    a second those that come are refused without waiting.
    """
    free = threading.BoundedSemaphore(at_once)
    stuck_until = 0.0

    @app.before_request
    def enter() -> tuple[Response, int] | None:
        nonlocal stuck_until
        if request.path == "/health":
            return None
        if free.acquire(timeout=0 if time.monotonic() < stuck_until else _PATIENCE):
            g.entered = True
            return None
        if time.monotonic() >= stuck_until:
            log.error("%d requests are stuck; others are refused until one ends.", at_once)
        stuck_until = time.monotonic() + _STUCK_FOR
        return jsonify(error="Too many requests are stuck.", remedy="See /ready for what does not answer."), 503

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        if g.pop("entered", False):
            free.release()


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
    # Nobody who waits for a page waits long for the store.
    connect(settings, redis, patient=False)
    app.extensions["coldblitz"] = label_studio_routes.Backend(settings, redis)
    # The measuring first, so that it sees what the others refuse.
    add_metrics(app, settings)
    keep_threads_for_health(app)
    add_readiness(app, settings)
    app.register_blueprint(label_studio_routes.blueprint)
    app.register_blueprint(job_routes.blueprint)
    app.register_blueprint(project_routes.blueprint)
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

"""Keeps threads free for `/health`: Label Studio takes a backend that does not say within a second that it is up for dead."""

from __future__ import annotations

import logging
import threading
import time

from flask import Flask, Response, g, jsonify, request

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

"""`GET /ready`: whether the backend can do its work now, and if not, what to do. `/health` only says that it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict

from flask import Flask, Response, jsonify
from redis import Redis

from ml_backend.checks import Check, fault
from ml_backend.labelstudio.access import check_label_studio, check_token
from ml_backend.projects import installation
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

_SECONDS = 2.0
# However often it is asked, Label Studio is asked no more often than this.
_KEPT_SECONDS = 5.0


class Readiness:
    """Runs checks side by side, none of them for more than `seconds`, and keeps the answer for `kept` seconds."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Check]], seconds: float = _SECONDS, kept: float = _KEPT_SECONDS
    ) -> None:
        self._checks = checks
        self._seconds = seconds
        self._kept = kept
        self._pool = ThreadPoolExecutor(len(checks), thread_name_prefix="ready")
        self._running: dict[str, Future[Check]] = {}
        self._found: list[Check] = []
        self._until = 0.0
        self._one_at_a_time = threading.Lock()

    def now(self) -> list[Check]:
        with self._one_at_a_time:
            if time.monotonic() >= self._until:
                self._found = self._ask()
                self._until = time.monotonic() + self._kept
            return self._found

    def _ask(self) -> list[Check]:
        for name, check in self._checks.items():
            # One that still hangs from the last time is not started beside itself.
            if name not in self._running:
                self._running[name] = self._pool.submit(check)
        wait(self._running.values(), timeout=self._seconds)
        return [self._result(name) for name in self._checks]

    def _result(self, name: str) -> Check:
        if not self._running[name].done():
            return fault(name, f"There was no answer within {self._seconds:g} s.", "Find out what it is waiting for.")
        try:
            return self._running.pop(name).result()
        except Exception as error:
            return fault(name, f"It could not be checked ({type(error).__name__}).", "Please report this.")


def add_readiness(app: Flask, settings: Settings) -> None:
    """Adds the route to `app`."""
    redis = Redis.from_url(redis_url(settings), socket_timeout=1, socket_connect_timeout=1)
    # The token takes two calls.
    each = _SECONDS / 2 - 0.1
    readiness = Readiness(
        {
            "redis": lambda: installation.check_redis(redis),
            "label studio": lambda: check_label_studio(settings.label_studio_url, each),
            "token": lambda: check_token(settings.label_studio_url, settings.label_studio_api_key, each),
            "weights": lambda: installation.check_weights(redis),
            "text": lambda: installation.check_text(redis, settings.text_model),
            "disk": lambda: installation.check_disk(settings.data_dir),
            "workers": lambda: installation.check_workers(redis),
        }
    )

    @app.get("/ready")
    def ready() -> tuple[Response, int]:
        checks = readiness.now()
        is_ready = all(check.state != "fault" for check in checks)
        return jsonify(ready=is_ready, checks=[asdict(check) for check in checks]), 200 if is_ready else 503

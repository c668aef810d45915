"""`GET /health` answers while everything else hangs, as the real web process runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from embedded import settings_for
from flask import Flask
from loopback import serving, silent_port
from web_process import running_web

from ml_backend.serve import gunicorn
from ml_backend.server.app import AT_ONCE, keep_threads_for_health

EVENT = {"action": "START_TRAINING", "project": {"id": 7, "created_at": "2026-01-31T12:00:00Z"}}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web process whose Redis takes connections and never answers."""
    with silent_port() as redis, running_web(tmp_path, redis) as url:
        yield url


def test_health_answers_while_redis_hangs_and_more_events_come_than_there_are_threads(web: str) -> None:
    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        events = [pool.submit(requests.post, f"{web}/webhook", json=EVENT, timeout=60) for _ in range(3 * AT_ONCE)]
        while not any(event.done() for event in events):
            time.sleep(0.01)
        assert requests.get(f"{web}/health", timeout=30).json()["status"] == "UP"
        assert sum(not event.done() for event in events) >= AT_ONCE - 1, "it did not wait for what hangs"
        assert {event.result().status_code for event in events} == {503}


def test_the_web_process_has_threads_to_spare(tmp_path: Path) -> None:
    command = gunicorn(settings_for(tmp_path))
    assert int(command[command.index("--threads") + 1]) > AT_ONCE


def test_when_one_ends_another_gets_in() -> None:
    app = Flask("slow")
    keep_threads_for_health(app, at_once=1)
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        go_on.wait(60)
        return "done"

    app.add_url_rule("/slow", view_func=slow)
    app.add_url_rule("/health", view_func=lambda: "up", endpoint="health")
    with serving(app) as url, ThreadPoolExecutor(1) as pool:
        first = pool.submit(requests.get, f"{url}/slow", timeout=60)
        entered.wait(60)
        refused = requests.get(f"{url}/slow", timeout=60)
        assert (refused.status_code, "stuck" in refused.json()["error"]) == (503, True)
        assert requests.get(f"{url}/health", timeout=60).text == "up"
        go_on.set()
        assert first.result().text == "done"
        assert requests.get(f"{url}/slow", timeout=60).text == "done"

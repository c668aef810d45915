"""Five hundred requests that nobody sane would send, for every route there is: each is answered, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedded import redis, redis_settings, settings_for
from flask import Flask, abort
from loopback import closed_port
from redis import Redis
from werkzeug.routing import Rule

from benchmarks.service.fuzz import PROJECT, fuzz, rules
from ml_backend.projects import registry
from ml_backend.queueing.queue import enqueue
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]

ROUTES = rules(create_app(settings_for(Path("nowhere"), redis_url=f"redis://127.0.0.1:{closed_port()}")))


@pytest.fixture
def app(redis: Redis, redis_settings: Settings) -> Flask:
    """The real application before a real Redis that knows a project, with a job that waits."""
    registry.remember(redis, registry.Known(PROJECT, "<View/>", {"sampling": "uniform"}))
    registry.activate(redis, PROJECT, "cold-v1")
    enqueue(redis, "suggest", PROJECT, 5)
    return create_app(redis_settings)


@pytest.mark.parametrize("rule", ROUTES, ids=str)
def test_no_request_is_worse_than_refused(app: Flask, rule: Rule) -> None:
    sent, wrong = fuzz(app, rule, 500)
    assert sent >= 500
    assert wrong == []


@pytest.mark.parametrize(
    "rule", [rule for rule in ROUTES if str(rule) in ("/setup", "/predict", "/webhook", "/jobs")], ids=str
)
def test_nor_is_one_without_redis(rule: Rule, tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path, redis_url=f"redis://127.0.0.1:{closed_port()}"))
    assert fuzz(app, rule, 50)[1] == []


def test_a_mistake_of_ours_would_be_noticed() -> None:
    """Else the first test would prove nothing."""
    app = Flask("broken")
    app.add_url_rule("/", view_func=lambda: abort(500))
    [rule, _] = rules(app)
    sent, wrong = fuzz(app, rule, 50)
    assert sent == 50
    assert wrong

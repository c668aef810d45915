"""What the pages say about videos of a project: read again when it has changed, whoever has changed it."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from redis import Redis

from ml_backend.checks import Finding
from ml_backend.projects import registry
from ml_backend.projects.registry import Known

P = "7.1769860800"
DARK = Finding("dark", "It is dark.", "Add light.", "warning")
SHORT = Finding("short", "It is short.", "Film longer.", "note")


@pytest.fixture(autouse=True)
def known(redis: Redis) -> None:
    registry.remember(redis, Known(P, "<View/>"))


def told(redis: Redis) -> list[tuple[str, list[int]]]:
    return [(each.kind, each.tasks) for each in registry.findings(redis).get(P, [])]


def test_each_change_is_seen(redis: Redis) -> None:
    assert told(redis) == []
    registry.note_findings(redis, P, 1, [DARK])
    assert told(redis) == [("dark", [1])]
    registry.note_findings(redis, P, 2, [DARK, SHORT])
    assert told(redis) == [("dark", [1, 2]), ("short", [2])]
    registry.note_findings(redis, P, 2, [SHORT])
    assert told(redis) == [("dark", [1]), ("short", [2])]
    registry.note_findings(redis, P, 1, [])
    assert told(redis) == [("short", [2])]


def test_what_has_not_changed_is_not_read_again(redis: Redis) -> None:
    registry.note_findings(redis, P, 1, [DARK])
    told(redis)
    before = redis.info("commandstats")["cmdstat_hgetall"]["calls"]
    told(redis)
    assert redis.info("commandstats")["cmdstat_hgetall"]["calls"] == before


def test_what_a_release_before_this_one_has_stored_is_read(redis: Redis) -> None:
    redis.hset(f"coldblitz:findings:{P}", "5", json.dumps([asdict(DARK)]))
    assert told(redis) == [("dark", [5])]


def test_a_project_that_comes_again_has_nothing_of_before(redis: Redis) -> None:
    registry.note_findings(redis, P, 1, [DARK])
    told(redis)
    registry.forget(redis, P)
    assert told(redis) == []
    registry.remember(redis, Known(P, "<View/>"))
    registry.note_findings(redis, P, 2, [DARK])
    assert told(redis) == [("dark", [2])]


def test_of_some_tasks_those_that_have_something(redis: Redis) -> None:
    registry.note_findings(redis, P, 1, [DARK])
    registry.note_findings(redis, P, 3, [SHORT])
    assert registry.findings_of_tasks(redis, P, [1, 2, 3]) == {1: [DARK], 3: [SHORT]}
    assert registry.findings_of_tasks(redis, P, []) == {}
    assert registry.findings_of_task(redis, P, 2) == []

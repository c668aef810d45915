"""Signs of life: who works, as Redis knows it, from whatever machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from redis import Redis

from ml_backend.queueing import liveness
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living, signs_of_life
from ml_backend.settings import Settings


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_worker_lives_while_it_gives_signs(redis: Redis, redis_settings: Settings) -> None:
    url = redis_url(redis_settings)
    assert living(redis) == []
    with signs_of_life(url, "one.1.a"), signs_of_life(url, "other.2.b"):
        until(lambda: living(redis) == ["one.1.a", "other.2.b"])
    assert living(redis) == [], "it takes its leave"


def test_one_that_is_killed_is_dead_when_its_signs_are_old(
    redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, time; from ml_backend.queueing.liveness import signs_of_life\n"
        "with signs_of_life(sys.argv[1], 'x.1.a'): time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, redis_url(redis_settings)])
    try:
        until(lambda: living(redis) == ["x.1.a"])
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    assert living(redis) == ["x.1.a"]
    monkeypatch.setattr(liveness, "_FOR", 0.0)
    assert living(redis) == []

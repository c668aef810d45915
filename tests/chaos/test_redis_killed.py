"""Redis is killed in the middle of a training, and comes back with what it knew or with nothing."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from conftest import Serve
from embedded import settings_for
from redis import Redis

from benchmarks.service.scene import Outcome, annotate, connect, kill, outcome, running, versions_shown
from ml_backend.demo.clips import Clip
from ml_backend.demo.process import answers
from ml_backend.demo.studio import Studio
from ml_backend.queueing.embedded_redis import running_redis

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("data", ["kept", "gone"])
def test_the_embedded_one(
    data: str, studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    with serve(tmp_path) as backend:
        loop = connect(studio, backend, clips)
        loop.suggestions()
        annotate(loop, clips)
        loop.wait_for("training", lambda: "train" in running(backend))
        assert kill(backend, "redis-server") == 1
        if data == "gone":
            shutil.rmtree(tmp_path / "redis")
        loop.wait_for("Redis", lambda: answers(f"{backend.url}/jobs"))
        found = outcome(loop)
        assert backend.jobs()["failed"] == []
    assert found.differences(calm) == 0
    assert all(len(names) == len(set(names)) for names in versions_shown(loop).values())


def test_one_of_its_own_that_loses_everything_under_running_workers(
    studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    elsewhere = settings_for(tmp_path / "elsewhere")
    with ExitStack() as first, ExitStack() as second:
        url = first.enter_context(running_redis(elsewhere))
        backend = second.enter_context(serve(tmp_path / "data", REDIS_URL=url))
        loop = connect(studio, backend, clips)
        loop.suggestions()
        annotate(loop, clips)
        loop.wait_for("training", lambda: "train" in running(backend))
        with Redis.from_url(url) as redis:
            os.kill(redis.info()["process_id"], signal.SIGKILL)
        event = {"action": "START_TRAINING", "project": studio.get(f"/api/projects/{loop.project}/")}
        answer = requests.post(f"{backend.url}/webhook", json=event, timeout=60)
        assert requests.get(f"{backend.url}/health", timeout=60).ok
        first.close()
        shutil.rmtree(elsewhere.data_dir)
        first.enter_context(running_redis(elsewhere))
        loop.wait_for("Redis", lambda: answers(f"{backend.url}/jobs"))
        found = outcome(loop)
        second.close()
    assert answer.status_code == 503
    assert set(answer.json()) == {"error", "remedy"}
    assert found.differences(calm) == 0

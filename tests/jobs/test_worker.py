"""What a worker process sets up before it takes jobs."""

from __future__ import annotations

import pytest
from redis import Redis
from rq import SimpleWorker

from ml_backend.jobs import worker
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.records import projects
from ml_backend.settings import Settings


def test_a_connection_that_waits_for_jobs_does_not_give_up_before_one_comes(
    redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def note(self: SimpleWorker, **options: object) -> None:
        # The connection that asked for abandoned jobs a moment ago, and that now waits for new ones.
        connection = self.connection.connection_pool.get_connection()
        waits.append(connection.socket_timeout - self.dequeue_timeout)
        self.connection.connection_pool.release(connection)

    made = WorkerContext(redis_settings)
    monkeypatch.setattr(worker, "worker_context", lambda: made)
    monkeypatch.setattr(SimpleWorker, "work", note)
    projects.remember(redis, projects.Known("7.1769860800", "<View/>"))
    worker.work()
    assert waits
    assert waits[0] > 0
    made.redis.close()

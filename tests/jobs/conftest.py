from __future__ import annotations

from collections.abc import Callable

import pytest
from embedded import do_jobs, redis, redis_settings
from redis import Redis

from ml_backend.jobs import queue
from ml_backend.jobs.queue import KINDS, Kind

__all__ = ["redis", "redis_settings"]

Work = Callable[..., None]


@pytest.fixture(autouse=True)
def sample_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds do here what `sample_jobs` says, and are tried again at once."""
    for kind in KINDS:
        monkeypatch.setitem(KINDS, kind, Kind(f"sample_jobs.{kind}", 60, KINDS[kind].retried))
    monkeypatch.setattr(queue, "_RETRY_AFTER", [0, 0])


@pytest.fixture
def work(redis: Redis) -> Work:
    """Does the jobs that wait, at most so many."""
    return lambda most=None: do_jobs(redis, most)

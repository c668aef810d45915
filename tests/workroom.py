"""What tests of jobs work with: a small Label Studio, a worker's context for it, and kinds of jobs that only note that they ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from embedded import do_jobs, redis, redis_settings
from loopback import serving
from redis import Redis
from studio import BACKEND, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.projects import links
from ml_backend.queueing import queue
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.kinds import KINDS
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]

Work = Callable[..., None]


@pytest.fixture(autouse=True)
def sample_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds do here what `sample_jobs` says, and are tried again at once."""
    for kind in KINDS:
        monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], function=f"sample_jobs.{kind}", timeout=60))
    monkeypatch.setattr(queue, "_RETRY_AFTER", [0, 0])


@pytest.fixture
def work(redis: Redis) -> Work:
    """Does the jobs that wait, at most so many."""
    return lambda most=None: do_jobs(redis, most)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def context(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[JobContext]:
    """The worker's context, with a data folder of its own, for a Label Studio that is `studio`."""
    studio.answering[BACKEND] = lambda: links.answer(redis)
    with serving(studio) as url:
        made = JobContext(
            replace(redis_settings, label_studio_url=url, redis_url=redis_url(redis_settings), data_dir=tmp_path)
        )
        yield made
        made.redis.close()

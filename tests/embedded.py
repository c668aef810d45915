"""One embedded Redis for the tests of a package, emptied before each of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from ml_backend.jobs.context import worker_context
from ml_backend.queueing.embedded_redis import redis_url, running_redis
from ml_backend.queueing.queue import queues
from ml_backend.queueing.turns import FairQueue
from ml_backend.settings import Settings


def settings_for(data_dir: Path, **more: object) -> Settings:
    return Settings("http://studio.invalid", "the-token", data_dir=data_dir, **more)  # type: ignore[arg-type]


# What a worker must be told where a test tells it nothing else; its jobs there ask no Label Studio.
_ENVIRONMENT = {"LABEL_STUDIO_URL": "http://studio.invalid", "LABEL_STUDIO_API_KEY": "the-token"}


def do_jobs(redis: Redis, most: int | None = None) -> None:
    """Does all the jobs that wait, or at most so many, as a worker does, and then returns."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    worker_context.cache_clear()
    try:
        with mock.patch.dict(os.environ, {**_ENVIRONMENT, **os.environ}):
            worker = SimpleWorker(queues(redis), connection=redis, serializer=JSONSerializer, queue_class=FairQueue)
            worker.work(burst=True, logging_level="CRITICAL", max_jobs=most)
    finally:
        # RQ leaves its own behind, and Ctrl+C would no longer stop the tests.
        for name, handler in before.items():
            signal.signal(name, handler)
        worker_context.cache_clear()


@pytest.fixture(scope="session")
def redis_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = settings_for(tmp_path_factory.mktemp("data"))
    with running_redis(settings):
        yield settings


@pytest.fixture
def redis(redis_settings: Settings) -> Iterator[Redis]:
    connection = Redis.from_url(redis_url(redis_settings))
    connection.flushall()
    yield connection
    connection.close()

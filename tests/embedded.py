"""One embedded Redis for the tests of a package, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.jobs.embedded_redis import running_redis
from ml_backend.settings import Settings


def settings_for(data_dir: Path, **more: object) -> Settings:
    return Settings("http://studio.invalid", "the-token", data_dir=data_dir, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def redis_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = settings_for(tmp_path_factory.mktemp("data"))
    with running_redis(settings):
        yield settings


@pytest.fixture
def redis(redis_settings: Settings) -> Iterator[Redis]:
    from ml_backend.jobs.embedded_redis import redis_url

    connection = Redis.from_url(redis_url(redis_settings))
    connection.flushall()
    yield connection
    connection.close()

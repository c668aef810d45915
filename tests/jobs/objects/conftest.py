"""The context of jobs of a project that asks for boxes; what its Label Studio has is each module's `studio`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from asking import ask
from loopback import serving
from redis import Redis
from studio import BACKEND, Studio

from ml_backend.jobs.context import JobContext
from ml_backend.projects import links
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings


@pytest.fixture
def context(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path) -> Iterator[JobContext]:
    assert studio.project is not None
    studio.answering[BACKEND] = lambda: links.answer(redis)
    with serving(studio) as url:
        here = {"label_studio_url": url, "data_dir": tmp_path, "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        ask(redis, studio, str(studio.project["label_config"]))
        yield made
        made.redis.close()

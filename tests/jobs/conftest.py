from __future__ import annotations

import pytest
from embedded import redis, redis_settings
from redis import Redis
from studio import KEY
from workroom import context, sample_jobs, studio, work

from ml_backend.projects import registry
from ml_backend.projects.registry import Known

__all__ = ["context", "redis", "redis_settings", "sample_jobs", "studio", "work"]


@pytest.fixture
def known(redis: Redis) -> None:
    """The project has been connected: its /setup has come."""
    registry.remember(redis, Known(KEY, "<View/>"))

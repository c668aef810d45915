from __future__ import annotations

from embedded import redis, redis_settings
from workroom import context, sample_jobs, studio, work

__all__ = ["context", "redis", "redis_settings", "sample_jobs", "studio", "work"]

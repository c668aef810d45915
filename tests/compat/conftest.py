from __future__ import annotations

from embedded import redis, redis_settings

__all__ = ["redis", "redis_settings"]

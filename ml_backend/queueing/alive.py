"""Which workers live. RQ believes in a busy worker until its job's time limit has passed, which may be hours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.queueing.replies import text

_ALIVE = "coldblitz:alive"
_EVERY, _FOR, _FORGOTTEN_AFTER = 10.0, 45.0, 3600.0


@contextlib.contextmanager
def signs_of_life(url: str, name: str) -> Iterator[None]:
    """Tells the Redis at `url` every few seconds that this worker lives, for the time of the `with` block."""
    stop = threading.Event()
    # Not the worker's own connections, which wait for jobs.
    redis = Redis.from_url(url, socket_timeout=5)

    def tell() -> None:
        while True:
            # Redis may be away for a moment; the next sign comes.
            with contextlib.suppress(RedisError):
                now = _now(redis)
                redis.zadd(_ALIVE, {name: now})
                redis.zremrangebyscore(_ALIVE, 0, now - _FORGOTTEN_AFTER)
            if stop.wait(_EVERY):
                return

    thread = threading.Thread(target=tell, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_EVERY)
        with contextlib.suppress(RedisError):
            redis.zrem(_ALIVE, name)
        redis.close()


def living(redis: Redis) -> list[str]:
    """The names of the workers that have given a sign of life in the last 45 seconds, on all machines. Raises RedisError."""
    return sorted(map(text, redis.zrangebyscore(_ALIVE, _now(redis) - _FOR, "+inf")))


def _now(redis: Redis) -> float:
    # Redis' clock: those of the workers' machines may differ.
    seconds, microseconds = redis.time()
    return float(seconds) + microseconds / 1e6

"""What a worker is doing for a project right now, as a short text for Label Studio's pages. Lives in Redis, and goes by itself when the
worker dies."""

from __future__ import annotations

from redis import Redis

from ml_backend.queueing.counters import text

_ACTIVITY = "coldblitz:activity"
# A training may compute for this long without a word.
_SECONDS = 180


def note(redis: Redis, project: str, said: str) -> None:
    """`said`: such as `training cold-v4, 60 %`."""
    redis.set(f"{_ACTIVITY}:{project}", said, ex=_SECONDS)


def recall(redis: Redis, project: str) -> str | None:
    """None while nothing is trained or rolled out."""
    stored = redis.get(f"{_ACTIVITY}:{project}")
    return None if stored is None else text(stored)


def forget(redis: Redis, project: str) -> None:
    redis.delete(f"{_ACTIVITY}:{project}")

"""What Label Studio last said of a project as a whole, so that a page can show it without asking. Lives in Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from redis import Redis

from ml_backend.projects.stored import read_as, read_object

_OVERVIEW = "coldblitz:overview"


@dataclass(frozen=True)
class Overview:
    """`versions`: number of stored predictions of each model version. `seen`: when it was asked, unix time."""

    title: str
    tasks: int
    versions: Mapping[str, int]
    seen: float


def note(redis: Redis, key: str, *, title: str, tasks: int, versions: Mapping[str, int]) -> None:
    found = Overview(title, tasks, dict(versions), time.time())
    redis.hset(_OVERVIEW, key, json.dumps(asdict(found)))


def recall(redis: Redis, key: str) -> Overview | None:
    """None before the first reconcile."""
    return read_as(Overview, read_object(redis.hget(_OVERVIEW, key)))


def forget(redis: Redis, key: str) -> None:
    redis.hdel(_OVERVIEW, key)

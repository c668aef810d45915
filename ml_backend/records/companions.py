"""Which companion project each video project has, as far as it is known. All of it can be had again from Label Studio."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from redis import Redis

from ml_backend.queueing.replies import text
from ml_backend.records.projects import number_of

_COMPANIONS = "coldblitz:companions"


@dataclass(frozen=True)
class Known:
    """`key`: of the companion. `images`: how many frames it holds, `answered`: of how many of them somebody has said what
    they show."""

    key: str
    images: int = 0
    answered: int = 0

    @property
    def id(self) -> int:
        return number_of(self.key)


def note(redis: Redis, project: str, companion: Known) -> None:
    redis.hset(_COMPANIONS, project, json.dumps(asdict(companion)))


def recall(redis: Redis, project: str) -> Known | None:
    stored = redis.hget(_COMPANIONS, project)
    return None if stored is None else Known(**json.loads(text(stored)))


def forget(redis: Redis, project: str) -> None:
    redis.hdel(_COMPANIONS, project)


def every(redis: Redis) -> dict[str, Known]:
    """By the keys of their video projects."""
    return {text(key): Known(**json.loads(text(stored))) for key, stored in redis.hgetall(_COMPANIONS).items()}

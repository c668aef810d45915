"""Which companion project each video project has, as far as it is known. All of it can be had again from Label Studio."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from redis import Redis

from ml_backend.projects.registry import number_of
from ml_backend.projects.stored import read_as, read_object
from ml_backend.queueing.replies import text

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
    return read_as(Known, read_object(redis.hget(_COMPANIONS, project)))


def forget(redis: Redis, project: str) -> None:
    redis.hdel(_COMPANIONS, project)


def every(redis: Redis) -> dict[str, Known]:
    """By the keys of their video projects."""
    found = {text(key): read_as(Known, read_object(stored)) for key, stored in redis.hgetall(_COMPANIONS).items()}
    return {key: known for key, known in found.items() if known is not None}

"""Boxes that a person has drawn and not submitted yet, kept for a day: Label Studio tells of them when it asks for an interactive
pre-annotation, and keeps them in a draft itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redis import Redis

_DRAWN = "coldblitz:drawn"
_SECONDS = 24 * 3600


@dataclass(frozen=True)
class DrawnBoxes:
    """Of one task. `items`: Label Studio's. `at`: when it told of them."""

    items: Sequence[Mapping[str, object]]
    at: datetime


def note(redis: Redis, project: str, task: int, items: Sequence[Mapping[str, object]]) -> None:
    """In the place of those of the task that were told before."""
    said = {"items": list(items), "at": datetime.now(UTC).isoformat()}
    redis.set(_key(project, task), json.dumps(said), ex=_SECONDS)


def recall(redis: Redis, project: str, task: int) -> DrawnBoxes | None:
    said = redis.get(_key(project, task))
    if not said:
        return None
    read = json.loads(said)
    return DrawnBoxes(read["items"], datetime.fromisoformat(read["at"]))


def forget(redis: Redis, project: str, task: int) -> None:
    redis.delete(_key(project, task))


def _key(project: str, task: int) -> str:
    return f"{_DRAWN}:{project}:{task}"

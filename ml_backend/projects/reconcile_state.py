"""What the last reconcile of a project saw and did, so that the next one asks only about what has changed.

Losing any of it costs a second look, never work: an absent mark means *look again*.
"""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

_MARKS = "coldblitz:marks"
# However quiet Label Studio is, the tasks are compared once more after so long.
_LOOK_AGAIN_SECONDS = 3600
_EXPIRE = ("tasks", "images", "entries")
# What is seen again by looking.
SEEN = ("tasks", "cursor", "ids", "trained", "asked", "images", "entries", "rollout", "doubles")


def get(redis: Redis, key: str, name: str) -> Any:
    """The mark as it was set, None when there is none."""
    stored = redis.get(f"{_MARKS}:{key}:{name}")
    return None if stored is None else json.loads(stored)


def put(redis: Redis, key: str, name: str, value: object, seconds: int | None = None) -> None:
    """`tasks`: state in which every missing prediction had been queued. `cursor`: version, and task up to which they
    have been, while there are more than may wait at once. `ids`: newest task, number of
    tasks, and when one changed last; `since`: the last time up to which changed tasks were compared. `trained`, `asked`:
    state of the annotations that a training knew of, and for which one was queued. `decided`: newest version that was
    rolled out or kept back. `images`: state for which the companion project holds an image of each frame, or
    `more` while more of them lack than may wait at once. `entries`: which ML backend entries reach us. `controls`: those of
    the label config that suggestions were made for. `rollout`: a version
    whose roll-out failed for good, and how often it was begun again. `doubles`: numbers of tasks and predictions among which
    no task had two of one version. `seconds`: for how
    long it is remembered, where that is not for good."""
    kept = _LOOK_AGAIN_SECONDS if name in _EXPIRE else None
    redis.set(f"{_MARKS}:{key}:{name}", json.dumps(value), ex=seconds or kept)


def drop(redis: Redis, key: str, *names: str) -> None:
    """Those marks of a project; without names all of them."""
    for name in names or (*SEEN, "decided", "controls", "since"):
        redis.delete(f"{_MARKS}:{key}:{name}")

"""Through which ML backend entry of Label Studio each project reaches us, as it was found last. Lives in Redis."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict, dataclass, replace

from redis import Redis
from redis.client import Pipeline

from ml_backend.projects import registry
from ml_backend.projects.storage import read_as, read_object
from ml_backend.queueing.counters import text

_LINKS = "coldblitz:links"
_CALLED = "coldblitz:called"
_INSTANCE = "coldblitz:instance"
_ASKING = "coldblitz:asking"
# Label Studio gives a backend three seconds to answer; several workers may ask at once.
_ASKING_SECONDS = 60
# Label Studio calls /setup just before it deletes an entry, too.
_CALLED_MILLISECONDS, _SETTLED_MILLISECONDS = 600_000, 1000


@dataclass(frozen=True)
class Link:
    """`url`, `entry`: address and number of the ML backend entry that reaches us, None while that is not known.

    `connected`: False from when there is no such entry any more, which was noticed at `since`, unix time. `former`: other
    addresses that Label Studio reached us by, whose webhooks are to go. `doubted`: somebody else has answered there once.
    """

    url: str | None = None
    entry: int | None = None
    connected: bool = True
    since: float = 0.0
    former: tuple[str, ...] = ()
    doubted: bool = False


def recall(redis: Redis, key: str) -> Link | None:
    """None for a project that nobody has looked at yet."""
    if said := read_object(redis.hget(_LINKS, key)):
        link = read_as(Link, said)
        return None if link is None else replace(link, former=tuple(link.former))
    # Earlier releases kept the address of the request that had brought /setup, which a proxy may have changed.
    url = registry.stored(redis, key).get("backend_url")
    return Link(url=url) if isinstance(url, str) else None


def addresses(redis: Redis) -> set[str]:
    """Those under which Label Studio reaches us, by its ML backend entries."""
    found = (recall(redis, key) for key in map(text, redis.hkeys(_LINKS)))
    return {link.url for link in found if link is not None and link.url and link.connected and not link.doubted}


def note(redis: Redis, key: str, link: Link) -> None:
    redis.hset(_LINKS, key, json.dumps(asdict(link)))


def forget(redis: Redis, key: str) -> None:
    redis.hdel(_LINKS, key)


def is_disconnected(redis: Redis, key: str) -> bool:
    """Whether Label Studio was last seen without an ML backend entry of the project that reaches us."""
    return says_disconnected(redis.hget(_LINKS, key))


def ask_connected(pipeline: Pipeline, key: str) -> None:
    """Asks that among other things, one answer; `says_disconnected` reads it."""
    pipeline.hget(_LINKS, key)


def says_disconnected(stored: object) -> bool:
    said = read_object(stored)
    link = read_as(Link, said) if said else None
    return link is not None and not link.connected


def note_call(redis: Redis, key: str) -> None:
    """Notes that Label Studio calls our /setup for a project now."""
    redis.set(f"{_CALLED}:{key}", 1, px=_CALLED_MILLISECONDS)


def was_called(redis: Redis, key: str) -> bool:
    """Whether Label Studio has called our /setup for a project in the last minutes."""
    return bool(redis.exists(f"{_CALLED}:{key}"))


def let_settle(redis: Redis, key: str) -> None:
    """Waits until the last /setup is a second ago: it may be the one before its entry is deleted."""
    left = redis.pttl(f"{_CALLED}:{key}") - _CALLED_MILLISECONDS + _SETTLED_MILLISECONDS
    if left > 0:
        time.sleep(left / 1000)


def ask(redis: Redis) -> str:
    """For a minute `answer` says who we are; returns that. Whoever gets it back through Label Studio has reached us."""
    redis.set(_INSTANCE, f"coldblitz-{uuid.uuid4().hex}", nx=True)
    redis.set(_ASKING, 1, ex=_ASKING_SECONDS)
    return text(redis.get(_INSTANCE) or "")


def answer(redis: Redis) -> list[str]:
    """What `GET /versions` says beside the versions: who we are, while one of our workers asks for that."""
    instance = redis.get(_INSTANCE) if redis.exists(_ASKING) else None
    return [] if instance is None else [text(instance)]

"""The last change of a project's settings that somebody asked for on its page, until a worker has saved it in Label Studio or says why
not. Lives in Redis for a day."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from redis import Redis

from ml_backend.errors import SettingsError
from ml_backend.projects.storage import read_as, read_object
from ml_backend.queueing.queue import enqueue, is_under_way, last_failure, one_at_a_time, reason_of

_CHANGE, _DRAFT = "coldblitz:settings-change", "coldblitz:settings-draft"
_KEPT_SECONDS, _DRAFT_SECONDS = 24 * 3600, 3600
_ASKING_SECONDS = 5


@dataclass(frozen=True)
class SettingsChange:
    """`before`, `after`: the extra params as the page showed them, and as they are to be. `names`: of the settings that
    change. `typed`: what was typed for each of these. `asked`, `ended`: unix times, the latter 0 while it waits. `said`: how it
    ended, a sentence or two."""

    before: object
    after: Mapping[str, Any]
    names: list[str]
    typed: Mapping[str, str] = field(default_factory=dict)
    asked: float = 0.0
    state: Literal["waiting", "saved", "refused"] = "waiting"
    said: str = ""
    ended: float = 0.0


def mark_of(params: object) -> str:
    """Tells extra params from others, by what they say."""
    return hashlib.sha256(json.dumps(params or None, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def asking(redis: Redis, what: str) -> Iterator[None]:
    """For who looks whether something waits and then asks for it or ends it: one after the other, be it two clicks at once. `what`: tells
    it from others."""
    with one_at_a_time(redis, f"coldblitz:asking:{what}", _ASKING_SECONDS):
        yield


def ask(redis: Redis, key: str, change: SettingsChange) -> str | None:
    """Has a worker save it; returns the job's id. Raises SettingsError while another one waits."""
    with asking(redis, f"configure:{key}"):
        if is_under_way(redis, "configure", key):
            raise SettingsError(
                "Another change of these settings is being saved.", "Wait until it is, and look at the settings again."
            )
        _put(redis, key, replace(change, asked=time.time()))
        return enqueue(redis, "configure", key, again=True)


def recall(redis: Redis, key: str) -> SettingsChange | None:
    """The last one, whatever became of it; one that waits for a job that is no more was refused."""
    found = read_as(SettingsChange, read_object(redis.get(f"{_CHANGE}:{key}")))
    if found is not None and found.state == "waiting" and not is_under_way(redis, "configure", key):
        # It may have ended in between.
        found = read_as(SettingsChange, read_object(redis.get(f"{_CHANGE}:{key}"))) or found
        if found.state == "waiting":
            failed = last_failure(redis, "configure", key)
            said = (
                f"Not saved: {reason_of(failed)}"
                if failed is not None
                else "Not saved: its worker stopped. Save again."
            )
            return replace(found, state="refused", said=said)
    return found


def keep_draft(redis: Redis, key: str, typed: Mapping[str, str]) -> str:
    """Keeps for a while what somebody has typed, so that a page about it has an address; returns its name."""
    name = uuid.uuid4().hex
    redis.set(f"{_DRAFT}:{key}:{name}", json.dumps(dict(typed)), ex=_DRAFT_SECONDS)
    return name


def recall_draft(redis: Redis, key: str, name: str) -> dict[str, str]:
    """Empty when there is none any more."""
    return {str(each): str(text) for each, text in read_object(redis.get(f"{_DRAFT}:{key}:{name}")).items()}


def waiting(redis: Redis, key: str) -> SettingsChange | None:
    """The one that a worker is to save."""
    found = read_as(SettingsChange, read_object(redis.get(f"{_CHANGE}:{key}")))
    return found if found is not None and found.state == "waiting" else None


def is_waiting(redis: Redis, key: str, change: SettingsChange) -> bool:
    """Whether it is this change that a worker is about to save."""
    found = waiting(redis, key)
    return found is not None and found.after == change.after and is_under_way(redis, "configure", key)


def close(redis: Redis, key: str, change: SettingsChange, state: Literal["saved", "refused"], said: str) -> None:
    """Notes what became of it, unless another one has been asked for since."""
    with asking(redis, f"configure:{key}"):
        last = waiting(redis, key)
        if last is None or last.asked == change.asked:
            _put(redis, key, replace(change, state=state, said=said, ended=time.time()))


def _put(redis: Redis, key: str, change: SettingsChange) -> None:
    redis.set(f"{_CHANGE}:{key}", json.dumps(asdict(change)), ex=_KEPT_SECONDS)

"""What the last checks of the installation and of each project have found, and what became of what was to be done about it. In Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

from redis import Redis

from ml_backend.checks import Check, FixableCheck
from ml_backend.errors import SettingsError
from ml_backend.projects import links, registry
from ml_backend.projects.settings_changes import asking, mark_of
from ml_backend.projects.storage import read_as, read_object
from ml_backend.queueing.queue import enqueue, is_under_way, last_failure, reason_of

_CHECKS, _REPAIR = "coldblitz:checks", "coldblitz:repair"
_CHANGES, _STARTED = "coldblitz:checks-changes", "coldblitz:started"
_KEPT_SECONDS = 30 * 24 * 3600
# What the checks of the installation are kept under.
INSTALLATION = "installation"


@dataclass(frozen=True)
class CheckReport:
    """`made`: unix time. `about`: tells what was known of a project then, see `about`."""

    made: float
    checks: list[FixableCheck]
    about: str = ""

    def states(self, state: str) -> int:
        return sum(each.state == state for each in self.checks)


@dataclass(frozen=True)
class Repair:
    """Something that is to be done, or was, about what a check has found. `fix`: its name, as in `FixableCheck`. `value`: what
    is written, if that is a choice. `mark`: of the label config that the person was shown. `asked`, `ended`: unix times, the latter 0
    while it waits."""

    fix: str
    value: str
    mark: str
    asked: float = 0.0
    state: Literal["waiting", "done", "refused"] = "waiting"
    said: str = ""
    ended: float = 0.0


def note(redis: Redis, subject: str, checks: Iterable[Check], about: str = "") -> CheckReport:
    """Keeps what was found of a project, by its key, or of `INSTALLATION`. `about`: what `about` said of it before it was checked."""
    found = [
        each if isinstance(each, FixableCheck) else FixableCheck(each.name, each.state, each.message, each.remedy)
        for each in checks
    ]
    report = CheckReport(time.time(), found, about)
    redis.set(f"{_CHECKS}:{subject}", json.dumps(asdict(report)), ex=_KEPT_SECONDS)
    return report


def about(redis: Redis, key: str) -> str:
    """Tells what the checks of a project are about from what it was before, as far as we have heard of it: the label config, the
    settings, the way to us, the version that is shown, and what we have changed in Label Studio ourselves."""
    known, link = registry.recall(redis, key), links.recall(redis, key)
    heard = [known.label_config, known.extra_params] if known is not None else []
    way = [link.url, link.entry, link.connected] if link is not None else []
    changes = int(redis.hget(_CHANGES, key) or 0)
    return mark_of([heard, way, registry.active_version(redis, key), changes])


def note_change(redis: Redis, key: str) -> None:
    """To be called when we have changed something in Label Studio that the checks of a project look at."""
    redis.hincrby(_CHANGES, key, 1)


def note_start(redis: Redis) -> None:
    """To be called when a worker starts: the installation may have other settings now."""
    redis.set(_STARTED, time.time())


def is_outdated(redis: Redis, subject: str, report: CheckReport) -> bool:
    """Whether something has changed since, so that it is to be checked again."""
    if subject == INSTALLATION:
        return float(redis.get(_STARTED) or 0) > report.made
    return report.about != about(redis, subject)


def recall(redis: Redis, subject: str) -> CheckReport | None:
    """None before the first check."""
    stored = read_object(redis.get(f"{_CHECKS}:{subject}"))
    rows = stored.get("checks")
    if not isinstance(rows, list) or not isinstance(stored.get("made"), int | float):
        return None
    read = (read_as(FixableCheck, row) for row in rows if isinstance(row, dict))
    found = [each for each in read if each is not None]
    return CheckReport(float(stored["made"]), found, str(stored.get("about") or ""))


def is_running(redis: Redis, subject: str, label_studio_url: str) -> bool:
    """Whether it is being checked, or waits to be."""
    if subject == INSTALLATION:
        return is_under_way(redis, "examine_installation", label_studio_url)
    return is_under_way(redis, "examine", subject)


def failure(redis: Redis, subject: str, label_studio_url: str) -> str | None:
    """Why the last check did not come to its end; None where it did, or one is running, or waits to."""
    kind, about = ("examine_installation", label_studio_url) if subject == INSTALLATION else ("examine", subject)
    if is_under_way(redis, kind, about):
        return None
    job, report = last_failure(redis, kind, about), recall(redis, subject)
    ended = (job.ended_at or job.created_at).timestamp() if job is not None else 0.0
    if job is None or (report is not None and report.made > ended):
        return None
    # With a new worker it may come to its end, unless it is what ended the workers.
    if "error" in job.meta and ended < float(redis.get(_STARTED) or 0):
        return None
    return reason_of(job)


def ask_repair(redis: Redis, key: str, fix: str, value: str, label_config: str) -> None:
    """Has a worker do it, once however often it is asked for meanwhile. Raises SettingsError while another one is under way."""
    with asking(redis, f"mend:{key}"):
        last = waiting_repair(redis, key)
        if last is not None and is_under_way(redis, "mend", key, last.fix):
            if (last.fix, last.value, last.mark) == (fix, value, mark_of(label_config)):
                return
            raise SettingsError(
                "Something else is being done in this project.", "Wait until it is, and look at the checks again."
            )
        _put(redis, key, Repair(fix, value, mark_of(label_config), time.time()))
        enqueue(redis, "mend", key, fix, again=True)


def waiting_repair(redis: Redis, key: str) -> Repair | None:
    """The one that a worker is to do."""
    found = _stored(redis, key)
    return found if found is not None and found.state == "waiting" else None


def recall_repair(redis: Redis, key: str) -> Repair | None:
    """The last one; one that waits for a job that is no more was not done."""
    found = _stored(redis, key)
    if found is not None and found.state == "waiting" and not is_under_way(redis, "mend", key, found.fix):
        found = _stored(redis, key) or found
        if found.state == "waiting":
            failed = last_failure(redis, "mend", key, found.fix)
            said = (
                f"Not done: {reason_of(failed)}" if failed is not None else "Not done: its worker stopped. Check again."
            )
            return replace(found, state="refused", said=said)
    return found


def close_repair(redis: Redis, key: str, repair: Repair, state: Literal["done", "refused"], said: str) -> None:
    """Notes what became of it, unless another one has been asked for since."""
    with asking(redis, f"mend:{key}"):
        last = waiting_repair(redis, key)
        if last is None or last.asked == repair.asked:
            _put(redis, key, replace(repair, state=state, said=said, ended=time.time()))


def forget(redis: Redis, key: str) -> None:
    """Of a project that is gone."""
    redis.delete(f"{_CHECKS}:{key}", f"{_REPAIR}:{key}")
    redis.hdel(_CHANGES, key)


def _stored(redis: Redis, key: str) -> Repair | None:
    return read_as(Repair, read_object(redis.get(f"{_REPAIR}:{key}")))


def _put(redis: Redis, key: str, repair: Repair) -> None:
    redis.set(f"{_REPAIR}:{key}", json.dumps(asdict(repair)), ex=24 * 3600)

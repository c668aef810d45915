"""What the backend remembers of a project in Redis. All of it can be had again from Label Studio and from `/setup`."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from redis import Redis

from ml_backend.checks import Finding
from ml_backend.project_settings import ProjectSettings, parse_project_settings
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, read_object
from ml_backend.queueing.counters import text
from ml_backend.settings import Settings
from ml_backend.store import files

_PROJECTS = "coldblitz:projects"
_ACTIVE = "coldblitz:active"
_WANTED = "coldblitz:wanted"
_EVENT = "coldblitz:event"
_FINDINGS = "coldblitz:findings"
# Another word after each change.
_FINDINGS_STATE = "coldblitz:findings-state"
_PINS = "coldblitz:pins"
_PROBLEMS = "coldblitz:problems"
_RECONCILED = "coldblitz:reconciled"
_ASKED = "coldblitz:asked"
_URGENCY = {"error": 0, "warning": 1}
# Who tells the admin of something; what one source has told before is replaced. Redis has them as they stand here.
ProblemSource = Literal[
    "annotated videos",
    "attribution",
    "casts",
    "columns",
    "companion",
    "companion framerate",
    "companion video",
    "connection",
    "controls",
    "detector",
    "detector training",
    "finetune",
    "follower",
    "individuals",
    "label config",
    "labels",
    "model",
    "pin",
    "replaced videos",
    "rollout",
    "settings",
    "text",
    "tracks",
    "unknown labels",
    "videos",
    "webhook",
    "weights",
]


@dataclass(frozen=True)
class SharedFinding(Finding):
    """What was found about the videos of several `tasks`, ascending."""

    tasks: list[int]


@dataclass(frozen=True)
class Known:
    """A project whose /setup has reached us, as it was then."""

    key: str
    label_config: str
    extra_params: object = None

    @property
    def id(self) -> int:
        return number_of(self.key)

    @property
    def settings(self) -> ProjectSettings:
        return parse_project_settings(self.extra_params)[0]


def number_of(key: str) -> int:
    """The number by which Label Studio knows a project: the part of its key before the time at which it was made."""
    return int(key.partition(".")[0])


def keys_of(keys: Iterable[str], project: str) -> list[str]:
    """Those of `keys` that a person means by a project's number, or by its key; the newest last.

    There can be several, since Label Studio gives the number of a deleted project to another one.
    """
    meant = [key for key in keys if project in (key, key.partition(".")[0])]
    return sorted(meant, key=lambda key: (len(key), key))  # as the numbers in them are ordered


def remember(redis: Redis, project: Known) -> bool:
    """Stores a project; True when something about it is new. What another release has stored beside is kept."""
    before = stored(redis, project.key)
    told = {**before, **asdict(project)}
    if told == before:
        return False
    redis.hset(_PROJECTS, project.key, json.dumps(told, sort_keys=True))
    return True


def recall(redis: Redis, key: str) -> Known | None:
    """None for a project that is not known, or of which another release has stored nothing that this one can read."""
    return read_as(Known, stored(redis, key))


def stored(redis: Redis, key: str) -> dict[str, Any]:
    """All that is stored of a project, also by another release; empty without anything."""
    return read_object(redis.hget(_PROJECTS, key))


def known_keys(redis: Redis) -> list[str]:
    return sorted(map(text, redis.hkeys(_PROJECTS)))


def forget(redis: Redis, key: str) -> None:
    for name in (_PROJECTS, _ACTIVE, _WANTED, _RECONCILED, _FINDINGS_STATE):
        redis.hdel(name, key)
    redis.delete(f"{_PROBLEMS}:{key}", f"{_PINS}:{key}", f"{_FINDINGS}:{key}", f"{_EVENT}:{key}")


def active_version(redis: Redis, key: str) -> str | None:
    """The model version whose predictions are pinned; None while only suggestions are."""
    stored = redis.hget(_ACTIVE, key)
    return None if stored is None else text(stored)


def active_versions(redis: Redis) -> dict[str, str]:
    """The active version of each project that has one."""
    return {text(key): text(version) for key, version in redis.hgetall(_ACTIVE).items()}


def activate(redis: Redis, key: str, version: str) -> None:
    """Notes that a version has been pinned, and when."""
    redis.hset(_ACTIVE, key, version)
    redis.hset(f"{_PINS}:{key}", version, time.time())


def note_annotation(redis: Redis, key: str) -> None:
    """Notes that an annotation event has come just now."""
    redis.set(f"{_EVENT}:{key}", time.time(), ex=60)


def seconds_since_annotation(redis: Redis, key: str) -> float:
    """How long ago the last annotation event came; a minute when that is not known any more."""
    stored = redis.get(f"{_EVENT}:{key}")
    return 60.0 if stored is None else max(0.0, time.time() - float(text(stored)))


def note_reconciled(redis: Redis, key: str) -> None:
    redis.hset(_RECONCILED, key, time.time())


def reconciled_at(redis: Redis) -> dict[str, float]:
    """When each project was last compared with Label Studio, unix time."""
    return {text(key): float(when) for key, when in redis.hgetall(_RECONCILED).items()}


def want(redis: Redis, key: str, version: str) -> None:
    """Notes which version is to be rolled out; a roll-out of any other gives up."""
    redis.hset(_WANTED, key, version)


def wanted_version(redis: Redis, key: str) -> str | None:
    stored = redis.hget(_WANTED, key)
    return None if stored is None else text(stored)


def pins(redis: Redis, key: str) -> dict[str, float]:
    """When each version was pinned last, unix time."""
    return {text(version): float(when) for version, when in redis.hgetall(f"{_PINS}:{key}").items()}


def set_problems(
    redis: Redis, key: str, source: ProblemSource, sentences: Iterable[str], *, instead: bool = False
) -> None:
    """Replaces what the admin is told about a project by one source, or by all (`instead`)."""
    told = list(sentences)
    if instead:
        redis.delete(f"{_PROBLEMS}:{key}")
    if told:
        redis.hset(f"{_PROBLEMS}:{key}", source, json.dumps(told))
    else:
        redis.hdel(f"{_PROBLEMS}:{key}", source)


def problems(redis: Redis) -> dict[str, list[str]]:
    """Per project key, one sentence for each thing that the admin should mend."""
    keys = known_keys(redis)
    with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hvals(f"{_PROBLEMS}:{key}")
        answers = pipeline.execute()
    found = ([each for told in said for each in json.loads(text(told))] for said in answers)
    return {key: texts for key, texts in zip(keys, found, strict=True) if texts}


def note_findings(redis: Redis, key: str, task: int, findings: Iterable[Finding]) -> None:
    """Replaces what the inspection of a task's video found."""
    found = [asdict(each) for each in findings]
    if found:
        redis.hset(f"{_FINDINGS}:{key}", str(task), json.dumps(found))
    elif not redis.hdel(f"{_FINDINGS}:{key}", str(task)):
        return
    # After the change: whoever reads between the two reads once more.
    redis.hset(_FINDINGS_STATE, key, uuid.uuid4().hex)


def findings_of(redis: Redis, key: str) -> dict[int, list[Finding]]:
    """What the inspection found about the video of each task that has something unusual about it."""
    stored = redis.hgetall(f"{_FINDINGS}:{key}")
    return {int(text(task)): found for task, each in stored.items() if (found := _findings(each))}


def findings_of_task(redis: Redis, key: str, task: int) -> list[Finding]:
    """The same of one task; empty where there is nothing unusual."""
    return findings_of_tasks(redis, key, [task]).get(task, [])


def findings_of_tasks(redis: Redis, key: str, tasks: Sequence[int]) -> dict[int, list[Finding]]:
    """Of those of `tasks` that have some."""
    stored = redis.hmget(f"{_FINDINGS}:{key}", [str(task) for task in tasks]) if tasks else []
    return {task: _findings(each) for task, each in zip(tasks, stored, strict=True) if each is not None}


def tasks_with_findings(redis: Redis, key: str) -> set[int]:
    return {int(text(task)) for task in redis.hkeys(f"{_FINDINGS}:{key}")}


def may_ask(redis: Redis, key: str) -> bool:
    """Whether nobody has asked Label Studio about an unknown project's backends within the last hour."""
    return bool(redis.set(f"{_ASKED}:{key}", 1, nx=True, ex=3600))


def ask_again(redis: Redis, key: str) -> None:
    """To be called when that was in vain: it may be asked again after a minute."""
    redis.expire(f"{_ASKED}:{key}", 60)


def findings(redis: Redis) -> dict[str, list[SharedFinding]]:
    """Per project key, each kind of finding once in each severity, the worst first and then the most frequent: what it says, of
    one task where it does not say the same of all, and the tasks that have it.

    What has not changed since this process read it last is not read again: there may be a hundred thousand.
    """
    keys = known_keys(redis)
    with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hget(_FINDINGS_STATE, key)
            pipeline.hlen(f"{_FINDINGS}:{key}")
        answers = pipeline.execute()
    for key, state, number in zip(keys, answers[::2], answers[1::2], strict=True):
        if key not in _grouped or _grouped[key][0] != (state, number):
            _grouped[key] = (state, number), _by_kind(findings_of(redis, key)) if number else []
    return {key: kinds for key in keys if (kinds := _grouped[key][1])}


_grouped: dict[str, tuple[tuple[object, object], list[SharedFinding]]] = {}


def _findings(stored: bytes | str) -> list[Finding]:
    """Those that can be read; another release may have stored others."""
    return list(_read_findings(stored))


# Of a hundred thousand videos most have the same.
@lru_cache(maxsize=4096)
def _read_findings(stored: bytes | str) -> tuple[Finding, ...]:
    return tuple(found for each in json.loads(text(stored)) if (found := read_as(Finding, each)) is not None)


def _by_kind(by_task: Mapping[int, Sequence[Finding]]) -> list[SharedFinding]:
    kinds: dict[tuple[str, str], list[tuple[int, Finding]]] = {}
    for task, found in sorted(by_task.items()):
        for finding in found:
            kinds.setdefault((finding.kind, finding.severity), []).append((task, finding))
    shared = []
    for said in kinds.values():
        task, first = said[0]
        message = first.message
        if any(finding.message != message for _, finding in said):
            message = f"For example, task {task}: {message}"
        shared.append(SharedFinding(first.kind, message, first.remedy, first.severity, [task for task, _ in said]))
    return sorted(shared, key=lambda row: (_URGENCY.get(row.severity, 2), -len(row.tasks)))


_COMPANIONS = "coldblitz:companions"


@dataclass(frozen=True)
class KnownCompanion:
    """`key`: of the companion. `images`: how many frames it holds, `answered`: of how many of them somebody has said what
    they show."""

    key: str
    images: int = 0
    answered: int = 0

    @property
    def id(self) -> int:
        return number_of(self.key)


def note_companion(redis: Redis, project: str, companion: KnownCompanion) -> None:
    redis.hset(_COMPANIONS, project, json.dumps(asdict(companion)))


def recall_companion(redis: Redis, project: str) -> KnownCompanion | None:
    return read_as(KnownCompanion, read_object(redis.hget(_COMPANIONS, project)))


def forget_companion(redis: Redis, project: str) -> None:
    redis.hdel(_COMPANIONS, project)


def companions(redis: Redis) -> dict[str, KnownCompanion]:
    """By the keys of their video projects."""
    known = {
        text(key): read_as(KnownCompanion, read_object(stored)) for key, stored in redis.hgetall(_COMPANIONS).items()
    }
    return {key: companion for key, companion in known.items() if companion is not None}


_OVERVIEW = "coldblitz:overview"


@dataclass(frozen=True)
class Overview:
    """`versions`: number of stored predictions of each model version. `seen`: when it was asked, unix time."""

    title: str
    tasks: int
    versions: Mapping[str, int]
    seen: float


def note_overview(redis: Redis, key: str, *, title: str, tasks: int, versions: Mapping[str, int]) -> None:
    found = Overview(title, tasks, dict(versions), time.time())
    redis.hset(_OVERVIEW, key, json.dumps(asdict(found)))


def recall_overview(redis: Redis, key: str) -> Overview | None:
    """None before the first reconcile."""
    return read_as(Overview, read_object(redis.hget(_OVERVIEW, key)))


def forget_overview(redis: Redis, key: str) -> None:
    redis.hdel(_OVERVIEW, key)


_STUDIOS = "coldblitz:studios"


def note_studio(redis: Redis, settings: Settings, key: str) -> None:
    """Notes that our Label Studio has the project, be it under a new address."""
    redis.hset(_STUDIOS, key, settings.label_studio_url)
    record = _record(settings.data_dir, key)
    # What cannot be noted is kept for ever, which does no harm.
    with contextlib.suppress(OSError):
        if files.has_folder(record.parent) and _read_record(record) != settings.label_studio_url:
            files.write(record, settings.label_studio_url.encode())


def studio_of(redis: Redis, settings: Settings, key: str) -> str | None:
    """The address of the Label Studio that had the project last; None when nobody knows."""
    stored = redis.hget(_STUDIOS, key)
    if stored is not None:
        return text(stored)
    return _read_record(_record(settings.data_dir, key))


def forget_studio(redis: Redis, key: str) -> None:
    redis.hdel(_STUDIOS, key)


def _record(data_dir: Path, key: str) -> Path:
    return ProjectFolder(data_dir, key).studio


def _read_record(record: Path) -> str | None:
    try:
        return files.current(record).read_text().strip() or None
    except (OSError, ValueError):
        return None

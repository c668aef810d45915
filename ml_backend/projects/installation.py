"""The state of what the backend stands on: Redis, the disk, the workers, the weights. Imports nothing heavy: the web uses it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.checks import Check, fault, fault_of, ok, warning
from ml_backend.errors import ColdblitzError
from ml_backend.queueing.counters import text
from ml_backend.queueing.liveness import living, process_name
from ml_backend.settings import GIB

_WEIGHTS = "coldblitz:weights"
_TEXT = "coldblitz:text"
_FULL, _NEARLY_FULL = GIB // 4, 2 * GIB
_NO_REDIS = "Start Redis, or check REDIS_URL. Nothing is lost: the next reconcile catches up on what was missed."


def check_redis(redis: Redis) -> Check:
    """Whether Redis answers, keeps what it is told over a restart, and throws nothing away when it is full."""
    name = "redis"
    try:
        told = redis.info()
    except RedisError as error:
        return fault(name, f"Redis does not answer ({type(error).__name__}).", _NO_REDIS)
    version = f"Redis {told.get('redis_version', 'of an unknown version')} answers"
    if told.get("loading"):
        return fault(name, f"{version}, but is still loading its data.", "Wait until it has.")
    policy = told.get("maxmemory_policy", "noeviction")
    if told.get("maxmemory") and policy != "noeviction":
        return fault(
            name, f"{version}, but evicts keys when it is full ({policy}).", "Set maxmemory-policy noeviction."
        )
    if not told.get("aof_enabled"):
        return warning(
            name,
            f"{version}, but does not append every write to disk.",
            "Set appendonly yes. Otherwise, after Redis restarts, queued jobs wait for the next reconcile.",
        )
    return ok(name, f"{version} and appends every write to disk.")


def check_disk(data_dir: Path) -> Check:
    """Whether DATA_DIR can be written and has room."""
    name, remedy = "disk", "Set DATA_DIR to a writable folder on a disk with free space."
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".check-") as file:
            file.write(b"a byte")
            file.flush()
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        return fault(name, f"{data_dir} cannot be written ({error.strerror or error}).", remedy)
    room = f"{data_dir} is writable; {free / GIB:.1f} GiB are free"
    if free < _FULL:
        return fault(name, f"{room}, which is too little.", "Free up disk space, or set CACHE_MAX_BYTES lower.")
    if free < _NEARLY_FULL:
        return warning(name, f"{room}, which is soon too little.", "Free up disk space, or set CACHE_MAX_BYTES lower.")
    return ok(name, f"{room}.")


def check_workers(redis: Redis) -> Check:
    """Whether somebody does the jobs."""
    name = "workers"
    try:
        alive = living(redis)
    except RedisError as error:
        return fault(name, f"Unknown, because Redis does not answer ({type(error).__name__}).", _NO_REDIS)
    if not alive:
        return fault(
            name,
            "No worker is running, so jobs wait forever.",
            "Start one with the same REDIS_URL: `coldblitz worker` (`make serve` starts one with the web process).",
        )
    machines = {worker.rsplit(".", 2)[0] for worker in alive}
    return ok(name, f"{len(alive)} live, on {len(machines)} machine{'s' if len(machines) > 1 else ''}.")


def weights_state(warned: str | None, runtime: str = "") -> Check:
    """The state of a backbone that was loaded; `warned` is what it says against itself, `runtime` in which numbers it calculates."""
    if warned is None:
        return ok("weights", " ".join(filter(None, ("The backbone is loaded and trained.", runtime))))
    message, _, remedy = warned.partition(": ")
    return warning("weights", f"{message}.", f"{remedy[:1].upper()}{remedy[1:]}")


def note_weights(redis: Redis, loaded: Check | ColdblitzError) -> None:
    """Tells the web process how this worker fared when it loaded the backbone."""
    _note(redis, _WEIGHTS, fault_of("weights", loaded) if isinstance(loaded, ColdblitzError) else loaded)


def check_weights(redis: Redis) -> Check:
    """The worst that the living workers have said of their backbone: loading one here would take half a gigabyte."""
    unused = "The backbone is not loaded yet; it is loaded with the first video."
    return _worst_noted(redis, _WEIGHTS, ok("weights", unused))


def text_state(name: str | None, failure: ColdblitzError | None = None) -> Check:
    """The state of the text model called `name`; without one nothing is amiss, since all but the words works."""
    if name is None:
        return ok("text", "Off: TEXT_MODEL is not set.")
    if failure is not None:
        return warning("text", f"Off: {failure.message}", failure.remedy)
    return ok("text", f"{name} reads the labels.")


def note_text(redis: Redis, state: Check) -> None:
    """Tells the web process how this worker fared when it loaded the text model."""
    _note(redis, _TEXT, state)


def check_text(redis: Redis, name: str | None) -> Check:
    """The worst that the living workers have said of the text model called `name`."""
    if name is None:
        # Unless a backbone reads words as well.
        return _worst_noted(redis, _TEXT, text_state(None))
    return _worst_noted(
        redis, _TEXT, ok("text", "The text model is not loaded yet; it is loaded with the first video.")
    )


def _note(redis: Redis, where: str, state: Check) -> None:
    redis.hset(where, process_name(os.getpid()), json.dumps(asdict(state)))


def _worst_noted(redis: Redis, where: str, unused: Check) -> Check:
    """Of what the living workers have noted; `unused` when none has."""
    try:
        alive = {worker.rpartition(".")[0] for worker in living(redis)}
        told = {text(worker): json.loads(text(state)) for worker, state in redis.hgetall(where).items()}
        if gone := sorted(told.keys() - alive):
            redis.hdel(where, *gone)
    except RedisError as error:
        return fault(unused.name, f"Unknown, because Redis does not answer ({type(error).__name__}).", _NO_REDIS)
    found = [Check(**state) for worker, state in told.items() if worker in alive]
    return max(found, key=lambda check: ("ok", "warning", "fault").index(check.state)) if found else unused

"""One training and one roll-out of a project at a time, over all workers, on whatever machines."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.errors import StorageError
from ml_backend.processes import locked
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.counters import text
from ml_backend.queueing.liveness import died_here, is_in_process, worker_name

_LOCK = "coldblitz:lock"
# A holder that is gone with its machine holds up the others for so long.
_HELD_SECONDS, _RENEW_EVERY, _ASK_EVERY = 30.0, 8.0, 0.2
_WANTED_SECONDS = 24 * 3600
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"


@contextlib.contextmanager
def project_lock(redis: Redis, data_dir: Path, project: str, purpose: str) -> Iterator[None]:
    """Waits for the lock.

    It is two: one on a file, which is free again at once when its holder is killed, among the workers of a machine (a
    network file system may not share it), and one in Redis among the machines, which its holder renews. Raises
    StorageError.
    """
    with _held(redis, data_dir, project, purpose, wait=True):
        yield


@contextlib.contextmanager
def project_lock_if_free(
    redis: Redis, data_dir: Path, project: str, purpose: str, again: Callable[[], object]
) -> Iterator[bool]:
    """The same without waiting, which would keep a worker from other projects: whether the lock was free, and is held now.

    Where it was not, its holder calls `again` when it has let go. Raises StorageError.
    """
    wanted = f"{_LOCK}:{purpose}:{project}:again"
    # Noted before it is tried: a holder that lets go in between finds it.
    redis.set(wanted, 1, ex=_WANTED_SECONDS)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_held(redis, data_dir, project, purpose, wait=False))
        except BlockingIOError:
            yield False
            return
        # Whoever asked until now is served by what begins now.
        redis.delete(wanted)
        try:
            yield True
        finally:
            stack.close()
            # A reconcile finds what is not asked for here.
            with contextlib.suppress(RedisError):
                if redis.delete(wanted):
                    again()


@contextlib.contextmanager
def _held(redis: Redis, data_dir: Path, project: str, purpose: str, wait: bool) -> Iterator[None]:
    """Raises BlockingIOError when somebody holds it and it is not to `wait`."""
    with _on_this_machine(ProjectFolder(data_dir, project).lock(purpose), wait):
        key, holder = f"{_LOCK}:{purpose}:{project}", worker_name(os.getpid(), uuid.uuid4().hex[:12])
        _acquire(redis, key, holder, wait)
        released = threading.Event()
        renewing = threading.Thread(target=_renew, args=(redis, key, holder, released), name="lock", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            released.set()
            renewing.join()
            with contextlib.suppress(RedisError):
                redis.eval(_RELEASE, 1, key, holder)


@contextlib.contextmanager
def _on_this_machine(path: Path, wait: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait))
        except BlockingIOError:
            raise
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written ({error.strerror}).",
                "Free up disk space there, or set DATA_DIR to another disk.",
            ) from error
        yield


def _acquire(redis: Redis, key: str, holder: str, wait: bool) -> None:
    left: int | None = None
    while not redis.set(key, holder, nx=True, px=int(1000 * _HELD_SECONDS)):
        name = text(redis.get(key) or "")
        # Another thread of this very process is no worker that is gone.
        if died_here(name) and not is_in_process(name, os.getpid()):
            redis.eval(_RELEASE, 1, key, name)
            continue
        before, left = left, redis.pttl(key)
        # One that renews it is at work; one that does not is gone with its machine, or has just let go.
        if not wait and before is not None and left > before:
            raise BlockingIOError(f"{name} holds {key}")
        time.sleep(_ASK_EVERY)


def _renew(redis: Redis, key: str, holder: str, released: threading.Event) -> None:
    while not released.wait(_RENEW_EVERY):
        # Without Redis for long enough another machine may begin, too; whatever both do is whole, and the last one counts.
        with contextlib.suppress(RedisError):
            redis.eval(_RENEW, 1, key, holder, int(1000 * _HELD_SECONDS))

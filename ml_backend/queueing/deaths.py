"""Which workers are dead, and what of: by their process where it ran here, by their signs of life where it ran elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

from redis import Redis

from ml_backend.queueing.alive import living

_ENDED = "coldblitz:ended"
_REMEMBERED_SECONDS = 24 * 3600
# So long after a start of Redis every living worker has given a sign again.
_SETTLED_SECONDS = 60
_CRASHES = {-int(each) for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)}


def worker_name(pid: int, word: str) -> str:
    """Tells on which machine and in which process a worker runs, and when that began."""
    return f"{_process(pid)}.{_begun(pid)}-{word}"


def _process(pid: int) -> str:
    return f"{socket.gethostname()}.{pid}"


def _begun(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" when nobody knows, as where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def died_here(name: str | None) -> bool | None:
    """Whether a worker's process is gone; None when it is not one of this machine."""
    parts = (name or "").rsplit(".", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return None
    pid = int(parts[1])
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    # After a restart of the machine or the container another process may have its number, be it this one.
    begun, now = parts[2].rpartition("-")[0], _begun(pid)
    return bool(begun and now and begun != now) or pid == os.getpid()


def died(redis: Redis, name: str | None) -> bool:
    """Whether a worker is dead, on whatever machine. Raises RedisError."""
    here = died_here(name)
    if here is not None or (name or "").count(".") < 2:
        return bool(here)
    return name not in living(redis) and int(redis.info("server")["uptime_in_seconds"]) > _SETTLED_SECONDS


def note_end(redis: Redis, pid: int, code: int) -> None:
    """To be called by whoever started a worker: tells how its process ended, a signal as a negative number."""
    redis.set(f"{_ENDED}:{_process(pid)}", code, ex=_REMEMBERED_SECONDS)


def crashed(redis: Redis, name: str | None) -> bool:
    """Whether a dead worker ended by an error in native code, rather than that somebody or something killed it."""
    told = redis.get(f"{_ENDED}:{(name or '').rpartition('.')[0]}")
    return told is not None and int(told) in _CRASHES

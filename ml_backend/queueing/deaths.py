"""Which workers are dead, and what of: by their process where it ran here, by their signs of life where it ran elsewhere.

*Here* is the same start of the same machine, and the same container: another one's process numbers say nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
from functools import cache
from pathlib import Path

from redis import Redis

from ml_backend.queueing.alive import living

_ENDED = "coldblitz:ended"
_REMEMBERED_SECONDS = 24 * 3600
# So long after a start of Redis every living worker has given a sign again.
_SETTLED_SECONDS = 60
_CRASHES = {-int(each) for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)}


def worker_name(pid: int, word: str) -> str:
    """Tells on which machine, in which container and in which process a worker runs, and when that began."""
    return f"{process_name(pid)}.{_begun(pid)}-{word}"


def process_name(pid: int) -> str:
    """What the names of all workers in one process begin with."""
    return f"{socket.gethostname()}.{pid}@{_place()}"


def is_in_process(name: str, pid: int) -> bool:
    """Whether a worker of this name runs, or ran, in the process `pid` of this machine and container."""
    return name.rpartition(".")[0] == process_name(pid)


@cache
def _place() -> str:
    """Tells one start of a machine, and one container on it, from another: containers on the host's network share its name,
    and each counts its processes from 1."""
    known = ""
    with contextlib.suppress(OSError):
        known = Path("/proc/sys/kernel/random/boot_id").read_text()
    with contextlib.suppress(OSError):
        known += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(known.encode()).hexdigest()[:8]


def _begun(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" when nobody knows, as where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def died_here(name: str | None) -> bool | None:
    """Whether a worker's process is gone; None when it is not one of this machine and container."""
    place, _, rest = (name or "").rpartition(".")
    host, _, number = place.rpartition(".")
    digits = number.removesuffix(f"@{_place()}")
    if host != socket.gethostname() or digits == number or not digits.isdigit():
        return None
    pid = int(digits)
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    # Another process may have its number by now, be it this one.
    begun, now = rest.rpartition("-")[0], _begun(pid)
    return bool(begun and now and begun != now) or pid == os.getpid()


def died(redis: Redis, name: str | None) -> bool:
    """Whether a worker is dead, on whatever machine. Raises RedisError."""
    here = died_here(name)
    if here is not None or (name or "").count(".") < 2:
        return bool(here)
    return name not in living(redis) and int(redis.info("server")["uptime_in_seconds"]) > _SETTLED_SECONDS


def living_here(redis: Redis) -> list[str]:
    """The names of the living workers of this machine and container. Raises RedisError."""
    return [name for name in living(redis) if died_here(name) is not None]


def note_end(redis: Redis, pid: int, code: int) -> None:
    """To be called by whoever started a worker: tells how its process ended, a signal as a negative number."""
    redis.set(f"{_ENDED}:{process_name(pid)}", code, ex=_REMEMBERED_SECONDS)


def crashed(redis: Redis, name: str | None) -> bool:
    """Whether a dead worker ended by an error in native code, rather than that somebody or something killed it."""
    told = redis.get(f"{_ENDED}:{(name or '').rpartition('.')[0]}")
    return told is not None and int(told) in _CRASHES

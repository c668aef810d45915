"""Which workers live, which are dead and what of, and which videos end the worker that opens them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import get_current_job

from ml_backend.errors import VideoUnreadable
from ml_backend.queueing.counters import text

_ALIVE = "coldblitz:alive"
_EVERY, _FOR, _FORGOTTEN_AFTER = 10.0, 45.0, 3600.0


@contextlib.contextmanager
def signs_of_life(url: str, name: str) -> Iterator[None]:
    """Tells the Redis at `url` every few seconds that this worker lives, for the time of the `with` block."""
    stop = threading.Event()
    # Not the worker's own connections, which wait for jobs.
    redis = Redis.from_url(url, socket_timeout=5)

    def tell() -> None:
        while True:
            # Redis may be away for a moment; the next sign comes.
            with contextlib.suppress(RedisError):
                now = _now(redis)
                redis.zadd(_ALIVE, {name: now})
                redis.zremrangebyscore(_ALIVE, 0, now - _FORGOTTEN_AFTER)
            if stop.wait(_EVERY):
                return

    thread = threading.Thread(target=tell, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_EVERY)
        with contextlib.suppress(RedisError):
            redis.zrem(_ALIVE, name)
        redis.close()


def living(redis: Redis) -> list[str]:
    """The names of the workers that have given a sign of life in the last 45 seconds, on all machines. Raises RedisError."""
    return sorted(map(text, redis.zrangebyscore(_ALIVE, _now(redis) - _FOR, "+inf")))


def _now(redis: Redis) -> float:
    # Redis' clock: those of the workers' machines may differ.
    seconds, microseconds = redis.time()
    return float(seconds) + microseconds / 1e6


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


# A crash tells of the video; being killed may tell of somebody who restarts the machine, or of too little memory.
CRASHES, KILLS = 3, 9
_COUNT = "coldblitz:poison"
# After a week it is tried again: the libraries may have been mended.
_POISON_SECONDS = 7 * 24 * 3600


@contextlib.contextmanager
def in_hand(content: str) -> Iterator[None]:
    """While the `with` block runs, the running job notes which video (by its content's hash) it has in hand.

    Raises VideoUnreadable for one that has ended too many workers, whatever they were doing with it.
    """
    current: Any = get_current_job()
    if current is None:
        yield
        return
    crashes, kills = _counts(current.connection, content)
    if crashes >= CRASHES or kills >= KILLS:
        current.meta["poison"] = content
        raise VideoUnreadable(
            f"The video ended the worker that opened it {crashes + kills} times.",
            "Encode it again (ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4), or retry the job after updating Coldblitz.",
        )
    current.meta["video"] = content
    current.save_meta()
    try:
        yield
    finally:
        current.meta.pop("video", None)
        # Without Redis the job fails anyhow; its own error says more.
        with contextlib.suppress(RedisError):
            current.save_meta()


def blame(redis: Redis, content: str, *, crashed: bool) -> None:
    """Counts a worker that died with this video in hand."""
    key = f"{_COUNT}:{content}"
    redis.hincrby(key, "crashes" if crashed else "kills", 1)
    redis.expire(key, _POISON_SECONDS)


def forgive(redis: Redis, content: str) -> None:
    """Lets the video be opened again."""
    redis.delete(f"{_COUNT}:{content}")


def _counts(redis: Redis, content: str) -> tuple[int, int]:
    crashes, kills = redis.hmget(f"{_COUNT}:{content}", "crashes", "kills")
    return int(crashes or 0), int(kills or 0)

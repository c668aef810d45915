"""How long a job may take, a base for each kind and more by the length of each video that it opens; and a bound on a worker's memory."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rq import get_current_job

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import open_video

# A slow machine decodes and embeds 4K video at a tenth of its speed.
_SECONDS_PER_SECOND = 10.0
_EACH_VIDEO = 60.0
# Video has at least 100 kbit/s; one that says nothing of its length, or promises years, is at most so long.
_LEAST_BYTES_PER_SECOND = 12_500
_GRACE = 60

_watched = False


@contextlib.contextmanager
def watched(seconds: float, grace: float = _GRACE) -> Iterator[None]:
    """Ends this process when the `with` block takes `seconds`, what `allow` adds, and `grace` more, and writes to its log
    where it hung. The signal by which RQ ends a job reaches Python alone, not native code that never returns to it."""
    global _watched
    faulthandler.dump_traceback_later(seconds + grace, exit=True)
    _watched = True
    try:
        yield
    finally:
        _watched = False
        faulthandler.cancel_dump_traceback_later()


def video_seconds(path: Path) -> float:
    """About how long a video is: what its header says, but no more than its size allows."""
    most = path.stat().st_size / _LEAST_BYTES_PER_SECOND
    try:
        with open_video(path) as (container, _):
            return min(most, container.duration / 1e6) if container.duration else most
    except VideoUnreadable:
        return 0.0


def allow_for_video(path: Path, seconds: float | None = None) -> None:
    """Gives the running job the time that this video may take, or a part of it of so many seconds."""
    allow(_EACH_VIDEO + _SECONDS_PER_SECOND * (video_seconds(path) if seconds is None else seconds))


def allow(seconds: float) -> None:
    """Gives the running job so much more time; outside a job it does nothing."""
    current: Any = get_current_job()
    left = signal.alarm(0)
    if current is None or not left:
        return
    left += math.ceil(seconds)
    signal.alarm(left)
    if _watched:
        faulthandler.dump_traceback_later(left + _GRACE, exit=True)
    # RQ takes a job for abandoned when it is not done by then.
    current.timeout = int(current.timeout or 0) + math.ceil(seconds)
    with current.connection.pipeline() as pipeline:
        for execution in current.get_executions():
            execution.heartbeat(current.started_job_registry, left + _GRACE, pipeline)
        pipeline.execute()


_SHARE = 0.75
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_GPU = Path("/dev/nvidiactl")


def limit_memory() -> int | None:
    """Bounds this process to three quarters of the machine's or the container's memory, whichever is less.

    Returns the bound in bytes; None, with no bound, beside an NVIDIA GPU, whose driver maps its memory as if it were ours.
    """
    if _GPU.exists():
        return None
    bound = int(_memory() * _SHARE)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    for known in (soft, hard):
        if known != resource.RLIM_INFINITY:
            bound = min(bound, known)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    return bound


def _memory() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # It holds "max" where there is no limit, and is not there on a machine without control groups.
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int(_CGROUP.read_text()))
    return memory

"""A bound on a worker's memory: a video that fills it fails its job, and does not take the machine along.

RLIMIT_DATA counts what a process may write to. RLIMIT_AS would also count what is only reserved or mapped, of which torch
and CUDA take many times what there is.
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

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

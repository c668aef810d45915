"""Child processes that do not outlive us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def start_child(
    command: Sequence[str], environment: Mapping[str, str] | None = None, quiet: bool = False
) -> subprocess.Popen[bytes]:
    """Starts a process of its own session (Ctrl+C reaches it through us alone) that is told to stop when we die."""
    output = subprocess.DEVNULL if quiet else None
    return subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )


def stop_child(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Asks a process to stop, and ends it when it has not after `seconds`."""
    process.terminate()
    await_child(process, seconds)


def await_child(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits for a process that was asked to stop, and ends it when it has not after `seconds`."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel sends this process SIGTERM when the thread that started it ends (Linux only)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

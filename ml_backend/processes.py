"""Processes on one machine: children that do not outlive us and give way to those that people wait for, and one at a time over all that
share a folder."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_AUTOGROUP = Path("/proc/self/autogroup")
# Linux lets users change one of them every 100 ms, and several children may start at once.
_TRIES, _TRY_AFTER = 20, 0.1


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


def give_way(nicer: int) -> None:
    """Has other processes go first on the cores that they share with this one; `nicer` as for `os.nice`, 1 to 19.

    Where nobody has made groups of processes, Linux shares the cores out between sessions, and niceness only counts between
    processes of the same one (sched(7), "The autogroup feature"). So a process that leads a session lowers all of it.
    """
    os.nice(nicer)
    if os.getsid(0) != os.getpid():
        return
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(nicer))
            return
        except BlockingIOError:
            time.sleep(_TRY_AFTER)
        except OSError:
            return  # another system, or one that shares out otherwise


log = logging.getLogger(__name__)

# What a network file system says that is mounted without its locks.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Waits for the lock that is the file `path`, made where it is missing. It is free again at once when its holder is
    killed. Raises BlockingIOError when somebody holds it and it is not to `wait`.

    Where the file system has no locks, only the processes of one machine and container wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    with contextlib.ExitStack() as stack:
        try:
            fcntl.flock(stack.enter_context(path.open("w")), how)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _tell(path.parent, os.strerror(error.errno))
            fcntl.flock(stack.enter_context(_beside(path).open("w")), how)
        yield


def _beside(path: Path) -> Path:
    """A file of this machine's own for a lock elsewhere."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"coldblitz-{os.getuid()}-{name}.lock"


@cache
def _tell(folder: Path, why: str) -> None:
    log.warning(
        "The file system of %s has no locks (%s). Workers on several machines wait for each other through Redis alone; mount it "
        "with locks (NFS: without `nolock`), or set DATA_DIR to a local disk.",
        folder,
        why,
    )

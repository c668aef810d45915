"""One process at a time, over all that share a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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

"""One training and one roll-out of a project at a time, over all workers that share the data folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def project_lock(data_dir: Path, project: str, purpose: str) -> Iterator[None]:
    """Waits for the lock. It is a lock on a file, so it is free again at once when its holder is killed."""
    folder = data_dir / "projects" / project
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{purpose}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

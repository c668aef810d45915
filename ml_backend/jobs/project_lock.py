"""One training and one roll-out of a project at a time, over all workers that share the data folder."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ml_backend.locked import locked


def project_lock(data_dir: Path, project: str, purpose: str) -> AbstractContextManager[None]:
    """Waits for the lock."""
    return locked(data_dir / "projects" / project / f".{purpose}.lock")

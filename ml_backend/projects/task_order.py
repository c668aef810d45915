"""The order in which a model version's tasks are best looked at, so that a new task can take its place in it.

A file of rows for each version, 268 bytes a task. Without it a new task is placed by its certainty alone, no more is lost.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.rows import Rows, mapped, put

SKETCH = 128
# `score`: as it was pushed. `sketch`: of the mean embedding of the frames of which the version is least certain.
PLACED = np.dtype([("task", "<i8"), ("score", "<f4"), ("sketch", "<f2", (SKETCH,))])


def load(data_dir: Path, project: str, version: str) -> Rows:
    """(n,) of `PLACED`, in no order, of tasks that nobody had annotated when they were predicted."""
    rows = mapped(_path(data_dir, project, version), PLACED)
    return rows[rows["task"] >= 0]


def save(data_dir: Path, project: str, version: str, rows: Rows) -> None:
    """Puts these in place of what is known of their tasks; one process at a time. Raises StorageError."""
    path = _path(data_dir, project, version)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, PLACED, rows["task"].tolist(), rows)
    except OSError as error:
        raise StorageError(
            f"The order of tasks cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def drop(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone. Raises OSError."""
    for path in ProjectFolder(data_dir, project).order.glob("*.rows"):
        put(path, PLACED, tasks, np.zeros(0, PLACED))


def delete(data_dir: Path, project: str, version: str) -> None:
    _path(data_dir, project, version).unlink(missing_ok=True)


def _path(data_dir: Path, project: str, version: str) -> Path:
    return ProjectFolder(data_dir, project).order / f"{version}.rows"

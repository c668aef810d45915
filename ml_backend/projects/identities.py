"""Which task and which video what is kept under a task's number is about: Label Studio gives numbers of deleted tasks to new ones,
and a task's video can be exchanged. A file of rows for each project, 24 bytes a task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.locked import locked
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.rows import Rows, mapped, put

_ROW = np.dtype([("task", "<i8"), ("created", "<u8"), ("video", "<u8")])


@dataclass(frozen=True)
class Identity:
    """Of one task: what tells it from a later one with its number, and what tells its video and frame rate from others."""

    created: int
    video: int

    @classmethod
    def of(cls, created: str, videos: Iterable[tuple[str, float]]) -> Identity:
        """`created`: as Label Studio writes it. `videos`: the address of each, and the frame rate at which it is counted."""
        return cls(_number(created), _number("\n".join(f"{framerate:g} {address}" for address, framerate in videos)))


def recall(data_dir: Path, project: str, tasks: Collection[int]) -> dict[int, Identity]:
    """Of those of `tasks` that are known."""
    rows = mapped(_path(data_dir, project), _ROW)
    found = rows[np.isin(rows["task"], list(tasks))] if tasks else rows[:0]
    return {int(row["task"]): Identity(int(row["created"]), int(row["video"])) for row in found if row["task"] >= 0}


def highest(data_dir: Path, project: str) -> int:
    """The highest number of a known task, 0 without any."""
    return int(mapped(_path(data_dir, project), _ROW)["task"].max(initial=0))


def note(data_dir: Path, project: str, identities: Mapping[int, Identity]) -> None:
    """Puts these in place of what is known of their tasks. Raises StorageError."""
    rows = np.zeros(len(identities), _ROW)
    rows["task"] = list(identities)
    rows["created"] = [each.created for each in identities.values()]
    rows["video"] = [each.video for each in identities.values()]
    _write(data_dir, project, identities, rows)


def drop(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone. Raises StorageError."""
    if _path(data_dir, project).exists():
        _write(data_dir, project, tasks, np.zeros(0, _ROW))


def _write(data_dir: Path, project: str, tasks: Collection[int], rows: Rows) -> None:
    path = _path(data_dir, project)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(".tasks.lock")):
            put(path, _ROW, tasks, rows)
    except OSError as error:
        raise StorageError(
            f"What is known of tasks cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).identities

"""Which content a task's videos had when what is kept of the task was made: a file may be replaced at its address."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import Rows, mapped_rows, put_rows
from ml_backend.store.files import exists

_ROW = np.dtype([("task", "<i8"), ("content", "<u8"), ("replaced", "<u8")])


@dataclass(frozen=True)
class MadeOf:
    """`content`: as `mark_of` tells it. `replaced`: when something was made anew since the files were replaced, in unix seconds; 0 when
    never."""

    content: int
    replaced: int = 0


def mark_of(contents: Iterable[str | None]) -> int:
    """Tells the contents of a task's videos, given by their hashes, from others; 0 where one is not known."""
    known = list(contents)
    if not known or None in known:
        return 0
    digest = hashlib.blake2b("\n".join(map(str, known)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def recall(data_dir: Path, project: str, tasks: Collection[int]) -> dict[int, MadeOf]:
    """Of those of `tasks` of which it is known."""
    rows = mapped_rows(_path(data_dir, project), _ROW)
    found = rows[np.isin(rows["task"], list(tasks))] if tasks else rows[:0]
    return {int(row["task"]): MadeOf(int(row["content"]), int(row["replaced"])) for row in found if row["task"] >= 0}


def note(data_dir: Path, project: str, contents: Mapping[int, int], *, replaced: bool = False) -> None:
    """What is kept of these tasks is about these contents; of one that is 0, nobody knows. `replaced`: files of theirs were, at the same
    address. Raises StorageError."""
    before, known = recall(data_dir, project, contents), {task: each for task, each in contents.items() if each}
    rows = np.zeros(len(known), _ROW)
    rows["task"] = list(known)
    rows["content"] = list(known.values())
    now = int(time.time())
    rows["replaced"] = [now if replaced else before[task].replaced if task in before else 0 for task in known]
    _write(data_dir, project, contents, rows)


def drop(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone. Raises StorageError."""
    if exists(_path(data_dir, project)):
        _write(data_dir, project, tasks, np.zeros(0, _ROW))


def _write(data_dir: Path, project: str, tasks: Collection[int], rows: Rows) -> None:
    path = _path(data_dir, project)
    try:
        put_rows(path, _ROW, tasks, rows)
    except OSError as error:
        raise StorageError(
            f"What is known of videos cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def _path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).video_contents

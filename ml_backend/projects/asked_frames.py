"""Which pictures stand for a project's videos, which of them are asked about, and which videos are there twice.

Two files of equal rows, mapped rather than read: 172 bytes a picture, 216 a video. They hold nothing that the embeddings of
the videos do not say; whoever deletes them loses what was asked about before, no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.processes import locked
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import Rows, mapped_rows, put_rows
from ml_backend.store.files import exclusively

CODE = 128
MOMENTS = 24
NONE = -1

# `frame`: Label Studio's, 1 or more; `second`: when it is shown. `same_task`, `same_frame`: the picture that is asked about in
# its place, `NONE` when it is asked about itself. `backbone`: whose embedding `code` times `scale` is.
PICTURE = np.dtype(
    [
        ("task", "<i8"),
        ("frame", "<i8"),
        ("second", "<f4"),
        ("same_task", "<i8"),
        ("same_frame", "<i8"),
        ("backbone", "<u4"),
        ("scale", "<f4"),
        ("code", "i1", (CODE,)),
    ]
)
# `hashes`: at equal shares of the `seconds` that it lasts. `copy_of`: the task whose video it shows again, or `NONE`.
VIDEO = np.dtype([("task", "<i8"), ("seconds", "<f8"), ("hashes", "<u8", (MOMENTS,)), ("copy_of", "<i8")])


@dataclass(frozen=True)
class Repeat:
    """A picture that was not asked about, since the same one is asked about in another task, or elsewhere in its own."""

    task: int
    frame: int
    same_task: int
    same_frame: int


def pictures(data_dir: Path, project: str) -> Rows:
    """(n,) of `PICTURE`, in no order; those with a `task` below 0 are gone."""
    return mapped_rows(_folder(data_dir, project) / "pictures.rows", PICTURE)


def videos(data_dir: Path, project: str) -> Rows:
    """(n,) of `VIDEO`, in no order; those with a `task` below 0 are gone."""
    return mapped_rows(_folder(data_dir, project) / "videos.rows", VIDEO)


@contextmanager
def writing(data_dir: Path, project: str) -> Iterator[None]:
    """For a process that looks and then writes, so that two do not ask about the same picture. Raises StorageError."""
    try:
        with locked(_folder(data_dir, project) / ".lock"), exclusively(_folder(data_dir, project)):
            yield
    except OSError as error:
        raise StorageError(
            f"What is asked about cannot be noted in {_folder(data_dir, project)} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def put_pictures(data_dir: Path, project: str, task: int, rows: Rows) -> None:
    """Puts these in place of all of a task. Within `writing`."""
    put_rows(_folder(data_dir, project) / "pictures.rows", PICTURE, [task], rows)


def put_video(data_dir: Path, project: str, row: Rows) -> None:
    """Puts this one row in place of that of the same task. Within `writing`."""
    put_rows(_folder(data_dir, project) / "videos.rows", VIDEO, [int(row["task"][0])], row)


def drop(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone."""
    with writing(data_dir, project):
        for name, dtype in (("pictures.rows", PICTURE), ("videos.rows", VIDEO)):
            put_rows(_folder(data_dir, project) / name, dtype, tasks, np.zeros(0, dtype))


def copies(data_dir: Path, project: str) -> list[list[int]]:
    """The tasks of each video that is there more than once, ascending."""
    found: dict[int, set[int]] = {}
    known = videos(data_dir, project)
    copied = known[(known["copy_of"] != NONE) & (known["task"] >= 0)]
    tasks = set(known["task"].tolist()) if len(copied) else set[int]()
    for row in copied:
        if int(row["copy_of"]) in tasks:
            found.setdefault(int(row["copy_of"]), {int(row["copy_of"])}).add(int(row["task"]))
    return sorted(sorted(group) for group in found.values())


def shared_pictures(data_dir: Path, project: str, most: int) -> tuple[list[tuple[int, int, int]], int]:
    """(task, other, number) of each pair of tasks of which `number` pictures of the first are not asked about, since they show what the
    other one is asked about: those `most` with the most pictures, and how many pairs there are."""
    known = pictures(data_dir, project)
    tasks, others = np.array(known["task"]), np.array(known["same_task"])
    chosen = (others != NONE) & (tasks >= 0)
    # Of those that are still asked about.
    chosen[chosen] = np.isin(others[chosen], np.unique(tasks))
    pairs, numbers = np.unique(np.stack([tasks[chosen], others[chosen]], axis=1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 0], pairs[:, 1], -numbers))[:most]
    found = [
        (int(task), int(other), int(number)) for (task, other), number in zip(pairs[order], numbers[order], strict=True)
    ]
    return found, len(pairs)


def repeats(data_dir: Path, project: str) -> list[Repeat]:
    """The pictures that were not asked about, by the one that is asked about in their place."""
    known = pictures(data_dir, project)
    chosen = known[(known["same_task"] != NONE) & (known["task"] >= 0)]
    asked = set(known["task"].tolist())
    found = [
        Repeat(int(row["task"]), int(row["frame"]), int(row["same_task"]), int(row["same_frame"]))
        for row in chosen
        if int(row["same_task"]) in asked
    ]
    return sorted(found, key=lambda each: (each.same_task, each.same_frame, each.task, each.frame))


def _folder(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).pictures

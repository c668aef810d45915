"""What the last reconcile of a project saw and did, so that the next one asks only about what has changed; and which task and which video
what is kept under a task's number is about, since Label Studio gives numbers of deleted tasks to new ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import Rows, mapped_rows, put_rows
from ml_backend.roi import RegionOfInterest
from ml_backend.store.files import exists

_ROW = np.dtype([("task", "<i8"), ("created", "<u8"), ("video", "<u8")])


@dataclass(frozen=True)
class Identity:
    """Of one task: what tells it from a later one with its number, and what tells its video and frame rate from others."""

    created: int
    video: int

    @classmethod
    def of(cls, created: str, videos: Iterable[tuple[str, float]], roi: RegionOfInterest | None = None) -> Identity:
        """`created`: as Label Studio writes it. `videos`: the address of each, and the frame rate at which it is counted. `roi`: the part
        of them that the task's data name."""
        part = f" {roi.key}" if roi is not None else ""
        shown = "\n".join(f"{framerate:g} {address}{part}" for address, framerate in videos)
        return cls(_number(created), _number(shown))


def recall_identities(data_dir: Path, project: str, tasks: Collection[int]) -> dict[int, Identity]:
    """Of those of `tasks` that are known."""
    rows = mapped_rows(_identities_path(data_dir, project), _ROW)
    found = rows[np.isin(rows["task"], list(tasks))] if tasks else rows[:0]
    return {int(row["task"]): Identity(int(row["created"]), int(row["video"])) for row in found if row["task"] >= 0}


def highest_task(data_dir: Path, project: str) -> int:
    """The highest number of a known task, 0 without any."""
    return int(mapped_rows(_identities_path(data_dir, project), _ROW)["task"].max(initial=0))


def note_identities(data_dir: Path, project: str, identities: Mapping[int, Identity]) -> None:
    """Puts these in place of what is known of their tasks. Raises StorageError."""
    rows = np.zeros(len(identities), _ROW)
    rows["task"] = list(identities)
    rows["created"] = [each.created for each in identities.values()]
    rows["video"] = [each.video for each in identities.values()]
    _write_identities(data_dir, project, identities, rows)


def drop_identities(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone. Raises StorageError."""
    if exists(_identities_path(data_dir, project)):
        _write_identities(data_dir, project, tasks, np.zeros(0, _ROW))


def _write_identities(data_dir: Path, project: str, tasks: Collection[int], rows: Rows) -> None:
    path = _identities_path(data_dir, project)
    try:
        put_rows(path, _ROW, tasks, rows)
    except OSError as error:
        raise StorageError(
            f"What is known of tasks cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _identities_path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).identities


_MARKS = "coldblitz:marks"
# However quiet Label Studio is, the tasks are compared once more after so long.
_LOOK_AGAIN_SECONDS = 3600
# What is remembered; `put` says what each is.
Mark = Literal[
    "asked",
    "columns",
    "controls",
    "cursor",
    "decided",
    "detector",
    "doubles",
    "entries",
    "ids",
    "images",
    "needless",
    "recheck",
    "rechecked",
    "recognized",
    "rollout",
    "since",
    "tabs",
    "tasks",
    "taught",
    "tracks",
    "trained",
]
_EXPIRE: tuple[Mark, ...] = ("tasks", "tracks", "images", "entries")
# What is seen again by looking.
SEEN: tuple[Mark, ...] = (
    *(
        "tasks",
        "tracks",
        "cursor",
        "ids",
        "trained",
        "asked",
        "images",
        "entries",
        "rollout",
        "doubles",
        "recognized",
        "detector",
        "columns",
    ),
)
_ALL: tuple[Mark, ...] = get_args(Mark)


def state_of_tasks(changed: str, tasks: int, counts: Sequence[int]) -> list[str | int]:
    """The same as long as the same tasks need a prediction. `changed`: when a task changed last, `tasks`: their number, `counts`: of
    annotations."""
    return [changed, tasks, *counts]


def get(redis: Redis, key: str, name: Mark) -> Any:
    """The mark as it was set, None when there is none."""
    stored = redis.get(f"{_MARKS}:{key}:{name}")
    return None if stored is None else json.loads(stored)


def put(redis: Redis, key: str, name: Mark, value: object, seconds: int | None = None) -> None:
    """`tasks`: state in which every missing prediction had been queued. `cursor`: version, and task up to which they
    have been, while there are more than may wait at once. `ids`: newest task, number of
    tasks, and when one changed last; `since`: the last time up to which changed tasks were compared. `trained`, `asked`:
    state of the annotations that a training knew of, and for which one was queued. `decided`: newest version that was
    rolled out or kept back. `images`: state for which the companion project holds an image of each frame, or
    `more` while more of them lack than may wait at once; `tracks`: the same of tracks of boxes.
    `taught`: changes when people call tracks something else; `recognized`: what the labels of tracks were learned from.
    `entries`: which ML backend entries reach us. `controls`: those of the label config that suggestions were made for. `detector`: by
    which settings the training of a detector was asked for. `rollout`: a version
    whose roll-out failed for good, and how often it was begun again. `doubles`: numbers of tasks and predictions among which
    no task had two of one version. `columns`: what the Data Manager's columns say; `tabs`: numbers of
    the tabs that were made there. `needless`: a version that no task needed a prediction of, and the state of tasks then, see
    `state_of_tasks`. `rechecked`: when videos were asked about last,
    `recheck`: the task up to which. `seconds`: for how long it is remembered, where that is not for good."""
    kept = _LOOK_AGAIN_SECONDS if name in _EXPIRE else None
    redis.set(f"{_MARKS}:{key}:{name}", json.dumps(value), ex=seconds or kept)


def drop(redis: Redis, key: str, *names: Mark) -> None:
    """Those marks of a project; without names all of them."""
    for name in names or _ALL:
        redis.delete(f"{_MARKS}:{key}:{name}")

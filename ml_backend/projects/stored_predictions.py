"""Predictions that were stored in Label Studio, kept as files so that `/predict` can answer from them in milliseconds; and the order in
which their tasks are best looked at."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.prediction_item import PredictionItem, StoredItem
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import Rows, mapped_rows, put_rows, write_whole
from ml_backend.projects.task_files import tasks_with_file
from ml_backend.store import files

_CHUNK = 1 << 16
_NOTHING = (b"", 0)


def save(data_dir: Path, project: str, prediction: PredictionItem) -> None:
    """`prediction`: the item as it was pushed, with its task and model version. Raises StorageError."""
    path = _path(data_dir, project, prediction["model_version"], prediction["task"])
    text = json.dumps({key: value for key, value in prediction.items() if key != "task"}).encode()
    content = b"%b\n%08x %d" % (text, zlib.crc32(text), len(prediction["result"]))
    write_whole(path, content, "A prediction")


def load(data_dir: Path, project: str, version: str, task: int) -> StoredItem | None:
    """The prediction; None when there is none or its file is damaged."""
    content, _ = _read(files.current(_path(data_dir, project, version, task)))
    prediction: StoredItem | None = json.loads(content) if content else None
    return prediction


def answers(data_dir: Path, project: str, version: str, tasks: Iterable[int]) -> dict[int, bytes]:
    """The predictions of `tasks` as JSON in UTF-8; those that are missing, damaged or without any region are left out."""
    try:
        tasks = _brought(data_dir, project, version, tasks)
        # The folder is looked up once, not for each of 1,200 tasks.
        folder = os.open(_folder(data_dir, project, version), os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, ValueError):
        return {}
    try:
        found = ((task, _read(f"{task}.json", folder)) for task in tasks)
        return {task: content for task, (content, regions) in found if regions}
    finally:
        os.close(folder)


def _brought(data_dir: Path, project: str, version: str, tasks: Iterable[int]) -> Iterable[int]:
    """Those whose file may be read. While the store does not answer, those that are here: Label Studio asks for the others again."""
    if not files.is_shared(data_dir):
        return tasks
    paths = [_path(data_dir, project, version, task) for task in tasks]
    return [int(path.stem) for path in files.fetched(paths, partly=True)]


def _read(path: str | Path, folder: int | None = None) -> tuple[bytes, int]:
    """The prediction as JSON and its number of regions; both empty when there is none or its file is damaged."""
    try:
        # `open` asks the kernel six times where this asks three times, and each lets other requests go first.
        file = os.open(path, os.O_RDONLY, dir_fd=folder)
        try:
            read = content = os.read(file, _CHUNK)
            while len(read) == _CHUNK:
                read = os.read(file, _CHUNK)
                content += read
        finally:
            os.close(file)
        content, _, tail = content.rpartition(b"\n")
        checksum, regions = tail.split()
        return (content, int(regions)) if int(checksum, 16) == zlib.crc32(content) else _NOTHING
    except (OSError, ValueError):
        return _NOTHING


def versions(data_dir: Path, project: str) -> list[str]:
    """The model versions of which some task has a prediction ready, sorted."""
    folder = ProjectFolder(data_dir, project).predictions
    return sorted(name for name in files.names(folder) if files.has_folder(folder / name))


def number(data_dir: Path, project: str, version: str) -> int:
    """How many tasks have a prediction of a version ready."""
    return len(tasks_with_file(_folder(data_dir, project, version)))


def tasks(data_dir: Path, project: str) -> set[int]:
    """The tasks that have a prediction ready, of whatever version."""
    # A version that is retired meanwhile has none.
    found = [tasks_with_file(_folder(data_dir, project, version)) for version in versions(data_dir, project)]
    return set(np.unique(np.concatenate(found)).tolist()) if found else set()


def delete_task(data_dir: Path, project: str, task: int) -> None:
    for version in versions(data_dir, project):
        with contextlib.suppress(OSError):
            files.remove(_path(data_dir, project, version, task))


def delete(data_dir: Path, project: str, version: str) -> None:
    files.remove_folder(_folder(data_dir, project, version))


def _folder(data_dir: Path, project: str, version: str) -> Path:
    return ProjectFolder(data_dir, project).predictions / version


def _path(data_dir: Path, project: str, version: str, task: int) -> Path:
    return _folder(data_dir, project, version) / f"{task}.json"


SKETCH = 128
# `score`: as it was pushed. `sketch`: of the mean embedding of the frames of which the version is least certain.
PLACED = np.dtype([("task", "<i8"), ("score", "<f4"), ("sketch", "<f2", (SKETCH,))])


def load_order(data_dir: Path, project: str, version: str) -> Rows:
    """(n,) of `PLACED`, in no order, of tasks that nobody had annotated when they were predicted."""
    rows = mapped_rows(_order_path(data_dir, project, version), PLACED)
    return rows[rows["task"] >= 0]


def save_order(data_dir: Path, project: str, version: str, rows: Rows) -> None:
    """Puts these in place of what is known of their tasks. Raises StorageError."""
    path = _order_path(data_dir, project, version)
    try:
        put_rows(path, PLACED, rows["task"].tolist(), rows)
    except OSError as error:
        raise StorageError(
            f"The order of tasks cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def drop_from_order(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    """Forgets tasks that are gone. Raises OSError."""
    for path in files.within(ProjectFolder(data_dir, project).order, ".rows"):
        put_rows(path, PLACED, tasks, np.zeros(0, PLACED))


def delete_order(data_dir: Path, project: str, version: str) -> None:
    files.remove(_order_path(data_dir, project, version))


def _order_path(data_dir: Path, project: str, version: str) -> Path:
    return ProjectFolder(data_dir, project).order / f"{version}.rows"

"""The exports of a project that the dashboard offers: files in the data folder, each made by a job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from ml_backend.errors import PayloadError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.queue import enqueue

# frames-every-5.zip: every fifth frame of each label.
_NAME = re.compile(r"labels\.(json|csv|parquet)|frames(-every-([1-9]\d{0,4}))?\.zip")


@dataclass(frozen=True)
class ExportFile:
    """`made`: unix time at which it was complete."""

    name: str
    bytes: int
    made: float


def path(data_dir: Path, key: str, name: str) -> Path:
    """Where the export `name` is or will be. Raises PayloadError for a name that is none."""
    every(name)
    return ProjectFolder(data_dir, key).exports / name


def every(name: str) -> int:
    """Of each label's frames every so many. Raises PayloadError for a name that is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise PayloadError(
            f"{name[:100]!r} is no export.",
            "Ask for labels.json, labels.csv, labels.parquet, frames.zip or frames-every-5.zip.",
        )
    return int(match[3] or 1)


def ask(redis: Redis, data_dir: Path, key: str, name: str) -> str | None:
    """Queues the job that makes an export, in place of the one there is; returns its id. Raises PayloadError."""
    path(data_dir, key, name)
    return enqueue(redis, "export", key, name, again=True)


def made(data_dir: Path, key: str) -> list[ExportFile]:
    """Those that are complete, the newest first."""
    folder = path(data_dir, key, "labels.json").parent
    found = [each for each in folder.iterdir() if _NAME.fullmatch(each.name)] if folder.is_dir() else []
    files = [ExportFile(each.name, each.stat().st_size, each.stat().st_mtime) for each in found]
    return sorted(files, key=lambda file: -file.made)

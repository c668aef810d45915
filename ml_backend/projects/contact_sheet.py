"""Small pictures of a video in one JPEG, for a page to show without decoding. Imports nothing heavy: the web reads it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder


@dataclass(frozen=True)
class ContactSheet:
    """`frames`: the Label Studio frame of each picture, row by row, `columns` in a row, each `width` by `height` pixels.

    The first `suggested` of them are the frames suggested for labelling; the others are spread over the video.
    """

    frames: tuple[int, ...]
    suggested: int
    columns: int
    width: int
    height: int


def save(data_dir: Path, project: str, task: int, sheet: ContactSheet, jpeg: bytes) -> None:
    """Raises StorageError."""
    path = picture(data_dir, project, task)
    for file, content in ((path, jpeg), (path.with_suffix(".json"), json.dumps(asdict(sheet)).encode())):
        write_whole(file, content, "The pictures of a video")


def load(data_dir: Path, project: str, task: int) -> ContactSheet | None:
    """None when none was made, or none that can be read."""
    path = picture(data_dir, project, task)
    try:
        data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return ContactSheet(**{**data, "frames": tuple(data["frames"])}) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def delete(data_dir: Path, project: str, task: int) -> None:
    path = picture(data_dir, project, task)
    for each in (path, path.with_suffix(".json")):
        with contextlib.suppress(OSError):
            each.unlink(missing_ok=True)


def picture(data_dir: Path, project: str, task: int) -> Path:
    """Where the JPEG is or would be."""
    return ProjectFolder(data_dir, project).sheets / f"{task}.jpg"

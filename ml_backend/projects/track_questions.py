"""Boxes worth a look: the questions about tracks that a task's prediction asks and pages list, one file a task, and which tasks are
answered, so that nothing is asked there. Imports nothing heavy: the web reads it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.projects.task_files import best_of
from ml_backend.store import files


@dataclass(frozen=True)
class AskedTrack:
    """`control`, `number`: whose track it is about; `name`: what pages call it. `frame`: Label Studio's, shown at `second`. `box`: the
    track's there, x, y, width, height in percent. `text`: the question. `of_label`: whether a label answers it. `worth`: 0..1, how much
    an answer is worth."""

    task: int
    video: str
    control: str
    number: int
    name: str
    frame: int
    second: float
    box: tuple[float, float, float, float]
    text: str
    of_label: bool
    worth: float


def save(data_dir: Path, project: str, task: int, asked: Sequence[AskedTrack]) -> None:
    """In place of those before; none where the task is answered. Raises StorageError."""
    path = _path(data_dir, project, task)
    if asked and not files.exists(_mark(data_dir, project, task)):
        content = json.dumps([asdict(each) for each in asked], ensure_ascii=False).encode()
        write_whole(path, content, "What is asked about tracks")
    else:
        with contextlib.suppress(OSError):
            files.remove(path)


def load(data_dir: Path, project: str, task: int) -> tuple[AskedTrack, ...]:
    """Those of one task, the most worth first; none that cannot be read."""
    return tuple(_read(files.current(_path(data_dir, project, task))))


def best(data_dir: Path, project: str, most: int) -> tuple[list[AskedTrack], int]:
    """Those of a project with the most worth, and how many there are."""
    return best_of(ProjectFolder(data_dir, project).track_questions, _read, lambda asked: asked.worth, most)


def close(data_dir: Path, project: str, task: int) -> None:
    """Somebody has submitted the task: nothing is asked there any more. Raises StorageError."""
    mark = _mark(data_dir, project, task)
    if not files.exists(mark):
        write_whole(mark, b"", "That a task is answered")
    save(data_dir, project, task, ())


def reopen(data_dir: Path, project: str, answered: set[int]) -> None:
    """Of other tasks than these nobody's annotation is there any more: something may be asked again."""
    folder = ProjectFolder(data_dir, project).track_questions
    for mark in files.within(folder, ".answered"):
        if mark.stem.isdecimal() and int(mark.stem) not in answered:
            with contextlib.suppress(OSError):
                files.remove(mark)


def delete(data_dir: Path, project: str, task: int) -> None:
    """The task is gone, or shows another video."""
    with contextlib.suppress(OSError):
        files.remove(_path(data_dir, project, task))
        files.remove(_mark(data_dir, project, task))


def _read(path: Path) -> list[AskedTrack]:
    try:
        said = [read_as(AskedTrack, each) for each in json.loads(path.read_text(encoding="utf-8"))]
        return [replace(each, box=_box(*each.box)) for each in said if each is not None]
    except (OSError, ValueError, TypeError):
        return []


def _box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return float(x), float(y), float(width), float(height)


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).track_questions / f"{task}.json"


def _mark(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).track_questions / f"{task}.answered"

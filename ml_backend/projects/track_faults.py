"""Tracks that are probably wrong, as the quality page lists them: a file for each task that has some, of the model's tracks and of
people's. Imports nothing heavy: the web reads it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.projects.task_files import best_of
from ml_backend.store import files

Source = Literal["model", "human"]
SOURCES: tuple[Source, ...] = ("model", "human")


@dataclass(frozen=True)
class TrackFault:
    """`tracks`: what the page of the video calls the one or two that it is about. `start`, `end`: Label Studio frames. `second`: when
    the first is shown. `doubt`: 0..1. `sentence`: what is wrong. `kind`: in one word. `control`, `numbers`: of a model's tracks, in
    the order of `tracks`; empty for people's."""

    task: int
    video: str
    source: Source
    tracks: tuple[str, ...]
    start: int
    end: int
    second: float
    doubt: float
    kind: str
    sentence: str
    control: str = ""
    numbers: tuple[int, ...] = ()


def save(data_dir: Path, project: str, task: int, source: Source, faults: Sequence[TrackFault]) -> None:
    """In place of those before. Raises StorageError."""
    path = _path(data_dir, project, task, source)
    if faults:
        content = json.dumps([asdict(fault) for fault in faults], ensure_ascii=False).encode()
        write_whole(path, content, "What is wrong with tracks")
    else:
        with contextlib.suppress(OSError):
            files.remove(path)


def load(data_dir: Path, project: str, task: int) -> list[TrackFault]:
    """Those of one task, in the order of the video."""
    found = [fault for source in SOURCES for fault in _read(files.current(_path(data_dir, project, task, source)))]
    return sorted(found, key=lambda fault: fault.start)


def worst(data_dir: Path, project: str, most: int) -> tuple[list[TrackFault], int]:
    """The most doubtful ones of a project, and how many there are."""
    return best_of(ProjectFolder(data_dir, project).track_faults, _read, lambda fault: fault.doubt, most)


def delete(data_dir: Path, project: str, task: int) -> None:
    for source in SOURCES:
        save(data_dir, project, task, source, ())


def _read(path: Path) -> list[TrackFault]:
    """None that cannot be read."""
    try:
        said = [read_as(TrackFault, each) for each in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
    return [
        replace(fault, tracks=tuple(map(str, fault.tracks)), numbers=tuple(map(int, fault.numbers)))
        for fault in said
        if fault is not None
    ]


def _path(data_dir: Path, project: str, task: int, source: Source) -> Path:
    return ProjectFolder(data_dir, project).track_faults / f"{task}.{source}.json"

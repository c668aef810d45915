"""The tracks of boxes that people have submitted of a task, as a page draws them: one file a task. Imports nothing heavy: the web reads
it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.provenance import RegionId
from ml_backend.store import files
from ml_backend.wording import listed

# Label Studio frame, left, top, width, height in percent of the picture, degrees, and whether the box goes on behind it.
Key = tuple[int, float, float, float, float, float, bool]


@dataclass(frozen=True)
class SubmittedTrack:
    """`region`: Label Studio's id of it. `author`: Label Studio's user id, None when unknown. `accepted`: whether a model drew it and
    nobody has changed it. `keys`: ascending, at least one."""

    region: str
    control: str
    author: int | None
    labels: tuple[str, ...]
    keys: tuple[Key, ...]
    accepted: bool = False

    @property
    def called(self) -> str:
        """What pages call it: by its label, and its number where a model drew it first."""
        ours = RegionId.parse(self.region)
        name = listed(self.labels) or "Object"
        return f"{name} {ours.number}" if ours is not None and ours.number is not None else name


def save(data_dir: Path, project: str, task: int, tracks: Sequence[SubmittedTrack]) -> bool:
    """In place of those before; returns whether they are others. Raises StorageError."""
    if tuple(tracks) == load(data_dir, project, task):
        return False
    if tracks:
        content = json.dumps([asdict(each) for each in tracks], ensure_ascii=False).encode()
        write_whole(_path(data_dir, project, task), content, "The tracks that people have submitted")
    else:
        delete(data_dir, project, task)
    return True


def load(data_dir: Path, project: str, task: int) -> tuple[SubmittedTrack, ...]:
    """Empty where nobody has submitted any, or they cannot be read."""
    try:
        return tuple(map(_track, json.loads(files.current(_path(data_dir, project, task)).read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def tasks(data_dir: Path, project: str) -> set[int]:
    """The tasks of which there are some."""
    folder = ProjectFolder(data_dir, project).submitted_tracks
    return {int(path.stem) for path in files.within(folder, ".json") if path.stem.isdecimal()}


def delete(data_dir: Path, project: str, task: int) -> None:
    with contextlib.suppress(OSError):
        files.remove(_path(data_dir, project, task))


def _track(said: Mapping[str, Any]) -> SubmittedTrack:
    track = read_as(SubmittedTrack, said)
    if track is None:
        raise ValueError("a track lacks a field")
    keys = tuple((int(key[0]), *map(float, key[1:6]), bool(key[6])) for key in track.keys)
    return replace(track, labels=tuple(map(str, track.labels)), keys=keys)  # type: ignore[arg-type]


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).submitted_tracks / f"{task}.json"

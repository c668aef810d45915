"""The tracks of boxes that were found in a task's video, and those that follow what a person has boxed: one file a task.

Imports nothing heavy: the web reads it. The first line of a file says what the rest was made from, so that a reconcile, which asks
of each task whether that still holds, reads no key frames.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.store import files

# Label Studio frame, left, top, width, height in percent of the picture, and whether the box goes on behind it.
Key = tuple[int, float, float, float, float, bool]


@dataclass(frozen=True)
class StoredTrack:
    """One object. `number`: its own within the video. `control`: the name of the control whose boxes these are. `keys`:
    ascending. `label`: what a person has called it. `detected`: the label that the detector took it for. `drawn`: the box that it
    follows, see `StoredTracks.said`; empty for one that the detector found. `replaced`: whether another one of the same object
    is shown instead; so it is with a track that a person drew alone, whose `number` is 0. `predicted`: what it probably is by what was
    learned, where nobody has called it anything, `sure`: how probable that is, 0..1, and `worth`: how much its label would teach, 0..1.
    """

    number: int
    control: str
    keys: tuple[Key, ...]
    score: float
    label: str | None = None
    drawn: str = ""
    replaced: bool = False
    detected: str | None = None
    predicted: str | None = None
    sure: float = 0.0
    worth: float = 0.0

    def called(self, labels: Sequence[str]) -> str:
        """What pages call it. `labels`: those that it may get; where there is only one, it is that."""
        name = self.label or self.detected or self.predicted or (labels[0] if len(labels) == 1 else "Object")
        return f"{name} {self.number}"


@dataclass(frozen=True)
class Made:
    """What the tracks of a task were made from.

    `state`: of the detector's settings. `said`: what people have said of boxes, sorted. `shown`: how many tracks are shown.
    `problem`: why the video has none; empty where it could be looked at.
    """

    state: str = ""
    said: tuple[str, ...] = ()
    shown: int = 0
    problem: str = ""


@dataclass(frozen=True)
class StoredTracks:
    """Of one task. `frames`, `duration`, `framerate`: of each control's video, as Label Studio counts it. `aspects`: width / height of
    its picture. `highest`: the highest number that a track ever had, since numbers are not given twice."""

    made: Made = Made()
    tracks: tuple[StoredTrack, ...] = ()
    lengths: Mapping[str, tuple[int, float, float]] = field(default_factory=dict)
    highest: int = 0
    aspects: Mapping[str, float] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[StoredTrack, ...]:
        return tuple(track for track in self.tracks if not track.replaced)


def save(data_dir: Path, project: str, task: int, stored: StoredTracks) -> None:
    """Raises StorageError."""
    made = replace(stored.made, shown=len(stored.shown))
    rest = {key: value for key, value in asdict(stored).items() if key != "made"}
    content = f"{json.dumps(asdict(made))}\n{json.dumps(rest)}".encode()
    write_whole(_path(data_dir, project, task), content, "The tracks of a video")


def load(data_dir: Path, project: str, task: int) -> StoredTracks | None:
    """None when there are none, or none that can be read. What another release has written is read as far as it is known."""
    try:
        head, _, rest = files.current(_path(data_dir, project, task)).read_text(encoding="utf-8").partition("\n")
        said = json.loads(rest)
        made = _made(head)
        found = tuple(map(_track, said["tracks"]))
        lengths = {control: _length(*length) for control, length in said["lengths"].items()}
        aspects = {control: float(aspect) for control, aspect in said.get("aspects", {}).items()}
        return StoredTracks(made, found, lengths, int(said["highest"]), aspects) if made else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def made_of(data_dir: Path, project: str, task: int) -> Made | None:
    """What a task's tracks were made from, without reading them; None as `load`."""
    try:
        with files.current(_path(data_dir, project, task)).open(encoding="utf-8") as file:
            return _made(file.readline())
    except (OSError, ValueError):
        return None


def tasks(data_dir: Path, project: str) -> set[int]:
    """The tasks that have a file."""
    folder = ProjectFolder(data_dir, project).tracks
    return {int(path.stem) for path in files.within(folder, ".json") if path.stem.isdecimal()}


def delete(data_dir: Path, project: str, task: int) -> None:
    path = _path(data_dir, project, task)
    with contextlib.suppress(OSError):
        files.remove(path)
        # What they are like, see `track_rows`.
        files.remove(path.with_suffix(".npz"))


def _made(head: str) -> Made | None:
    said = json.loads(head)
    made = read_as(Made, said) if isinstance(said, dict) else None
    return made and replace(made, said=tuple(map(str, made.said)), problem=str(made.problem))


def _track(said: Mapping[str, Any]) -> StoredTrack:
    track = read_as(StoredTrack, said)
    if track is None:
        raise ValueError("a track lacks a field")
    return replace(track, keys=tuple(_key(*key[:6]) for key in track.keys))


def _key(frame: int, x: float, y: float, width: float, height: float, enabled: bool) -> Key:
    return int(frame), float(x), float(y), float(width), float(height), bool(enabled)


def _length(frames: int, duration: float, framerate: float) -> tuple[int, float, float]:
    return int(frames), float(duration), float(framerate)


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).tracks / f"{task}.json"

"""What the tracks of each task's video are like, as rows of numbers beside the tracks, and what was learned from those that have a
label: the head, and a report of how it was taught and how right it is."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import read_as, write_whole
from ml_backend.projects.tracks import StoredTrack
from ml_backend.store import files
from ml_backend.wording import counted, in_list, some

Rows = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class TrackRows:
    """Of one task. `made_by`: how, the network included; rows of another are not to be compared. `rows`: by `key_of` each track's
    blocks, by name (d,) float32."""

    made_by: str
    rows: Mapping[str, Rows] = field(default_factory=dict)

    def of(self, track: StoredTrack) -> Rows | None:
        return self.rows.get(key_of(track))


def key_of(track: StoredTrack) -> str:
    """Tells the tracks of a task apart: one that follows a drawn box has the number of what was found of the same object."""
    return json.dumps([track.control, track.number, track.drawn])


def save(data_dir: Path, project: str, task: int, found: TrackRows) -> None:
    """Raises StorageError."""
    keys = list(found.rows)
    names = {key: sorted(found.rows[key]) for key in keys}
    arrays = {
        f"{at}.{name}": found.rows[key][name].astype(np.float16) for at, key in enumerate(keys) for name in names[key]
    }
    about = json.dumps({"made_by": found.made_by, "keys": keys, "names": [names[key] for key in keys]})
    file = io.BytesIO()
    np.savez(file, about=np.array(about), **arrays)  # type: ignore[arg-type]
    write_whole(_path(data_dir, project, task), file.getvalue(), "What the tracks of a video are like")


def load(data_dir: Path, project: str, task: int) -> TrackRows | None:
    """None where there are none, or none that can be read: they are made again."""
    try:
        content = io.BytesIO(files.current(_path(data_dir, project, task)).read_bytes())
        with np.load(content, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            pairs = zip(about["keys"], about["names"], strict=True)
            rows = {
                str(key): {str(name): file[f"{at}.{name}"].astype(np.float32) for name in names}
                for at, (key, names) in enumerate(pairs)
            }
        whole = all(np.isfinite(row).all() and row.ndim == 1 for each in rows.values() for row in each.values())
        return TrackRows(str(about["made_by"]), rows) if whole else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def save_head(data_dir: Path, project: str, tag: str, content: bytes | None) -> None:
    """Keeps what was learned about the control of this `tag`; None forgets it. Raises StorageError."""
    _keep(ProjectFolder(data_dir, project).tracks / f"head-{tag}.npz", content)


def load_head(data_dir: Path, project: str, tag: str) -> bytes | None:
    return _kept(ProjectFolder(data_dir, project).tracks / f"head-{tag}.npz")


def save_labeled(data_dir: Path, project: str, tag: str, content: bytes | None) -> None:
    """Keeps what the labeled tracks of the control of this `tag` are like; None forgets it. Raises StorageError."""
    _keep(ProjectFolder(data_dir, project).tracks / f"labeled-{tag}.npz", content)


def load_labeled(data_dir: Path, project: str, tag: str) -> bytes | None:
    return _kept(ProjectFolder(data_dir, project).tracks / f"labeled-{tag}.npz")


def _keep(path: Path, content: bytes | None) -> None:
    if content is not None:
        write_whole(path, content, "What was learned about tracks")
    else:
        with contextlib.suppress(OSError):
            files.remove(path)


def _kept(path: Path) -> bytes | None:
    try:
        return files.current(path).read_bytes()
    except OSError:
        return None


@dataclass(frozen=True)
class TaughtTracks:
    """What was learned about the boxes of one control. `taught`: how many tracks taught each label, `videos`: of how many they are.
    `labeled`: how many other tracks have got their label, and how many were `left_open`. `accuracy`, `macro_f1`: of `held_out`
    labeled tracks whose videos taught nothing; 0 tracks where that cannot be told. `strays`: labels of tracks that are not in the
    label config any more. `unseen`: labeled tracks of which nothing is known.
    """

    control: str
    taught: Mapping[str, int] = field(default_factory=dict)
    videos: int = 0
    labeled: int = 0
    left_open: int = 0
    accuracy: float = 0.0
    macro_f1: float = 0.0
    held_out: int = 0
    strays: Sequence[str] = ()
    unseen: int = 0

    @property
    def sentence(self) -> str:
        """For people: what taught what, and how right it is."""
        each = ", ".join(f"{number} {in_list(label)}" for label, number in sorted(self.taught.items()))
        if len(self.taught) < 2:
            so_far = f"Only {each} so far" if each else "No track has a label from the label config yet"
            told = f"{so_far}: give labels to tracks of two kinds, and the others get theirs."
        else:
            total, videos = sum(self.taught.values()), counted(self.videos, "video")
            told = f"{counted(total, 'track')} of {videos} taught labels ({each})"
            others = f"; {self.labeled} {'other' if self.labeled == 1 else 'others'} got theirs" if self.labeled else ""
            still = f"{self.left_open} {'was' if self.left_open == 1 else 'were'} left open" if self.left_open else ""
            told += (f"{others}, {still}" if others and still else others or (f"; {still}" if still else "")) + ". "
            if self.held_out:
                told += f"In videos that taught nothing, {self.accuracy:.0%} of {counted(self.held_out, 'track')} were right."
            else:
                told += "How right they are is known once two kinds are labeled in several videos."
        if self.strays:
            told += f" Not in the label config any more, so unused: {some(list(self.strays))}."
        if self.unseen:
            told += (
                f" Nothing is known yet of {counted(self.unseen, 'labeled track')}; their videos are looked at again."
            )
        return told


def save_taught(data_dir: Path, project: str, taught: Sequence[TaughtTracks]) -> None:
    """Raises StorageError."""
    content = json.dumps([asdict(each) for each in taught]).encode()
    write_whole(_taught_path(data_dir, project), content, "What was learned about tracks")


def load_taught(data_dir: Path, project: str) -> list[TaughtTracks]:
    """One for each control with several labels; none before anything was learned."""
    try:
        said = json.loads(files.current(_taught_path(data_dir, project)).read_text(encoding="utf-8"))
        found = [read_as(TaughtTracks, each) for each in said]
        return [replace(each, strays=tuple(each.strays)) for each in found if each is not None]
    except (OSError, ValueError, TypeError):
        return []


def _taught_path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).tracks / "taught.json"


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).tracks / f"{task}.npz"

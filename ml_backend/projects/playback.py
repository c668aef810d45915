"""What a player needs of a task's video: its file in the cache, whether browsers play it, when each of its frames is
shown, and where it was taken. Written by jobs, which open videos; the web process serves it and opens none."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ml_backend.errors import StorageError
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import Rows, mapped_rows, put_rows, write_whole
from ml_backend.store import files
from ml_backend.video.timeline import StudioGrid

# More than 18 hours at 30 a second are not stepped through in a browser.
_MOST_PICTURES = 2_000_000
_CONTENT = re.compile(r"[0-9a-f]{64}")
PLACED = np.dtype([("task", "<i8"), ("latitude", "<f8"), ("longitude", "<f8")])


@dataclass(frozen=True)
class Playback:
    """`content`: hex SHA-256 of the file. `mime`, `codec`: of it, such as `video/mp4` and `h264`; `plays`: whether
    browsers know both. `framerate`: of Label Studio's frames, of which there are `frames`; `pictures`: how many the
    file has. `width`, `height`: in square pixels, upright. `stepped`: whether there is a time table."""

    content: str
    mime: str
    codec: str
    plays: bool
    framerate: float
    frames: int
    pictures: int
    width: int
    height: int
    stepped: bool = True


def save(data_dir: Path, project: str, task: int, playback: Playback, table: bytes | None) -> None:
    """`table`: what `time_table` made. Raises StorageError."""
    path, what = _path(data_dir, project, task), "What plays a video"
    if table is not None:
        write_whole(path.with_suffix(".gz"), table, what)
    write_whole(path, json.dumps(asdict(playback)).encode(), what)


def load(data_dir: Path, project: str, task: int) -> Playback | None:
    """None when the video was not looked at yet, or what is there cannot be read."""
    try:
        found = Playback(**json.loads(files.current(_path(data_dir, project, task)).read_text(encoding="utf-8")))
        return found if _CONTENT.fullmatch(found.content) else None
    except (OSError, ValueError, TypeError):
        return None


def delete(data_dir: Path, project: str, tasks: Collection[int]) -> None:
    for task in tasks:
        for path in (_path(data_dir, project, task), _path(data_dir, project, task).with_suffix(".gz")):
            with contextlib.suppress(OSError):
                files.remove(path)
    with contextlib.suppress(OSError):
        put_rows(_places(data_dir, project), PLACED, tasks, np.zeros(0, PLACED))


def video_file(data_dir: Path, playback: Playback) -> Path | None:
    """The cached video; None when it had to make room for others. One that is played counts as used."""
    path = data_dir / "videos" / playback.content
    try:
        os.utime(path)
    except OSError:
        return None
    return path


def time_table(grid: StudioGrid) -> bytes | None:
    """When the pictures of a video are shown, for a browser: gzip of little-endian int32 numbers. None for more than
    can be stepped through.

    First the numbers n of pictures and m of Label Studio frames; then n steps of the pictures' own times, n
    differences between the time from which a seek shows each and its own, both in microseconds; then m steps of the
    picture that each Label Studio frame shows.
    """
    timeline = grid.timeline
    if len(timeline) > _MOST_PICTURES or len(grid) > _MOST_PICTURES:
        return None
    own = timeline.microseconds
    parts = (np.diff(own, prepend=0), timeline.first_seen - own, np.diff(grid.shown, prepend=0))
    numbers = np.concatenate([np.array([len(timeline), len(grid)], np.int64), *parts])
    if np.abs(numbers).max() > np.iinfo(np.int32).max:
        return None
    return gzip.compress(numbers.astype("<i4").tobytes(), 6, mtime=0)


def load_time_table(data_dir: Path, project: str, task: int) -> bytes | None:
    try:
        return files.current(_path(data_dir, project, task).with_suffix(".gz")).read_bytes()
    except OSError:
        return None


def note_place(data_dir: Path, project: str, task: int, place: tuple[float, float] | None) -> None:
    """Where a task's video was taken: latitude and longitude in degrees. Raises StorageError."""
    path = _places(data_dir, project)
    known = mapped_rows(path, PLACED)
    mine = known[known["task"] == task]
    if [(row["latitude"], row["longitude"]) for row in mine] == ([] if place is None else [place]):
        return
    try:
        put_rows(path, PLACED, [task], np.array([(task, *place)] if place else [], PLACED))
    except OSError as error:
        raise StorageError(
            f"Where videos were taken cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


def places(data_dir: Path, project: str) -> Rows:
    """(n,) of `PLACED`, in no order: the tasks of which it is known."""
    rows = mapped_rows(_places(data_dir, project), PLACED)
    return rows[rows["task"] >= 0]


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).playback / f"{task}.json"


def _places(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).playback / "places.rows"

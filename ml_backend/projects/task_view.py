"""What a page draws of one task: its video's length and rate, how probable each label is over time, and a contact sheet. Imports nothing
heavy: the web reads it."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import write_whole
from ml_backend.projects.task_files import tasks_with_file
from ml_backend.store import files
from ml_backend.video.timeline import Timeline

# A screen shows hardly more columns than this.
_MOST_BINS = 300


@dataclass(frozen=True)
class TaskView:
    """`frames`: how many Label Studio counts at `framerate`; `seconds`: the video's length.

    `percent[label][bin]`: mean probability of a label in a stretch of the video, in whole percent; the stretches are equally
    long. Empty while only suggestions were made. `version`: the model version that says so. `natural`: the `framerate` at
    which Label Studio can go to most of its frames, None when unknown. `certainty`: how sure the version is of the whole
    video, `doubt`: the share of its frames that it expects to have wrong, `changes`: how often its answer changes; None
    and 0 while only suggestions were made. All that is about the timeline `control` (empty where there is one question only);
    `more` has the `percent` of the others, `whole` how probable each answer about the whole video is, by control. Where each individual
    has a timeline, `more` has them by its name instead, and `cast` tells one state of who is there from another.
    """

    task: int
    video: str
    framerate: float
    frames: int
    seconds: float
    version: str
    percent: dict[str, list[int]]
    natural: float | None = None
    certainty: float | None = None
    doubt: float | None = None
    changes: int = 0
    control: str = ""
    more: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    whole: dict[str, dict[str, int]] = field(default_factory=dict)
    cast: str = ""

    def about(self, control: str) -> TaskView:
        """The same with another timeline as the first; how sure the version is of the whole video is known of the first one only."""
        if control in ("", self.control) or self.cast:
            return self
        others = {self.control: self.percent} | {name: kept for name, kept in self.more.items() if name != control}
        percent = self.more.get(control, {})
        return replace(self, control=control, percent=percent, more=others, certainty=None, doubt=None, changes=0)


def over_time(timeline: Timeline, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n, L) probabilities of a video's frames as (bins, L) whole percent: means over equally long stretches of time.

    A stretch in which no frame begins shows the frame before it.
    """
    times = timeline.microseconds[: len(probabilities)]
    bins = min(_MOST_BINS, len(times))
    length = max(int(timeline.duration * 1_000_000), int(times[-1]) + 1)
    # Whole microseconds, since a rounding error would put a frame into the stretch before its own.
    ends = np.searchsorted(times, np.arange(1, bins + 1) * length // bins)
    begins = np.concatenate([[0], ends[:-1]])
    sums = np.concatenate([np.zeros((1, probabilities.shape[1])), probabilities.cumsum(axis=0, dtype=np.float64)])
    means = (sums[ends] - sums[begins]) / np.maximum(ends - begins, 1)[:, None]
    empty = ends == begins
    means[empty] = probabilities[np.maximum(begins[empty] - 1, 0)]
    return np.asarray(np.rint(100 * means), np.int64)


def save(data_dir: Path, project: str, view: TaskView) -> None:
    """The video's natural rate is kept where the new view does not know it. Raises StorageError."""
    before = load(data_dir, project, view.task) if view.natural is None else None
    if before is not None:
        view = replace(view, natural=before.natural)
    content = json.dumps(asdict(view), ensure_ascii=False).encode()
    write_whole(_path(data_dir, project, view.task), content, "What a page shows of a task")


def load(data_dir: Path, project: str, task: int) -> TaskView | None:
    """None when there is none, or none that can be read."""
    try:
        return TaskView(**json.loads(files.current(_path(data_dir, project, task)).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def natural_rates(data_dir: Path, project: str, most: int = 200) -> dict[float, int]:
    """How many of some tasks' videos have which natural rate, the most frequent first."""
    tasks = tasks_with_file(ProjectFolder(data_dir, project).views)[:most].tolist()
    views = [load(data_dir, project, task) for task in tasks]
    return dict(Counter(view.natural for view in views if view is not None and view.natural is not None).most_common())


def delete(data_dir: Path, project: str, task: int) -> None:
    with contextlib.suppress(OSError):
        files.remove(_path(data_dir, project, task))


def _path(data_dir: Path, project: str, task: int) -> Path:
    return ProjectFolder(data_dir, project).views / f"{task}.json"


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


def save_sheet(data_dir: Path, project: str, task: int, sheet: ContactSheet, jpeg: bytes) -> None:
    """Raises StorageError."""
    path = sheet_picture(data_dir, project, task)
    for file, content in ((path, jpeg), (path.with_suffix(".json"), json.dumps(asdict(sheet)).encode())):
        write_whole(file, content, "The pictures of a video")


def load_sheet(data_dir: Path, project: str, task: int) -> ContactSheet | None:
    """None when none was made, or none that can be read."""
    path = sheet_picture(data_dir, project, task)
    try:
        data = json.loads(files.current(path.with_suffix(".json")).read_text(encoding="utf-8"))
        return ContactSheet(**{**data, "frames": tuple(data["frames"])}) if files.exists(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_thumbnail(data_dir: Path, project: str, task: int, jpeg: bytes) -> None:
    """One small picture that stands for a task's video in lists. Raises StorageError."""
    write_whole(thumbnail(data_dir, project, task), jpeg, "The picture of a video")


def thumbnail(data_dir: Path, project: str, task: int) -> Path:
    """Where its JPEG is or would be."""
    return ProjectFolder(data_dir, project).sheets / f"{task}.thumb.jpg"


def evict_sheets(data_dir: Path, most_bytes: int, keep: Path) -> None:
    """Deletes contact sheets of any project, those that were not looked at for the longest first, until they have `most_bytes` at most;
    never that at `keep`. Thumbnails stay."""
    found = []
    for folder in ProjectFolder.all(data_dir):
        with contextlib.suppress(OSError), os.scandir(folder.sheets) as entries:
            for entry in entries:
                if entry.name.endswith(".jpg") and not entry.name.endswith(".thumb.jpg"):
                    found.append((entry.stat().st_mtime, entry.stat().st_size, Path(entry.path)))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            return
        if path != keep:
            for each in (path, path.with_suffix(".json")):
                with contextlib.suppress(OSError):
                    files.remove(each)
            total -= size


def delete_sheet(data_dir: Path, project: str, task: int) -> None:
    path = sheet_picture(data_dir, project, task)
    for each in (path, path.with_suffix(".json"), thumbnail(data_dir, project, task)):
        with contextlib.suppress(OSError):
            files.remove(each)


def sheet_picture(data_dir: Path, project: str, task: int) -> Path:
    """Where the JPEG is or would be; `files.current` brings it there."""
    return ProjectFolder(data_dir, project).sheets / f"{task}.jpg"

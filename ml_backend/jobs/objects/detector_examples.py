"""Frames with the boxes that people have submitted, as a detector learns from them and is judged by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoError
from ml_backend.jobs.detector_lessons import TaskBoxes
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.track_checks import ASPECT
from ml_backend.jobs.videos import naming, task_video
from ml_backend.labelstudio.box_track import at_pictures, upright
from ml_backend.learning.boxed_pictures import BoxedPicture
from ml_backend.objects.boxes import Track
from ml_backend.objects.finder import Scaled, frame_rate
from ml_backend.projects import tracks
from ml_backend.video.demux import demux
from ml_backend.video.timeline import Timeline, read_timeline, studio_grid
from ml_backend.video.whole_frames import decode_exactly
from sampling.k_centre import k_centre

# Of one video, and of all.
_FEWEST, _MOST, _ALL = 6, 24, 600
# For so many frames with a box one in which nothing is.
_EMPTY = 4
# By how much time tells frames apart, beside where boxes are.
_TIME = 0.5


@dataclass(frozen=True, eq=False)
class BoxedVideo:
    """The video of one task. `boxes`: of each object (n, 4) float64 left, top, width, height as shares of the picture, by frame index,
    NaN where it has none. `classes`: of each, from 1; 0 where nobody said what it is. `keys`: the frame indices at which
    somebody placed a box."""

    of: TaskBoxes
    path: Path
    timeline: Timeline
    boxes: tuple[NDArray[np.float64], ...]
    classes: tuple[int, ...]
    keys: NDArray[np.int64]

    @property
    def truth(self) -> list[Track]:
        """The objects as tracks, numbered from 1."""
        found = []
        for number, boxes in enumerate(self.boxes, start=1):
            frames = np.flatnonzero(~np.isnan(boxes[:, 0]))
            ones = np.ones(len(frames), np.float32)
            found.append(Track(number, frames, boxes[frames].astype(np.float32), ones, 1.0))
        return found

    def at(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(k, 4) the boxes at a frame index, and (k,) their classes."""
        there = [at for at, boxes in enumerate(self.boxes) if not np.isnan(boxes[frame, 0])]
        rows = np.array([self.boxes[at][frame] for at in there], np.float64).reshape(-1, 4)
        return rows, np.array([self.classes[at] for at in there], np.int64)


def read_videos(
    work: ProjectWork, every: Sequence[TaskBoxes], classes: Mapping[str, int], skipped: list[str]
) -> list[BoxedVideo]:
    """Those that can be had; a sentence about each other one is added to `skipped`. `classes`: by label; without any, all objects are of
    class 1."""
    found = []
    for at, each in enumerate(every):
        step = work.progress.step(at, len(every))
        try:
            file = task_video(work.context, each.question, each.task, step)
            with naming(each.task, each.question, file):
                video = _read(work, each, file.path, classes)
        except VideoError as error:
            skipped.append(f"The detector does not learn from task {each.task.id}: {error}")
            continue
        if each.tracks and not video.boxes:
            skipped.append(
                f"The detector does not learn from task {each.task.id}: all of its boxes are outside the picture. "
                "Move them to where the objects are."
            )
            continue
        found.append(video)
        step.report(100, f"reading the boxes of task {each.task.id}")
    return found


def _read(work: ProjectWork, of: TaskBoxes, path: Path, classes: Mapping[str, int]) -> BoxedVideo:
    timeline = read_timeline(path)
    grid = studio_grid(timeline, of.question.framerate_of(of.task.data))
    stored = tracks.load(work.context.settings.data_dir, work.key, of.task.id)
    aspect = stored.aspects.get(of.question.from_name, ASPECT) if stored is not None else ASPECT
    boxes, kinds, keys = [], [], set[int]()
    for track in of.tracks:
        rows = upright(at_pictures(track, grid), aspect) / 100
        if np.isnan(rows).all():
            continue
        boxes.append(rows)
        kinds.append(next((classes[label] for label in track.labels if label in classes), 0 if classes else 1))
        keys |= {int(grid.index(key.frame)) for key in track.keys if key.frame <= len(grid)}
    return BoxedVideo(of, path, timeline, tuple(boxes), tuple(kinds), np.array(sorted(keys), np.int64))


def frames_to_learn(video: BoxedVideo, most: int) -> list[int]:
    """At most so many of a video's frames with boxes: in a video with single drawn boxes those at which they were drawn; otherwise key
    frames and frames between them in which boxes are as unlike as can be. With them some in which there is nothing."""
    there = np.zeros(len(video.timeline), bool)
    for boxes in video.boxes:
        there |= ~np.isnan(boxes[:, 0])
    known = there.copy()
    # One box that nobody could say the label of would be taught to be nothing.
    for boxes, kind in zip(video.boxes, video.classes, strict=True):
        if kind == 0:
            known &= np.isnan(boxes[:, 0])
    if not video.of.whole:
        drawn = [key for key in video.keys.tolist() if known[key] and _drawn_at(video, key)]
        return drawn[:most]
    boxed = np.flatnonzero(known)
    chosen: list[int] = []
    if len(boxed):
        placed = video.keys[known[video.keys]]
        first = _unlike(video, placed, most // 2) if len(placed) else []
        chosen = _unlike(video, boxed, most, first)
    none = np.flatnonzero(~there)
    empty = min(len(none), max(1, most // _EMPTY))
    spread = none[np.linspace(0, len(none) - 1, empty).round().astype(int)].tolist() if len(none) else []
    return sorted({*chosen, *spread})


def _drawn_at(video: BoxedVideo, frame: int) -> bool:
    grid = studio_grid(video.timeline, video.of.question.framerate_of(video.of.task.data))
    singles = [each.keys[0].frame for each in video.of.tracks if each.is_one_box]
    return any(single <= len(grid) and int(grid.index(single)) == frame for single in singles)


def _unlike(video: BoxedVideo, frames: NDArray[np.int64], most: int, chosen: Sequence[int] = ()) -> list[int]:
    """Those `chosen` and others of `frames` that differ from them in where boxes are and in when they are, `most` in all."""
    if len(frames) <= most - len(chosen):
        return sorted({*frames.tolist(), *chosen})
    rows = [np.nan_to_num(np.concatenate([boxes[frames] for boxes in video.boxes], axis=1), nan=-1.0)]
    rows.append(_TIME * frames[:, None] / max(len(video.timeline), 1))
    picked = k_centre(
        np.concatenate(rows, axis=1), max(most - len(chosen), 1), frames=frames, labelled=list(chosen) or None
    )
    return sorted({*(int(each) for each in picked), *chosen})


def frames_of_each(videos: int) -> int:
    """How many frames of each of so many videos are learned from."""
    return max(_FEWEST, min(_MOST, _ALL // max(videos, 1)))


def examples(video: BoxedVideo, frames: Iterable[int], side: int) -> list[BoxedPicture]:
    """The frames as pictures whose longer side has at most `side` pixels. Raises VideoUnreadable."""
    read = demux(video.path)
    keys = np.sort(read.packets.pts[read.packets.key])
    scale = Scaled(side)
    found = []
    for index, coded in decode_exactly(video.path, video.timeline, list(frames), keys):
        boxes, classes = video.at(int(index))
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        found.append(BoxedPicture.of(scale(coded.frame), corners, classes, video.of.task.id))
    return found


def usual_size(videos: Sequence[BoxedVideo]) -> float:
    """The side of a square as large as the median box, as a share of the longer side of a wide picture."""
    rows = [boxes[~np.isnan(boxes[:, 0])] for video in videos for boxes in video.boxes]
    sizes = np.concatenate([np.sqrt(each[:, 2] * each[:, 3] / ASPECT) for each in rows]) if rows else np.empty(0)
    return float(np.median(sizes)) if len(sizes) else 0.1


def looked_at(video: BoxedVideo, rate: float = 5.0) -> list[int]:
    """The frames that a held-out video is judged by: so many a second."""
    return list(range(0, len(video.timeline), max(1, round(frame_rate(video.timeline) / rate))))

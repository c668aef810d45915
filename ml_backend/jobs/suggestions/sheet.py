"""Makes a video's contact sheet when somebody wants to see it: its suggested frames, and some spread over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import open_project
from ml_backend.jobs.videos import naming, task_video
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, parse_regions
from ml_backend.projects import stored_predictions
from ml_backend.projects.task_view import ContactSheet, save_sheet
from ml_backend.video.decode import Skip, decode
from ml_backend.video.timeline import FrameIndex, StudioGrid, Timeline, read_timeline, studio_grid
from ml_backend.video.whole_frames import Size, decode_whole, upright

_SPREAD, _MOST_SUGGESTED, _COLUMNS, _WIDTH = 40, 60, 10, 160
# Boxes are drawn over the pictures: they are larger, and there are more of them.
_SPREAD_BOXED, _WIDTH_BOXED = 60, 320
# A longer video is not decoded for this; its key frames do.
_WHOLE = 3000
_QUALITY = 80

Thumbnail = NDArray[np.uint8]


@job
def sheet(context: JobContext, project_key: str, task_number: int) -> str:
    """Writes the contact sheet of one task's video."""
    work = open_project(context, project_key)
    task = context.studio.tasks.get(work.id, task_number)
    video = task_video(context, work.question, task, context.progress)
    shown = stored_predictions.load(context.settings.data_dir, project_key, KEYFRAMES_VERSION, task.id)
    asked = [region.start for region in parse_regions(shown["result"] if shown else [], work.question)][
        :_MOST_SUGGESTED
    ]
    with naming(task, work.question, video):
        timeline = read_timeline(video.path)
        grid = studio_grid(timeline, work.question.framerate_of(task.data))
        size = _size(video.path, timeline, _WIDTH_BOXED if work.config.tracks else _WIDTH)
        suggested = list(_exactly(video.path, grid, [grid.index(frame) for frame in asked], size, context.progress))
        most = _SPREAD_BOXED if work.config.tracks else _SPREAD
        pictures = [*suggested, *_spread(video.path, grid, size, most, context.progress)]
    made, jpeg = drawn(pictures, len(suggested))
    save_sheet(context.settings.data_dir, project_key, task.id, made, jpeg)
    return f"{len(pictures)} pictures of task {task.id}"


def drawn(pictures: Sequence[tuple[int, Thumbnail]], suggested: int) -> tuple[ContactSheet, bytes]:
    """The sheet of (Label Studio frame, (h, w, 3) uint8 RGB) pictures of one size, and its JPEG."""
    height, width = pictures[0][1].shape[:2]
    columns = min(_COLUMNS, len(pictures))
    paper = np.zeros((height * -(-len(pictures) // columns), width * columns, 3), np.uint8)
    for position, (_, thumbnail) in enumerate(pictures):
        top, left = height * (position // columns), width * (position % columns)
        paper[top : top + height, left : left + width] = thumbnail
    _, encoded = cv2.imencode(".jpg", paper[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    frames = tuple(frame for frame, _ in pictures)
    return ContactSheet(frames, suggested, columns, width, height), encoded.tobytes()


def _exactly(
    path: Path, grid: StudioGrid, indices: Sequence[FrameIndex], size: Size, progress: Progress
) -> Iterator[tuple[int, Thumbnail]]:
    """These very frames, as far as they decode."""
    for position, index in enumerate(indices):
        progress.report(50 * position / len(indices), "drawing the suggested frames")
        frame = grid.frame(index)
        try:
            found = next(decode(path, grid.timeline, first=index, last=index), None) if frame is not None else None
        except VideoUnreadable:
            continue
        if found is not None and frame is not None:
            yield int(frame), _small(found.rgb, size)


def _spread(path: Path, grid: StudioGrid, size: Size, most: int, progress: Progress) -> Iterator[tuple[int, Thumbnail]]:
    """At most one frame of each stretch of the video, which Label Studio can go to."""
    timeline = grid.timeline
    bins = min(most, len(timeline))
    taken: set[int] = set()

    def wanted(index: FrameIndex) -> bool:
        place = index * bins // len(timeline)
        if place in taken or grid.frame(index) is None:
            return False
        taken.add(place)
        return True

    skip: Skip = "none" if len(timeline) <= _WHOLE else "nonkey"
    for found in decode(path, timeline, wanted=wanted, skip=skip):
        progress.report(50 + 50 * len(taken) / bins, "drawing frames of the whole video")
        frame = grid.frame(found.index)
        if frame is not None:
            yield int(frame), _small(found.rgb, size)


def _size(path: Path, timeline: Timeline, width: int) -> Size:
    """Of a picture of the video that is so wide; decoded pictures are squares."""
    _, frame = next(decode_whole(path, timeline))
    height, wide = upright(frame).shape[:2]
    return width, min(max(1, round(width * height / wide)), 3 * width)


def _small(rgb: NDArray[np.uint8], size: Size) -> Thumbnail:
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)

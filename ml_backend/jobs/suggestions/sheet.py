"""Pictures of a video for the dashboard: its contact sheet, with the suggested frames and some spread over it, and
the one that stands for it in lists; and what its player needs to know."""

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
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.videos import naming, task_video
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, parse_regions
from ml_backend.labelstudio.task_data import place_in
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import playback, stored_predictions
from ml_backend.projects.playback import Playback
from ml_backend.projects.task_view import (
    ContactSheet,
    evict_sheets,
    load_sheet,
    save_sheet,
    save_thumbnail,
    sheet_picture,
)
from ml_backend.video.cache import VideoFile
from ml_backend.video.container import media_kind
from ml_backend.video.decode import Skip, decode
from ml_backend.video.timeline import FrameIndex, StudioGrid, Timeline, read_timeline, studio_grid
from ml_backend.video.whole_frames import Size, decode_whole, upright

_SPREAD, _MOST_SUGGESTED, _COLUMNS, _WIDTH = 40, 60, 10, 160
# Boxes are drawn over the pictures: they are larger, and there are more of them.
_SPREAD_BOXED, _WIDTH_BOXED = 60, 320
# A longer video is not decoded for this; its key frames do.
_WHOLE = 3000
_QUALITY = 80
# Of what videos may take, contact sheets may take so much besides.
_SHARE_OF_CACHE = 20

Thumbnail = NDArray[np.uint8]


@job
def sheet(context: JobContext, project_key: str, task_number: int) -> str:
    """Draws the pictures of one task's video anew, and notes how it is played."""
    return _draw(open_project(context, project_key), task_number)


@job
def pictures(context: JobContext, project_key: str, task_number: int) -> str:
    """The same ahead of time: pictures that are there stay."""
    data_dir = context.settings.data_dir
    there = load_sheet(data_dir, project_key, task_number) is not None
    if there and playback.load(data_dir, project_key, task_number) is not None:
        return f"task {task_number} has its pictures already"
    return _draw(open_project(context, project_key), task_number)


@job
def fetch(context: JobContext, project_key: str, task_number: int) -> str:
    """Fetches one task's video for somebody who wants to watch it, and notes how it is played."""
    work = open_project(context, project_key)
    task = context.studio.tasks.get(work.id, task_number)
    video = task_video(context, work.question, task, context.progress)
    with naming(task, work.question, video):
        note_playback(work, task, video, read_timeline(video.path))
    return f"the video of task {task.id} can be watched"


def _draw(work: ProjectWork, task_number: int) -> str:
    context, data_dir = work.context, work.context.settings.data_dir
    task = context.studio.tasks.get(work.id, task_number)
    video = task_video(context, work.question, task, context.progress)
    shown = stored_predictions.load(data_dir, work.key, KEYFRAMES_VERSION, task.id)
    asked = [region.start for region in parse_regions(shown["result"] if shown else [], work.question)][
        :_MOST_SUGGESTED
    ]
    with naming(task, work.question, video):
        timeline = read_timeline(video.path)
        note_playback(work, task, video, timeline)
        grid = studio_grid(timeline, work.question.framerate_of(task.data))
        size = _size(video.path, timeline, _WIDTH_BOXED if work.config.tracks else _WIDTH)
        suggested = list(_exactly(video.path, grid, [grid.index(frame) for frame in asked], size, context.progress))
        most = _SPREAD_BOXED if work.config.tracks else _SPREAD
        spread = list(_spread(video.path, grid, size, most, context.progress))
    made, jpeg = drawn([*suggested, *spread], len(suggested))
    save_sheet(data_dir, work.key, task.id, made, jpeg)
    save_thumbnail(data_dir, work.key, task.id, _jpeg(typical([picture for _, picture in spread or suggested])))
    room = context.settings.cache_max_bytes // _SHARE_OF_CACHE
    evict_sheets(data_dir, room, sheet_picture(data_dir, work.key, task.id))
    return f"{len(suggested) + len(spread)} pictures of task {task.id}"


def note_playback(work: ProjectWork, task: Task, video: VideoFile, timeline: Timeline) -> None:
    """What the player needs of a video, and where it was taken. Raises VideoUnreadable and StorageError."""
    data_dir = work.context.settings.data_dir
    kind = media_kind(video.path)
    grid = studio_grid(timeline, work.question.framerate_of(task.data))
    height, width = _shape(video.path, timeline)
    table = playback.time_table(grid)
    found = Playback(
        video.content,
        kind.mime,
        kind.codec,
        kind.plays,
        grid.framerate,
        len(grid),
        len(timeline),
        width,
        height,
        table is not None,
    )
    playback.save(data_dir, work.key, task.id, found, table)
    playback.note_place(data_dir, work.key, task.id, place_in(task.data))


def typical(pictures: Sequence[Thumbnail]) -> Thumbnail:
    """The one of (h, w, 3) uint8 RGB pictures that is most like the others, of those that show something: by mean
    brightness of the parts of a picture, in which a black or blurred one is like none."""
    small = np.stack([cv2.resize(each, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) for each in pictures])
    flat = small.reshape(len(small), -1)
    detail = flat.std(axis=1)
    far = np.abs(flat[:, None] - flat[None]).mean(axis=2).mean(axis=1)
    far[detail < detail.max() / 2] = np.inf
    return pictures[int(far.argmin())]


def drawn(pictures: Sequence[tuple[int, Thumbnail]], suggested: int) -> tuple[ContactSheet, bytes]:
    """The sheet of (Label Studio frame, (h, w, 3) uint8 RGB) pictures of one size, and its JPEG."""
    height, width = pictures[0][1].shape[:2]
    columns = min(_COLUMNS, len(pictures))
    paper = np.zeros((height * -(-len(pictures) // columns), width * columns, 3), np.uint8)
    for position, (_, thumbnail) in enumerate(pictures):
        top, left = height * (position // columns), width * (position % columns)
        paper[top : top + height, left : left + width] = thumbnail
    frames = tuple(frame for frame, _ in pictures)
    return ContactSheet(frames, suggested, columns, width, height), _jpeg(paper)


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    _, encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()


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
    height, wide = _shape(path, timeline)
    return width, min(max(1, round(width * height / wide)), 3 * width)


def _shape(path: Path, timeline: Timeline) -> tuple[int, int]:
    """Height and width of a picture as it is shown."""
    _, frame = next(decode_whole(path, timeline))
    height, width = upright(frame).shape[:2]
    return height, width


def _small(rgb: NDArray[np.uint8], size: Size) -> Thumbnail:
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)

"""A video's contact sheet shows the very frames that it names."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from studio import KEY, Studio, drawn

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.suggestions.sheet import fetch, pictures, sheet, typical
from ml_backend.jobs.videos import forget_tasks
from ml_backend.projects import playback, stored_predictions, task_view
from ml_backend.projects.playback import Playback
from ml_backend.projects.task_view import ContactSheet
from ml_backend.video.timeline import read_timeline, studio_grid

# At the project's 25 frames a second Label Studio's frame N is picture N - 1 of such a video, in which a bar moves on by 4 pixels a frame.
FRAMES, RATE, STEP = 80, 25, 4


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bar.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "10", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(FRAMES):
            picture = np.zeros((180, 320, 3), np.uint8)
            picture[:, STEP * index : STEP * (index + 1)] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def made(context: JobContext, studio: Studio, video: Path) -> Iterator[tuple[ContactSheet, NDArray[np.uint8]]]:
    studio.add_task(1, video)
    data_dir = context.settings.data_dir
    assert studio.project is not None
    regions = [drawn(f"kf-{frame}", frame, frame) for frame in (13, 55)]
    stored_predictions.save(data_dir, KEY, {"task": 1, "model_version": "keyframes-v1", "score": 0, "result": regions})
    assert sheet.within(context, KEY, 1) == "42 pictures of task 1"
    found = task_view.load_sheet(data_dir, KEY, 1)
    assert found is not None
    with av.open(io.BytesIO(task_view.sheet_picture(data_dir, KEY, 1).read_bytes())) as container:
        yield found, next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_the_suggested_frames_come_first_then_the_whole_video(made: tuple[ContactSheet, NDArray[np.uint8]]) -> None:
    found, paper = made
    assert (found.frames[:2], found.suggested) == ((13, 55), 2)
    assert list(found.frames[2:]) == sorted(found.frames[2:])
    assert found.frames[2] <= 2
    assert found.frames[-1] >= FRAMES - 2
    assert (found.width, found.height) == (160, 90)
    assert paper.shape == (5 * 90, 10 * 160, 3)


def test_each_picture_is_the_frame_that_it_is_said_to_be(made: tuple[ContactSheet, NDArray[np.uint8]]) -> None:
    found, paper = made
    for position, frame in enumerate(found.frames):
        top, left = 90 * (position // found.columns), 160 * (position % found.columns)
        columns = np.where(paper[top : top + 90, left : left + 160].mean(axis=(0, 2)) > 128)[0]
        assert round((columns.mean() - 0.5) / (STEP / 2)) == frame - 1


def test_what_plays_the_video_and_where_it_was_taken_is_noted_beside_its_pictures(
    context: JobContext, made: tuple[ContactSheet, NDArray[np.uint8]], video: Path
) -> None:
    data_dir = context.settings.data_dir
    found = playback.load(data_dir, KEY, 1)
    content = hashlib.sha256(video.read_bytes()).hexdigest()
    assert found == Playback(content, "video/mp4", "h264", True, 25.0, FRAMES, FRAMES, 320, 180)
    kept = playback.video_file(data_dir, found)
    assert kept is not None
    assert kept.read_bytes() == video.read_bytes()
    table = np.frombuffer(gzip.decompress(playback.load_time_table(data_dir, KEY, 1) or b""), "<i4")
    assert table[:2].tolist() == [FRAMES, FRAMES]
    timeline = read_timeline(video)
    assert table[2 : 2 + FRAMES].cumsum().tolist() == timeline.microseconds.tolist()
    assert table[2 + 2 * FRAMES :].cumsum().tolist() == studio_grid(timeline, 25.0).shown.tolist()
    with av.open(str(task_view.thumbnail(data_dir, KEY, 1))) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (160, 90)


def test_pictures_are_drawn_ahead_once_and_forgotten_with_the_task(
    context: JobContext, studio: Studio, video: Path
) -> None:
    studio.add_task(1, video)
    studio.tasks[1]["data"] |= {"Latitude": "48,5", "longitude": 11}
    assert pictures.within(context, KEY, 1) == "40 pictures of task 1"
    assert pictures.within(context, KEY, 1) == "task 1 has its pictures already"
    data_dir = context.settings.data_dir
    assert playback.places(data_dir, KEY).tolist() == [(1, 48.5, 11.0)]
    forget_tasks(context, KEY, {1})
    assert task_view.load_sheet(data_dir, KEY, 1) is None
    assert not task_view.thumbnail(data_dir, KEY, 1).exists()
    assert playback.load(data_dir, KEY, 1) is None
    assert playback.load_time_table(data_dir, KEY, 1) is None
    assert len(playback.places(data_dir, KEY)) == 0


def test_a_video_is_fetched_for_who_wants_to_watch_it(context: JobContext, studio: Studio, video: Path) -> None:
    studio.add_task(1, video)
    assert fetch.within(context, KEY, 1) == "the video of task 1 can be watched"
    found = playback.load(context.settings.data_dir, KEY, 1)
    assert found is not None
    assert playback.video_file(context.settings.data_dir, found) is not None


def test_sheets_that_nobody_looked_at_make_room_for_others(tmp_path: Path) -> None:
    small = ContactSheet((1,), 0, 1, 160, 90)
    for task in (1, 2, 3):
        task_view.save_sheet(tmp_path, KEY, task, small, bytes(100))
        task_view.save_thumbnail(tmp_path, KEY, task, b"x")
        os.utime(task_view.sheet_picture(tmp_path, KEY, task), (task, task))
    os.utime(task_view.sheet_picture(tmp_path, KEY, 1))
    task_view.evict_sheets(tmp_path, 200, keep=task_view.sheet_picture(tmp_path, KEY, 3))
    left = [task for task in (1, 2, 3) if task_view.load_sheet(tmp_path, KEY, task)]
    assert left == [1, 3]
    task_view.evict_sheets(tmp_path, 0, keep=task_view.sheet_picture(tmp_path, KEY, 3))
    assert [task for task in (1, 2, 3) if task_view.load_sheet(tmp_path, KEY, task)] == [3]
    assert all(task_view.thumbnail(tmp_path, KEY, task).exists() for task in (1, 2, 3))


def test_a_black_or_blurred_picture_stands_for_no_video() -> None:
    black, left = np.zeros((90, 160, 3), np.uint8), np.zeros((90, 160, 3), np.uint8)
    left[:, :80] = 255
    assert typical([black, black, black, left]) is left


def test_there_is_none_before_somebody_asks(tmp_path: Path) -> None:
    assert task_view.load_sheet(tmp_path, KEY, 1) is None

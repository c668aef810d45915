"""A video's contact sheet shows the very frames that it names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from studio import KEY, Studio, drawn

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.suggestions.sheet import sheet
from ml_backend.projects import stored_predictions, task_view
from ml_backend.projects.task_view import ContactSheet

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


def test_there_is_none_before_somebody_asks(tmp_path: Path) -> None:
    assert task_view.load_sheet(tmp_path, KEY, 1) is None

"""Videos whose every frame says its own number, and what people and models said of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.alignment.barcode import draw, read_picture
from ml_backend.export.project import Run, Video
from ml_backend.labelstudio.tasks import Task
from ml_backend.video.timeline import Timeline, read_timeline

WIDTH, HEIGHT = 128, 64


def numbered_video(path: Path, frames: int, first: int = 0, **options: str) -> Path:
    """H.264 with reordered frames, its pictures numbered from `first`. `options`: more of them for x264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "crf": "20", **options})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(first, first + frames):
            picture = np.repeat(draw(number, WIDTH, HEIGHT)[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def number_in(content: bytes) -> int | None:
    """The number in a JPEG."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    return read_picture(np.asarray(picture, np.uint8))


def numbers_in_video(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [
            read_picture(np.asarray(frame.to_ndarray(format="gray"), np.uint8)) for frame in container.decode(video=0)
        ]


def video(number: int, runs: Iterable[Run], path: Path | None = None, frames: int = 40, group: str = "") -> Video:
    if path is not None:
        timeline = read_timeline(path)
    else:
        timeline = Timeline(np.arange(frames, dtype=np.int64), Fraction(1, 25), Fraction(frames, 25))
    name = f"film {number}.mp4"
    return Video(
        Task(number, {"video": name}), name, group or f"content {number}", timeline, tuple(runs), "cold-v2", (3,)
    )

"""Which frame of a video is on the page: by the number drawn into it, or by comparing it with the decoded frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from benchmarks.alignment.barcode import cell_centres, read, read_picture
from benchmarks.alignment.clips import Clip
from benchmarks.alignment.player import grey_levels
from ml_backend.video.decode import decode
from ml_backend.video.timeline import FrameIndex, read_timeline

_PATIENCE = 4  # looks at a picture before one other than the expected one is believed, 150 ms apart
_GRID = [((x + 0.5) / 24, (y + 0.5) / 16) for y in range(16) for x in range(24)]


def look_for_number(clip: Clip) -> Callable[[Page, FrameIndex], int | None]:
    """Reads the number drawn into a made clip."""
    centres = cell_centres(clip.rotation)

    def look(page: Page, expected: FrameIndex) -> int | None:
        index = None
        for attempt in range(_PATIENCE):
            number = read(grey_levels(page, centres))
            index = None if number is None else number - clip.first
            if index == expected:
                break
            page.wait_for_timeout(150 * (attempt + 1))
        return index

    return look


def look_for_picture(path: Path) -> Callable[[Page, FrameIndex], int | None]:
    """Finds the decoded frame that is most like the picture; equal ones (a still scene) count as the expected one."""

    @cache
    def decoded() -> NDArray[np.float32]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            return np.array(
                [_sampled(frame.to_ndarray(format="rgb24").mean(axis=2)) for frame in container.decode(stream)],
                np.float32,
            )

    def look(page: Page, expected: FrameIndex) -> int | None:
        best = None
        for attempt in range(_PATIENCE):
            shown = np.array(grey_levels(page, _GRID), np.float32)
            distance = np.abs(decoded() - shown).mean(axis=1)
            best = int(distance.argmin())
            # The browser converts colours a little differently.
            if distance[expected] <= distance[best] * 1.1 + 0.05:
                return expected
            page.wait_for_timeout(150 * (attempt + 1))
        return best

    return look


def decoded_numbers(path: Path) -> dict[FrameIndex, int | None]:
    """The number drawn into each frame that our own decoding pass yields."""
    return {picture.index: read_picture(picture.grey) for picture in decode(path, read_timeline(path))}


def real_videos(data: Path) -> list[Path]:
    """The videos of a data folder that Chromium can play."""
    videos = sorted(path for path in (data / "videos").glob("*/*") if path.suffix in {".mp4", ".mkv", ".webm"})
    return [path for path in videos if _codec(path) != "hevc"]


def _codec(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.name


def _sampled(picture: NDArray[np.float64]) -> list[float]:
    height, width = picture.shape
    return [float(picture[int(y * height), int(x * width)]) for x, y in _GRID]

"""Presentation times of a video, and the only conversions between frame index, Label Studio frame and seconds.

* `FrameIndex`: 0-based position in presentation order.
* `StudioFrame`: 1-based frame of Label Studio, on the grid of the `<Video>` tag's `framerate`.
* `Seconds`: presentation time relative to what the browser calls 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import open_video

FrameIndex = NewType("FrameIndex", int)
StudioFrame = NewType("StudioFrame", int)
Seconds = NewType("Seconds", float)

# Label Studio rounds the start of a frame to this, then adds it once more, not to see the frame before.
SEEK_PRECISION = 0.002


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each frame of a video is shown.

    `pts`: (n,) int64, non-decreasing, in ticks of `time_base` seconds, 0 being the browser's zero. A file may give two
    frames the same time; only the later one is ever seen.
    `duration`: what the browser gives as the video's duration, in seconds.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    duration: Fraction

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def microseconds(self) -> NDArray[np.int64]:
        """(n,) the browser's own times: `pts` rounded to microseconds, halves away from zero."""
        scale = self.time_base * 1_000_000
        numerator, denominator = scale.numerator, scale.denominator
        rounded = (2 * np.abs(self.pts) * numerator + denominator) // (2 * denominator)
        return np.asarray(np.sign(self.pts) * rounded, dtype=np.int64)

    def seconds(self, index: FrameIndex) -> Seconds:
        """When frame `index` begins to be shown."""
        return Seconds(float(int(self.pts[index]) * self.time_base))

    def shown_at(self, seconds: Seconds) -> FrameIndex:
        """The frame a browser paints after seeking to `seconds`: the first before the video begins, the last after it."""
        return FrameIndex(int(self._shown(np.array([seconds], dtype=np.float64))[0]))

    def truncated(self, frames: int) -> Timeline:
        """The same video of which only the first `frames` decode; the duration stays what the container promised."""
        if not 0 < frames <= len(self):
            raise ValueError(f"cannot cut a timeline of {len(self)} frames to {frames}")
        return replace(self, pts=self.pts[:frames])

    def _shown(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        # The browser cuts a seek time to whole microseconds.
        times = np.trunc(seconds * 1e6).astype(np.int64)
        return np.maximum(np.searchsorted(self.microseconds, times, side="right") - 1, 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class StudioGrid:
    """The frames that Label Studio counts for a timeline at one `framerate`.

    `shown`: (frames,) int64, non-decreasing; the frame index that Label Studio shows at Label Studio frame `i + 1`.
    """

    timeline: Timeline
    framerate: float
    shown: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shown)

    def index(self, frame: StudioFrame) -> FrameIndex:
        """The picture a person sees at Label Studio frame `frame`; out of range is clamped, as Label Studio does."""
        return FrameIndex(int(self.shown[min(max(frame, 1), len(self.shown)) - 1]))

    def frame(self, index: FrameIndex) -> StudioFrame | None:
        """The first Label Studio frame that shows picture `index`; None when the grid skips it."""
        position = int(np.searchsorted(self.shown, index, side="left"))
        if position == len(self.shown) or self.shown[position] != index:
            return None
        return StudioFrame(position + 1)

    def span(self, first: FrameIndex, last: FrameIndex) -> tuple[StudioFrame, StudioFrame] | None:
        """The Label Studio frames that show nothing but pictures `first`..`last`, ends included; None without any."""
        start = int(np.searchsorted(self.shown, first, side="left"))
        stop = int(np.searchsorted(self.shown, last, side="right"))
        return (StudioFrame(start + 1), StudioFrame(stop)) if start < stop else None


def studio_grid(timeline: Timeline, framerate: float) -> StudioGrid:
    """The Label Studio frames of `timeline` at `framerate` frames a second (as Label Studio resolves it, so at least 1).

    As in Label Studio 1.23 (`VideoCanvas.tsx`: `goToFrame`, `frameSteppedTime`), in the browser's doubles: as many frames
    as the duration has at that rate, rounded; a seek to frame N goes to (N - 1) / framerate, rounded to 2 ms, plus 2 ms.
    """
    duration = float(timeline.duration)
    frames = max(1, math.floor(duration * framerate + 0.5))
    exact = np.arange(frames, dtype=np.float64) / framerate
    seeks = np.floor(exact / SEEK_PRECISION + 0.5) * SEEK_PRECISION + SEEK_PRECISION
    return StudioGrid(timeline, framerate, timeline._shown(np.minimum(seeks, duration)))


def read_timeline(path: Path) -> Timeline:
    """The presentation times of `path`, from one pass over its packets; nothing is decoded.

    Raises `VideoUnreadable` when it is not a video or holds no frame.
    """
    with open_video(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 90_000)
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        times = [p.pts if p.pts is not None else p.dts for p in packets]
        pts = np.array(sorted(time for time in times if time is not None), dtype=np.int64)
        if not len(pts):
            raise VideoUnreadable(f"{path.name} holds no frame of video.", "Upload it again, or encode it again.")
        if container.duration is not None:
            duration = Fraction(container.duration, 1_000_000)
        else:
            duration = (int(pts[-1]) + (packets[-1].duration or 0)) * time_base
    return Timeline(pts, time_base, duration)

"""Presentation times of a video, and the only conversions between frame index, Label Studio frame and seconds.

* `FrameIndex`: 0-based position in presentation order.
* `StudioFrame`: 1-based frame of Label Studio, on the grid of the `<Video>` tag's `framerate`.
* `Seconds`: presentation time relative to what the browser calls 0.

`docs/frames.md` explains the mapping and how it was checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NewType

import numpy as np
from numpy.typing import NDArray

FrameIndex = NewType("FrameIndex", int)
StudioFrame = NewType("StudioFrame", int)
Seconds = NewType("Seconds", float)

# 38 hours at 60 frames a second. A damaged header may promise years.
MOST_STUDIO_FRAMES = 1 << 23
# Label Studio rounds the start of a frame to this, then adds it once more, not to see the frame before.
SEEK_PRECISION = 0.002
_NEVER_EARLY: NDArray[np.int64] = np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each frame of a video is shown.

    `pts`: (n,) int64, non-decreasing, in ticks of `time_base` seconds, 0 being the browser's zero. A file may give
    several frames the same time; a browser shows the first of them, and the last once it is due for the next frame.
    `duration`: what the browser gives as the video's duration, in seconds.
    `early`: (m, 2) int64, one row a key frame: a seek to `early[j, 0]` microseconds or later lands on the key frame with
    frame index `early[j, 1]` and shows it, even though it is not due yet.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    duration: Fraction
    early: NDArray[np.int64] = field(default_factory=lambda: _NEVER_EARLY)

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def microseconds(self) -> NDArray[np.int64]:
        """(n,) the browser's own times: `pts` rounded to microseconds, halves away from zero."""
        scale = self.time_base * 1_000_000
        doubled, unit = 2 * np.abs(self.pts) * scale.numerator, 2 * scale.denominator
        return np.asarray(np.sign(self.pts) * ((doubled + scale.denominator) // unit), dtype=np.int64)

    def seconds(self, index: FrameIndex) -> Seconds:
        """When frame `index` begins to be shown."""
        return Seconds(float(int(self.pts[index]) * self.time_base))

    def shown(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """(k,) int64: the frame indices that a browser paints after seeking to `seconds` (k,) float64.

        Before the video begins that is its first frame, after it its last.
        """
        # The browser cuts a seek time to whole microseconds.
        times = np.trunc(seconds * 1e6).astype(np.int64)
        return np.maximum(np.searchsorted(self._first_seen, times, side="right") - 1, 0).astype(np.int64)

    def truncated(self, frames: int) -> Timeline:
        """The same video of which only the first `frames` decode; the duration stays what the container promised."""
        if not 0 < frames <= len(self):
            raise ValueError(f"cannot cut a timeline of {len(self)} frames to {frames}")
        return replace(self, pts=self.pts[:frames], early=self.early[self.early[:, 1] < frames])

    @cached_property
    def _first_seen(self) -> NDArray[np.int64]:
        """(n,) non-decreasing: the first microsecond at which a seek shows this frame or a later one."""
        seen = self.microseconds.copy()
        gaps = np.diff(seen)
        if (gaps == 0).any() and (gaps > 0).any():
            # The browser paints the first of frames at one time unless it takes it for over by then.
            seen[1:][gaps == 0] += round(float(np.median(gaps[gaps > 0])))
        np.minimum.at(seen, self.early[:, 1], self.early[:, 0])
        return np.minimum.accumulate(seen[::-1])[::-1]


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
        """The Label Studio frames that show only pictures `first`..`last`, ends included; None when there are none."""
        start = int(np.searchsorted(self.shown, first, side="left"))
        stop = int(np.searchsorted(self.shown, last, side="right"))
        return (StudioFrame(start + 1), StudioFrame(stop)) if start < stop else None


def studio_grid(timeline: Timeline, framerate: float) -> StudioGrid:
    """The Label Studio frames of `timeline` at `framerate` a second (as Label Studio resolves it, so at least 1).

    As in Label Studio 1.23 (`VideoCanvas.tsx`: `goToFrame`, `frameSteppedTime`), in the browser's doubles: as many
    frames as the duration has at that rate, rounded; a seek to frame N goes to (N - 1) / framerate, rounded to 2 ms,
    plus 2 ms. Frames after `MOST_STUDIO_FRAMES` are left out. Raises ValueError when `framerate` is not a positive number.
    """
    if not (math.isfinite(framerate) and framerate > 0):
        raise ValueError(f"a framerate is a positive number, not {framerate}")
    duration = float(timeline.duration)
    frames = studio_length(duration, framerate)
    exact = np.arange(frames, dtype=np.float64) / framerate
    seeks = np.floor(exact / SEEK_PRECISION + 0.5) * SEEK_PRECISION + SEEK_PRECISION
    return StudioGrid(timeline, framerate, timeline.shown(np.minimum(seeks, duration)))


def studio_length(duration: float, framerate: float) -> int:
    """How many frames Label Studio counts in `duration` seconds, at least 1 and at most `MOST_STUDIO_FRAMES`."""
    return min(max(1, math.floor(duration * framerate + 0.5)), MOST_STUDIO_FRAMES)


def read_timeline(path: Path) -> Timeline:
    """The presentation times of `path`, from one pass over its packets.

    Frames are those that a decoder yields for whole packets; where a damaged end does not decode, the decoding pass cuts
    the timeline with `Timeline.truncated`. Raises `VideoUnreadable` when it is not a video or holds no frame.
    """
    # Here, since the web process knows frames by the types of this module, and must not be able to open a video.
    from ml_backend.video.demux import demux

    video = demux(path)
    return Timeline(video.pts, video.time_base, video.duration, video.early)

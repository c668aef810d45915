"""Presentation times of a video, the only conversions between frame index, Label Studio frame and seconds, and how many frames a second
there are."""

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
        return np.maximum(np.searchsorted(self.first_seen, times, side="right") - 1, 0).astype(np.int64)

    def truncated(self, frames: int) -> Timeline:
        """The same video of which only the first `frames` decode; the duration stays what the container promised."""
        if not 0 < frames <= len(self):
            raise ValueError(f"cannot cut a timeline of {len(self)} frames to {frames}")
        return replace(self, pts=self.pts[:frames], early=self.early[self.early[:, 1] < frames])

    @cached_property
    def first_seen(self) -> NDArray[np.int64]:
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


# On average a picture becomes at most so many frames: a video with long pauses and one short gap is not blown up for that.
_MOST_FRAMES_A_PICTURE = 20
# Constant rates that programs and cameras know.
_COMMON = (1, 2, 5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120)
# A frame that begins this share of a target frame later still counts as shown then, since times are rounded.
_TOLERANCE = 0.45


def natural_framerate(timeline: Timeline) -> float | None:
    """The `framerate` to put into the `<Video>` tag: of the video's average rate, its usual rate and the common rates near
    them, the one at which most frames can be gone to, in as few digits as do it; None for a single frame.

    Label Studio knows no rate below 1, so that is the one for a slower video, each of whose frames it counts several times.
    """
    measured = _measured(timeline)
    if measured is None:
        return None
    candidates = [
        (rate, rough) for rough in measured for rate in (_common(rough), rough) if rate is not None and rate >= 1
    ]
    if not candidates:
        return 1.0
    # Among equals a common rate is likelier to be meant.
    fewest, _, best = min((unreachable(timeline, rate), rate == rough, rate) for rate, rough in candidates)
    short = (round(best, digits) for digits in range(6))
    return next((rate for rate in short if same(rate, best) and unreachable(timeline, rate) <= fewest), best)


def usual_lasting(timeline: Timeline) -> float:
    """For how many seconds a frame of the video usually lasts; 1/25 for a single one."""
    measured = _measured(timeline)
    return 1 / measured[1] if measured is not None else 1 / 25


def own_rate(timeline: Timeline) -> Fraction:
    """That of a video whose frames are evenly spaced, below 1 for a time-lapse."""
    natural = natural_framerate(timeline)
    slow = 1 / usual_lasting(timeline)
    return exact(natural if natural is not None and slow >= 0.99 else _common(slow) or slow)


def constant_rate(timeline: Timeline) -> tuple[Fraction, int]:
    """The lowest constant rate at which each frame of the video has a place of its own, both as Label Studio's `framerate`
    and when the video is encoded again at it; and how many frames even that one misses."""
    measured = _measured(timeline)
    if measured is None:
        return Fraction(25), 0
    average, usual = measured
    # One that misses a few frames is lower, but none is so low that there are fewer places than frames.
    lowest, highest = 0.98 * min(average, usual), _MOST_FRAMES_A_PICTURE * average
    own = {exact(_common(rate) or rate) for rate in (usual, average)}
    candidates = [rate for rate in {*own, *map(Fraction, _COMMON)} if lowest <= float(rate) <= highest]
    missed, rate = min((_missed(timeline, rate), rate) for rate in candidates)
    return rate, missed


def shown_at(times: NDArray[np.float64], start: float, rate: Fraction, frames: int) -> NDArray[np.int64]:
    """(frames,) for each frame at a constant rate from `start` on, which frame of `times` (n,) in seconds it shows."""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    moments = start + np.arange(frames) / float(rate)
    late = _TOLERANCE * min(usual, 1 / float(rate)) if usual else _TOLERANCE / float(rate)
    return np.maximum(np.searchsorted(times, moments + late, side="right") - 1, 0).astype(np.int64)


def unreachable(timeline: Timeline, framerate: float) -> int:
    """How many frames no Label Studio frame shows."""
    return len(timeline) - len(np.unique(studio_grid(timeline, framerate).shown))


def same(rate: float, other: float) -> bool:
    """Whether they count the same frames in any video of usual length."""
    return abs(rate / other - 1) < 1e-4


def exact(rate: float) -> Fraction:
    """The common rate meant by a rounded number: 29.97 is 30000/1001."""
    if rate < 1:
        return 1 / Fraction(1 / rate).limit_denominator(1000)
    ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
    if ntsc and abs(float(ntsc) / rate - 1) < 1e-5:
        return ntsc
    return Fraction(rate).limit_denominator(1000)


def _measured(timeline: Timeline) -> tuple[float, float] | None:
    """Frames a second on average, and usually; None without two times."""
    gaps = np.diff(timeline.microseconds / 1e6)
    if not len(gaps) or not (gaps > 0).any():
        return None
    usual = float(np.median(gaps[gaps > 0]))
    # Without the gaps where a frame was left out; between two kinds of gaps the median may be like none of them.
    near = gaps[np.abs(gaps - usual) < usual / 2]
    return len(gaps) / float(gaps.sum()), 1 / (float(near.mean()) if len(near) else usual)


def _missed(timeline: Timeline, rate: Fraction) -> int:
    """How many frames a constant rate does not show: in Label Studio, or encoded by programs that give each frame the place
    nearest to its own time, where the last one to come stays."""
    times = timeline.microseconds / 1e6
    places = np.floor((times - times[0]) * float(rate) + 0.5)
    # Label Studio knows no rate below 1, where it counts each frame several times.
    return max(len(times) - len(np.unique(places)), unreachable(timeline, max(float(rate), 1.0)))


def _common(rate: float) -> float | None:
    near = [candidate for whole in (round(rate), round(rate * 1.001)) for candidate in (float(whole), whole / 1.001)]
    near += [round(rate * 2) / 2] if rate < 20 else []
    near += [1 / round(1 / rate)] if rate < 1 else []
    close = [candidate for candidate in near if candidate and abs(candidate / rate - 1) < 0.001]
    return min(close, key=lambda candidate: abs(candidate - rate), default=None)

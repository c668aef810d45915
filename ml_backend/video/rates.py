"""How many frames a second a video has, and which rate reaches all of them: in Label Studio, and when it is encoded again."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ml_backend.video.timeline import Timeline, studio_grid

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

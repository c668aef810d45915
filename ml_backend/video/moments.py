"""Between frames and the times at which files of other programs say something begins and ends: seconds, rounded to thousandths, or the
frames of an editor's timecode. An end is not included: it is when the next frame is shown."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ml_backend.video.timeline import FrameIndex, Timeline, usual_lasting

# A thousandth of a second is the last digit of most files, and some cut where others round.
ROUNDED = 0.001


def times_of(timeline: Timeline, first: int, last: int) -> tuple[float, float]:
    """When the frames `first`..`last`, both included, begin and cease to be shown."""
    starts = _starts(timeline)
    end = float(starts[last + 1]) if last + 1 < len(starts) else float(starts[-1]) + usual_lasting(timeline)
    return float(starts[first]), end


def frame_at(timeline: Timeline, seconds: float) -> FrameIndex:
    """The frame that is shown at that time, or begins right after it by no more than files round; the first one before it, the last
    one after it."""
    starts = _starts(timeline)
    at = max(int(np.searchsorted(starts, seconds + ROUNDED, side="right")) - 1, 0)
    # Of several with one time the first one is shown.
    return FrameIndex(int(np.searchsorted(starts, starts[at], side="left")))


def frames_between(timeline: Timeline, start: float, stop: float) -> tuple[FrameIndex, FrameIndex]:
    """The first and the last frame of what begins at `start` and has ceased at `stop`: of two that follow each other no frame belongs to
    both. At least the one that is shown at `start`."""
    first, end = frame_at(timeline, start), frame_at(timeline, stop)
    last_one = len(timeline) - 1
    if end == last_one and stop >= float(_starts(timeline)[-1]) + usual_lasting(timeline) / 2:
        return first, FrameIndex(last_one)
    return first, FrameIndex(max(first, end - 1))


def counts(timeline: Timeline, rate: Fraction) -> NDArray[np.int64]:
    """(n + 1,) where an editor that shows `rate` frames a second puts each frame, the first one at 0; last, what follows the video."""
    starts = _starts(timeline)
    places = np.floor((starts - starts[0]) * float(rate) + 0.5).astype(np.int64)
    return np.append(places, places[-1] + max(1, round(usual_lasting(timeline) * float(rate))))


def frames_of_counts(timeline: Timeline, rate: Fraction, start: int, stop: int) -> tuple[FrameIndex, FrameIndex]:
    """As `frames_between`, of places in an editor's timecode."""
    places = counts(timeline, rate)
    first = max(min(int(np.searchsorted(places, start, side="right")) - 1, len(timeline) - 1), 0)
    end = int(np.searchsorted(places, stop, side="right")) - 1
    return FrameIndex(first), FrameIndex(max(first, end - 1))


def end_of(timeline: Timeline) -> float:
    """When nothing of the video is shown any more, in seconds."""
    return max(float(timeline.duration), times_of(timeline, 0, len(timeline) - 1)[1])


def _starts(timeline: Timeline) -> NDArray[np.float64]:
    return np.asarray(timeline.microseconds / 1e6, np.float64)

"""In which frames of a video the events of a file are."""

from __future__ import annotations

from fractions import Fraction

from ml_backend.formats.events import VideoEvents, refused
from ml_backend.formats.text import timecode_count
from ml_backend.video.moments import end_of, frame_at, frames_between, frames_of_counts
from ml_backend.video.timeline import (
    FrameIndex,
    StudioFrame,
    StudioGrid,
    Timeline,
    constant_rate,
    exact,
    studio_grid,
)
from ml_backend.wording import cut

# Editors' timelines begin at 01:00:00:00.
_HOUR = 3600


def spans_of(
    video: VideoEvents, timeline: Timeline, fps: float | None = None, framerate: float = 24.0
) -> list[tuple[FrameIndex, FrameIndex]]:
    """The first and the last frame of each event. `fps`: frames a second of timecodes, and of Label Studio's frames, in place of what the
    file says, or of `framerate`, that of the project. Raises SettingsError for an event that is not in the video."""
    if video.is_studio:
        return _of_studio_frames(video, studio_grid(timeline, fps or framerate))
    end = end_of(timeline)
    rate = exact(fps) if fps is not None else video.rate or constant_rate(timeline)[0]
    shift = _shift(video, rate, end)
    found = []
    for event in video.events:
        if event.timecodes is not None:
            begin, stop = (count - shift for count in _counts(video, event.timecodes, rate))
            begins, span = begin / float(rate), frames_of_counts(timeline, rate, begin, stop)
        elif event.frames is not None:
            if event.frames[1] >= len(timeline):
                raise refused(
                    video.file,
                    f"“{cut(event.label)}” is in frame {event.frames[1]}, counted from 0, and {video.name} has {len(timeline)} frames",
                    "It is about another video, or counts frames otherwise.",
                )
            begins, span = 0.0, (FrameIndex(event.frames[0]), FrameIndex(event.frames[1]))
        else:
            begins, stop_s = event.times
            at = frame_at(timeline, begins)
            span = (at, at) if stop_s == begins else frames_between(timeline, begins, stop_s)
        if not 0 <= begins < end + 0.001:
            raise refused(
                video.file,
                f"“{cut(event.label)}” begins at {begins:.3f} s, and {video.name} lasts {end:.3f} s",
                "It is about another video, or counts time otherwise.",
            )
        found.append(span)
    return found


def _counts(video: VideoEvents, timecodes: tuple[str, str], rate: Fraction) -> tuple[int, int]:
    base = max(1, round(rate))
    begin = timecode_count(timecodes[0], base)
    later = timecodes[1].removeprefix("+")
    stop = timecode_count(timecodes[1], base) if later == timecodes[1] else (begin or 0) + int(later)
    found = [begin, stop]
    if begin is None or stop is None:
        raise refused(
            video.file,
            f"{timecodes[found.index(None)]} is no timecode of {float(rate):g} frames a second",
            "Say how many it counts with --fps.",
        )
    if stop < begin:
        raise refused(
            video.file, f"an event ends at {timecodes[1]}, before it begins at {timecodes[0]}", "Exchange them."
        )
    return begin, stop


def _shift(video: VideoEvents, rate: Fraction, end: float) -> int:
    """How many frames are counted before the video begins: an hour in most editors."""
    begins = [_counts(video, event.timecodes, rate)[0] for event in video.events if event.timecodes is not None]
    hour = _HOUR * max(1, round(rate))
    return hour if begins and min(begins) >= hour and end < _HOUR else 0


def _of_studio_frames(video: VideoEvents, grid: StudioGrid) -> list[tuple[FrameIndex, FrameIndex]]:
    for event in video.events:
        if event.span[0] > len(grid):
            raise refused(
                video.file,
                f"“{cut(event.label)}” begins at Label Studio's frame {event.span[0]}, and {video.name} has {len(grid)} "
                f"at {grid.framerate:g} a second",
                "It is about another video, or counted at another rate: say at which with --fps.",
            )
    return [(grid.index(StudioFrame(event.span[0])), grid.index(StudioFrame(event.span[1]))) for event in video.events]

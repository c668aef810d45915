"""Where a long video is cut into parts, each of which is decoded and embedded on its own: at key frames, into parts of about equal work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.video.decode import REORDERED
from ml_backend.video.demux import Demuxed
from ml_backend.video.timeline import FrameIndex, Timeline

# Fewer frames than these are not worth a job, however long they are shown.
_LEAST_FRAMES = 256
# A decoder begins a key frame earlier, so that frames that are reordered, or refreshed bit by bit, come out as in one pass. What
# that adds to a part is at most this share of it.
_LEAD = 1 / 8


@dataclass(frozen=True)
class Part:
    """The frame indices `first` to `stop` - 1."""

    first: FrameIndex
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def last(self) -> FrameIndex:
        return FrameIndex(self.stop - 1)

    def seconds_in(self, timeline: Timeline) -> tuple[float, float]:
        """When its first and its last frame begin to be shown."""
        return timeline.seconds(self.first), timeline.seconds(self.last)


def whole(timeline: Timeline) -> Part:
    """All frames of a video."""
    return Part(FrameIndex(0), len(timeline))


@dataclass(frozen=True, eq=False)
class TimeTable:
    """When the frames of a video are shown, and at which it may be cut: `keys` (k,) int64, the ascending frame indices of key
    frames that a decoder can seek to; none where the file has no index of them."""

    timeline: Timeline
    keys: NDArray[np.int64]


def time_table(video: Demuxed) -> TimeTable:
    """What one pass over a video's packets says of where it may be cut."""
    timeline = Timeline(video.pts, video.time_base, video.duration, video.early)
    # Without an index, as in MPEG-TS, or where frames have to be counted, as in AVI, each part would be sought from the beginning.
    if not len(video.early):
        return TimeTable(timeline, np.zeros(0, np.int64))
    times = np.unique(video.packets.pts[video.packets.key])
    keys = np.searchsorted(timeline.pts, times)
    # A frame is found by its time, so that one that shares it with another is none to begin with.
    alone = np.searchsorted(timeline.pts, times, side="right") - keys == 1
    return TimeTable(timeline, keys[alone].astype(np.int64))


def parts_of(table: TimeTable, seconds: float) -> list[Part]:
    """The parts of about `seconds` of a video in order, which together are all of it; one where `seconds` is 0, where it is shorter than
    one and a half of them, and where there are no key frames to cut at. Always the same for the same arguments."""
    timeline, frames = table.timeline, len(table.timeline)
    length = float(int(timeline.pts[-1] - timeline.pts[0]) * timeline.time_base)
    number = min(round(length / seconds), frames // _LEAST_FRAMES) if seconds > 0 else 1
    if number < 2:
        return [whole(timeline)]
    # By frames, which cost about the same each, and not by time, of which a frame may take any.
    size = frames / number
    begun_at = table.keys[np.searchsorted(table.keys, table.keys - REORDERED, side="right") - 1]
    usable = table.keys[(table.keys > begun_at) & (table.keys - begun_at <= _LEAD * size)]
    cuts = [0]
    for target in np.arange(1, number) * size if len(usable) else ():
        cut = int(usable[np.abs(usable - target).argmin()])
        if cut - cuts[-1] >= size / 2 and frames - cut >= size / 2:
            cuts.append(cut)
    return [Part(FrameIndex(first), stop) for first, stop in zip(cuts, [*cuts[1:], frames], strict=True)]

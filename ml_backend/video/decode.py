"""One sequential decode of a video for as many consumers as want its pictures.

Every frame becomes a tiny grey picture, which hashing and change detection look at. The square of RGB that a network sees
costs as much as half the decoding, so it is made only for the frames that are asked for: a picture holds on to its decoded
frame until then, or, where frames are large, is scaled at once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import open_video
from ml_backend.video.scaling import Scaler
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.view import WHOLE, View

STALL_SECONDS = 60.0
# The largest frame that is kept until somebody wants it in RGB: 720p in 4:2:0.
_KEPT_BYTES = 1280 * 736 * 3 // 2
# No codec decodes a frame more than so many places away from where it is shown.
REORDERED = 16
# How many frames earlier a seek is tried again that landed too late.
_EARLIER = (32, 128, 512)

Skip = Literal["none", "nonref", "nonkey"]
Item = TypeVar("Item")
FIRST = FrameIndex(0)


class NothingDecodes(VideoUnreadable):
    """None of the frames that were asked for decodes; elsewhere in the video some may."""


class Pulse:
    """When a decoder in another thread last gave a frame, wanted or not."""

    def __init__(self) -> None:
        self.beat()

    def beat(self) -> None:
        self.last = time.monotonic()


class Picture:
    """One decoded frame, as small as its consumers want it and turned the way a browser shows it.

    `grey`: (64, 64) uint8, 0..255. `soft`: the same averaged over four times as many points, for what compares slopes.
    """

    __slots__ = ("_frame", "_rgb", "_scaler", "grey", "index", "soft")

    def __init__(self, index: FrameIndex, frame: VideoFrame, scaler: Scaler) -> None:
        self.index = index
        self.grey, self.soft = scaler.grey(frame)
        self._scaler = scaler
        self._frame: VideoFrame | None = frame
        self._rgb: NDArray[np.uint8] | None = None

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(side, side, 3) uint8, the side as the view says."""
        self.shrink()
        if self._rgb is None:
            raise ValueError(f"frame {self.index} was released")
        return self._rgb

    def shrink(self) -> None:
        """Makes the RGB picture now and lets go of the decoded frame."""
        with self._scaler.lock:
            if self._frame is not None:
                self._rgb = self._scaler.rgb(self._frame)
                self._frame = None

    def release(self) -> None:
        """Lets go of everything but the grey picture."""
        self._frame = self._rgb = None

    @property
    def nbytes(self) -> int:
        """About how much memory its decoded frame takes; 0 when it is gone."""
        return self._frame.width * self._frame.height * 3 // 2 if self._frame is not None else 0


def decode(
    path: Path,
    timeline: Timeline,
    *,
    wanted: Callable[[FrameIndex], bool] | None = None,
    first: FrameIndex = FIRST,
    last: FrameIndex | None = None,
    skip: Skip = "none",
    pulse: Pulse | None = None,
    view: View = WHOLE,
    beside: Callable[[FrameIndex, VideoFrame], None] | None = None,
) -> Iterator[Picture]:
    """Yields the frames `first`..`last` of `path` (all by default) in the order they are shown, as the `view` has them.

    `wanted`: asked for each of them in turn; a frame for which it says no is decoded and dropped. `skip`: `nonref` leaves
    out frames that no other frame needs, `nonkey` all but key frames; both decode faster. Packets that do not decode are
    left out, so the indices may have gaps and may end before the timeline does: a damaged video gives all its good frames.
    `beside`: called with each frame as it is coded, wanted or not, for who needs pictures of another size from the same decode.
    The deblocking filter is left out of frames that no other one decoded needs: at these sizes it is not seen, and costs a
    tenth of the decoding and more. Raises NothingDecodes when it gives none, and VideoUnreadable.
    """
    scaler = Scaler(view)
    end = FrameIndex(len(timeline) - 1) if last is None else last
    seen = False
    with open_video(path) as (container, stream):
        if skip == "nonref" and is_counted(container, stream):
            skip = "none"
        stream.thread_type = "AUTO"
        stream.codec_context.options |= {"skip_loop_filter": "all" if skip == "nonkey" else "noref"}
        if skip == "nonref":
            stream.codec_context.skip_frame = "NONREF"
        frames = placed(container, stream, timeline, only_keys=skip == "nonkey")
        if first:
            # Some containers seek by decoding times, and a frame may be decoded after a key frame that is shown after it.
            frames = placed_from(container, stream, timeline, first, first - REORDERED, only_keys=skip == "nonkey")
        for index, frame in frames:
            if pulse is not None:
                pulse.beat()
            if index > end:
                break
            seen = True
            if beside is not None and index >= first:
                beside(index, frame)
            if index < first or (wanted is not None and not wanted(index)):
                continue
            picture = Picture(index, frame, scaler)
            if picture.nbytes > _KEPT_BYTES:
                picture.shrink()
            yield picture
    if not seen:
        raise NothingDecodes(
            f"No frame of {path.name} can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
        )


def decoded_frames(packets: Iterator[av.Packet[VideoStream]]) -> Iterator[VideoFrame]:
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            return  # the file breaks off inside a packet
        try:
            yield from (frame for frame in packet.decode() if isinstance(frame, VideoFrame))
        except av.error.FFmpegError:
            continue


def is_counted(container: InputContainer, stream: VideoStream) -> bool:
    """Whether times of decoded frames are only guessed, so that frames have to be counted: AVI says when a frame is decoded,
    not when it is shown."""
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)


def placed(
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    *,
    only_keys: bool = False,
    leapt: bool = False,
) -> Iterator[tuple[FrameIndex, VideoFrame]]:
    """Decoded frames from where the container stands, each with its index. `leapt`: behind a seek, where frames whose time is
    none of the timeline's are left out until there is one to count from."""
    packets = container.demux(stream)
    if only_keys:
        # The decoder would skip the others itself, but hand key frames to one thread at a time; the empty one ends it.
        packets = (packet for packet in packets if packet.is_keyframe or not packet.size)
    counted, at = is_counted(container, stream) and not only_keys, -1
    for frame in decoded_frames(packets):
        if leapt and at < 0 and not _has_time(timeline, frame.pts):
            continue
        at = at + 1 if counted else _place(timeline, frame.pts, at)
        yield FrameIndex(at), frame


def placed_from(
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    index: int,
    start: int,
    *,
    only_keys: bool = False,
) -> Iterator[tuple[FrameIndex, VideoFrame]]:
    """As `placed`, after a seek to frame `start`, from a frame at or before `index` on. Where there is no index of key frames,
    as in MPEG-TS, a seek lands behind the one that is needed: then it begins earlier."""
    # What has to be counted is counted from the beginning.
    counted = is_counted(container, stream)
    for earlier in (len(timeline),) if counted else (0, *_EARLIER, len(timeline)):
        target = int(timeline.pts[start - earlier]) if start > earlier else int(min(timeline.pts[0], 0))
        try:
            container.seek(target, stream=stream)
        except av.error.FFmpegError:
            continue
        frames = placed(container, stream, timeline, only_keys=only_keys, leapt=not counted)
        found = next(frames, None)
        if found is not None and (found[0] <= index or start <= earlier):
            yield found
            yield from frames
            return


def _has_time(timeline: Timeline, pts: int | None) -> bool:
    at = int(np.searchsorted(timeline.pts, pts)) if pts is not None else len(timeline)
    return at < len(timeline) and int(timeline.pts[at]) == pts


def _place(timeline: Timeline, pts: int | None, last: int) -> int:
    if pts is None or (last + 1 < len(timeline) and int(timeline.pts[last + 1]) == pts):
        return last + 1
    index = int(np.searchsorted(timeline.pts, pts))
    # Two frames may share a time, and a decoder may shift all times: then frames are counted.
    return index if index > last and _has_time(timeline, pts) else last + 1


def in_background(
    items: Callable[[], Iterator[Item]],
    depth: int,
    stall_seconds: float = STALL_SECONDS,
    pulse: Pulse | None = None,
) -> Iterator[Item]:
    """Runs the iterator that `items` makes in a thread, at most `depth` items ahead.

    Its exceptions are raised here. Raises VideoUnreadable when neither it nor `pulse`, for items that take many frames to
    make, gives anything for `stall_seconds`: a decoder that hangs cannot be stopped, but the rest of the process goes on
    without it.
    """
    ahead: queue.Queue[Item | BaseException | None] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Item | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ahead.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items():
                if not put(item):
                    return
            put(None)
        except BaseException as error:  # handed to the consumer, whatever it is
            put(error)

    threading.Thread(target=produce, name="decode", daemon=True).start()
    try:
        since = time.monotonic()
        while True:
            alive = max(since, pulse.last) if pulse else since
            try:
                item = ahead.get(timeout=max(alive + stall_seconds - time.monotonic(), 0))
            except queue.Empty:
                if pulse and pulse.last > alive:
                    continue
                raise VideoUnreadable(
                    f"The video's decoder gave nothing for {stall_seconds:g} seconds.",
                    "The file is probably damaged: encode it again as H.264.",
                ) from None
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            since = time.monotonic()
    finally:
        stopped.set()

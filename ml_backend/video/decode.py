"""One sequential decode of a video for as many consumers as want its pictures.

Every frame becomes a tiny grey picture, which hashing and change detection look at. The square of RGB that a network sees
costs as much as half the decoding, so it is made only for the frames that are asked for: a picture holds on to its decoded
frame until then, or, where frames are large, is scaled at once. Scaling is sws_scale's FAST_BILINEAR with one scaler for the
whole video (a new one a frame costs more than decoding does).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import open_video
from ml_backend.video.timeline import FrameIndex, Timeline

# Part of the features' cache key: another scaler changes about one label in sixty.
SCALER = "fastbilinear-rgb"
PICTURE = 160
GREY = 64
STALL_SECONDS = 60.0
# The largest frame that is kept until somebody wants it in RGB: 720p in 4:2:0.
_KEPT_BYTES = 1280 * 736 * 3 // 2
# Formats whose first plane is luma with one byte a pixel; those of the second row use all of 0..255.
_LIMITED = ("yuv420p", "yuv422p", "yuv444p", "nv12")
_FULL = ("yuvj420p", "yuvj422p", "yuvj444p", "gray")
_JPEG_RANGE = 2
# No codec decodes a frame more than so many places away from where it is shown.
_REORDERED = 16
_STRETCH = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)

Skip = Literal["none", "nonref", "nonkey"]
Item = TypeVar("Item")
FIRST = FrameIndex(0)


class Pulse:
    """When a decoder in another thread last gave a frame, wanted or not."""

    def __init__(self) -> None:
        self.beat()

    def beat(self) -> None:
        self.last = time.monotonic()


class Picture:
    """One decoded frame, as small as its consumers want it and turned the way a browser shows it.

    `grey`: (64, 64) uint8, 0..255.
    """

    __slots__ = ("_frame", "_rgb", "_scaler", "grey", "index")

    def __init__(self, index: FrameIndex, frame: VideoFrame, scaler: Scaler) -> None:
        self.index = index
        self.grey = scaler.grey(frame)
        self._scaler = scaler
        self._frame: VideoFrame | None = frame
        self._rgb: NDArray[np.uint8] | None = None

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(160, 160, 3) uint8."""
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


class Scaler:
    """Scales the frames of one video: to RGB, and to grey when they have no plain luma plane."""

    def __init__(self) -> None:
        self._to_rgb = VideoReformatter()
        self._to_luma = VideoReformatter()
        self.lock = threading.Lock()

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(160, 160, 3) uint8; not by two threads at a time."""
        small = self._to_rgb.reformat(
            frame, PICTURE, PICTURE, "rgb24", interpolation=Interpolation.FAST_BILINEAR, threads=1
        )
        return _turned(np.asarray(small.to_ndarray(), np.uint8), frame)

    def grey(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(64, 64) uint8, full range."""
        name = frame.format.name
        if name in _FULL or name in _LIMITED:
            plane = frame.planes[0]
            luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
                : frame.height, : frame.width
            ]
            grey = cv2.resize(luma, (GREY, GREY), interpolation=cv2.INTER_LINEAR)
            if name in _LIMITED and frame.color_range != _JPEG_RANGE:
                grey = cv2.LUT(grey, _STRETCH)
        else:
            small = self._to_luma.reformat(
                frame, GREY, GREY, "yuvj420p", interpolation=Interpolation.FAST_BILINEAR, threads=1
            )
            grey = small.to_ndarray()[:GREY]
        return _turned(np.asarray(grey, np.uint8), frame)


def _turned(picture: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def decode(
    path: Path,
    timeline: Timeline,
    *,
    wanted: Callable[[FrameIndex], bool] | None = None,
    first: FrameIndex = FIRST,
    last: FrameIndex | None = None,
    skip: Skip = "none",
    pulse: Pulse | None = None,
) -> Iterator[Picture]:
    """Yields the frames `first`..`last` of `path` (all by default) in the order they are shown.

    `wanted`: asked for each of them in turn; a frame for which it says no is decoded and dropped. `skip`: `nonref` leaves
    out frames that no other frame needs, `nonkey` all but key frames; both decode faster. Packets that do not decode are
    left out, so the indices may have gaps and may end before the timeline does: a damaged video gives all its good frames.
    The deblocking filter is left out of frames that no other one decoded needs: at these sizes it is not seen, and costs a
    tenth of the decoding and more. Raises VideoUnreadable when it gives none.
    """
    scaler = Scaler()
    end = FrameIndex(len(timeline) - 1) if last is None else last
    at, seen = -1, False
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.options |= {"skip_loop_filter": "all" if skip == "nonkey" else "noref"}
        if skip == "nonref":
            stream.codec_context.skip_frame = "NONREF"
        if first:
            # Some containers seek by decoding times, and a frame may be decoded after a key frame that is shown after it.
            container.seek(int(timeline.pts[max(first - _REORDERED, 0)]), stream=stream)
        packets = container.demux(stream)
        if skip == "nonkey":
            # The decoder would skip the others itself, but hand key frames to one thread at a time; the empty one ends it.
            packets = (packet for packet in packets if packet.is_keyframe or not packet.size)
        for frame in _frames(packets):
            if pulse is not None:
                pulse.beat()
            if first and at < 0 and not _has(timeline, frame.pts):
                continue  # behind a seek there is nothing to count from
            at = _index(timeline, frame.pts, at)
            if at > end:
                break
            seen = True
            index = FrameIndex(at)
            if at < first or (wanted is not None and not wanted(index)):
                continue
            picture = Picture(index, frame, scaler)
            if picture.nbytes > _KEPT_BYTES:
                picture.shrink()
            yield picture
    if not seen:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
        )


def decode_sized(
    path: Path, timeline: Timeline, size: tuple[int, int], wanted: Callable[[FrameIndex], bool] | None = None
) -> Iterator[tuple[FrameIndex, NDArray[np.uint8]]]:
    """Yields the index and the (height, width, 3) uint8 RGB picture of every frame, or of those `wanted`, `size` being
    (height, width).

    For models that want pictures of their own size. Raises VideoUnreadable as `decode` does.
    """
    reformatter = VideoReformatter()
    for index, frame in decode_whole(path, timeline):
        if wanted is not None and not wanted(index):
            continue
        height, width = size if round(frame.rotation / 90) % 2 == 0 else size[::-1]
        small = reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BILINEAR)
        yield index, _turned(np.asarray(small.to_ndarray(), np.uint8), frame)


def decode_whole(path: Path, timeline: Timeline) -> Iterator[tuple[FrameIndex, VideoFrame]]:
    """Yields the index of every frame and the frame as it was coded, see `upright`. Raises VideoUnreadable as `decode` does."""
    at = -1
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in _frames(container.demux(stream)):
            at = _index(timeline, frame.pts, at)
            if at >= len(timeline):
                break
            yield FrameIndex(at), frame
    if at < 0:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
        )


def decode_exactly(
    path: Path, timeline: Timeline, frames: Collection[int], keys: NDArray[np.int64]
) -> Iterator[tuple[FrameIndex, VideoFrame]]:
    """Yields the index of each of `frames` and the frame as it was coded, see `upright`, in the order they are shown; those
    that do not decode are left out.

    One pass, which leaps to the last key frame before the next frame wherever there is one. `keys`: (k,) int64 ticks, the
    ascending times of the key frames. Raises VideoUnreadable when `path` is no video.
    """
    at, leapt, frame = -1, False, None
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        decoded = _frames(container.demux(stream))
        for index in sorted(frames):
            here, key = np.searchsorted(keys, timeline.pts[[max(at, 0), index]], "right")
            if at < index and here < key:
                # To the key frame itself: some containers go by decoding times, and from a frame that is shown just
                # before the next key frame, but decoded after it, would go to that one.
                container.seek(int(keys[key - 1]), stream=stream)
                decoded, at, leapt = _frames(container.demux(stream)), -1, True
            while at < index and (frame := next(decoded, None)) is not None:
                # Behind a seek there is nothing to count from.
                if not leapt or at >= 0 or _has(timeline, frame.pts):
                    at = _index(timeline, frame.pts, at)
            if at == index and frame is not None:
                yield FrameIndex(at), frame


def upright(frame: VideoFrame, order: Literal["rgb24", "bgr24"] = "rgb24") -> NDArray[np.uint8]:
    """(h, w, 3) uint8 of a whole frame, turned the way a browser shows it."""
    return _turned(np.asarray(frame.to_ndarray(format=order), np.uint8), frame)


def _frames(packets: Iterator[av.Packet[VideoStream]]) -> Iterator[VideoFrame]:
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


def _has(timeline: Timeline, pts: int | None) -> bool:
    at = int(np.searchsorted(timeline.pts, pts)) if pts is not None else len(timeline)
    return at < len(timeline) and int(timeline.pts[at]) == pts


def _index(timeline: Timeline, pts: int | None, last: int) -> int:
    if pts is None:
        return last + 1
    index = int(np.searchsorted(timeline.pts, pts))
    # Two frames may share a time, and a decoder may shift all times: then frames are counted.
    return index if index > last and _has(timeline, pts) else last + 1


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

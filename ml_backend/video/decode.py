"""One sequential decode of a video, scaled while decoding, for as many consumers as want its pictures.

Every frame becomes a small square in full-range planar YUV 4:2:0: its luma plane is the grey picture that hashing and
change detection look at, and only the few frames that a network sees are ever converted to RGB. Scaling is sws_scale's
FAST_BILINEAR with one scaler for the whole video (a new one a frame costs more than decoding does).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
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

# Part of the features' cache key: another scaler or another way to RGB changes about one label in sixty.
SCALER = "fastbilinear-yuv420-full"
PICTURE_SIZE = 160
STALL_SECONDS = 60.0
# The shares of red and blue in luma (ITU-R BT.601, BT.709, BT.2020), by ffmpeg's number for the colour space.
_BT601, _BT709, _BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
_LUMA = {1: _BT709, 9: _BT2020, 10: _BT2020}
_UNSPECIFIED = 2

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One decoded frame, scaled to a square and turned the way a browser shows it.

    `planes`: (3 * size / 2, size) uint8, full range: luma, then both chroma planes at half size, as ffmpeg lays out
    `yuvj420p`. `to_rgb`: (3, 4) float32, the affine map from (Y, U, V) to (R, G, B) of the video's colour space.
    `quarter_turns`: counter-clockwise, still to be applied to the planes.
    """

    index: FrameIndex
    planes: NDArray[np.uint8]
    to_rgb: NDArray[np.float32]
    quarter_turns: int = 0

    @property
    def grey(self) -> NDArray[np.uint8]:
        """(size, size) uint8, 0..255."""
        size = self.planes.shape[1]
        luma = self.planes[:size]
        return luma if not self.quarter_turns else np.rot90(luma, self.quarter_turns)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(size, size, 3) uint8."""
        size = self.planes.shape[1]
        chroma = self.planes[size:].reshape(2, size // 2, size // 2)
        u, v = (cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in chroma)
        rgb = cv2.transform(cv2.merge((self.planes[:size], u, v)), self.to_rgb)
        return np.asarray(np.rot90(rgb, self.quarter_turns), dtype=np.uint8)


def decode(
    path: Path,
    timeline: Timeline,
    size: int = PICTURE_SIZE,
    *,
    only: Container[int] | None = None,
    skip: Literal["none", "nonref", "nonkey"] = "none",
) -> Iterator[Picture]:
    """Yields the frames of `path` in the order they are shown, each `size` x `size` (an even number of pixels).

    `only`: the frame indices wanted; the others are decoded and dropped. `skip`: `nonref` leaves out frames that no other
    frame needs, `nonkey` all but key frames; both decode faster. Packets that do not decode are left out, so the indices
    may have gaps and may end before the timeline does: a damaged video gives all its good frames. Raises VideoUnreadable
    when it gives none.
    """
    scaler = VideoReformatter()
    last, to_rgb = -1, None
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        if skip != "none":
            stream.codec_context.skip_frame = "NONREF" if skip == "nonref" else "NONKEY"
        for frame in _frames(container.demux(stream)):
            index = _index(timeline, frame.pts, last)
            if index >= len(timeline):
                continue
            last = index
            if only is not None and index not in only:
                continue
            if to_rgb is None:
                to_rgb = _to_rgb(frame)
            small = scaler.reformat(frame, size, size, "yuvj420p", interpolation=Interpolation.FAST_BILINEAR)
            planes = np.asarray(small.to_ndarray(), np.uint8)
            yield Picture(FrameIndex(index), planes, to_rgb, round(frame.rotation / 90) % 4)
    if last < 0:
        raise VideoUnreadable(
            f"No frame of {path.name} can be decoded.", "Check that it plays in a browser, or encode it again as H.264."
        )


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


def _index(timeline: Timeline, pts: int | None, last: int) -> int:
    if pts is None:
        return last + 1
    index = int(np.searchsorted(timeline.pts, pts, side="left"))
    # Two frames may share a time, and a decoder may shift all times: then frames are counted.
    if index <= last or index >= len(timeline) or timeline.pts[index] != pts:
        return last + 1
    return index


def _to_rgb(frame: VideoFrame) -> NDArray[np.float32]:
    red, blue = _LUMA.get(frame.colorspace, _BT601)
    if frame.colorspace == _UNSPECIFIED and frame.height >= 720 and not frame.format.is_rgb:
        red, blue = _BT709  # what browsers take an unmarked HD video for
    green = 1 - red - blue
    rv, bu = 2 * (1 - red), 2 * (1 - blue)
    gu, gv = -bu * blue / green, -rv * red / green
    linear = np.array([[1, 0, rv], [1, gu, gv], [1, bu, 0]])
    return np.hstack([linear, -128 * linear[:, 1:].sum(1, keepdims=True)]).astype(np.float32)


def in_background(
    items: Callable[[], Iterator[Item]], depth: int, stall_seconds: float = STALL_SECONDS
) -> Iterator[Item]:
    """Runs the iterator that `items` makes in a thread, at most `depth` items ahead.

    Its exceptions are raised here. Raises VideoUnreadable when it gives nothing for `stall_seconds`: a decoder that hangs
    cannot be stopped, but the rest of the process goes on without it.
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
        while True:
            try:
                item = ahead.get(timeout=stall_seconds)
            except queue.Empty:
                raise VideoUnreadable(
                    f"The video's decoder gave nothing for {stall_seconds:.0f} seconds.",
                    "The file is probably damaged: encode it again as H.264.",
                ) from None
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()

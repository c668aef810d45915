"""What a video's packets say about its timeline, seen as Chromium's demuxer sees it, without decoding.

Chromium (`media/filters/ffmpeg_demuxer.cc`) reads files with the same library as we do, FFmpeg, so that edit lists and
discarded frames come out alike. It never moves a video that starts late or whose sound starts early to 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import is_raw, open_video

# When Label Studio asks for the duration, Chromium has decoded this many frames and queued this much more; a duration
# that ends before the last of them is corrected.
_DECODED_AHEAD = 8
_QUEUED_AHEAD = 2.0  # seconds
# In microseconds: beside Opus sound, Chromium seeks this much earlier.
_OPUS_PREROLL = 80_000
# A whole day at 60 frames a second has fewer. What comes from anybody must not fill the memory.
_MOST_FRAMES = 6_000_000


@dataclass(frozen=True, eq=False)
class Packets:
    """What the packets of one stream say, in decode order; hidden ones, which are decoded but never shown, apart.

    `pts`: (n,) int64 ticks. `key`: (n,) bool. `dts`: (n,) int64 ticks, `pts` where the file has none.
    `every`: (k,) int64, the times of all packets, hidden ones included. `last_lasts`: ticks for which the last frame lasts.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    key: NDArray[np.bool_]
    every: NDArray[np.int64]
    last_lasts: int


@dataclass(frozen=True, eq=False)
class Demuxed:
    """One pass over a file: `pts`, `time_base`, `duration` and `early` as in `Timeline`, and the packets themselves."""

    pts: NDArray[np.int64]
    time_base: Fraction
    duration: Fraction
    early: NDArray[np.int64]
    packets: Packets


class RawStream(VideoUnreadable):
    """A file of pictures without the times at which to show them."""


def demux(path: Path) -> Demuxed:
    """Reads all packets of the pictures of `path`. Raises `VideoUnreadable` when it is not a video or holds no frame, and
    `RawStream` when these have no times."""
    with open_video(path) as (container, stream):
        if is_raw(container):
            raise RawStream(
                f"{path.name} is a raw {stream.codec_context.codec.canonical_name} stream: its pictures have no times.",
                f"Put it into an MP4 file, at 30 frames per second for example: ffmpeg -r 30 -i {path.name} -c copy OUTPUT.mp4",
            )
        time_base = stream.time_base or Fraction(1, 90_000)
        packets = _read_packets(path, container, stream)
        pts = np.sort(packets.pts)
        dropped = _dropped_by_the_decoder(container, stream, packets)
        if len(dropped):
            pts = pts[~np.isin(pts, dropped)]
        if not len(pts):
            raise VideoUnreadable(f"{path.name} holds no frame of video.", "Encode it again, or upload another file.")
        early = _shown_early(container, stream, packets, pts, time_base)
        return Demuxed(pts, time_base, _duration(container, packets, pts, time_base), early, packets)


def _read_packets(path: Path, container: InputContainer, stream: VideoStream) -> Packets:
    """Demuxes `stream` to its end, or as far as the file can be read. Raises `VideoUnreadable` when it is too long."""
    pts: list[int] = []
    dts: list[int] = []
    key: list[bool] = []
    every: list[int] = []
    last_lasts, vp8 = (-1, 0), stream.codec_context.name in ("vp8", "libvpx")
    try:
        for packet in container.demux(stream):
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None or not packet.size:
                continue
            if len(every) == _MOST_FRAMES:
                raise VideoUnreadable(f"{path.name} holds more than {_MOST_FRAMES} frames.", "Cut it into parts.")
            every.append(time)
            # An alternate reference frame of VP8 is a packet of its own that only later frames look at.
            if packet.is_discard or (vp8 and not memoryview(packet)[0] & 16):
                continue
            pts.append(time)
            dts.append(packet.dts if packet.dts is not None else time)
            key.append(packet.is_keyframe)
            last_lasts = max(last_lasts, (time, packet.duration or 0))
    except av.error.FFmpegError:
        pass  # a damaged end: what was read before it counts
    times = (np.array(pts, dtype=np.int64), np.array(dts, dtype=np.int64), np.array(key, dtype=np.bool_))
    packets = Packets(*times, np.array(every, dtype=np.int64), last_lasts[1])
    return _even(packets) if container.format.name == "avi" and len(pts) == len(every) and pts else packets


def _even(packets: Packets) -> Packets:
    """AVI says when frames are decoded. FFmpeg guesses from that when they are shown, at the end of a file with reordered
    frames wrongly: they are shown as evenly as they are decoded."""
    order = np.argsort(packets.pts, kind="stable")
    slots, pts = np.sort(packets.dts), packets.pts.copy()
    pts[order] = slots - slots[0] + packets.pts.min()
    return replace(packets, pts=pts, every=pts)


def _dropped_by_the_decoder(container: InputContainer, stream: VideoStream, packets: Packets) -> NDArray[np.int64]:
    """The times of frames before the first key frame that need frames which were cut away, found by decoding the start."""
    keys = np.flatnonzero(packets.key)
    if not len(keys):
        return np.empty(0, np.int64)
    first_key = int(packets.pts[keys[0]])
    leading = packets.pts[packets.pts < first_key]
    if not len(leading):
        return leading
    decoded: list[int] = []
    try:
        container.seek(int(packets.dts.min()), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None or frame.pts >= first_key:
                break
            decoded.append(frame.pts)
    except av.error.FFmpegError:
        pass
    return np.setdiff1d(leading, np.array(decoded, dtype=np.int64))


def _duration(container: InputContainer, packets: Packets, pts: NDArray[np.int64], time_base: Fraction) -> Fraction:
    """What the browser says is the duration when Label Studio asks for it."""
    promised = [
        stream.duration * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.duration and stream.time_base
    ]
    queue = packets.every[_DECODED_AHEAD:]
    enough = np.flatnonzero((queue - queue[:1]) * float(time_base) >= _QUEUED_AHEAD)
    seen = int(packets.every[: _DECODED_AHEAD + enough[0] + 1 if len(enough) else None].max()) * time_base
    if container.duration is not None:
        return max(Fraction(container.duration, 1_000_000), *promised, seen)
    # No end is known, and until it has seen it Chromium says that there is none; this is what the pictures last.
    return seen if not len(enough) else (int(pts[-1]) + packets.last_lasts) * time_base


def _shown_early(
    container: InputContainer, stream: VideoStream, packets: Packets, pts: NDArray[np.int64], time_base: Fraction
) -> NDArray[np.int64]:
    """`Timeline.early`, for two reasons: a seek time is rounded to the nearest tick before FFmpeg looks for a key frame;
    and in MP4 it looks by decode time, shifted by one number for the whole file, so that where frames are reordered by
    more than that, it lands on a key frame before its time."""
    by_decode_time = "mov" in container.format.name
    index = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    keys = np.flatnonzero(packets.key & np.isin(packets.dts if by_decode_time else packets.pts, index))
    ticks = packets.pts[keys]
    ahead = ticks - packets.dts[keys]
    if by_decode_time and len(index) > 1 and len(keys) and ahead.max() > 0:
        ticks = ticks - ahead + _seek_shift(container, stream, packets, int(keys[-1]), int(ahead.max()))
        keys, ticks = keys[ticks <= packets.pts[keys]], ticks[ticks <= packets.pts[keys]]
    half_tick = time_base * 500_000
    numerator, denominator = half_tick.numerator, half_tick.denominator
    times = -((1 - 2 * ticks) * numerator // denominator)
    sound = getattr(container.streams.audio[0], "codec_context", None) if container.streams.audio else None
    if sound is not None and sound.name in ("opus", "libopus"):
        times += _OPUS_PREROLL
    # Frames that the decoder drops come before all key frames.
    place = np.argsort(np.argsort(packets.pts, kind="stable"), kind="stable") - (len(packets.pts) - len(pts))
    return np.column_stack([times, place[keys]]).astype(np.int64)


def _seek_shift(container: InputContainer, stream: VideoStream, packets: Packets, key: int, most: int) -> int:
    """How far after its decode time a seek begins to land on key frame number `key`; `most` when it is that or more."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        try:
            container.seek(int(packets.dts[key]) + middle, stream=stream)
            landed = next((packet.dts for packet in container.demux(stream) if packet.size), None)
        except av.error.FFmpegError:
            return most
        if landed is not None and landed >= packets.dts[key]:
            high = middle
        else:
            low = middle + 1
    return low

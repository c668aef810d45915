"""Raw streams of pictures, as single-board cameras write them, as MP4: the same pictures, with times."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ml_backend.errors import StorageError, VideoUnreadable
from ml_backend.video.container import open_video

_USUAL = Fraction(25)


def repack(path: Path, fps: Fraction | None, target: Path) -> Fraction:
    """Writes the pictures of a raw stream into an MP4 file, as they are coded, each as long as the one before; returns the
    frame rate: `fps`, else what the stream says, else 25 a second.

    Raises VideoUnreadable, and StorageError when `target` cannot be written; it is never there half.
    """
    shown = _order_shown(path)
    if not shown:
        raise VideoUnreadable(f"No frame of {path.name} can be decoded.", "Record it again, or use a copy of it.")
    scratch = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_video(path) as (container, stream):
            rate = fps or stream.codec_context.framerate or _USUAL
            _write(container, stream, shown, rate, scratch)
        os.replace(scratch, target)
    except av.error.FFmpegError as error:
        raise VideoUnreadable(f"{path.name} cannot be put into an MP4 file ({error}).", "Encode it again.") from error
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror}).", "Free up disk space there.") from error
    finally:
        with suppress(OSError):
            scratch.unlink()
    return rate


def _order_shown(path: Path) -> dict[int, int]:
    """Of each packet that gives a picture, by its number in the file, the place of the picture among those shown."""
    numbers: list[int] = []
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for number, packet in enumerate(container.demux(stream)):
            if packet.size:
                # Comes out again with the picture.
                packet.pts = packet.dts = number
            try:
                numbers += [frame.pts for frame in packet.decode() if frame.pts is not None]
            except av.error.FFmpegError:
                continue
    return {number: place for place, number in enumerate(dict.fromkeys(numbers))}


def _write(container: InputContainer, stream: VideoStream, shown: dict[int, int], rate: Fraction, target: Path) -> None:
    # No frame is shown before it is decoded.
    late = max(at - shown[number] for at, number in enumerate(sorted(shown)))
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as made:
        copied = made.add_stream_from_template(stream)
        at = 0
        for number, packet in enumerate(container.demux(stream)):
            if number in shown:
                packet.pts, packet.dts, packet.duration = shown[number], at - late, 1
                packet.time_base, packet.stream = 1 / rate, copied
                made.mux(packet)
                at += 1

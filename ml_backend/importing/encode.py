"""Encodes a video, parts of it, or a camera's raw stream of pictures, the way every browser plays and Label Studio counts: H.264 at a
constant rate from 0 on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from ml_backend.errors import StorageError, VideoUnreadable
from ml_backend.importing.recipe import Part
from ml_backend.video.container import open_video
from ml_backend.video.timeline import Timeline, shown_at
from ml_backend.video.whole_frames import Coded, Fitting, Size, canvas, decode_whole, tag

# Steps between frames are quick for an annotator when key frames are close.
_KEY_FRAME_SECONDS = 2
_QUALITY = {"crf": "18", "preset": "veryfast"}


def encode(
    path: Path,
    timeline: Timeline,
    parts: Sequence[Part],
    rate: Fraction,
    targets: Sequence[Path],
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[Path]:
    """Writes each of the `parts`, which follow each other, to its target, and yields it when it is complete.

    Target frame k shows what the video shows k / `rate` seconds into its part. `progress` is called with the share of
    frames written so far, 0..1. Raises VideoUnreadable, and StorageError when a target cannot be written; no target is ever
    there half.
    """
    times = timeline.microseconds / 1e6
    shown = [shown_at(times, part.start, rate, frames_of(part, rate)) for part in parts]
    done, count = 0, sum(map(len, shown))
    frames, size = decode_whole(path, timeline), canvas(path)
    held: Coded | None = None
    at = -1
    for part, target, wanted in zip(parts, targets, shown, strict=True):
        scratch = target.with_name(f"{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                sound = stack.enter_context(_Sound(path, part))
                writer = stack.enter_context(_Writer(scratch, rate, size, sound))
                for number, index in enumerate(wanted.tolist()):
                    while at < index:
                        following = next(frames, None)
                        if following is None:
                            break
                        at, held = following
                    if at < index and number > 0:
                        break  # the end of the video does not decode
                    if held is not None:
                        writer.add(number, held)
                        done += 1
                        progress(done / count)
            os.replace(scratch, target)
        except OSError as error:
            raise StorageError(
                f"{target} cannot be written ({error.strerror}).",
                "Free up disk space there, then run the same command again to continue.",
            ) from error
        except av.error.FFmpegError as error:
            raise VideoUnreadable(
                f"{path.name} cannot be encoded ({error}).", "Encode it with another program."
            ) from error
        finally:
            with suppress(OSError):
                scratch.unlink()
        yield target


def frames_of(part: Part, rate: Fraction) -> int:
    """How many frames a part has at `rate`."""
    return max(1, round((part.stop - part.start) * float(rate)))


class _Sound:
    """The sound of a part, given out up to a time, so that it is written beside the pictures."""

    def __init__(self, path: Path, part: Part) -> None:
        self._path = path
        self._part = part
        self._stack = ExitStack()
        self._frames: Iterator[AudioFrame] = iter(())
        self._next: AudioFrame | None = None
        self.rate: int | None = None

    def __enter__(self) -> _Sound:
        container, _ = self._stack.enter_context(open_video(self._path))
        streams = [each for each in container.streams.audio if getattr(each, "codec_context", None) is not None]
        if streams and streams[0].rate:
            self.rate = streams[0].rate
            if self._part.start > 1 and streams[0].time_base:
                container.seek(int((self._part.start - 1) / streams[0].time_base), stream=streams[0])
            self._frames = _heard(container.decode(streams[0]))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def until(self, seconds: float) -> Iterator[tuple[AudioFrame, float]]:
        """What begins before `seconds` of the part, with when."""
        while True:
            frame = self._next or next(self._frames, None)
            self._next = None
            if frame is None or frame.time is None:
                return
            begins = frame.time - self._part.start
            if begins >= seconds:
                self._next = frame
                return
            if begins >= 0:
                yield frame, begins


def _heard(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """As far as it decodes."""
    while True:
        try:
            yield next(frames)
        except (StopIteration, av.error.FFmpegError):
            return


class _Writer:
    """One MP4 file."""

    def __init__(self, path: Path, rate: Fraction, size: Size, sound: _Sound) -> None:
        self._rate = rate
        self._size = size
        self._fitting = Fitting(size)
        self._sound = sound
        self._path = path
        self._container: OutputContainer | None = None

    def __enter__(self) -> _Writer:
        self._container = av.open(str(self._path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {**_QUALITY, "g": str(max(1, round(self._rate * _KEY_FRAME_SECONDS)))}
        self._video = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._video.pix_fmt = "yuv420p"
        self._audio = self._container.add_stream("aac", rate=self._sound.rate) if self._sound.rate else None
        self._tagged = False
        return self

    def add(self, number: int, frame: Coded) -> None:
        """The frame with this number, and the sound that goes with it."""
        assert self._container is not None
        if not self._tagged:
            self._video.width, self._video.height = self._size
            tag(self._video, frame)
            self._tagged = True
        made = self._fitting.fit(frame)
        made.pts, made.time_base = number, 1 / self._rate
        # Else each is encoded as the kind of frame that it was.
        made.pict_type = av.video.frame.PictureType.NONE
        self._container.mux(self._video.encode(made))
        self._hear((number + 1) / float(self._rate))

    def _hear(self, seconds: float) -> None:
        if self._audio is None or self._container is None:
            return
        for frame, begins in self._sound.until(seconds):
            frame.pts, frame.time_base = round(begins * frame.sample_rate), Fraction(1, frame.sample_rate)
            self._container.mux(self._audio.encode(frame))

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._container is not None
        try:
            if kind is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._fitting.close()
            self._container.close()


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

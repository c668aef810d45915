"""Making small encoded clips with exact presentation times, with PyAV alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.alignment.barcode import draw


@dataclass(frozen=True)
class Sound:
    """A tone beside the pictures, `start` and `seconds` in seconds on the pictures' clock."""

    codec: str = "aac"
    start: Fraction = Fraction(0)
    seconds: Fraction = Fraction(2)


@dataclass(frozen=True)
class Recipe:
    """How to encode: `times` are the frames' presentation times in seconds, the number drawn is the position in them.

    `last` is how long the last frame lasts; None leaves it to the muxer. `muxer` are options of the container format.
    """

    times: Sequence[Fraction]
    codec: str = "libx264"
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    muxer: Mapping[str, str] = field(default_factory=dict)
    time_base: Fraction = Fraction(1, 90_000)
    sound: Sound | None = None
    last: Fraction | None = None
    size: tuple[int, int] = (320, 180)


def steady(rate: Fraction | int, frames: int, start: Fraction | int = 0) -> list[Fraction]:
    """Presentation times of `frames` frames at a constant rate."""
    return [Fraction(start) + Fraction(i) / Fraction(rate) for i in range(frames)]


def encode(path: Path, recipe: Recipe) -> None:
    """Writes a clip; the file's suffix names the container."""
    width, height = recipe.size
    ticks = [round(time / recipe.time_base) for time in recipe.times]
    lasting = [b - a for a, b in pairwise(ticks)]
    usual = lasting[-1] if lasting else round(Fraction(1, 25) / recipe.time_base)
    lasting.append(usual if recipe.last is None else round(recipe.last / recipe.time_base))
    durations = dict(zip(ticks, lasting, strict=True))
    with av.open(str(path), "w", options=dict(recipe.muxer)) as container:
        stream = container.add_stream(recipe.codec, rate=_usual_rate(recipe.times), options=_quiet(recipe))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pixels
        stream.codec_context.time_base = recipe.time_base
        stream.time_base = recipe.time_base
        packets: list[av.Packet[Any]] = []
        audio = container.add_stream(recipe.sound.codec, rate=48_000, layout="mono") if recipe.sound else None
        for number, pts in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(draw(number, width, height), format="gray").reformat(
                format=recipe.pixels
            )
            frame.pts, frame.time_base = pts, recipe.time_base
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet in packets:
            packet.duration = durations[_time(packet.pts)]
        if isinstance(audio, av.AudioStream) and recipe.sound is not None:
            packets += _tone(audio, recipe.sound)
        packets.sort(key=lambda p: _time(p.dts if p.dts is not None else p.pts) * p.time_base)
        container.mux(packets)


def copy(
    source: Path,
    target: Path,
    *,
    start: Fraction = Fraction(0),
    rebase: bool = False,
    muxer: Mapping[str, str] | None = None,
) -> None:
    """Copies packets without encoding, as `ffmpeg -ss start -c copy` does: from the key frame before `start` on.

    That time becomes 0, and what lies before it is left to the container to hide; with `rebase`, the first frame's is 0.
    """
    with av.open(str(source)) as old, av.open(str(target), "w", options=dict(muxer or {})) as new:
        stream = old.streams.video[0]
        shift = round(start / _time_base(stream))
        old.seek(shift, stream=stream)
        copied = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.dts is not None]
        if rebase:
            shift = min(_time(packet.pts) for packet in packets)
        for packet in packets:
            packet.pts, packet.dts = _time(packet.pts) - shift, _time(packet.dts) - shift
            packet.stream = copied
            new.mux(packet)


def repeat_times(path: Path) -> None:
    """Copies a Matroska file so that every tenth frame has the time of the one before it."""
    source = path.with_name(f"once-{path.name}")
    path.rename(source)
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        before = 0
        for number, packet in enumerate(old.demux(stream)):
            if packet.pts is None:
                continue
            if number % 10 == 9:
                packet.pts = packet.dts = before
            before = packet.pts
            packet.stream = copied
            new.mux(packet)
    source.unlink()


def cut_off(path: Path) -> None:
    """Cuts away the last fifth of the file, as a broken upload does."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])


def turn(path: Path, rotation: int) -> None:
    """Writes into an MP4 file that its picture is to be shown turned clockwise by `rotation` degrees."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[rotation]
    struct.pack_into(">9i", data, at, a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def shorten_edit(path: Path, seconds: Fraction) -> None:
    """Cuts an MP4 file to its first `seconds` by its edit list alone; the samples after that stay in the file, hidden."""
    data = bytearray(path.read_bytes())
    timescale = struct.unpack_from(">I", data, data.index(b"mvhd") + 4 + 12)[0]
    duration = round(seconds * timescale)
    at = data.index(b"elst") + 4
    count = struct.unpack_from(">I", data, at + 4)[0]
    struct.pack_into(">I", data, at + 8 + (count - 1) * 12, duration)
    struct.pack_into(">I", data, data.index(b"tkhd") + 4 + 20, duration)
    struct.pack_into(">I", data, data.index(b"mvhd") + 4 + 16, duration)
    path.write_bytes(data)


def _tone(stream: av.AudioStream, sound: Sound) -> list[av.Packet[Any]]:
    count = int(sound.seconds * 48_000)
    wave = (0.1 * np.sin(np.arange(count) * (2 * np.pi * 440 / 48_000))).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
    packets = [*stream.encode(frame), *stream.encode(None)]
    for packet in packets:
        shift = round(sound.start / packet.time_base)
        packet.pts, packet.dts = _time(packet.pts) + shift, _time(packet.dts) + shift
    return packets


def _time(ticks: int | None) -> int:
    assert ticks is not None
    return ticks


def _time_base(stream: av.VideoStream) -> Fraction:
    assert stream.time_base is not None
    return stream.time_base


def _usual_rate(times: Sequence[Fraction]) -> Fraction:
    gaps = sorted(b - a for a, b in pairwise(times) if b > a)
    return Fraction(1) / gaps[len(gaps) // 2] if gaps else Fraction(25)


def _quiet(recipe: Recipe) -> dict[str, str]:
    fast = {
        "libx264": {"preset": "veryfast", "threads": "1"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
        "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
        "libvpx": {"cpu-used": "8", "deadline": "good"},
        "libsvtav1": {"preset": "8", "crf": "20", "svtav1-params": "lp=1"},
    }.get(recipe.codec, {})
    return {**fast, **recipe.options}

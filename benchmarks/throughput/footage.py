"""The video that is measured: real clips, repeated until they are long enough, and a drawn street in 720p."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

RATE = 25
Picture = NDArray[np.uint8]


def pictures_of(path: Path) -> Iterator[Picture]:
    """All frames as (h, w, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def encode(pictures: Iterable[Picture], path: Path, rate: int = RATE, gop: int = 250) -> Path:
    """As H.264 with x264's defaults at its `veryfast`."""
    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
                stream.height, stream.width, stream.pix_fmt = picture.shape[0], picture.shape[1], "yuv420p"
                stream.codec_context.gop_size = gop
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def repeated(source: Path, times: int, path: Path) -> Path:
    """`source` so many times in a row, its packets copied, so that start-up is not what is measured."""
    with av.open(str(path), "w") as target:
        copy: VideoStream | None = None
        shift = 0
        for _ in range(times):
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                if copy is None:
                    copy = target.add_stream_from_template(stream, opaque=True)  # for codecs that it cannot encode, too
                latest, step = 0, 1
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    latest = max(latest, packet.pts)
                    step = packet.duration or step
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = copy
                    target.mux(packet)
                shift += latest + step
    return path


def street(frames: int, width: int = 1280, height: int = 720, seed: int = 0) -> Iterator[Picture]:
    """A textured street under a little noise: somebody walks through it about half of the time, now and then a car."""
    rng = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (height, width, 3), dtype=np.uint8), (0, 0), 6)
    scene = np.interp(scene, (scene.min(), scene.max()), (40, 200)).astype(np.uint8)
    figures = [_figure(rng, width // 12, height // 2), _figure(rng, width // 4, height // 4)]
    noise = rng.normal(0, 2, (8, height, width, 1)).astype(np.int16).repeat(3, axis=3)
    for index in range(frames):
        picture = scene.copy()
        for figure, period, visible in ((figures[0], 400, 220), (figures[1], 530, 60)):
            at = index % period
            if at < visible:
                h, w = figure.shape[:2]
                left = int((width + w) * at / visible) - w
                top = height - h - 20
                inside = figure[:, max(-left, 0) : min(w, width - left)]
                picture[top : top + h, max(left, 0) : max(left, 0) + inside.shape[1]] = inside
        yield np.clip(picture + noise[index % 8], 0, 255).astype(np.uint8)


def _figure(rng: np.random.Generator, width: int, height: int) -> Picture:
    coarse = rng.integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def with_events(
    source: Path, segments: list[tuple[int, int, str]], length: int, path: Path, seed: int
) -> tuple[Path, list[int]]:
    """`source` with `length` frames of a busy segment cut hard into its empty ones; where each event begins.

    `segments`: (first, stop, label), with `empty` for what nothing happens in.
    """
    rng = np.random.default_rng(seed)
    pictures = list(pictures_of(source))
    busy = [(a, b) for a, b, label in segments if label != "empty"]
    events: list[int] = []
    changed = list(pictures)
    for first, stop, label in segments:
        at = first + int(rng.integers(4, 12))
        while label == "empty" and at + length + 3 < min(stop, len(pictures)):
            a, b = busy[int(rng.integers(len(busy)))]
            start = (a + b) // 2 + int(rng.integers(-(b - a) // 4, (b - a) // 4 + 1))
            changed[at : at + length] = pictures[start : start + length]
            events.append(at)
            at += int(rng.integers(18, 40))
    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate or Fraction(RATE)
    return encode(changed, path, rate=max(round(rate), 1)), events

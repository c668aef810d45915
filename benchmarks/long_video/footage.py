"""A video of many hours that is made in seconds: an encoded clip, its packets copied again and again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 160, 120, 2
_CLIP_SECONDS = 120


def long_video(path: Path, hours: float) -> Path:
    """Two frames a second of two animals that walk and rest on a mottled floor, in H.264 with reordered frames, a key frame every ten
    seconds."""
    clip = _clip(path.with_suffix(".clip.mp4"))
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        read = source.streams.video[0]
        write = target.add_stream_from_template(read)
        packets = [packet for packet in source.demux(read) if packet.size]
        base = read.time_base or Fraction(1, 1000)
        length = round(Fraction(_CLIP_SECONDS) / base)
        stamps = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for repeat in range(round(hours * 3600 / _CLIP_SECONDS)):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.pts, packet.dts, packet.stream = pts + repeat * length, dts + repeat * length, write
                packet.time_base = base
                target.mux(packet)
    clip.unlink()
    return path


def _clip(path: Path) -> Path:
    rng = np.random.default_rng(5)
    floor = cv2.resize(rng.integers(90, 160, (30, 40, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    places = rng.uniform((20, 20), (WIDTH - 20, HEIGHT - 20), (2, 2))
    options = {"preset": "veryfast", "bf": "2", "x264-params": "scenecut=0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 10 * RATE
        for at in range(_CLIP_SECONDS * RATE):
            picture = floor.copy()
            if at // 60 % 2:
                places += rng.normal(0, 4, places.shape)
            places = places.clip((10, 10), (WIDTH - 10, HEIGHT - 10))
            for number, (x, y) in enumerate(places):
                cv2.ellipse(picture, (int(x), int(y)), (9, 5), 40 * at % 180, 0, 360, (20, 30 + 60 * number, 40), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return path

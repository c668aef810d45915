"""A short real video of a red ball that rolls over a mottled floor, with the true box in every frame."""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

RATE, RADIUS = 25, 30


@dataclass(frozen=True)
class BoxedFilm:
    """`boxes`: (n, 4) left, top, width, height of the ball in pixels of the picture as it is coded; `size`: (width, height)."""

    path: Path
    size: tuple[int, int]
    boxes: NDArray[np.float64]


def boxed_film(
    path: Path,
    size: tuple[int, int] = (480, 270),
    seconds: float = 6.0,
    *,
    ball: bool = True,
    moving: bool = True,
    blurred: Collection[int] = (),
    dark: Collection[int] = (),
) -> BoxedFilm:
    """`moving`: whether the ball rolls. `blurred`, `dark`: frames that are out of focus, or of a covered lens. WebM where sides are
    odd."""
    width, height = size
    rng = np.random.default_rng(3)
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 2)
    floor = np.clip(135 + 22 * mottled / mottled.std(), 0, 255).astype(np.uint8)
    count = round(seconds * RATE)
    boxes = []
    with av.open(str(path), "w") as container:
        codec, options = (
            ("libx264", {"crf": "18", "preset": "veryfast"}) if path.suffix == ".mp4" else ("libvpx-vp9", _VP9)
        )
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            share = index / count if moving else 0.5
            x = round(RADIUS + 5 + share * (width - 2 * RADIUS - 10))
            y = round(height / 2 + (height / 2 - RADIUS - 5) * np.sin(3 * share))
            picture = floor.copy()
            if ball:
                cv2.circle(picture, (x, y), RADIUS, (200, 40, 30), -1, cv2.LINE_AA)
            boxes.append((x - RADIUS, y - RADIUS, 2 * RADIUS + 1, 2 * RADIUS + 1))
            if index in blurred:
                picture = cv2.GaussianBlur(picture, (0, 0), 8)
            if index in dark:
                picture = picture // 20
            noise = rng.normal(0, 1.5, picture.shape) if moving else 0.0
            shown = np.clip(picture + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode(None))
    return BoxedFilm(path, size, np.array(boxes, np.float64))


_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}


def turn(path: Path) -> None:
    """Has an MP4 be shown turned by a quarter clockwise, as phones film upright."""
    content = bytearray(path.read_bytes())
    # Behind the kind of the box, of version 0: nine numbers of 32 bits.
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)

"""Short real videos whose every frame has a known label, drawn and encoded on the spot.

A street seen by a fixed camera: it is clear, a ball bounces through it, or a car drives along it. The frame index is
drawn into each picture twice: as a number for people, and as a strip of black and white cells that `read_index` reads
back, so that a test can tell which picture a player shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
LABELS = ("clear", "ball", "car")
_CELL = 14  # pixels; larger than an encoder's block, so that no cell is lost in compression
_CELLS = 16  # twelve bits of the index, four of its check sum


@dataclass(frozen=True)
class Clip:
    """A video and the truth about it: `labels[i]` holds for frame index i."""

    path: Path
    fps: Fraction
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    """What a clip shows: segments of (label, frames), in order, under a camera and light of its own (`seed`)."""

    name: str
    fps: int
    segments: tuple[tuple[str, int], ...]
    seed: int


SCRIPTS = (
    Script(
        "street-1.mp4",
        25,
        (("clear", 90), ("ball", 140), ("clear", 60), ("car", 170), ("clear", 75), ("ball", 100), ("car", 65)),
        1,
    ),
    Script("street-2.mp4", 30, (("car", 150), ("clear", 120), ("ball", 180), ("car", 90), ("clear", 150)), 2),
    Script(
        "street-3.mp4", 25, (("ball", 110), ("car", 95), ("clear", 130), ("ball", 75), ("clear", 85), ("car", 180)), 3
    ),
    Script(
        "street-4.mp4", 25, (("clear", 160), ("car", 80), ("ball", 125), ("clear", 100), ("car", 110), ("ball", 50)), 4
    ),
)


def make_clips(folder: Path, scripts: Sequence[Script] = SCRIPTS) -> list[Clip]:
    """Encodes each script as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps` and `segments`: [label, first frame index, last frame index], the last
    one included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for script in scripts:
        path = folder / script.name
        if not path.exists():
            partial = path.with_suffix(".part.mp4")
            _encode(partial, script)
            partial.replace(path)
        labels = tuple(label for label, frames in script.segments for _ in range(frames))
        clips.append(Clip(path, Fraction(script.fps), labels))
    truth = {script.name: {"fps": script.fps, "segments": _segments(script)} for script in scripts}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return clips


def read_index(picture: NDArray[np.uint8]) -> int | None:
    """The frame index drawn into a picture (height, width, 3) at any scale; None when the strip is not there or
    damaged."""
    height, width = picture.shape[:2]
    y = round((HEIGHT - _CELL / 2) / HEIGHT * height)
    xs = [round((cell + 0.5) * _CELL / WIDTH * width) for cell in range(_CELLS)]
    bits = [int(picture[y - 1 : y + 2, x - 1 : x + 2].mean() > 127) for x in xs]
    number = int("".join(map(str, bits)), 2)
    index, check = number >> 4, number & 15
    return index if check == _check_sum(index) else None


def _segments(script: Script) -> list[tuple[str, int, int]]:
    segments, first = [], 0
    for label, frames in script.segments:
        segments.append((label, first, first + frames - 1))
        first += frames
    return segments


def _encode(path: Path, script: Script) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=script.fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "g": str(2 * script.fps)}
        for picture in _pictures(script):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(script: Script) -> Iterator[NDArray[np.uint8]]:
    random = np.random.default_rng(script.seed)
    street = _street(random)
    grains = [np.repeat(random.normal(0, 3, (HEIGHT, WIDTH, 1)), 3, axis=2).astype(np.int16) for _ in range(8)]
    index = 0
    for label, frames in script.segments:
        start, speed = random.uniform(0, 2), random.uniform(0.006, 0.012)
        for step in range(frames):
            light = 1 + 0.04 * np.sin(index / 40)
            lit = cv2.convertScaleAbs(street, alpha=light)
            picture = np.asarray(cv2.add(lit, grains[random.integers(8)], dtype=cv2.CV_8U), np.uint8)
            position = abs((start + speed * step) % 2 - 1)  # there and back again
            if label == "ball":
                _draw_ball(picture, position)
            elif label == "car":
                _draw_car(picture, position)
            _draw_index(picture, index)
            yield picture
            index += 1


def _street(random: np.random.Generator) -> NDArray[np.float32]:
    """Sky, houses and a road; each camera has other houses and another light."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    picture[:150] = (150, 175, 200)
    picture[150:] = (105, 105, 108)
    left = 0
    while left < WIDTH:
        width = int(random.integers(50, 110))
        top = int(random.integers(50, 110))
        picture[top:150, left : left + width] = np.array((140, 125, 110)) + random.uniform(-20, 20, 3)
        left += width
    for x in range(20, WIDTH, 90):
        picture[262:268, x : x + 45] = (200, 200, 195)
    return np.asarray(picture * random.uniform(0.9, 1.1), np.float32)


def _draw_ball(picture: NDArray[np.uint8], position: float) -> None:
    x = round(240 + position * 160)
    y = round(200 - 40 * abs(np.sin(position * 4 * np.pi)))
    cv2.circle(picture, (x, y), 140, (225, 60, 20), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (x, y), (140, 45), 20, 0, 360, (250, 215, 60), -1, cv2.LINE_AA)


def _draw_car(picture: NDArray[np.uint8], position: float) -> None:
    x = round(60 + position * 240)
    cv2.rectangle(picture, (x, 195), (x + 280, 275), (25, 50, 190), -1)
    cv2.rectangle(picture, (x + 60, 145), (x + 215, 195), (25, 50, 190), -1)
    cv2.rectangle(picture, (x + 75, 155), (x + 200, 193), (190, 220, 235), -1)
    for wheel in (x + 60, x + 220):
        cv2.circle(picture, (wheel, 278), 32, (15, 15, 15), -1, cv2.LINE_AA)


def _draw_index(picture: NDArray[np.uint8], index: int) -> None:
    cv2.putText(picture, str(index), (WIDTH - 110, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (20, 20, 20), 3, cv2.LINE_AA)
    number = index << 4 | _check_sum(index)
    for cell in range(_CELLS):
        shade = 255 if number >> (_CELLS - 1 - cell) & 1 else 0
        picture[HEIGHT - _CELL :, cell * _CELL : (cell + 1) * _CELL] = shade


def _check_sum(index: int) -> int:
    # 5 is added so that an all-black strip is not the index 0
    return (index + (index >> 4) + (index >> 8) + 5) & 15

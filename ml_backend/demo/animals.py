"""Short real videos of animals in a pen, drawn and encoded on the spot, and the true box of each in every frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 360, 25
# Drawn at so many times the size and made smaller, so that edges are smooth and boxes known to a part of a pixel.
_SHIFT = 16
_COATS = ((205, 70, 50), (45, 80, 200), (235, 235, 225))

Floats = NDArray[np.float64]
Way = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Pen:
    """What a clip shows: so many animals for so many seconds, each on a way of its own (`seed`)."""

    name: str
    animals: int
    seconds: int
    seed: int


PENS = (Pen("pen-1.mp4", 2, 12, 4), Pen("pen-2.mp4", 3, 12, 11), Pen("pen-3.mp4", 1, 10, 7))


@dataclass(frozen=True, eq=False)
class PenClip:
    """A video and the truth about it: `boxes` (animals, frames, 4), left, top, width, height in percent of the picture."""

    path: Path
    fps: Fraction
    boxes: Floats


def make_pens(folder: Path, pens: Sequence[Pen] = PENS) -> list[PenClip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps` and `boxes`: of each animal a box for each frame, in percent of the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for pen in pens:
        path, boxes = folder / pen.name, true_boxes(pen)
        if not path.exists():
            partial = path.with_suffix(".part.mp4")
            _encode(partial, pen)
            partial.replace(path)
        clips.append(PenClip(path, Fraction(FPS), boxes))
        truth[pen.name] = {"fps": FPS, "boxes": boxes.round(3).tolist()}
    (folder / "truth.json").write_text(json.dumps(truth))
    return clips


def true_boxes(pen: Pen) -> Floats:
    """(animals, frames, 4) in percent of the picture."""
    ways = _ways(pen)
    found = np.array([[_box(_placed(way, at / FPS)) for at in range(pen.seconds * FPS)] for way in ways])
    return np.asarray(100 * found / (WIDTH, HEIGHT, WIDTH, HEIGHT), np.float64)


@dataclass(frozen=True)
class _Place:
    """Where an animal is, in pixels, and where it looks, in radians. `long`, `high`: half of its body."""

    x: float
    y: float
    heading: float
    long: float = 36.0
    high: float = 18.0


def _encode(path: Path, pen: Pen) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "g": str(2 * FPS)}
        for picture in _pictures(pen):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(pen: Pen) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(pen.seed)
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 4)[..., None]
    floor = np.array((150, 140, 120), np.float32) + 9 * mottled / mottled.std()
    cv2.circle(floor, (90, 80), 34, (120, 125, 140), -1, cv2.LINE_AA)
    grains = [rng.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(6)]
    ways = _ways(pen)
    for index in range(pen.seconds * FPS):
        picture = floor.copy()
        for way, coat in zip(ways, _COATS, strict=False):
            _draw(picture, _placed(way, index / FPS), coat)
        yield np.clip(picture + grains[index % len(grains)], 0, 255).astype(np.uint8)


def _ways(pen: Pen) -> list[Way]:
    """Each in a part of the pen, from which it makes detours."""
    rng = np.random.default_rng(pen.seed + 1000)
    return [
        _way((number + 0.5) / pen.animals, rng.uniform(6, 11, 4), rng.uniform(0, 6.3, 4))
        for number in range(pen.animals)
    ]


def _way(middle: float, periods: Floats, phases: Floats) -> Way:
    def way(at: float) -> tuple[float, float]:
        turns = np.sin(2 * np.pi * at / periods + phases)
        x = WIDTH * (0.15 + 0.7 * middle + 0.1 * turns[0] + 0.03 * turns[1])
        return float(x), float(HEIGHT * (0.5 + 0.26 * turns[2] + 0.06 * turns[3]))

    return way


def _placed(way: Way, at: float) -> _Place:
    (x, y), (next_x, next_y) = way(at), way(at + 0.04)
    return _Place(x, y, float(np.arctan2(next_y - y, next_x - x)))


def _draw(picture: NDArray[np.float32], place: _Place, coat: tuple[int, int, int]) -> None:
    middle = (round(place.x * _SHIFT), round(place.y * _SHIFT))
    axes = (round(place.long * _SHIFT), round(place.high * _SHIFT))
    head_x, head_y, radius = _head(place)
    cv2.ellipse(picture, middle, axes, np.degrees(place.heading), 0, 360, coat, -1, cv2.LINE_AA, 4)
    head = (round(head_x * _SHIFT), round(head_y * _SHIFT))
    cv2.circle(picture, head, round(radius * _SHIFT), coat, -1, cv2.LINE_AA, 4)


def _head(place: _Place) -> tuple[float, float, float]:
    """Its middle and its radius."""
    x = place.x + 0.95 * place.long * np.cos(place.heading)
    y = place.y + 0.95 * place.long * np.sin(place.heading)
    return float(x), float(y), 0.62 * place.high


def _box(place: _Place) -> tuple[float, float, float, float]:
    """Left, top, width, height in pixels: of a turned ellipse, and of the head at its end."""
    cos, sin = np.cos(place.heading), np.sin(place.heading)
    across, down = np.hypot(place.long * cos, place.high * sin), np.hypot(place.long * sin, place.high * cos)
    x, y, radius = _head(place)
    left, right = min(place.x - across, x - radius), max(place.x + across, x + radius)
    top, bottom = min(place.y - down, y - radius), max(place.y + down, y + radius)
    return float(left), float(top), float(right - left), float(bottom - top)

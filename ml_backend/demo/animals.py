"""Short real videos of mice in an open field, drawn and encoded on the spot, and the true box of each in every frame: around all of it
but its tail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.drawing import (
    Blob,
    Box,
    Camera,
    Color,
    Floats,
    cast_shadow,
    encode,
    extent,
    mottled,
    paint,
    vignette,
)
from ml_backend.demo.mice import Place, from_above

WIDTH, HEIGHT, FPS = 640, 360, 25
_COATS: tuple[Color, ...] = ((176, 112, 64), (246, 243, 236), (46, 44, 46))

Boxes = NDArray[np.float64]
Way = Callable[[float], tuple[float, float]]
ACTS = ("walk", "rest")
_Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Pen:
    """What a clip shows: so many animals for so many seconds, each on a way of its own (`seed`).

    `rests`: of each animal the spans, from and to in seconds, in which it stays where it is; without it, all walk all the time.
    """

    name: str
    animals: int
    seconds: int
    seed: int
    rests: tuple[tuple[tuple[float, float], ...], ...] = ()


PENS = (Pen("pen-1.mp4", 2, 12, 4), Pen("pen-2.mp4", 3, 12, 11), Pen("pen-3.mp4", 1, 10, 7))
# Each of two has pauses of its own.
PAIRS = (
    Pen("box-1.mp4", 2, 9, 21, (((1.6, 4.0), (6.4, 8.4)), ((0.0, 1.8), (4.6, 7.0)))),
    Pen("box-2.mp4", 2, 9, 22, (((0.0, 2.0), (5.0, 7.4)), ((2.8, 5.2), (7.2, 9.0)))),
)


@dataclass(frozen=True, eq=False)
class PenClip:
    """A video and the truth about it: `boxes` (animals, frames, 4), left, top, width, height in percent of the picture; `acts`: of each
    animal one of ACTS for each frame."""

    path: Path
    fps: Fraction
    boxes: Boxes
    acts: tuple[tuple[str, ...], ...] = ()


def make_pens(folder: Path, pens: Sequence[Pen] = PENS) -> list[PenClip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps`, `boxes`: of each animal a box for each frame, in percent of the picture, and `rests`:
    of each animal the spans in which it stays where it is, in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for pen in pens:
        path, boxes = folder / pen.name, true_boxes(pen)
        encode(path, Fraction(FPS), _pictures(pen))
        clips.append(PenClip(path, Fraction(FPS), boxes, true_acts(pen)))
        truth[pen.name] = {"fps": FPS, "boxes": boxes.round(3).tolist(), "rests": list(_rests(pen))}
    (folder / "truth.json").write_text(json.dumps(truth))
    return clips


def true_boxes(pen: Pen) -> Boxes:
    """(animals, frames, 4) in percent of the picture."""
    ways = zip(_ways(pen), _rests(pen), strict=True)
    found = [[_box(_placed(way, _walked(rests, at / FPS))) for at in range(pen.seconds * FPS)] for way, rests in ways]
    pixels = np.array(found, np.float64).reshape(pen.animals, pen.seconds * FPS, 4)
    return 100 * pixels / np.array((WIDTH, HEIGHT, WIDTH, HEIGHT), np.float64)


def true_acts(pen: Pen) -> tuple[tuple[str, ...], ...]:
    """Of each animal one of ACTS for each frame."""

    def act(rests: _Spans, at: float) -> str:
        return ACTS[int(any(start <= at < end for start, end in rests))]

    return tuple(tuple(act(rests, number / FPS) for number in range(pen.seconds * FPS)) for rests in _rests(pen))


def _rests(pen: Pen) -> tuple[_Spans, ...]:
    return pen.rests or ((),) * pen.animals


def _walked(rests: _Spans, at: float) -> float:
    """How long an animal has walked by then, in seconds."""
    return at - sum(max(min(at, end) - start, 0.0) for start, end in rests)


def _pictures(pen: Pen) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(pen.seed)
    camera = Camera(_field(rng), rng)
    ways = list(zip(_ways(pen), _rests(pen), strict=True))
    for number in range(pen.seconds * FPS):
        places = [_placed(way, _walked(rests, number / FPS)) for way, rests in ways]

        def draw(scene: Floats, places: Sequence[Place] = places) -> None:
            for place in places:
                cast_shadow(scene, (place.x + 3, place.y + 4), (30, 25), 0.22)
            for place, coat in zip(places, _COATS, strict=False):
                tail, body = from_above(place, coat)
                paint(scene, [*tail, *body])

        xs, ys = [place.x for place in places] or [0.0], [place.y for place in places] or [0.0]
        yield camera.picture(number, (min(xs) - 90, min(ys) - 90, max(xs) + 90, max(ys) + 90), draw)


def _field(rng: np.random.Generator) -> Floats:
    """A floor with a nest of wood wool and a bowl, inside of walls."""
    floor = mottled(rng, (HEIGHT, WIDTH), (84, 106, 132), {1.0: 5, 4: 4, 30: 4})
    nest = rng.normal((88, 80), (22, 18), (260, 2))
    for x, y in nest:
        turned, long = rng.uniform(0, np.pi), rng.uniform(6, 16)
        start, end = ((round(x + s * long * np.cos(turned)), round(y + s * long * np.sin(turned))) for s in (-1, 1))
        cv2.line(floor, start, end, (np.array((214, 192, 150)) * rng.uniform(0.7, 1.05)).tolist(), 1, cv2.LINE_AA)
    bowl = WIDTH - 70.0, HEIGHT - 66.0
    cast_shadow(floor, (bowl[0] + 4, bowl[1] + 5), (34, 32), 0.5)
    paint(
        floor, [Blob(bowl, (26, 26), (96, 116, 140)), Blob((bowl[0] + 1, bowl[1] + 1), (19, 19), (52, 44, 34), fur=1)]
    )
    for depth in range(14):
        light = 0.5 + 0.03 * depth
        cv2.rectangle(
            floor, (depth, depth), (WIDTH - 1 - depth, HEIGHT - 1 - depth), (light * 190, light * 196, light * 204), 1
        )
    vignette(floor)
    return floor


def _ways(pen: Pen) -> list[Way]:
    """Each in a part of the pen, from which it makes detours."""
    rng = np.random.default_rng(pen.seed + 1000)
    return [
        _way((number + 0.5) / pen.animals, rng.uniform(6, 11, 4), rng.uniform(0, 6.3, 4))
        for number in range(pen.animals)
    ]


def _way(middle: float, periods: Boxes, phases: Boxes) -> Way:
    def way(at: float) -> tuple[float, float]:
        turns = np.sin(2 * np.pi * at / periods + phases)
        x = WIDTH * (0.15 + 0.7 * middle + 0.1 * turns[0] + 0.03 * turns[1])
        return float(x), float(HEIGHT * (0.5 + 0.26 * turns[2] + 0.06 * turns[3]))

    return way


def _placed(way: Way, at: float) -> Place:
    (x, y), (next_x, next_y) = way(at), way(at + 0.04)
    return Place(x, y, float(np.arctan2(next_y - y, next_x - x)), 2 * np.pi * 2.2 * at)


def _box(place: Place) -> Box:
    """Left, top, width, height in pixels."""
    _, body = from_above(place, _COATS[0])
    left, top, right, bottom = extent(body)
    return left, top, right - left, bottom - top

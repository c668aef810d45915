"""Short real videos of a road from above, drawn and encoded on the spot: cars and trucks cross, and the box of each is known in
every frame.

The camera is a slow one, as those above roads are, and the road is a narrow part of what it sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.clips import Clip
from ml_backend.demo.drawing import (
    Blob,
    Camera,
    Color,
    Floats,
    Panel,
    Part,
    cast_shadow,
    encode,
    mottled,
    paint,
    vignette,
)

WIDTH, HEIGHT, FPS = 480, 270, 15
LABELS = ("quiet", "busy")
KINDS = ("car", "truck")
BUSY = 2  # so many vehicles in view at once
ROAD = (0, 35, 100, 32)  # left, top, width, height in percent: what `roi` should be
_LANES = (118.0, 158.0)  # where vehicles go to the right, and to the left
_SIZES = {"car": (48.0, 21.0), "truck": (112.0, 28.0)}
_PAINTS: tuple[Color, ...] = ((186, 44, 40), (222, 224, 226), (44, 78, 150), (40, 42, 46), (196, 160, 60))


@dataclass(frozen=True)
class Vehicle:
    """`enters`: when its front comes into the picture, in seconds; `lane`: 0 goes to the right, 1 to
    the left; `speed` in pixels a second."""

    kind: str
    enters: float
    lane: int
    speed: float = 150.0


@dataclass(frozen=True)
class RoadScript:
    """What a clip shows, for so many seconds; `seed`: what the place and the vehicles look like."""

    name: str
    seconds: float
    vehicles: tuple[Vehicle, ...]
    seed: int


SCRIPTS = (
    RoadScript(
        "road-1.mp4",
        12,
        (
            Vehicle("car", 0.6, 0),
            Vehicle("truck", 5.0, 0, 135),
            Vehicle("car", 5.4, 1),
            Vehicle("car", 7.0, 1),
        ),
        1,
    ),
    RoadScript(
        "road-2.mp4",
        12,
        (
            Vehicle("car", 0.1, 1, 160),
            Vehicle("truck", 0.3, 0, 140),
            Vehicle("car", 1.7, 1, 160),
            Vehicle("truck", 6.8, 1, 140),
        ),
        2,
    ),
    RoadScript(
        "road-3.mp4",
        12,
        (
            Vehicle("car", 1.0, 1, 145),
            Vehicle("truck", 5.6, 0, 140),
            Vehicle("car", 6.0, 1, 145),
            Vehicle("car", 7.4, 1, 145),
        ),
        3,
    ),
)


@dataclass(frozen=True, eq=False)
class RoadClip(Clip):
    """`vehicles`: of each its kind and its boxes (frames, 4), left, top, width, height in percent, nan where it is out of sight."""

    vehicles: tuple[tuple[str, NDArray[np.float64]], ...]


def make_roads(folder: Path, scripts: Sequence[RoadScript] = SCRIPTS) -> list[RoadClip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps`, its `vehicles`: the kind of each and when its middle passes that of the picture, in
    seconds, and `busy`: runs of frame indices in which two or more are in view.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for script in scripts:
        path = folder / script.name
        encode(path, Fraction(FPS), _pictures(script))
        boxes = tuple((each.kind, true_boxes(script, each)) for each in script.vehicles)
        seen = np.zeros(round(script.seconds * FPS), int) + sum(~np.isnan(box[:, 0]) for _, box in boxes)
        labels = tuple(LABELS[int(count >= BUSY)] for count in seen.tolist())
        clips.append(RoadClip(path, Fraction(FPS), labels, boxes))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], seen >= BUSY, [0])).astype(int)))
        truth[script.name] = {
            "fps": FPS,
            "vehicles": [[each.kind, round(_passes(each), 2)] for each in script.vehicles],
            "busy": [[int(first), int(end) - 1] for first, end in edges.reshape(-1, 2)],
        }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return clips


def true_boxes(script: RoadScript, vehicle: Vehicle) -> NDArray[np.float64]:
    """(frames, 4) in percent of the picture, cut off at its rim; nan where less than a tenth of the vehicle is in it."""
    long, wide = _SIZES[vehicle.kind]
    middles = np.array([_middle(vehicle, number / FPS) for number in range(round(script.seconds * FPS))])
    left, right = np.clip(middles - long / 2, 0, WIDTH), np.clip(middles + long / 2, 0, WIDTH)
    top = np.full_like(left, _LANES[vehicle.lane] - wide / 2)
    boxes = np.stack((left / WIDTH, top / HEIGHT, (right - left) / WIDTH, np.full_like(left, wide / HEIGHT)), axis=1)
    boxes[right - left < long / 10] = np.nan
    return np.asarray(100 * boxes, np.float64)


def _middle(vehicle: Vehicle, at: float) -> float:
    """How far from the left its middle is, in pixels."""
    gone = (at - vehicle.enters) * vehicle.speed - _SIZES[vehicle.kind][0] / 2
    return gone if vehicle.lane == 0 else WIDTH - gone


def _passes(vehicle: Vehicle) -> float:
    return vehicle.enters + (WIDTH / 2 + _SIZES[vehicle.kind][0] / 2) / vehicle.speed


def _pictures(script: RoadScript) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(script.seed)
    camera = Camera(_place(rng), rng)
    colors = [_PAINTS[int(each)] for each in rng.integers(len(_PAINTS), size=len(script.vehicles))]
    for number in range(round(script.seconds * FPS)):
        at = number / FPS

        def draw(scene: Floats, at: float = at) -> None:
            for vehicle, color in zip(script.vehicles, colors, strict=True):
                long, wide = _SIZES[vehicle.kind]
                middle = _middle(vehicle, at)
                if -long < middle < WIDTH + long:
                    lane = _LANES[vehicle.lane]
                    cast_shadow(scene, (middle + 3, lane + 5), (long * 0.5, wide * 0.55), 0.5)
                    paint(scene, _parts(vehicle, middle, lane, color))

        yield camera.picture(number, (0, _LANES[0] - 40, WIDTH, _LANES[1] + 40), draw)


def _parts(vehicle: Vehicle, middle: float, lane: float, color: Color) -> list[Part]:
    long, wide = _SIZES[vehicle.kind]
    ahead = 1 if vehicle.lane == 0 else -1

    def block(start: float, end: float, half: float, color: Color) -> Panel:
        """From `start` to `end` of its length, counted from its tail."""
        one, other = (middle + ahead * long * (share - 0.5) for share in (start, end))
        left, right = min(one, other), max(one, other)
        shade = (color[0] * 0.78, color[1] * 0.78, color[2] * 0.78)
        return Panel(
            ((left, lane - half), (right, lane - half), (right, lane + half), (left, lane + half)), color, shade
        )

    half, glass = wide / 2, (58.0, 72.0, 84.0)
    if vehicle.kind == "truck":
        return [
            block(0.0, 0.76, half, (226, 224, 214)),
            block(0.8, 1.0, half * 0.94, color),
            block(0.93, 0.97, half * 0.8, glass),
        ]
    return [
        block(0.04, 0.97, half, color),
        Blob((middle + ahead * long * 0.44, lane), (long * 0.08, half * 0.9), color),
        block(0.16, 0.26, half * 0.76, glass),
        block(
            0.28, 0.6, half * 0.74, (min(color[0] * 1.12, 255), min(color[1] * 1.12, 255), min(color[2] * 1.12, 255))
        ),
        block(0.62, 0.74, half * 0.78, glass),
    ]


def _place(rng: np.random.Generator) -> Floats:
    """Grass, trees, and a road of two lanes."""
    picture = mottled(rng, (HEIGHT, WIDTH), (104, 124, 78), {1.2: 8, 6: 6, 40: 7})
    top, bottom = int(_LANES[0] - 24), int(_LANES[1] + 24)
    road = mottled(rng, (bottom - top, WIDTH), (112, 112, 114), {0.8: 4, 20: 3})
    picture[top:bottom] = road
    for edge in (top + 3, bottom - 4):
        cv2.line(picture, (0, edge), (WIDTH, edge), (206, 206, 200), 2, cv2.LINE_AA)
    middle = round(sum(_LANES) / 2)
    for x in range(int(rng.integers(0, 30)), WIDTH, 44):
        cv2.line(picture, (x, middle), (x + 22, middle), (214, 212, 204), 2, cv2.LINE_AA)
    for side in (-1, 1):
        for x in np.sort(rng.uniform(0, WIDTH, 9)):
            y = (top - rng.uniform(34, 80)) if side < 0 else (bottom + rng.uniform(34, 70))
            size = rng.uniform(13, 24)
            cast_shadow(picture, (x + 5, y + 7), (size, size), 0.4)
            green = (58 + rng.uniform(-8, 14), 92 + rng.uniform(-10, 14), 50)
            paint(picture, [Blob((float(x), float(y)), (float(size), float(size)), green, fur=1)])
    vignette(picture)
    return np.asarray(picture * rng.uniform(0.94, 1.05), np.float32)

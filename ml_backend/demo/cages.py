"""Short real videos of a mouse in its cage, drawn and encoded on the spot: what it does in each frame is known, and by which
light it was filmed.

What it does is told apart by nothing but movement. One mouse does nothing but rest, and one camera takes 12.5 pictures a second.
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
    Point,
    cast_shadow,
    encode,
    extent,
    mottled,
    paint,
    vignette,
)
from ml_backend.demo.mice import Pose, from_the_side

WIDTH, HEIGHT = 640, 360
LABELS = ("walk", "rest")
LIGHTS = ("day", "night")
CONFIG = """<View>
  <TimelineLabels name="does" toName="video">
    <Label value="walk" background="#0072B2"/>
    <Label value="rest" background="#E69F00"/>
  </TimelineLabels>
  <Choices name="light" toName="video" choice="single" layout="inline">
    <Choice value="day"/>
    <Choice value="night"/>
  </Choices>
  <Choices name="reviewed" toName="video" choice="multiple" layout="inline">
    <Choice value="reviewed" hint="I have looked at the whole timeline: where there is no label, none holds."/>
  </Choices>
  <Video name="video" value="$video" framerate="$fps" height="420" timelineHeight="200"/>
</View>"""
_GROUND = 300.0  # where its feet are
_LEFT, _RIGHT = 36.0, 604.0  # how far its nose goes
_COATS: tuple[Color, ...] = ((122, 93, 70), (206, 202, 194), (74, 70, 70), (168, 138, 104), (104, 84, 72))


@dataclass(frozen=True)
class CageScript:
    """What a clip shows: segments of (label, seconds), in order, in a cage of its own (`seed`), by `light`: one of LIGHTS."""

    name: str
    fps: Fraction
    light: str
    segments: tuple[tuple[str, float], ...]
    seed: int


SCRIPTS = (
    CageScript(
        "mouse-1.mp4",
        Fraction(25),
        "day",
        (("walk", 3.6), ("rest", 3.2), ("walk", 2.8), ("rest", 2.6), ("walk", 3), ("rest", 2.8)),
        1,
    ),
    CageScript(
        "mouse-2.mp4",
        Fraction(30),
        "night",
        (("rest", 2.8), ("walk", 3.4), ("rest", 3.4), ("walk", 2.6), ("rest", 2.4), ("walk", 3)),
        2,
    ),
    CageScript("mouse-3.mp4", Fraction(25), "day", (("rest", 3), ("walk", 4.2), ("rest", 3.6), ("walk", 3.2)), 3),
    CageScript("mouse-4.mp4", Fraction(25, 2), "night", (("walk", 4), ("rest", 4.4), ("walk", 3.6), ("rest", 4)), 4),
    CageScript("mouse-5.mp4", Fraction(25), "day", (("rest", 12),), 5),
)


def make_cages(folder: Path, scripts: Sequence[CageScript] = SCRIPTS) -> list[Clip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps`, `light`, and `segments`: [label, first frame index, last frame index], the
    last one included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for script in scripts:
        path = folder / script.name
        encode(path, script.fps, _pictures(script))
        spans = list(_spans(script))
        labels = tuple(label for label, first, last in spans for _ in range(first, last + 1))
        clips.append(Clip(path, script.fps, labels))
        truth[script.name] = {"fps": float(script.fps), "light": script.light, "segments": spans}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return clips


def _spans(script: CageScript) -> Iterator[tuple[str, int, int]]:
    first = 0
    for label, seconds in script.segments:
        count = round(seconds * script.fps)
        yield label, first, first + count - 1
        first += count


def _pictures(script: CageScript) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(script.seed)
    night = script.light == "night"
    camera = Camera(_cage(rng), rng, 2.5 if night else 2.0, _by_infrared if night else None)
    coat, size = _COATS[script.seed % len(_COATS)], float(rng.uniform(1.05, 1.2))
    for number, pose in enumerate(_poses(script, rng)):
        parts = from_the_side(pose, coat, size)

        def draw(scene: Floats, pose: Pose = pose, parts: Sequence[Part] = parts) -> None:
            cast_shadow(scene, (pose.x + 30 * pose.facing, _GROUND + 3), (80, 11))
            paint(scene, parts)

        left, top, right, bottom = extent(parts)
        yield camera.picture(number, (left - 80, top, right + 80, bottom + 20), draw)


def _poses(script: CageScript, rng: np.random.Generator) -> Iterator[Pose]:
    """One for each frame."""
    fps, x, facing, step = float(script.fps), float(rng.uniform(220, 420)), int(rng.choice((-1, 1))), 0.0
    speed = float(rng.uniform(95, 115))
    for label, first, last in _spans(script):
        for number in range(first, last + 1):
            if label == "walk":
                if not _LEFT < x + 118 * facing < _RIGHT:
                    facing = -facing
                x += facing * speed / fps
                step += 2 * np.pi * 2.4 / fps
            yield Pose(x, _GROUND, facing, 0.0, step if label == "walk" else None, 2 * np.pi * 2 * number / fps)


def _cage(rng: np.random.Generator) -> Floats:
    """A wall, bedding, a hut and a bottle behind glass; each cage has other places for them."""
    wall = mottled(rng, (HEIGHT, WIDTH), (178, 184, 186), {40: 5, 3: 1})
    wall *= np.linspace(0.82, 1.08, HEIGHT, dtype=np.float32)[:, None, None]
    bedding = mottled(rng, (HEIGHT, WIDTH), (196, 172, 132), {1.2: 15, 5: 9, 24: 6})
    edge = 270 + 4 * np.sin(np.arange(WIDTH) / rng.uniform(30, 60)) + 2 * np.sin(np.arange(WIDTH) / 9)
    below = np.clip(np.arange(HEIGHT)[:, None] - edge + 0.5, 0, 1)[..., None].astype(np.float32)
    picture = np.asarray(wall + below * (bedding - wall), np.float32)
    hut, wheel, bottle = rng.permutation((100, 320, 540)).tolist()
    _draw_wheel(picture, (wheel, 196.0), 84.0, rng.uniform(0, 1))
    cast_shadow(picture, (hut, 278), (80, 12), 0.5)
    paint(picture, [Blob((hut, 276), (62, 74), (150, 62, 52)), Blob((hut + 9, 280), (25, 40), (46, 22, 22))])
    picture[276:] = np.asarray(wall + below * (bedding - wall), np.float32)[276:]
    paint(
        picture,
        [
            Panel(((bottle - 17, 20), (bottle + 17, 20), (bottle + 17, 104), (bottle - 17, 104)), (206, 222, 232), (150, 180, 205)),
            Panel(((bottle - 17, 104), (bottle + 17, 104), (bottle + 11, 122), (bottle - 11, 122)), (60, 64, 70)),
            Panel(((bottle - 4, 122), (bottle + 4, 122), (bottle + 3, 168), (bottle - 3, 168)), (205, 208, 212), (140, 144, 150)),
            Panel(((bottle - 12, 26), (bottle - 7, 26), (bottle - 7, 98), (bottle - 12, 98)), (240, 246, 250)),
        ],
    )  # fmt: skip
    for x in (26, WIDTH - 26):
        cv2.line(picture, (x, 0), (x, HEIGHT), (222, 228, 230), 3, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (WIDTH, 12), (92, 98, 104), -1)
    vignette(picture, 0.3)
    return np.asarray(picture * rng.uniform(0.94, 1.04), np.float32)


def _draw_wheel(picture: Floats, axle: Point, radius: float, turned: float) -> None:
    x, y = axle
    feet = [((x + side * 5, y), (x + side * 14, y), (x + side * 58, 280.0), (x + side * 44, 280.0)) for side in (-1, 1)]
    paint(picture, [Panel(corners, (96, 102, 110), (70, 74, 80)) for corners in feet])
    middle = round(x), round(y)
    for spoke in turned + np.arange(0, 2 * np.pi, np.pi / 5):
        end = round(x + radius * np.cos(spoke)), round(y + radius * np.sin(spoke))
        cv2.line(picture, middle, end, (116, 138, 160), 3, cv2.LINE_AA)
    cv2.circle(picture, middle, round(radius), (84, 104, 128), 9, cv2.LINE_AA)
    cv2.circle(picture, middle, round(radius), (150, 172, 192), 2, cv2.LINE_AA)
    paint(picture, [Blob(axle, (8, 8), (150, 154, 160))])


def _by_infrared(picture: Floats) -> Floats:
    """As a camera sees it at night: gray, dimmer, and nearly without shadows of color."""
    gray = picture @ np.array((0.36, 0.5, 0.14), np.float32)
    return np.asarray(gray[..., None] * np.array((0.6, 0.66, 0.63), np.float32), np.float32)

"""A textured scene and the small subjects in it, drawn the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 240
_SHIFT = 4  # OpenCV draws with so many fractional bits


@dataclass(frozen=True)
class Subject:
    """Where and how one subject is drawn.

    `x`, `y`: its centre in pixels. `length`: of its body. `heading`: radians. `pose`: of an animal `walk`, `rest`, `rear`,
    `groom` or `turn`; `blob` is the same from both ends, `fish` and `box` are others. `step`: phase of the legs. `colour`: RGB.
    """

    x: float
    y: float
    length: float
    heading: float = 0.0
    pose: str = "blob"
    step: float = 0.0
    colour: tuple[int, int, int] = (70, 55, 45)


@dataclass(frozen=True)
class Frame:
    """One picture: its subjects, how bright the light is (1 is even), its tint, how far the camera is off, and what hides
    a part of it, as (left, top, right, bottom)."""

    subjects: Sequence[Subject] = ()
    light: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shake: tuple[float, float] = (0.0, 0.0)
    hidden: Sequence[tuple[int, int, int, int]] = field(default_factory=tuple)


def background(rng: np.random.Generator) -> Image:
    """(h, w, 3) a ground of spots of several sizes with some things on it."""
    image = np.full((HEIGHT, WIDTH, 3), rng.uniform(110, 160, 3), np.float32)
    for size, strength in ((1.0, 9), (4.0, 14), (20.0, 22)):
        noise = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), size)
        image += noise / noise.std() * strength * rng.uniform(0.6, 1.2)
    canvas = image.clip(0, 255).astype(np.uint8)
    for _ in range(4):
        x, y = int(rng.integers(0, WIDTH)), int(rng.choice([rng.integers(0, 30), rng.integers(HEIGHT - 30, HEIGHT)]))
        colour = tuple(int(c) for c in rng.integers(40, 220, 3))
        cv2.rectangle(canvas, (x, y), (x + int(rng.integers(10, 50)), y + int(rng.integers(10, 40))), colour, -1)
    return canvas


def draw(ground: Image, frame: Frame, rng: np.random.Generator, noise: float) -> Image:
    """The picture that a camera with this much noise takes."""
    canvas: NDArray[Any] = ground.copy()
    for one in frame.subjects:
        _draw_subject(canvas, one)
    for left, top, right, bottom in frame.hidden:
        canvas[top:bottom, left:right] = ground[top:bottom, left:right] // 2 + 40
    if frame.shake != (0.0, 0.0):
        move = np.array([[1, 0, frame.shake[0]], [0, 1, frame.shake[1]]], np.float32)
        canvas = cv2.warpAffine(canvas, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    lit = canvas * (np.float32(frame.light) * np.array(frame.tint, np.float32))
    # One sheet of noise, shifted: drawing a new one takes longer than all the rest.
    grain = np.roll(_grain(), int(rng.integers(0, HEIGHT * WIDTH)), axis=0).reshape(HEIGHT, WIDTH, 1)
    return np.asarray((lit + np.float32(noise) * grain).clip(0, 255), np.uint8)


_GRAIN: list[NDArray[np.float32]] = []


def _grain() -> NDArray[np.float32]:
    if not _GRAIN:
        _GRAIN.append(np.random.default_rng(7).standard_normal(HEIGHT * WIDTH).astype(np.float32))
    return _GRAIN[0]


def length_for(share: float) -> float:
    """The body length of an animal that covers this share of the picture."""
    return float(np.sqrt(share * WIDTH * HEIGHT / 0.42))


def _draw_subject(canvas: Image, one: Subject) -> None:
    draw_it = {"blob": _blob, "fish": _fish, "box": _box}.get(one.pose, _animal)
    draw_it(canvas, one)


def _blob(canvas: Image, one: Subject) -> None:
    _ellipse(canvas, one, 0, 0, 0.5, 0.36, one.colour)
    _ellipse(canvas, one, 0, 0, 0.2, 0.12, _lighter(one.colour))


def _fish(canvas: Image, one: Subject) -> None:
    _ellipse(canvas, one, 0.05, 0, 0.4, 0.18, one.colour)
    swing = 0.25 * np.sin(one.step)
    _polygon(canvas, one, [(-0.3, 0), (-0.55, swing + 0.16), (-0.55, swing - 0.16)], one.colour)
    _ellipse(canvas, one, 0.3, 0.05, 0.05, 0.05, (230, 230, 230))


def _box(canvas: Image, one: Subject) -> None:
    _polygon(canvas, one, [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], one.colour)
    _polygon(canvas, one, [(-0.3, -0.1), (0.3, -0.1), (0.3, 0.1), (-0.3, 0.1)], _lighter(one.colour))


def _animal(canvas: Image, one: Subject) -> None:
    dark, pale = tuple(int(c * 0.7) for c in one.colour), _lighter(one.colour)
    if one.pose == "rest":
        _ellipse(canvas, one, 0, 0, 0.36, 0.33, one.colour)
        _ellipse(canvas, one, 0.16, 0.2, 0.14, 0.12, pale)
        return
    if one.pose == "rear":
        # Upright, seen from above: a short body with the head in its middle.
        _ellipse(canvas, one, 0, 0, 0.27, 0.26, one.colour)
        _ellipse(canvas, one, 0.1, 0, 0.15, 0.15, pale)
        _polygon(canvas, one, [(-0.25, 0.03), (-0.5, 0.12), (-0.25, -0.03)], dark)
        return
    swing = 0.12 * np.sin(one.step)
    if one.pose in ("walk", "turn"):
        for side in (-1, 1):
            for at, phase in ((0.2, 0.0), (-0.2, np.pi)):
                out = 0.08 * np.sin(one.step + phase + (side > 0) * np.pi)
                _ellipse(canvas, one, at + out, side * 0.25, 0.07, 0.05, dark)
    _polygon(canvas, one, [(-0.36, 0.04), (-0.8, swing), (-0.36, -0.04)], dark)
    _ellipse(canvas, one, 0, 0, 0.4, 0.24, one.colour)
    bend = 0.22 if one.pose == "turn" else 0.0
    if one.pose == "groom":
        _ellipse(canvas, one, 0.24, 0.18 + 0.05 * np.sin(3 * one.step), 0.17, 0.15, pale)
        return
    _ellipse(canvas, one, 0.42, bend, 0.18, 0.13, one.colour)
    for side in (-1, 1):
        _ellipse(canvas, one, 0.34, bend + side * 0.13, 0.06, 0.06, pale)


def _lighter(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (min(255, c + 70) for c in colour)
    return red, green, blue


def _place(one: Subject, along: float, across: float) -> tuple[float, float]:
    cos, sin = np.cos(one.heading), np.sin(one.heading)
    return (
        one.x + one.length * (along * cos - across * sin),
        one.y + one.length * (along * sin + across * cos),
    )


def _ellipse(
    canvas: Image, one: Subject, along: float, across: float, long: float, wide: float, colour: Sequence[int]
) -> None:
    x, y = _place(one, along, across)
    scale = 1 << _SHIFT
    centre = (round(x * scale), round(y * scale))
    axes = (max(round(long * one.length * scale), 1), max(round(wide * one.length * scale), 1))
    cv2.ellipse(canvas, centre, axes, float(np.degrees(one.heading)), 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)


def _polygon(canvas: Image, one: Subject, corners: Sequence[tuple[float, float]], colour: Sequence[int]) -> None:
    points = np.array([_place(one, *corner) for corner in corners]) * (1 << _SHIFT)
    cv2.fillPoly(canvas, [points.round().astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)

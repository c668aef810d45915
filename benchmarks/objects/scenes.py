"""Drawn videos of animals on a floor, and the true box of each in every frame.

Each animal is a body and a head in a coat of its own, with a soft shadow beside it. It walks on a smooth path of its own, may
stop, and may leave the picture and come back. The camera may shake and the light may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Track, in_shares

WIDTH, HEIGHT, RATE = 768, 432, 25
# A subject of which less is in the picture is not there.
_SEEN = 0.3
# Seconds from the middle until a camera that pans turns back.
_PANNED = 1.5
_COATS = (
    (205, 60, 45),
    (40, 80, 200),
    (235, 215, 70),
    (25, 25, 28),
    (240, 240, 236),
    (60, 160, 70),
    (190, 90, 190),
    (235, 140, 40),
)

Way = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    `stops`: seconds at which the first subject stands still, from and to. `away`: seconds between which it
    is out of the picture. `shake`: pixels by which the camera moves at most. `light`: by how much it is brighter in the
    second half. `crossing`: whether subjects walk through each other on straight ways, or wander about. `still`: whether no
    subject ever moves. `pan`: pixels a second by which the camera turns, to and fro.
    """

    name: str
    subjects: int
    seconds: float = 20.0
    stops: tuple[float, float] | None = None
    away: tuple[float, float] | None = None
    shake: float = 0.0
    light: float = 1.0
    crossing: bool = False
    seed: int = 1
    still: bool = False
    pan: float = 0.0


SCENES = (
    Scene("one", 1, seed=1),
    Scene("two_crossing", 2, crossing=True, seed=2),
    Scene("two", 2, seed=3),
    Scene("four", 4, seed=4),
    Scene("four_crossing", 4, crossing=True, seed=5),
    Scene("stops", 2, stops=(6.0, 12.0), seed=6),
    Scene("comes_back", 2, away=(7.0, 12.0), seed=7),
    Scene("shake", 2, shake=9.0, seed=8),
    Scene("light", 2, light=1.4, seed=9),
    Scene("eight", 8, seed=10),
)


@dataclass(frozen=True)
class Filmed:
    """A drawn video and its truth: a track for each subject, numbered from 1."""

    scene: Scene
    path: Path
    frames: int
    truth: tuple[Track, ...]


def film(scene: Scene, folder: Path) -> Filmed:
    """Draws and encodes a scene, as H.264 at 768 x 432."""
    path = folder / f"{scene.name}.mp4"
    boxes: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in range(scene.subjects)]
    count = round(scene.seconds * RATE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, (picture, seen) in enumerate(_drawn(scene, count)):
            for subject, box in seen:
                boxes[subject].append((index, box))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    truth = tuple(
        Track(
            number + 1,
            np.array([index for index, _ in each], np.int64),
            in_shares(np.array([box for _, box in each]), WIDTH, HEIGHT),
            np.ones(len(each), np.float32),
            1.0,
        )
        for number, each in enumerate(boxes)
        if each
    )
    return Filmed(scene, path, count, truth)


def _drawn(scene: Scene, count: int) -> Iterator[tuple[NDArray[np.uint8], list[tuple[int, NDArray[np.float64]]]]]:
    rng = np.random.default_rng(scene.seed)
    margin = 24 + round(scene.pan * _PANNED)
    floor = _floor(rng, WIDTH + 2 * margin, HEIGHT + 2 * margin)
    paths = [_path(scene, number, rng) for number in range(scene.subjects)]
    sizes = [(rng.uniform(36, 52), rng.uniform(17, 24)) for _ in paths]
    grains = [rng.normal(0, 2.5, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(6)]
    tremble = rng.uniform(0, 6, 4)
    heading = np.zeros(scene.subjects)
    for index in range(count):
        at = index / RATE
        shift = scene.shake * np.array(
            [
                0.6 * np.sin(11 * at + tremble[0]) + 0.4 * np.sin(23 * at + tremble[1]),
                0.6 * np.sin(13 * at + tremble[2]) + 0.4 * np.sin(19 * at + tremble[3]),
            ]
        )
        shift[0] += scene.pan * (abs(at % (4 * _PANNED) - 2 * _PANNED) - _PANNED)
        moved = np.array([[1, 0, -margin + shift[0]], [0, 1, -margin + shift[1]]])
        picture = np.asarray(cv2.warpAffine(floor, moved, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.float32)
        seen = []
        for number, path in enumerate(paths):
            here, soon = np.array(path(at)), np.array(path(at + 0.04))
            step = soon - here
            if np.hypot(*step) > 0.15:
                heading[number] = np.arctan2(step[1], step[0])
            box = _draw(picture, here + shift, heading[number], sizes[number], _COATS[number % len(_COATS)])
            if box is not None:
                seen.append((number, box))
        bright = 1 + (scene.light - 1) * float(index >= count // 2) + 0.02 * np.sin(at / 2)
        yield np.clip(picture * bright + grains[rng.integers(6)], 0, 255).astype(np.uint8), seen


def _floor(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Straw-colored, mottled, with a bowl and a few things lying about."""
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 5)
    floor = np.array((150, 140, 120), np.float32) + 10 * mottled / mottled.std()
    cv2.circle(floor, (width // 5, height // 4), 40, (120, 125, 140), -1, cv2.LINE_AA)
    for _ in range(12):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.rectangle(floor, (x, y), (x + 30, y + 12), tuple(map(float, rng.uniform(90, 180, 3))), -1)
    return np.asarray(cv2.GaussianBlur(floor, (0, 0), 0.8), np.float32)


def _path(scene: Scene, number: int, rng: np.random.Generator) -> Way:
    way = _straight(number, scene.subjects, rng) if scene.crossing else _wandering(rng)
    if scene.still:
        here = way(0.0)
        return lambda at: here
    if number:
        return way
    if scene.stops is not None:
        first, last = scene.stops
        return lambda at: way(at if at < first else max(first, at - (last - first)))
    if scene.away is not None:
        left, back = scene.away
        return lambda at: _out(way(at), at, left, back)
    return way


def _straight(number: int, subjects: int, rng: np.random.Generator) -> Way:
    """To and fro, across the ways of the others."""
    angle = np.pi * number / subjects + rng.uniform(-0.1, 0.1)
    reach, period, phase = 0.42, rng.uniform(9, 12), rng.uniform(0, 6)

    def way(at: float) -> tuple[float, float]:
        along = np.sin(2 * np.pi * at / period + phase) * reach
        return WIDTH * (0.5 + along * np.cos(angle)), HEIGHT * (0.5 + along * np.sin(angle) * 0.9 + 0.02 * number)

    return way


def _wandering(rng: np.random.Generator) -> Way:
    periods, phases = rng.uniform(7, 15, 4), rng.uniform(0, 6.3, 4)

    def way(at: float) -> tuple[float, float]:
        turns = np.sin(2 * np.pi * at / periods + phases)
        return WIDTH * (0.5 + 0.28 * turns[0] + 0.12 * turns[1]), HEIGHT * (0.5 + 0.25 * turns[2] + 0.12 * turns[3])

    return way


def _out(here: tuple[float, float], at: float, left: float, back: float) -> tuple[float, float]:
    """The same way, but leaving upwards at `left` and back from there at `back`, in a second each."""
    x, y = here
    gone = np.clip(min(at - left + 1, back + 1 - at), 0, 1)
    return x, y - gone * (y + 80)


def _draw(
    picture: NDArray[np.float32],
    here: NDArray[np.float64],
    heading: float,
    size: tuple[float, float],
    coat: tuple[int, int, int],
) -> NDArray[np.float64] | None:
    """Draws an animal around `here`, in pixels; returns its box inside the picture, None when little of it is there."""
    long, high = size
    half = int(long * 1.6) + 4
    left, top = int(here[0]) - half, int(here[1]) - half
    mask = np.zeros((2 * half, 2 * half), np.float32)
    middle = here - (left, top)
    head = middle + long * 0.95 * np.array([np.cos(heading), np.sin(heading)])
    shift = 16

    def point(at: NDArray[np.float64]) -> tuple[int, int]:
        return round(at[0] * shift), round(at[1] * shift)

    axes = (round(long * shift), round(high * shift))
    cv2.ellipse(mask, point(middle), axes, np.degrees(heading), 0, 360, 1.0, -1, cv2.LINE_AA, 4)
    cv2.circle(mask, point(head), round(high * 0.62 * shift), 1.0, -1, cv2.LINE_AA, 4)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + 2 * half, WIDTH), min(top + 2 * half, HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return None
    inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    shade = cv2.GaussianBlur(np.roll(mask, (7, 7), (0, 1)), (0, 0), 5)[inside][..., None]
    part = picture[y0:y1, x0:x1]
    part *= 1 - 0.3 * shade
    cover = mask[inside][..., None]
    part += cover * (np.array(coat, np.float32) - part)
    drawn = mask[inside] > 0.5
    if drawn.sum() < _SEEN * (mask > 0.5).sum():
        return None
    ys, xs = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    return np.array([x0 + xs[0], y0 + ys[0], xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1], np.float64)

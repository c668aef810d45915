"""Drawn videos in which several animals do different things at the same time, so that only a look at each tells who does what: one walks
while another stands, turns on the spot, or grooms itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH
from ml_backend.objects.boxes import Track, in_shares

ACTS = ("walks", "stands", "turns", "grooms")
_SHIFT = 16
# Pixels a second, radians a second, and how often a head goes to and fro in a second.
_PACE, _TURN, _NODS = 70.0, 2.2, 3.0


@dataclass(frozen=True)
class FilmedActs:
    """A drawn video; `tracks`: the true boxes of each animal, `acts`: what each does in every frame, (n,) positions in `ACTS`."""

    path: Path
    frames: int
    tracks: tuple[Track, ...]
    acts: tuple[NDArray[np.intp], ...]


@dataclass
class _Animal:
    long: float
    slim: float
    coat: NDArray[np.float64]
    home: NDArray[np.float64]
    reach: NDArray[np.float64]
    here: NDArray[np.float64]
    heading: float
    nod: float = 0.0


def film_acts(animals: int, path: Path, seed: int, seconds: float = 12.0) -> FilmedActs:
    """Draws and encodes a video of so many animals, as H.264 at 768 x 432. Each keeps to a part of the picture of its own."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    bodies = [_animal(number, animals, rng) for number in range(animals)]
    acts = [_schedule(count, rng) for _ in bodies]
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), rng.uniform(3, 7))
    floor = np.array((185, 176, 160), np.float32) * rng.uniform(0.9, 1.15)
    floor = floor + 8 * mottled / mottled.std()
    grains = [rng.normal(0, 2.5, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(6)]
    boxes: list[list[NDArray[np.float64]]] = [[] for _ in bodies]
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(count):
            picture = floor.copy()
            for number, body in enumerate(bodies):
                _live(body, ACTS[acts[number][index]], index / RATE)
                boxes[number].append(_draw(picture, body))
            shown = np.clip(picture + grains[rng.integers(6)], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode(None))
    tracks = tuple(
        Track(
            number + 1,
            np.arange(count, dtype=np.int64),
            in_shares(np.array(own), WIDTH, HEIGHT),
            np.ones(count, np.float32),
            1.0,
            "mouse",
        )
        for number, own in enumerate(boxes)
    )
    return FilmedActs(path, count, tracks, tuple(acts))


def _animal(number: int, animals: int, rng: np.random.Generator) -> _Animal:
    home = np.array([WIDTH * (number + 0.5) / animals, HEIGHT / 2])
    coat = np.array([115.0, 95, 78]) + rng.normal(0, 22) + rng.normal(0, 8, 3)
    reach = np.array([0.3 * WIDTH / animals, 0.3 * HEIGHT])
    here = home + reach * rng.uniform(-0.7, 0.7, 2)
    return _Animal(
        rng.uniform(27, 34), rng.uniform(0.42, 0.54), coat.clip(15, 200), home, reach, here, rng.uniform(0, 6.3)
    )


def _schedule(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """One act after another, each for one and a half to three and a half seconds, every one of them as often."""
    acts: list[int] = []
    order: list[int] = []
    while len(acts) < count:
        order = order or rng.permutation(len(ACTS)).tolist()
        act = order.pop()
        if not acts or act != acts[-1]:
            acts += [act] * round(rng.uniform(1.5, 3.5) * RATE)
    return np.array(acts[:count], np.intp)


def _live(body: _Animal, act: str, at: float) -> None:
    """One frame later."""
    if act == "walks":
        # It keeps to its part of the picture by turning back toward the middle of it, the more the farther away it is.
        back = (body.home - body.here) / body.reach
        wanted = np.arctan2(back[1], back[0])
        off = (wanted - body.heading + np.pi) % (2 * np.pi) - np.pi
        body.heading += np.clip(off, -1, 1) * min(float(np.hypot(*back)) ** 2, 2.0) * 3 / RATE + 0.8 * np.sin(at) / RATE
        body.here = body.here + _PACE / RATE * np.array([np.cos(body.heading), np.sin(body.heading)])
    elif act == "turns":
        body.heading += _TURN / RATE
    body.nod = 0.7 * np.sin(2 * np.pi * _NODS * at) if act == "grooms" else 0.6 * body.nod


def _draw(picture: NDArray[np.float32], body: _Animal) -> NDArray[np.float64]:
    """Draws an animal; returns its box in pixels, without the tail."""
    ahead = np.array([np.cos(body.heading), np.sin(body.heading)])
    looks = np.array([np.cos(body.heading + body.nod), np.sin(body.heading + body.nod)])
    beside = np.array([-looks[1], looks[0]])
    long, high = body.long, body.long * body.slim
    coat = tuple(map(float, body.coat))
    tail = np.round(np.array([body.here - ahead * long * 0.9, body.here - ahead * long * 2.1]) * _SHIFT).astype(
        np.int32
    )
    cv2.polylines(picture, [tail], False, tuple(0.9 * each for each in coat), 3, cv2.LINE_AA, 4)
    mask = np.zeros(picture.shape[:2], np.uint8)
    head = body.here + ahead * long * 0.55 + looks * long * 0.4
    shapes = [
        (body.here, (long, high), body.heading, 1.0),
        (head, (long * 0.42, high * 0.66), body.heading + body.nod, 1.1),
        (head + beside * high * 0.6, (long * 0.16,) * 2, 0.0, 1.3),
        (head - beside * high * 0.6, (long * 0.16,) * 2, 0.0, 1.3),
    ]
    for where, (one, other), angle, bright in shapes:
        point = (round(where[0] * _SHIFT), round(where[1] * _SHIFT))
        axes = (round(one * _SHIFT), round(other * _SHIFT))
        tinted = tuple(min(bright * each, 255.0) for each in coat)
        cv2.ellipse(picture, point, axes, float(np.degrees(angle)), 0, 360, tinted, -1, cv2.LINE_AA, 4)
        cv2.ellipse(mask, point, axes, float(np.degrees(angle)), 0, 360, 1, -1, cv2.LINE_8, 4)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1], np.float64)

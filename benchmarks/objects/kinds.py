"""Drawn videos in which each subject is of one of a few kinds, which differ in shape, coat and gait, and of which no two individuals are
quite alike: for learning what a track is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH, Way
from ml_backend.objects.boxes import Track, in_shares

_SHIFT = 16


@dataclass(frozen=True)
class Kind:
    """`long`: half the body's length in pixels, `slim`: half its width as a share of that. `tail`, `ears`: their lengths as shares
    of the body's. `coat`: its mean color, `varied`: by how many levels individuals differ. `pace`: how quickly it goes through its
    way, `darts`: how unevenly."""

    name: str
    long: float
    slim: float
    tail: float
    ears: float
    coat: tuple[int, int, int]
    varied: float
    pace: float
    darts: float


@dataclass(frozen=True)
class KindSet:
    """Kinds that are to be told apart."""

    name: str
    kinds: tuple[Kind, ...]


DISTINCT = KindSet(
    "distinct",
    (
        Kind("mouse", 34, 0.42, 1.5, 0.42, (120, 105, 92), 14, 1.0, 0.5),
        Kind("vole", 37, 0.56, 0.4, 0.18, (140, 88, 52), 14, 0.65, 0.1),
        Kind("shrew", 25, 0.36, 0.8, 0.1, (62, 58, 62), 12, 1.3, 0.9),
    ),
)
# The same coats and nearly the same size: tail, ears, a little more or less of a belly, and a slightly other gait.
SUBTLE = KindSet(
    "subtle",
    (
        Kind("mouse", 34, 0.46, 1.2, 0.4, (112, 92, 72), 20, 1.0, 0.4),
        Kind("vole", 35, 0.51, 0.5, 0.2, (112, 92, 72), 20, 0.85, 0.25),
    ),
)


@dataclass(frozen=True)
class FilmedKinds:
    """A drawn video; `truth`: a track for each subject, whose label is the name of its kind."""

    path: Path
    frames: int
    truth: tuple[Track, ...]


@dataclass(frozen=True)
class _Individual:
    kind: Kind
    long: float
    slim: float
    tail: float
    coat: NDArray[np.float64]
    way: Way


def film_kinds(subjects: Sequence[Kind], path: Path, seed: int, seconds: float = 8.0) -> FilmedKinds:
    """Draws and encodes a video of one individual of each of `subjects`, as H.264 at 768 x 432."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    animals = [_individual(kind, number, len(subjects), rng) for number, kind in enumerate(subjects)]
    boxes: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in animals]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, (picture, seen) in enumerate(_drawn(animals, count, rng)):
            for number, box in enumerate(seen):
                boxes[number].append((index, box))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    truth = tuple(
        Track(
            number + 1,
            np.array([index for index, _ in own], np.int64),
            in_shares(np.array([box for _, box in own]), WIDTH, HEIGHT),
            np.ones(len(own), np.float32),
            1.0,
            animal.kind.name,
        )
        for number, (animal, own) in enumerate(zip(animals, boxes, strict=True))
    )
    return FilmedKinds(path, count, truth)


def _individual(kind: Kind, number: int, subjects: int, rng: np.random.Generator) -> _Individual:
    grown = rng.uniform(0.88, 1.12)
    coat = np.array(kind.coat) + rng.normal(0, kind.varied) + rng.normal(0, kind.varied / 3, 3)
    return _Individual(
        kind,
        kind.long * grown,
        kind.slim * rng.uniform(0.94, 1.06),
        kind.tail * rng.uniform(0.85, 1.15),
        coat.clip(15, 240),
        _way(kind, number, subjects, rng),
    )


def _way(kind: Kind, number: int, subjects: int, rng: np.random.Generator) -> Way:
    """About a part of the picture of its own, so that hardly two are ever one."""
    periods, phases = rng.uniform(5, 9, 2) / kind.pace, rng.uniform(0, 6.3, 3)
    beat = rng.uniform(1.5, 2.5)
    middle = (number + 0.5) / subjects

    def way(at: float) -> tuple[float, float]:
        own = at + kind.darts * beat / 6.3 * np.sin(6.3 * at / beat + phases[2])
        x, y = np.sin(6.3 * own / periods + phases[:2])
        return WIDTH * (middle + 0.36 / subjects * x), HEIGHT * (0.5 + 0.3 * y)

    return way


def _drawn(
    animals: Sequence[_Individual], count: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], list[NDArray[np.float64]]]]:
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), rng.uniform(3, 7))
    floor = np.array((185, 176, 160), np.float32) * rng.uniform(0.9, 1.15) + rng.uniform(-12, 12, 3).astype(np.float32)
    floor = floor + 8 * mottled / mottled.std()
    grains = [rng.normal(0, 2.5, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(6)]
    heading = rng.uniform(0, 6.3, len(animals))
    for index in range(count):
        at = index / RATE
        picture = floor.copy()
        seen = []
        for number, animal in enumerate(animals):
            here, soon = np.array(animal.way(at)), np.array(animal.way(at + 0.04))
            if np.hypot(*(soon - here)) > 0.15:
                heading[number] = np.arctan2(*(soon - here)[::-1])
            seen.append(_draw(picture, animal, here, float(heading[number]), at))
        yield np.clip(picture + grains[rng.integers(6)], 0, 255).astype(np.uint8), seen


def _draw(
    picture: NDArray[np.float32], animal: _Individual, here: NDArray[np.float64], heading: float, at: float
) -> NDArray[np.float64]:
    """Draws one around `here`; returns its box without the tail, which a person leaves out too."""
    ahead, beside = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    long, high = animal.long, animal.long * animal.slim
    coat = tuple(map(float, animal.coat))
    bend = 0.25 * np.sin(3 * at) * beside
    tail = [
        here - ahead * long * (0.9 + animal.tail * share) + bend * long * animal.tail * share**2
        for share in (0, 0.5, 1)
    ]
    points = np.round(np.array(tail) * _SHIFT).astype(np.int32)
    cv2.polylines(
        picture, [points], False, tuple(0.9 * each for each in coat), max(2, round(long / 14)), cv2.LINE_AA, 4
    )
    mask = np.zeros(picture.shape[:2], np.uint8)

    def point(where: NDArray[np.float64]) -> tuple[int, int]:
        return round(where[0] * _SHIFT), round(where[1] * _SHIFT)

    head = here + ahead * long * 0.85
    shapes: list[tuple[NDArray[np.float64], tuple[float, float], float]] = [
        (here, (long, high), 1.0),
        (head, (long * 0.42, high * 0.66), 1.0),
        (head + beside * high * 0.6 - ahead * 3, (long * animal.kind.ears * 0.5,) * 2, 1.2),
        (head - beside * high * 0.6 - ahead * 3, (long * animal.kind.ears * 0.5,) * 2, 1.2),
    ]
    for where, (one, other), bright in shapes:
        axes = (round(one * _SHIFT), round(other * _SHIFT))
        tinted = tuple(min(bright * each, 255.0) for each in coat)
        cv2.ellipse(picture, point(where), axes, float(np.degrees(heading)), 0, 360, tinted, -1, cv2.LINE_AA, 4)
        cv2.ellipse(mask, point(where), axes, float(np.degrees(heading)), 0, 360, 1, -1, cv2.LINE_8, 4)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1], np.float64)

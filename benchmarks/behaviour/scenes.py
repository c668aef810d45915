"""What happens in each kind of scene: for every frame what is drawn, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour.drawing import HEIGHT, WIDTH, Frame, Subject, length_for

Classes = NDArray[np.intp]


@dataclass(frozen=True)
class Clip:
    """One drawn clip. `truth`: (n,) class of each frame, or (n, L) 0 or 1 where labels overlap."""

    frames: Sequence[Frame]
    truth: Classes
    noise: float = 4.0


Make = Callable[[np.random.Generator, int, int], Clip]  # chance, how many frames, the number of the clip


def stretches(rng: np.random.Generator, frames: int, classes: int, shortest: int = 12, longest: int = 45) -> Classes:
    """(n,) classes in runs of random length, each class about as often, none after itself."""
    found: list[int] = []
    before = -1
    while len(found) < frames:
        order = [int(c) for c in rng.permutation(classes)]
        if order[0] == before and classes > 1:
            order = order[1:] + order[:1]
        for one in order:
            found += [one] * int(rng.integers(shortest, longest))
            before = one
    return np.array(found[:frames], np.intp)


def shaken(rng: np.random.Generator, frames: Sequence[Frame]) -> list[Frame]:
    """The same by a camera held by hand, in a light that drifts."""
    n = len(frames)
    jitter = rng.normal(0, 1.2, (n, 2)) + 4 * np.sin(
        np.arange(n)[:, None] / np.array([23.0, 31.0]) + rng.uniform(0, 6, 2)
    )
    light = 1 + 0.25 * np.sin(np.arange(n) / rng.uniform(40, 80) + rng.uniform(0, 6))
    return [
        Frame(f.subjects, f.light * float(one), f.tint, (float(dx), float(dy)), f.hidden)
        for f, one, (dx, dy) in zip(frames, light, jitter, strict=True)
    ]


def hidden(rng: np.random.Generator, frames: Sequence[Frame]) -> list[Frame]:
    """The same behind two posts."""
    posts = [(int(x), 0, int(x) + 22, HEIGHT) for x in rng.uniform(40, WIDTH - 60, 2)]
    return [Frame(f.subjects, f.light, f.tint, f.shake, posts) for f in frames]


def _walk(
    rng: np.random.Generator, speed: NDArray[np.float64], margin: float, turn: NDArray[np.float64] | float = 0.12
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) places and (n,) headings of a walker that stays inside the picture."""
    at = rng.uniform([margin, margin], [WIDTH - margin, HEIGHT - margin])
    heading = rng.uniform(-np.pi, np.pi)
    turns = np.broadcast_to(turn, speed.shape)
    places, headings = np.empty((len(speed), 2)), np.empty(len(speed))
    for i, step in enumerate(speed):
        heading += rng.normal(0, turns[i]) if step else 0.0
        ahead = at + (step + 6) * np.array([np.cos(heading), np.sin(heading)])
        if not (margin < ahead[0] < WIDTH - margin and margin < ahead[1] < HEIGHT - margin):
            inward = np.arctan2(HEIGHT / 2 - at[1], WIDTH / 2 - at[0])
            off = (inward - heading + np.pi) % (2 * np.pi) - np.pi
            heading += float(np.clip(off, -0.5, 0.5)) if step else 0.0
        at = (at + step * np.array([np.cos(heading), np.sin(heading)])).clip(
            margin / 2, [WIDTH - margin / 2, HEIGHT - margin / 2]
        )
        places[i], headings[i] = at, heading
    return places, headings


def along(axis: int, pose: str = "blob", share: float = 0.03, speed: float = 3.0) -> Make:
    """A thing that looks the same from both ends goes one way or the other, along an axis, and turns anywhere."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        span = (WIDTH, HEIGHT)[axis]
        margin, other = 25.0, rng.uniform(60, (HEIGHT, WIDTH)[axis] - 60)
        at, way, left = float(rng.uniform(margin, span - margin)), int(rng.integers(2)), 0
        places, truth = np.empty(frames), np.empty(frames, np.intp)
        for i in range(frames):
            if left <= 0 or not margin < at + (1 if way else -1) * speed < span - margin:
                way, left = 1 - way, int(rng.integers(15, 45))
            at += (1 if way else -1) * speed * rng.uniform(0.8, 1.2)
            left -= 1
            places[i], truth[i] = at, way
        drift = other + 12 * np.sin(np.arange(frames) / 25 + rng.uniform(0, 6))
        size = length_for(share)
        made = [
            Frame([Subject(p if axis == 0 else d, d if axis == 0 else p, size, axis * np.pi / 2, pose)])
            for p, d in zip(places.tolist(), drift.tolist(), strict=True)
        ]
        return Clip(made, truth)

    return make


def paces(speeds: Sequence[float], pose: str = "blob", share: float = 0.03) -> Make:
    """A thing that wanders at one of several speeds."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        truth = stretches(rng, frames, len(speeds))
        places, headings = _walk(rng, np.asarray(speeds)[truth], 30)
        size = length_for(share)
        made = [
            Frame([Subject(x, y, size, h, pose)]) for (x, y), h in zip(places.tolist(), headings.tolist(), strict=True)
        ]
        return Clip(made, truth)

    return make


def depth(rng: np.random.Generator, frames: int, number: int) -> Clip:
    """A thing comes nearer or goes away, and may turn at any size."""
    size, way, left = float(rng.uniform(25, 50)), int(rng.integers(2)), 0
    at, truth = rng.uniform([100, 90], [WIDTH - 100, HEIGHT - 90]), np.empty(frames, np.intp)
    made = []
    for i in range(frames):
        grown = size * (1.022 if way == 0 else 1 / 1.022)
        if left <= 0 or not 18 < grown < 80:
            way, left = 1 - way, int(rng.integers(12, 35))
            grown = size * (1.022 if way == 0 else 1 / 1.022)
        size, left, truth[i] = grown, left - 1, way
        made.append(Frame([Subject(float(at[0]), float(at[1]), size, 0.3)]))
    return Clip(made, truth)


def turning(rng: np.random.Generator, frames: int, number: int) -> Clip:
    """A thing walks in circles, clockwise or the other way."""
    truth = stretches(rng, frames, 2, 20, 50)
    at, heading, places = np.array([WIDTH / 2, HEIGHT / 2]), rng.uniform(0, 6), []
    for i in range(frames):
        heading += 0.13 if truth[i] else -0.13
        middle = np.array([WIDTH / 2, HEIGHT / 2]) - at
        at = at + 3 * np.array([np.cos(heading), np.sin(heading)]) + 0.01 * middle
        places.append((*at.tolist(), heading))
    size = length_for(0.03)
    return Clip([Frame([Subject(x, y, size, h)]) for x, y, h in places], truth)


POSES = ("walk", "rest", "rear", "groom")


def behaviour(
    share: float, poses: Sequence[str] = POSES, only: Callable[[int], int | None] = lambda number: None
) -> Make:
    """A small animal and what it does; `only` says of the number of a clip whether it shows one class alone."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        one = only(number)
        truth = stretches(rng, frames, len(poses)) if one is None else np.full(frames, one, np.intp)
        walking = np.array([pose in ("walk", "turn") for pose in poses])[truth]
        size = length_for(share)
        places, headings = _walk(rng, np.where(walking, size / 18, 0.0), max(size, 25))
        phase = np.cumsum(np.where(walking, 0.55, 0.35))
        made = [
            Frame([Subject(x, y, size, h, poses[c], p)])
            for (x, y), h, c, p in zip(places.tolist(), headings.tolist(), truth.tolist(), phase.tolist(), strict=True)
        ]
        return Clip(made, truth)

    return make


def counted(most: int, pose: str = "blob", colour: tuple[int, int, int] = (70, 55, 45)) -> Make:
    """Things that come and go; how many are there."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        truth = stretches(rng, frames, most, 18, 50)
        change = np.flatnonzero(np.diff(truth, prepend=-1))
        made: list[Frame] = []
        for first, stop in zip(change, [*change[1:], frames], strict=True):
            spots = rng.permutation(12)[: truth[first] + 1]
            base = [(45 + 75 * (s % 4), 50 + 70 * (s // 4), rng.uniform(0, 3)) for s in spots.tolist()]
            for i in range(first, stop):
                made.append(
                    Frame(
                        [
                            Subject(x + 3 * np.sin(i / 9 + x), y + 3 * np.cos(i / 7 + y), 30, h, pose, 0, colour)
                            for x, y, h in base
                        ]
                    )
                )
        return Clip(made, truth)

    return make


def placed(zones: int, pose: str = "blob", axis: int = 0) -> Make:
    """In which part of the picture a thing is."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        places, headings = _walk(rng, rng.uniform(2.0, 5.0, frames), 22, 0.08)
        span = (WIDTH, HEIGHT)[axis]
        truth = (places[:, axis] * zones / span).astype(np.intp).clip(0, zones - 1)
        made = [
            Frame([Subject(x, y, 34, h, pose)]) for (x, y), h in zip(places.tolist(), headings.tolist(), strict=True)
        ]
        return Clip(made, truth)

    return make


def lit(tints: Sequence[tuple[float, float, float]]) -> Make:
    """How bright, and of what colour, the light is; something walks about that has nothing to do with it."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        truth = stretches(rng, frames, len(tints))
        places, headings = _walk(rng, np.full(frames, 2.5), 30)
        base = rng.uniform(0.9, 1.1)
        made = [
            Frame([Subject(x, y, 40, h, "walk", i / 2)], base, tints[c])
            for i, ((x, y), h, c) in enumerate(zip(places.tolist(), headings.tolist(), truth.tolist(), strict=True))
        ]
        return Clip(made, truth)

    return make


def bouts(length: int = 4, every: int = 130) -> Make:
    """An animal that walks, and seldom rears for a few frames."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        truth = np.zeros(frames, np.intp)
        for first in range(int(rng.integers(20, every)), frames - length, every):
            at = min(first + int(rng.integers(-20, 20)), frames - length - 1)
            truth[max(at, 0) : max(at, 0) + length] = 1
        size = length_for(0.04)
        places, headings = _walk(rng, np.where(truth, 0.0, 2.0), 40)
        made = [
            Frame([Subject(x, y, size, h, "rear" if c else "walk", i * 0.5)])
            for i, ((x, y), h, c) in enumerate(zip(places.tolist(), headings.tolist(), truth.tolist(), strict=True))
        ]
        return Clip(made, truth)

    return make


def overlapping(rng: np.random.Generator, frames: int, number: int) -> Clip:
    """Three labels that hold or not, each on its own: it moves, the lamp is on, a second thing is there."""
    each = np.stack([stretches(rng, frames, 2, 25, 70) for _ in range(3)], axis=1)
    places, headings = _walk(rng, np.where(each[:, 0] == 1, 3.0, 0.0), 35)
    made = []
    for i, ((x, y), h) in enumerate(zip(places.tolist(), headings.tolist(), strict=True)):
        others = [Subject(40, 200, 36, 0.4, "box", 0, (160, 60, 50))] if each[i, 2] else []
        made.append(Frame([Subject(x, y, 36, h), *others], 1.0, (1.15, 1.1, 0.9) if each[i, 1] else (0.9, 0.92, 1.0)))
    return Clip(made, each.astype(np.intp))


def many(rng: np.random.Generator, frames: int, number: int) -> Clip:
    """Twenty labels: one of four poses in one of five colours."""
    colours = ((70, 55, 45), (190, 50, 40), (50, 150, 60), (60, 70, 190), (210, 200, 80))
    truth = stretches(rng, frames, 20, 8, 16)
    places, headings = _walk(rng, np.full(frames, 1.0), 45)
    made = [
        Frame([Subject(x, y, 70, h, POSES[c % 4], i * 0.5, colours[c // 4])])
        for i, ((x, y), h, c) in enumerate(zip(places.tolist(), headings.tolist(), truth.tolist(), strict=True))
    ]
    return Clip(made, truth)


def nothing(classes: int) -> Make:
    """Labels that have nothing to do with what is seen: nobody can learn them."""

    def make(rng: np.random.Generator, frames: int, number: int) -> Clip:
        shown = behaviour(0.04)(rng, frames, number)
        return Clip(shown.frames, stretches(rng, frames, classes, 2, 6))

    return make


# Left, top, width and height of a pen, in percent of the picture.
PEN = (30.0, 25.0, 40.0, 50.0)


def penned(rng: np.random.Generator, frames: Sequence[Frame]) -> list[Frame]:
    """The same in a pen that is a part of the picture, where all goes on as slowly as the pen is small."""
    left, top, width, height = (each / 100 for each in PEN)
    return [
        replace(
            f,
            subjects=[
                replace(one, x=left * WIDTH + width * one.x, y=top * HEIGHT + height * one.y) for one in f.subjects
            ],
        )
        for f in frames
    ]


def changed(make: Make, *ways: Callable[[np.random.Generator, Sequence[Frame]], list[Frame]]) -> Make:
    """A kind of scene seen otherwise: shaken, hidden."""

    def other(rng: np.random.Generator, frames: int, number: int) -> Clip:
        clip = make(rng, frames, number)
        seen: Sequence[Frame] = clip.frames
        for way in ways:
            seen = way(rng, seen)
        return Clip(seen, clip.truth, clip.noise)

    return other

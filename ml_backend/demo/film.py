"""Short real films of shots that are cut together, drawn and encoded on the spot: people who talk, landscapes, and black between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.clips import Clip
from ml_backend.demo.drawing import Camera, Color, Floats, Panel, Point, encode, mottled, paint, vignette
from ml_backend.demo.people import PEOPLE, bust

WIDTH, HEIGHT, FPS = 480, 200, 24
LABELS = ("dialog", "landscape", "black")
_SKIES: tuple[tuple[Color, Color], ...] = (
    ((116, 160, 206), (222, 226, 220)),
    ((206, 140, 104), (244, 214, 168)),
    ((150, 176, 190), (214, 222, 222)),
)
_HILLS: tuple[Color, ...] = ((112, 138, 146), (86, 118, 92), (58, 86, 54))
_ROOMS: tuple[Color, ...] = ((120, 92, 70), (82, 96, 112), (104, 108, 92))


@dataclass(frozen=True)
class FilmScript:
    """`shots`: what each shows and for how many frames, in order; two of dialog behind each other are two people. `seed`: what
    everything looks like."""

    name: str
    shots: tuple[tuple[str, int], ...]
    seed: int


SCRIPTS = (
    FilmScript(
        "film-1.mp4",
        (("black", 24), ("landscape", 66), ("dialog", 50), ("dialog", 46), ("black", 20), ("landscape", 56), ("dialog", 48)),
        1,
    ),
    FilmScript(
        "film-2.mp4",
        (("landscape", 60), ("dialog", 52), ("dialog", 44), ("dialog", 40), ("landscape", 54), ("black", 30)),
        2,
    ),
    FilmScript(
        "film-3.mp4",
        (("dialog", 54), ("dialog", 50), ("landscape", 58), ("black", 22), ("landscape", 48), ("dialog", 52)),
        3,
    ),
)  # fmt: skip


def make_films(folder: Path, scripts: Sequence[FilmScript] = SCRIPTS) -> list[Clip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps`, its `cuts`: the frame index with which each shot begins, and `segments`: [label,
    first frame index, last frame index], the last one included; neighboring shots of one label are one segment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for script in scripts:
        path = folder / script.name
        encode(path, Fraction(FPS), _pictures(script))
        labels = tuple(label for label, frames in script.shots for _ in range(frames))
        clips.append(Clip(path, Fraction(FPS), labels))
        cuts = np.cumsum([0, *(frames for _, frames in script.shots)])[:-1].tolist()
        truth[script.name] = {"fps": FPS, "cuts": cuts, "segments": _segments(labels)}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return clips


def _segments(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    found = []
    for label, run in groupby(enumerate(labels), key=lambda each: each[1]):
        frames = [number for number, _ in run]
        found.append((label, frames[0], frames[-1]))
    return found


def _pictures(script: FilmScript) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(script.seed)
    speakers = rng.permutation(len(PEOPLE))[:2].tolist()
    room = _room(rng, _ROOMS[script.seed % len(_ROOMS)])
    talked = 0
    for label, frames in script.shots:
        if label == "dialog":
            yield from _dialog(room, speakers[talked % 2], 1 if talked % 2 else -1, frames, rng)
            talked += 1
        elif label == "landscape":
            yield from _landscape(frames, script.seed, rng)
        else:
            yield from (
                np.asarray(rng.integers(0, 3, (HEIGHT, WIDTH, 1)).repeat(3, axis=2), np.uint8) for _ in range(frames)
            )


def _dialog(room: Floats, who: int, side: int, frames: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Somebody at one side of the picture who talks to the other."""
    # The camera stands elsewhere for each of the two.
    ground = np.ascontiguousarray(room[:, ::-1] if side > 0 else room)
    camera = Camera(ground, rng)
    x, size, phase = WIDTH / 2 + side * rng.uniform(50, 80), float(rng.uniform(1.25, 1.45)), rng.uniform(0, 6)
    for number in range(frames):
        at = number / FPS
        mouth = abs(np.sin(2 * np.pi * 2.3 * at + phase)) * (0.5 + 0.5 * np.sin(2 * np.pi * 0.5 * at))
        neck = float(x + 3 * np.sin(2 * np.pi * 0.35 * at)), float(118 + 2 * np.sin(2 * np.pi * 0.8 * at + phase))

        def draw(scene: Floats, neck: Point = neck, mouth: float = float(mouth)) -> None:
            paint(scene, bust(PEOPLE[who], neck, size, mouth, -0.8 * side))

        yield camera.picture(number, (x - 120, 0, x + 120, HEIGHT), draw)


def _landscape(frames: int, seed: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Hills below a sky, over which the camera pans."""
    wide = WIDTH + 2 * frames
    above, below = _SKIES[seed % len(_SKIES)]
    scene = np.empty((HEIGHT, wide, 3), np.float32)
    down = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    scene[:] = np.array(above, np.float32) + down * (np.array(below, np.float32) - np.array(above, np.float32))
    across = np.arange(wide + 1)
    for depth, color in enumerate(_HILLS):
        waves = [np.sin(across / rng.uniform(30, 110) + rng.uniform(0, 6)) for _ in range(3)]
        ridge = HEIGHT * (0.42 + 0.17 * depth) + (13 - 2 * depth) * np.sum(waves, axis=0)
        outline: list[Point] = [(float(x), float(ridge[x])) for x in range(0, wide + 1, 4)]
        dark = (color[0] * 0.7, color[1] * 0.7, color[2] * 0.7)
        paint(scene, [Panel([*outline, (wide, HEIGHT), (0, HEIGHT)], color, dark)])
    scene += mottled(rng, (HEIGHT, wide), (0, 0, 0), {1.0: 3, 8: 3})
    backward = bool(rng.integers(2))
    sheets = [rng.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(6)]
    for number in range(frames):
        left = 2 * (frames - number if backward else number)
        seen = scene[:, left : left + WIDTH] + sheets[number % len(sheets)]
        yield np.asarray(np.clip(seen, 0, 255).astype(np.uint8))


def _room(rng: np.random.Generator, wall: Color) -> Floats:
    """A wall out of focus, with a window and a shelf."""
    picture = mottled(rng, (HEIGHT, WIDTH), wall, {40: 6, 2: 1})
    window = rng.uniform(30, 90)
    pane: Sequence[Point] = ((window, 14), (window + 90, 14), (window + 90, 120), (window, 120))
    shelf = rng.uniform(290, 360)
    paint(picture, [Panel(pane, (212, 214, 196), (176, 182, 170))])
    for number in range(6):
        left, tall = shelf + 15 * number, rng.uniform(40, 62)
        spine = tuple(float(each) for each in rng.uniform(40, 150, 3))
        book: Sequence[Point] = ((left, 100 - tall), (left + 12, 100 - tall), (left + 12, 100), (left, 100))
        paint(picture, [Panel(book, (spine[0], spine[1], spine[2]))])
    paint(
        picture, [Panel(((shelf - 12, 100), (shelf + 102, 100), (shelf + 102, 107), (shelf - 12, 107)), (70, 50, 36))]
    )
    vignette(picture, 0.5)
    return picture

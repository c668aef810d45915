"""Short real videos of people who make one sign each, drawn and encoded on the spot: the hands rest, make the sign, and rest again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.clips import Clip
from ml_backend.demo.drawing import Camera, Color, Floats, Point, encode, mottled, paint, vignette
from ml_backend.demo.people import PEOPLE, arm, bust

WIDTH, HEIGHT, FPS = 320, 240, 25
SIGNS = ("hello", "thanks", "book")
REST = "rest"
_NECK: Point = (160.0, 104.0)
_LAP: tuple[Point, Point] = ((-24.0, 148.0), (24.0, 148.0))  # the left hand and the right one, from the neck
_RISE = 0.28  # seconds from the lap to where a sign begins
_WALLS: tuple[Color, ...] = ((176, 190, 196), (196, 186, 168), (160, 176, 160), (184, 172, 188))
_Hands = tuple[Point, Point, float]  # left, right, how far the fingers are spread


@dataclass(frozen=True)
class SignScript:
    """What a clip shows: which sign, made by which of `PEOPLE`; the hands leave the lap after `rest` seconds and are back
    `signing` seconds later. `seed`: how exactly it is made this time."""

    name: str
    sign: str
    signer: int
    rest: float
    signing: float
    seed: int


def _script(number: int, sign: str, signer: int) -> SignScript:
    rng = np.random.default_rng(number)
    return SignScript(
        f"sign-{number:02}.mp4", sign, signer, float(rng.uniform(0.5, 0.8)), float(rng.uniform(1.3, 1.6)), number
    )


# Three people, one after the other, make each sign.
SCRIPTS = tuple(
    _script(number, sign, signer) for number, (signer, sign) in enumerate(product((0, 1, 2), SIGNS), start=1)
)


def make_signs(folder: Path, scripts: Sequence[SignScript] = SCRIPTS) -> list[Clip]:
    """Encodes each as H.264 into `folder`, with `truth.json` beside them; files that are there already are kept.

    `truth.json` holds per file name its `fps`, its `sign`, and `signing`: the first and the last frame index in which hands move.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips, truth = [], {}
    for script in scripts:
        path = folder / script.name
        encode(path, Fraction(FPS), _pictures(script))
        labels = tuple(script.sign if _is_signing(script, n / FPS) else REST for n in range(_frames(script)))
        clips.append(Clip(path, Fraction(FPS), labels))
        signing = [number for number, label in enumerate(labels) if label != REST]
        truth[script.name] = {"fps": FPS, "sign": script.sign, "signing": [signing[0], signing[-1]]}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return clips


def _frames(script: SignScript) -> int:
    return round((script.rest + script.signing + 0.6) * FPS)


def _is_signing(script: SignScript, at: float) -> bool:
    return script.rest <= at < script.rest + script.signing


def _pictures(script: SignScript) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(script.seed)
    person = PEOPLE[script.signer]
    wall = mottled(rng, (HEIGHT, WIDTH), _WALLS[script.signer], {30: 4, 2: 1})
    vignette(wall, 0.3)
    camera = Camera(wall, rng)
    away = rng.normal(0, 3, 2)
    size = float(rng.uniform(0.94, 1.02))
    for number in range(_frames(script)):
        at = number / FPS
        left, right, spread = _hands(script, at, away)
        sway = 1.5 * np.sin(2 * np.pi * 0.4 * at + script.seed)
        neck = (_NECK[0] + float(away[0]) + float(sway), _NECK[1] + float(away[1]))

        def draw(
            scene: Floats,
            neck: Point = neck,
            hands: tuple[Point, Point] = (left, right),
            spread: float = spread,
        ) -> None:
            paint(scene, bust(person, neck, size))
            for side, hand in zip((-1, 1), hands, strict=True):
                paint(scene, arm(person, neck, size, side, hand, spread))

        yield camera.picture(number, (0, 0, WIDTH, HEIGHT), draw)


def _hands(script: SignScript, at: float, away: NDArray[np.float64]) -> _Hands:
    """Where the hands are, from the neck, at a time; `away`: how this time differs from others."""
    since = at - script.rest
    left, right, spread = _sign(script.sign, float(np.clip(since / script.signing, 0, 1)), away)
    up = min(since, script.signing - since) / _RISE
    raised = float(np.clip(up, 0, 1))
    raised = raised * raised * (3 - 2 * raised)

    def between(low: Point, high: Point) -> Point:
        return low[0] + raised * (high[0] - low[0]), low[1] + raised * (high[1] - low[1])

    return between(_LAP[0], left), between(_LAP[1], right), 0.25 + raised * (spread - 0.25)


def _sign(sign: str, share: float, away: NDArray[np.float64]) -> _Hands:
    """Where the hands are when `share` of a sign is made."""
    dx, dy = (float(each) for each in away)
    if sign == "hello":  # from the temple outward, twice
        out = 16 * (1 - np.cos(4 * np.pi * share)) / 2
        return _LAP[0], (36 + out + dx, -46 + dy), 0.9
    if sign == "thanks":  # from the chin toward the one who is thanked
        out = float(np.clip(2 * share - 0.4, 0, 1))
        return _LAP[0], (4 + 22 * out + dx, -4 + 50 * out + dy), 0.2
    apart = 8 + 46 * float(np.clip(1.6 * share - 0.3, 0, 1))  # two palms open like a book
    return (-apart + dx, 66 + dy), (apart + dx, 66 + dy), 0.6

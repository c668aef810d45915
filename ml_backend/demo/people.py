"""A person of rounded parts from the waist up: who talks, and whose hands go where they are told to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.drawing import Blob, Color, Limb, Part, Point

_EYE: Color = (22, 18, 18)
_LIP: Color = (132, 58, 58)
_UPPER, _FORE = 66.0, 62.0  # how long the two parts of an arm are at size 1


@dataclass(frozen=True)
class Person:
    """What somebody looks like: colors of the skin, the hair and the shirt."""

    skin: Color
    hair: Color
    shirt: Color


PEOPLE = (
    Person((224, 178, 150), (64, 44, 32), (58, 92, 138)),
    Person((128, 86, 62), (30, 26, 26), (150, 66, 58)),
    Person((202, 150, 116), (24, 22, 24), (84, 118, 84)),
    Person((236, 196, 172), (168, 122, 62), (92, 80, 118)),
)


def bust(person: Person, neck: Point, size: float, mouth: float = 0.0, facing: float = 0.0) -> list[Part]:
    """A torso, and a head above `neck`, about 70 pixels high at size 1; `mouth`: how far it is open, 0 to 1; `facing`: how far the
    face has turned to the right (1) or the left (-1)."""
    x, y = neck

    def at(right: float, down: float) -> Point:
        return x + right * size, y + down * size

    dark = (person.skin[0] * 0.8, person.skin[1] * 0.8, person.skin[2] * 0.8)
    turned = 9 * facing
    return [
        Limb(at(0, -14), at(0, 14), (12 * size, 14 * size), dark),
        Blob(at(0, 52), (61 * size, 42 * size), person.shirt),
        Limb(at(0, 80), at(0, 200), (51 * size, 54 * size), person.shirt),
        Blob(at(-turned / 2, -48), (31 * size, 36 * size), person.hair),
        Blob(at(turned / 3, -40), (26 * size, 33 * size), person.skin),
        Blob(at(turned - 10, -45), (3.2 * size, 3.4 * size), _EYE),
        Blob(at(turned + 10, -45), (3.2 * size, 3.4 * size), _EYE),
        Limb(at(turned, -42), at(turned * 1.2, -32), (2 * size, 3.4 * size), dark),
        Blob(at(turned, -21), (9 * size, (1.8 + 4 * mouth) * size), _LIP),
    ]


def arm(person: Person, neck: Point, size: float, side: int, hand: Point, spread: float) -> list[Part]:
    """An arm from the shoulder at `side` (1 right, -1 left, in the picture) to `hand`, in pixels from `neck` at size 1, with fingers
    that are `spread` (0 a fist, 1 wide open)."""
    shoulder = np.array((44.0 * side, 32.0))
    goal = np.array(hand, np.float64)
    way = goal - shoulder
    far = min(float(np.hypot(*way)), _UPPER + _FORE - 1)
    ahead = way / max(float(np.hypot(*way)), 1e-6)
    goal = shoulder + ahead * far
    along = (_UPPER**2 - _FORE**2 + far**2) / (2 * max(far, 1.0))
    aside = np.sqrt(max(_UPPER**2 - along**2, 0.0))
    # Elbows hang down, and outward.
    outward = np.array((-ahead[1], ahead[0]))
    outward = outward * (1 if outward @ (0.5 * side, 1.0) > 0 else -1)
    elbow = shoulder + ahead * along + outward * aside

    def placed(point: NDArray[np.float64]) -> Point:
        return float(neck[0] + point[0] * size), float(neck[1] + point[1] * size)

    fore = (goal - elbow) / max(float(np.hypot(*(goal - elbow))), 1e-6)
    angle = float(np.arctan2(fore[1], fore[0]))
    palm = goal + 7 * fore
    fingers: list[Part] = []
    for number in range(-2, 2):
        turned = angle + (0.5 + number) * 0.38 * spread
        reach = 10 + 13 * spread
        tip = palm + reach * np.array((np.cos(turned), np.sin(turned)))
        root = palm + 4.6 * (0.5 + number) * np.array((-np.sin(angle), np.cos(angle)))
        fingers.append(Limb(placed(root), placed(tip), (3.6 * size, 2.8 * size), person.skin))
    return [
        Limb(placed(shoulder), placed(elbow), (17 * size, 13 * size), person.shirt),
        Limb(placed(elbow), placed(goal), (12 * size, 8 * size), person.shirt),
        *fingers,
        Blob(placed(palm), (11 * size, 9.5 * size), person.skin, angle),
    ]

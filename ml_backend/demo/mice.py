"""A mouse of rounded parts, from the side and from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_backend.demo.drawing import Blob, Color, Limb, Part, Point, curve

_EYE: Color = (18, 14, 14)
_SKIN: Color = (214, 160, 150)
_TAIL: Color = (150, 122, 120)


@dataclass(frozen=True)
class Pose:
    """How a mouse is seen from the side: where its hind feet are, which way it looks (1 right, -1 left), and how far it has
    risen on them (0 to 1). `step`: phase of its legs, in radians, None while it stands. `breath`: phase of its breathing."""

    x: float
    ground: float
    facing: int = 1
    risen: float = 0.0
    step: float | None = None
    breath: float = 0.0


def from_the_side(pose: Pose, coat: Color, size: float = 1.0) -> list[Part]:
    """The parts of a mouse that is about 150 pixels long, its tail included, at size 1."""
    dark = (coat[0] * 0.72, coat[1] * 0.72, coat[2] * 0.72)
    pitch = 1.12 * pose.risen
    bob = 1.5 * np.sin(2 * pose.step) if pose.step is not None else 0.0
    swell = 1 + 0.02 * np.sin(pose.breath)

    def at(along: float, up: float) -> Point:
        """From the hind feet, with the body's pitch about the hip."""
        along, up = along * size, (up - 24) * size
        turned = along * np.cos(pitch) - up * np.sin(pitch), along * np.sin(pitch) + up * np.cos(pitch)
        return float(pose.x + pose.facing * turned[0]), float(pose.ground - 24 * size - turned[1] - bob)

    def foot(along: float, phase: float) -> Point:
        swing = 0.0 if pose.step is None else np.sin(pose.step + phase)
        lift = 0.0 if pose.step is None else max(np.cos(pose.step + phase), 0.0)
        return float(pose.x + pose.facing * (along + 10 * swing) * size), float(pose.ground - (2.5 + 5 * lift) * size)

    def leg(hip: Point, along: float, phase: float, color: Color) -> Part:
        return Limb(hip, foot(along, phase), (7 * size, 3 * size), color)

    def foreleg(phase: float, color: Color) -> Part:
        shoulder = at(50, 15)
        if pose.risen < 0.15:
            return leg(shoulder, 54, phase, color)
        hanging = shoulder[0] + pose.facing * (12 + 2 * phase) * size, shoulder[1] + 15 * size
        return Limb(shoulder, hanging, (6 * size, 3 * size), color)

    nod = pitch * 0.45
    head = at(76, 27)
    cos, sin = np.cos(nod) * pose.facing, np.sin(nod)

    def on_head(along: float, up: float) -> Point:
        along, up = along * size, up * size
        return float(head[0] + along * cos - up * sin * pose.facing), float(head[1] - along * sin - up * abs(cos))

    tilt = float(np.arctan2(-sin, cos))
    tail = [
        (
            float(pose.x - pose.facing * (18 + 64 * share) * size),
            float(pose.ground - (12 * (1 - share) ** 2 + 4 + 9 * share * np.sin(3.4 * share + pose.breath / 3)) * size),
        )
        for share in np.linspace(0, 1, 9)
    ]
    return [
        *curve(tail, (4.2 * size, 1.4 * size), _SKIN),
        foreleg(np.pi, dark),
        leg(at(4, 18), 8, 0.6, dark),
        Blob(at(6, 25), (29 * size, 24 * size * swell), coat, -pitch * pose.facing, fur=1),
        Limb(at(14, 26), at(54, 25), (23 * size * swell, 17 * size), coat, fur=1),
        leg(at(2, 18), 4, np.pi + 0.6, coat),
        foreleg(0.0, coat),
        Blob(on_head(-8, 15), (8 * size, 9 * size), dark, tilt),
        Limb(on_head(-4, 0), on_head(20, -5), (15 * size, 5 * size), coat, fur=1),
        Blob(on_head(24, -6), (3 * size, 2.6 * size), _SKIN),
        Blob(on_head(-3, 14), (8 * size, 9.5 * size), _SKIN, tilt),
        Blob(on_head(9, 3), (2.6 * size, 2.6 * size), _EYE),
    ]


@dataclass(frozen=True)
class Place:
    """Where a mouse is, seen from above: its middle in pixels, where it looks, in radians clockwise from the right, and the
    phase of its walk. `size`: 1 is 80 pixels without the tail."""

    x: float
    y: float
    heading: float
    step: float
    size: float = 1.0


def from_above(place: Place, coat: Color) -> tuple[list[Part], list[Part]]:
    """The tail, which is no part of the animal's box; and everything else."""
    cos, sin = np.cos(place.heading), np.sin(place.heading)
    dark = (coat[0] * 0.7, coat[1] * 0.7, coat[2] * 0.7)

    def at(along: float, aside: float) -> Point:
        along, aside = along * place.size, aside * place.size
        return float(place.x + along * cos - aside * sin), float(place.y + along * sin + aside * cos)

    def blob(along: float, aside: float, long: float, wide: float, color: Color, fur: float = 0.0) -> Blob:
        return Blob(at(along, aside), (long * place.size, wide * place.size), color, place.heading, fur)

    wave = [(-31 - 34 * share, 7 * share * np.sin(4 * share + place.step / 2)) for share in np.linspace(0, 1, 9)]
    tail = curve([at(*each) for each in wave], (1.9 * place.size, 0.7 * place.size), _TAIL)
    reach = 6 * np.sin(place.step)
    paws: list[Part] = [
        blob(20 + reach, -13, 6, 4, dark),
        blob(20 - reach, 13, 6, 4, dark),
        blob(-20 - reach, -16, 8, 5, dark),
        blob(-20 + reach, 16, 8, 5, dark),
    ]
    body: list[Part] = [
        *paws,
        blob(-9, 0, 26, 19, coat, 1),
        blob(11, 0, 20, 15, coat, 1),
        Limb(at(24, 0), at(38, 0), (11 * place.size, 4 * place.size), coat, fur=1),
        blob(22, -11, 6, 6.5, _SKIN),
        blob(22, 11, 6, 6.5, _SKIN),
        blob(31, -6, 1.8, 1.8, _EYE),
        blob(31, 6, 1.8, 1.8, _EYE),
        blob(42, 0, 2, 2, _SKIN),
    ]
    return tail, body

"""From the flow of single frames to what a classifier can use: averages over windows, and what changes from before to after."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import Flow
from ml_backend.features.flow import COLUMNS, GLOBAL, LOCAL, STEPS

Floats = NDArray[np.float32]

# Widths in rows, which are every second frame.
_BRIEF = 3
_WINDOWS = (1, 5, 13)
_SIDES = (4, 10)
# Of what `_seen` gives, what is about the subject rather than the camera; and what of it has a sign.
_OWN = np.arange(3, 10)
_SEEN_SIGNED = np.array([True, True, False, False, True, True, False, True, True, False, True, True, False])
# An amount that is nothing yet.
_LITTLE = 0.002


class _Column(NamedTuple):
    """Some columns of `moves`. `part`: `brief`, `whole` or `cells`. `signed`: those whose 0 is "none" in every video."""

    part: str
    rows: Floats
    signed: NDArray[np.bool_]


def moves(flow: Flow) -> Floats:
    """(r, d) float32: speed, direction, turning, spreading over several windows, their change from before to after, and how
    each part of the picture moves.
    """
    return np.concatenate([column.rows for column in _columns(np.asarray(flow.rows, np.float32))], axis=1)


@cache
def columns_of(part: str) -> NDArray[np.intp]:
    """The columns of `moves` that are its `brief`, what a few answers can be learnt by, or all that is about the `whole`
    picture, or about `all` of it and its cells."""
    parts = {"brief": ("brief",), "whole": ("brief", "whole"), "all": ("brief", "whole", "cells")}[part]
    return np.flatnonzero(np.concatenate([np.full(len(each.signed), each.part in parts) for each in _layout()]))


@cache
def signed_columns() -> NDArray[np.bool_]:
    """(d,) the columns of `moves` that are a direction or a change."""
    return np.concatenate([column.signed for column in _layout()])


@cache
def _layout() -> list[_Column]:
    return _columns(np.zeros((1, len(STEPS) * COLUMNS), np.float32))


def _columns(rows: Floats) -> list[_Column]:
    found = []
    for at in range(len(STEPS)):
        step = rows[:, at * COLUMNS : (at + 1) * COLUMNS]
        whole, cells = step[:, :GLOBAL], step[:, GLOBAL:]
        mass, velocity = whole[:, 2:3], whole[:, 8:10]
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        camera = whole[:, :2]
        shake = np.linalg.norm(camera, axis=1, keepdims=True)
        summed = np.concatenate(
            [camera, shake, mass, whole[:, 3:8], mass * velocity, mass * speed, whole[:, 10:], velocity, speed], axis=1
        )
        total = _summed(summed)
        found.append(_Column("brief", _seen(_centred(total, _BRIEF))[:, _OWN], _SEEN_SIGNED[_OWN]))
        before, after = _sides(total, _BRIEF)
        moved = (_place(after) - _place(before))[:, :3]
        way = np.linalg.norm(moved[:, :2], axis=1, keepdims=True)
        found.append(_Column("brief", np.concatenate([moved, way], axis=1), np.array([True] * 3 + [False])))
        for window in _WINDOWS:
            found.append(_Column("whole", _seen(_centred(total, window)), _SEEN_SIGNED))
        for side in _SIDES:
            before, after = _sides(total, side)
            changed = np.concatenate([_place(after) - _place(before), (_seen(after) - _seen(before))[:, 3:7]], axis=1)
            found.append(_Column("whole", changed, np.ones(8, bool)))
        parts = _summed(cells)
        amounts = np.arange(LOCAL) < LOCAL // 3
        found += [_Column("cells", _centred(parts, window), ~amounts) for window in _WINDOWS[1:]]
    return found


def _seen(mean: Floats) -> Floats:
    """(r, 13): the camera (3), how much moves, its velocity and speed, spreading, turning, extent, and mean velocity."""
    mass = mean[:, 3:4] + _LITTLE
    extent = _place(mean)[:, 2:]
    return np.concatenate(
        [mean[:, :3], np.sqrt(mass), mean[:, 9:12] / mass, mean[:, 12:14] / mass, extent[:, :1], mean[:, 14:17]], axis=1
    )


def _place(mean: Floats) -> Floats:
    """(r, 4): where what moves is (x, y), how far it extends, and how much longer than high it is."""
    mass = mean[:, 3:4] + _LITTLE
    centre = mean[:, 4:6] / mass
    spread = np.maximum(mean[:, 6:8] / mass - centre**2, 0)
    extent = np.sqrt(spread)
    return np.concatenate([centre, extent.sum(axis=1, keepdims=True), extent[:, :1] - extent[:, 1:]], axis=1)


def _summed(rows: Floats) -> NDArray[np.float64]:
    return np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])


def _mean(total: NDArray[np.float64], first: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
    return np.asarray((total[stop] - total[first]) / (stop - first)[:, None], np.float32)


def _centred(total: NDArray[np.float64], window: int) -> Floats:
    """Means of windows around each row, shifted inward at the ends."""
    count = len(total) - 1
    width = min(window, count)
    first = np.clip(np.arange(count) - width // 2, 0, count - width)
    return _mean(total, first, first + width)


def _sides(total: NDArray[np.float64], side: int) -> tuple[Floats, Floats]:
    """Means of the rows before and after each, both with the row itself."""
    count = len(total) - 1
    every = np.arange(count)
    return (
        _mean(total, np.maximum(every - side, 0), every + 1),
        _mean(total, every, np.minimum(every + side + 1, count)),
    )

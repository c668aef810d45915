"""A frame number drawn into a picture so that it survives any codec: 12 bits and a 4 bit check in 8 x 2 cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 8, 2
MOST = 1 << 12
_DARK, _LIGHT = 40, 215


def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """The (height, width) grey picture of `number` (0..4095)."""
    if not 0 <= number < MOST:
        raise ValueError(f"a bar code holds 0 to {MOST - 1}, not {number}")
    word = number << 4 | _check(number)
    bits = np.array([word >> (15 - i) & 1 for i in range(16)], dtype=bool).reshape(ROWS, COLUMNS)
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.where(bits[np.ix_(rows, columns)], _LIGHT, _DARK).astype(np.uint8)


def cell_centres(rotation: int = 0) -> list[tuple[float, float]]:
    """Where to look for the 16 bits, as (x, y) fractions of a picture shown turned clockwise by `rotation` degrees."""
    centres = [((i % COLUMNS + 0.5) / COLUMNS, (i // COLUMNS + 0.5) / ROWS) for i in range(16)]
    for _ in range(rotation // 90 % 4):
        centres = [(1 - y, x) for x, y in centres]
    return centres


def read(levels: Sequence[float]) -> int | None:
    """The number whose 16 cells have these grey levels (0..255); None when the check does not fit."""
    word = int("".join("1" if level > (_DARK + _LIGHT) / 2 else "0" for level in levels), 2)
    return word >> 4 if word & 15 == _check(word >> 4) else None


def read_picture(grey: NDArray[np.uint8]) -> int | None:
    """The number in an upright (height, width) grey picture."""
    height, width = grey.shape
    return read([float(grey[int(y * height), int(x * width)]) for x, y in cell_centres()])


def _check(number: int) -> int:
    # Odd multipliers make any one changed nibble change the check; 9 keeps an all dark or all light picture invalid.
    return (9 + (number & 15) * 3 + (number >> 4 & 15) * 5 + (number >> 8) * 7) & 15

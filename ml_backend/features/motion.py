"""How things move: differences of small grey pictures and displacements of embeddings, averaged over two windows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 64
STEPS = (1, 2, 4)
WINDOWS = (5, 15)
# Frames before and after a frame that its row depends on.
REACH = max(STEPS) + max(WINDOWS) // 2
_GRID = 4
_CELL = GREY // _GRID
_SUM = np.kron(np.eye(_GRID, dtype=np.float32), np.ones((_CELL, 1), np.float32)) / _CELL**2


def motion(
    grey: NDArray[np.uint8], appearance: NDArray[np.floating], first: int = 0, stop: int | None = None
) -> NDArray[np.float32]:
    """(n, 64, 64) grey pictures and (n, d) embeddings of consecutive frames to (stop - first, 102) rows for some of them.

    Per window and step: mean absolute difference between the frames that many before and after, in each of 4 x 4 cells
    (0..255), then one minus the cosine of their embeddings. At the ends of what is given the windows are shifted inward.
    """
    n = len(grey)
    every = np.arange(n)
    unit = appearance / np.maximum(np.linalg.norm(appearance, axis=1, keepdims=True), 1e-12)
    columns = []
    for step in STEPS:
        low, high = np.maximum(every - step, 0), np.minimum(every + step, n - 1)
        difference = cv2.absdiff(grey[high].reshape(-1, GREY), grey[low].reshape(-1, GREY)).astype(np.float32)
        cells = (difference @ _SUM).reshape(n, _GRID, _CELL, _GRID).sum(2).reshape(n, -1)
        columns += [cells, 1 - np.einsum("nd,nd->n", unit[high], unit[low])[:, None]]
    rows = np.hstack(columns).astype(np.float64)
    total = np.vstack([np.zeros_like(rows[:1]), np.cumsum(rows, axis=0)])
    wanted = every[first:stop]
    averaged = []
    for window in WINDOWS:
        width = min(window, n)
        start = np.clip(wanted - window // 2, 0, n - width)
        averaged.append((total[start + width] - total[start]) / width)
    return np.hstack(averaged).astype(np.float32)

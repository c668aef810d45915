"""How things move: differences of small grey pictures and displacements of embeddings, averaged over two windows."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.video.view import GREY

STEPS = (1, 2, 4)
WINDOWS = (5, 15)
# Frames before and after a frame that its row depends on.
REACH = max(STEPS) + max(WINDOWS) // 2
_GRID = 4
_PART = 64


def motion(
    grey: NDArray[np.uint8], positions: NDArray[np.int64], appearance: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(n, 64, 64) grey pictures of consecutive frames to (n, 102) rows.

    `positions`, `appearance`: (m,) ascending, from 0 or before to n - 1 or after, and (m, d): the embeddings there are; they
    are interpolated in between. Per window and step: mean absolute difference between the frames that many before and
    after, in each of 4 x 4 cells (0..255), then one minus the cosine of their embeddings. At the ends of what is given
    the windows are shifted inward.
    """
    n = len(grey)
    every = np.arange(n)
    cosine = _interpolated_cosine(positions, appearance, n)
    columns: list[NDArray[np.floating]] = []
    for step in STEPS:
        low, high = np.maximum(every - step, 0), np.minimum(every + step, n - 1)
        # In parts that stay in the processor's cache.
        parts = [_cells(grey[high[a : a + _PART]], grey[low[a : a + _PART]]) for a in range(0, n, _PART)]
        columns += [np.concatenate(parts), 1 - cosine(low, high)[:, None]]
    rows = np.hstack(columns).astype(np.float64)
    total = np.vstack([np.zeros_like(rows[:1]), np.cumsum(rows, axis=0)])
    averaged = []
    for window in WINDOWS:
        width = min(window, n)
        start = np.clip(every - window // 2, 0, n - width)
        averaged.append((total[start + width] - total[start]) / width)
    return np.hstack(averaged).astype(np.float32)


def _cells(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(k, 16) mean absolute differences of (k, 64, 64) pictures, by cell."""
    difference = cv2.absdiff(one.reshape(-1, GREY), other.reshape(-1, GREY)).astype(np.float32)
    cells = cv2.resize(difference, (_GRID, len(one) * _GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cells.reshape(len(one), -1), np.float32)


def _interpolated_cosine(
    positions: NDArray[np.int64], vectors: NDArray[np.floating], n: int
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]:
    """The cosine between the vectors at two frames, by way of the few scalar products between those that are there."""
    if len(positions) == 1:
        return lambda low, high: np.ones(len(low))
    every = np.arange(n)
    left = np.clip(np.searchsorted(positions, every, side="right") - 1, 0, len(positions) - 2)
    share = (every - positions[left]) / (positions[left + 1] - positions[left])
    # Only products of near neighbors are asked for. Not by BLAS: its threads spin for a while after each product and take
    # the decoder's time.
    widest = int((left[np.minimum(every + 2 * max(STEPS), n - 1)] - left).max()) + 1
    band = np.zeros((widest + 1, len(vectors)))
    for apart in range(widest + 1):
        one, other = vectors[: len(vectors) - apart], vectors[apart:]
        band[apart, : len(one)] = np.einsum("id,id->i", one, other, optimize=False)

    def gram(i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(band[np.abs(i - j), np.minimum(i, j)])

    def product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        i, j, s, t = left[a], left[b], share[a], share[b]
        start = gram(i, j) * (1 - t) + gram(i, j + 1) * t
        end = gram(i + 1, j) * (1 - t) + gram(i + 1, j + 1) * t
        return np.asarray(start * (1 - s) + end * s)

    length = np.sqrt(np.maximum(product(every, every), 1e-24))
    return lambda low, high: product(low, high) / (length[low] * length[high])

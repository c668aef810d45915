"""Where points of one picture are in another: Lucas and Kanade (1981), from coarse to fine (Bouguet, 2000)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)


def moved_points(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    points: NDArray[np.float32],
    guess: NDArray[np.float32] | None = None,
    *,
    window: int = 13,
    levels: int = 2,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(n, 2) where n points (n, 2) of the grey picture `before` (h, w) are in `after`, and (n,) whether they were found.

    `guess`: (n, 2) about where. `window`: side of what has to look the same, in pixels. `levels`: how often pictures are halved,
    for points that move farther than the window.
    """
    start = points if guess is None else guess
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        after,
        points[:, None],
        start[:, None].copy(),
        winSize=(window, window),
        maxLevel=levels,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(there, np.float32).reshape(-1, 2), np.asarray(found).ravel() == 1

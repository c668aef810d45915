"""Pictures to make clips of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pictures = Sequence[NDArray[np.uint8]]
Encode = Callable[..., Path]


def street(frames: int, visit: range = range(0), width: int = 320, height: int = 192) -> list[NDArray[np.uint8]]:
    """A still textured scene; during `visit` a bright striped block stands in it."""
    rng = np.random.default_rng(7)
    scene = np.kron(rng.integers(40, 120, (height // 16, width // 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    visited = scene.copy()
    visited[48:144, 96:192] = 250
    visited[48:144:24, 96:192] = 10
    return [visited if index in visit else scene for index in range(frames)]

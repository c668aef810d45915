"""Where in the picture objects have been for how long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_backend.geometry.trajectory import Floats, Trajectory

COLUMNS = 32


def presence(ways: Sequence[Trajectory], aspect: float, columns: int = COLUMNS) -> Floats:
    """(rows, columns) seconds for which the centers of all were in each cell, which is about as high as it is wide. `aspect`: width /
    height of the picture; what is outside of it counts to its edge."""
    rows = max(1, round(columns / aspect))
    seconds = np.zeros((rows, columns))
    for way in ways:
        column = np.clip((way.centers[:, 0] * columns).astype(int), 0, columns - 1)
        row = np.clip((way.centers[:, 1] * aspect * rows).astype(int), 0, rows - 1)
        np.add.at(seconds, (row, column), 1 / way.framerate)
    return seconds

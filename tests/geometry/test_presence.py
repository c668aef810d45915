"""Where objects have been, in cells of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.geometry.presence import presence
from ml_backend.geometry.trajectory import Trajectory

ASPECT = 16 / 9


def at(*places: tuple[float, float]) -> Trajectory:
    """With its center at these, in percent of the width and the height."""
    boxes = np.array([[x - 2, y - 2, 4, 4] for x, y in places], float)
    return Trajectory.of("a", np.arange(1, len(places) + 1), boxes, 25.0, ASPECT)


def test_each_frame_counts_in_the_cell_in_which_its_center_is() -> None:
    found = presence([at((10, 10), (10, 10), (90, 95)), at((10, 10))], ASPECT, columns=8)
    assert found.shape == (4, 8)
    assert found[0, 0] == pytest.approx(3 / 25)
    assert found[3, 7] == pytest.approx(1 / 25)
    assert found.sum() == pytest.approx(4 / 25)


def test_the_sum_is_the_time_in_which_they_are_seen_also_beyond_the_edge() -> None:
    assert presence([at((-3, 50), (104, 50), (50, 101))], ASPECT).sum() == pytest.approx(3 / 25)
    assert presence([], ASPECT).sum() == 0

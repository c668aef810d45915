"""HOTA of tracks whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.objects.boxes import Track
from ml_backend.objects.tracking_scores import hota


def track(number: int, first: int, last: int, left: float) -> Track:
    frames = np.arange(first, last)
    boxes = np.tile(np.array([left, 0.2, 0.2, 0.2], np.float32), (len(frames), 1))
    return Track(number, frames, boxes, np.ones(len(frames), np.float32), 1.0)


def test_the_truth_itself_is_one_and_nothing_is_none() -> None:
    truth = [track(1, 0, 20, 0.1), track(2, 5, 20, 0.6)]
    assert hota(truth, truth, 20) == pytest.approx(1)
    assert hota(truth, [], 20) == 0
    assert hota([], truth, 20) == 0
    assert hota([], [], 20) == 1


def test_a_track_in_two_halves_is_found_wholly_and_followed_half() -> None:
    # DetA 1, AssA 1/2: their geometric mean.
    assert hota([track(1, 0, 20, 0.1)], [track(1, 0, 10, 0.1), track(2, 10, 20, 0.1)], 20) == pytest.approx(0.5**0.5)

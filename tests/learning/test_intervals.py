"""Intervals say how far a score might be off with other videos: wide for few or unlike ones, and none for two."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ml_backend.learning.metrics import F1Intervals, f1_intervals


def recording(right: float, frames: int = 200, label: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two labels, of which `label` is everywhere and said on a share `right` of the frames."""
    values = np.zeros((frames, 2), np.int8)
    values[:, label] = 1
    answer = values.copy()
    answer[int(right * frames) :] = 0
    return answer, values


def width(interval: list[float]) -> float:
    return interval[1] - interval[0]


def test_two_recordings_give_none() -> None:
    assert f1_intervals([recording(0.9), recording(0.8)]) is None


def test_the_score_lies_within_and_the_same_seed_gives_the_same() -> None:
    recordings = [recording(share) for share in (0.5, 0.7, 0.8, 0.9, 1.0)]
    found = f1_intervals(recordings)
    assert found is not None
    both = sum(share * 200 for share in (0.5, 0.7, 0.8, 0.9, 1.0))
    low, high = found.macro_f1
    assert low < 2 * both / (both + 1000) < high
    assert found.labels[0] == (low, high)
    assert f1_intervals(recordings) == found


def test_more_frames_of_the_same_recordings_promise_no_more() -> None:
    few = f1_intervals([recording(share, 100) for share in (0.5, 0.7, 0.9)])
    many = f1_intervals([recording(share, 10_000) for share in (0.5, 0.7, 0.9)])
    assert few is not None
    assert many is not None
    assert width(few.macro_f1) == pytest.approx(width(many.macro_f1), abs=0.01)


def test_more_recordings_narrow_it() -> None:
    few = f1_intervals([recording(share) for share in (0.5, 0.7, 0.9)])
    many = f1_intervals([recording(share) for share in (0.5, 0.7, 0.9) for _ in range(10)])
    assert few is not None
    assert many is not None
    assert width(many.macro_f1) < width(few.macro_f1) / 2


def test_a_label_of_one_recording_is_judged_where_it_is_drawn_and_one_that_never_occurs_is_not() -> None:
    seldom = [recording(0.9), recording(0.9), recording(0.6, label=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = f1_intervals(seldom)
        never = f1_intervals([recording(0.9)] * 3)
    assert found is not None
    assert found.labels[1] == pytest.approx((0.75, 0.75))
    assert never is not None
    assert never.labels[1] is None
    assert never.macro_f1 == never.labels[0]


def test_unknown_frames_count_for_nothing() -> None:
    answer, values = recording(0.5)
    values[100:] = -1
    found = f1_intervals([(answer, values)] * 3)
    assert found is not None
    assert found.macro_f1 == (1, 1)


def test_nothing_known_gives_no_interval() -> None:
    nothing = (np.zeros((10, 2), np.int8), np.full((10, 2), -1, np.int8))
    assert f1_intervals([nothing] * 3) == F1Intervals(macro_f1=None, labels=(None, None))


@pytest.mark.parametrize("recordings", [3, 4, 5, 15])
def test_nineteen_of_twenty_repetitions_lie_within(recordings: int) -> None:
    rng = np.random.default_rng(recordings)

    def drawn() -> list[tuple[np.ndarray, np.ndarray]]:
        return [recording(float(share), 100) for share in rng.beta(6, 3, recordings)]

    def score(found: list[tuple[np.ndarray, np.ndarray]]) -> float:
        said, right = sum(int(a.sum()) for a, _ in found), sum(int((a & v).sum()) for a, v in found)
        return 2 * right / (said + 100 * recordings)

    held = 0
    for _ in range(200):
        found = f1_intervals(drawn())
        assert found is not None
        low, high = found.macro_f1
        held += low <= score(drawn()) <= high
    assert held >= 184

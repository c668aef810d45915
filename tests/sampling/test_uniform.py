"""Frames spread evenly over a video."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.uniform import thin, uniform

FRAMES = st.integers(1, 1_000_000)
COUNT = st.integers(1, 1000)


def dissertation(frame_count: int, count: int) -> list[int]:
    """Algorithm 1 as it was written: every frame whose index is divisible by the interval, rounded down."""
    return list(range(0, frame_count, max(1, frame_count // count)))


def test_the_middles_of_equal_stretches() -> None:
    assert uniform(100, 4).tolist() == [12, 37, 62, 87]
    assert uniform(9, 3).tolist() == [1, 4, 7]
    assert uniform(100, 1).tolist() == [50]


def test_all_frames_when_there_are_no_more() -> None:
    assert uniform(3, 3).tolist() == uniform(3, 10).tolist() == [0, 1, 2]


def test_the_dissertations_rule_gives_frames_too_many_and_always_the_first() -> None:
    assert len(dissertation(109, 10)) == 11
    assert len(dissertation(199, 100)) == 199
    assert dissertation(100, 4)[0] == 0
    assert [len(uniform(109, 10)), len(uniform(199, 100))] == [10, 100]


@given(FRAMES, COUNT)
def test_exactly_as_many_as_asked_for_all_inside_the_video(frame_count: int, count: int) -> None:
    frames = uniform(frame_count, count)
    assert frames.dtype == np.int64
    assert len(frames) == min(frame_count, count)
    assert frames.min() >= 0
    assert frames.max() <= frame_count - 1


@given(FRAMES, COUNT)
def test_gaps_differ_by_one_frame_at_most_and_the_ends_get_half_a_gap(frame_count: int, count: int) -> None:
    frames = uniform(frame_count, count)
    gaps = np.diff(frames)
    if len(gaps):
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1
    before, after = frames[0], frame_count - 1 - frames[-1]
    assert abs(before - after) <= 1


@pytest.mark.parametrize(("frame_count", "count"), [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_nothing_to_pick_is_an_error(frame_count: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot pick"):
        uniform(frame_count, count)


SORTED = st.lists(st.integers(0, 10_000), unique=True, max_size=200).map(lambda some: np.array(sorted(some), np.int64))


class TestThinning:
    def test_some_of_the_frames_evenly_with_both_ends(self) -> None:
        assert thin(np.array([3, 5, 9, 20, 31]), 3).tolist() == [3, 9, 31]
        assert thin(np.array([3, 5, 9, 20, 31]), 2).tolist() == [3, 31]
        assert thin(np.array([3, 5, 9, 20, 31]), 1).tolist() == [9]

    @given(SORTED, COUNT)
    def test_never_more_than_asked_for_never_another_frame_never_one_twice(
        self, frames: np.ndarray, count: int
    ) -> None:
        kept = thin(frames, count)
        assert len(kept) == min(len(frames), count)
        assert set(kept) <= set(frames)
        assert (np.diff(kept) > 0).all()
        if count >= 2 and len(frames):
            assert (kept[0], kept[-1]) == (frames[0], frames[-1])

    @pytest.mark.parametrize("count", [0, -1])
    def test_keeping_nothing_is_an_error(self, count: int) -> None:
        with pytest.raises(ValueError, match="cannot keep"):
            thin(np.array([1, 2]), count)

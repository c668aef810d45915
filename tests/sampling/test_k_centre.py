"""k-centre: no frame looks much different from the nearest one chosen."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.diverse import principal
from sampling.k_centre import k_centre, radius


def pictures(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 6))


@given(frames=st.integers(2, 9), count=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_the_radius_is_at_most_twice_the_best(frames: int, count: int, seed: int) -> None:
    rows = pictures(frames, seed)
    points = principal(rows)
    best = min(radius(points, np.array(some)) for some in combinations(range(frames), min(count, frames)))
    assert radius(points, k_centre(rows, count, seed=seed)) <= 2 * best + 1e-6


def test_the_picture_most_unlike_those_chosen_comes_next() -> None:
    rows = np.array([[0.0], [0.1], [0.2], [5.0], [9.0]])
    assert k_centre(rows, 1, labelled=[0]).tolist() == [4]
    assert k_centre(rows, 2, labelled=[0]).tolist() == [3, 4]


def test_the_same_picture_is_never_asked_about_twice() -> None:
    assert len(k_centre(np.tile(pictures(3, 0), (20, 1)), 10)) == 3
    assert len(k_centre(np.ones((20, 4)), 10)) == 1


def test_a_labelled_picture_is_not_asked_about_again() -> None:
    assert k_centre(np.ones((20, 4)), 10, labelled=[3]).tolist() == []


def test_the_radius_is_that_of_the_farthest_frame() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert radius(points, np.array([0])) == pytest.approx(5)
    assert radius(points, np.array([0, 1])) == pytest.approx(1)
    assert radius(points, np.array([], np.int64)) == np.inf


def test_frame_indices_must_belong_to_the_rows() -> None:
    with pytest.raises(ValueError, match="frame indices"):
        k_centre(pictures(4, 0), 2, frames=[1, 2])


@given(
    frames=st.integers(0, 40),
    count=st.integers(-1, 12),
    gap=st.integers(0, 15),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    seed=st.integers(0, 1000),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    frames: int, count: int, gap: int, labelled: list[int], seed: int
) -> None:
    rows = pictures(frames, seed)
    index = np.sort(np.random.default_rng(seed).choice(120, frames, replace=False))
    assert well_formed(
        lambda: k_centre(rows, count, frames=index, labelled=labelled, gap=gap, seed=seed), index, count, gap, labelled
    )

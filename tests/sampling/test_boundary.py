"""Frames around predicted changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.uncertain import boundary, changes_of


def timeline(*stretches: tuple[int, float]) -> np.ndarray:
    """One label: for each stretch its length in frames and its probability."""
    return np.concatenate([np.full(length, value) for length, value in stretches])[:, None]


def test_both_sides_of_a_change() -> None:
    assert boundary(timeline((10, 0.0), (10, 1.0)), 2, exclusive=True).tolist() == [9, 10]


def test_the_least_sure_change_comes_first() -> None:
    values = timeline((10, 0.0), (10, 1.0), (10, 0.1), (10, 0.6), (10, 0.0))
    assert boundary(values, 2, exclusive=True).tolist() in ([29, 30], [39, 40])
    assert boundary(values, 4, exclusive=True).tolist() == [29, 30, 39, 40]
    assert set(boundary(values, 1, exclusive=True)) <= {30, 39}


def test_without_a_change_there_is_nothing_to_ask() -> None:
    assert boundary(timeline((30, 0.4)), 5, exclusive=False).tolist() == []


def test_from_one_label_to_another_and_from_a_label_to_none_are_changes() -> None:
    values = np.array([[0.9, 0.0], [0.1, 0.8], [0.1, 0.1], [0.2, 0.1]])
    assert changes_of(values, exclusive=True).tolist() == [0, 1]


def test_labels_that_may_hold_together_change_one_by_one() -> None:
    values = np.array([[0.9, 0.6], [0.9, 0.6], [0.9, 0.4], [0.9, 0.4]])
    assert changes_of(values, exclusive=False).tolist() == [1]


def test_the_sides_move_apart_as_far_as_the_gap_asks() -> None:
    assert boundary(timeline((50, 0.0), (50, 1.0)), 2, exclusive=True, gap=10).tolist() == [44, 54]


def test_a_side_stays_in_its_stretch_and_the_other_moves_out_instead() -> None:
    assert boundary(timeline((50, 0.0), (3, 1.0)), 2, exclusive=True, gap=10).tolist() == [42, 52]


def test_of_stretches_too_short_for_the_gap_one_side_is_asked_about() -> None:
    assert len(boundary(timeline((3, 0.0), (3, 1.0)), 2, exclusive=True, gap=10)) == 1


def test_what_is_labelled_is_not_asked_about() -> None:
    assert boundary(timeline((10, 0.0), (10, 1.0)), 2, exclusive=True, labelled=[9]).tolist() == [10]


@given(
    likely=st.lists(st.floats(0, 1), max_size=60),
    step=st.integers(1, 4),
    count=st.integers(-1, 10),
    gap=st.integers(0, 12),
    labelled=st.lists(st.integers(0, 200), max_size=4),
    exclusive=st.booleans(),
    seed=st.integers(0, 100),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    likely: list[float], step: int, count: int, gap: int, labelled: list[int], exclusive: bool, seed: int
) -> None:
    values = np.array(likely).reshape(-1, 1)
    index = np.arange(len(values)) * step

    def chosen() -> np.ndarray:
        return boundary(values, count, exclusive=exclusive, frames=index, labelled=labelled, gap=gap, seed=seed)

    assert well_formed(chosen, index, count, gap, labelled)


def test_frame_indices_must_belong_to_the_rows() -> None:
    with pytest.raises(ValueError, match="frame indices"):
        boundary(timeline((4, 0.0)), 1, exclusive=True, frames=[1, 2])

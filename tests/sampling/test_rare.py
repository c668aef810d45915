"""Frames that most probably show what has been labelled least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.uncertain import rare


def test_a_label_without_examples_comes_before_one_that_has_many() -> None:
    values = np.array([[0.9, 0.0], [0.1, 0.4], [0.8, 0.2]])
    assert rare(values, 1, examples=[20, 0], exclusive=True).tolist() == [1]


def test_of_equally_rare_labels_the_most_probable_frame_is_asked_about() -> None:
    values = np.array([[0.9, 0.0], [0.1, 0.4], [0.8, 0.2]])
    assert rare(values, 1, examples=[3, 3], exclusive=True).tolist() == [0]


def test_a_pick_counts_as_the_examples_that_it_will_probably_give() -> None:
    values = np.zeros((20, 2))
    values[:10, 0] = 0.9
    values[10:, 1] = 0.8
    first, second = rare(values, 2, examples=[0, 0], exclusive=True)
    assert first < 10 <= second


def test_a_label_that_the_video_does_not_show_keeps_none_of_the_others_out() -> None:
    values = np.array([[0.001, 0.9], [0.0, 0.1]])
    assert rare(values, 1, examples=[0, 5], exclusive=True).tolist() == [0]


def test_where_no_label_is_possible_nothing_is_asked() -> None:
    assert rare(np.zeros((5, 2)), 3, examples=[0, 0], exclusive=True).tolist() == []


def test_rows_that_sum_to_more_than_one_count_as_if_they_did_when_labels_exclude_each_other() -> None:
    values = np.array([[0.9, 0.9], [0.6, 0.0]])
    assert rare(values, 1, examples=[0, 0], exclusive=True).tolist() == [1]
    assert rare(values, 1, examples=[0, 0], exclusive=False).tolist() == [0]


@pytest.mark.parametrize("examples", [[1], [1, 2, 3], [-1, 0]])
def test_examples_are_counts_one_for_each_label(examples: list[int]) -> None:
    with pytest.raises(ValueError, match="not counts of the labels"):
        rare(np.zeros((5, 2)), 3, examples=examples, exclusive=True)


@given(
    frames=st.integers(0, 40),
    count=st.integers(-1, 12),
    gap=st.integers(0, 12),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    exclusive=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    frames: int, count: int, gap: int, labelled: list[int], exclusive: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values, index = rng.random((frames, 3)), np.sort(rng.choice(120, frames, replace=False))
    examples = rng.integers(0, 30, 3)

    def chosen() -> np.ndarray:
        return rare(
            values, count, examples=examples, exclusive=exclusive, frames=index, labelled=labelled, gap=gap, seed=seed
        )

    assert well_formed(chosen, index, count, gap, labelled)

"""Uncertain frames: those that a model cannot decide, and that show something else than what was answered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.uncertain import disagreement, entropy, margin, uncertain


def rows(*each: tuple[float, ...]) -> np.ndarray:
    return np.array(each, np.float32)


class TestMargin:
    def test_none_of_the_labels_is_an_answer_when_labels_exclude_each_other(self) -> None:
        sure, tied, against_none = margin(rows((1, 0), (0.5, 0.5), (0.5, 0)), exclusive=True)
        assert [sure, tied, against_none] == pytest.approx([0, 1, 1])

    def test_the_two_most_probable_answers_count(self) -> None:
        assert margin(rows((0.5, 0.3), (0.1, 0.2)), exclusive=True) == pytest.approx([0.8, 0.5])

    def test_else_the_label_nearest_a_half_counts(self) -> None:
        assert margin(rows((0.9, 0.4), (0, 1), (0.5, 0)), exclusive=False) == pytest.approx([0.8, 0, 1])


class TestEntropy:
    def test_it_is_greatest_where_all_answers_are_equally_probable(self) -> None:
        assert entropy(rows((1 / 3, 1 / 3), (0, 1), (0, 0)), exclusive=True) == pytest.approx([1, 0, 0], abs=1e-6)

    def test_else_the_label_of_greatest_entropy_counts(self) -> None:
        assert entropy(rows((0.5, 1), (0, 1)), exclusive=False) == pytest.approx([1, 0], abs=1e-6)


class TestDisagreement:
    def test_a_frame_unlike_both_neighbours_is_higher_than_one_beside_a_change(self) -> None:
        flicker = rows((0,), (0,), (1,), (0,), (0,), (0,), (1,), (1,))
        assert disagreement(flicker, exclusive=True) == pytest.approx([0, 0.5, 1, 0.5, 0, 0.5, 0.5, 0])

    def test_the_label_that_changes_most_counts_when_several_can_hold(self) -> None:
        assert disagreement(rows((0.1, 0.5), (0.9, 0.6)), exclusive=False) == pytest.approx([0.8, 0.8])

    def test_a_single_frame_agrees_with_all_there_is(self) -> None:
        assert disagreement(rows((0.5,)), exclusive=True).tolist() == [0]


@pytest.mark.parametrize("measure", [margin, entropy, disagreement])
@given(st.integers(0, 30), st.integers(1, 5), st.booleans(), st.integers(0, 1000))
def test_every_measure_is_between_0_and_1(measure, frames: int, labels: int, exclusive: bool, seed: int) -> None:
    found = measure(likely(frames, labels, exclusive, seed), exclusive)
    assert found.shape == (frames,)
    assert ((found >= -1e-9) & (found <= 1 + 1e-9)).all()


def test_the_least_sure_frame_comes_first() -> None:
    assert uncertain(rows((0.9,), (0.6,), (0.1,)), 1, exclusive=True).tolist() == [1]


def test_of_two_unsure_frames_the_one_far_from_what_is_labelled_is_asked_about() -> None:
    values = np.full((100, 1), 0.05)
    values[[11, 80]] = 0.5
    assert uncertain(values, 1, exclusive=True, labelled=[10]).tolist() == [80]


def test_where_embeddings_are_given_the_picture_counts_and_not_the_time() -> None:
    pictures = np.array([[1.0, 0.0], [1.0, 0.05], [0.0, 1.0], [1.0, 0.1]])
    values = np.full((4, 1), 0.5)
    assert uncertain(values, 1, exclusive=True, labelled=[0]).tolist() == [3]
    assert uncertain(values, 1, exclusive=True, labelled=[0], embeddings=pictures).tolist() == [2]


def test_a_labelled_frame_without_an_embedding_is_known_by_the_nearest() -> None:
    pictures = np.array([[1.0, 0.0], [0.0, 1.0]])
    chosen = uncertain(np.full((2, 1), 0.5), 2, exclusive=True, frames=[10, 20], labelled=[12], embeddings=pictures)
    assert chosen.tolist() == [20]


@pytest.mark.parametrize("picture", [np.zeros(3), np.ones(3)])
def test_the_same_picture_is_never_asked_about_twice(picture: np.ndarray) -> None:
    values = np.full((20, 1), 0.5)
    assert len(uncertain(values, 5, exclusive=True, embeddings=np.tile(picture, (20, 1)))) == 1


def test_a_model_that_is_sure_of_everything_is_asked_far_from_what_is_known() -> None:
    assert uncertain(np.ones((101, 1)), 2, exclusive=True, labelled=[0]).tolist() == [50, 100]


def test_another_measure_may_decide() -> None:
    flicker = rows((0.6,), (0.6,), (0.6,), (1.0,), (0.6,), (0.6,))
    assert uncertain(flicker, 1, exclusive=True, measure="margin").tolist() != [3]
    assert uncertain(flicker, 1, exclusive=True, measure="disagreement").tolist() == [3]
    with pytest.raises(ValueError, match="margin, entropy, disagreement"):
        uncertain(flicker, 1, exclusive=True, measure="chance")  # type: ignore[arg-type]


@pytest.mark.parametrize("frames", [[3, 1], [1, 1], [1, 2, 3]])
def test_frame_indices_must_ascend_and_belong_to_the_rows(frames: list[int]) -> None:
    with pytest.raises(ValueError, match="frame indices"):
        uncertain(rows((0.5,), (0.5,)), 1, exclusive=True, frames=frames)


def test_embeddings_must_belong_to_the_rows() -> None:
    with pytest.raises(ValueError, match="3 embeddings do not belong to 2 rows"):
        uncertain(rows((0.5,), (0.5,)), 1, exclusive=True, embeddings=np.ones((3, 2)))


@given(
    frames=st.integers(0, 40),
    count=st.integers(-1, 12),
    gap=st.integers(0, 15),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    exclusive=st.booleans(),
    with_embeddings=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    frames: int, count: int, gap: int, labelled: list[int], exclusive: bool, with_embeddings: bool, seed: int
) -> None:
    values = likely(frames, 3, exclusive, seed)
    index = np.sort(np.random.default_rng(seed).choice(120, frames, replace=False))
    embeddings = np.random.default_rng(seed).normal(size=(frames, 4)) if with_embeddings else None

    def chosen() -> np.ndarray:
        return uncertain(
            values,
            count,
            exclusive=exclusive,
            frames=index,
            embeddings=embeddings,
            labelled=labelled,
            gap=gap,
            seed=seed,
        )

    assert well_formed(chosen, index, count, gap, labelled)


def likely(frames: int, labels: int, exclusive: bool, seed: int) -> np.ndarray:
    """Probabilities (frames, labels), rows that sum to less than 1 when labels exclude each other."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(labels + 1), frames)[:, :-1] if exclusive else rng.random((frames, labels))

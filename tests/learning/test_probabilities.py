"""What is missing to 1 is none of the labels, in one place; deciding, being sure and doubting all go by it."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.learning.probabilities import (
    Floats,
    certainties,
    chains,
    changes,
    decided,
    doubt,
    frame_doubts,
    from_chains,
    none_of,
    of_question,
    with_none,
)

# A cat, a dog, neither, and a row that rounding has taken beyond 1.
FOUR = np.array([[0.7, 0.2], [0.1, 0.6], [0.2, 0.1], [0.75, 0.2500001]], np.float32)


def drawn(seed: int, labels: int, *, exclusive: bool) -> Floats:
    """(1000, labels), rows of an exclusive head summing to at most 1 but for rounding."""
    rows = np.random.default_rng(seed).dirichlet(np.full(labels + 1, 0.3), 1000).astype(np.float32)[:, :labels]
    return rows if exclusive else np.random.default_rng(seed).random((1000, labels), np.float32)


class TestNoneOfTheLabels:
    def test_has_what_is_missing_to_one(self) -> None:
        assert none_of(FOUR)[:3, 0] == pytest.approx([0.1, 0.3, 0.7])

    def test_is_never_below_zero(self) -> None:
        assert FOUR[3].sum() > 1
        assert none_of(FOUR)[3, 0] == 0

    def test_is_the_last_column_and_leaves_the_others_as_they_are(self) -> None:
        whole = with_none(FOUR)
        assert whole.shape == (4, 3)
        assert (whole[:, :2] == FOUR).all()
        assert (whole[:, 2:] == none_of(FOUR)).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_precision(self, dtype: type[np.float32] | type[np.float64]) -> None:
        assert with_none(FOUR.astype(dtype)).dtype == dtype

    def test_of_no_frames_there_is_none(self) -> None:
        assert with_none(np.zeros((0, 2), np.float32)).shape == (0, 3)

    @pytest.mark.parametrize("seed", range(5))
    def test_clipping_it_decides_nothing_otherwise(self, seed: int) -> None:
        """An argmax never falls on a negative number, since some label has the probability then."""
        p = drawn(seed, 4, exclusive=True)
        unclipped = np.concatenate([p, 1 - p.sum(axis=1, keepdims=True)], axis=1)
        assert (with_none(p).argmax(axis=1) == unclipped.argmax(axis=1)).all()
        assert (with_none(p).max(axis=1) == unclipped.max(axis=1)).all()
        assert (with_none(p).clip(1e-6, 1) == unclipped.clip(1e-6, 1)).all()


class TestWhatIsDecided:
    def test_is_the_most_probable_label_or_none(self) -> None:
        assert decided(FOUR, True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]

    def test_is_every_label_of_at_least_a_half_where_several_may_hold(self) -> None:
        p = np.array([[0.5, 0.9], [0.49, 0.51]], np.float32)
        assert decided(p, False).tolist() == [[1, 1], [0, 1]]

    def test_changes_are_counted_between_neighbors(self) -> None:
        assert changes(FOUR, True) == 3
        assert changes(FOUR[:1], True) == 0


class TestBeingSure:
    def test_is_the_probability_of_what_is_decided(self) -> None:
        assert certainties(FOUR, True) == pytest.approx([0.7, 0.6, 0.7, 0.75])

    def test_is_that_of_the_least_sure_label_where_several_may_hold(self) -> None:
        assert certainties(np.array([[0.9, 0.4], [0.1, 0.2]], np.float32), False) == pytest.approx([0.6, 0.8])

    def test_doubt_is_what_is_left(self) -> None:
        assert frame_doubts(FOUR, True) == pytest.approx([0.3, 0.4, 0.3, 0.25])

    def test_labels_are_doubted_together_where_several_may_hold(self) -> None:
        assert frame_doubts(np.array([[0.9, 0.4]], np.float32), False) == pytest.approx([1 - 0.9 * 0.6])

    def test_of_a_video_it_is_the_mean_and_of_an_empty_one_nothing(self) -> None:
        assert doubt(FOUR, True) == pytest.approx((0.3 + 0.4 + 0.3 + 0.25) / 4)
        assert doubt(FOUR[:0], True) == 0

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_all_of_it_lies_between_zero_and_one(self, exclusive: bool) -> None:
        p = drawn(0, 3, exclusive=exclusive)
        for found in (certainties(p, exclusive), frame_doubts(p, exclusive)):
            assert found.dtype == np.float32
            assert ((found >= 0) & (found <= 1)).all()


class TestChains:
    def test_labels_that_exclude_each_other_and_none_are_the_states_of_one(self) -> None:
        assert chains(FOUR, True).shape == (4, 1, 3)

    def test_other_labels_have_one_each_of_yes_and_no(self) -> None:
        found = chains(FOUR, False)
        assert found.shape == (4, 2, 2)
        assert found[0].tolist() == pytest.approx(np.array([[0.7, 0.3], [0.2, 0.8]]))

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_they_lead_back_to_the_labels(self, exclusive: bool) -> None:
        assert (from_chains(chains(FOUR, exclusive).astype(np.float64), exclusive) == FOUR).all()


def test_a_question_is_about_all_labels_or_about_one() -> None:
    assert of_question(FOUR, True, 0) is FOUR
    assert of_question(FOUR, False, 1).tolist() == FOUR[:, 1:].tolist()

"""In which order videos are looked at: the least certain first, and not ten that pose the same problem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.task_order import DIFFERENT, least_certain_first, score_among, sketch


def unlike(count: int) -> np.ndarray:
    """(count, count) embeddings that have nothing in common."""
    return np.eye(count, dtype=np.float32)


def test_videos_that_have_nothing_in_common_go_by_certainty() -> None:
    certainty = [0.9, 0.2, 0.6]
    assert least_certain_first(certainty, unlike(3)) == pytest.approx(certainty)


def test_a_copy_is_put_back_behind_all_others() -> None:
    embeddings = unlike(3)[[0, 0, 0, 1, 2]]
    scores = least_certain_first([0.1, 0.2, 0.3, 0.8, 0.9], embeddings)
    assert scores.argsort(kind="stable").tolist()[:3] == [0, 3, 4]
    assert scores[[0, 3, 4]] == pytest.approx([0.1, 0.8, 0.9])
    assert scores[[1, 2]] == pytest.approx([1, 1], abs=1e-6)


def test_the_more_alike_the_farther_back() -> None:
    def leaning(cosine: float) -> list[float]:
        return [cosine, np.sqrt(1 - cosine**2)]

    embeddings = np.array([[1, 0], leaning(DIFFERENT), leaning(0.95), leaning(0.99)])
    for other in (1, 2, 3):
        _, score = least_certain_first([0.1, 0.5], embeddings[[0, other]])
        assert score == pytest.approx([0.5, 0.75, 0.95][other - 1], abs=1e-3)


def test_a_video_of_which_nobody_knows_what_it_shows_goes_by_its_certainty() -> None:
    embeddings = np.zeros((3, 4), np.float32)
    assert least_certain_first([0.3, 0.1, 0.2], embeddings) == pytest.approx([0.3, 0.1, 0.2])


def test_after_those_that_are_placed_one_by_one_the_others_are_compared_with_them_only() -> None:
    embeddings = unlike(3)[[0, 1, 1, 2, 0]]
    scores = least_certain_first([0.1, 0.5, 0.6, 0.7, 0.2], embeddings, most=1)
    assert scores == pytest.approx([0.1, 0.5, 0.6, 0.7, 1.0], abs=1e-6)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong"):
        least_certain_first([0.5, 0.5], unlike(3))


def test_there_may_be_no_video() -> None:
    assert least_certain_first([], np.zeros((0, 4))).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 5))
def test_nothing_becomes_more_urgent_than_it_is_and_the_first_stays_first(certainty: list[float], seed: int) -> None:
    embeddings = np.random.default_rng(seed).random((len(certainty), 3))
    scores = least_certain_first(certainty, embeddings)
    assert (scores >= np.array(certainty) - 1e-12).all()
    assert scores.max() <= 1 + 1e-12
    assert scores.min() == pytest.approx(min(certainty))


class TestOneMoreVideo:
    """Among videos 0, 1 and 2, which have nothing in common and the scores .2, .5 and .8."""

    SCORES = (0.2, 0.5, 0.8)

    def score(self, certainty: float, embedding: list[float]) -> float:
        return score_among(certainty, np.array(embedding), self.SCORES, unlike(4)[:3])

    def test_that_shows_something_new_goes_by_its_certainty(self) -> None:
        assert self.score(0.3, [0, 0, 0, 1]) == pytest.approx(0.3)
        assert self.score(0.9, [0, 0, 0, 1]) == pytest.approx(0.9)

    def test_that_is_like_one_before_it_goes_behind_all(self) -> None:
        assert self.score(0.3, [1, 0, 0, 0]) == pytest.approx(1, abs=1e-6)

    def test_that_is_like_one_behind_it_loses_what_that_one_teaches(self) -> None:
        assert self.score(0.3, [0, 0, 1, 0]) == pytest.approx(0.5)

    def test_of_two_that_are_as_uncertain_the_new_one_goes_behind(self) -> None:
        assert self.score(0.2, [1, 0, 0, 0]) == pytest.approx(1, abs=1e-6)
        assert self.score(0.19, [1, 0, 0, 0]) == pytest.approx(0.99, abs=1e-6)

    def test_that_is_a_little_like_one_before_it_goes_back_a_little(self) -> None:
        alike = 0.95
        assert self.score(0.3, [alike, 0, 0, np.sqrt(1 - alike**2)]) == pytest.approx(0.65, abs=1e-6)

    def test_does_not_mind_one_that_was_put_back_itself(self) -> None:
        assert score_among(0.3, np.ones(4), [1], np.ones((1, 4))) == pytest.approx(0.3)

    @given(st.floats(0, 1), st.integers(0, 20))
    def test_is_never_more_urgent_than_it_is(self, certainty: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        score = score_among(certainty, rng.random(3), rng.random(20), rng.random((20, 3)))
        assert certainty - 1e-9 <= score <= 1 + 1e-9

    def test_may_be_the_first(self) -> None:
        assert score_among(0.4, np.ones(4), [], np.zeros((0, 4))) == pytest.approx(0.4)

    def test_whose_embedding_does_not_fit_the_others_is_refused(self) -> None:
        with pytest.raises(ValueError, match="do not belong"):
            score_among(0.4, np.ones(3), self.SCORES, unlike(4)[:3])


def test_a_sketch_keeps_who_is_alike() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.random((6, 1280)).astype(np.float32)
    embeddings[1] = embeddings[0] * 3
    embeddings[2] = embeddings[0] + 0.01 * rng.random(1280)
    small = np.stack([sketch(embedding) for embedding in embeddings])
    assert small.shape == (6, 128)

    def cosines(rows: np.ndarray) -> np.ndarray:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(unit @ unit.T)

    assert np.abs(cosines(small) - cosines(embeddings)).max() < 0.15
    assert cosines(small)[0, [1, 2]] == pytest.approx([1, 1], abs=1e-3)
    assert (sketch(embeddings[0]) == small[0]).all()

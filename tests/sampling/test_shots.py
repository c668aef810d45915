"""Shots as strata: cuts are found, and frames shared out over what is between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.candidates import Candidates
from sampling.shots import (
    embedding_differences,
    grey_differences,
    hash_differences,
    per_shot,
    share,
    shot_starts,
    shots,
)


def film(lengths: list[int], seed: int = 0) -> np.ndarray:
    """(n, 24, 32) grey pictures: a new scene for each length, with a little noise in every frame."""
    rng = np.random.default_rng(seed)
    scenes = rng.integers(0, 256, (len(lengths), 24, 32))[np.repeat(np.arange(len(lengths)), lengths)]
    return np.clip(scenes + rng.normal(0, 4, scenes.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_shot_begins_where_the_picture_becomes_another(seed: int) -> None:
    grey = film([20, 5, 30], seed)
    assert shot_starts(grey_differences(grey)).tolist() == [0, 20, 25]
    rows = grey.reshape(len(grey), -1) - grey.mean()
    assert shot_starts(embedding_differences(rows)).tolist() == [0, 20, 25]


def test_hashes_of_other_pictures_differ_in_about_half_of_their_bits() -> None:
    hashes = np.array([0, 1, 2**32 - 1, 2**32 - 1], np.uint64)
    assert hash_differences(hashes) == pytest.approx([1 / 32, 31 / 32, 0])
    still = np.repeat(hashes, 5)
    assert shot_starts(hash_differences(still)).tolist() == [0, 10]


def test_what_always_moves_does_not_cut() -> None:
    rng = np.random.default_rng(0)
    assert shot_starts(rng.uniform(0.4, 0.8, 100)).tolist() == [0]


def test_what_moves_through_the_picture_is_no_cut() -> None:
    passing = np.zeros(100)
    passing[40:46] = 0.6
    assert shot_starts(passing).tolist() == [0]


def test_where_nothing_moves_a_trace_is_no_cut() -> None:
    still = np.zeros(100)
    still[50] = 0.1
    assert shot_starts(still).tolist() == [0]


def test_a_single_frame_is_a_shot() -> None:
    assert shot_starts(np.zeros(0)).tolist() == [0]
    assert shots(np.zeros(0), 5, frames=[7]).tolist() == [7]


class TestSharingOut:
    def test_every_shot_gets_one_before_any_gets_two(self) -> None:
        assert share(3, [1000, 2, 1]).tolist() == [1, 1, 1]

    def test_of_more_shots_than_frames_the_longest_are_shown(self) -> None:
        assert share(2, [5, 100, 7, 200]).tolist() == [0, 1, 0, 1]

    def test_the_rest_goes_to_the_long_ones(self) -> None:
        assert share(10, [600, 200, 200]).tolist() == [6, 2, 2]

    @given(st.integers(0, 60), st.lists(st.integers(0, 30), min_size=1, max_size=12))
    def test_all_are_given_away_and_none_beyond_a_shots_length(self, count: int, lengths: list[int]) -> None:
        given_away = share(count, lengths)
        assert given_away.sum() == min(count, sum(lengths))
        assert (given_away <= lengths).all()


def test_frames_are_spread_evenly_within_each_shot() -> None:
    differences = hash_differences(np.repeat(np.array([0, 2**64 - 1], np.uint64), [30, 10]))
    assert shots(differences, 4).tolist() == [5, 15, 25, 35]
    assert shots(differences, 4, frames=np.arange(40) * 10).tolist() == [50, 150, 250, 350]


def test_another_strategy_may_pick_within_the_shots() -> None:
    hashes = np.repeat(np.array([0, 2**64 - 1], np.uint64), [30, 10])
    first = per_shot(lambda candidates, count: candidates.frames[:count])
    assert first(Candidates(np.arange(40), hashes=hashes), 3).tolist() == [0, 1, 30]


def test_without_embeddings_and_hashes_there_are_no_shots_to_tell_apart() -> None:
    with pytest.raises(ValueError, match="embeddings or hashes"):
        per_shot(lambda candidates, count: candidates.frames[:count])(Candidates(np.arange(4)), 2)


@given(
    steps=st.lists(st.floats(0, 2), max_size=50),
    count=st.integers(-1, 12),
    gap=st.integers(0, 12),
    step=st.integers(1, 4),
)
def test_never_more_than_asked_sorted_distinct_and_apart(steps: list[float], count: int, gap: int, step: int) -> None:
    frames = np.arange(len(steps) + 1) * step
    assert well_formed(lambda: shots(np.array(steps), count, frames=frames, gap=gap), frames, count, gap)

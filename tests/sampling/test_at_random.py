"""Frames drawn by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.uniform import at_random


def test_every_frame_is_as_probable_as_the_others() -> None:
    drawn = np.concatenate([at_random(np.arange(10), 3, seed=seed) for seed in range(2000)])
    assert np.bincount(drawn) / 2000 == pytest.approx([0.3] * 10, abs=0.05)


def test_another_seed_draws_other_frames() -> None:
    assert len({tuple(at_random(np.arange(1000), 5, seed=seed)) for seed in range(20)}) == 20


def test_a_video_without_frames_gives_none() -> None:
    assert at_random([], 3).tolist() == []


def test_frames_must_ascend() -> None:
    with pytest.raises(ValueError, match="must ascend"):
        at_random([3, 2], 1)


@given(
    frames=st.integers(0, 60),
    count=st.integers(-1, 12),
    gap=st.integers(0, 15),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    seed=st.integers(0, 1000),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    frames: int, count: int, gap: int, labelled: list[int], seed: int
) -> None:
    index = np.sort(np.random.default_rng(seed).choice(120, frames, replace=False))
    assert well_formed(
        lambda: at_random(index, count, labelled=labelled, gap=gap, seed=seed), index, count, gap, labelled
    )
    found = at_random(index, count, labelled=labelled, gap=gap, seed=seed)
    if gap <= 1 and not labelled:
        assert len(found) == min(max(count, 0), frames)

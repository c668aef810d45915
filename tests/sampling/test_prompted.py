"""Every label is met early: its best frames are among the suggestions, and no picture is there twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.prompted import prompted


def peaks(*frames: int, length: int = 100) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """One label for each of `frames`, which fits best there and less with the distance."""
    every = np.arange(length)
    return np.stack([1 - np.abs(every - frame) / length for frame in frames], axis=1)


def scenes(*lengths: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Embeddings of a video of several scenes, with a little noise."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(size=8) + 0.05 * rng.normal(size=(n, 8)) for n in lengths])


def test_the_best_frame_of_each_label_is_chosen() -> None:
    assert {13, 57, 90} <= set(prompted(peaks(13, 57, 90), 10).tolist())


def test_labels_take_turns_for_half_of_the_frames_and_the_rest_is_spread() -> None:
    chosen = prompted(peaks(10, 80), 8, gap=5).tolist()
    assert len(chosen) == 8
    near = [frame for frame in chosen if abs(frame - 10) <= 6 or abs(frame - 80) <= 6]
    assert {10, 80} <= set(near)
    assert any(30 < frame < 60 for frame in chosen), "what no label fits is asked about too"


def test_more_labels_than_frames() -> None:
    scores = peaks(5, 50, 95) * [0.5, 0.9, 0.7]
    assert prompted(scores, 2).tolist() == [50, 95], "those that fit best"


def test_a_gap_keeps_the_choices_of_labels_apart() -> None:
    chosen = prompted(peaks(50, 50), 6, gap=10, embeddings=np.eye(100))
    words = [frame for frame in chosen if abs(frame - 50) <= 11]
    assert 50 in words
    assert all(abs(a - b) >= 10 for a in words for b in words if a != b)


def test_the_same_picture_is_not_chosen_twice() -> None:
    still = np.repeat(np.eye(3), [40, 30, 30], axis=0)
    assert len(prompted(peaks(10, 12, 95), 10, embeddings=still)) == 3
    assert prompted(peaks(10, 12), 10, embeddings=np.ones((100, 4))).tolist() == [10]


def test_the_rest_are_scenes_that_no_label_chose() -> None:
    chosen = prompted(peaks(10, 15), 4, embeddings=scenes(30, 30, 40), gap=3)
    assert {10, 15} <= set(chosen.tolist())
    assert any(30 <= frame < 60 for frame in chosen)
    assert any(frame >= 60 for frame in chosen)


def test_frames_that_were_not_scored_can_still_stand_for_the_rest() -> None:
    scores = peaks(10, 20)
    scores[30:] = np.nan
    chosen = prompted(scores, 5, embeddings=scenes(30, 30, 40))
    assert {10, 20} <= set(chosen.tolist())
    assert chosen.max() >= 30


def test_positions_are_told_as_frame_indices() -> None:
    frames = np.arange(100) * 7
    assert {70, 630} <= set(prompted(peaks(10, 90), 6, frames=frames, embeddings=scenes(50, 50)).tolist())


def test_without_frames_or_count_there_is_nothing_to_choose() -> None:
    assert not len(prompted(np.zeros((0, 2)), 5))
    assert not len(prompted(peaks(10), 0))


@pytest.mark.parametrize("labels", [0, 1, 3])
@given(data=st.data())
def test_it_keeps_to_its_count_and_chooses_the_same_again(labels: int, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 10_000))
    count, length = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 60))
    rng = np.random.default_rng(seed)
    scores, frames = rng.random((length, labels)), np.sort(rng.choice(1000, length, replace=False))
    scores[rng.random(length) < 0.2] = np.nan
    embeddings = rng.normal(size=(length, 5)) if data.draw(st.booleans()) else None
    chosen = prompted(scores, count, frames=frames, embeddings=embeddings, seed=seed)
    assert len(chosen) <= count
    assert set(chosen.tolist()) <= set(frames.tolist())
    assert (np.diff(chosen) > 0).all()
    again = prompted(scores, count, frames=frames, embeddings=embeddings, seed=seed)
    np.testing.assert_array_equal(again, chosen)

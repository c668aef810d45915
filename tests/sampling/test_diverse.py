"""Diverse frames: one for everything a video shows, never the same picture twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.diverse import diverse, principal


def scenes(lengths: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scene = np.repeat(np.arange(len(lengths)), lengths)
    return rng.normal(0, 3, (len(lengths), 64))[scene] + rng.normal(0, 0.5, (len(scene), 64)), scene


@pytest.mark.parametrize("seed", range(5))
def test_every_scene_gets_a_frame_however_short_it_is(seed: int) -> None:
    rows, scene = scenes([300, 5, 200, 8, 100], seed)
    assert set(scene[diverse(rows, 5, seed=seed)]) == set(range(5))


def test_the_frame_chosen_is_the_one_nearest_the_middle_of_its_cluster() -> None:
    rows = np.array([[0.0], [1.0], [2.0], [100.0], [101.0], [102.0]])
    assert diverse(rows, 2).tolist() == [1, 4]


def test_the_same_picture_is_never_asked_about_twice() -> None:
    rows, _ = scenes([1, 1, 1])
    assert len(diverse(np.tile(rows, (50, 1)), 10)) == 3


def test_frame_indices_of_embedded_frames_come_back() -> None:
    rows, _ = scenes([10, 10])
    frames = np.arange(0, 200, 10)
    assert set(diverse(rows, 4, frames=frames)) <= set(frames)


def test_half_precision_embeddings_do() -> None:
    rows, scene = scenes([40, 40, 40])
    assert set(scene[diverse(rows.astype(np.float16), 3)]) == {0, 1, 2}


def test_constant_embeddings_leave_one_frame() -> None:
    assert len(diverse(np.ones((20, 8)), 5)) == 1


def test_the_same_seed_chooses_the_same_frames() -> None:
    rows, _ = scenes([50, 50, 50])
    assert np.array_equal(diverse(rows, 8, seed=4), diverse(rows, 8, seed=4))


def test_principal_components_keep_distances_when_there_are_enough() -> None:
    rows, _ = scenes([10, 10])
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    full = principal(rows, 64)
    for i, j in ((0, 1), (0, 15), (7, 12)):
        assert np.linalg.norm(full[i] - full[j]) == pytest.approx(np.linalg.norm(standard[i] - standard[j]), rel=1e-3)


@given(st.integers(0, 40), st.integers(-1, 12), st.integers(0, 100))
def test_at_most_as_many_as_asked_sorted_and_distinct(frames: int, count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(frames, 5))
    chosen = diverse(rows, count, seed=seed)
    assert chosen.dtype == np.int64
    assert len(chosen) == max(min(count, frames), 0)
    assert (np.diff(chosen) > 0).all()


@given(
    frames=st.integers(0, 40),
    count=st.integers(1, 12),
    gap=st.integers(0, 15),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    seed=st.integers(0, 100),
)
def test_frames_stay_apart_and_away_from_what_is_labelled(
    frames: int, count: int, gap: int, labelled: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, index = rng.normal(size=(frames, 5)), np.sort(rng.choice(120, frames, replace=False))
    chosen = diverse(rows, count, frames=index, labelled=labelled, gap=gap, seed=seed)
    assert len(chosen) <= count
    assert (np.diff(chosen) >= max(gap, 1)).all()
    assert all(abs(frame - known) >= max(gap, 1) for frame in chosen for known in labelled)


def test_a_scene_shows_another_frame_of_it_where_the_middle_one_is_too_near() -> None:
    rows = np.array([[0.0], [1.0], [2.0], [100.0], [101.0], [102.0], [100.4]])
    assert diverse(rows, 2).tolist() == [1, 4]
    # The larger cluster chooses first.
    assert diverse(rows, 2, gap=4).tolist() == [0, 4]

"""Telling frames: spread over the video, and together they stand for everything it shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picks import well_formed

from sampling.diverse import diverse
from sampling.telling import MAX_POINTS, telling
from sampling.uniform import uniform

Drawn = tuple[np.ndarray, np.ndarray]


def seen(truth: np.ndarray, wanders: float, seed: int) -> Drawn:
    """Embeddings of frames of these classes, in which something else changes slowly: light, a place, who is there."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(0, 1, (int(truth.max()) + 1, 24))
    drift = np.cumsum(rng.normal(0, wanders, (len(truth), 3)), axis=0) @ rng.normal(0, 1, (3, 24))
    return kinds[truth] + drift + rng.normal(0, 0.4, (len(truth), 24)), truth


def in_turn(lengths: list[int], frames: int = 400) -> np.ndarray:
    """(frames,) the classes 0, 1, ... for so many frames each, again and again."""
    once = np.repeat(np.arange(len(lengths)), lengths)
    return np.tile(once, -(-frames // len(once)))[:frames]


def late(seed: int) -> np.ndarray:
    return np.repeat([0, 1, 2], [250, 110, 40])


KINDS: dict[str, Callable[[int], Drawn]] = {
    "two classes in turn": lambda seed: seen(in_turn([23, 31]), 0.05, seed),
    "four classes in turn": lambda seed: seen(in_turn([30, 17, 41, 12]), 0.05, seed),
    "short stops on long ways": lambda seed: seen(in_turn([52, 9]), 0.1, seed),
    "what happens late": lambda seed: seen(late(seed), 0.05, seed),
    "the light wanders more than the behavior changes": lambda seed: seen(in_turn([40, 25, 33]), 0.3, seed),
    "nothing else changes": lambda seed: seen(in_turn([60, 22]), 0.0, seed),
}


def taught(rows: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> float:
    """Mean recall of the classes where each frame is answered like the chosen one that is nearest to it."""
    apart = ((rows[:, None] - rows[None, chosen]) ** 2).sum(axis=2)
    said = truth[chosen][apart.argmin(axis=1)]
    return float(np.mean([(said == one)[truth == one].mean() for one in np.unique(truth)]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [5, 10])
def test_they_teach_no_less_than_evenly_spread_frames_whatever_the_video(kind: str, count: int) -> None:
    gained = []
    for seed in range(8):
        rows, truth = KINDS[kind](seed)
        even = np.mean([taught(rows, truth, (uniform(len(rows), count) + shift) % len(rows)) for shift in (-9, 0, 9)])
        gained.append(taught(rows, truth, telling(rows, count)) - even)
    assert np.mean(gained) > -0.01


def test_what_happens_again_and_again_is_seen_where_medoids_show_one_part_of_the_video_alone() -> None:
    # The camera is carried about for a quarter of the video; the rest is calm and has what is asked about.
    rng = np.random.default_rng(0)
    truth = np.concatenate([np.zeros(100, np.intp), in_turn([20, 10], 300)])
    rows = np.eye(2)[truth] @ rng.normal(0, 1, (2, 24)) + rng.normal(0, 0.1, (400, 24))
    rows[:100] += np.cumsum(rng.normal(0, 1.5, (100, 24)), axis=0)
    assert (diverse(rows, 10) < 100).sum() >= 8
    assert (telling(rows, 10) < 100).sum() <= 6
    assert len(np.unique(truth[telling(rows, 10)])) == 2


def test_each_stretch_of_time_gives_its_frame_where_all_show_something() -> None:
    rows, _ = KINDS["two classes in turn"](0)
    chosen = telling(rows, 10)
    assert np.unique(chosen * 10 // 400).tolist() == list(range(10))


@pytest.mark.parametrize("seed", range(5))
def test_every_scene_gets_a_frame_however_short_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = np.repeat(np.arange(5), [300, 5, 200, 8, 100])
    rows = rng.normal(0, 3, (5, 64))[scene] + rng.normal(0, 0.5, (len(scene), 64))
    assert set(scene[telling(rows, 8)]) == set(range(5))


def test_columns_count_as_much_as_their_spread() -> None:
    rng = np.random.default_rng(0)
    loud, quiet = in_turn([20, 20]), in_turn([7, 5])
    rows = np.stack([loud * 100.0, quiet * 0.1], axis=1) + rng.normal(0, 0.01, (400, 2))
    chosen = telling(rows, 4)
    assert len(np.unique(loud[chosen])) == 2
    assert len(np.unique(quiet[telling(rows / [1000, 1], 4)])) == 2


def test_the_same_picture_is_never_asked_about_twice() -> None:
    rows = np.tile(np.random.default_rng(0).normal(size=(3, 64)), (50, 1))
    assert len(telling(rows, 10)) == 3
    assert len(telling(np.ones((20, 8)), 5)) == 1


def test_a_long_video_is_thinned_evenly() -> None:
    rows = np.random.default_rng(0).normal(size=(3 * MAX_POINTS, 4))
    frames = np.arange(3 * MAX_POINTS) * 7
    chosen = telling(rows, 6, frames=frames)
    assert set(chosen) <= set(frames)
    assert np.unique(chosen * 6 // (frames[-1] + 1)).tolist() == list(range(6))


@given(
    frames=st.integers(0, 40),
    count=st.integers(-1, 12),
    gap=st.integers(0, 15),
    labelled=st.lists(st.integers(0, 120), max_size=4),
    seed=st.integers(0, 100),
)
def test_never_more_than_asked_sorted_distinct_apart_and_the_same_again(
    frames: int, count: int, gap: int, labelled: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, index = rng.normal(size=(frames, 5)), np.sort(rng.choice(120, frames, replace=False))
    assert well_formed(
        lambda: telling(rows, count, frames=index, labelled=labelled, gap=gap), index, count, gap, labelled
    )


@given(frames=st.integers(1, 40), count=st.integers(1, 12))
def test_as_many_as_asked_where_all_pictures_differ(frames: int, count: int) -> None:
    rows = np.random.default_rng(frames).normal(size=(frames, 5))
    assert len(telling(rows, count)) == min(count, frames)


def test_what_does_not_belong_together_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not belong to 4 rows"):
        telling(np.ones((4, 2)), 2, frames=[1, 2])

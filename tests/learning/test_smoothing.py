"""Neighbours agree, labelled frames are held, runs become regions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from handmade import labelled
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.learning.smoothing import runs, smooth, switch_rate

LABELS = ("cat", "dog")


def brute_force(emissions: np.ndarray, switch: float) -> np.ndarray:
    """Posterior of a chain by summing over every path."""
    frames, states = emissions.shape
    posterior = np.zeros_like(emissions)
    for path in np.ndindex(*[states] * frames):
        p = np.prod([emissions[i, s] for i, s in enumerate(path)])
        for a, b in pairwise(path):
            p *= 1 - switch if a == b else switch / (states - 1)
        for i, s in enumerate(path):
            posterior[i, s] += p
    return posterior / posterior.sum(axis=1, keepdims=True)


@given(st.integers(1, 7), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_smoothing_is_the_posterior_of_the_hidden_markov_model(frames: int, seed: int, switch: float) -> None:
    emissions = np.random.default_rng(seed).dirichlet(np.ones(3), frames)
    expected = brute_force(emissions, switch)[:, :2]
    assert smooth(emissions[:, :2].astype(np.float32), True, switch=switch) == pytest.approx(expected, abs=1e-4)


def test_each_label_of_a_multi_label_project_is_a_chain_of_its_own() -> None:
    p = np.random.default_rng(0).random((6, 2)).astype(np.float32)
    expected = [brute_force(np.stack([p[:, c], 1 - p[:, c]], axis=1), 0.1)[:, 0] for c in range(2)]
    assert smooth(p, False, switch=0.1) == pytest.approx(np.stack(expected, axis=1), abs=1e-4)


def test_one_doubtful_frame_follows_its_neighbours() -> None:
    p = np.full((21, 2), [0.9, 0.1], np.float32)
    p[10] = [0.4, 0.6]
    assert smooth(p, True)[10, 0] > 0.9


def test_known_frames_are_held_and_pull_their_neighbours() -> None:
    p = np.full((21, 2), 0.5, np.float32)
    known = labelled([1] * 21, [10], LABELS)
    held = smooth(p, True, known)
    assert held[10, 1] == pytest.approx(1, abs=1e-6)
    assert held[9, 1] > held[5, 1] > held[0, 1] > 0.5


def test_a_frame_known_to_have_no_label_has_none() -> None:
    p = np.full((5, 2), [0.6, 0.4], np.float32)
    known = labelled([2] * 5, [2], LABELS)
    assert smooth(p, True, known)[2].sum() == pytest.approx(0, abs=1e-6)


def test_the_switch_rate_follows_labels_that_change_often() -> None:
    assert switch_rate([]) == pytest.approx(0.1)
    assert switch_rate([labelled([0] * 500, range(500), LABELS)]) == pytest.approx(0.1)
    assert switch_rate([labelled([0, 0, 0, 1, 1, 1] * 100, range(600), LABELS)]) == pytest.approx(1 / 3, abs=0.01)


class TestRuns:
    def test_a_region_is_a_run_of_the_most_probable_label(self) -> None:
        p = np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]] * 2 + [[0.1, 0.1]] * 2, np.float32)
        found = runs(p, LABELS, True)
        assert [(r.first, r.last, r.label) for r in found] == [(0, 2, "cat"), (3, 4, "dog")]
        assert [r.score for r in found] == pytest.approx([0.9, 0.8])

    def test_labels_may_overlap_in_a_multi_label_project(self) -> None:
        p = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.9]], np.float32)
        assert [(r.first, r.last, r.label) for r in runs(p, LABELS, False)] == [(0, 1, "cat"), (1, 2, "dog")]

    def test_min_frames_gives_short_runs_to_the_label_before_them(self) -> None:
        p = np.array([[0, 1]] + [[1, 0]] * 5 + [[0, 1]] * 2 + [[1, 0]] * 5, np.float32)
        assert [(r.first, r.last, r.label) for r in runs(p, LABELS, True, min_frames=3)] == [(0, 12, "cat")]

    def test_short_bouts_of_one_label_only_may_be_ruled_out(self) -> None:
        p = np.array([[1, 0]] * 4 + [[0, 1]] * 2 + [[1, 0]] * 2, np.float32)
        kept = runs(p, LABELS, True, min_frames={"cat": 3})
        assert [(r.first, r.last, r.label) for r in kept] == [(0, 3, "cat"), (4, 7, "dog")]

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_short_gaps_within_a_label_are_filled(self, exclusive: bool) -> None:
        p = np.array([[1, 0]] * 3 + [[0, 0]] * 2 + [[1, 0]] * 3, np.float32)
        assert len(runs(p, LABELS, exclusive)) == 2
        assert [(r.first, r.last) for r in runs(p, LABELS, exclusive, fill_gaps=2)] == [(0, 7)]

    def test_nothing_to_show_for_an_empty_video_or_one_without_labels(self) -> None:
        assert runs(np.zeros((0, 2), np.float32), LABELS, True) == ()
        assert runs(np.zeros((5, 2), np.float32), LABELS, True) == ()


@given(st.integers(1, 60), st.integers(0, 1000), st.booleans(), st.integers(1, 5), st.integers(0, 3))
def test_regions_are_ordered_inside_the_video_and_never_overlap_with_themselves(
    frames: int, seed: int, exclusive: bool, min_frames: int, gap: int
) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(3), frames)[:, :2].astype(np.float32)
    found = runs(p, LABELS, exclusive, min_frames=min_frames, fill_gaps=gap)
    assert list(found) == sorted(found, key=lambda r: r.first)
    for label in LABELS:
        mine = [r for r in found if r.label == label]
        assert all(a.last + 1 < b.first for a, b in pairwise(mine))
    assert all(0 <= r.first <= r.last < frames and 0 <= r.score <= 1 for r in found)

"""The small rules by which jobs decide: what to pin, what to delete, which frames to ask about, how sure a model is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.pinning import is_ours, pin
from ml_backend.jobs.predictions.predict import FrameProbabilities, certainty, least_sure_look
from ml_backend.jobs.predictions.retire import GRACE_SECONDS, retired
from ml_backend.jobs.suggestions.suggest import studio_frames
from ml_backend.video.timeline import StudioGrid, Timeline, studio_grid

DAY = GRACE_SECONDS
NOW = 100.0 * DAY


@pytest.mark.parametrize(
    ("version", "ours"),
    [
        ("keyframes-v1", True),
        ("cold-v1", True),
        ("blitz-v12", True),
        ("custom-pose-v3", True),
        ("custom-a b-v3", False),
        ("", False),
        ("cold", False),
        ("cold-v", False),
        ("my-cold-v1", False),
        ("cold-v1-old", False),
        ("Coldblitz", False),
        ("undefined", False),
        ("custom-../../x-v1", False),
    ],
)
def test_our_versions_are_told_from_others_by_their_name(version: str, ours: bool) -> None:
    assert is_ours(version) == ours


class Studio:
    """A client that knows one project: which version is pinned, and how many predictions there are of each."""

    def __init__(self, pinned: str, **stored: int) -> None:
        self.pinned = pinned
        self.stored = {name.replace("_", "-"): count for name, count in stored.items()}

    def project(self, number: int) -> Any:
        return SimpleNamespace(model_version=self.pinned)

    def versions(self, number: int) -> dict[str, int]:
        return self.stored

    def pin(self, number: int, version: str) -> None:
        self.pinned = version


class TestPinning:
    @pytest.mark.parametrize(
        ("before", "version", "after"),
        [
            ("", "keyframes-v1", "keyframes-v1"),
            ("Coldblitz", "keyframes-v1", "keyframes-v1"),  # a backend's title: the stream shows nothing under it
            ("detector-7", "keyframes-v1", "detector-7"),  # somebody's own choice
            ("detector-7", "cold-v1", "cold-v1"),
            ("keyframes-v1", "cold-v1", "cold-v1"),
            ("cold-v1", "cold-v2", "cold-v2"),
            ("cold-v2", "cold-v2", "cold-v2"),
        ],
    )
    def test_suggestions_do_not_push_aside_another_models_version(self, before: str, version: str, after: str) -> None:
        studio = Studio(before, Coldblitz=0, detector_7=12, cold_v1=12)
        pin(SimpleNamespace(client=studio), SimpleNamespace(id=7), version)  # type: ignore[arg-type]
        assert studio.pinned == after


class TestRetiring:
    """Deleting a version under somebody's hands makes their Submit fail, so it happens late."""

    def days_ago(self, **pinned: float) -> dict[str, float]:
        return {name.replace("_", "-"): NOW - days * DAY for name, days in pinned.items()}

    def test_all_but_the_last_two_go_a_day_after_the_last_was_pinned(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=3, blitz_v4=2)
        assert retired(pinned, set(pinned), NOW) == ["cold-v1", "cold-v2"]

    def test_none_goes_within_a_day(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=0.9)
        assert retired(pinned, set(pinned), NOW) == []

    def test_the_last_two_are_those_pinned_last_whatever_their_numbers(self) -> None:
        pinned = self.days_ago(cold_v1=2, cold_v2=4, cold_v3=3)
        assert retired(pinned, set(pinned), NOW) == ["cold-v2"]

    @pytest.mark.parametrize("pinned", [{}, {"cold_v1": 5.0}, {"cold_v1": 5.0, "cold_v2": 4.0}])
    def test_two_always_stay(self, pinned: dict[str, float]) -> None:
        days_ago = self.days_ago(**pinned)
        assert retired(days_ago, set(days_ago), NOW) == []

    def test_suggestions_and_others_versions_stay(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "keyframes-v1", "detector-7", "Coldblitz", ""}, NOW) == []

    def test_one_that_was_never_pinned_goes_when_it_is_older(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "cold-v1"}, NOW) == ["cold-v1"]

    def test_one_that_is_being_rolled_out_stays(self) -> None:
        pinned = self.days_ago(cold_v2=4, cold_v3=3)
        assert retired(pinned, {*pinned, "cold-v4"}, NOW) == []

    def test_what_label_studio_no_longer_has_is_not_deleted(self) -> None:
        pinned = self.days_ago(cold_v1=5, cold_v2=4, cold_v3=3)
        assert retired(pinned, {"cold-v2", "cold-v3"}, NOW) == []


def grid(*shown: int) -> StudioGrid:
    frames = max(shown) + 1
    timeline = Timeline(np.arange(frames, dtype=np.int64), Fraction(1, 25), Fraction(frames, 25))
    return StudioGrid(timeline, 25.0, np.array(shown, np.int64))


def asked(on: StudioGrid, *indices: int) -> list[int]:
    return [int(frame) for frame in studio_frames(on, np.array(indices, np.int64))]


class TestWhichStudioFramesAreAskedAbout:
    def test_those_that_show_the_pictures(self) -> None:
        assert asked(grid(0, 1, 2, 3, 4), 0, 2, 4) == [1, 3, 5]

    def test_the_first_of_several_that_show_it(self) -> None:
        assert asked(grid(0, 0, 1, 1, 2, 2), 0, 1, 2) == [1, 3, 5]

    def test_the_nearest_where_label_studio_skips_it(self) -> None:
        assert asked(grid(0, 10, 20), 4, 16) == [1, 3]

    def test_the_last_it_can_show_where_it_ends_early(self) -> None:
        assert asked(grid(0, 1, 2), 9) == [3]

    def test_no_picture_twice(self) -> None:
        assert asked(grid(0, 0, 3, 3), 0, 1) == [1]
        assert asked(grid(0, 5), 1, 2, 4) == [1, 2]

    @given(
        st.lists(st.integers(0, 200), min_size=1, max_size=60).map(sorted),
        st.lists(st.integers(0, 200), min_size=1, unique=True).map(sorted),
    )
    def test_always_some_frames_each_showing_another_picture(self, shown: list[int], indices: list[int]) -> None:
        on = grid(*shown)
        frames = asked(on, *indices)
        assert 1 <= len(frames) <= len(indices)
        assert all(1 <= frame <= len(on) for frame in frames)
        pictures = [int(on.shown[frame - 1]) for frame in frames]
        assert pictures == sorted(set(pictures))
        for index in set(indices) & set(shown):
            assert index in pictures

    @pytest.mark.parametrize("framerate", [10, 24, 25, 29.97, 60])
    def test_on_label_studios_own_grid(self, framerate: float) -> None:
        timeline = Timeline(np.arange(100, dtype=np.int64), Fraction(1, 25), Fraction(100, 25))
        on = studio_grid(timeline, framerate)
        indices = np.arange(5, 100, 10)
        shown = np.array([on.index(frame) for frame in studio_frames(on, indices)])
        assert len(shown) == len(indices)
        assert np.abs(shown - indices).max() <= max(1, round(25 / framerate / 2))


def probabilities(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


class TestCertainty:
    def test_of_one_label_or_none_the_most_probable_answer_counts(self) -> None:
        assert certainty(probabilities((0.7, 0.2)), exclusive=True) == pytest.approx(0.7)
        assert certainty(probabilities((0.05, 0.05)), exclusive=True) == pytest.approx(0.9)

    def test_of_independent_labels_the_least_certain_one_counts(self) -> None:
        assert certainty(probabilities((0.99, 0.6)), exclusive=False) == pytest.approx(0.6)
        assert certainty(probabilities((0.01, 0.4)), exclusive=False) == pytest.approx(0.6)

    def test_the_least_certain_tenth_of_the_frames_decides(self) -> None:
        rows = [(0.99,)] * 18 + [(0.6,), (0.5,)]
        assert certainty(probabilities(*rows), exclusive=False) == pytest.approx(0.55)

    @pytest.mark.parametrize("shape", [(0, 2), (5, 0)])
    def test_of_nothing_it_is_unsure(self, shape: tuple[int, int]) -> None:
        assert certainty(np.zeros(shape, np.float32), exclusive=True) == 0

    @given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=50), st.booleans())
    def test_it_is_always_from_0_to_1(self, rows: list[tuple[float, ...]], exclusive: bool) -> None:
        values = probabilities(*rows)
        if exclusive:
            values /= np.maximum(values.sum(axis=1, keepdims=True), 1)
        assert 0 <= certainty(values, exclusive) <= 1


class TestWhatItIsLeastSureOf:
    def seen(self, pictures: list[int], sure: list[float]) -> FrameProbabilities:
        """A video whose every second frame is embedded and shows one of two pictures."""
        blocks = {"appearance": np.array([[2, 0], [0, 4]], np.float16)[pictures]}
        frames = np.arange(0, 2 * len(pictures), 2)
        timeline = Timeline(np.arange(2 * len(pictures), dtype=np.int64), Fraction(1, 25), Fraction(len(pictures), 12))
        features = VideoFeatures(timeline, frames, blocks, len(timeline))
        return FrameProbabilities(
            timeline, ("cat",), True, probabilities(*[(p,) for p in np.repeat(sure, 2)]), features
        )

    def test_is_the_mean_of_what_its_least_certain_tenth_shows(self) -> None:
        sure = [0.99] * 20
        sure[3] = sure[7] = 0.5
        for first, look in ((3, 7), [1, 0]), ((3,), [0.5, 0.5]), ((0,), [0, 1]):
            shown = [0 if at in first else 1 for at in range(20)]
            assert least_sure_look(self.seen(shown, sure)) == pytest.approx(look)

    def test_is_not_known_of_a_model_that_looks_for_itself(self) -> None:
        found = self.seen([0, 1], [0.5, 0.9])
        assert least_sure_look(replace(found, features=None)) is None

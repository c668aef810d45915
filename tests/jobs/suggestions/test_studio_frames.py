"""Which Label Studio frames show the frames to ask about."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Annotation, Region
from ml_backend.jobs.suggestions.suggest import studio_frames
from ml_backend.learning.frame_labels import frame_labels
from ml_backend.video.timeline import StudioGrid, Timeline, studio_grid


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

    @pytest.mark.parametrize("framerate", [23.976, 24, 25, 29.97, 30, 50, 60])
    @pytest.mark.parametrize("rate", ["10", "12", "15", "20", "24", "25", "30000/1001", "30", "50", "60000/1001"])
    def test_whatever_the_rates_each_answer_is_known_afterwards(self, rate: str, framerate: float) -> None:
        file_rate = Fraction(rate)
        timeline = Timeline(np.arange(400, dtype=np.int64), 1 / file_rate, 400 / file_rate)
        on = studio_grid(timeline, framerate)
        frames = studio_frames(on, np.arange(4, 400, 10))
        assert len(frames) == 40
        answers = tuple(Region(f"kf-{frame}", frame, frame, ("cat",), "prediction-changed") for frame in frames)
        said = Annotation(1, 7, answers, datetime(2026, 1, 1, tzinfo=UTC))
        known = frame_labels([said], on, ("cat", "dog"))
        assert int(known.known.sum()) >= 40
        assert [known.values[on.index(frame)].tolist() for frame in frames] == [[1, 0]] * 40

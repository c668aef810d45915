"""How sure a model is of a video, and of what in it least."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.predictions.predict import FrameProbabilities, certainty, least_sure_embedding
from ml_backend.video.timeline import Timeline


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
        for first, mean in ((3, 7), [1, 0]), ((3,), [0.5, 0.5]), ((0,), [0, 1]):
            shown = [0 if at in first else 1 for at in range(20)]
            assert least_sure_embedding(self.seen(shown, sure)) == pytest.approx(mean)

    def test_is_not_known_of_a_model_that_looks_for_itself(self) -> None:
        found = self.seen([0, 1], [0.5, 0.9])
        assert least_sure_embedding(replace(found, features=None)) is None

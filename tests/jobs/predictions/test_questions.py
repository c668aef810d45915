"""Which frames a model asks about: those it is unsure of, that show something new, and that nobody has answered."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.predictions.predict import QUESTIONS, questions
from ml_backend.video.timeline import StudioFrame, Timeline, studio_grid

NOBODY = np.zeros(0, np.int64)


def timeline(frames: int, rate: int = 25) -> Timeline:
    return Timeline(np.arange(frames, dtype=np.int64), Fraction(1, rate), Fraction(frames, rate))


def unsure(frames: int, *at: int) -> np.ndarray:
    """(frames, 1) sure of the label, but for a few frames."""
    values = np.full((frames, 1), 0.99, np.float32)
    values[list(at)] = 0.5
    return values


def showing(frames: int, embedded: list[int], pictures: list[int], rate: int = 25) -> VideoFeatures:
    """Features of a video whose embedded frames show these pictures, each unlike the others."""
    widths = {"appearance": 8, "middle": 4, "early": 4, "motion": 2}
    blocks = {
        name: np.random.default_rng(3).normal(size=(max(pictures) + 1, width)).astype(np.float16)[pictures]
        for name, width in widths.items()
    }
    return VideoFeatures(timeline(frames, rate), np.array(embedded, np.int64), blocks, frames)


def test_the_frames_it_is_unsure_of_are_asked_about() -> None:
    asked = questions(unsure(200, 20, 60, 100, 140, 180), True, studio_grid(timeline(200), 25), NOBODY, None)
    assert asked == [21, 61, 101, 141, 181]


def test_there_are_five_of_them_so_that_regions_stay_in_sight() -> None:
    doubtful = np.full((500, 2), 0.5, np.float32)
    assert len(questions(doubtful, True, studio_grid(timeline(500), 25), NOBODY, None)) == QUESTIONS == 5


def test_an_answered_frame_and_its_neighbours_are_not_asked_about_again() -> None:
    answered = np.array([60, 100], np.int64)
    asked = questions(unsure(200, 20, 60, 99, 101, 180), True, studio_grid(timeline(200), 25), answered, None)
    assert {21, 181} <= set(asked)
    assert not {60, 61, 62, 100, 101, 102} & set(asked)


def test_a_picture_that_was_answered_or_asked_about_is_not_asked_about_again() -> None:
    embedded, pictures = [0, 20, 60, 100, 140, 199], [0, 1, 1, 2, 2, 3]
    features = showing(200, embedded, pictures)
    doubtful = np.full((200, 1), 0.5, np.float32)
    asked = questions(doubtful, True, studio_grid(timeline(200), 25), np.array([20], np.int64), features)
    indices = [frame - 1 for frame in asked]
    assert set(indices) <= {0, 100, 140, 199}
    assert len({100, 140} & set(indices)) == 1


def test_of_a_long_video_the_least_sure_frames_are_compared_with_what_was_answered() -> None:
    pictures = [*range(2999), 700]  # the last frame shows what frame 700 shows
    features = showing(3000, list(range(3000)), pictures)
    values = unsure(3000, 100, 900, 1700, 2500, 2999)
    asked = questions(values, True, studio_grid(timeline(3000), 25), np.array([700], np.int64), features)
    assert {101, 901, 1701, 2501} <= set(asked)
    assert 3000 not in asked


def test_only_frames_that_label_studio_can_go_to_are_asked_about() -> None:
    grid = studio_grid(timeline(200, 50), 25)
    hidden = sorted(set(range(200)) - set(grid.shown.tolist()))
    asked = questions(unsure(200, *hidden), True, grid, NOBODY, None)
    assert len(asked) == QUESTIONS
    features = showing(200, hidden[:5], [0, 1, 2, 3, 4], 50)
    assert questions(unsure(200, *hidden), True, grid, NOBODY, features) == []


@pytest.mark.parametrize("labels", [0, 1])
def test_of_a_video_of_one_frame_there_is_one_question_at_most(labels: int) -> None:
    asked = questions(np.zeros((1, labels), np.float32), True, studio_grid(timeline(1), 25), NOBODY, None)
    assert asked in ([], [1])


@given(
    st.integers(1, 80),
    st.integers(1, 3),
    st.booleans(),
    st.sets(st.integers(0, 79)),
    st.sampled_from([5.0, 24.0, 30.0]),
)
def test_whatever_it_thinks_the_questions_are_few_distinct_and_unanswered(
    frames: int, labels: int, exclusive: bool, said: set[int], framerate: float
) -> None:
    values = np.random.default_rng(frames).random((frames, labels)).astype(np.float32) / (labels if exclusive else 1)
    grid, answered = studio_grid(timeline(frames), framerate), np.array(sorted(said & set(range(frames))), np.int64)
    asked: list[StudioFrame] = questions(values, exclusive, grid, answered, None)
    shown = [int(grid.index(frame)) for frame in asked]
    assert asked == sorted(set(asked))
    assert len(asked) <= QUESTIONS
    assert all(1 <= frame <= len(grid) for frame in asked)
    assert len(set(shown)) == len(shown)
    assert not set(shown) & set(answered.tolist())

"""Frames worth embedding after all: those somebody answered, and those between which the label changes."""

from __future__ import annotations

import numpy as np
from handmade import labelled, video

from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.refinement import answered_frames, changing_frames

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1], 40)


def test_answered_frames_that_are_not_embedded_are_asked_for() -> None:
    features = video(TRUTH, step=8)
    assert answered_frames(features, labelled(TRUTH, [3, 8, 50], LABELS)).tolist() == [3, 50]


def test_a_long_answered_range_is_represented_by_what_is_embedded_in_it() -> None:
    assert len(answered_frames(video(TRUTH, step=8), labelled(TRUTH, range(80), LABELS))) == 0


def test_the_frame_between_two_that_differ_is_asked_for_until_they_are_neighbours() -> None:
    known = labelled(TRUTH, [8, 16, 56, 64], LABELS)
    sparse = video(TRUTH, step=8)
    head = fit_cold([LabelledVideo(1, sparse, known)], LABELS)
    assert changing_frames(head, sparse, known).tolist() == [36]
    assert len(changing_frames(head, video(TRUTH), known)) == 0

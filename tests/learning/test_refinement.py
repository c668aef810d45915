"""Frames worth embedding after all: those somebody answered, and those between which the label changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from handmade import labelled, video

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.refinement import answered_frames, changing_frames, refined_probabilities

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1], 40)


def test_answered_frames_that_are_not_embedded_are_asked_for() -> None:
    features = video(TRUTH, step=8)
    assert answered_frames(features, labelled(TRUTH, [3, 8, 50], LABELS)).tolist() == [3, 50]


def test_a_long_answered_range_is_represented_by_what_is_embedded_in_it() -> None:
    assert len(answered_frames(video(TRUTH, step=8), labelled(TRUTH, range(80), LABELS))) == 0


def test_the_gap_in_which_a_label_changes_is_halved_until_it_is_small() -> None:
    known = labelled(TRUTH, [8, 16, 56, 64], LABELS)
    sparse, every = video(TRUTH, step=8), video(TRUTH)
    head = fit_cold([LabelledVideo(1, sparse, known)], LABELS)
    asked: list[int] = []

    def embed(features: VideoFeatures, frames: np.ndarray) -> VideoFeatures:
        asked.extend(frames.tolist())
        wanted = np.union1d(features.frames, frames)
        return replace(features, frames=wanted, blocks={name: rows[wanted] for name, rows in every.blocks.items()})

    p = refined_probabilities(head, sparse, known, embed)
    assert asked == [36, 38]
    assert abs(int((p[:, 0] < 0.5).argmax()) - 40) <= 1


def test_nothing_is_embedded_where_changes_lie_between_neighbours() -> None:
    known = labelled(TRUTH, [8, 16, 56, 64], LABELS)
    features = video(TRUTH)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS)
    assert len(changing_frames(features, head.probabilities(features, known), True)) == 0

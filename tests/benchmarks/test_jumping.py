"""What a person does who corrects a timeline in the player's order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.data import Source, Track
from benchmarks.learning.jumping import corrections, drawn_until, stops
from ml_backend.features.blocks import VideoFeatures
from ml_backend.video.timeline import Timeline

FRAMES = 300


def track(truth: NDArray[np.intp]) -> Track:
    timeline = Timeline(np.arange(len(truth), dtype=np.int64), Fraction(1, 25), Fraction(len(truth), 25))
    features = VideoFeatures(timeline, np.zeros(0, np.int64), {}, len(truth))
    return Track("a", "a", ("x", "y"), truth, np.ones(len(truth), bool), 0, features, Source.__new__(Source))


def sure(classes: NDArray[np.intp], doubt: slice | None = None) -> NDArray[np.float32]:
    found = np.eye(2, dtype=np.float32)[classes]
    if doubt is not None:
        found[doubt] = np.where(found[doubt] > 0.5, 0.55, 0.45)
    return found


def test_what_is_right_costs_nothing() -> None:
    truth = np.repeat([0, 1, 0], 100)
    assert corrections(track(truth), sure(truth)) == (0, 0)


def test_a_wrong_segment_of_which_the_model_is_not_sure_is_met_first() -> None:
    truth, said = np.repeat([0, 1, 0], 100), np.zeros(FRAMES, np.intp)
    probabilities = sure(said, slice(140, 160))
    assert 140 <= stops(track(truth), probabilities)[0] < 160
    edits, jumps = corrections(track(truth), probabilities)
    assert jumps == 1
    assert edits >= 1


def test_what_no_jump_leads_to_is_drawn_all_the_same() -> None:
    truth, said = np.repeat([0, 1, 0], 100), np.zeros(FRAMES, np.intp)
    edits, jumps = corrections(track(truth), sure(said))
    assert (edits >= 1, jumps) == (True, 0)


def test_drawing_needs_no_more_segments_than_make_95_percent() -> None:
    assert drawn_until(np.repeat([0, 1], [96, 4])) == 1
    assert drawn_until(np.repeat([0, 1], [90, 10])) == 2

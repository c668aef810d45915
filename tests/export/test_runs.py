"""Whose word counts for which frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ml_backend.annotation import Region
from ml_backend.export.project import Run, runs_of
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES, FrameLabels
from ml_backend.video.timeline import StudioFrame, Timeline, studio_grid

LABELS = ("cat", "dog")


def grid(frames: int = 20, framerate: float = 25):
    timeline = Timeline(np.arange(frames, dtype=np.int64), Fraction(1, 25), Fraction(frames, 25))
    return studio_grid(timeline, framerate)


def said(frames: int = 20, weight: float = 1.0, **rows: slice) -> FrameLabels:
    values = np.full((frames, 2), UNKNOWN, np.int8)
    for label, where in rows.items():
        if label == "nothing":
            values[where] = NO
        else:
            values[where] = [YES if label == name else NO for name in LABELS]
    known = (values != UNKNOWN).any(axis=1)
    return FrameLabels(LABELS, values, np.where(known, weight, 0).astype(np.float32))


def region(start: int, end: int, label: str, score: float | None = 0.8) -> Region:
    return Region("cold-v2-1", StudioFrame(start), StudioFrame(end), (label,), "prediction", score)


def test_a_model_speaks_where_nobody_did() -> None:
    human = said(cat=slice(5, 8), nothing=slice(8, 10))
    assert runs_of(human, [region(1, 20, "dog")], grid(), LABELS) == (
        Run(0, 5, "dog", 0.8, "model"),
        Run(5, 8, "cat", 1.0, "human"),
        Run(8, 10, None, 1.0, "human"),
        Run(10, 20, "dog", 0.8, "model"),
    )


def test_what_a_model_asks_is_no_label() -> None:
    question = Region("kf-cold-v2-5", StudioFrame(5), StudioFrame(5), (), "prediction")
    assert runs_of(None, [question, region(1, 20, "dog")], grid(), LABELS) == (Run(0, 20, "dog", 0.8, "model"),)
    assert runs_of(None, [question], grid(), LABELS) == ()


def test_what_was_submitted_untouched_is_still_the_models_word() -> None:
    human = said(cat=slice(0, 20), weight=UNTOUCHED_WEIGHT)
    assert runs_of(human, [region(1, 20, "cat", 0.6)], grid(), LABELS) == (Run(0, 20, "cat", 0.6, "model"),)


def test_annotators_who_disagree_lower_the_confidence() -> None:
    assert runs_of(said(dog=slice(3, 4), weight=2 / 3), [], grid(), LABELS) == (Run(3, 4, "dog", 0.6667, "human"),)


def test_a_label_that_the_project_no_longer_has_is_left_out() -> None:
    assert runs_of(None, [region(1, 20, "bird")], grid(), LABELS) == ()


def test_pictures_between_two_that_label_studio_counts_belong_to_the_region() -> None:
    """At a `framerate` of 5, Label Studio shows every fifth picture of this video."""
    (run,) = runs_of(None, [region(1, 3, "cat")], grid(framerate=5), LABELS)
    assert (run.start, run.stop) == (0, 11)


def test_two_labels_at_once_are_two_runs() -> None:
    found = runs_of(None, [region(1, 10, "cat"), region(6, 20, "dog")], grid(), LABELS)
    assert found == (Run(0, 10, "cat", 0.8, "model"), Run(5, 20, "dog", 0.8, "model"))

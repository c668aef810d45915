"""What is shown is no surer than answers have been right, from the first labels on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.calibration import Doubt, fit_doubt
from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.metrics import calibration_error
from ml_backend.learning.versions import load_version, save_version

LABELS = ("cat", "dog")
FRAMES = np.arange(5, 400, 20)


def learnt(truth: np.ndarray, shown: np.ndarray, frames: np.ndarray = FRAMES, seed: int = 0):  # type: ignore[no-untyped-def]
    """A head from these frames of a video that shows scenes `shown` and is labelled as `truth`, and what it shows."""
    features, known = video(shown, seed=seed), labelled(truth, frames.tolist(), LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS, exclusive=True)
    rest = np.setdiff1d(np.arange(len(truth)), frames)
    return head, head.probabilities(features, known)[rest], np.eye(2, dtype=np.int8)[truth[rest]]


def test_labels_that_have_nothing_to_do_with_the_picture_are_not_told_apart() -> None:
    errors, apart = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        head, shown, values = learnt(rng.integers(0, 2, 400), np.repeat(rng.integers(0, 3, 40), 10), seed=seed)
        errors.append(calibration_error(shown, values, True))
        apart.append(head.told_apart)
    assert np.mean(apart) <= 0.34
    assert np.mean([float(error or 0) for error in errors]) <= 0.15


def test_labels_that_are_seen_are_told_apart_and_shown_as_surely_as_they_are_right() -> None:
    truth = np.repeat([0, 1] * 10, 20)
    head, shown, values = learnt(truth, truth)
    assert head.told_apart
    assert float(calibration_error(shown, values, True) or 0) <= 0.1
    assert (shown.argmax(axis=1) == values.argmax(axis=1)).mean() > 0.98


def test_what_a_person_said_is_not_doubted() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    features, known = video(np.zeros(400, int)), labelled(truth, FRAMES.tolist(), LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS, exclusive=True)
    found = head.probabilities(features, known)
    assert (found[FRAMES, truth[FRAMES]] > 0.99).all()


def test_doubt_keeps_the_order_of_answers() -> None:
    shown = Doubt(2.0, 0.97).shown(np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), np.ones(2, bool))
    assert shown.argmax(axis=1).tolist() == [0, 1]
    assert shown.sum(axis=1) == pytest.approx(1)


def test_few_right_answers_are_not_taken_for_certainty() -> None:
    sure = np.log(np.tile([[0.999, 0.001]], (8, 1))).astype(np.float32)
    sure[4:] = sure[4:, ::-1]
    truth = np.repeat([0, 1], 4).astype(np.intp)
    few = fit_doubt(sure, truth, np.ones(8, np.float32), 8, True)
    many = fit_doubt(np.tile(sure, (50, 1)), np.tile(truth, 50), np.ones(400, np.float32), 400, True)
    assert few.chance > many.chance
    assert many.chance < 0.03


def test_doubt_is_kept_with_the_version(tmp_path: Path) -> None:
    truth = np.repeat([0, 1] * 10, 20)
    head, _, _ = learnt(truth, truth)
    card = save_version(tmp_path, head, backbone="b")
    again, _ = load_version(tmp_path, card.name)
    assert (again.doubts, again.own_doubts) == (head.doubts, head.own_doubts)
    assert card.calibration["told_apart"] is True

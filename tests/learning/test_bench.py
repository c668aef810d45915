"""Backbones are compared on frames that the head has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.features.backbones import Backbone
from ml_backend.learning.bench import Sample, folds, measure, score


def sample(classes: np.ndarray, video: np.ndarray, *, exclusive: bool = True) -> Sample:
    """Frames of the labels A and B, each a shade."""
    values = np.stack([classes == 0, classes == 1], 1).astype(np.int8)
    pictures = np.broadcast_to((classes * 100).astype(np.uint8)[:, None, None, None], (len(classes), 8, 8, 3))
    return Sample(("A", "B"), exclusive, pictures, values, video)


CLASSES = np.arange(120) // 7 % 3
VIDEO = np.repeat(np.arange(4), 30)


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_tells_the_labels_apart_scores_one_and_noise_about_chance(exclusive: bool) -> None:
    some = sample(CLASSES, VIDEO, exclusive=exclusive)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(120, 20)).astype(np.float32)
    telling = np.concatenate([noise, 3 * np.eye(3, dtype=np.float32)[CLASSES]], 1)
    good, bad = score(telling, some), score(noise, some)
    assert good is not None
    assert bad is not None
    assert good > 0.95
    assert bad < 0.55


def test_what_tells_only_videos_apart_is_worth_nothing() -> None:
    """Each video shows one label; rows that name the video would be right of frames that were dealt out singly."""
    found = score(np.eye(4, dtype=np.float32)[VIDEO], sample(VIDEO % 2, VIDEO))
    assert found is not None
    assert found < 0.6


def test_whole_videos_are_held_out_and_of_one_parts_that_follow_each_other() -> None:
    for held in folds(VIDEO):
        assert len(np.unique(VIDEO[held])) == 1
    parts = folds(np.zeros(50, np.intp))
    assert len(parts) == 5
    assert all(np.ptp(np.flatnonzero(held)) == 9 for held in parts)
    assert np.sum(parts, axis=0).tolist() == [1] * 50


def test_a_backbone_is_run_on_every_frame_and_timed() -> None:
    def embed(pictures: np.ndarray) -> dict[str, np.ndarray]:
        shade = pictures.mean((1, 2, 3)).astype(np.float32)
        return {
            "appearance": np.stack([shade, np.full_like(shade, 50)], 1),
            "early": np.ones((len(shade), 2), np.float32),
        }

    found = measure(Backbone("shade", "shade", True, None, 16, embed), sample(CLASSES, VIDEO))
    assert found.macro_f1 == 1
    assert found.frames_per_second > 0
    assert found.dimensions == 4

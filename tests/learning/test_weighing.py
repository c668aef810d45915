"""A family loses its say by evidence, not by a difference that a few labels make by chance."""

from __future__ import annotations

import numpy as np

from ml_backend.learning.ensemble import Lesson, Recipe, weigh
from ml_backend.learning.families import PLAIN, SCENE

RECIPE = Recipe((SCENE, PLAIN), neighbours=False)


def weights_from(count: int, seed: int) -> np.ndarray:
    """Of a family that is right and of one that is right nine times in ten, from so many labels that were held out in turn."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    seen = np.where(rng.random(count) < 0.08, 1 - classes, classes)

    def rows(shown: np.ndarray) -> np.ndarray:
        found = np.eye(2)[shown] @ rng.normal(0, 1, (2, 6)) + rng.normal(0, 0.2, (count, 6))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    lesson = Lesson({SCENE.name: rows(classes), PLAIN.name: rows(seen)}, classes, np.ones(count, np.float32))
    folds = [[np.arange(count) // 2 % 5 == fold] for fold in range(5)]
    return weigh([lesson], 2, RECIPE, folds).weights


def share_of_the_weaker(count: int) -> float:
    found = [weights_from(count, seed) for seed in range(8)]
    return float(np.median([weaker / better for better, weaker in found]))


def test_of_twenty_labels_the_weaker_family_keeps_a_say() -> None:
    assert share_of_the_weaker(20) > 0.03  # none where a difference of two answers was taken at its word


def test_of_hundreds_it_has_none() -> None:
    assert share_of_the_weaker(400) < 0.01


def test_where_only_one_label_can_be_held_out_none_loses_its_say() -> None:
    """A single example of a label cannot be left out and asked about; of the other label alone, what cannot tell them
    apart is as right as what can, or more."""
    rng = np.random.default_rng(0)
    classes = np.array([0, *[1] * 9])

    def unit_rows(rows: np.ndarray) -> np.ndarray:
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    telling = unit_rows(np.eye(2)[classes] @ rng.normal(0, 1, (2, 6)) + rng.normal(0, 0.5, (10, 6)))
    blind = unit_rows(np.ones((10, 6)) + rng.normal(0, 0.01, (10, 6)))
    lesson = Lesson({SCENE.name: telling, PLAIN.name: blind}, classes, np.ones(10, np.float32))
    folds = [[np.arange(10) == at] for at in range(10)]
    assert weigh([lesson], 2, RECIPE, folds).weights.tolist() == [0.5, 0.5]

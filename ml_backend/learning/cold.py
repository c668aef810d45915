"""Cold: a head from a handful of labelled frames, useful after the first ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.prompts import Prompts
from ml_backend.learning.ensemble import Recipe
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.families import APPEARANCE, BRIEF, MOVES, PLAIN, SCENE, SHAPE, SHARED, WHERE
from ml_backend.learning.fitting import fit_head
from ml_backend.learning.frame_labels import YES
from ml_backend.learning.head import Head, prior_for

__all__ = ["Head", "LabelledVideo", "fit_cold"]

FAMILIES = (SCENE, APPEARANCE, SHAPE, PLAIN, SHARED, BRIEF, MOVES, WHERE)
# Plain logistic regression stays what it is, and where nothing moves all are as near.
ALONE = (PLAIN.name, BRIEF.name, MOVES.name, WHERE.name)
_RECIPE = Recipe(FAMILIES, alone=ALONE)


def fit_cold(
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    *,
    exclusive: bool | None = None,
    seed: int = 0,
    prompts: Prompts | None = None,
    doubted: bool = True,
) -> Head:
    """Fit a Cold head on every labelled frame of a project.

    `exclusive` None: at most one label a frame unless the labels overlap somewhere. `seed` deals the videos into the
    folds that weigh the feature families; the same videos and seed give the same head. `prompts`: the labels as a text
    model understands them, a prior while there are few labelled frames. `doubted`: as for `fit_head`. Raises
    NotEnoughLabels when fewer than two classes were seen, naming what lacks examples.
    """
    one_label = looks_exclusive(videos) if exclusive is None else exclusive
    head = fit_head(
        "cold", videos, labels, one_label, _RECIPE, lambda teaching, _: _deal(len(teaching), seed), doubted=doubted
    )
    return replace(head, prior=prior_for(videos, labels, prompts))


def looks_exclusive(videos: Sequence[LabelledVideo]) -> bool:
    """Whether no frame of these videos has two labels."""
    return all(not ((video.labels.values == YES).sum(axis=1) > 1).any() for video in videos)


def _deal(videos: int, seed: int, most: int = 4) -> list[NDArray[np.intp]]:
    """Deal the videos into up to `most` folds; fewer than three videos cannot tell what carries over."""
    if videos < 3:
        return []
    order = np.random.default_rng(seed).permutation(videos)
    return [np.sort(fold) for fold in np.array_split(order, min(videos, most))]

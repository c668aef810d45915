"""Blitz: a head from whole reviewed timelines, meant for videos it has not seen.

The same families of features as Cold, each carrying over in a different way. Which of them to believe, and how far to
fit them, is decided by leaving out training videos that look alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.cold import ALONE, FAMILIES, looks_exclusive
from ml_backend.learning.ensemble import Recipe
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.fitting import fit_head
from ml_backend.learning.groups import clusters, deal, duplicates, spared
from ml_backend.learning.head import Head

__all__ = ["Head", "LabelledVideo", "fit_blitz"]

_RECIPE = Recipe(FAMILIES, penalties=(100.0, 1.0), alone=ALONE)
_FOLDS = 5


def fit_blitz(
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    *,
    exclusive: bool | None = None,
    seed: int = 0,
    doubted: bool = True,
) -> Head:
    """Fit a Blitz head on every video with known frames, sparse ones included.

    `exclusive` None: at most one label a frame unless the labels overlap somewhere. The same videos and seed give the
    same head. `doubted`: as for `fit_head`. Raises NotEnoughLabels as `fit_cold` does.
    """
    one_label = looks_exclusive(videos) if exclusive is None else exclusive

    def folds(teaching: Sequence[LabelledVideo], classes: Sequence[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
        features = [video.features for video in teaching]
        unlike = [fold for fold in clusters(features, _FOLDS) if spared(fold, classes)]
        if len(unlike) >= 2:
            return unlike
        dealt = deal(duplicates(features), _FOLDS, seed)
        return [fold for one in np.unique(dealt) if spared(fold := np.flatnonzero(dealt == one), classes)]

    return fit_head("blitz", videos, labels, one_label, _RECIPE, folds, doubted=doubted)

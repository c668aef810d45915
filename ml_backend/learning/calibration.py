"""Making "0.9" mean right nine times out of ten: one temperature, fitted on predictions of videos held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ml_backend.learning.examples import classes_of
from ml_backend.learning.framelabels import UNKNOWN

Floats = NDArray[np.float32]

# Below this many labelled frames a fitted temperature makes confidence worse, not better.
ENOUGH_FRAMES = 50
_RANGE = (0.25, 4.0)


@dataclass(frozen=True, eq=False)
class Held:
    """Predictions (k, L) of the known frames of one video by a head that had not seen it, and what is true of them.

    `probabilities` are smoothed over time, `unsmoothed` are not: those are what a temperature acts on. `whole` when every
    frame of the video is known.
    """

    task: int
    probabilities: Floats
    unsmoothed: Floats
    values: NDArray[np.int8]
    whole: bool


def fitting_temperature(held: Sequence[Held], exclusive: bool) -> float:
    """The temperature that makes the held-out truth most likely, in 0.25..4; 1.0 below 50 labelled frames.

    Every video counts the same, so that a long one does not decide alone.
    """
    frames = sum(len(one.values) for one in held)
    if frames < ENOUGH_FRAMES or len(held) < 2:
        return 1.0
    told = [table for one in held if len((table := _table(one, exclusive))[1])]
    if not told:
        return 1.0

    def loss(log_temperature: float) -> float:
        scale = np.exp(log_temperature)
        parts = [log_softmax(logs / scale, axis=1)[np.arange(len(truth)), truth].mean() for logs, truth in told]
        return -float(np.mean(parts))

    found = minimize_scalar(loss, bounds=(np.log(_RANGE[0]), np.log(_RANGE[1])), method="bounded")
    return float(np.exp(found.x))


def _table(held: Held, exclusive: bool) -> tuple[Floats, NDArray[np.intp]]:
    """(k, K) log-probabilities and (k,) the true class, over all questions."""
    p = held.unsmoothed.astype(np.float64)
    if exclusive:
        truth = classes_of(held.values, True)
        rows = np.concatenate([p, 1 - p.sum(axis=1, keepdims=True)], axis=1)[truth >= 0]
        truth = truth[truth >= 0]
    else:
        known = held.values != UNKNOWN
        rows = np.stack([p[known], 1 - p[known]], axis=1)
        truth = (held.values[known] == 0).astype(np.intp)
    return np.log(rows.clip(1e-6, 1)).astype(np.float32), truth

"""What can be asked of the probabilities of frames: what holds, how sure that is, and how surely it is wrong.

These are functions of plain arrays, (n, L) float in 0..1 for n frames and L labels, rather than methods of a type: heads, folds and
smoothing make such arrays in their inner loops, slice them by question and hand them to numpy. `exclusive`: at most one label
holds of a frame, so the row sums to 1 at most, and what is missing to 1 is the probability of none of the labels. This module is the
one place that makes a column of it.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Values = NDArray[np.int8]
_Either = TypeVar("_Either", np.float32, np.float64)

# From here on a label that excludes no other holds.
HOLDS = 0.5


def none_of(probabilities: NDArray[_Either]) -> NDArray[_Either]:
    """(n, 1) in 0..1, of the dtype of `probabilities` (n, L): how probable it is that none of the labels holds."""
    # Rows may sum to a little more than 1 by rounding.
    return np.asarray(np.clip(1 - probabilities.sum(axis=1, keepdims=True), 0, 1))


def with_none(probabilities: NDArray[_Either]) -> NDArray[_Either]:
    """(n, L + 1): `probabilities` (n, L) as they are, then those of none of the labels, in 0..1."""
    return np.concatenate([probabilities, none_of(probabilities)], axis=1)


def of_question(probabilities: NDArray[_Either], exclusive: bool, position: int) -> NDArray[_Either]:
    """(n, L) of the one question of an exclusive head, (n, 1) of question `position` of another, which has one a label."""
    return probabilities if exclusive else probabilities[:, position : position + 1]


def decided(probabilities: NDArray[_Either], exclusive: bool) -> Values:
    """(n, L) int8 yes or no: the most probable label or none, or every label at 0.5 or more."""
    if not exclusive:
        return (probabilities >= HOLDS).astype(np.int8)
    best = with_none(probabilities).argmax(axis=1)
    return np.asarray(np.arange(probabilities.shape[1]) == best[:, None], np.int8)


def certainties(probabilities: Floats, exclusive: bool) -> Floats:
    """(n,) in 0..1, how sure each frame is: of its most probable answer (a label or none), or of the least sure of its labels."""
    if exclusive:
        return np.asarray(with_none(probabilities).max(axis=1))
    return np.asarray(np.maximum(probabilities, 1 - probabilities).min(axis=1))


def frame_doubts(probabilities: Floats, exclusive: bool) -> Floats:
    """(n,) float32 in 0..1, how probably the answer to each frame is wrong.

    Exclusive: 1 minus the probability of the most probable label, or of none. Otherwise 1 minus the probability that
    every label is answered right, labels being taken as independent.
    """
    every = with_none(probabilities) if exclusive else np.maximum(probabilities, 1 - probabilities)
    right = every.max(axis=1) if exclusive else every.prod(axis=1)
    return np.asarray(np.clip(1 - right, 0, 1), np.float32)


def doubt(probabilities: Floats, exclusive: bool) -> float:
    """The share of a video's frames that the model expects to have wrong, in 0..1; 0 for no frames."""
    return float(frame_doubts(probabilities, exclusive).mean(dtype=np.float64)) if len(probabilities) else 0.0


def changes(probabilities: Floats, exclusive: bool) -> int:
    """How often the answer to (n, L) probabilities differs from that to the frame before."""
    answer = decided(probabilities, exclusive)
    return int((answer[1:] != answer[:-1]).any(axis=1).sum())


def chains(probabilities: Floats, exclusive: bool) -> Floats:
    """(n, chains, states): exclusive: one chain over the labels and none of them; otherwise for each label one of yes and no."""
    if exclusive:
        return with_none(probabilities)[:, None, :]
    return np.stack([probabilities, 1 - probabilities], axis=2)


def from_chains(states: NDArray[np.float64], exclusive: bool) -> Floats:
    """(n, L) float32, of what `chains` made, or what has become of it."""
    return np.asarray(states[:, 0, :-1] if exclusive else states[:, :, 0], np.float32)

"""Making "0.9" mean right nine times out of ten, from the first answers on.

What is shown, smoothed over time, is what is measured: labelled frames are predicted by heads that were fitted without
them, and what those say is drawn toward "anything may be" until it is as often right as it claims. While few frames are
labelled each counts only in part (Laplace's rule of succession), so that ten right answers are not taken for certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ml_backend.learning.examples import classes_of
from ml_backend.learning.framelabels import UNKNOWN

Floats = NDArray[np.float32]

# Below this many labelled frames a temperature fitted on whole held-out videos makes confidence worse, not better.
ENOUGH_FRAMES = 50
_RANGE = (0.25, 4.0)
_TEMPERATURES = np.array([0.7, 1.0, 1.4, 2.0, 2.8, 4.0])
_CHANCES = np.array([0.0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
# Answers, as often wrong as by chance, that are added to those there are.
_PRIOR_ANSWERS = 2.0
# With one example less of what was held out, of few, a head is worse than the one that is shown: what is measured counts in
# full only where each class has many more examples than this.
_PESSIMISM = 2.0
# Less than this many examples of each class beside the one held out cannot show that labels are not told apart.
_ENOUGH_EACH = 3.0
_NOTHING_KNOWN = 0.97
_LUCK = 1.64


@dataclass(frozen=True)
class Doubt:
    """How far one question's answers are believed: `chance` 0..1 is the share of "anything may be" in them, `temperature`
    flattens the rest.

    `right`: the mean over its classes of the share of held-out frames that were right, of `frames` frames of `classes`
    classes; all None or 0 where nothing could be held out. `confused`: the class that was taken for another most often, and
    the other. `error`: by how much `right` would differ by chance, were all answers guessed.
    """

    temperature: float = 1.0
    chance: float = 0.0
    right: float | None = None
    frames: int = 0
    classes: int = 0
    confused: tuple[int, int] | None = None
    error: float = 0.0

    @property
    def told_apart(self) -> bool:
        """Whether the held-out answers were better than always giving the same one."""
        if self.right is None or self.classes < 2:
            return True
        level = 1 / self.classes
        if self.frames / self.classes - 1 < _ENOUGH_EACH:
            return True
        # The families were chosen by the same frames, so luck counts for them: one chance in twenty.
        return bool(self.right > level + _LUCK * self.error)

    def shown(self, chains: Floats, possible: NDArray[np.bool_]) -> Floats:
        """(n, K) probabilities of one question, drawn toward even ones among the `possible` classes (K,)."""
        if self == Doubt():
            return chains
        logs = np.log(np.maximum(chains, 1e-30)) / np.float32(self.temperature)
        flat = np.exp(logs - logs.max(axis=1, keepdims=True)) * possible
        flat /= np.maximum(flat.sum(axis=1, keepdims=True), 1e-30)
        even = possible / max(int(possible.sum()), 1)
        return np.asarray((1 - self.chance) * flat + self.chance * even, np.float32)


# With an example of each label nothing can be held out.
UNMEASURED = Doubt(chance=0.3)
# Videos hold as many answers that know nothing of each other.
PER_VIDEO = 5


def with_unseen(doubt: Doubt, classes: NDArray[np.intp], all_seen: bool) -> Doubt:
    """`doubt` of a head that was taught these classes (k,), when there may be others.

    The chance that a frame is of a class which was never seen is the share of classes seen once (Good, "The population
    frequencies of species", 1953); of a class seen once nothing was measured.
    """
    _, counts = np.unique(classes, return_counts=True)
    once = float((counts == 1).sum() / max(len(classes), 1))
    unknown = once * (UNMEASURED.chance if all_seen else 1.0)
    return replace(doubt, chance=min(1 - (1 - doubt.chance) * (1 - unknown), _NOTHING_KNOWN))


def fit_doubt(logs: Floats, truth: NDArray[np.intp], weight: Floats, witnesses: int, all_known: bool) -> Doubt:
    """From held-out (k, K) log-probabilities as they are shown, the true class (k,) and what each counts (k,).

    `witnesses`: of how many answers that know nothing of each other they are worth. `all_known`: they were predicted
    without one example or a few, rather than for a video of which nothing was known.
    """
    classes = np.unique(truth)
    if not len(truth):
        return Doubt()
    share = weight / weight.sum()
    right = logs.argmax(axis=1) == truth
    balanced = float(np.mean([np.average(right[truth == one], weights=weight[truth == one]) for one in classes]))
    possible = np.exp(logs).max(axis=0) > 1e-6
    possible[classes] = True
    even = 1 / possible.sum()
    smoothing = _PRIOR_ANSWERS / (witnesses + _PRIOR_ANSWERS)
    best, least = (1.0, 0.0), np.inf
    for temperature in _TEMPERATURES:
        p = np.exp(log_softmax(np.where(possible, logs, -50) / temperature, axis=1))
        for chance in _CHANCES:
            told = np.log((1 - chance) * p + chance * even + 1e-9)
            own = told[np.arange(len(truth)), truth]
            loss = -float(share @ ((1 - smoothing) * own + smoothing * told[:, possible].mean(axis=1)))
            if loss < least - 1e-6:
                best, least = (float(temperature), float(chance)), loss
    said = logs.argmax(axis=1)
    pairs, counts = np.unique(np.stack([truth, said], axis=1)[~right], axis=0, return_counts=True)
    confused = (int(pairs[counts.argmax()][0]), int(pairs[counts.argmax()][1])) if len(pairs) else None
    level = 1 / len(classes)
    counts = np.array([(truth == one).sum() for one in classes])
    error = level * float(np.sqrt((level * (1 - level) / counts).sum()))
    found = Doubt(best[0], best[1], balanced, len(truth), len(classes), confused, error)
    if not found.told_apart:
        return replace(found, temperature=1.0, chance=_NOTHING_KNOWN)
    if not all_known:
        return found
    others = max(len(truth) / len(classes) - 1, 0.5)
    in_full = others / (others + _PESSIMISM)
    return replace(found, temperature=best[0] ** in_full, chance=1 - (1 - best[1]) ** in_full)


@dataclass(frozen=True, eq=False)
class Held:
    """Predictions (k, L) of the known frames of one video by a head that had not seen it, as they would be shown, and what
    is true of them. `whole` when every frame of the video is known. `answer`: (n, L) int8 what was decided of every frame.
    """

    task: int
    probabilities: Floats
    values: NDArray[np.int8]
    whole: bool
    answer: NDArray[np.int8] | None = None


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
    p = held.probabilities.astype(np.float64)
    if exclusive:
        truth = classes_of(held.values, True)
        rows = np.concatenate([p, 1 - p.sum(axis=1, keepdims=True)], axis=1)[truth >= 0]
        truth = truth[truth >= 0]
    else:
        known = held.values != UNKNOWN
        rows = np.stack([p[known], 1 - p[known]], axis=1)
        truth = (held.values[known] == 0).astype(np.intp)
    return np.log(rows.clip(1e-6, 1)).astype(np.float32), truth

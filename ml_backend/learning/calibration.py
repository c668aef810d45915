"""Making "0.9" mean right nine times out of ten, from the first answers on.

What is shown, smoothed over time, is what is measured: labelled frames are predicted by heads that were fitted without
them. From that follows how often answers will be right (`learning.belief`), and they are drawn toward "anything may be"
until they claim no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ml_backend.learning.examples import classes_of
from ml_backend.learning.expected_accuracy import Answers, Way, believed
from ml_backend.learning.frame_labels import UNKNOWN
from ml_backend.learning.probabilities import Floats, Values, with_none

# Below this many labelled frames a temperature fitted on whole held-out videos makes confidence worse, not better.
ENOUGH_FRAMES = 50
_RANGE = (0.25, 4.0)
_TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
# Held-out answers are few: a temperature has to be worth it, and so has one that leaves answers less sure than they may be.
_TEMPERED, _TOO_DOUBTFUL = 0.1, 20.0
_NOTHING_KNOWN = 0.97
_FEW_CLIPS = 10
# More probably than this guesses, answers are not shown.
_SURELY_GUESSED = 0.8


@dataclass(frozen=True)
class Doubt:
    """How far one question's answers are believed: `chance` 0..1 is the share of "anything may be" in them, `temperature`
    flattens the rest.

    `right`: the mean over its classes of the share of held-out frames that were right, of `frames` frames of `classes`
    classes; all None or 0 where nothing could be held out. `confused`: the class that was taken for another most often, and
    the other. `by_lot`: how probable it is, 0..1, that all answers are guesses.
    """

    temperature: float = 1.0
    chance: float = 0.0
    right: float | None = None
    frames: int = 0
    classes: int = 0
    confused: tuple[int, int] | None = None
    by_lot: float = 0.0

    @property
    def told_apart(self) -> bool:
        """Whether the held-out answers were better than always giving the same one, as far as can be known."""
        return self.right is None or self.classes < 2 or self.by_lot <= _SURELY_GUESSED

    def shown(self, chains: Floats, possible: NDArray[np.bool_]) -> Floats:
        """(n, K) probabilities of one question, drawn toward even ones among the `possible` classes (K,)."""
        if self == Doubt():
            return chains
        flat = _tempered(chains, self.temperature, possible)
        even = possible / max(int(possible.sum()), 1)
        return np.asarray((1 - self.chance) * flat + self.chance * even, np.float32)


def fit_doubt(
    answers: Answers | None,
    way: Way,
    possible: NDArray[np.bool_],
    *,
    taught: int,
    videos: int,
    sure: float | None = None,
    unseen: float = 0.0,
    elsewhere: Answers | None = None,
) -> Doubt:
    """The doubt that makes answers as sure as they will be right (`belief.believed`), the likeliest for the held-out ones.

    `possible`: (K,) classes of which there are examples. `sure`: how sure the head is on average where it is asked, 0..1; that
    of the held-out answers where it is not known. `unseen`: the share of frames that show none of these classes. `elsewhere`: as
    for `believed`.
    """
    count = max(int(possible.sum()), 1)
    level = 1 / count
    if sure is None:
        sure = _USUAL if answers is None else answers.sure
    belief = believed(answers, way, count, sure, taught, videos, elsewhere)
    wanted = max(belief.right * (1 - unseen), level)
    if answers is None:
        return Doubt(chance=_mixed(sure, wanted, level), by_lot=belief.by_lot)
    pairs, counts = np.unique(
        np.stack([answers.truth, answers.logs.argmax(axis=1)], axis=1)[~answers.right], axis=0, return_counts=True
    )
    confused = (int(pairs[counts.argmax()][0]), int(pairs[counts.argmax()][1])) if len(pairs) else None
    found = Doubt(
        1.0,
        _mixed(sure, wanted, level),
        answers.balanced,
        len(answers.truth),
        len(np.unique(answers.truth)),
        confused,
        belief.by_lot,
    )
    if way == "parts":
        # What is held out is not what is asked, so the shape stays what it is.
        return found
    # Heads that were taught a few clips less are much less sure than the one that is asked: to sharpen them would make that too sure.
    flatter = way == "clips" and len(answers.truth) < _FEW_CLIPS
    temperature, chance = _shape(answers, possible, wanted, level, 1.0 if flatter else min(_TEMPERATURES))
    return replace(found, temperature=temperature, chance=chance)


# How sure a head is on average, where nobody has looked.
_USUAL = 0.95


def _shape(
    answers: Answers, possible: NDArray[np.bool_], wanted: float, level: float, lowest: float
) -> tuple[float, float]:
    """The temperature, `lowest` or more, and the share of chance that leave held-out answers `wanted` sure on average, and the
    likeliest."""
    share = answers.weight / answers.weight.sum()
    at = np.arange(len(answers.truth))
    possible = possible.copy()
    possible[answers.truth] = True
    found, least = (1.0, 0.0), np.inf
    for temperature in (each for each in _TEMPERATURES if each >= lowest):
        p = _tempered(np.exp(answers.logs), temperature, possible)
        sure = float(share @ p.max(axis=1))
        chance = _mixed(sure, wanted, level)
        own = (1 - chance) * p[at, answers.truth] + chance * level
        short = max(wanted - sure, 0.0)
        loss = -float(share @ np.log(own + 1e-9)) + _TEMPERED * np.log(temperature) ** 2 + _TOO_DOUBTFUL * short**2
        if loss < least - 1e-9:
            found, least = (temperature, chance), loss
    return found


def _mixed(sure: float, wanted: float, level: float) -> float:
    """The share of chance that leaves answers which are `sure` on average as sure as `wanted`."""
    return float(np.clip((sure - wanted) / max(sure - level, 1e-6), 0, _NOTHING_KNOWN))


def _tempered(chains: Floats, temperature: float, possible: NDArray[np.bool_]) -> Floats:
    logs = np.log(np.maximum(chains, 1e-30)) / np.float32(temperature)
    flat = np.exp(logs - logs.max(axis=1, keepdims=True)) * possible
    return np.asarray(flat / np.maximum(flat.sum(axis=1, keepdims=True), 1e-30), np.float32)


@dataclass(frozen=True, eq=False)
class Held:
    """Predictions (k, L) of the known frames of one video by a head that had not seen it, as they would be shown, and what
    is true of them. `whole` when every frame of the video is known. `answer`: (n, L) int8 what was decided of every frame.
    """

    task: int
    probabilities: Floats
    values: Values
    whole: bool
    answer: Values | None = None


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
        rows = with_none(p)[truth >= 0]
        truth = truth[truth >= 0]
    else:
        known = held.values != UNKNOWN
        rows = np.stack([p[known], 1 - p[known]], axis=1)
        truth = (held.values[known] == 0).astype(np.intp)
    return np.log(rows.clip(1e-6, 1)).astype(np.float32), truth

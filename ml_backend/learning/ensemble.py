"""One question (which label? or: this label?) answered by several small classifiers together.

Each member is a softmax regression on one feature family, if wanted averaged with the nearest labelled example (cosine
1-NN); members are averaged in log-probability. Their weights come from leaving videos out of the training videos, so a
family that does not carry over to unseen videos loses its say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from ml_backend.learning.families import CHUNK, Family, Floats, Views
from ml_backend.learning.linear import NEVER, Linear, fit_softmax, span

# Temperature of the nearest neighbour's cosine similarity.
NEIGHBOUR_TEMPERATURE = 0.07
# The nearest neighbour is looked up among at most this many examples.
MAX_NEIGHBOURS = 300


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Labelled rows (k, d) and their classes (k,)."""

    rows: Floats
    classes: NDArray[np.intp]

    def log_probabilities(self, rows: Floats, count: int) -> Floats:
        similarity = rows @ self.rows.T / NEIGHBOUR_TEMPERATURE
        scores = np.full((len(rows), count), NEVER, np.float32)
        for one in np.unique(self.classes):
            scores[:, one] = similarity[:, self.classes == one].max(axis=1)
        return np.asarray(log_softmax(scores, axis=1), np.float32)


@dataclass(frozen=True, eq=False)
class Member:
    family: Family
    linear: Linear
    neighbours: Neighbours | None
    weight: float

    def log_probabilities(self, rows: Floats) -> Floats:
        """(m, d) unit rows of the member's family to (m, K)."""
        logs = self.linear.log_probabilities(rows)
        if self.neighbours is None:
            return logs
        return blend([(1, logs), (1, self.neighbours.log_probabilities(rows, logs.shape[1]))])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """`members` share the K classes of one question; their weights sum to 1."""

    members: tuple[Member, ...]

    def log_probabilities(self, views: Views) -> Floats:
        """(m, K) log-probabilities of a video's embedded frames."""
        pieces = []
        for start in range(0, len(views), CHUNK):
            at = slice(start, start + CHUNK)
            pieces.append(blend([(m.weight, m.log_probabilities(views.rows(m.family, at))) for m in self.members]))
        return np.concatenate(pieces)


@dataclass(frozen=True, eq=False)
class Lesson:
    """The rows of one video for one question: (k, d) for each family, classes (k,), weight (k,)."""

    rows: dict[str, Floats]
    classes: NDArray[np.intp]
    weight: Floats


@dataclass(frozen=True)
class Recipe:
    """How an ensemble is fitted.

    `families` each become a member. `penalties` are tried for each (scikit-learn's C); with one there is no choice.
    `neighbours` adds the nearest labelled example to each member.
    """

    families: tuple[Family, ...]
    penalties: tuple[float, ...] = (100.0,)
    neighbours: bool = True


def fit_ensemble(
    lessons: Sequence[Lesson], count: int, recipe: Recipe, folds: Sequence[NDArray[np.intp]] = ()
) -> Ensemble:
    """Fit all members on all lessons; `folds` are the positions of lessons to leave out together.

    With fewer than two usable folds every member has the same weight and the first penalty.
    """
    losses = np.full((len(recipe.families), len(recipe.penalties)), np.nan)
    bases = []
    for f, family in enumerate(recipe.families):
        basis = span(np.concatenate([lesson.rows[family.name] for lesson in lessons]))
        reduced = [(lesson.rows[family.name] @ basis, lesson.classes, lesson.weight) for lesson in lessons]
        bases.append((basis, reduced))
        if len(folds) >= 2:
            for p, penalty in enumerate(recipe.penalties):
                losses[f, p] = _held_out_loss(reduced, count, penalty, recipe.neighbours, folds)
    weights, best = _weights(losses)
    members = []
    for f, family in enumerate(recipe.families):
        if weights[f] > 0:
            basis, reduced = bases[f]
            rows, classes, weight = _joined(reduced)
            fitted = fit_softmax(rows, classes, count, weight, recipe.penalties[best[f]])
            near = None
            if recipe.neighbours:
                near = _nearest(np.concatenate([lesson.rows[family.name] for lesson in lessons]), classes)
            members.append(Member(family, Linear(basis @ fitted.weights, fitted.bias), near, float(weights[f])))
    return Ensemble(tuple(members))


def _weights(losses: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[int]]:
    """Weight of each family and its best penalty, from held-out losses (families, penalties); nan was not measured."""
    if np.isnan(losses).any():
        return np.full(len(losses), 1 / len(losses)), [0] * len(losses)
    lowest = losses.min(axis=1)
    weights = np.exp(-(lowest - lowest.min()) / max(0.05, 0.25 * float(lowest.min())))
    weights = np.where(weights >= 0.02 * weights.max(), weights, 0)
    return np.asarray(weights / weights.sum()), [int(row.argmin()) for row in losses]


def blend(answers: Sequence[tuple[float, Floats]]) -> Floats:
    """Weighted mean of log-probabilities (m, K), normalised."""
    total = sum(weight for weight, _ in answers)
    return normalised(np.asarray(sum(np.float32(weight / total) * logs for weight, logs in answers), np.float32))


def normalised(logs: Floats) -> Floats:
    return np.asarray(logs - logsumexp(logs, axis=1, keepdims=True), np.float32)


def balanced_loss(logs: Floats, classes: NDArray[np.intp], weight: Floats) -> float:
    """Negative log-likelihood, every class counting the same; a wrong answer costs at most that of 1 in 1,000."""
    own = np.maximum(logs[np.arange(len(classes)), classes], np.log(1e-3))
    losses = [-float(np.average(own[classes == one], weights=weight[classes == one])) for one in np.unique(classes)]
    return float(np.mean(losses))


# The rows of one lesson in a reduced space, their classes and weights.
_Reduced = tuple[Floats, NDArray[np.intp], Floats]


def _joined(lessons: Sequence[_Reduced]) -> _Reduced:
    rows, classes, weight = zip(*lessons, strict=True)
    return np.concatenate(rows), np.concatenate(classes), np.concatenate(weight)


def _nearest(rows: Floats, classes: NDArray[np.intp]) -> Neighbours:
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MAX_NEIGHBOURS)).round().astype(int)
    # Rounded as they are stored, so that a loaded head answers exactly like the one that was fitted.
    return Neighbours(rows[kept].astype(np.float16).astype(np.float32), classes[kept])


def _held_out_loss(
    lessons: Sequence[_Reduced],
    count: int,
    penalty: float,
    neighbours: bool,
    folds: Sequence[NDArray[np.intp]],
) -> float:
    """Mean loss over the folds, nan when none of them leaves two classes to learn from."""
    found = []
    for fold in folds:
        out = set(fold.tolist())
        inside = [lesson for position, lesson in enumerate(lessons) if position not in out]
        if not inside:
            continue
        rows, classes, weight = _joined(inside)
        if len(np.unique(classes)) < 2:
            continue
        tested, truth, importance = _joined([lessons[position] for position in fold])
        logs = fit_softmax(rows, classes, count, weight, penalty).log_probabilities(tested)
        if neighbours:
            logs = blend([(1, logs), (1, _nearest(rows, classes).log_probabilities(tested, count))])
        found.append(balanced_loss(logs, truth, importance))
    return float(np.mean(found)) if found else float("nan")

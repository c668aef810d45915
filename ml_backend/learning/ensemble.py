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

from ml_backend.learning.families import Family, Floats, Views
from ml_backend.learning.linear import Linear, fit_softmax

# Temperature of the nearest neighbour's cosine similarity.
NEIGHBOUR_TEMPERATURE = 0.07
# The nearest neighbour is looked up among at most this many examples.
MAX_NEIGHBOURS = 300
# A class that no example has.
NEVER = -50.0


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
        return blend([(m.weight, m.log_probabilities(views.rows(m.family))) for m in self.members])


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
    for f, family in enumerate(recipe.families):
        if len(folds) < 2:
            break
        for p, penalty in enumerate(recipe.penalties):
            losses[f, p] = _held_out_loss(lessons, count, family, penalty, recipe.neighbours, folds)
    members = []
    if np.isnan(losses).any():
        weights, best = np.full(len(losses), 1 / len(losses)), np.zeros(len(losses), int)
    else:
        best = losses.argmin(axis=1)
        lowest = losses.min(axis=1)
        weights = np.exp(-(lowest - lowest.min()) / max(0.05, 0.25 * float(lowest.min())))
        weights = weights / weights.sum()
    for family, weight, p in zip(recipe.families, weights, best, strict=True):
        if weight >= 0.02 * weights.max():
            linear, neighbours = _fit(lessons, count, family, recipe.penalties[int(p)], recipe.neighbours)
            members.append(Member(family, linear, neighbours, float(weight)))
    total = sum(member.weight for member in members)
    return Ensemble(tuple(Member(m.family, m.linear, m.neighbours, m.weight / total) for m in members))


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


def _fit(
    lessons: Sequence[Lesson], count: int, family: Family, penalty: float, neighbours: bool
) -> tuple[Linear, Neighbours | None]:
    rows = np.concatenate([lesson.rows[family.name] for lesson in lessons])
    classes = np.concatenate([lesson.classes for lesson in lessons])
    weight = np.concatenate([lesson.weight for lesson in lessons])
    linear = fit_softmax(rows, classes, count, weight, penalty)
    if not neighbours:
        return linear, None
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MAX_NEIGHBOURS)).round().astype(int)
    return linear, Neighbours(rows[kept], classes[kept])


def _held_out_loss(
    lessons: Sequence[Lesson],
    count: int,
    family: Family,
    penalty: float,
    neighbours: bool,
    folds: Sequence[NDArray[np.intp]],
) -> float:
    """Mean loss over the folds, nan when none of them leaves two classes to learn from."""
    found = []
    for fold in folds:
        out = set(fold.tolist())
        inside = [lesson for position, lesson in enumerate(lessons) if position not in out]
        tested = [lessons[position] for position in fold]
        if not inside or len(np.unique(np.concatenate([lesson.classes for lesson in inside]))) < 2:
            continue
        linear, near = _fit(inside, count, family, penalty, neighbours)
        member = Member(family, linear, near, 1.0)
        logs = np.concatenate([member.log_probabilities(lesson.rows[family.name]) for lesson in tested])
        classes = np.concatenate([lesson.classes for lesson in tested])
        if len(classes):
            found.append(balanced_loss(logs, classes, np.concatenate([lesson.weight for lesson in tested])))
    return float(np.mean(found)) if found else float("nan")

"""One question (which label? or: this label?) answered by several small classifiers together.

Each member is a softmax regression on one feature family, if wanted averaged with the nearest labelled example (cosine
1-NN); members are averaged in log-probability. Their weights come from leaving videos out of the training videos, so a
family that does not carry over to unseen videos loses its say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.examples import fair_shares
from ml_backend.learning.families import CHUNK, Family, Floats, Views
from ml_backend.learning.linear import EXACT, NEVER, ROUGH, Linear, Steps, fit_each, fit_softmax, span

# Temperature of the nearest neighbour's cosine similarity.
NEIGHBOUR_TEMPERATURE = 0.07
# The nearest neighbour is looked up among at most this many examples.
MAX_NEIGHBOURS = 300
# To compare families, so many rows in so many directions are enough.
_WEIGHED_ROWS, _WEIGHED_DIRECTIONS = 600, 128
# Most labels are about how things look: that movement tells them apart is to be shown by the labels.
_UNPROVEN = 0.2
# How much the losses of two families differ from answer to answer.
_LOSS_SPREAD = 0.7
# What a member's log-probabilities may be multiplied with, so that one that errs with certainty is not heard above others.
_TRUST = (1.0, 0.7, 0.5, 0.35, 0.2, 0.1, 0.03)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Labelled rows (k, d) and their classes (k,); rows of any length, compared as if they had the same."""

    rows: Floats
    classes: NDArray[np.intp]

    def log_probabilities(self, rows: Floats, count: int) -> Floats:
        scores = np.full((len(rows), count), NEVER, np.float32)
        for one, own in self._by_class:
            scores[:, one] = (own @ rows.T).max(axis=0) / NEIGHBOUR_TEMPERATURE
        return normalised(scores)

    @cached_property
    def _by_class(self) -> list[tuple[int, Floats]]:
        return [(int(one), self.rows[self.classes == one]) for one in np.unique(self.classes)]


@dataclass(frozen=True, eq=False)
class Member:
    family: Family
    linear: Linear
    neighbours: Neighbours | None
    weight: float

    def within(self, basis: Floats) -> Member:
        """The member for rows that are given as their places in the directions of `basis` (d, r)."""
        linear = Linear(basis.T @ self.linear.weights, self.linear.bias)
        near = self.neighbours and Neighbours(self.neighbours.rows @ basis, self.neighbours.classes)
        return replace(self, linear=linear, neighbours=near)

    def log_probabilities(self, rows: Floats) -> Floats:
        """(m, d) unit rows of the member's family to (m, K)."""
        logs = self.linear.log_probabilities(rows)
        if self.neighbours is None:
            return logs
        return blend([(1, logs), (1, self.neighbours.log_probabilities(rows, logs.shape[1]))])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """`members` share the K classes of one question; their weights sum to 1, or less where they are surer than right."""

    members: tuple[Member, ...]

    def log_probabilities(self, views: Views) -> Floats:
        """(n, K) log-probabilities of every frame of a video, straight lines between the frames that a member has rows of."""
        able = [member for member in self.members if not member.family.moving or views.features.flow is not None]
        # Those that have rows of the same frames are put together before the lines are drawn.
        by_grid: dict[bool, list[Member]] = {}
        for member in able:
            by_grid.setdefault(member.family.moving, []).append(member)
        found = []
        for members in by_grid.values():
            frames = views.grid(members[0].family)
            pieces = []
            for start in range(0, len(frames), CHUNK):
                at = slice(start, start + CHUNK)
                pieces.append(blend([(m.weight, m.log_probabilities(views.rows(m.family, at))) for m in members]))
            lines = between(frames, np.concatenate(pieces), len(views.features))
            found.append((sum(member.weight for member in members), lines))
        # Weights that do not make up one are those of members that claimed too much.
        total = sum(weight for weight, _ in found)
        return normalised(np.float32(total) * blend(found))

    def of_rows(self, rows: Mapping[str, Floats]) -> Floats:
        """(k, K) log-probabilities of what has these rows (k, d) by family; those of one member at least are there."""
        found = [(m.weight, m.log_probabilities(rows[m.family.name])) for m in self.members if m.family.name in rows]
        return normalised(np.float32(sum(weight for weight, _ in found)) * blend(found))


@dataclass(frozen=True, eq=False)
class Lesson:
    """The rows of one video for one question: (k, d) for each family, classes (k,), weight (k,).

    `spanned`: (k, r) for each family the rows in the directions of a `span`, strongest first, where that is known already, be it
    of more rows than these.
    """

    rows: dict[str, Floats]
    classes: NDArray[np.intp]
    weight: Floats
    spanned: dict[str, Floats] = field(default_factory=dict)

    def only(self, kept: NDArray[np.bool_]) -> Lesson:
        """Of its rows those that are kept (k,)."""
        if kept.all():
            return self
        rows, spanned = ({name: each[kept] for name, each in of.items()} for of in (self.rows, self.spanned))
        return Lesson(rows, self.classes[kept], self.weight[kept], spanned)


# For each lesson (k,) which of its rows are held out together.
Fold = Sequence[NDArray[np.bool_]]


@dataclass(frozen=True)
class Recipe:
    """How an ensemble is fitted.

    `families` each become a member. `penalties` are tried for each (scikit-learn's C); with one there is no choice.
    `neighbours` adds the nearest labelled example to each member, but to those families that are `alone`. `unproven`: families
    that count little until labels show that they tell, as those about movement do.
    """

    families: tuple[Family, ...]
    penalties: tuple[float, ...] = (100.0,)
    neighbours: bool = True
    alone: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Weighed:
    """What held-out rows say of a recipe: for each of its families a weight, together at most 1, and the best penalty."""

    weights: NDArray[np.float64]
    penalties: tuple[float, ...]


def weigh(lessons: Sequence[Lesson], count: int, recipe: Recipe, folds: Sequence[Fold] = ()) -> Weighed:
    """Predicts the rows of each fold by members that were fitted to the others.

    With fewer than two usable folds every family has the same weight and the first penalty.
    """
    losses = np.full((len(recipe.families), len(recipe.penalties)), np.nan)
    trust = np.ones((len(recipe.families), len(recipe.penalties)))
    if len(folds) >= 2:
        lessons, folds = _fewer(lessons, folds, _WEIGHED_ROWS)
        classes, weight = (
            np.concatenate(each) for each in zip(*((own.classes, own.weight) for own in lessons), strict=True)
        )
        held = [np.concatenate(list(fold)) for fold in folds]
        for f, family in enumerate(recipe.families):
            rows = _strongest(lessons, family.name)
            near = recipe.neighbours and family.name not in recipe.alone
            for p, penalty in enumerate(recipe.penalties):
                losses[f, p], trust[f, p] = _held_out_loss(rows, classes, weight, count, penalty, near, held)
    before = np.array([_UNPROVEN if each.moving or each.name in recipe.unproven else 1.0 for each in recipe.families])
    weights, best = _weights(losses, before, sum(len(lesson.classes) for lesson in lessons))
    weights = weights * trust[np.arange(len(best)), best]
    return Weighed(weights, tuple(recipe.penalties[at] for at in best))


def fit_ensemble(
    lessons: Sequence[Lesson],
    count: int,
    recipe: Recipe,
    weighed: Weighed | None = None,
    most: int | None = None,
    spans: Mapping[str, Floats | None] | None = None,
    steps: Steps = EXACT,
) -> Ensemble:
    """Fit all members that have a weight on all lessons, or on about `most` of their rows, as many of each class.

    `spans`: by family the directions that the lessons are `spanned` in, None for their rows as they are; without any they are found.
    """
    if most is not None and sum(len(lesson.classes) for lesson in lessons) > most:
        lessons, _ = _fewer(lessons, (), most)
    known = weigh(lessons, count, recipe) if weighed is None else weighed
    classes = np.concatenate([lesson.classes for lesson in lessons])
    weight = np.concatenate([lesson.weight for lesson in lessons])
    members = []
    for f, family in enumerate(recipe.families):
        if known.weights[f] <= 0:
            continue
        every = [lesson.rows[family.name] for lesson in lessons]
        basis: Floats | None
        if spans is None:
            joined = np.concatenate(every)
            basis = span(joined)
            reduced = joined @ basis
        else:
            basis, reduced = spans[family.name], np.concatenate([own.spanned[family.name] for own in lessons])
        fitted = fit_softmax(reduced, classes, count, weight, known.penalties[f], steps)
        linear = fitted if basis is None else Linear(basis @ fitted.weights, fitted.bias)
        near = _nearest(every, classes) if recipe.neighbours and family.name not in recipe.alone else None
        members.append(Member(family, linear, near, float(known.weights[f])))
    return Ensemble(tuple(members))


def between(frames: NDArray[np.int64], values: Floats, count: int) -> Floats:
    """(m, K) values of the ascending `frames` to (count, K) of every frame: straight lines, level beyond the ends."""
    if len(frames) == count:
        return values
    every = np.arange(count)
    left = np.clip(np.searchsorted(frames, every, side="right") - 1, 0, max(len(frames) - 2, 0))
    right = np.minimum(left + 1, len(frames) - 1)
    gap = np.maximum(frames[right] - frames[left], 1)
    share = np.clip((every - frames[left]) / gap, 0, 1).astype(np.float32)[:, None]
    return np.asarray(values[left] * (1 - share) + values[right] * share, np.float32)


def _fewer(
    lessons: Sequence[Lesson], folds: Sequence[Fold], most: int
) -> tuple[list[Lesson], list[list[NDArray[np.bool_]]]]:
    """As many rows of each class as it takes to compare families; each stands for what it stood for."""
    classes = np.concatenate([lesson.classes for lesson in lessons])
    kept = np.zeros(len(classes), bool)
    sizes = np.bincount(classes)
    for one, room in enumerate(fair_shares(sizes, most).tolist()):
        members = np.flatnonzero(classes == one)
        kept[members[np.linspace(0, len(members) - 1, min(room, len(members))).round().astype(int)]] = True
    chosen = np.split(kept, np.cumsum([len(lesson.classes) for lesson in lessons])[:-1])
    fewer = [lesson.only(own) for lesson, own in zip(lessons, chosen, strict=True)]
    return fewer, [[out[own] for out, own in zip(fold, chosen, strict=True)] for fold in folds]


def _weights(
    losses: NDArray[np.float64], before: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.float64], list[int]]:
    """Weight of each family and its best penalty, from held-out losses (families, penalties), nan where not measured, and
    what each is trusted with `before`. The fewer `rows` were held out, the less a difference says: its standard error is that
    of one answer by the root of their number."""
    if np.isnan(losses).any():
        return before / before.sum(), [0] * len(losses)
    lowest = losses.min(axis=1)
    weights = before * np.exp(
        -(lowest - lowest.min()) / max(0.05, 0.25 * float(lowest.min()), _LOSS_SPREAD / np.sqrt(rows))
    )
    weights = np.where(weights >= 0.02 * weights.max(), weights, 0)
    return np.asarray(weights / weights.sum()), [int(row.argmin()) for row in losses]


def blend(answers: Sequence[tuple[float, Floats]]) -> Floats:
    """Weighted mean of log-probabilities (m, K), normalised."""
    total = sum(weight for weight, _ in answers)
    return normalised(np.asarray(sum(np.float32(weight / total) * logs for weight, logs in answers), np.float32))


def normalised(logs: Floats) -> Floats:
    shown = logs - logs.max(axis=1, keepdims=True)
    shown -= np.log(np.exp(shown).sum(axis=1, keepdims=True))
    return np.asarray(shown, np.float32)


def balanced_loss(logs: Floats, classes: NDArray[np.intp], weight: Floats) -> float:
    """Negative log-likelihood, every class counting the same; a wrong answer costs at most that of 1 in 1,000."""
    own = np.maximum(logs[np.arange(len(classes)), classes], np.log(1e-3))
    losses = [-float(np.average(own[classes == one], weights=weight[classes == one])) for one in np.unique(classes)]
    return float(np.mean(losses))


def _strongest(lessons: Sequence[Lesson], family: str) -> Floats:
    """The rows of all lessons in a few directions."""
    if all(family in lesson.spanned for lesson in lessons):
        return np.concatenate([lesson.spanned[family][:, :_WEIGHED_DIRECTIONS] for lesson in lessons])
    rows = np.concatenate([lesson.rows[family] for lesson in lessons])
    return np.asarray(rows @ span(rows, _WEIGHED_DIRECTIONS), np.float32)


def _nearest(rows: Sequence[Floats], classes: NDArray[np.intp]) -> Neighbours:
    """Of all these rows, in one or several pieces, those that the nearest is looked up among."""
    kept = np.zeros(len(classes), bool)
    for one, room in enumerate(fair_shares(np.bincount(classes), MAX_NEIGHBOURS).tolist()):
        members = np.flatnonzero(classes == one)
        if len(members):
            kept[members[np.linspace(0, len(members) - 1, min(room, len(members))).round().astype(int)]] = True
    edges = np.cumsum([len(own) for own in rows])[:-1]
    chosen = np.concatenate([own[at] for own, at in zip(rows, np.split(kept, edges), strict=True)])
    # Rounded as they are stored, so that a loaded head answers exactly like the one that was fitted.
    return Neighbours(chosen.astype(np.float16).astype(np.float32), classes[kept])


def _held_out_loss(
    rows: Floats,
    classes: NDArray[np.intp],
    weight: Floats,
    count: int,
    penalty: float,
    neighbours: bool,
    folds: Sequence[NDArray[np.bool_]],
) -> tuple[float, float]:
    """Mean loss over the held-out rows once the answers are as sure as they should be, and how far they are to be believed for
    that, 0..1; nan and 1 when no fold leaves two classes to learn from."""
    # What nobody else is like cannot be known by the others, whatever the family.
    asked = [out & np.isin(classes, classes[~out]) for out in folds]
    usable = [at for at, out in enumerate(folds) if asked[at].any() and len(np.unique(classes[~out])) > 1]
    # Of one class alone that member is best which always answers it.
    if not usable or len(np.unique(classes[np.any([asked[at] for at in usable], axis=0)])) < 2:
        return float("nan"), 1.0
    kept = np.stack([~folds[at] for at in usable])
    logs: list[Floats] = []
    for at, own, fitted in zip(usable, kept, fit_each(rows, classes, count, kept, weight, penalty, ROUGH), strict=True):
        tested = rows[asked[at]]
        answer = fitted.log_probabilities(tested)
        if neighbours:
            answer = blend([(1, answer), (1, _nearest([rows[own]], classes[own]).log_probabilities(tested, count))])
        logs.append(answer)
    every = np.concatenate(logs)
    truth, importance = (np.concatenate([of[asked[at]] for at in usable]) for of in (classes, weight))
    return min((balanced_loss(normalised(np.float32(trust) * every), truth, importance), trust) for trust in _TRUST)

"""Cold for tracks: from tracks that people gave a label to, to the label of each other one.

A track is one row in several blocks: how large it is and how it moves, its colors, its texture, and what a network sees of it.
Each block is a member of an ensemble, as for frames: softmax regression and the nearest example, weighed by how well it
carries over to videos that were left out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.calibration import Doubt
from ml_backend.learning.ensemble import (
    Ensemble,
    Fold,
    Lesson,
    Member,
    Neighbours,
    Recipe,
    Weighed,
    fit_ensemble,
    normalised,
    weigh,
)
from ml_backend.learning.expected_accuracy import Answers
from ml_backend.learning.families import Family, Part
from ml_backend.learning.groups import Groups, deal
from ml_backend.learning.head import possible
from ml_backend.learning.linear import Linear
from ml_backend.learning.metrics import macro_f1, per_label
from sampling.candidates import unit

Floats = NDArray[np.float32]
Blocks = Mapping[str, Floats]

# A wrong label costs a person as much as one that is missing, a track to select and a digit, so a label is given where it is more
# probably right than wrong.
LEAST = 0.5
# From so many videos on they are left out to see what carries over; of fewer, single tracks are.
_VIDEOS = 3
_FOLDS = 5
# What few examples cannot tell is a number that hardly ever differs.
_FLOOR = 1e-3
# What a network sees tells most kinds apart; what is known without one has to show that it does, where there is a network.
NETWORK = "appearance"
# Before anything is known, answers are right halfway between a guess and always; that is worth so many held-out tracks.
_BEFORE, _WORTH = 0.5, 4.0
# Errors fall as videos become more, to this power.
_CURVE = 0.65
# Of so many held-out answers it is known whether they are guesses: those no better than luck explains, in standard errors.
_ENOUGH, _LUCK = 16, 1.64
_TEMPERATURES = np.geomspace(0.2, 4.0, 60)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Some tracks of a project. `blocks`: by name (n, d) float32, NaN in rows of which it is not known. `videos`: (n,) which are of
    the same."""

    blocks: Blocks
    videos: Groups

    def __len__(self) -> int:
        return len(self.videos)

    def at(self, which: NDArray[np.intp]) -> Tracks:
        return Tracks({name: rows[which] for name, rows in self.blocks.items()}, self.videos[which])

    @classmethod
    def of(cls, described: Sequence[Blocks], videos: Sequence[int]) -> Tracks:
        """From the blocks of each, by name (d,); those of another length than most have are not known."""
        names = sorted({name for each in described for name in each})
        blocks = {}
        for name in names:
            sizes = [len(each[name]) for each in described if name in each]
            width = max(set(sizes), key=sizes.count)
            rows = np.full((len(described), width), np.nan, np.float32)
            for row, each in zip(rows, described, strict=True):
                if name in each and len(each[name]) == width:
                    row[:] = each[name]
            blocks[name] = rows
        return cls(blocks, np.asarray(videos, np.intp))


@dataclass(frozen=True, eq=False)
class TrackHead:
    """What labels look like. `labels`: K, of which at least two have an example. `reference`: by block the mean and the spread (d,) of
    the project's tracks. `doubt`: how far its answers are believed. `made_by`: how the rows are made that it understands."""

    labels: tuple[str, ...]
    members: tuple[Member, ...]
    reference: Mapping[str, tuple[Floats, Floats]]
    doubt: Doubt = field(default_factory=Doubt)
    made_by: str = ""

    def probabilities(self, tracks: Tracks) -> Floats:
        """(n, K) in 0..1, rows sum to 1; even ones where nothing is known of a track."""
        known = np.stack([_known(tracks, each.family.name) for each in self.members])
        logs = np.stack([each.log_probabilities(self.rows(tracks, each.family.name)) for each in self.members])
        weights = np.array([each.weight for each in self.members], np.float32)[:, None] * known
        # Who has no row of a track has no say; the others are trusted as far as all were.
        trusted = sum(each.weight for each in self.members)
        weights *= trusted / np.maximum(weights.sum(axis=0), 1e-9)
        blended = normalised(np.einsum("mn,mnk->nk", weights, logs))
        p = self.doubt.shown(np.exp(blended), possible(Ensemble(self.members)))
        p[~known.any(axis=0)] = 1 / len(self.labels)
        return np.asarray(p, np.float32)

    def named(self, tracks: Tracks) -> list[tuple[str | None, float]]:
        """The label of each and how probable it is, 0..1; None where no label is more probably right than wrong."""
        p = self.probabilities(tracks) if len(tracks) else np.zeros((0, len(self.labels)), np.float32)
        return [
            (self.labels[int(row.argmax())] if row.max() > LEAST else None, round(float(row.max()), 4)) for row in p
        ]

    def rows(self, tracks: Tracks, name: str) -> Floats:
        """(n, d) rows of a block as the member of this name sees them; zeros where nothing is known."""
        rows = tracks.blocks.get(name)
        mean, _ = self.reference[name]
        if rows is None or rows.shape[1] != len(mean):
            return np.zeros((len(tracks), len(mean)), np.float32)
        return viewed(rows, name, self.reference[name])

    def as_bytes(self) -> bytes:
        """As `from_bytes` reads it."""
        arrays: dict[str, NDArray[np.generic]] = {}
        members: list[tuple[str, float, bool]] = []
        for each in self.members:
            name = each.family.name
            near = each.neighbours
            members.append((name, each.weight, near is not None))
            arrays |= {f"{name}.weights": each.linear.weights, f"{name}.bias": each.linear.bias}
            arrays |= dict(zip((f"{name}.mean", f"{name}.spread"), self.reference[name], strict=True))
            if near is not None:
                arrays |= {f"{name}.rows": near.rows.astype(np.float16), f"{name}.classes": near.classes}
        doubt = self.doubt.temperature, self.doubt.chance
        about = {"labels": self.labels, "doubt": doubt, "members": members, "made_by": self.made_by}
        file = io.BytesIO()
        np.savez(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> TrackHead:
        """Raises ValueError for what is none."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                about = json.loads(str(found["about"]))
                members, reference = [], {}
                for name, weight, near in about["members"]:
                    linear = Linear(found[f"{name}.weights"], found[f"{name}.bias"])
                    rows = found[f"{name}.rows"].astype(np.float32) if near else None
                    neighbours = Neighbours(rows, found[f"{name}.classes"]) if rows is not None else None
                    members.append(Member(_family(name), linear, neighbours, float(weight)))
                    reference[name] = found[f"{name}.mean"], found[f"{name}.spread"]
                temperature, chance = about["doubt"]
                return cls(
                    tuple(about["labels"]), tuple(members), reference, Doubt(temperature, chance), about["made_by"]
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError("this is no head for tracks") from error


@dataclass(frozen=True)
class HeldOut:
    """What heads said of `tracks` labeled tracks of `videos` videos, of each by one that had not seen its video: the share that is
    right, and the mean F1 of the labels."""

    accuracy: float
    macro_f1: float
    tracks: int
    videos: int


def fit_track_head(
    every: Tracks, classes: NDArray[np.intp], labels: Sequence[str], seed: int = 0, made_by: str = ""
) -> TrackHead:
    """Fits a head to those of all known tracks that have a label.

    `classes`: (n,) 0..K-1, -1 without one. `seed` deals videos into folds.

    Raises NotEnoughLabels when fewer than two labels have a track.
    """
    taught = np.flatnonzero(classes >= 0)
    seen = np.unique(classes[taught])
    if len(seen) < 2:
        raise NotEnoughLabels("Only one label was given to tracks.", "Give another label to another track.")
    reference = {name: _reference(rows) for name, rows in every.blocks.items() if _known_rows(rows[taught]).any()}
    lessons = _lessons(every.at(taught), classes[taught], reference)
    bare = tuple(name for name in reference if name != NETWORK)
    recipe = Recipe(tuple(map(_family, reference)), alone=bare, unproven=bare if NETWORK in reference else ())
    count = len(labels)
    folds = _folds(lessons, seed)
    weighed = weigh(lessons, count, recipe, folds)
    head = _head(lessons, labels, recipe, weighed, reference)
    answers = _answers(every.at(taught), lessons, folds, labels, recipe, weighed, reference)
    rest = np.flatnonzero(classes < 0)
    asked = head.probabilities(every.at(rest if len(rest) else taught))
    doubt = _doubt(asked, _expected(answers, len(seen), len(lessons)), len(seen))
    return replace(head, doubt=doubt, made_by=made_by)


def _expected(answers: Answers | None, kinds: int, videos: int) -> float:
    """How often answers about one of so many `kinds` will be right, 0..1, by what was held out, as far as that goes."""
    level = 1 / kinds
    before = level + _BEFORE * (1 - level)
    if answers is None:
        return before
    # Whoever was asked had been taught by one video less.
    hits = (
        1 - (1 - max(answers.balanced, level)) * ((videos - 1) / videos) ** _CURVE if videos > 1 else answers.balanced
    )
    count = len(answers.truth)
    if count >= _ENOUGH and answers.balanced <= level + _LUCK * np.sqrt(level * (1 - level) / count):
        return level
    return (count * max(hits, level) + _WORTH * before) / (count + _WORTH)


def _doubt(asked: Floats, right: float, kinds: int) -> Doubt:
    """What makes answers as sure on average as they will be right. `asked`: (n, K) probabilities as they would be without."""
    logs = np.log(np.maximum(asked, 1e-30))[None] / _TEMPERATURES[:, None, None].astype(np.float32)
    raised = np.exp(logs - logs.max(axis=2, keepdims=True))
    sure = (1 / raised.sum(axis=2)).mean(axis=1)
    best = int(np.abs(sure - right).argmin())
    # Where nothing flattens them enough, a share of them is chance.
    chance = float(np.clip((sure[best] - right) / max(sure[best] - 1 / kinds, 1e-6), 0, 1))
    return Doubt(float(_TEMPERATURES[best]), chance)


def held_out(every: Tracks, classes: NDArray[np.intp], labels: Sequence[str], seed: int = 0) -> HeldOut | None:
    """How right heads are about videos whose tracks they were not taught; None where labels are in too few videos to tell."""
    taught = np.flatnonzero(classes >= 0)
    videos = np.unique(every.videos[taught])
    if len(videos) < 2:
        return None
    groups = deal(np.searchsorted(videos, every.videos[taught]).astype(np.intp), _FOLDS, seed)
    truth: list[NDArray[np.intp]] = []
    said: list[NDArray[np.intp]] = []
    for fold in np.unique(groups):
        inside = classes.copy()
        out = taught[groups == fold]
        inside[out] = -1
        try:
            head = fit_track_head(every, inside, labels, seed)
        except NotEnoughLabels:
            continue
        truth.append(classes[out])
        said.append(head.probabilities(every.at(out)).argmax(axis=1))
    if not truth:
        return None
    true, answer = np.concatenate(truth), np.concatenate(said)
    each = np.eye(len(labels), dtype=np.int8)
    score = macro_f1(per_label(each[answer], each[true], labels)) or 0.0
    return HeldOut(float((true == answer).mean()), score, len(true), len(videos))


def viewed(rows: Floats, name: str, reference: tuple[Floats, Floats]) -> Floats:
    """(n, d) rows of a block as members see them; zeros where nothing is known."""
    mean, spread = reference
    scaled = np.nan_to_num((rows - mean) / spread)
    if name == NETWORK:
        return unit(scaled)
    # What is rare and large must not drown what is common and small.
    return np.asarray(np.arcsinh(scaled) / np.sqrt(np.float32(rows.shape[1])), np.float32)


def references(tracks: Tracks) -> dict[str, tuple[Floats, Floats]]:
    """By block the mean and the spread (d,) of some tracks, as far as any is known."""
    return {name: _reference(rows) for name, rows in tracks.blocks.items() if _known_rows(rows).any()}


def _family(name: str) -> Family:
    return Family(name, (Part((name,), "raw"),))


def _known(tracks: Tracks, name: str) -> NDArray[np.bool_]:
    rows = tracks.blocks.get(name)
    return _known_rows(rows) if rows is not None else np.zeros(len(tracks), bool)


def _known_rows(rows: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(rows).all(axis=1))


def _reference(rows: Floats) -> tuple[Floats, Floats]:
    known = rows[_known_rows(rows)].astype(np.float64)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    floor = _FLOOR + 0.1 * float(np.sqrt((spread**2).mean()))
    return mean.astype(np.float32), (spread + floor).astype(np.float32)


def _lessons(tracks: Tracks, classes: NDArray[np.intp], reference: Mapping[str, tuple[Floats, Floats]]) -> list[Lesson]:
    """One for each video."""
    rows = {name: viewed(tracks.blocks[name], name, reference[name]) for name in reference}
    lessons = []
    for video in np.unique(tracks.videos):
        at = tracks.videos == video
        lessons.append(
            Lesson({name: each[at] for name, each in rows.items()}, classes[at], np.ones(at.sum(), np.float32))
        )
    return lessons


def _folds(lessons: Sequence[Lesson], seed: int) -> list[Fold]:
    """Videos to leave out, or, of too few, tracks."""
    if len(lessons) >= _VIDEOS:
        group = deal(np.arange(len(lessons)), _FOLDS, seed)
        return [
            [np.full(len(lesson.classes), own == fold) for lesson, own in zip(lessons, group, strict=True)]
            for fold in np.unique(group)
        ]
    classes = np.concatenate([lesson.classes for lesson in lessons])
    turn = np.zeros(len(classes), np.intp)
    for one in np.unique(classes):
        turn[classes == one] = np.arange((classes == one).sum()) % _FOLDS
    edges = np.cumsum([len(lesson.classes) for lesson in lessons])[:-1]
    return [np.split(turn == fold, edges) for fold in np.unique(turn)]


def _head(
    lessons: Sequence[Lesson],
    labels: Sequence[str],
    recipe: Recipe,
    weighed: Weighed,
    reference: Mapping[str, tuple[Floats, Floats]],
) -> TrackHead:
    members = fit_ensemble(lessons, len(labels), recipe, weighed).members
    return TrackHead(tuple(labels), members, {each.family.name: reference[each.family.name] for each in members})


def _answers(
    taught: Tracks,
    lessons: Sequence[Lesson],
    folds: Sequence[Fold],
    labels: Sequence[str],
    recipe: Recipe,
    weighed: Weighed,
    reference: Mapping[str, tuple[Floats, Floats]],
) -> Answers | None:
    """What heads say of what they were not taught; None where too little is left to teach any."""
    order = np.argsort(taught.videos, kind="stable")
    logs: list[Floats] = []
    truth: list[NDArray[np.intp]] = []
    for fold in folds:
        left = [lesson.only(~out) for lesson, out in zip(lessons, fold, strict=True)]
        left = [lesson for lesson in left if len(lesson.classes)]
        if not left or len(np.unique(np.concatenate([lesson.classes for lesson in left]))) < 2:
            continue
        head = _head(left, labels, recipe, weighed, reference)
        p = head.probabilities(taught.at(order[np.concatenate(list(fold))]))
        logs.append(np.log(np.maximum(p, 1e-9)).astype(np.float32))
        truth.append(np.concatenate([lesson.classes[out] for lesson, out in zip(lessons, fold, strict=True)]))
    if not truth:
        return None
    every = np.concatenate(truth)
    return Answers(np.concatenate(logs), every, np.ones(len(every), np.float32))

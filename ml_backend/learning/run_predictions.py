"""What is said of each run of equally labelled frames by classifiers that were fitted without it, so that no label vouches for itself.

Northcutt, Jiang and Chuang, "Confident learning", 2021, hold out single examples instead; neighbouring frames are too much alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.ensemble import Recipe, balanced_loss, fit_ensemble, normalised
from ml_backend.learning.examples import LabelledVideo, classes_of, training_examples
from ml_backend.learning.families import MOVES, SCENE, SHARED, WHERE, Family, Floats, Views, reference_of
from ml_backend.learning.frame_labels import UNKNOWN
from ml_backend.learning.head import lesson_of
from ml_backend.learning.probabilities import decided
from ml_backend.learning.smoothing import smooth

# A strong penalty: what looks for wrong labels must not be able to learn them by heart.
_PENALTY = 1.0
_FAMILIES = (SCENE, SHARED, MOVES, WHERE)
_FOLDS = 5
# What log-probabilities may be multiplied with, so that they are as sure as they are right.
_TRUST = (3.0, 2.0, 1.5, 1.0, 0.7, 0.5, 0.35, 0.2, 0.1, 0.03)
# So many frames say enough of how sure a family may be.
_JUDGED = 6000


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is said of a video by classifiers that were fitted without the stretch of which they say it.

    `video`: with its labels, of the classes asked for and as many frames as it has. `judged`: (n,) frames of which anything
    can be said. `logs`: for each question (n, K) log-probabilities of its classes, frame by frame, nan where nothing can be
    said; exclusive labels are one question, whose last class is none of them, others one each, of the classes yes and no.
    `probabilities`: (n, L) in 0..1, smoothed over time. `answer`: (n, L) 1 or 0, what they decide.
    """

    video: LabelledVideo
    judged: NDArray[np.bool_]
    logs: tuple[Floats, ...]
    probabilities: Floats
    answer: NDArray[np.int8]


def held_out(
    videos: Sequence[LabelledVideo], labels: Sequence[str], *, exclusive: bool, seed: int = 0
) -> tuple[HeldOut, ...]:
    """Out-of-fold predictions of the videos of which anything is known.

    A label that occurs in one run only cannot be judged and is left out.
    """
    names = tuple(labels)
    videos = [
        replace(video, labels=video.labels.select(names).resized(len(video.features)))
        for video in videos
        if video.labels.known.any()
    ]
    if not videos:
        return ()
    runs = [runs_of(video.labels.values) for video in videos]
    folds = [own[numbers] for own, numbers in zip(_deal_runs(videos, runs, seed), runs, strict=True)]
    seen = [Views(video.features) for video in videos]
    reference = reference_of(seen)
    views = [Views(video.features, reference) for video in videos]
    still = any(video.features.flow is None for video in videos)
    families = tuple(family for family in _FAMILIES if not (still and family.moving))
    questions = [
        _question(videos, views, folds, families, len(names) + 1 if exclusive else 2, exclusive, position)
        for position in range(1 if exclusive else len(names))
    ]
    return tuple(
        _held_out(video, logs, exclusive) for video, logs in zip(videos, zip(*questions, strict=True), strict=True)
    )


def runs_of(values: NDArray[np.int8]) -> NDArray[np.intp]:
    """(n,) number of the run of equal rows that each frame belongs to."""
    changed = (values[1:] != values[:-1]).any(axis=1)
    return np.asarray(np.concatenate([[0], changed.cumsum()]), np.intp)


def _held_out(video: LabelledVideo, logs: tuple[Floats, ...], exclusive: bool) -> HeldOut:
    said = np.concatenate([np.exp(own[:, :-1]) for own in logs], axis=1)
    p = smooth(np.nan_to_num(said, nan=0.5), exclusive)
    return HeldOut(video, np.asarray(~np.isnan(said).any(axis=1)), logs, p, decided(p, exclusive))


def _deal_runs(videos: Sequence[LabelledVideo], runs: Sequence[NDArray[np.intp]], seed: int) -> list[NDArray[np.intp]]:
    """For each video (runs,) the fold of every run; runs of one labelling are dealt to all folds in turn."""
    rng = np.random.default_rng(seed)
    start: dict[bytes, int] = {}
    dealt = []
    for video, numbers in zip(videos, runs, strict=True):
        firsts = np.unique(numbers, return_index=True)[1]
        folds = []
        for first in firsts:
            key = video.labels.values[first].tobytes()
            start[key] = start.get(key, int(rng.integers(_FOLDS))) + 1
            folds.append(start[key] % _FOLDS)
        dealt.append(np.asarray(folds, np.intp))
    return dealt


def _only(video: LabelledVideo, kept: NDArray[np.bool_]) -> LabelledVideo:
    values = np.where(kept[:, None], video.labels.values, UNKNOWN).astype(np.int8)
    weight = np.where(kept, video.labels.weight, 0).astype(np.float32)
    return replace(video, labels=replace(video.labels, values=values, weight=weight))


def _question(
    videos: Sequence[LabelledVideo],
    views: Sequence[Views],
    folds: Sequence[NDArray[np.intp]],
    families: Sequence[Family],
    count: int,
    exclusive: bool,
    position: int,
) -> list[Floats]:
    """(n, K) log-probabilities of one question for every video, nan where the rest cannot tell."""
    by_family = [[np.full((len(video.labels), count), np.nan, np.float32) for video in videos] for _ in families]
    for fold in range(_FOLDS):
        inside = [_only(video, own != fold) for video, own in zip(videos, folds, strict=True)]
        chosen = training_examples(inside)
        lessons = [lesson_of(own, seen, families, exclusive, position) for own, seen in zip(chosen, views, strict=True)]
        lessons = [lesson for lesson in lessons if len(lesson.classes)]
        if len(np.unique(np.concatenate([lesson.classes for lesson in lessons])) if lessons else ()) < 2:
            continue
        for family, found in zip(families, by_family, strict=True):
            fitted = fit_ensemble(lessons, count, Recipe((family,), penalties=(_PENALTY,), neighbours=False))
            for own, view, fold_of in zip(found, views, folds, strict=True):
                if (mine := fold_of == fold).any():
                    own[mine] = fitted.log_probabilities(view)[mine]
    truth = np.concatenate([classes_of(video.labels.values, exclusive, position) for video in videos])
    return _blended(by_family, truth)


def _blended(by_family: Sequence[Sequence[Floats]], truth: NDArray[np.intp]) -> list[Floats]:
    """Families weighed by how well they say what most labels say, and made as sure as they are right; wrong labels are few."""
    every = [np.concatenate(found) for found in by_family]
    known = np.flatnonzero((truth >= 0) & ~np.isnan(every[0]).any(axis=1))
    if not len(known):
        return list(by_family[0])
    known = known[:: -(-len(known) // _JUDGED)]
    best = [_trusted(logs[known], truth[known]) for logs in every]
    losses = np.array([loss for loss, _ in best])
    weights = np.exp(-(losses - losses.min()) / max(0.05, 0.25 * float(losses.min())))
    weights = weights * [trust for _, trust in best] / weights.sum()
    mixed = np.asarray(sum(np.float32(w) * logs for w, logs in zip(weights, every, strict=True)), np.float32)
    _, trust = _trusted(mixed[known], truth[known])
    lengths = np.cumsum([len(found) for found in by_family[0]])[:-1]
    return [np.asarray(own, np.float32) for own in np.split(normalised(np.float32(trust) * mixed), lengths)]


def _trusted(logs: Floats, truth: NDArray[np.intp]) -> tuple[float, float]:
    """The lowest loss and what log-probabilities are to be multiplied with for that."""
    weight = np.ones(len(truth), np.float32)
    return min((balanced_loss(normalised(np.float32(trust) * logs), truth, weight), trust) for trust in _TRUST)

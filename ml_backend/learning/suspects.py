"""Labels that are probably wrong: those that a model contradicts which was fitted without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.ensemble import Recipe, fit_ensemble
from ml_backend.learning.examples import LabelledVideo, training_examples
from ml_backend.learning.families import SCENE, Floats, Views
from ml_backend.learning.framelabels import UNKNOWN, YES
from ml_backend.learning.head import lesson_of
from ml_backend.learning.metrics import decided
from ml_backend.learning.smoothing import smooth
from ml_backend.video.timeline import FrameIndex

# A strong penalty: a detector of wrong labels must not be able to learn them by heart.
_RECIPE = Recipe((SCENE,), penalties=(1.0,), neighbours=False)
_FOLDS = 5
# Disagreement that touches a boundary and is this short is about where the boundary lies, not about the label.
BOUNDARY_FRAMES = 5


@dataclass(frozen=True)
class Suspect:
    """Frames `first`..`last` (both included) of a task whose label a model that has not seen it contradicts.

    `given` and `expected`: the labels said and predicted there, empty for none. `doubt` in 0..1: how improbable what was
    said is, on average. `kind`: `boundary` when it is about where a region begins or ends.
    """

    task: int
    first: FrameIndex
    last: FrameIndex
    given: tuple[str, ...]
    expected: tuple[str, ...]
    doubt: float
    kind: Literal["label", "boundary"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is said of a video by heads that were fitted without the stretch of which they say it.

    `video`: with its labels, of the classes asked for and as many frames as it has. `judged`: (n,) frames of which anything
    can be said. `probabilities`: (n, L) in 0..1, smoothed over time. `answer`: (n, L) 1 or 0, what they decide.
    """

    video: LabelledVideo
    judged: NDArray[np.bool_]
    probabilities: Floats
    answer: NDArray[np.int8]


def held_out(
    videos: Sequence[LabelledVideo], labels: Sequence[str], *, exclusive: bool, seed: int = 0
) -> tuple[HeldOut, ...]:
    """Out-of-fold predictions of the videos of which anything is known.

    Each run of equally labelled frames is predicted by heads that were fitted without it, so it cannot vouch for itself
    (Northcutt, Jiang and Chuang, "Confident learning", 2021, holds out single examples instead). A label that occurs in
    one run only cannot be judged and is left out.
    """
    names = tuple(labels)
    videos = [
        replace(video, labels=video.labels.select(names).resized(len(video.features)))
        for video in videos
        if video.labels.known.any()
    ]
    runs = [_runs(video.labels.values) for video in videos]
    folds = _deal_runs(videos, runs, seed)
    predicted = [np.full(video.labels.values.shape, np.nan, np.float32) for video in videos]
    views = [Views(video.features) for video in videos]
    for fold in range(_FOLDS):
        inside = [_only(video, folds[v][runs[v]] != fold) for v, video in enumerate(videos)]
        for v, p in enumerate(_predictions(inside, videos, views, names, exclusive)):
            mine = folds[v][runs[v]] == fold
            predicted[v][mine] = p[mine]
    return tuple(_held_out(video, p, exclusive) for video, p in zip(videos, predicted, strict=True))


def _held_out(video: LabelledVideo, predicted: Floats, exclusive: bool) -> HeldOut:
    p = smooth(np.nan_to_num(predicted, nan=0.5), exclusive)
    judged = np.asarray(~np.isnan(predicted).any(axis=1))
    return HeldOut(video, judged, p, decided(p, exclusive))


def suspects(found: Sequence[HeldOut], labels: Sequence[str], *, exclusive: bool) -> tuple[Suspect, ...]:
    """Stretches of known frames that predictions held out contradict, wrong labels first, the most doubtful first."""
    every = [suspect for one in found for suspect in _contradictions(one, tuple(labels), exclusive)]
    return tuple(sorted(every, key=lambda s: (s.kind == "boundary", -s.doubt, s.task, s.first)))


def _runs(values: NDArray[np.int8]) -> NDArray[np.intp]:
    """(n,) number of the run of equal rows that each frame belongs to."""
    changed = (values[1:] != values[:-1]).any(axis=1)
    return np.asarray(np.concatenate([[0], changed.cumsum()]), np.intp)


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


def _predictions(
    inside: Sequence[LabelledVideo],
    videos: Sequence[LabelledVideo],
    views: Sequence[Views],
    labels: tuple[str, ...],
    exclusive: bool,
) -> list[Floats]:
    """(n, L) for every video, nan for labels that the rest cannot tell."""
    chosen = training_examples(inside)
    found: list[Floats] = [np.full((len(video.labels), len(labels)), np.nan, np.float32) for video in videos]
    for position in range(1 if exclusive else len(labels)):
        lessons = [lesson_of(own, seen, (SCENE,), exclusive, position) for own, seen in zip(chosen, views, strict=True)]
        lessons = [lesson for lesson in lessons if len(lesson.classes)]
        seen_classes = np.unique(np.concatenate([lesson.classes for lesson in lessons])) if lessons else np.empty(0)
        if len(seen_classes) < 2:
            continue
        ensemble = fit_ensemble(lessons, len(labels) + 1 if exclusive else 2, _RECIPE)
        for v, view in enumerate(views):
            p = np.exp(ensemble.log_probabilities(view))
            if exclusive:
                found[v] = p[:, :-1]
            else:
                found[v][:, position] = p[:, 0]
    return found


def _contradictions(found: HeldOut, labels: tuple[str, ...], exclusive: bool) -> list[Suspect]:
    video, p, answer = found.video, found.probabilities, found.answer
    values = video.labels.values
    judged = found.judged & (values != UNKNOWN).all(axis=1)
    if not judged.any():
        return []
    wrong = judged & (answer != values).any(axis=1)
    if exclusive:
        none = 1 - p.sum(axis=1)
        right = np.where((values == YES).any(axis=1), (p * (values == YES)).sum(axis=1), none)
    else:
        right = np.where(values == YES, p, 1 - p).min(axis=1)
    changes = set((np.flatnonzero((values[1:] != values[:-1]).any(axis=1)) + 1).tolist())
    stretch = _runs(np.concatenate([values, answer, wrong[:, None].astype(np.int8)], axis=1))
    suspected = []
    for number in np.unique(stretch[wrong]):
        frames = np.flatnonzero(stretch == number)
        first, last = int(frames[0]), int(frames[-1])
        touches = (first in changes) != (last + 1 in changes)
        suspected.append(
            Suspect(
                video.task,
                FrameIndex(first),
                FrameIndex(last),
                _names(values[first], labels),
                _names(answer[first], labels),
                float(np.clip(1 - right[frames].mean(), 0, 1)),
                "boundary" if touches and len(frames) <= BOUNDARY_FRAMES else "label",
            )
        )
    return suspected


def _names(row: NDArray[np.int8], labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(label for label, value in zip(labels, row, strict=True) if value == YES)

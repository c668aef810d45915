"""Finding labels that are probably wrong, and how far annotators agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.ensemble import Recipe, fit_ensemble
from ml_backend.learning.examples import LabelledVideo, training_examples
from ml_backend.learning.families import SCENE, Floats, Views
from ml_backend.learning.framelabels import UNKNOWN, UNTOUCHED_WEIGHT, YES, FrameLabels
from ml_backend.learning.head import lesson_of
from ml_backend.learning.kappa import cohen_kappa
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


def find_suspects(
    videos: Sequence[LabelledVideo], labels: Sequence[str], *, exclusive: bool, seed: int = 0
) -> tuple[Suspect, ...]:
    """Stretches of known frames that out-of-fold predictions contradict, wrong labels first, the most doubtful first."""
    return suspects(held_out(videos, labels, exclusive=exclusive, seed=seed), labels, exclusive=exclusive)


def suspects(found: Sequence[HeldOut], labels: Sequence[str], *, exclusive: bool) -> tuple[Suspect, ...]:
    """The same of predictions that were made already."""
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
        lessons = [
            lesson_of(own, video.features, seen, (SCENE,), exclusive, position)
            for own, video, seen in zip(chosen, inside, views, strict=True)
        ]
        lessons = [lesson for lesson in lessons if len(lesson.classes)]
        seen_classes = np.unique(np.concatenate([lesson.classes for lesson in lessons])) if lessons else np.empty(0)
        if len(seen_classes) < 2:
            continue
        ensemble = fit_ensemble(lessons, len(labels) + 1 if exclusive else 2, _RECIPE)
        for v, (video, view) in enumerate(zip(videos, views, strict=True)):
            p = np.exp(video.features.interpolate(ensemble.log_probabilities(view)))
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


@dataclass(frozen=True)
class Agreement:
    """`labels`: Fleiss' kappa per label over the frames that two or more annotators labelled, None where there are none.

    `annotators`: Cohen's kappa of each annotator against the majority of the others. 1 is perfect, 0 is chance.
    `frames`: how many frames two or more annotators labelled.
    """

    labels: Mapping[str, float | None]
    annotators: Mapping[int, float | None]
    frames: int


def agreement(tasks: Sequence[Mapping[int, FrameLabels]], labels: Sequence[str]) -> Agreement:
    """How far annotators agree, frame by frame; `tasks` hold each annotator's own frame labels of a task.

    What a model drew and an annotator left as it was is nobody's answer: two blind submits would agree on everything.
    """
    names = tuple(labels)
    stacked = []
    for task in tasks:
        if len(task) > 1:
            said = [np.where(_own(one)[:, None], one.select(names).values, UNKNOWN) for one in task.values()]
            stacked.append((tuple(task), np.stack(said).astype(np.int8)))
    per_label = {label: fleiss_kappa([said[:, :, at] for _, said in stacked]) for at, label in enumerate(names)}
    everyone = sorted({author for authors, _ in stacked for author in authors})
    shared = sum(int(((said != UNKNOWN).any(axis=2).sum(axis=0) > 1).sum()) for _, said in stacked)
    return Agreement(per_label, {author: _against_others(author, stacked) for author in everyone}, shared)


def agreement_with_model(
    found: Sequence[HeldOut], tasks: Mapping[int, Mapping[int, FrameLabels]], labels: Sequence[str]
) -> dict[int, float | None]:
    """Cohen's kappa of each annotator with predictions held out; `tasks` hold each annotator's own frame labels by task.

    None where nothing can be compared. Who labels alone teaches the model their own mistakes, which then agrees with them.
    """
    names = tuple(labels)
    counts: dict[int, NDArray[np.int64]] = {}
    for one in found:
        for author, theirs in tasks.get(one.video.task, {}).items():
            said = theirs.select(names).resized(len(one.judged))
            both = (said.values != UNKNOWN) & (one.judged & _own(said))[:, None]
            pairs = 2 * said.values[both].astype(np.int64) + one.answer[both]
            counted = np.bincount(pairs, minlength=4).reshape(2, 2)
            counts[author] = counts[author] + counted if author in counts else counted
    return {author: cohen_kappa(counts[author]) for author in sorted(counts)}


def _own(labels: FrameLabels) -> NDArray[np.bool_]:
    """(n,) frames that the annotator looked at."""
    return np.asarray(labels.weight > UNTOUCHED_WEIGHT)


def fleiss_kappa(said: Sequence[NDArray[np.int8]]) -> float | None:
    """Kappa of (annotators, frames) answers 1, 0 or -1 (none), from one or more tasks.

    Fleiss, "Measuring nominal scale agreement among many raters", 1971, with a varying number of raters.
    """
    agreeing = total = 0.0
    counts = np.zeros(2)
    for answers in said:
        yes, no = (answers == 1).sum(axis=0), (answers == 0).sum(axis=0)
        raters = yes + no
        several = raters >= 2
        yes, no, raters = yes[several], no[several], raters[several]
        agreeing += float(((yes * (yes - 1) + no * (no - 1)) / (raters * (raters - 1))).sum()) if len(raters) else 0.0
        total += len(raters)
        counts += [yes.sum(), no.sum()]
    if not total:
        return None
    chance = float(((counts / counts.sum()) ** 2).sum())
    observed = agreeing / total
    return 1.0 if chance >= 1 else (observed - chance) / (1 - chance)


def _against_others(author: int, tasks: Sequence[tuple[tuple[int, ...], NDArray[np.int8]]]) -> float | None:
    mine, theirs = [], []
    for authors, said in tasks:
        if author not in authors:
            continue
        at = authors.index(author)
        others = np.delete(said, at, axis=0)
        votes = (others == 1).sum(axis=0) - (others == 0).sum(axis=0)
        both = (said[at] != UNKNOWN) & (votes != 0)
        mine.append(said[at][both])
        theirs.append((votes > 0).astype(np.int8)[both])
    a, b = (np.concatenate(side) if side else np.empty(0, np.int8) for side in (mine, theirs))
    return cohen_kappa(np.bincount(2 * a + b, minlength=4).reshape(2, 2))

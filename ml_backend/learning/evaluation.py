"""Measuring a model version on videos it has not seen.

Frames of one video never stand on both sides, nor do near-duplicates of one recording. With a single video, blocks of
its time are held out with a gap around them, which says less, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ml_backend.cards.measurements import MEASURED, ConfusionTable, EvaluationScheme, Metrics, SegmentCounts
from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.calibration import Held, fitting_temperature
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import UNKNOWN, FrameLabels
from ml_backend.learning.groups import deal, duplicates
from ml_backend.learning.head import Head
from ml_backend.learning.metrics import (
    calibration_error,
    confusion,
    f1_intervals,
    macro_f1,
    per_label,
    reliability,
    segment_scores,
)
from ml_backend.learning.probabilities import Values, decided

Fit = Callable[[Sequence[LabelledVideo]], Head]

# What the last row and column of a confusion matrix stand for.
NONE = "none of the labels"
_BLOCKS = 4
_UNMEASURED = "Not measured: too few videos that people judged can be held out. Label more of each kind."


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What heads said of videos that they had not seen. `recording`: its number, by task. `scheme`: how they were held out."""

    labels: tuple[str, ...]
    exclusive: bool
    held: tuple[Held, ...]
    scheme: EvaluationScheme
    recording: Mapping[int, int]

    def metrics(self) -> Metrics:
        """How right they are; `judgement` says in words how much the numbers are worth."""
        return summary(self.held, self.labels, self.exclusive, self.scheme, self.recording)


def cross_validated(
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    fit: Fit,
    *,
    exclusive: bool,
    most_folds: int = 5,
    seed: int = 0,
    trained_on: Collection[int] = (),
    progress: Callable[[float], None] | None = None,
) -> CrossValidation:
    """Cross-validation grouped by video.

    Known frames of every video are predicted by heads fitted without that video (and its near-duplicates). Only videos
    that a person really judged count: dense ones that were `judged`, and the answered frames of sparse ones.
    `trained_on`: tasks whose videos the embedding network itself was trained on: they and their near-duplicates teach, and are
    never predicted.
    """
    names = tuple(labels)
    usable = [
        video
        for video in _unseen(videos, trained_on)
        if video.labels.known.any() and (video.labels.judged or not video.labels.dense)
    ]
    others = [video for video in videos if video not in usable]
    groups = duplicates([video.features for video in usable])
    recordings = int(groups.max(initial=-1)) + 1
    if recordings >= 2 or trained_on:
        folds = deal(groups, most_folds, seed)
        splits = [
            (
                [video for video, own in zip(usable, folds, strict=True) if own != fold] + others,
                [video for video, own in zip(usable, folds, strict=True) if own == fold],
            )
            for fold in np.unique(folds)
        ]
        scheme = EvaluationScheme.NOT_FINE_TUNED_ON if trained_on else leaving_out(len(np.unique(folds)), recordings)
    else:
        splits = _blocks(usable)
        scheme = EvaluationScheme.BLOCKS
    held: list[Held] = []
    for done, (inside, outside) in enumerate(splits):
        if progress is not None:
            progress(done / len(splits))
        try:
            head = fit(inside)
        except NotEnoughLabels:
            continue
        held += [_predicted(head, video, names) for video in outside]
    recording = {video.task: int(group) for video, group in zip(usable, groups, strict=True)}
    return CrossValidation(names, exclusive, tuple(held), scheme, recording)


def answered_by(
    head: Head, videos: Sequence[LabelledVideo], labels: Sequence[str], *, exclusive: bool
) -> CrossValidation:
    """What a head says of videos none of which it was trained on; only those that a person judged count."""
    names = tuple(labels)
    usable = [v for v in videos if v.labels.known.any() and (v.labels.judged or not v.labels.dense)]
    groups = duplicates([video.features for video in usable]).tolist()
    recording = {video.task: group for video, group in zip(usable, groups, strict=True)}
    held = tuple(_predicted(head, video, names) for video in usable)
    return CrossValidation(names, exclusive, held, EvaluationScheme.TRAINED_ELSEWHERE, recording)


def leaving_out(folds: int, recordings: int) -> EvaluationScheme:
    """Of so many folds, each of whole recordings: whether each has one alone."""
    return EvaluationScheme.LEAVE_SOME_OUT if folds < recordings else EvaluationScheme.LEAVE_ONE_OUT


def summary(
    held: Sequence[Held],
    labels: Sequence[str],
    exclusive: bool,
    scheme: EvaluationScheme,
    recording: Mapping[int, int],
) -> Metrics:
    """All held-out predictions of a model together; `recording` numbers that of each task."""
    names = tuple(labels)
    recordings = len(set(recording.values()))
    if not held:
        return Metrics.nothing(_UNMEASURED, scheme, recordings)
    probabilities = np.concatenate([one.probabilities for one in held])
    values = np.concatenate([one.values for one in held])
    answer = decided(probabilities, exclusive)
    table = per_label(answer, values, names)
    intervals = f1_intervals(_by_recording(held, recording, exclusive))
    if intervals is not None:
        each_interval = zip(names, intervals.labels, strict=True)
        table = {label: table[label].within(interval) for label, interval in each_interval}
    each = [
        score
        for one in held
        if (score := macro_f1(per_label(decided(one.probabilities, exclusive), one.values, names))) is not None
    ]
    pieces = [segment_scores(decided(one.probabilities, exclusive), one.values) for one in held if one.whole]
    segments = SegmentCounts(
        found=sum(piece.found for piece in pieces),
        predicted=sum(piece.predicted for piece in pieces),
        true=sum(piece.true for piece in pieces),
    )
    boundaries = [frames for piece in pieces for frames in piece.boundary_frames]
    return Metrics(
        judgement=scheme.judgement(recordings),
        scheme=scheme,
        videos=recordings,
        frames=int((values != UNKNOWN).any(axis=1).sum()),
        macro_f1=macro_f1(table),
        macro_f1_error=float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None,
        macro_f1_interval=intervals.macro_f1 if intervals else None,
        labels=table,
        confusion=ConfusionTable((*names, NONE), confusion(answer, values)) if exclusive else None,
        segment_f1=segments.f1,
        segments=segments,
        boundary_error_frames=float(np.mean(boundaries)) if boundaries else None,
        calibration_error=calibration_error(probabilities, values, exclusive),
        reliability=reliability(probabilities, values, exclusive),
        temperature=fitting_temperature(held, exclusive),
        stated=MEASURED,
    )


def _by_recording(held: Sequence[Held], recording: Mapping[int, int], exclusive: bool) -> list[tuple[Values, Values]]:
    """Answers and truth of each recording."""
    mine: dict[int, list[Held]] = {}
    for one in held:
        mine.setdefault(recording[one.task], []).append(one)
    return [
        (
            np.concatenate([decided(one.probabilities, exclusive) for one in each]),
            np.concatenate([one.values for one in each]),
        )
        for each in mine.values()
    ]


def _unseen(videos: Sequence[LabelledVideo], trained_on: Collection[int]) -> list[LabelledVideo]:
    """Those that are no recording that the network was trained on."""
    if not trained_on:
        return list(videos)
    groups = duplicates([video.features for video in videos]).tolist()
    seen = {group for video, group in zip(videos, groups, strict=True) if video.task in trained_on}
    return [video for video, group in zip(videos, groups, strict=True) if group not in seen]


def _predicted(head: Head, video: LabelledVideo, labels: tuple[str, ...]) -> Held:
    """Predictions of the frames that are known, as they are shown."""
    known = video.labels.select(labels).resized(len(video.features))
    rows = known.known
    found = head.calibrated(1.0).probabilities(video.features)
    whole = bool((known.values != UNKNOWN).all())
    return Held(video.task, found[rows], known.values[rows], whole, decided(found, head.exclusive))


def _blocks(videos: Sequence[LabelledVideo]) -> list[tuple[list[LabelledVideo], list[LabelledVideo]]]:
    """Train and test copies of one recording whose time is cut into blocks, a quarter of a block left out between them.

    The same block is held out of all of its videos, since a copy of what is asked for would give the answer away.
    """
    longest = max((len(video.labels) for video in videos), default=0)
    places = [np.arange(len(video.labels)) * (longest / max(len(video.labels), 1)) for video in videos]
    of_known = [place[video.labels.known] for video, place in zip(videos, places, strict=True)]
    known = np.unique(np.concatenate(of_known)) if of_known else np.zeros(0)
    pairs = []
    for block in np.array_split(known, min(_BLOCKS, len(known))) if len(known) else []:
        if len(block) == len(known):
            continue
        first, last = float(block[0]), float(block[-1])
        gap = (last - first + 1) // 4
        inside = [_only(v, (at < first - gap) | (at > last + gap)) for v, at in zip(videos, places, strict=True)]
        outside = [_only(v, (at >= first) & (at <= last)) for v, at in zip(videos, places, strict=True)]
        pairs.append((inside, [video for video in outside if video.labels.known.any()]))
    return pairs


def _only(video: LabelledVideo, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> LabelledVideo:
    labels: FrameLabels = video.labels
    values = np.where(kept[:, None], labels.values, UNKNOWN).astype(np.int8)
    weight = np.where(kept, labels.weight, 0).astype(np.float32)
    return replace(video, labels=replace(labels, values=values, weight=weight))

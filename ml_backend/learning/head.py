"""What is trained on embeddings and answers for every frame of a video: the form that Cold and Blitz share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import NotEnoughLabels, NothingLabelled
from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.ensemble import Ensemble, Lesson, Recipe, blend, fit_ensemble, normalised
from ml_backend.learning.examples import (
    Examples,
    LabelledVideo,
    classes_of,
    examples,
    rows_at,
    training_examples,
)
from ml_backend.learning.families import SCENE, Family, Floats, Views
from ml_backend.learning.framelabels import NO, YES, FrameLabels
from ml_backend.learning.prior import Prior
from ml_backend.learning.smoothing import DEFAULT_SWITCH_RATE, smooth, switch_rate
from ml_backend.wording import some

Kind = Literal["cold", "blitz"]
Folds = Callable[[Sequence[LabelledVideo], Sequence[NDArray[np.intp]]], Sequence[NDArray[np.intp]]]

# What the labelled frames of the very video say counts as much as everything learnt from all videos.
LOCAL_WEIGHT = 0.5
_LOCAL = Recipe((SCENE,))


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head.

    `questions`: exclusive: one, whose classes are the labels and then "none of them"; otherwise one per label with the
    classes yes and no, None for a label that lacks examples of either (it is then never predicted).
    `switch`: how often a label changes per frame. `temperature` divides the log-probabilities. `prior`: what the labels'
    names say, while few frames are labelled and where there is a text model.
    """

    kind: Kind
    labels: tuple[str, ...]
    exclusive: bool
    questions: tuple[Ensemble | None, ...]
    switch: float = DEFAULT_SWITCH_RATE
    temperature: float = 1.0
    prior: Prior | None = None

    @property
    def lacking(self) -> tuple[str, ...]:
        """Labels that are never predicted because there were no examples of them, or none without them."""
        if not self.exclusive:
            return tuple(label for label, asked in zip(self.labels, self.questions, strict=True) if asked is None)
        question = self.questions[0]
        if question is None:
            return self.labels
        seen = np.max([member.linear.bias for member in question.members], axis=0) > -49
        return tuple(label for label, is_seen in zip(self.labels, seen[:-1], strict=True) if not is_seen)

    def probabilities(
        self, features: VideoFeatures, known: FrameLabels | None = None, *, smoothed: bool = True
    ) -> Floats:
        """(n, L) float32 in 0..1 for every frame of the video, interpolated between embedded frames.

        `known` are the frame labels of this very video: they sharpen the head for it and are held fixed. With
        `smoothed` a hidden Markov model lets neighbouring frames agree.
        """
        held = None if known is None else known.select(self.labels).resized(len(features.timeline))
        views = Views(features)
        columns: list[Floats] = []
        for position, question in enumerate(self.questions):
            if question is None:
                columns.append(np.zeros((len(features), 1), np.float32))
                continue
            logs = question.log_probabilities(views)
            if self.prior is not None:
                logs = self.prior.added(logs, features, position, self.exclusive)
            if held is not None:
                logs = self._sharpened(logs, features, views, held, position)
            # Between embedded frames it is the log-probabilities that run straight: a change is put where they cross.
            between = normalised(features.interpolate(logs / np.float32(self.temperature)))
            columns.append(np.exp(between[:, :-1]))
        found = np.concatenate(columns, axis=1).clip(0, 1)
        return smooth(found, self.exclusive, held, self.switch) if smoothed else found

    def calibrated(self, temperature: float) -> Head:
        return replace(self, temperature=temperature)

    def _sharpened(
        self, logs: Floats, features: VideoFeatures, views: Views, known: FrameLabels, position: int
    ) -> Floats:
        """Blend with a head fitted on the video's own labelled frames, if those show two classes."""
        own = examples(known, features.frames)
        lesson = lesson_of(own, features, views, (SCENE,), self.exclusive, position)
        seen = np.unique(lesson.classes)
        if len(seen) < 2:
            return logs
        local = fit_ensemble([lesson], logs.shape[1], _LOCAL).log_probabilities(views)
        # A class that this video's labels do not show keeps the probability it has elsewhere.
        unseen = np.setdiff1d(np.arange(logs.shape[1]), seen)
        among = normalised(logs[:, seen])
        mixed = blend([(1 - LOCAL_WEIGHT, among), (LOCAL_WEIGHT, local[:, seen])])
        joined = logs.copy()
        joined[:, seen] = mixed + np.log1p(-np.exp(logs[:, unseen]).sum(axis=1).clip(0, 1 - 1e-6))[:, None]
        return normalised(joined)


def lesson_of(
    chosen: Examples,
    features: VideoFeatures,
    views: Views,
    families: Sequence[Family],
    exclusive: bool,
    position: int,
) -> Lesson:
    """The rows of one video that can answer question `position`."""
    classes = classes_of(chosen.values, exclusive, position)
    asked = classes >= 0
    rows = {f.name: rows_at(views, f, features.frames, chosen.frames[asked]) for f in families}
    return Lesson(rows, classes[asked], chosen.weight[asked])


def fit_head(
    kind: Kind, videos: Sequence[LabelledVideo], labels: Sequence[str], exclusive: bool, recipe: Recipe, folds: Folds
) -> Head:
    """Fit one ensemble for each question; raises NotEnoughLabels when no question has two classes."""
    names = tuple(labels)
    videos = [_aligned(video, names) for video in videos if video.labels.known.any()]
    chosen = training_examples(videos)
    views = [Views(video.features) for video in videos]
    questions: list[Ensemble | None] = []
    for position in range(1 if exclusive else len(names)):
        lessons = [
            lesson_of(own, video.features, seen, recipe.families, exclusive, position)
            for own, video, seen in zip(chosen, videos, views, strict=True)
        ]
        taught = [lesson for lesson in lessons if len(lesson.classes)]
        if not taught or len(np.unique(np.concatenate([lesson.classes for lesson in taught]))) < 2:
            questions.append(None)
            continue
        teaching = [video for video, lesson in zip(videos, lessons, strict=True) if len(lesson.classes)]
        groups = folds(teaching, [lesson.classes for lesson in taught])
        questions.append(fit_ensemble(taught, len(names) + 1 if exclusive else 2, recipe, groups))
    if not any(question is not None for question in questions):
        raise _not_enough(videos, names, exclusive)
    return Head(kind, names, exclusive, tuple(questions), switch_rate([video.labels for video in videos]))


def _aligned(video: LabelledVideo, labels: tuple[str, ...]) -> LabelledVideo:
    """The video with its frame labels in the order of `labels`, one row for each frame that decodes."""
    return replace(video, labels=video.labels.select(labels).resized(len(video.features.timeline)))


def _not_enough(videos: Sequence[LabelledVideo], labels: tuple[str, ...], exclusive: bool) -> NotEnoughLabels:
    values = (
        np.concatenate([video.labels.values for video in videos]) if videos else np.empty((0, len(labels)), np.int8)
    )
    seen = [label for column, label in enumerate(labels) if (values[:, column] == YES).any()]
    lacking = [label for label in labels if label not in seen]
    if not seen:
        empty = int((values == NO).all(axis=1).sum())
        if empty:
            return NotEnoughLabels(
                f"None of the {empty} frames that are known shows any of the labels.", "Label a frame that shows one."
            )
        return NothingLabelled("No frame has been labelled yet.", "Answer some of the suggested frames and submit.")
    if exclusive and len(labels) > 1:
        return NotEnoughLabels(
            f"Every labelled frame so far is “{seen[0]}”.",
            f"Label at least one frame as {some(lacking, 'or')} as well.",
        )
    without = next((label for column, label in enumerate(labels) if not (values[:, column] == NO).any()), seen[0])
    return NotEnoughLabels(
        f"No frame is known to be without “{without}”.",
        "Submit one whole timeline: where it has no region, the label is absent.",
    )

"""A model version, ready to predict tasks: heads on embeddings, one a question, or the researcher's own file on frames; and what it says
of one task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import WholeVideo
from ml_backend.errors import LabelConfigError, VideoError
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.embeddings import backbone_of, task_features, with_frames
from ml_backend.jobs.individuals.cast import cast_of, individuals_of
from ml_backend.jobs.individuals.reel import Reel, reel_features, reel_of, video_timeline
from ml_backend.jobs.predictions.individuals import individuals_prediction, percent_of_each
from ml_backend.jobs.predictions.predict import (
    FrameProbabilities,
    certainty,
    least_sure_embedding,
    timeline_prediction,
    view_of,
)
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.text_hints import tell_of_text, with_text_if_it_can
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video, unpredicted_view
from ml_backend.labelstudio.individuals import Cast
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import Prediction, is_untouched_whole, joined_json
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.custom.model import video_probabilities
from ml_backend.learning.custom.versions import load_custom_version
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import changes, doubt
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.learning.smoothing import smooth
from ml_backend.learning.versions import ModelCard, is_custom, load_card, load_heads
from ml_backend.learning.whole_head import WholeHead
from ml_backend.prediction_item import PredictionItem
from ml_backend.projects.task_view import TaskView, over_time
from ml_backend.provenance import whole_id
from ml_backend.video.timeline import read_timeline
from ml_backend.wording import listed
from sampling.candidates import unit

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class WholeProbabilities:
    """What a model says of a whole video: (L,) in 0..1. `said`: what a person has answered already, which stays."""

    version: str
    head: WholeHead
    values: NDArray[np.float32]
    features: VideoFeatures
    said: tuple[str, ...] = ()

    @property
    def certainty(self) -> float:
        return 1.0 if self.said else self.head.certainty(self.values)

    def prediction(self, task: Task, labels: tuple[str, ...]) -> Prediction:
        """With one of `labels`, or some of them."""
        answer = self.said or self.head.answer(self.values, labels)
        score = 1.0 if self.said else self.certainty
        whole = WholeVideo(whole_id(self.version, answer), answer, "prediction", score)
        return Prediction(task.id, self.version, (), self.certainty, whole)


@dataclass(frozen=True, eq=False)
class Part:
    """The answer to one question, about frames or about the whole video. `is_said`: a person has said all that it asks. `reel`: where each
    individual has a timeline, whose `frames` they are; without `frames` nobody is there."""

    frames: FrameProbabilities | None = None
    whole: WholeProbabilities | None = None
    is_said: bool = False
    reel: Reel | None = None
    cast: Cast | None = None


@dataclass(frozen=True, eq=False)
class Predicted:
    """The answers of a version to all questions that it was taught, each with the work on its question."""

    version: str
    task: Task
    parts: tuple[tuple[ProjectWork, Part], ...]

    def item(self) -> PredictionItem:
        """One prediction for Label Studio, with the regions of all questions."""
        found: list[tuple[Question, Prediction]] = []
        for work, part in self.parts:
            boxes = individuals_of(work)
            if part.cast is not None and part.frames is None:
                found.append((work.question, Prediction(self.task.id, self.version, (), 0.0)))
            elif part.frames is not None and part.reel is not None and boxes is not None:
                about = individuals_prediction(work, self.version, self.task, part.frames, part.reel, boxes)
                found.append((work.question, about))
            elif part.frames is not None:
                found.append((work.question, timeline_prediction(work, self.version, self.task, part.frames)))
            elif part.whole is not None:
                found.append((work.question, part.whole.prediction(self.task, work.question.labels_of(self.task.data))))
        return joined_json(found)

    def view(self) -> TaskView:
        """What a page draws of it: the first timeline, and the answers to the other questions beside it."""
        of_each = next(((work, part) for work, part in self.parts if part.cast is not None), None)
        if of_each is not None:
            return self._view_of_each(*of_each)
        timelines = [(work, part.frames) for work, part in self.parts if part.frames is not None]
        wholes = [(work, part.whole) for work, part in self.parts if part.whole is not None]
        if timelines:
            work, first = timelines[0]
            view = view_of(work, self.version, self.task, first)
        else:
            work, found = wholes[0]
            view = unpredicted_view(work, self.version, self.task, found.features.timeline)
            view = replace(view, certainty=found.certainty)
        return replace(
            view,
            control="" if work.question.alone else work.question.from_name,
            more={
                other.question.from_name: dict(
                    zip(found.labels, over_time(found.timeline, found.values).T.tolist(), strict=True)
                )
                for other, found in timelines[1:]
            },
            whole={
                other.question.from_name: {
                    label: round(100 * float(p)) for label, p in zip(found.head.labels, found.values, strict=True)
                }
                for other, found in wholes
            },
        )

    def _view_of_each(self, work: ProjectWork, part: Part) -> TaskView:
        """The timeline of each individual."""
        mark = part.cast.mark if part.cast is not None else ""
        if part.frames is None or part.reel is None:
            timeline = video_timeline(work, self.task)
            return replace(unpredicted_view(work, self.version, self.task, timeline), certainty=0.0, cast=mark)
        values, exclusive = part.frames.values, part.frames.exclusive
        return replace(
            unpredicted_view(work, self.version, self.task, part.reel.own.timeline),
            certainty=certainty(values, exclusive),
            doubt=doubt(values, exclusive),
            changes=changes(values, exclusive),
            more=percent_of_each(part.frames, part.reel),
            cast=mark,
        )

    def embedding(self) -> NDArray[np.float32] | None:
        """(d,) float32: what the version is least sure of, to be compared with other videos. None where nobody knows."""
        for _, part in self.parts:
            if part.frames is not None:
                return least_sure_embedding(part.frames)
        for _, part in self.parts:
            if part.whole is not None:
                rows = part.whole.features.blocks["appearance"].astype(np.float32)
                return np.asarray(unit(rows).mean(axis=0), np.float32)
        return None


# None for a task of which a person has said all that is asked. Raises VideoError and CustomModelError.
Predictor = Callable[[Task, Annotated | None], Predicted | None]
# The same about one question.
PartPredictor = Callable[[Task, Annotated | None], Part]


def predictor(work: ProjectWork, version: str) -> Predictor:
    """Loads a version once for many tasks. What it was not taught is not predicted.

    Raises StorageError, CustomModelError, and LabelConfigError when it knows none of the label config's controls.
    """
    parts: list[tuple[ProjectWork, PartPredictor]]
    if is_custom(version):
        if not work.config.questions:
            raise LabelConfigError(
                f"{version} labels frames, and the label config only asks for boxes.",
                "Add a <TimelineLabels> with its labels, or do without the model.",
            )
        own = work.on(work.config.main)
        parts = [(own, _custom(own, version))]
    else:
        parts = list(_learnt(work, version))

    def predict(task: Task, annotated: Annotated | None) -> Predicted | None:
        found = []
        for own, part in parts:
            of_question = annotated
            if annotated is not None and own.question != own.config.main:
                of_question = annotated.about(own.question)
            found.append((own, part(task, of_question)))
        if all(part.is_said for _, part in found):
            return None
        return Predicted(version, task, tuple(found))

    return predict


def _learnt(work: ProjectWork, version: str) -> Iterator[tuple[ProjectWork, PartPredictor]]:
    heads = load_heads(work.context.models_dir(work.key), version)
    known = [(own, head, card) for head, card in heads if (own := work.taught(card.question, card.labels)) is not None]
    if not known:
        names = listed(card.question for _, card in heads)
        raise LabelConfigError(
            f"{version} was trained for {names}, which is no longer in the label config.",
            "Rename the control back, or label with the current ones.",
        )
    for own, head, card in known:
        if isinstance(head, WholeHead):
            yield own, _whole(own, head, card)
        else:
            yield own, _timeline(own, head, card)


def _whole(work: ProjectWork, head: WholeHead, card: ModelCard) -> PartPredictor:
    question, backbone = work.question, backbone_of(work, card)

    def predict(task: Task, annotated: Annotated | None) -> Part:
        features = task_features(work.context, question, task, backbone, work.progress)
        found = head.probabilities(features)
        said = person_said(annotated, question)
        return Part(whole=WholeProbabilities(card.name, head, found, features, said), is_said=bool(said))

    return predict


def _timeline(work: ProjectWork, head: Head, card: ModelCard) -> PartPredictor:
    backbone = backbone_of(work, card)
    if head.prior is not None:
        tell_of_text(work.context, work.key, head.prior)

    def of_each(task: Task, annotated: Annotated | None) -> Part:
        cast = (annotated.cast(work.question) if annotated else None) or cast_of(work, task)
        if not cast.individuals:
            return Part(cast=cast)
        reel = reel_of(work, task, cast)
        features = reel_features(work, task, reel, backbone, work.progress)
        known = labels_of(work, annotated, features.timeline, head.exclusive) if annotated else None
        if known is not None and known.dense:
            return Part(is_said=True)
        values = head.probabilities(features, known)
        answered, told = _answered(known), head.told_apart
        found = FrameProbabilities(features.timeline, head.labels, head.exclusive, values, features, answered, told)
        return Part(found, reel=reel, cast=cast)

    def predict(task: Task, annotated: Annotated | None) -> Part:
        if individuals_of(work) is not None:
            return of_each(task, annotated)
        features = task_features(work.context, work.question, task, backbone, work.progress)
        if head.prior is not None:
            features = with_text_if_it_can(work, task, features, head.prior.prompts.model)
        known = labels_of(work, annotated, features.timeline, head.exclusive) if annotated else None
        if known is not None and known.dense:
            return Part(is_said=True)
        # A video somebody works on is looked at more closely where its label changes; the others need no decoding.
        values = (
            head.probabilities(features)
            if known is None
            else refined_probabilities(head, features, known, lambda old, frames: closer(task, old, frames))
        )
        answered = _answered(known)
        told = head.told_apart
        return Part(
            FrameProbabilities(features.timeline, head.labels, head.exclusive, values, features, answered, told)
        )

    def closer(task: Task, features: VideoFeatures, frames: NDArray[np.int64]) -> VideoFeatures:
        try:
            return with_frames(work.context, work.question, task, features, frames.tolist(), backbone)
        except VideoError as error:
            # The embeddings at hand still predict it.
            log.warning("task %d is not looked at more closely: %s", task.id, error)
            return features

    return predict


def _custom(work: ProjectWork, version: str) -> PartPredictor:
    models = work.context.models_dir(work.key)
    exclusive = load_card(models, version).exclusive
    model = load_custom_version(models, version, work.question.predicted_values)

    def predict(task: Task, annotated: Annotated | None) -> Part:
        video = task_video(work.context, work.question, task, work.progress)
        with naming(task, work.question, video):
            timeline = read_timeline(video.path)
            known = labels_of(work, annotated, timeline, exclusive) if annotated else None
            if known is not None and known.dense:
                return Part(is_said=True)
            tell = work.progress.share(f"{version} looks at task {task.id}")
            values = video_probabilities(model, video.path, timeline, exclusive=exclusive, progress=tell)
        # The label config may have changed since the version was made.
        held = None if known is None else known.select(model.project_labels)
        smoothed = smooth(values, exclusive, held)
        return Part(FrameProbabilities(timeline, model.project_labels, exclusive, smoothed, answered=_answered(known)))

    return predict


def _answered(known: FrameLabels | None) -> NDArray[np.int64]:
    return np.zeros(0, np.int64) if known is None else np.flatnonzero(known.known)


def person_said(annotated: Annotated | None, question: Question) -> tuple[str, ...]:
    """What the last person who judged a whole video has answered; empty where nobody has."""
    annotations = annotated.annotations if annotated is not None else ()
    answers = [a for a in annotations if a.whole is not None and not is_untouched_whole(a.whole)]
    if not answers:
        return ()
    last = max(answers, key=lambda a: (a.ground_truth, a.updated_at))
    return tuple(label for label in last.whole.labels if label in question.labels) if last.whole is not None else ()

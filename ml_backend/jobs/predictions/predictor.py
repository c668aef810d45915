"""A model version, ready to predict tasks: heads on embeddings, one a question, or the researcher's own file on frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import LabelConfigError, VideoError
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.embeddings import task_features, with_frames
from ml_backend.jobs.job import report
from ml_backend.jobs.own_network import backbone_of
from ml_backend.jobs.predictions.predict import FrameProbabilities
from ml_backend.jobs.predictions.predicted import Part, Predicted, WholeProbabilities, person_said
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.text_hints import tell_of_text, with_text_if_it_can
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video
from ml_backend.labelstudio.client import Task
from ml_backend.learning.custom.model import video_probabilities
from ml_backend.learning.custom.versions import load_custom_version
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.learning.smoothing import smooth
from ml_backend.learning.versions import ModelCard, is_custom, load_card, load_heads
from ml_backend.learning.whole import WholeHead
from ml_backend.video.timeline import read_timeline

log = logging.getLogger(__name__)

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
        names = ", ".join(card.question for _, card in heads)
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
        features = task_features(work.context, question, task, backbone, report)
        found = head.probabilities(features)
        said = person_said(annotated, question)
        return Part(whole=WholeProbabilities(card.name, head, found, features, said), is_said=bool(said))

    return predict


def _timeline(work: ProjectWork, head: Head, card: ModelCard) -> PartPredictor:
    backbone = backbone_of(work, card)
    if head.prior is not None:
        tell_of_text(work.context, work.key, head.prior)

    def predict(task: Task, annotated: Annotated | None) -> Part:
        features = task_features(work.context, work.question, task, backbone, report)
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
        video = task_video(work.context, work.question, task, report)
        with naming(task, work.question, video):
            timeline = read_timeline(video.path)
            known = labels_of(work, annotated, timeline, exclusive) if annotated else None
            if known is not None and known.dense:
                return Part(is_said=True)
            text = f"{version} looks at task {task.id}"
            values = video_probabilities(
                model, video.path, timeline, exclusive=exclusive, progress=lambda share: report(100 * share, text)
            )
        # The label config may have changed since the version was made.
        held = None if known is None else known.select(model.project_labels)
        smoothed = smooth(values, exclusive, held)
        return Part(FrameProbabilities(timeline, model.project_labels, exclusive, smoothed, answered=_answered(known)))

    return predict


def _answered(known: FrameLabels | None) -> NDArray[np.int64]:
    return np.zeros(0, np.int64) if known is None else np.flatnonzero(known.known)

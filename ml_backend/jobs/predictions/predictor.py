"""A model version, ready to predict tasks: a head on embeddings, or the researcher's own file on frames."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoError
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.embeddings import task_features, with_frames
from ml_backend.jobs.own_network import backbone_of
from ml_backend.jobs.predictions.predict import FrameProbabilities
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.reading import tell_of_text, with_text_if_it_can
from ml_backend.jobs.run import report
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.learning.custom import video_probabilities
from ml_backend.learning.customversions import load_custom_version
from ml_backend.learning.framelabels import FrameLabels
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.learning.smoothing import smooth
from ml_backend.learning.versions import is_custom, load_card, load_version
from ml_backend.video.timeline import read_timeline

log = logging.getLogger(__name__)

# None for a task that a person has reviewed as a whole. Raises VideoError and CustomModelError.
Predictor = Callable[[Task, Annotated | None], FrameProbabilities | None]


def predictor(context: WorkerContext, work: ProjectWork, version: str) -> Predictor:
    """Loads a version once for many tasks. Raises StorageError and CustomModelError."""
    return _custom(context, work, version) if is_custom(version) else _learnt(context, work, version)


def _learnt(context: WorkerContext, work: ProjectWork, version: str) -> Predictor:
    head, card = load_version(context.models_dir(work.key), version)
    backbone = backbone_of(context, work, card)
    if head.prior is not None:
        tell_of_text(context, work.key, head.prior)

    def predict(task: Task, annotated: Annotated | None) -> FrameProbabilities | None:
        features = task_features(context, work.question, task, report, backbone)
        if head.prior is not None:
            features = with_text_if_it_can(context, work, task, features, head.prior.prompts.model)
        known = labels_of(context, work, annotated, features.timeline, head.exclusive) if annotated else None
        if known is not None and known.dense:
            return None
        # A video somebody works on is looked at more closely where its label changes; the others need no decoding.
        values = (
            head.probabilities(features)
            if known is None
            else refined_probabilities(head, features, known, lambda old, frames: closer(task, old, frames))
        )
        return FrameProbabilities(features.timeline, head.labels, head.exclusive, values, features, _answered(known))

    def closer(task: Task, features: VideoFeatures, frames: NDArray[np.int64]) -> VideoFeatures:
        try:
            return with_frames(context, work.question, task, features, frames.tolist(), backbone)
        except VideoError as error:
            # The embeddings at hand still predict it.
            log.warning("task %d is not looked at more closely: %s", task.id, error)
            return features

    return predict


def _custom(context: WorkerContext, work: ProjectWork, version: str) -> Predictor:
    models = context.models_dir(work.key)
    exclusive = load_card(models, version).exclusive
    model = load_custom_version(models, version, work.question.predicted_values)

    def predict(task: Task, annotated: Annotated | None) -> FrameProbabilities | None:
        video = task_video(context, work.question, task, report)
        with naming(task, work.question, video):
            timeline = read_timeline(video.path)
            known = labels_of(context, work, annotated, timeline, exclusive) if annotated else None
            if known is not None and known.dense:
                return None
            text = f"{version} looks at task {task.id}"
            values = video_probabilities(
                model, video.path, timeline, exclusive=exclusive, progress=lambda share: report(100 * share, text)
            )
        # The label config may have changed since the version was made.
        held = None if known is None else known.select(model.project_labels)
        smoothed = smooth(values, exclusive, held)
        return FrameProbabilities(timeline, model.project_labels, exclusive, smoothed, answered=_answered(known))

    return predict


def _answered(known: FrameLabels | None) -> NDArray[np.int64]:
    return np.zeros(0, np.int64) if known is None else np.flatnonzero(known.known)

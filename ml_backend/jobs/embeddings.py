"""The embeddings of a task's video: made once, found again by the video's content."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ml_backend.features.backbones import Backbone
from ml_backend.features.embedding import VideoFeatures, video_features
from ml_backend.features.refining import refine
from ml_backend.jobs.job import part
from ml_backend.jobs.project import ProjectWork, task_roi
from ml_backend.jobs.videos import Progress, naming, silent, task_video, video_address
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.label_config import Question
from ml_backend.projects import registry
from ml_backend.queueing import counters


def task_features(
    context: WorkerContext,
    question: Question,
    task: Task,
    backbone: Backbone,
    progress: Progress = silent,
) -> VideoFeatures:
    """The embeddings of a task's video, from the store when it has them; of the part that its data name, else of the one that
    the backbone is shown.

    Raises VideoError, WeightsError, LabelStudioError."""
    used = _looking_at(backbone, task)
    content = context.videos.content_of(video_address(context, question, task).url)
    if content is not None and (features := _stored(context, content, used)) is not None:
        return features
    with part(0, 10):
        video = task_video(context, question, task, progress)
    if (features := _stored(context, video.content, used)) is not None:
        return features
    started = time.monotonic()
    with naming(task, question, video), part(10, 100):
        features = video_features(
            video.path,
            used,
            context.store,
            video.content,
            lambda share: progress(100 * share, f"embedding the frames of task {task.id}"),
        )
    counters.count_frames(context.redis, len(features.timeline), len(features.frames), time.monotonic() - started)
    return features


def _stored(context: WorkerContext, content: str, backbone: Backbone) -> VideoFeatures | None:
    """What the backbone sees of a video, as a worker on whatever processor has kept it."""
    found = (context.store.load(content, key) for key in backbone.keys if context.store.has(content, key))
    return next((features for features in found if features is not None), None)


def _looking_at(backbone: Backbone, task: Task) -> Backbone:
    own = task_roi(task)
    return backbone if own is None else backbone.at(own)


def tell_of_weights(work: ProjectWork) -> None:
    """Tells the admin when the backbone is untrained, since everything works then and nothing is worth much."""
    warning = work.context.backbone_for(work.settings).warning
    registry.set_problems(work.context.redis, work.key, "weights", [warning] if warning else [])


def with_frames(
    context: WorkerContext,
    question: Question,
    task: Task,
    features: VideoFeatures,
    frames: Iterable[int],
    backbone: Backbone,
) -> VideoFeatures:
    """`features` with these frames embedded as well: what a person labelled is then learnt from as it is, not from what
    its neighbours suggest. Raises VideoError, LabelStudioError."""
    missing = set(frames) - set(features.frames.tolist())
    if not missing:
        return features
    video = task_video(context, question, task)
    with naming(task, question, video):
        return refine(video.path, features, missing, _looking_at(backbone, task), context.store, video.content)


def has_features(context: WorkerContext, question: Question, task: Task, backbone: Backbone) -> bool:
    """Whether the embeddings of a task's video are in the store, so that predicting it takes no time."""
    address = context.client.video_address(question.video_of(task.data))
    content = context.videos.content_of(address.url) if address else None
    return content is not None and any(context.store.has(content, key) for key in _looking_at(backbone, task).keys)

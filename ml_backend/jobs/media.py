"""A task's video: fetched once, embedded once, found again by its content."""

from __future__ import annotations

from collections.abc import Callable

from ml_backend.errors import VideoRefused
from ml_backend.features.embedding import VideoFeatures, video_features
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task, VideoAddress
from ml_backend.labelstudio.config import LabelConfig
from ml_backend.video.source import VideoFile

Progress = Callable[[float, str], None]


def _silent(percent: float, text: str) -> None:
    pass


def task_video(context: WorkerContext, config: LabelConfig, task: Task, progress: Progress = _silent) -> VideoFile:
    """Raises VideoError and LabelStudioError."""
    address = _address(context, config, task)
    return context.videos.fetch(
        address.url, address.headers, lambda share: progress(100 * share, f"fetching the video of task {task.id}")
    )


def task_features(
    context: WorkerContext, config: LabelConfig, task: Task, progress: Progress = _silent
) -> VideoFeatures:
    """The embeddings of a task's video, from the store when it has them. Raises VideoError, WeightsError, LabelStudioError."""
    content = context.videos.content_of(_address(context, config, task).url)
    if content is not None and (features := context.store.load(content, context.backbone.key)) is not None:
        return features
    video = task_video(context, config, task, progress)
    return video_features(
        video.path,
        context.backbone,
        context.store,
        video.content,
        lambda share: progress(100 * share, f"embedding the frames of task {task.id}"),
    )


def has_features(context: WorkerContext, config: LabelConfig, task: Task) -> bool:
    """Whether the embeddings of a task's video are in the store, so that predicting it takes no time."""
    address = context.client.video_address(task.data.get(config.video_key))
    content = context.videos.content_of(address.url) if address else None
    return content is not None and context.store.has(content, context.backbone.key)


def _address(context: WorkerContext, config: LabelConfig, task: Task) -> VideoAddress:
    address = context.client.video_address(task.data.get(config.video_key))
    if address is None:
        raise VideoRefused(
            f"Task {task.id} has no video: its data has no address under {config.video_key!r}.",
            f'The label config says value="${config.video_key}"; import the task with that key.',
        )
    return address

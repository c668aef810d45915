"""A task's video: where it is, and its file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ml_backend.errors import VideoError, VideoRefused, VideoUnreachable, VideoUnreadable
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task, VideoAddress
from ml_backend.labelstudio.file_names import file_name
from ml_backend.labelstudio.label_config import Question
from ml_backend.queueing.limits import allow, allow_for_video
from ml_backend.queueing.poison import in_hand
from ml_backend.roi import ROI, roi_of
from ml_backend.video.cache import VideoFile
from ml_backend.video.inspection import Finding, inspect

Progress = Callable[[float, str], None]


def silent(percent: float, text: str) -> None:
    """Progress that nobody follows."""


def task_video(context: WorkerContext, question: Question, task: Task, progress: Progress = silent) -> VideoFile:
    """Raises VideoError and LabelStudioError."""
    address, started = video_address(context, question, task), time.monotonic()
    video = context.videos.fetch(
        address.url,
        address.headers,
        lambda share: progress(100 * share, f"fetching the video of task {task.id}"),
        address.renew,
    )
    # How long that takes is the network's affair.
    allow(time.monotonic() - started)
    return video


def known_content(context: WorkerContext, question: Question, task: Task) -> str | None:
    """The content hash of a task's video; None when it was never fetched from where it is now, or is nowhere."""
    address = context.client.video_address(question.video_of(task.data))
    return context.videos.content_of(address.url) if address else None


@contextmanager
def naming(task: Task, question: Question, video: VideoFile) -> Iterator[None]:
    """To be put around all that opens the file: gives the job time for it, counts the workers that it ends, and lets
    errors about it speak of the task's video, which the admin knows, not of its name in the cache."""
    try:
        with in_hand(video.content):
            allow_for_video(video.path)
            yield
    except FileNotFoundError as error:
        if video.path.exists():
            raise
        raise VideoUnreachable(
            f"The cached copy of {video_name(task, question)} (task {task.id}) was removed while in use, to make room for other videos.",
            "It is fetched again automatically. If this happens often, set CACHE_MAX_BYTES higher.",
        ) from error
    except VideoError as error:
        if isinstance(error, VideoUnreadable) and not _is_whole(video):
            video.path.unlink(missing_ok=True)
            raise VideoUnreachable(
                f"The cached copy of {video_name(task, question)} (task {task.id}) in DATA_DIR was damaged.",
                "It is fetched again automatically. If this happens often, check the disk.",
            ) from error
        name = f"{video_name(task, question)} (task {task.id})"
        raise type(error)(
            error.message.replace(video.path.name, name).replace("The video ended", f"{name} ended"), error.remedy
        ) from error


def _is_whole(video: VideoFile) -> bool:
    """Whether the file still is what was fetched."""
    try:
        with video.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == video.content
    except OSError:
        return False


def inspect_video(task: Task, question: Question, video: VideoFile, thorough: bool = False) -> tuple[Finding, ...]:
    """What is unusual about a task's video, told in its own name."""
    found = inspect(video.path, question.framerate_of(task.data), thorough=thorough)
    cached, name = video.path.name, video_name(task, question)
    told = (
        replace(each, message=each.message.replace(cached, name), remedy=each.remedy.replace(cached, name))
        for each in found
    )
    return *_wrong_roi(task), *told


def _wrong_roi(task: Task) -> Iterator[Finding]:
    try:
        roi_of(task.data)
    except ValueError as error:
        what, _, remedy = str(error).partition(": ")
        message = f"The {ROI} of task {task.id} is not used, since {what}."
        yield Finding("roi", message, f"In the task's data, {remedy}.", "warning")


def video_name(task: Task, question: Question) -> str:
    """As people know the file, see `labelstudio.file_names`."""
    return file_name(task.data, question.video_of(task.data))


def video_address(context: WorkerContext, question: Question, task: Task) -> VideoAddress:
    """Raises VideoRefused when the task's data names no video."""
    address = context.client.video_address(question.video_of(task.data))
    if address is None:
        raise VideoRefused(
            f"Task {task.id} has no video: its data has no address under {question.video_key!r}.",
            f'The label config says value="{question.video}"; import the task with that key.',
        )
    return address

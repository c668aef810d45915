"""A project as an export sees it: each task's video, and what is known of its frames."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from ml_backend.errors import VideoError
from ml_backend.export.runs import Run, runs_of
from ml_backend.jobs.companion.answers import answered_frames
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.task_labels import with_task_labels
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video, video_address, video_name
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.config import parse_label_config
from ml_backend.labelstudio.regions import parse_annotations, parse_regions
from ml_backend.learning.framelabels import is_exclusive
from ml_backend.records import projects
from ml_backend.settings import ProjectSettings
from ml_backend.video.source import VideoFile
from ml_backend.video.timeline import Timeline, read_timeline, studio_grid

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Video:
    """One task's video. `name`: of its file, as people know it. `group`: the same for tasks with the same video. `version`:
    the model version whose prediction is in `runs`."""

    task: Task
    name: str
    group: str
    timeline: Timeline
    runs: tuple[Run, ...]
    version: str | None
    annotators: tuple[int, ...]


def open_work(context: WorkerContext, number: int) -> ProjectWork:
    """A project by its number, with its settings when the backend's Redis can be asked for them.

    Raises LabelStudioError, LabelConfigError when it has nothing to export.
    """
    project = context.client.project(number)
    known = None
    with suppress(RedisError):
        known = projects.recall(context.redis, str(project.key))
    settings = known.settings if known else ProjectSettings()
    config = with_task_labels(context, project, parse_label_config(project.label_config))
    return ProjectWork(str(project.key), project, config, settings)


def videos(context: WorkerContext, work: ProjectWork, skipped: list[str]) -> Iterator[Video]:
    """Each task of which something is known, by its number.

    Predictions are those of the pinned version. A task whose video cannot be used is left out, and a sentence about it
    appended to `skipped`. Raises LabelStudioError.
    """
    version = work.project.model_version or None
    # What was said of single frames in the companion project is said of the video.
    answers = {task.id: said for task, said in answered_frames(context, work, {}, None)}
    in_project = (parse_annotations(task.id, items, work.question) for task, items in context.client.annotated(work.id))
    exclusive = is_exclusive(
        annotation for said in itertools.chain(answers.values(), in_project) for annotation in said
    )
    for task, items, results in context.client.worked_on(work.id, version):
        annotations = (*parse_annotations(task.id, items, work.question), *answers.get(task.id, ()))
        regions = parse_regions(results, work.question)
        try:
            timeline = _timeline(context, work, task)
        except VideoError as error:
            log.warning("task %d is not exported: %s", task.id, error)
            skipped.append(f"Task {task.id} is left out: {error}")
            continue
        grid = studio_grid(timeline, work.question.framerate_of(task.data))
        human = labels_of(context, work, Annotated(task, annotations), timeline, exclusive) if annotations else None
        runs = runs_of(human, regions, grid, work.question.labels)
        authors = tuple(sorted({a.author for a in annotations if a.author is not None}))
        if runs:
            name, group = video_name(task, work.question), _group(context, work, task)
            yield Video(task, name, group, timeline, runs, version if results else None, authors)


def fetch(context: WorkerContext, work: ProjectWork, video: Video) -> VideoFile:
    """The file of a video. Raises VideoError."""
    return task_video(context, work.question, video.task)


def _group(context: WorkerContext, work: ProjectWork, task: Task) -> str:
    url = video_address(context, work.question, task).url
    return context.videos.content_of(url) or url


def _timeline(context: WorkerContext, work: ProjectWork, task: Task) -> Timeline:
    """From the cache when the video was embedded before: labels alone are exported without fetching it."""
    content = context.videos.content_of(video_address(context, work.question, task).url)
    if content is not None and (features := context.store.any_of(content)) is not None:
        return features.timeline
    file = task_video(context, work.question, task)
    with naming(task, work.question, file):
        return read_timeline(file.path)

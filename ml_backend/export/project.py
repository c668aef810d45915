"""A project as an export sees it: each task's video, and what is known of its frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError

from ml_backend.annotation import Annotation
from ml_backend.errors import SettingsError, VideoError
from ml_backend.export.runs import Run, runs_of, whole_runs
from ml_backend.jobs.companion.answers import answered_frames
from ml_backend.jobs.project import ProjectWork, roi_for
from ml_backend.jobs.task_labels import with_task_labels
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video, video_address, video_name
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import is_untouched_whole, parse_annotations, parse_regions, parse_whole
from ml_backend.learning.frame_labels import is_exclusive
from ml_backend.learning.whole import whole_labels
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects import registry
from ml_backend.video.cache import VideoFile
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


def open_work(context: WorkerContext, number: int, control: str | None = None) -> ProjectWork:
    """A project by its number, with its settings when the backend's Redis can be asked for them; about `control` if given.

    Raises LabelStudioError, LabelConfigError when it has nothing to export, and SettingsError when it has no such control.
    """
    project = context.client.project(number)
    known = None
    with suppress(RedisError):
        known = registry.recall(context.redis, str(project.key))
    settings = known.settings if known else ProjectSettings()
    config = with_task_labels(context, project, parse_label_config(project.label_config))
    work = ProjectWork(context, str(project.key), project, config, settings)
    if control is None:
        return work
    names = [question.from_name for question in config.questions]
    if control not in names:
        raise SettingsError(f"The label config has no control “{control}”.", f"Name one of these: {', '.join(names)}.")
    return work.on(config.questions[names.index(control)])


def videos(work: ProjectWork, skipped: list[str], *, every_question: bool = False) -> Iterator[Video]:
    """Each task of which something is known, by its number.

    About the question of `work`, or about `every_question` of the label config: runs name their controls then. Predictions
    are those of the pinned version. A task whose video cannot be used is left out, and a sentence about it appended to
    `skipped`. Raises LabelStudioError.
    """
    version = work.project.model_version or None
    several = every_question and len(work.config.questions) > 1
    asked = list(work.each()) if several else [work]
    # What was said of single frames in the companion project is said of the video, to the main question.
    answers = {task.id: said for task, said in answered_frames(work, {}, None)}
    exclusive = _exclusive(work, asked, answers)
    for task, items, results in work.context.client.worked_on(work.id, version):
        try:
            timeline = _timeline(work, task)
        except VideoError as error:
            log.warning("task %d is not exported: %s", task.id, error)
            skipped.append(f"Task {task.id} is left out: {error}")
            continue
        runs: list[Run] = []
        authors: set[int] = set()
        for own in asked:
            annotations = parse_annotations(task.id, items, own.question)
            if own.question == own.config.main:
                annotations = (*annotations, *answers.get(task.id, ()))
            one_label = exclusive[own.question.from_name]
            found = _runs(own, Annotated(task, annotations), results, timeline, one_label)
            runs += [replace(run, control=own.question.from_name) if several else run for run in found]
            authors |= {a.author for a in annotations if a.author is not None}
        if runs:
            name, group = video_name(task, work.question), _group(work, task)
            shown = version if results else None
            yield Video(task, name, group, timeline, tuple(runs), shown, tuple(sorted(authors)))


def _runs(
    work: ProjectWork,
    annotated: Annotated,
    results: Sequence[Mapping[str, Any]],
    timeline: Timeline,
    exclusive: bool,
) -> tuple[Run, ...]:
    """What is known of one video about the question of `work`."""
    question, annotations = work.question, annotated.annotations
    if question.kind == "choices":
        values, trust, _ = whole_labels(annotations, question.labels, exclusive, is_untouched_whole)
        return whole_runs(values, trust, parse_whole(results, question), len(timeline), question.labels)
    grid = studio_grid(timeline, question.framerate_of(annotated.task.data))
    human = labels_of(work, annotated, timeline, exclusive) if annotations else None
    return runs_of(human, parse_regions(results, question), grid, question.labels)


def _exclusive(
    work: ProjectWork,
    asked: Sequence[ProjectWork],
    answers: Mapping[int, tuple[Annotation, ...]],
) -> dict[str, bool]:
    """Whether a frame, or a video, has at most one label of each control."""
    found = {own.question.from_name: not own.question.multiple for own in asked}
    if work.config.main.from_name in found:
        found[work.config.main.from_name] &= all(is_exclusive(said) for said in answers.values())
    for task, items in work.context.client.annotated(work.id):
        for own in asked:
            if own.question.kind == "timeline" and found[own.question.from_name]:
                said = parse_annotations(task.id, items, own.question)
                found[own.question.from_name] = is_exclusive(said, own.question.framerate_of(task.data))
    return found


def fetch(work: ProjectWork, video: Video) -> VideoFile:
    """The file of a video. Raises VideoError."""
    return task_video(work.context, work.question, video.task)


def _group(work: ProjectWork, task: Task) -> str:
    url = video_address(work.context, work.question, task).url
    return work.context.videos.content_of(url) or url


def _timeline(work: ProjectWork, task: Task) -> Timeline:
    """From the cache when the video was embedded before: labels alone are exported without fetching it."""
    content, roi = (
        work.context.videos.content_of(video_address(work.context, work.question, task).url),
        roi_for(work, task),
    )
    if content is not None and (features := work.context.store.any_of(content, roi)) is not None:
        return features.timeline
    file = task_video(work.context, work.question, task)
    with naming(task, work.question, file):
        return read_timeline(file.path)

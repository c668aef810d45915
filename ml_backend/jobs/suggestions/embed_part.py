"""A long video is shared out: each part is embedded by a job of its own, on whatever worker."""

from __future__ import annotations

import time
from datetime import timedelta

from rq.job import Job

from ml_backend import errors
from ml_backend.errors import ColdblitzError, VideoUnreadable
from ml_backend.features.backbones import Backbone
from ml_backend.features.parts import embed_part as make_part
from ml_backend.features.parts import keep_table, part_key, read_table
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of_version, has_features, looking_at
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.videos import naming, task_video, video_name
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import registry
from ml_backend.queueing import counters
from ml_backend.queueing.parts import Subject, has_waited_for, queue_parts
from ml_backend.queueing.queue import last_failure
from ml_backend.video.parts import Part, parts_of
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.wording import counted

PART = "embed_part"


def share_out(work: ProjectWork, task: Task, question: Question, backbone: Backbone) -> str | None:
    """Queues a job for each part of a task's video that is still to be embedded, and the job at hand once more for when they have
    ended; returns one sentence on that. None where there is nothing to share out: the video is short, it is embedded, or all that its
    parts' jobs could make is there.

    Raises what a part has failed of for good, VideoError, and LabelStudioError."""
    context, used = work.context, looking_at(backbone, task)
    seconds = 60 * context.settings.video_part_minutes
    current = context.progress.job
    if current is None or not seconds or has_features(context, question, task, backbone):
        return None
    video = task_video(context, question, task, context.progress.part(0, 10))
    with naming(task, question, video):
        table = read_table(video.path, context.part_store, video.content)
    cut = parts_of(table, seconds)
    if len(cut) == 1:
        return None
    keep_table(table, context.part_store, video.content)
    position = [each.video for each in work.config.videos].index(question.video)
    missing = {
        (task.id, position, video.content, used.network, part.first, part.stop): part
        for part in cut
        if not any(context.part_store.has(video.content, part_key(key, part)) for key in used.keys)
    }
    # A part that was made is told by what is stored of it.
    ended = {part for subject, part in missing.items() if has_waited_for(current, PART, work.key, subject)}
    failed = {
        part: failure
        for subject, part in missing.items()
        if part in ended and (failure := last_failure(context.redis, PART, work.key, *subject)) is not None
    }
    if failed:
        raise _failure(failed, len(cut), table.timeline, f"{video_name(task, question)} (task {task.id})")
    # What was made and lost, or made in other numbers by a processor of another kind, the job at hand makes itself.
    subjects: list[Subject] = [subject for subject, part in missing.items() if part not in ended]
    if not subjects:
        return None
    queue_parts(context.redis, PART, work.key, subjects, ("embed", (task.id,)), len(cut))
    return f"shared the video of task {task.id} out into {counted(len(cut), 'part')}"


def _failure(failed: dict[Part, Job], parts: int, timeline: Timeline, name: str) -> ColdblitzError:
    first = min(failed, key=lambda part: part.first)
    begin, end = (str(timedelta(seconds=round(each))) for each in first.seconds_in(timeline))
    meta = failed[first].meta
    kind = getattr(errors, str(meta.get("error")), VideoUnreadable)
    known = isinstance(kind, type) and issubclass(kind, ColdblitzError)
    return (kind if known else VideoUnreadable)(
        f"{len(failed)} of {parts} parts of {name} could not be embedded, the first of them from {begin} to {end}.",
        str(meta.get("reason") or "Check the workers' logs."),
    )


@job
def embed_part(
    context: JobContext,
    project_key: str,
    task_number: int,
    position: int,
    content: str,
    network: str,
    first: int,
    stop: int,
) -> str:
    """Embeds the frames `first` to `stop` - 1 of one of a task's videos, the one at this `position` of the label config, as this
    `network` sees it; not if the task has another video now, or it is not to be seen by that network any more."""
    work = open_project(context, project_key)
    task = context.studio.tasks.get(work.id, task_number)
    name = f"frames {first} to {stop - 1} of task {task.id}"
    shown = (looking_at(each, task) for each in _backbones(work))
    used = next((each for each in shown if each.network == network), None)
    if used is None or position >= len(work.config.videos):
        return f"{name} need not be embedded any more"
    part, question = Part(FrameIndex(first), stop), work.config.videos[position]
    if _is_made(context, content, used, part):
        return f"{name} are embedded already"
    video = task_video(context, question, task, context.progress.part(0, 10))
    if video.content != content:
        return f"{name} need not be embedded any more, since it has another video"
    started = time.monotonic()
    with naming(task, question, video, seconds=0):
        table = read_table(video.path, context.part_store, content)
    # Where workers share no disk, each reads it once.
    keep_table(table, context.part_store, content)
    timeline = table.timeline
    begin, end = part.seconds_in(timeline)
    with naming(task, question, video, seconds=end - begin):
        told = context.progress.part(10, 100).share(f"embedding {name}")
        made = make_part(video.path, timeline, part, used, context.part_store, content, told)
    counters.count_frames(context.redis, len(part), len(made.frames), time.monotonic() - started)
    return f"embedded {name}"


def _backbones(work: ProjectWork) -> list[Backbone]:
    own = backbone_of_version(work, registry.wanted_version(work.context.redis, work.key))
    return [work.context.backbone_for(work.settings), *([own] if own is not None else [])]


def _is_made(context: JobContext, content: str, backbone: Backbone, part: Part) -> bool:
    # The whole is there when another job has joined the parts.
    return any(
        context.store.has(content, key) or context.part_store.has(content, part_key(key, part)) for key in backbone.keys
    )

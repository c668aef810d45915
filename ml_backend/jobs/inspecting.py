"""What is unusual about a task's video, and how long it is: noted for the admin's pages when it is first seen."""

from __future__ import annotations

from dataclasses import asdict, replace

from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.job import report
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import inspect_video, naming, task_video, video_name
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import registry, task_view
from ml_backend.projects.task_view import TaskView
from ml_backend.video.cache import VideoFile
from ml_backend.video.inspection import Finding, damaged
from ml_backend.video.rates import natural_framerate
from ml_backend.video.timeline import FrameIndex, Timeline, read_timeline, studio_length


def inspect_once(work: ProjectWork, task: Task) -> None:
    """Notes what is unusual about the videos of a task that was never inspected: it came when a model predicted already, and
    got no suggestions. Raises VideoError."""
    data_dir = work.context.settings.data_dir
    view = task_view.load(data_dir, work.key, task.id)
    if view is not None and (view.natural is not None or view.version == KEYFRAMES_VERSION):
        return
    for own in map(work.on, work.config.videos):
        video = task_video(work.context, own.question, task, report)
        with naming(task, own.question, video):
            note_findings(own, task, video)
            timeline = read_timeline(video.path)
        if own.question.video == work.config.main.video:
            known = view or unpredicted_view(own, KEYFRAMES_VERSION, task, timeline)
            task_view.save(data_dir, work.key, replace(known, natural=natural_framerate(timeline)))


def note_findings(work: ProjectWork, task: Task, video: VideoFile) -> None:
    findings = [asdict(found) for found in inspect_video(task, work.question, video)]
    if work.question.video != work.config.main.video:
        findings = [*registry.findings_of(work.context.redis, work.key).get(task.id, []), *findings]
    registry.note_findings(work.context.redis, work.key, task.id, findings)


def tell_of_damage(work: ProjectWork, task: Task, features: VideoFeatures) -> None:
    """Adds to the findings about a task's video that its end does not decode, which nothing but decoding can find."""
    missing = features.promised - len(features)
    if not missing:
        return
    last = features.timeline.seconds(FrameIndex(len(features) - 1))
    found = damaged(video_name(task, work.question), missing, features.promised, last)
    tell(work, task, found.kind, found)


def tell(work: ProjectWork, task: Task, kind: str, found: Finding | None) -> None:
    """Puts `found`, or nothing, in place of the finding of this kind about a task's video."""
    before = registry.findings_of(work.context.redis, work.key).get(task.id, [])
    others = [finding for finding in before if finding["kind"] != kind]
    # Damage and the like come first; a note is good to know.
    own = [asdict(found)] if found else []
    told = [*others, *own] if found and found.severity == "note" else [*own, *others]
    if told != before:
        registry.note_findings(work.context.redis, work.key, task.id, told)


def unpredicted_view(work: ProjectWork, version: str, task: Task, timeline: Timeline) -> TaskView:
    """What a page draws of a task of which no model says anything."""
    framerate, seconds = work.question.framerate_of(task.data), float(timeline.duration)
    return TaskView(
        task.id,
        video_name(task, work.question),
        framerate,
        studio_length(seconds, framerate),
        round(seconds, 3),
        version,
        {},
    )

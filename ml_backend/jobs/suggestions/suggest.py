"""Picks the frames of one video that are worth labelling and shows them as pre-annotations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.hashing import stored_samples, video_samples
from ml_backend.jobs.companion.image_sync import want_images
from ml_backend.jobs.identity import begin
from ml_backend.jobs.inspecting import note_findings, tell, tell_of_damage, unpredicted_view
from ml_backend.jobs.job import job, report
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.predictions.pushing import push_one, pushing, renew
from ml_backend.jobs.project import ProjectWork, open_project, roi_for
from ml_backend.jobs.suggestions.choosing import NOT_SUGGESTED, first_frames, judged, left_out
from ml_backend.jobs.suggestions.deduplication import Asked, frames_nearest, once_of_a_copy
from ml_backend.jobs.videos import naming, task_video, video_name
from ml_backend.jobs.worker_context import worker_context
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, joined_json, suggestion
from ml_backend.projects import registry, task_view
from ml_backend.queueing.queue import enqueue
from ml_backend.roi import RegionOfInterest
from ml_backend.video.cache import VideoFile
from ml_backend.video.rates import natural_framerate
from ml_backend.video.timeline import StudioFrame, StudioGrid, Timeline, studio_grid
from ml_backend.wording import counted


@job
def suggest(project_key: str, task_number: int) -> str:
    """Pushes the keyframe suggestions of one task, once for each video that it shows."""
    context = worker_context()
    work = open_project(context, project_key)
    task = context.client.task(work.id, task_number)
    done = f"task {task.id} has its suggestions already"
    another = task.id in begin(work, [task])
    if another or not any(p.get("model_version") == KEYFRAMES_VERSION for p in context.client.predictions(task.id)):
        shown = [work.on(question) for question in work.config.videos]
        parts = [(own.question, suggestion(task.id, suggested_frames(own, task))) for own in shown]
        item = joined_json(parts)
        with pushing(work):
            if renew(work, task, item) if another else push_one(work, item):
                done = _done(len(item["result"]), task)
    # Also when they were there: whoever pushed them may have been killed before it could pin them.
    if registry.active_version(context.redis, project_key) is None:
        pin(work, KEYFRAMES_VERSION)
    want_images(work, task.id)
    # The first predictions need not wait for what can be done while people label.
    enqueue(context.redis, "embed", project_key, task.id)
    return done


def _done(frames: int, task: Task) -> str:
    return (
        f"suggested {counted(frames, 'frame')} of task {task.id}" if frames else f"task {task.id} asks about no frame"
    )


def suggested_frames(work: ProjectWork, task: Task) -> list[StudioFrame]:
    """At least one Label Studio frame, at most the project's `frames_per_video`; none for a question about whole videos, to
    which no frame is an answer. Raises VideoError."""
    video = task_video(work.context, work.question, task, report)
    report(0, f"choosing frames of task {task.id}")
    # What is kept of a task is about one video; of the others of a synchronised set only the findings are.
    is_main = work.question.video == work.config.main.video
    framerate = work.question.framerate_of(task.data)
    # A video that was embedded already, for another project, say, is not decoded again.
    roi = roi_for(work, task)
    known = work.context.store.any_of(video.content, roi)
    with naming(task, work.question, video):
        note_findings(work, task, video)
        if known is not None:
            tell_of_damage(work, task, known)
        timeline, samples = _looked_at(work, video, known, roi)
    if is_main:
        view = unpredicted_view(work, KEYFRAMES_VERSION, task, timeline)
        task_view.save(work.context.settings.data_dir, work.key, replace(view, natural=natural_framerate(timeline)))
    if work.question.kind != "timeline":
        return []
    quality = judged(samples)
    tell(work, task, NOT_SUGGESTED, left_out(video_name(task, work.question), quality))
    chosen = first_frames(work.settings, len(timeline), samples, quality, video.content)
    grid = studio_grid(timeline, framerate)
    if is_main and work.settings.sampling in ("auto", "unique"):
        chosen = once_of_a_copy(Asked(work.context.settings.data_dir, work.key), task.id, samples, grid, chosen)
    return studio_frames(grid, chosen)


def _looked_at(
    work: ProjectWork, video: VideoFile, known: VideoFeatures | None, roi: RegionOfInterest | None
) -> tuple[Timeline, Samples]:
    samples = stored_samples(known, work.settings.sample_fps) if known else None
    if known is not None and samples is not None:
        return known.timeline, samples
    timeline, samples = video_samples(video.path, work.settings.sample_fps, roi)
    return (known.timeline if known else timeline), samples


def studio_frames(grid: StudioGrid, indices: NDArray[np.int64]) -> list[StudioFrame]:
    """The Label Studio frames that show the pictures `indices`, or the nearest pictures that it can show, without repeats."""
    return [StudioFrame(frame) for frame in np.unique(frames_nearest(grid, indices)).tolist()]

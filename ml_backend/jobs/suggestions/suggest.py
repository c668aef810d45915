"""Picks the frames of one video that are worth labeling, without bad pictures, and shows them as pre-annotations."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ml_backend.checks import Finding
from ml_backend.features.blocks import Samples, VideoFeatures
from ml_backend.features.hashing import stored_samples, video_samples
from ml_backend.jobs.box_tracks import queue_track, with_tracks
from ml_backend.jobs.companion.images import want_images
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.predictions.pushing import push_one, pushing, renew
from ml_backend.jobs.project import ProjectWork, open_project, roi_for
from ml_backend.jobs.replaced_videos import fetch_replaced, tell_of_replaced
from ml_backend.jobs.suggestions.deduplication import Asked, frames_nearest, once_of_a_copy
from ml_backend.jobs.videos import (
    begin,
    naming,
    note,
    note_findings,
    task_video,
    tell,
    tell_of_damage,
    unpredicted_view,
    video_name,
)
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, joined_json, suggestion
from ml_backend.labelstudio.tasks import Task
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects import registry, task_view
from ml_backend.queueing.queue import enqueue
from ml_backend.roi import RegionOfInterest
from ml_backend.video.cache import VideoFile
from ml_backend.video.timeline import StudioFrame, StudioGrid, Timeline, natural_framerate, studio_grid
from ml_backend.wording import counted
from sampling.auto import auto
from sampling.candidates import Candidates, nearest
from sampling.quality import Quality, quality
from sampling.shots import hash_differences, shots
from sampling.uniform import at_random, thin, uniform
from sampling.unique import unique

Frames = NDArray[np.int64]
NOT_SUGGESTED = "not-suggested"


def judged(samples: Samples) -> Quality:
    """How good the sampled pictures are, compared with each other."""
    figures = Candidates(
        samples.frames,
        hashes=samples.hashes,
        sharpness=samples.sharpness,
        brightness=samples.brightness,
        entropy=samples.entropy,
    )
    return quality(figures)


def first_frames(settings: ProjectSettings, length: int, samples: Samples, found: Quality, content: str) -> Frames:
    """At most `frames_per_video` of a video's `length` frames by the project's strategy; of samples judged as `found`.

    `content`: the video's, which decides what chance draws of it.
    """
    count = settings.frames_per_video
    if settings.sampling == "uniform":
        return _moved(uniform(length, count), samples, found)
    if settings.sampling == "random":
        gap = length // (4 * count)
        drawn = at_random(np.arange(length), count, gap=gap, seed=zlib.crc32(content.encode()))
        return _moved(drawn, samples, found)
    kept = samples.at(np.flatnonzero(found.kept))
    if settings.sampling == "shots":
        return shots(hash_differences(kept.hashes), count, frames=kept.frames)
    if settings.sampling == "unique":
        return thin(unique(kept.frames, kept.hashes, settings.hash_threshold), count)
    if settings.sampling == "auto":
        return auto(Candidates(kept.frames, hashes=kept.hashes), count, threshold=settings.hash_threshold)
    assert_never(settings.sampling)


def suggestible(rows: NDArray[np.floating], frames: Frames, samples: Samples, found: Quality) -> Candidates:
    """Of the embedded `frames` (m,), which `rows` (m, d) tell apart, those that are good enough; all of them when none is."""
    kept = ~_bad(frames, samples, found)
    return Candidates(frames, embeddings=rows).only(kept if kept.any() else ~kept)


def left_out(name: str, found: Quality) -> Finding | None:
    """What to say of a video some of whose sampled pictures were not good enough to be suggested."""
    dropped = found.dropped
    if not dropped:
        return None
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items(), key=lambda each: -each[1]))
    message = f"Of {len(found.reasons)} pictures of {name} that were examined, some are not suggested: {reasons}."
    remedy = "They are still predicted; no action is needed."
    return Finding(NOT_SUGGESTED, message, remedy, "note")


def _moved(frames: Frames, samples: Samples, found: Quality) -> Frames:
    """`frames`, but in place of a bad picture the nearest sampled one that was kept."""
    if not len(samples.frames):
        return frames
    kept = samples.frames[found.kept]
    instead = kept[nearest(kept, frames)]
    return np.asarray(np.unique(np.where(_bad(frames, samples, found), instead, frames)), np.int64)


def _bad(frames: Frames, samples: Samples, found: Quality) -> NDArray[np.bool_]:
    """(m,) bool: whether the nearest sample is bad, and not just the same picture once more."""
    if not len(samples.frames):
        return np.zeros(len(frames), bool)
    bad = np.array([reason not in (None, "frozen") for reason in found.reasons])
    near = np.median(np.diff(samples.frames)) / 2 if len(bad) > 1 else 0
    sample = nearest(samples.frames, frames)
    return np.asarray(bad[sample] & (np.abs(frames - samples.frames[sample]) <= near))


@job
def suggest(context: JobContext, project_key: str, task_number: int) -> str:
    """Pushes the keyframe suggestions of one task, once for each video that it shows."""
    work = open_project(context, project_key)
    task = context.studio.tasks.get(work.id, task_number)
    done = f"task {task.id} has its suggestions already"
    replaced = fetch_replaced(work, task)
    another = task.id in begin(work, [task])
    if another or not any(p.get("model_version") == KEYFRAMES_VERSION for p in context.studio.predictions.of(task.id)):
        shown = [work.on(question) for question in work.config.videos]
        parts = [(own.question, suggestion(task.id, suggested_frames(own, task))) for own in shown]
        item = joined_json(parts)
        asked = len(item["result"])
        if replaced:
            tell_of_replaced(work, task)
        with pushing(work):
            item = with_tracks(work, task, item)
            if renew(work, task, item, replaced=replaced) if another else push_one(work, item):
                note(work, task)
                done = _done(asked, task)
    # Also when they were there: whoever pushed them may have been killed before it could pin them.
    if registry.active_version(context.redis, project_key) is None:
        pin(work, KEYFRAMES_VERSION)
    want_images(work, task.id)
    queue_track(work, task.id)
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
    video = task_video(work.context, work.question, task, work.progress)
    work.progress.report(0, f"choosing frames of task {task.id}")
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
    tell(work, task.id, NOT_SUGGESTED, left_out(video_name(task, work.question), quality))
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

"""Keeps a project's companion in step: an image task for each suggested frame, which one key labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import Gone, LabelStudioError, LabelStudioMissing, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.jobs.backlog import is_low, room_for
from ml_backend.jobs.companion.answers import companion_project
from ml_backend.jobs.connection import mend_webhook
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.videos import known_content, naming, task_video, video_name
from ml_backend.labelstudio.companion import Asked, Frame, Image, Picture, in_step
from ml_backend.labelstudio.companion import companion_config as new_config
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.learning.versions import list_versions
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue
from ml_backend.video.demux import demux
from ml_backend.video.timeline import Timeline, studio_grid
from ml_backend.video.whole_frames import Coded, decode_exactly, upright


def want_images(work: ProjectWork, task: int | None = None) -> None:
    """To be called when other frames are suggested or asked about: of one task, or of many. When as many jobs wait as
    may, a task's turn comes with a later comparison."""
    # A box is no answer about a whole image.
    if not work.settings.companion or not work.config.questions:
        return
    if task is not None and room_for(work.context.redis, "companion", work.key) < 1:
        reconcile_state.put(work.context.redis, work.key, "images", "more")
    else:
        enqueue(work.context.redis, "companion", work.key, *(() if task is None else (task,)))


def queue_images(work: ProjectWork, changed: str, stored: Mapping[str, int]) -> str | None:
    """Queues a comparison unless the last one saw all there is; returns what was done, if anything.

    `changed`: when a task changed last, `stored`: predictions of each version.
    """
    redis, key = work.context.redis, work.key
    if not work.settings.companion:
        registry.forget_companion(redis, key)
        sources: tuple[registry.ProblemSource, ...] = ("companion", "companion framerate", "companion video")
        for source in sources:
            registry.set_problems(redis, key, source, [])
        return None
    if not work.config.questions or reconcile_state.get(redis, key, "images") == images_state(work, changed, stored):
        return None
    return "images of suggested frames" if enqueue(redis, "companion", key) else None


def images_state(work: ProjectWork, changed: str, stored: Mapping[str, int]) -> list[object]:
    """The same while nothing has changed in either project that the images follow."""
    known = registry.recall_companion(work.context.redis, work.key)
    version = registry.active_version(work.context.redis, work.key)
    images = list(work.context.studio.tasks.newest(known.id)) if known is not None else None
    return [changed, dict(stored), version, work.project.label_config, list(work.project.counts), images]


# A frame of 1080p takes 100 to 300 KB; nobody labels a frame better for more pixels.
_QUALITY, _LONGEST_SIDE = 85, 1920
# Whoever has an image open has answered the one before within this time; it must not be deleted under their hands.
_AT_WORK_SECONDS = 60.0
# A run removes so many, and looks anew after so few whether somebody has begun.
_MOST_REMOVED, _REMOVED_TOGETHER = 500, 20
# When few jobs are left the next ones are queued.
# So much of a video's hash tells it from others.
_HASH = 16
_NOT_MADE = "The companion project cannot be created or changed: {} {}"
_MAY_NOT = "Set LABEL_STUDIO_API_KEY to a token of a user who can create projects, or remove `companion`."


@job
def companion(context: JobContext, project_key: str, task_number: int | None = None) -> str:
    """Makes the image tasks of one task's suggested frames; without a task, compares all and queues what is missing."""
    work = open_project(context, project_key)
    if not work.settings.companion:
        return "no companion project is wanted"
    try:
        if task_number is None:
            with _alone(work):
                return _compare(work, _in_step(work))
        done = _renew(work, task_number)
    except Gone:
        raise
    except LabelStudioMissing as error:
        # A failure would stay until somebody retries it; a later comparison makes what is missing.
        raise Gone("The companion project no longer exists.", "The next reconcile creates it again.") from error
    more = reconcile_state.get(context.redis, project_key, "images") == "more"
    if more and is_low(context.redis, "companion", project_key):
        enqueue(context.redis, "companion", project_key)
    return done


def _alone(work: ProjectWork) -> contextlib.AbstractContextManager[None]:
    """Nobody else changes the companion meanwhile. No video is decoded within."""
    return project_lock(work.context.redis, work.context.settings.data_dir, work.key, "companion")


def _in_step(work: ProjectWork) -> Project:
    """The companion project with the labels of the video project; made when there is none."""
    several = any(not card.exclusive for card in list_versions(work.context.models_dir(work.key))[-1:])
    found = companion_project(work)
    try:
        if found is None:
            work.progress.report(0, "making the companion project")
            found = work.context.studio.companion.make(work.key, work.project.title, new_config(work.question, several))
            registry.note_companion(work.context.redis, work.key, registry.KnownCompanion(str(found.key)))
        else:
            work.context.studio.companion.keep_mark(found.key.id, work.key)
            wanted = in_step(found.label_config, work.question, several)
            if wanted != found.label_config:
                work.context.studio.companion.set_config(found.key.id, wanted)
    except LabelStudioUnreachable:
        raise
    except LabelStudioError as error:
        remedy = _MAY_NOT if isinstance(error, LabelStudioRefused) else error.remedy
        registry.set_problems(work.context.redis, work.key, "companion", [_NOT_MADE.format(error.message, remedy)])
        raise
    registry.set_problems(work.context.redis, work.key, "companion", [])
    mend_webhook(work.context, work.key, found.key.id)
    return found


def _compare(work: ProjectWork, project: Project) -> str:
    """Queues the tasks whose frames lack an image, and removes images of which nobody needs an answer any more."""
    # A task that finds no room meanwhile puts it back, and may be too late for this comparison.
    reconcile_state.drop(work.context.redis, work.key, "images")
    changed, _ = work.context.studio.tasks.last_changed(work.id)
    state = images_state(work, changed, work.context.studio.predictions.versions(work.id))
    room = room_for(work.context.redis, "companion", work.key)
    images = work.context.studio.companion.images(project.key.id)
    with_images = {image.of.task for image in images}
    wanted: set[Frame] = set()
    tasks: list[tuple[int, list[Frame]]] = []
    contents: dict[int, str | None] = {}
    for asked in _asked(work):
        tasks.append((asked.task.id, frames := _frames(work, asked)))
        wanted.update(frames)
        if asked.task.id in with_images:
            contents[asked.task.id] = known_content(work.context, work.question, asked.task)
    images = [_shown(image, contents.get(image.of.task)) for image in images]
    there = {image.of for image in images}
    queued = left = 0
    for number, frames in tasks:
        if not set(frames) <= there:
            if queued < room:
                queued += enqueue(work.context.redis, "companion", work.key, number) is not None
            else:
                left += 1
    removed = _remove(work, project, images, wanted)
    kept = [image for image in images if image.number not in removed]
    work.context.studio.companion.remove_unused(project.key.id, kept)
    _count(work, project)
    # What is still to be removed or queued is looked for again the next time.
    done = all(image.touched or image.of in wanted for image in kept)
    more = left or reconcile_state.get(work.context.redis, work.key, "images") == "more"
    reconcile_state.put(work.context.redis, work.key, "images", "more" if more else state if done else None)
    return f"{len(kept)} images in project {project.key.id}, {queued} tasks lack some, removed {len(removed)}"


def _renew(work: ProjectWork, task: int) -> str:
    with _alone(work):
        project = companion_project(work) or _in_step(work)
    asked = next(_asked(work, task), None)
    frames = _frames(work, asked) if asked is not None else []
    content = known_content(work.context, work.question, asked.task) if asked is not None else None
    missing, _ = _missing(work.context, project, task, frames, content)
    pictures = _pictures(work, asked, missing) if asked is not None and missing else []
    with _alone(work):
        # Another worker may have brought some while they were drawn.
        missing, images = _missing(work.context, project, task, frames, content)
        pictures = [picture for picture in pictures if replace(picture.of, content="") in missing]
        if pictures:
            work.progress.report(90, f"uploading frames of task {task}")
            work.context.studio.companion.add_images(project.key.id, pictures)
        removed = _remove(work, project, images, set(frames))
        _count(work, project)
    return f"added {len(pictures)} images of task {task}" + (f", removed {len(removed)}" if removed else "")


def _missing(
    context: JobContext, project: Project, task: int, frames: Sequence[Frame], content: str | None
) -> tuple[list[Frame], list[Image]]:
    """Those of a task's frames that have no image of the video with this hash, and the images that there are."""
    images = [_shown(image, content) for image in context.studio.companion.images(project.key.id, task)]
    there = {image.of for image in images}
    return [frame for frame in frames if frame not in there], images


def _shown(image: Image, content: str | None) -> Image:
    """An image, whose frame is told from one that is wanted when it is of another video than the one with this hash."""
    same = image.of.of_its_video(content)
    return replace(image, of=replace(image.of, content="")) if same else image


def _asked(work: ProjectWork, task: int | None = None) -> Iterator[Asked]:
    version = registry.active_version(work.context.redis, work.key) or KEYFRAMES_VERSION
    return work.context.studio.companion.asked(work.id, work.question, version, task)


def _frames(work: ProjectWork, asked: Asked) -> list[Frame]:
    rate = work.question.framerate_of(asked.task.data)
    return [Frame(asked.task.id, frame, rate) for frame in asked.frames]


def _pictures(work: ProjectWork, asked: Asked, frames: Sequence[Frame]) -> list[Picture]:
    """The pictures that Label Studio shows at these frames, each once, as far as they decode."""
    task = asked.task
    video = task_video(work.context, work.question, task, work.progress)
    work.progress.report(0, f"drawing the suggested frames of task {task.id}")
    with naming(task, work.question, video):
        read = demux(video.path)
        timeline = Timeline(read.pts, read.time_base, read.duration, read.early)
        grid = studio_grid(timeline, work.question.framerate_of(task.data))
        of = {int(grid.index(frame.frame)): replace(frame, content=video.content[:_HASH]) for frame in reversed(frames)}
        keys = np.sort(read.packets.pts[read.packets.key])
        # An import says what the file was called; an upload's own name begins with what Label Studio puts there.
        name = video_name(task, work.question)
        return [
            Picture(of[index], timeline.seconds(index), name, _jpeg(frame))
            for index, frame in decode_exactly(video.path, timeline, of.keys(), keys)
        ]


def _jpeg(frame: Coded) -> bytes:
    picture: NDArray[np.uint8] = upright(frame, "bgr24")
    height, width = picture.shape[:2]
    share = min(1.0, _LONGEST_SIDE / max(height, width))
    if share < 1:
        size = (max(1, round(share * width)), max(1, round(share * height)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return coded.tobytes()


def _remove(work: ProjectWork, project: Project, images: Sequence[Image], wanted: set[Frame]) -> set[int]:
    """Removes images that are not asked about any more and that nobody has touched, while nobody is at work; returns their
    numbers. What is left is for the next comparison."""
    stale = [image for image in images if not image.touched and image.of not in wanted][:_MOST_REMOVED]
    removed: set[int] = set()
    for start in range(0, len(stale), _REMOVED_TOGETHER):
        if registry.seconds_since_annotation(work.context.redis, work.key) < _AT_WORK_SECONDS:
            break
        work.progress.report(95, f"removing images that nobody needs, {start} of {len(stale)}")
        few = work.context.studio.companion.untouched(project.key.id, stale[start : start + _REMOVED_TOGETHER])
        work.context.studio.companion.remove_images(few)
        removed.update(image.number for image in few)
    return removed


def _count(work: ProjectWork, project: Project) -> None:
    number = project.key.id
    counts = (work.context.studio.tasks.newest(number)[1], work.context.studio.tasks.last_annotated(number)[1])
    registry.note_companion(work.context.redis, work.key, registry.KnownCompanion(str(project.key), *counts))

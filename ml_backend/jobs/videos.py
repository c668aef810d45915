"""A task's video: where it is, its file, whether it is still the one that we worked on, and what is unusual about it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from ml_backend.checks import Finding
from ml_backend.errors import VideoError, VideoRefused, VideoUnreachable, VideoUnreadable
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.progress import SILENT, Progress
from ml_backend.jobs.project import ProjectWork, task_roi
from ml_backend.labelstudio.addresses import VideoAddress
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.task_data import file_name
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import (
    asked_frames,
    playback,
    reconcile_state,
    registry,
    stored_predictions,
    submitted_tracks,
    task_view,
    track_faults,
    track_questions,
    tracks,
    video_contents,
)
from ml_backend.projects.reconcile_state import Identity
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.interventions import drop_tasks
from ml_backend.queueing.job_limits import allow, allow_for_video
from ml_backend.queueing.liveness import in_hand
from ml_backend.roi import ROI, RoiError, roi_of
from ml_backend.video.cache import VideoFile
from ml_backend.video.inspection import damaged, inspect
from ml_backend.video.timeline import FrameIndex, Timeline, natural_framerate, read_timeline, studio_length
from ml_backend.wording import quoted


def identity_of(work: ProjectWork, task: Task) -> Identity:
    """The same for as long as a task is the same, shows the same video, counted at the same frame rate, and names the same
    region of interest."""
    return Identity.of(task.created, work.config.shown(task.data), task_roi(task))


def begin(work: ProjectWork, tasks: Iterable[Task]) -> set[int]:
    """To be called before work on tasks: forgets what is kept of others that had their numbers, or of other videos that they
    showed. Returns the numbers of those whose predictions in Label Studio are about another video. Raises StorageError."""
    data_dir, begun = work.context.settings.data_dir, {task.id: task for task in tasks}
    now = {number: identity_of(work, task) for number, task in begun.items()}
    known = reconcile_state.recall_identities(data_dir, work.key, now)
    others = {task for task, identity in known.items() if identity != now[task]}
    renewed = {task for task in others if known[task].created == now[task].created}
    contents = {number: content_of(work, task) for number, task in begun.items()}
    made_of = {task: made.content for task, made in video_contents.recall(data_dir, work.key, contents).items()}
    replaced = {task for task, made in made_of.items() if contents[task] not in (0, made)} - others
    others, renewed = others | replaced, renewed | replaced
    if others:
        _forget_kept(work.context, work.key, others, renewed)
    # Of one with another video it is noted when it has a new prediction.
    if news := {task: now[task] for task in (now.keys() - known.keys()) | (others - renewed)}:
        reconcile_state.note_identities(data_dir, work.key, news)
    if new := {task: contents[task] for task in (contents.keys() - made_of.keys() - renewed) | (others - renewed)}:
        video_contents.note(data_dir, work.key, new)
    return renewed


def note(work: ProjectWork, task: Task, content: int = 0, *, replaced: bool = False) -> None:
    """To be called when a task has a prediction of the video that it shows, or needs none. `content`: what `content_of` told when that was
    begun. `replaced`: its file was, at the same address. Raises StorageError."""
    data_dir = work.context.settings.data_dir
    reconcile_state.note_identities(data_dir, work.key, {task.id: identity_of(work, task)})
    # A file that was replaced, and fetched, meanwhile is not the one that was looked at.
    video_contents.note(data_dir, work.key, {task.id: content or content_of(work, task)}, replaced=replaced)


def content_of(work: ProjectWork, task: Task) -> int:
    """Tells the content of a task's videos, as they were fetched last, from others; 0 before all of them were."""
    return video_contents.mark_of(known_content(work.context, question, task) for question in work.config.videos)


def forget_tasks(context: JobContext, key: str, tasks: Collection[int]) -> None:
    """Removes all that is kept of tasks that are gone."""
    if tasks:
        _forget_kept(context, key, tasks)
        video_contents.drop(context.settings.data_dir, key, tasks)
        reconcile_state.drop_identities(context.settings.data_dir, key, tasks)


def _forget_kept(context: JobContext, key: str, tasks: Collection[int], renewed: Collection[int] = ()) -> None:
    data_dir = context.settings.data_dir
    for task in tasks:
        stored_predictions.delete_task(data_dir, key, task)
        task_view.delete(data_dir, key, task)
        task_view.delete_sheet(data_dir, key, task)
        tracks.delete(data_dir, key, task)
        submitted_tracks.delete(data_dir, key, task)
        track_faults.delete(data_dir, key, task)
        track_questions.delete(data_dir, key, task)
        registry.note_findings(context.redis, key, task, [])
    playback.delete(data_dir, key, tasks)
    drop_tasks(context.redis, key, tasks, renewed)
    asked_frames.drop(data_dir, key, tasks)
    stored_predictions.drop_from_order(data_dir, key, tasks)
    # A list of tasks that has been gone through, or is being gone through, may have passed them.
    reconcile_state.drop(context.redis, key, "tasks", "cursor", "tracks")


def task_video(context: JobContext, question: Question, task: Task, progress: Progress = SILENT) -> VideoFile:
    """Raises VideoError and LabelStudioError."""
    address, started = video_address(context, question, task), time.monotonic()
    video = context.videos.fetch(
        address.url,
        address.headers,
        progress.share(f"fetching the video of task {task.id}"),
        address.renew,
    )
    # How long that takes is the network's affair.
    allow(time.monotonic() - started)
    return video


def known_content(context: JobContext, question: Question, task: Task) -> str | None:
    """The content hash of a task's video; None when it was never fetched from where it is now, or is nowhere."""
    address = context.studio.videos.address(question.video_of(task.data))
    return context.videos.content_of(address.url) if address else None


def video_mark(content: str) -> str:
    """Tells the content of a video, given by its hash, from others in another project, too."""
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@contextmanager
def naming(task: Task, question: Question, video: VideoFile, seconds: float | None = None) -> Iterator[None]:
    """To be put around all that opens the file: gives the job time for it, or for so many `seconds` of it, counts the workers that
    it ends, and lets errors about it speak of the task's video, which the admin knows, not of its name in the cache."""
    try:
        with in_hand(video.content):
            allow_for_video(video.path, seconds)
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
    except RoiError as error:
        message = f"The {ROI} of task {task.id} is not used, since {error.what}."
        yield Finding("roi", message, f"In the task's data, {error.remedy}.", "warning")


def video_name(task: Task, question: Question) -> str:
    """As people know the file, see `labelstudio.file_names`."""
    return file_name(task.data, question.video_of(task.data))


def video_address(context: JobContext, question: Question, task: Task) -> VideoAddress:
    """Raises VideoRefused when the task's data names no video."""
    address = context.studio.videos.address(question.video_of(task.data))
    if address is None:
        raise VideoRefused(
            f"Task {task.id} has no video: its data has no address under {quoted(question.video_key)}.",
            f'The label config says value="{question.video}"; import the task with that key.',
        )
    return address


def inspect_once(work: ProjectWork, task: Task, length: Fraction | None = None) -> None:
    """Notes what is unusual about the videos of a task that was never inspected: it came when a model predicted already, and
    got no suggestions; or its file was replaced by one of another `length` in seconds, at the same address. Raises VideoError."""
    data_dir = work.context.settings.data_dir
    view = task_view.load(data_dir, work.key, task.id)
    if view is not None and length is not None and view.seconds != round(float(length), 3):
        view = None
    if view is not None and (view.natural is not None or view.version == KEYFRAMES_VERSION):
        return
    for own in map(work.on, work.config.videos):
        video = task_video(work.context, own.question, task, work.progress)
        with naming(task, own.question, video):
            note_findings(own, task, video)
            timeline = read_timeline(video.path)
        if own.question.video == work.config.main.video:
            known = view or unpredicted_view(own, KEYFRAMES_VERSION, task, timeline)
            task_view.save(data_dir, work.key, replace(known, natural=natural_framerate(timeline)))


def note_findings(work: ProjectWork, task: Task, video: VideoFile) -> None:
    findings = list(inspect_video(task, work.question, video))
    if work.question.video != work.config.main.video:
        findings = [*registry.findings_of_task(work.context.redis, work.key, task.id), *findings]
    registry.note_findings(work.context.redis, work.key, task.id, findings)


def tell_of_damage(work: ProjectWork, task: Task, features: VideoFeatures) -> None:
    """Adds to the findings about a task's video that its end does not decode, which nothing but decoding can find."""
    missing = features.promised - len(features)
    if not missing:
        return
    last = features.timeline.seconds(FrameIndex(len(features) - 1))
    found = damaged(video_name(task, work.question), missing, features.promised, last)
    tell(work, task.id, found.kind, found)


def tell(work: ProjectWork, task: int, kind: str, found: Finding | None) -> None:
    """Puts `found`, or nothing, in place of the finding of this kind about a task's video."""
    before = registry.findings_of_task(work.context.redis, work.key, task)
    others = [finding for finding in before if finding.kind != kind]
    # Damage and the like come first; a note is good to know.
    own = [found] if found else []
    told = [*others, *own] if found and found.severity == "note" else [*own, *others]
    if told != before:
        registry.note_findings(work.context.redis, work.key, task, told)


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

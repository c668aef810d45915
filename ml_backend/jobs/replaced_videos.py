"""Files that are replaced at their addresses: found by asking the servers of a few videos at a time, so that what was made of the files
before is made again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice

from ml_backend.checks import Finding
from ml_backend.errors import VideoError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.videos import content_of, identity_of, task_video, tell, video_name
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import reconcile_state, registry, video_contents
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted

# So many videos are asked about every few minutes, for so long at most: of a hundred thousand, each within days.
_TOGETHER, _SECONDS, _EVERY_SECONDS = 200, 20.0, 240.0
_KIND = "replaced"
_NAMED = 10


def queue_recheck(work: ProjectWork) -> None:
    """Queues that the next videos are asked about, when that was done a few minutes ago."""
    redis, now = work.context.redis, time.time()
    last = reconcile_state.get(redis, work.key, "rechecked")
    if last is None or not 0 <= now - last < _EVERY_SECONDS:
        reconcile_state.put(redis, work.key, "rechecked", now)
        # What a project begins with has just been fetched.
        if last is not None:
            enqueue(redis, "recheck", work.key)


@job
def recheck(context: JobContext, project_key: str) -> str:
    """Asks the servers of the next videos whether they have other files now, and queues that what was made of the files before is made
    again."""
    work, begun = open_project(context, project_key), time.monotonic()
    kind = "suggest" if registry.active_version(context.redis, project_key) is None else "predict"
    after, looked, found = reconcile_state.get(context.redis, project_key, "recheck") or 0, 0, 0
    for task in islice(context.studio.tasks.all(work.id, _TOGETHER, after), _TOGETHER):
        if looked and time.monotonic() - begun > _SECONDS:
            break
        if any(has_other_file(context, question, task) for question in work.config.videos):
            found += enqueue(context.redis, kind, project_key, task.id, again=True) is not None
        elif is_replaced(work, task):
            # It was fetched since. One of which the job has failed, failed of this very file.
            found += enqueue(context.redis, kind, project_key, task.id) is not None
        after, looked = task.id, looked + 1
    else:
        after = after if looked == _TOGETHER else 0
    reconcile_state.put(context.redis, project_key, "recheck", after)
    return f"asked about {counted(looked, 'video')}, of which {found} were replaced"


def is_replaced(work: ProjectWork, task: Task) -> bool:
    """Whether a file of a task was replaced at its address since what is kept of the task was made, as far as it was fetched since."""
    data_dir = work.context.settings.data_dir
    made, content = video_contents.recall(data_dir, work.key, [task.id]).get(task.id), content_of(work, task)
    if made is None or content in (0, made.content):
        return False
    return reconcile_state.recall_identities(data_dir, work.key, [task.id]).get(task.id) == identity_of(work, task)


def fetch_replaced(work: ProjectWork, task: Task) -> bool:
    """To be called before `begin` where a task's prediction is made: fetches those of its files that were replaced at their addresses,
    for which it asks for one byte of each, and returns whether what is kept of the task is about others. Raises as `task_video` does
    for a file that was replaced; one whose server does not answer is taken to be what it was."""
    data_dir = work.context.settings.data_dir
    if not video_contents.recall(data_dir, work.key, [task.id]):
        video_contents.note(data_dir, work.key, {task.id: content_of(work, task)})
    for question in work.config.videos:
        if has_other_file(work.context, question, task):
            task_video(work.context, question, task, work.progress)
    return is_replaced(work, task)


def has_other_file(context: JobContext, question: Question, task: Task) -> bool:
    """Whether the server of a video says that it is another file than the one that was fetched."""
    address = context.studio.videos.address(question.video_of(task.data))
    with suppress(VideoError):
        return address is not None and context.videos.is_replaced(address.url, address.headers, address.renew)
    return False


def tell_of_replaced(work: ProjectWork, task: Task, *, reviewed: bool = False) -> None:
    """Says that the file at a video's address is another one now. The task's annotations, if there are some, are about the one
    before. `reviewed`: of one that people have said all about, so that it is not predicted."""
    annotations = sum(len(each) for _, each in work.context.studio.annotations.by_task(work.id, task.id))
    told = f"The file of {video_name(task, work.question)} was replaced at its address"
    if annotations:
        it, was = ("annotation", "It was") if annotations == 1 else ("annotations", "They were")
        remedy = f"Check its {it} against the new video. {was} not changed."
        then = "" if reviewed else ", and is predicted again"
        found = Finding(_KIND, f"{told} after it was annotated{then}.", remedy, "warning")
    else:
        found = Finding(_KIND, f"{told}, and is predicted again.", "No action is needed.", "note")
    tell(work, task.id, _KIND, found)


def tell_of_checked(work: ProjectWork, annotated: Mapping[int, float]) -> None:
    """Says no longer that a file was replaced when its annotations are newer than that; of the others the project's pages say that they
    are learned from all the same, since the same film may have been encoded anew. `annotated`: when the oldest annotation of each task
    was changed last, in unix seconds, by the task's number."""
    made_of = video_contents.recall(work.context.settings.data_dir, work.key, annotated)
    older = []
    for task, made in sorted(made_of.items()):
        if 0 < made.replaced < annotated[task]:
            tell(work, task, _KIND, None)
        elif made.replaced:
            older.append(task)
    registry.set_problems(work.context.redis, work.key, "replaced videos", _told(older))


def _told(tasks: Sequence[int]) -> list[str]:
    """Of tasks whose annotations are about the files before."""
    if not tasks:
        return []
    learned = "and the model learns from the old labels."
    if len(tasks) == 1:
        told = (
            f"The video of task {tasks[0]} was replaced by another file after people labeled it, {learned} Check its annotations "
            "against the new video and update them in Label Studio, or delete them if it is another film."
        )
        return [told]
    named = ", ".join(map(str, tasks[:_NAMED])) + (f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else "")
    told = (
        f"The videos of tasks {named} were replaced by other files after people labeled them, {learned} Check their annotations "
        "against the new videos and update them in Label Studio, or delete them where it is another film."
    )
    return [told]

"""What is done when tasks or projects are gone from Label Studio, or it has let go of us in one."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice

from ml_backend.jobs.connection import remove_webhooks
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import begin, forget_tasks, identity_of
from ml_backend.labelstudio.projects import Project
from ml_backend.projects import check_reports, links, reconcile_state, registry, stored_predictions, tracks
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.registry import forget_studio, studio_of
from ml_backend.queueing.interventions import drop_project

_TOLD = (
    "This project is disconnected in Label Studio: it is not trained, predicted, or changed. Its models are kept; "
    "to continue, connect it again (in Label Studio: project, Settings, Model, Connect Model)."
)


def take_leave(context: JobContext, project: Project) -> str:
    """Drops the jobs of a project without an ML backend entry that reaches us, takes our webhooks away and tells the admin.

    One that was never ours is forgotten, but for its files. Raises LabelStudioError.
    """
    redis, key = context.redis, str(project.key)
    link = links.recall(redis, key)
    drop_project(redis, key)
    if link is None:
        registry.forget(redis, key)
        registry.forget_overview(redis, key)
        return "not connected to this backend"
    for number in (project.key.id, *_companion(context, key)):
        remove_webhooks(context, key, number)
    if link.connected:
        links.note(redis, key, replace(link, connected=False, doubted=False, since=time.time()))
    reconcile_state.drop(redis, key, *(name for name in reconcile_state.SEEN if name != "entries"))
    registry.set_problems(redis, key, "connection", [_TOLD], instead=True)
    return "disconnected in Label Studio"


def _companion(context: JobContext, key: str) -> tuple[int, ...]:
    known = registry.recall_companion(context.redis, key)
    return () if known is None else (known.id,)


# A project that cannot be seen for a while, since the token is another's or Label Studio's data is being restored,
# must not cost the models that were trained for it.
_KEPT_SECONDS = 24 * 3600
_COMPARED_TOGETHER = 1000


@dataclass(frozen=True)
class Compared:
    """`changed`: when a task changed last; `tasks`: how many there are; `deleted`: how many of those that we knew are gone or
    have given their number to another; `renewed`: those that show another video."""

    changed: str
    tasks: int
    deleted: int = 0
    renewed: tuple[int, ...] = ()


def compare_tasks(work: ProjectWork) -> Compared:
    """Removes the files and failures of tasks that are gone, and of other videos that tasks showed before.

    Tasks are listed only when one has changed since the last time, and of those that were known then. Some are gone when
    there are fewer up to the newest one of the last time. Raises LabelStudioError, StorageError.
    """
    redis, key, data_dir = work.context.redis, work.key, work.context.settings.data_dir
    changed, tasks = work.context.studio.tasks.last_changed(work.id)
    before = reconcile_state.get(redis, key, "ids")
    if before and before[1:] == [tasks, changed]:
        return Compared(changed, tasks)
    newest, _ = work.context.studio.tasks.newest(work.id)
    gone: set[int] = set()
    if before is None or work.context.studio.tasks.number_up_to(work.id, before[0]) < before[1]:
        kept = stored_predictions.tasks(data_dir, key) | registry.tasks_with_findings(redis, key)
        kept |= tracks.tasks(data_dir, key)
        gone = kept.difference(work.context.studio.tasks.ids(work.id)) if kept else set()
        forget_tasks(work.context, key, gone)
    others, renewed = _others(work, reconcile_state.get(redis, key, "since"))
    reconcile_state.put(redis, key, "ids", [newest, tasks, changed])
    reconcile_state.put(redis, key, "since", changed)
    return Compared(changed, tasks, len(gone) + others, tuple(sorted(renewed)))


def _others(work: ProjectWork, since: str | None) -> tuple[int, set[int]]:
    """How many of the tasks that changed `since` are not those that had their numbers before, and which show another video."""
    data_dir, renewed, others = work.context.settings.data_dir, set[int](), 0
    highest = reconcile_state.highest_task(data_dir, work.key)
    tasks = work.context.studio.tasks.changed_since(work.id, since, highest) if highest else iter(())
    while batch := {task.id: task for task in islice(tasks, _COMPARED_TOGETHER)}:
        known = reconcile_state.recall_identities(data_dir, work.key, batch)
        another = [batch[task] for task, said in known.items() if said != identity_of(work, batch[task])]
        found = begin(work, another)
        renewed |= found
        others += len(another) - len(found)
    return others, renewed


def forget_project(context: JobContext, key: str) -> bool:
    """Forgets a project that is gone, with its jobs and predictions; its models go a day later, with the folder.

    Returns whether there was a folder of it.
    """
    drop_project(context.redis, key)
    reconcile_state.drop(context.redis, key)
    registry.forget(context.redis, key)
    registry.forget_overview(context.redis, key)
    registry.forget_companion(context.redis, key)
    links.forget(context.redis, key)
    check_reports.forget(context.redis, key)
    forget_studio(context.redis, key)
    return ProjectFolder(context.settings.data_dir, key).forget()


def remove_gone(context: JobContext, existing: Collection[str]) -> int:
    """Deletes the folders of projects that have been gone for a day; returns how many. `existing`: keys of those that are not."""
    removed = 0
    for folder in ProjectFolder.all(context.settings.data_dir):
        gone = folder.seconds_gone()
        if folder.key in existing:
            folder.unmark()
        elif gone is None:
            # One of another Label Studio, which had this folder before, is not for us to judge.
            if studio_of(context.redis, context.settings, folder.key) == context.settings.label_studio_url:
                folder.mark_gone()
        elif gone > _KEPT_SECONDS:
            folder.remove()
            removed += 1
    return removed

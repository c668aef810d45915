"""Is a task still the one that we worked on? Label Studio gives numbers of deleted tasks to new ones, and a task's video may be
exchanged for another."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ml_backend.jobs.project import ProjectWork, task_roi
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.projects import (
    asked_frames,
    contact_sheet,
    identities,
    reconcile_state,
    registry,
    stored_predictions,
    task_order,
    task_view,
)
from ml_backend.projects.identities import Identity
from ml_backend.queueing.interventions import drop_tasks


def identity_of(work: ProjectWork, task: Task) -> Identity:
    """The same for as long as a task is the same, shows the same video, counted at the same frame rate, and names the same
    region of interest."""
    shown, own = work.config.shown(task.data), task_roi(task)
    return Identity.of(task.created, shown if own is None else [(f"{url} {own.key}", rate) for url, rate in shown])


def begin(work: ProjectWork, tasks: Iterable[Task]) -> set[int]:
    """To be called before work on tasks: forgets what is kept of others that had their numbers, or of other videos that they
    showed. Returns the numbers of those whose predictions in Label Studio are about another video. Raises StorageError."""
    now = {task.id: identity_of(work, task) for task in tasks}
    known = identities.recall(work.context.settings.data_dir, work.key, now)
    others = {task for task, identity in known.items() if identity != now[task]}
    renewed = {task for task in others if known[task].created == now[task].created}
    if others:
        _forget_kept(work.context, work.key, others)
    # Of one with another video it is noted when it has a new prediction.
    if news := {task: now[task] for task in (now.keys() - known.keys()) | (others - renewed)}:
        identities.note(work.context.settings.data_dir, work.key, news)
    return renewed


def note(work: ProjectWork, task: Task) -> None:
    """To be called when a task with another video has a new prediction, or needs none. Raises StorageError."""
    identities.note(work.context.settings.data_dir, work.key, {task.id: identity_of(work, task)})


def forget_tasks(context: WorkerContext, key: str, tasks: Collection[int]) -> None:
    """Removes all that is kept of tasks that are gone."""
    if tasks:
        _forget_kept(context, key, tasks)
        identities.drop(context.settings.data_dir, key, tasks)


def _forget_kept(context: WorkerContext, key: str, tasks: Collection[int]) -> None:
    data_dir = context.settings.data_dir
    for task in tasks:
        stored_predictions.delete_task(data_dir, key, task)
        task_view.delete(data_dir, key, task)
        contact_sheet.delete(data_dir, key, task)
        registry.note_findings(context.redis, key, task, [])
    drop_tasks(context.redis, key, tasks)
    asked_frames.drop(data_dir, key, tasks)
    task_order.drop(data_dir, key, tasks)
    # A list of tasks that has been gone through, or is being gone through, may have passed them.
    reconcile_state.drop(context.redis, key, "tasks", "cursor")

"""Removes what is kept of tasks and projects that are gone from Label Studio."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.queueing.interventions import drop_project, drop_tasks
from ml_backend.records import (
    companions,
    contact_sheet,
    links,
    marks,
    overview,
    pictures,
    projects,
    ready,
    task_order,
    task_view,
)
from ml_backend.records.belonging import forget_studio, studio_of

log = logging.getLogger(__name__)

# A project that cannot be seen for a while, since the token is another's or Label Studio's data is being restored,
# must not cost the models that were trained for it.
_KEPT_SECONDS = 24 * 3600
_GONE = ".gone"


def forget_deleted_tasks(context: WorkerContext, work: ProjectWork, newest: int, tasks: int) -> int:
    """Removes the files and failures of tasks that are gone; returns of how many.

    Ids only grow, so some are gone when there are fewer up to the newest one of the last time; only then are the ids listed.
    """
    before = marks.get(context.redis, work.key, "ids")
    if before == [newest, tasks]:
        return 0
    gone: set[int] = set()
    if before is None or context.client.number_up_to(work.id, before[0]) < before[1]:
        kept = ready.tasks(context.settings.data_dir, work.key) | projects.tasks_with_findings(context.redis, work.key)
        gone = kept.difference(context.client.task_ids(work.id)) if kept else set()
    for task in gone:
        ready.delete_task(context.settings.data_dir, work.key, task)
        task_view.delete(context.settings.data_dir, work.key, task)
        contact_sheet.delete(context.settings.data_dir, work.key, task)
        projects.note_findings(context.redis, work.key, task, [])
    if gone:
        drop_tasks(context.redis, work.key, gone)
        pictures.drop(context.settings.data_dir, work.key, gone)
        task_order.drop(context.settings.data_dir, work.key, gone)
    marks.put(context.redis, work.key, "ids", [newest, tasks])
    return len(gone)


def forget_project(context: WorkerContext, key: str) -> bool:
    """Forgets a project that is gone, with its jobs and predictions; its models go a day later, with the folder.

    Returns whether there was a folder of it.
    """
    drop_project(context.redis, key)
    marks.drop(context.redis, key)
    projects.forget(context.redis, key)
    overview.forget(context.redis, key)
    companions.forget(context.redis, key)
    links.forget(context.redis, key)
    forget_studio(context.redis, key)
    folder = _folders(context) / key
    if not folder.is_dir():
        return False
    for name in ("predictions", "views", "sheets", "pictures", "order"):
        shutil.rmtree(folder / name, ignore_errors=True)
    _mark_gone(folder)
    return True


def remove_gone(context: WorkerContext, existing: Collection[str]) -> int:
    """Deletes the folders of projects that have been gone for a day; returns how many. `existing`: keys of those that are not."""
    removed = 0
    for folder in _folders(context).glob("*.*"):
        gone = folder / _GONE
        if folder.name in existing:
            gone.unlink(missing_ok=True)
        elif not gone.exists():
            # One of another Label Studio, which had this folder before, is not for us to judge.
            if studio_of(context.redis, context.settings, folder.name) == context.settings.label_studio_url:
                _mark_gone(folder)
        elif time.time() - gone.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
            log.info("deleted %s, whose project is gone from Label Studio", folder)
            removed += 1
    return removed


def _folders(context: WorkerContext) -> Path:
    return context.settings.data_dir / "projects"


def _mark_gone(folder: Path) -> None:
    try:
        (folder / _GONE).touch(exist_ok=False)
    except OSError as error:
        log.warning("%s cannot be marked as gone: %s", folder, error)

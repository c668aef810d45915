"""Embeds one task's video ahead of time, so that the first predictions do not have to wait for it."""

from __future__ import annotations

from ml_backend.jobs.embeddings import has_features, task_features
from ml_backend.jobs.project_work import open_project
from ml_backend.jobs.run import job, report
from ml_backend.jobs.worker_context import worker_context


@job
def embed(project_key: str, task_number: int) -> str:
    """Puts the embeddings of one task's video into the store."""
    context = worker_context()
    work = open_project(context, project_key)
    task = context.client.task(task_number)
    if has_features(context, work.config, task):
        return f"task {task.id} is embedded already"
    features = task_features(context, work.config, task, report)
    return f"embedded task {task.id}: {len(features.frames)} of {len(features.timeline)} frames"

"""Brings a model version's predictions into Label Studio: all of them first, then the pin, so that nobody sees half of one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ml_backend.errors import VideoError
from ml_backend.jobs import projects, ready
from ml_backend.jobs.embeddings import has_features, task_features
from ml_backend.jobs.labelled import Annotated, annotated_tasks, labels_of
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.predict import timeline_prediction
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.queue import has_failed, request, request_after
from ml_backend.jobs.run import job, report
from ml_backend.jobs.worker_context import WorkerContext, worker_context
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.regions import prediction_json
from ml_backend.learning.framelabels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.versions import load_version

log = logging.getLogger(__name__)

_PUSHED_TOGETHER = 100


@job
def rollout(project_key: str, version: str) -> str:
    """Predicts every task without a dense annotation and pins the version; videos not embedded yet are embedded first."""
    context = worker_context()
    work = open_project(context, project_key)
    wanted = projects.wanted_version(context.redis, project_key)
    if wanted is not None and wanted != version:
        return f"{version} was overtaken by {wanted}"
    tasks = list(context.client.tasks(work.id))
    if waiting := _embedding(context, work, tasks):
        request_after(context.redis, waiting, "rollout", project_key, version)
        return f"{version} waits until {len(waiting)} videos are embedded"
    head, _ = load_version(context.models_dir(project_key), version)
    with project_lock(context.settings.data_dir, project_key, "rollout"):
        if version in context.client.versions(work.id):
            # Left by an attempt that broke off: Label Studio would keep both.
            context.client.delete_version(work.id, version)
        pushed = _push_all(context, work, version, head, tasks)
        if pushed:
            pin(context, work, version)
            projects.activate(context.redis, project_key, version)
            context.client.save_review_tab(work.id, version)
    return f"predicted {pushed} of {len(tasks)} tasks with {version}"


@job
def predict(project_key: str, task_number: int) -> str:
    """Predicts one new task with the active version."""
    context = worker_context()
    work = open_project(context, project_key)
    version = projects.active_version(context.redis, project_key)
    if version is None:
        return "no model is active yet"
    task = context.client.task(work.id, task_number)
    with project_lock(context.settings.data_dir, project_key, "rollout"):
        if any(p.get("model_version") == version for p in context.client.predictions(task.id)):
            return f"task {task.id} has its prediction already"
        head, _ = load_version(context.models_dir(project_key), version)
        pushed = _push_all(context, work, version, head, [task])
    return (
        f"predicted task {task.id} with {version}" if pushed else f"task {task.id} is reviewed and needs no prediction"
    )


def _embedding(context: WorkerContext, work: ProjectWork, tasks: Iterable[Task]) -> list[str]:
    """Ids of the jobs that embed the videos not embedded yet; a video that could not be embedded is not waited for."""
    redis, missing = context.redis, [task for task in tasks if not has_features(context, work.config, task)]
    fresh = [task for task in missing if not has_failed(redis, "embed", work.key, task.id)]
    jobs = (request(redis, "embed", work.key, task.id) for task in fresh)
    return [job_id for job_id in jobs if job_id is not None]


def _push_all(context: WorkerContext, work: ProjectWork, version: str, head: Head, tasks: list[Task]) -> int:
    """Predicts and stores; a video that cannot be used is left out and named. Returns how many tasks got theirs."""
    annotated = {each.task.id: each for each in annotated_tasks(context, work)}
    items: list[dict[str, Any]] = []
    unusable: list[str] = []
    pushed = 0
    for position, task in enumerate(tasks, start=1):
        report(100 * position / (len(tasks) + 1), f"predicting task {task.id}, {position} of {len(tasks)}")
        try:
            item = _predict_task(context, work, version, head, task, annotated.get(task.id))
        except VideoError as error:
            unusable.append(f"Task {task.id} is not predicted: {error}")
            continue
        if item is not None:
            items.append(item)
        if len(items) == _PUSHED_TOGETHER:
            pushed += _push(context, work, items)
            items = []
    pushed += _push(context, work, items)
    if len(tasks) > 1:
        projects.set_problems(context.redis, work.key, "videos", unusable)
    return pushed


def _predict_task(
    context: WorkerContext, work: ProjectWork, version: str, head: Head, task: Task, annotated: Annotated | None
) -> dict[str, Any] | None:
    """The prediction as Label Studio takes it; None for a task that a person has reviewed as a whole."""
    features = task_features(context, work.config, task, report)
    known: FrameLabels | None = None
    if annotated is not None:
        known = labels_of(context, work, annotated, features, head.exclusive)
        if known.dense:
            return None
    return prediction_json(timeline_prediction(work, version, head, task, features, known), work.config)


def _push(context: WorkerContext, work: ProjectWork, items: list[dict[str, Any]]) -> int:
    context.client.push(work.id, items)
    for item in items:
        ready.save(context.settings.data_dir, work.key, item)
    return len(items)

"""Brings a model version's predictions into Label Studio: all of them first, then the pin, so that nobody sees half of one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

from ml_backend.errors import CustomModelError, StorageError, VideoError
from ml_backend.features.backbones import Backbone
from ml_backend.jobs.backlog import make_again
from ml_backend.jobs.box_tracks import queue_track, with_tracks
from ml_backend.jobs.companion.images import want_images
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of_version, has_features
from ml_backend.jobs.individuals.cast import cast_of, individuals_of, tell_of_casts
from ml_backend.jobs.individuals.reel import has_reel_features
from ml_backend.jobs.job import job
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.predictions.predictor import Predicted, Predictor, predictor
from ml_backend.jobs.predictions.pushing import Held, among, push_lacking, push_one, pushing, renew
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.jobs.replaced_videos import fetch_replaced, tell_of_replaced
from ml_backend.jobs.shown_progress import shown_in_studio
from ml_backend.jobs.training.labelled import Annotated, annotated_tasks, casts_of
from ml_backend.jobs.videos import begin, content_of, inspect_once, note
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.versions import is_custom
from ml_backend.prediction_item import PredictionItem
from ml_backend.projects import reconcile_state, registry, stored_predictions, task_view
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.job_limits import allow
from ml_backend.queueing.queue import enqueue, has_failed, request_after

log = logging.getLogger(__name__)

_PUSHED_TOGETHER = 100
# However many tasks there are, so many videos are embedded before it is asked again.
_EMBEDDED_TOGETHER = 500
# A researcher's file that fails of so many videos, the first ones, fails of all.
_HOPELESS = 3
# Seconds; its embeddings are there.
_EACH_TASK = 5.0


@job
def rollout(context: JobContext, project_key: str, version: str) -> str:
    """Predicts every task without a dense annotation and pins the version; videos not embedded yet are embedded first."""
    redis = context.redis

    def follow() -> None:
        wanted = registry.wanted_version(redis, project_key) or version
        if wanted != registry.active_version(redis, project_key):
            enqueue(redis, "rollout", project_key, wanted)

    with project_lock_if_free(redis, context.settings.data_dir, project_key, "rollout", follow) as ours:
        if not ours:
            return f"{version} follows the roll-out that runs"
        with shown_in_studio(
            open_project(context, project_key, sure=True), lambda: f"predicting with {version}"
        ) as work:
            return _roll_out(work, version)


def _roll_out(work: ProjectWork, version: str) -> str:
    redis, key = work.context.redis, work.key
    # Asked while no other roll-out can run: one that has waited may have been overtaken.
    wanted = registry.wanted_version(redis, key)
    if wanted not in (None, version):
        enqueue(redis, "rollout", key, wanted)
        return f"{version} was overtaken by {wanted}"
    state = reconcile_state.state_of_tasks(*work.context.studio.tasks.last_changed(work.id), work.project.counts)
    # Those of an attempt that broke off stay: deleting them could take them from under somebody's hands.
    tasks = list(work.context.studio.predictions.tasks_without(work.id, version))
    allow(_EACH_TASK * len(tasks))
    if not is_custom(version) and (waiting := _embedding(work, version, tasks)):
        request_after(redis, waiting, "rollout", key, version)
        videos = "1 video is" if len(waiting) == 1 else f"{len(waiting)} videos are"
        return f"{version} waits until {videos} embedded"
    tell_of_casts(work)
    pushed, needless = _push_all(work, version, _predictor(work, version), tasks)
    if needless == len(tasks):
        reconcile_state.put(redis, key, "needless", [version, state])
    if work.context.studio.predictions.versions(work.id).get(version, 0):
        pin(work, version)
        enqueue(redis, "stopping", key)
        want_images(work)
        # Tasks that came meanwhile have got the version before, or none.
        enqueue(redis, "reconcile", key, again=True)
        work.context.studio.tabs.save_review(work.id, version)
        if work.settings.serve_uncertain_first:
            work.context.studio.projects.serve_uncertain_first(work.id)
    return f"predicted {pushed} of {len(tasks)} tasks with {version}"


@job
def predict(context: JobContext, project_key: str, task_number: int) -> str:
    """Predicts one new task with the active version."""
    work = open_project(context, project_key)
    version = registry.active_version(context.redis, project_key)
    if version is None:
        return "no model is active yet"
    task = context.studio.tasks.get(work.id, task_number)
    replaced = fetch_replaced(work, task)
    content = content_of(work, task)
    another = task.id in begin(work, [task])
    there = next((p for p in context.studio.predictions.of(task.id) if p.get("model_version") == version), None)
    has_it = there is not None and not another
    if another:
        # Those of the video before are gone.
        enqueue(context.redis, "pictures", project_key, task.id)
    if has_it and individuals_of(work) is None:
        return f"task {task.id} has its prediction already"
    annotated = next(iter(annotated_tasks(work, task.id)), None)
    if has_it and not _shows_others(work, task, annotated):
        return f"task {task.id} has its prediction already"
    found = _predictor(work, version)(task, annotated)
    if found is None:
        if replaced:
            inspect_once(work, task)
            tell_of_replaced(work, task, reviewed=True)
        if another:
            with pushing(work):
                renew(work, task, None, content, replaced=replaced)
        return f"task {task.id} is reviewed and needs no prediction"
    item = _item(work, found)
    inspect_once(work, task)
    if replaced:
        tell_of_replaced(work, task)
    embedding = found.embedding() if annotated is None else None
    with pushing(work):
        item = with_tracks(work, task, item)
        if embedding is not None:
            item = among(context.settings.data_dir, work.key, item, embedding)
        if has_it and there is not None:
            context.studio.predictions.replace(there["id"], item)
            stored_predictions.save(context.settings.data_dir, work.key, item)
        new = renew(work, task, item, content, replaced=replaced) if another else has_it or push_one(work, item)
        note(work, task, content)
    if registry.active_version(context.redis, project_key) != version:
        enqueue(context.redis, "predict", project_key, task_number)
    want_images(work, task.id)
    queue_track(work, task.id)
    enqueue(context.redis, "stopping", project_key)
    return f"predicted task {task.id} with {version}" if new else f"task {task.id} has its prediction already"


def _shows_others(work: ProjectWork, task: Task, annotated: Annotated | None) -> bool:
    """Whether the prediction of a task is about other individuals than are there now."""
    view = task_view.load(work.context.settings.data_dir, work.key, task.id)
    casts = annotated.casts.values() if annotated is not None else casts_of(work, task, ()).values()
    return view is not None and any(cast.mark != view.cast for cast in list(casts)[:1])


def _predictor(work: ProjectWork, version: str) -> Predictor:
    try:
        return predictor(work, version)
    except StorageError:
        make_again(work.context.redis, work.key)
        raise


def _embedding(work: ProjectWork, version: str, tasks: Iterable[Task]) -> list[str]:
    """Ids of the jobs that embed the next videos not embedded yet; one that could not be embedded is not waited for."""
    backbone = backbone_of_version(work, version) or work.context.backbone_for(work.settings)
    missing = (task for task in tasks if not _is_embedded(work, task, backbone))
    fresh = (task for task in missing if not has_failed(work.context.redis, "embed", work.key, task.id))
    jobs = (enqueue(work.context.redis, "embed", work.key, task.id) for task in fresh)
    return list(islice((job_id for job_id in jobs if job_id is not None), _EMBEDDED_TOGETHER))


def _is_embedded(work: ProjectWork, task: Task, backbone: Backbone) -> bool:
    """Whether the prediction of a task takes no time, its individuals included."""
    if not has_features(work.context, work.question, task, backbone):
        return False
    return individuals_of(work) is None or has_reel_features(work, task, cast_of(work, task), backbone)


def _push_all(work: ProjectWork, version: str, predict: Predictor, tasks: list[Task]) -> tuple[int, int]:
    """Predicts and stores; a video that cannot be used, or a prediction that Label Studio does not take, is left out and named.
    Returns how many tasks got theirs, and how many need none. Raises CustomModelError when a researcher's file fails of all."""
    annotated = {each.task.id: each for each in annotated_tasks(work)}
    items: list[PredictionItem] = []
    left_out: dict[int, str] = {}
    failures: list[CustomModelError] = []
    works = work.context.studio.predictions.versions(work.id).get(version, 0) > 0
    pushed = needless = 0
    data_dir, by_number = work.context.settings.data_dir, {task.id: task for task in tasks}
    renewed = begin(work, tasks)

    def push(some: list[PredictionItem]) -> int:
        with pushing(work):
            done = push_lacking(work, [with_tracks(work, by_number[item["task"]], item) for item in some])
        left_out.update({task: str(error) for task, error in done.refused.items()})
        return len(done.stored)

    with Held(ProjectFolder(data_dir, work.key).path) as held:
        for position, task in enumerate(tasks, start=1):
            work.progress.report(
                100 * position / (len(tasks) + 1), f"predicting task {task.id}, {position} of {len(tasks)}"
            )
            try:
                found = predict(task, annotated.get(task.id))
            except VideoError as error:
                left_out[task.id] = f"Task {task.id} is not predicted: {error}"
                continue
            except CustomModelError as error:
                failures.append(error)
                left_out[task.id] = f"Task {task.id} is not predicted: {error}"
                if len(failures) == _HOPELESS and not works:
                    raise
                continue
            works = True
            if found is None:
                needless += 1
                continue
            item = _item(work, found)
            # Label Studio serves no annotated task again, so it stands in no other one's way.
            embedding = None if task.id in annotated else found.embedding()
            if embedding is not None:
                held.add(item, embedding)
            else:
                items.append(item)
            if len(items) == _PUSHED_TOGETHER:
                pushed += push(items)
                items = []
        if failures and not works:
            raise failures[-1]
        pushed += push(items)
        scored = held.scored(data_dir, work.key, version, pushing(work))
        while batch := list(islice(scored, _PUSHED_TOGETHER)):
            pushed += push(batch)
            work.progress.report(99, f"storing predictions, {pushed} so far")
    there = work.context.studio.predictions.lacking_among(work.id, version, left_out)
    told = [text for task, text in sorted(left_out.items()) if task in there]
    registry.set_problems(work.context.redis, work.key, "videos", told)
    # The predictions that they have of other versions are about another video.
    for task_number in renewed:
        enqueue(work.context.redis, "predict", work.key, task_number, again=True)
    return pushed, needless


def _item(work: ProjectWork, found: Predicted) -> PredictionItem:
    """What is to be pushed of a task; what a page draws of it is kept."""
    task_view.save(work.context.settings.data_dir, work.key, found.view())
    return found.item()

"""Compares what Label Studio has with what was done for a project, and queues the difference: tasks, roll-outs that broke off, suggestions
of a label config that has changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from redis import Redis

from ml_backend.errors import Gone, LabelConfigError, LabelStudioError, LabelStudioMissing
from ml_backend.jobs.backlog import queue_missing
from ml_backend.jobs.box_tracks import queue_tracks
from ml_backend.jobs.columns import queue_columns
from ml_backend.jobs.companion.images import queue_images
from ml_backend.jobs.connection import Standing, look, mend_webhook
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.detector_lessons import queue_detector
from ml_backend.jobs.job import job
from ml_backend.jobs.pinning import follow_pin
from ml_backend.jobs.predictions.retire import remove_doubles, retire
from ml_backend.jobs.project import ProjectWork, find_project, work_on
from ml_backend.jobs.reconciling.forgetting import compare_tasks, forget_project, remove_gone, take_leave
from ml_backend.jobs.replaced_videos import queue_recheck
from ml_backend.jobs.shown_progress import mend_title
from ml_backend.jobs.track_labels import queue_recognition
from ml_backend.jobs.training.train import queue_training
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, is_ours
from ml_backend.labelstudio.setting_conflicts import ModelFiles, setting_conflicts
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import check_reports, links, reconcile_state, registry, stored_predictions, training_choice
from ml_backend.projects.installation import check_disk
from ml_backend.projects.registry import note_studio, studio_of
from ml_backend.queueing import counters
from ml_backend.queueing.interventions import retry_mended
from ml_backend.queueing.queue import enqueue, last_failure
from ml_backend.wording import counted


def follow_controls(work: ProjectWork, stored: dict[str, int]) -> str | None:
    """Has predictions made anew when a control or a `<Video>` was renamed, or its frame rate changed: Label Studio shows those
    with other names nowhere, and those that count other frames at other moments.

    `stored`: the number of predictions of each version, from which those that are deleted are taken. What is only added to a
    config changes nothing of what is there. Returns what was done, if anything.
    """
    redis, key = work.context.redis, work.key
    asked = (*work.config.questions, *work.config.tracks)
    now = [[q.from_name, q.to_name, q.video, q.kind, str(q.framerate)] for q in asked]
    before = reconcile_state.get(redis, key, "controls")
    if before == now:
        return None
    # What a release before this one has noted says nothing of frame rates.
    if before is not None and any(each not in [question[: len(each)] for question in now] for each in before):
        active = registry.active_version(redis, key)
        for version in filter(None, (KEYFRAMES_VERSION, active)):
            # Whoever has such a task open cannot submit it: the editor that they have open is the old one.
            if stored.pop(version, 0):
                work.context.studio.predictions.delete_version(work.id, version)
            stored_predictions.delete(work.context.settings.data_dir, key, version)
        reconcile_state.drop(redis, key, "tasks", "cursor", "trained")
        if active is not None:
            registry.want(redis, key, active)
            enqueue(redis, "rollout", key, active, again=True)
    reconcile_state.put(redis, key, "controls", now)
    return None if before is None else "the label config's controls have changed"


# What made one fail may have passed: a worker killed too often, a full memory, an answer that nobody expected.
_TRIES = 3
_TOLD = (
    "{version} is not shown: its roll-out failed {times} times, and is not retried automatically. The last error: "
    "{reason} When that is fixed, run `coldblitz models activate`."
)


def queue_rollout(redis: Redis, project: str, state: Sequence[str | int] = ()) -> str | None:
    """Queues the roll-out of the version that is wanted and not active; returns what was done, if anything.

    `state`: of tasks, see `state_of_tasks`; where none needed a prediction in this very state, none does now. The admin is told of one
    that goes on failing. One that was cancelled waits for the admin, or for a newer version.
    """
    wanted = registry.wanted_version(redis, project)
    if wanted is None or wanted == registry.active_version(redis, project):
        _forget_rollout(redis, project)
        return None
    if state and reconcile_state.get(redis, project, "needless") == [wanted, list(state)]:
        return None
    if enqueue(redis, "rollout", project, wanted) is None:
        failed = last_failure(redis, "rollout", project, wanted)
        if failed is None or failed.meta.get("cancelled"):
            return None
        version, tries = reconcile_state.get(redis, project, "rollout") or (wanted, 0)
        tries = tries if version == wanted else 0
        if tries >= _TRIES:
            reason = failed.meta.get("reason") or "See the worker's log."
            told = _TOLD.format(version=wanted, times=tries + 1, reason=reason)
            registry.set_problems(redis, project, "rollout", [told])
            return None
        reconcile_state.put(redis, project, "rollout", [wanted, tries + 1])
        enqueue(redis, "rollout", project, wanted, again=True)
    return f"{wanted} to roll out"


def _forget_rollout(redis: Redis, project: str) -> None:
    reconcile_state.drop(redis, project, "rollout")
    registry.set_problems(redis, project, "rollout", [])


log = logging.getLogger(__name__)

_TWO = (
    "Another Coldblitz is also connected to this project, at {}. Each trains, and shows its own predictions instead of the "
    "other's: remove one of them in Label Studio (the project, Settings, Model)."
)


@job
def reconcile(context: JobContext, project_key: str) -> str:
    """Queues suggestions, predictions, training and roll-outs that are missing; each asks again before it does anything.

    When nothing has changed it costs five small requests, however many tasks there are.
    """
    try:
        return _reconciled(context, project_key)
    finally:
        _check_again(context.redis, project_key)


def _reconciled(context: JobContext, project_key: str) -> str:
    redis = context.redis
    try:
        project = find_project(context, project_key)
    except Gone as gone:
        return _forget(context, project_key, gone)
    links.let_settle(redis, project_key)
    standing = look(context, project)
    if standing.entry is None:
        return take_leave(context, project)
    stored = dict(standing.stored)
    try:
        work = work_on(context, project)
    except LabelConfigError as error:
        registry.set_problems(redis, project_key, "label config", [str(error)])
        raise
    registry.set_problems(redis, project_key, "label config", [])
    note_studio(redis, context.settings, project_key)
    _report_settings(work)
    _report_others(context, project_key, standing)
    if mend_webhook(context, work.key, work.id):
        check_reports.note_change(redis, project_key)
    mend_title(context, work.key, work.id, standing.entry)
    renamed = follow_controls(work, stored)
    follow_pin(work, stored)
    compared = compare_tasks(work)
    changed, tasks = compared.changed, compared.tasks
    registry.note_overview(redis, project_key, title=work.project.title, tasks=tasks, versions=stored)
    context.progress.report(10, "comparing tasks and annotations")
    done = [
        renamed,
        f"{compared.deleted} deleted tasks" if compared.deleted else None,
        _queue_renewed(context, project_key, compared.renewed),
        queue_missing(work, changed, tasks, stored),
        queue_training(work),
        queue_images(work, changed, stored),
        queue_tracks(work, changed, tasks),
        queue_recognition(work),
        queue_detector(work),
        queue_rollout(redis, project_key, reconcile_state.state_of_tasks(changed, tasks, work.project.counts)),
        queue_columns(work, stored),
    ]
    if again := retry_mended(redis, project_key, disk=check_disk(context.settings.data_dir).state != "fault"):
        done.append(f"{counted(again, 'job')} tried again")
    if doubles := remove_doubles(work, tasks, stored):
        done.append(f"{doubles} second predictions")
    retire(work, stored)
    queue_recheck(work)
    found = [each for each in done if each]
    registry.note_reconciled(redis, project_key)
    counters.count_reconciled(redis, len(found))
    return ", ".join(found) or "nothing has changed"


def _check_again(redis: Redis, key: str) -> None:
    """Has a project checked again whose checks somebody has seen, when they are about what it was before."""
    report = check_reports.recall(redis, key)
    if report is not None and registry.recall(redis, key) and check_reports.is_outdated(redis, key, report):
        enqueue(redis, "examine", key)


def _forget(context: JobContext, key: str, gone: Gone) -> str:
    """Forgets a project that Label Studio has no more. Raises LabelStudioError when it may be another Label Studio's."""
    if key in _existing(context):
        raise LabelStudioError(gone.message, "Label Studio still lists it; see its log.") from gone
    ours, had_it = context.settings.label_studio_url, studio_of(context.redis, context.settings, key)
    each_its_own = "Give each Label Studio its own backend, with its own DATA_DIR and REDIS_URL."
    if had_it not in (None, ours):
        told = f"Project {key} was in the Label Studio at {had_it}, not in the one that LABEL_STUDIO_URL names."
        raise LabelStudioError(told, each_its_own) from gone
    called = had_it is None and registry.recall(context.redis, key) is not None
    if not forget_project(context, key) and called:
        told = f"A Label Studio has connected its project {key}, which is not in the one at {ours}."
        raise LabelStudioError(told, f"Check LABEL_STUDIO_URL. {each_its_own}") from gone
    return "the project is gone from Label Studio"


@job
def discover(context: JobContext, host: str) -> str:
    """Reconciles the projects that Redis knows nothing of any more: those of which an ML backend entry reaches us. Removes the
    files of projects that are gone."""
    redis, known = context.redis, set(registry.known_keys(context.redis))
    existing = _existing(context)
    hooked = {hook["project"] for hook in context.studio.webhooks.all() if hook["url"].rstrip("/").endswith("/webhook")}
    found = 0
    for key in existing.keys() - known:
        project = existing[key]
        # Connecting a backend makes a webhook and chooses its predictions. Asked rarely: somebody else's is called as well.
        if (project.key.id not in hooked and not project.model_version) or not registry.may_ask(redis, key):
            continue
        standing = look(context, project)
        if standing.entry is not None:
            found += enqueue(redis, "reconcile", key, again=True) is not None
        elif not standing.sure:
            registry.ask_again(redis, key)
    removed = remove_gone(context, existing.keys())
    return f"found {counted(found, 'project')} at {host}" + (f", removed the files of {removed}" if removed else "")


def _existing(context: JobContext) -> dict[str, Project]:
    """All projects by their keys. Raises LabelStudioError when it is not Label Studio that answers: then none is gone."""
    try:
        return {str(each.key): each for each in context.studio.projects.all()}
    except LabelStudioMissing as error:
        raise LabelStudioError(error.message, "Check that LABEL_STUDIO_URL is the address of Label Studio.") from error


def _queue_renewed(context: JobContext, key: str, tasks: Sequence[int]) -> str | None:
    kind = "suggest" if registry.active_version(context.redis, key) is None else "predict"
    for task in tasks:
        enqueue(context.redis, kind, key, task, again=True)
    return f"{counted(len(tasks), 'task')} with another video to {kind}" if tasks else None


def _report_others(context: JobContext, key: str, standing: Standing) -> None:
    """Another model beside ours is the admin's choice; another Coldblitz makes versions of the same names."""
    told = [_TWO.format(other.url) for other in standing.others if is_ours(other.version)]
    registry.set_problems(context.redis, key, "connection", told)


def _report_settings(work: ProjectWork) -> None:
    known = registry.recall(work.context.redis, work.key)
    params = known.extra_params if known else None
    files = ModelFiles(
        training_choice.files(work.context.settings.data_dir), work.context.settings.custom_model is not None
    )
    conflicts = setting_conflicts(params, work.config, files)
    sentences = [*parse_project_settings(params)[1], *(each.sentence for each in conflicts)]
    for sentence in sentences:
        log.warning("project %s: %s", work.key, sentence)
    registry.set_problems(work.context.redis, work.key, "settings", sentences)
    # Told there by releases before this one.
    registry.set_problems(work.context.redis, work.key, "individuals", [])

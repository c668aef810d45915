"""Saves settings in Label Studio, as somebody has changed them on the project's page: there they are, and nowhere else."""

from __future__ import annotations

import time
from dataclasses import replace

from ml_backend.errors import ColdblitzError, LabelStudioError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.jobs.connection import look, not_ours
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import find_project
from ml_backend.labelstudio.connections import Connection
from ml_backend.labelstudio.projects import Project
from ml_backend.projects import registry, settings_changes
from ml_backend.projects.settings_changes import SettingsChange
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted

# Whoever looks at the model's page in Label Studio has it ask us, and then write back all that it knew of the model before.
_TRIES, _SETTLED_SECONDS = 5, 1.0
_OTHERS = "Nothing was saved: the extra params were changed in Label Studio meanwhile. Look at what they are now, and change them again."
_UNSURE = (
    "Label Studio stopped answering while it saved, so it is not known whether it did. Look at the settings again."
)
_MAY_NOT = (
    "Nothing was saved: the user of LABEL_STUDIO_API_KEY may not change the model of this project in Label Studio. Use "
    "a token of a user who may, or write the extra params there yourself."
)


@job
def configure(context: JobContext, project_key: str) -> str:
    """Saves the change that waits. What was changed in Label Studio meanwhile is not overwritten."""
    change = settings_changes.waiting(context.redis, project_key)
    if change is None:
        return "there is no change to save"
    try:
        project = find_project(context, project_key)
        entry = look(context, project).entry
        if entry is None:
            raise not_ours(project_key)
        saved = _save(context, project, entry, change)
    except ColdblitzError as error:
        said = error.said if isinstance(error, _NotSure) else f"Nothing was saved: {error.message} {error.remedy}"
        if isinstance(error, LabelStudioRefused) and "(403" in error.message:
            said = _MAY_NOT
        settings_changes.close(context.redis, project_key, change, "refused", said)
        raise
    if not saved:
        settings_changes.close(context.redis, project_key, change, "refused", _OTHERS)
        return "the extra params were changed in Label Studio meanwhile, so nothing was saved"
    said = f"Saved in Label Studio: {counted(len(change.names), 'setting')}."
    settings_changes.close(context.redis, project_key, change, "saved", said)
    # Its own /setup has told the web process already, unless that was away.
    enqueue(context.redis, "reconcile", project_key, again=True)
    return f"saved {counted(len(change.names), 'setting')}"


class _NotSure(LabelStudioError):
    """Label Studio went away between being asked to save and answering."""

    said = _UNSURE


def _save(context: JobContext, project: Project, entry: Connection, change: SettingsChange) -> bool:
    """Whether Label Studio has the settings now. A worker that is killed here leaves a job that runs again."""
    number, now = project.key.id, _params(context, project, entry)
    for _ in range(_TRIES):
        if _same(now, change.after) or not _same(now, change.before):
            break
        try:
            context.studio.backends.save_extra_params(number, entry.number, change.before, change.after)
        except LabelStudioUnreachable as error:
            try:
                now = _params(context, project, entry)
            except LabelStudioError:
                raise _NotSure(error.message, _UNSURE) from error
            if not _same(now, change.after):
                _note(context, project, now)
                raise
            break
        time.sleep(_SETTLED_SECONDS)
        now = _params(context, project, entry)
    _note(context, project, now)
    return _same(now, change.after)


def _same(params: object, others: object) -> bool:
    return (params or None) == (others or None)


def _params(context: JobContext, project: Project, entry: Connection) -> object:
    """The extra params as Label Studio has them now."""
    _, rows = context.studio.backends.beside_versions(project.key.id)
    return next((each.extra_params for each in rows if each.number == entry.number), None)


def _note(context: JobContext, project: Project, now: object) -> None:
    """Has the page show what Label Studio has, which calls /setup before it stores anything."""
    known = registry.recall(context.redis, str(project.key))
    if known is not None:
        registry.remember(context.redis, replace(known, extra_params=now))

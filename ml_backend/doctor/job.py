"""The jobs behind the dashboard's checks: what `coldblitz doctor` looks at, and what can be done about it without a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ml_backend.checks import Check
from ml_backend.doctor.machine_checks import check_codecs, failed_jobs
from ml_backend.doctor.project_checks import check_project
from ml_backend.errors import ColdblitzError, LabelStudioError, LabelStudioRefused, SettingsError
from ml_backend.jobs.connection import not_ours, renew_webhook
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import find_project
from ml_backend.labelstudio.access import check_label_studio, check_token
from ml_backend.labelstudio.label_config_edits import with_framerate, with_reviewed
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import check_reports, registry
from ml_backend.projects.check_reports import INSTALLATION, CheckReport, Repair
from ml_backend.projects.installation import check_disk, check_redis, check_text, check_weights, check_workers
from ml_backend.projects.settings_changes import mark_of
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted, quoted, rounded

_SECONDS = 10.0
_MAY_NOT = (
    "Not done: the user of LABEL_STUDIO_API_KEY may not change this project in Label Studio. Use a token of a user who "
    "may, or do it there yourself."
)


@job
def examine_installation(context: JobContext, host: str) -> str:
    """Checks what all projects stand on, as it looks from a worker."""
    report = check_reports.note(context.redis, INSTALLATION, _installation(context))
    return _told(report.states("fault"), report.states("warning"))


@job
def examine(context: JobContext, project_key: str) -> str:
    """Checks a project from end to end."""
    context.progress.report(10, "checking the project")
    report = _check(context, project_key)
    return _told(report.states("fault"), report.states("warning"))


@job
def mend(context: JobContext, project_key: str, fix: str) -> str:
    """Does in Label Studio what somebody has confirmed, and checks the project again."""
    repair = check_reports.waiting_repair(context.redis, project_key)
    if repair is None or repair.fix != fix:
        return "there is nothing to do"
    try:
        said = _mended(context, project_key, repair)
    except ColdblitzError as error:
        told = f"Not done: {error.message} {error.remedy}"
        if isinstance(error, LabelStudioRefused) and "(403" in error.message:
            told = _MAY_NOT
        check_reports.close_repair(context.redis, project_key, repair, "refused", told)
        raise
    check_reports.note_change(context.redis, project_key)
    check_reports.close_repair(context.redis, project_key, repair, "done", said)
    enqueue(context.redis, "reconcile", project_key, again=True)
    # That it is done stands, also when it cannot be checked.
    with suppress(LabelStudioError):
        _check(context, project_key)
    return said


def _check(context: JobContext, key: str) -> CheckReport:
    # What changes while it is looked at is looked at once more.
    about = check_reports.about(context.redis, key)
    found = list(check_project(context, context.redis, registry.number_of(key)))
    return check_reports.note(context.redis, key, found, about)


def _told(faults: int, warnings: int) -> str:
    return f"found {counted(faults, 'fault')} and {counted(warnings, 'warning')}"


def _installation(context: JobContext) -> Iterator[Check]:
    settings = context.settings
    reached = check_label_studio(settings.label_studio_url, _SECONDS)
    yield reached
    if reached.state != "fault":
        yield check_token(settings.label_studio_url, settings.label_studio_api_key, _SECONDS)
    # Loaded where it will be used; what is wrong with it is noted.
    with suppress(ColdblitzError):
        context.progress.report(30, "loading the backbone")
        _ = context.backbone
    yield check_weights(context.redis)
    yield check_text(context.redis, settings.text_model)
    yield check_redis(context.redis)
    yield check_workers(context.redis)
    yield failed_jobs(context.redis)
    yield check_disk(settings.data_dir)
    yield check_codecs()


def _mended(context: JobContext, key: str, repair: Repair) -> str:
    """Each is one request that changes something, so that none is half-done. Raises ColdblitzError."""
    project = find_project(context, key)
    if repair.fix in ("framerate", "reviewed"):
        return _edited(context, project, repair)
    if repair.fix == "webhook":
        url = renew_webhook(context, key, project.key.id)
        if url is None:
            raise not_ours(key)
        return f"Label Studio sends all events of this project to {url}."
    if repair.fix == "pin":
        return _pinned(context, key, project)
    raise SettingsError(f"There is no remedy called {quoted(repair.fix)}.", "Check again.")


def _edited(context: JobContext, project: Project, repair: Repair) -> str:
    number, xml = project.key.id, project.label_config
    if mark_of(xml) != repair.mark:
        raise SettingsError(
            "The label config was changed in Label Studio meanwhile.", "Check again, and look at what is proposed now."
        )
    if repair.fix == "reviewed":
        context.studio.projects.save_label_config(number, with_reviewed(xml))
        return "The label config has a choice “reviewed” now."
    if any(project.counts):
        raise SettingsError(
            "There are annotations already, and their frames would be counted at another rate.",
            "If they are for trying out only, delete them first. Otherwise leave the frame rate as it is.",
        )
    context.studio.projects.save_label_config(number, with_framerate(xml, repair.value))
    return f"The label config counts {rounded(float(repair.value))} frames per second now. Suggestions are made anew for them."


def _pinned(context: JobContext, key: str, project: Project) -> str:
    version = registry.active_version(context.redis, key) or KEYFRAMES_VERSION
    if not context.studio.predictions.versions(project.key.id).get(version, 0):
        raise SettingsError(
            f"No task has a prediction of {version} yet, so it cannot be shown.", "Wait for the jobs, and check again."
        )
    context.studio.projects.pin(project.key.id, version)
    return f"The label stream shows {version}."

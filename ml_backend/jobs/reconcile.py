"""Compares what Label Studio has with what was done for a project, and queues the difference."""

from __future__ import annotations

import base64
import logging

from ml_backend.errors import LabelConfigError, LabelStudioMissing
from ml_backend.jobs import projects
from ml_backend.jobs.custom_model import custom_file_of
from ml_backend.jobs.pinning import is_ours
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.queue import request
from ml_backend.jobs.retire import retire
from ml_backend.jobs.run import job, report
from ml_backend.jobs.worker_context import WorkerContext, worker_context
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.settings import parse_project_settings

log = logging.getLogger(__name__)


@job
def reconcile(project_key: str) -> str:
    """Queues suggestions, predictions and training that are missing; each asks again before it does anything."""
    context = worker_context()
    try:
        work = open_project(context, project_key)
    except LabelStudioMissing:
        projects.forget(context.redis, project_key)
        return "the project is gone from Label Studio"
    except LabelConfigError as error:
        projects.set_problems(context.redis, project_key, "label config", [str(error)])
        raise
    projects.set_problems(context.redis, project_key, "label config", [])
    _restore(context, work)
    _report_settings(context, project_key)
    _mend_webhook(context, work)
    version = projects.active_version(context.redis, project_key)
    kind, wanted = ("suggest", KEYFRAMES_VERSION) if version is None else ("predict", version)
    lacking = 0
    for task in context.client.tasks_lacking(work.id, wanted):
        report(0, f"looking at task {task.id}")
        lacking += request(context.redis, kind, project_key, task.id) is not None
    if custom_file_of(context, work) or context.client.has_annotations(work.id):
        # Whatever it failed of, a label config, a setting or a model file, may have been mended.
        request(context.redis, "train", project_key, again=True)
    retire(context, work)
    return f"{lacking} tasks to {kind}"


@job
def discover(host: str) -> str:
    """Reconciles the projects of Label Studio that show one of our versions and that Redis knows nothing of any more."""
    context = worker_context()
    known = set(projects.known_keys(context.redis))
    lost = [str(each.key) for each in context.client.projects() if is_ours(each.model_version)]
    found = [key for key in lost if key not in known]
    for key in found:
        request(context.redis, "reconcile", key, again=True)
    return f"found {len(found)} projects at {host}"


def _restore(context: WorkerContext, work: ProjectWork) -> None:
    """Finds again what Redis has lost: which version is active, and the extra params."""
    pinned = work.project.model_version
    if projects.active_version(context.redis, work.key) is None and is_ours(pinned) and pinned != KEYFRAMES_VERSION:
        projects.activate(context.redis, work.key, pinned)
    if projects.recall(context.redis, work.key) is None:
        # Listing the project's backends makes Label Studio call our /setup, which brings the extra params.
        context.client.backends(work.id)


def _report_settings(context: WorkerContext, key: str) -> None:
    known = projects.recall(context.redis, key)
    sentences = parse_project_settings(known.extra_params)[1] if known else ()
    for sentence in sentences:
        log.warning("project %s: %s", key, sentence)
    projects.set_problems(context.redis, key, "settings", sentences)


def _mend_webhook(context: WorkerContext, work: ProjectWork) -> None:
    """Label Studio makes the webhook itself, but not when its first attempt to connect was refused, and never with a login."""
    known = projects.recall(context.redis, work.key)
    if known is None or known.backend_url is None:
        return
    url, headers = f"{known.backend_url}/webhook", _login(context)
    ours = next((hook for hook in context.client.webhooks(work.id) if hook["url"].rstrip("/") == url), None)
    if ours is None:
        context.client.save_webhook(work.id, url, headers, None)
    elif headers and any((ours.get("headers") or {}).get(name) != value for name, value in headers.items()):
        context.client.save_webhook(work.id, url, {**(ours.get("headers") or {}), **headers}, ours["id"])


def _login(context: WorkerContext) -> dict[str, str]:
    user, password = context.settings.basic_auth_user, context.settings.basic_auth_pass
    if not user or not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

"""What is done when Label Studio has let go of us in a project: nothing more, and nothing is forgotten."""

from __future__ import annotations

import time
from dataclasses import replace

from ml_backend.jobs.webhooks import remove_webhooks
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Project
from ml_backend.projects import companions, links, overview, reconcile_state, registry
from ml_backend.queueing.interventions import drop_project

_TOLD = (
    "This project is disconnected in Label Studio: it is not trained, predicted, or changed. Its models are kept; "
    "to continue, connect it again (in Label Studio: project, Settings, Model, Connect Model)."
)


def take_leave(context: WorkerContext, project: Project) -> str:
    """Drops the jobs of a project without an ML backend entry that reaches us, takes our webhooks away and tells the admin.

    One that was never ours is forgotten, but for its files. Raises LabelStudioError.
    """
    redis, key = context.redis, str(project.key)
    link = links.recall(redis, key)
    drop_project(redis, key)
    if link is None:
        registry.forget(redis, key)
        overview.forget(redis, key)
        return "not connected to this backend"
    for number in (project.key.id, *_companion(context, key)):
        remove_webhooks(context, key, number)
    if link.connected:
        links.note(redis, key, replace(link, connected=False, doubted=False, since=time.time()))
    reconcile_state.drop(redis, key, *(name for name in reconcile_state.SEEN if name != "entries"))
    registry.set_problems(redis, key, "connection", [_TOLD], instead=True)
    return "disconnected in Label Studio"


def _companion(context: WorkerContext, key: str) -> tuple[int, ...]:
    known = companions.recall(context.redis, key)
    return () if known is None else (known.id,)

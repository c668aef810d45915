"""Queues the predictions that tasks lack: however many tasks there are, a bounded number of jobs waits at a time."""

from __future__ import annotations

from collections.abc import Mapping

from redis import Redis

from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue, scheduled, waiting

# A job is about 2 KB in Redis. When few are left the next ones are queued, so that no worker idles.
WINDOW, LOW = 400, 100
# Those that wait for a video's server to come back must not hold up the others, nor become too many.
_MOST_SCHEDULED = 2000
KINDS = ("suggest", "predict")


def queue_missing(work: ProjectWork, changed: str, tasks: int, stored: Mapping[str, int]) -> str | None:
    """Queues one job for each unannotated task without the prediction it should have, as far as there is room.

    `changed`: when a task changed last, `tasks`: their number, `stored`: predictions of each version; when none of these, nor the
    number of annotations, has changed since all that was missing had been queued, Label Studio is not asked. Returns
    what was done, if anything.
    """
    redis, version = work.context.redis, registry.active_version(work.context.redis, work.key)
    kind, wanted = ("suggest", KEYFRAMES_VERSION) if version is None else ("predict", version)
    begun = reconcile_state.get(redis, work.key, "cursor")
    after = begun[1] if begun and begun[0] == wanted else 0
    state = [wanted, changed, tasks, stored.get(wanted, 0), *work.project.counts]
    if not begun and reconcile_state.get(redis, work.key, "tasks") == state:
        return None
    room = WINDOW - waiting(redis, kind) if scheduled(redis, kind) < _MOST_SCHEDULED else 0
    asked = 0
    for task in work.context.client.tasks_lacking(work.id, wanted, after) if room > 0 else ():
        if asked == room:
            break
        asked += enqueue(redis, kind, work.key, task.id) is not None
        after = task.id
    else:
        if room > 0:
            reconcile_state.drop(redis, work.key, "cursor")
            reconcile_state.put(redis, work.key, "tasks", state)
            return f"{asked} tasks to {kind}" if asked else None
    reconcile_state.put(redis, work.key, "cursor", [wanted, after])
    return f"{asked} tasks to {kind}, more when these are done"


def ask_for_more(redis: Redis, kind: str, project: str) -> None:
    """To be called after each job of a kind: has the next ones queued when few are left."""
    if kind in KINDS and waiting(redis, kind) <= LOW and reconcile_state.get(redis, project, "cursor"):
        enqueue(redis, "reconcile", project, again=True)

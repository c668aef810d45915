"""Roll-outs that broke off are begun again, a few times also when they failed for good."""

from __future__ import annotations

from redis import Redis

from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue, last_failure

# What made one fail may have passed: a worker killed too often, a full memory, an answer that nobody expected.
_TRIES = 3
_TOLD = (
    "{version} is not shown: its roll-out failed {times} times, and is not retried automatically. The last error: "
    "{reason} When that is fixed, run `coldblitz models activate`."
)


def queue_rollout(redis: Redis, project: str) -> str | None:
    """Queues the roll-out of the version that is wanted and not active; returns what was done, if anything.

    The admin is told of one that goes on failing. One that was cancelled waits for the admin, or for a newer version.
    """
    wanted = registry.wanted_version(redis, project)
    if wanted is None or wanted == registry.active_version(redis, project):
        _forget(redis, project)
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


def _forget(redis: Redis, project: str) -> None:
    reconcile_state.drop(redis, project, "rollout")
    registry.set_problems(redis, project, "rollout", [])

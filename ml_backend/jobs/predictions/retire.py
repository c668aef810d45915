"""Deletes old predictions, late: one that somebody has open must stay, or Label Studio refuses to submit the task."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ml_backend.jobs.pinning import is_ours
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.records import projects, ready, task_order

# Nobody keeps a task open for longer than this.
GRACE_SECONDS = 24 * 3600
_KEPT = 2


def retired(pinned: dict[str, float], stored: set[str], now: float) -> list[str]:
    """Which of the `stored` versions may go: all but the last two pinned, once the newer of those was pinned a day ago.

    `pinned`: unix time at which each version was pinned. Suggestions and other models' versions always stay, and so
    does a version newer than the pinned ones, whose roll-out is perhaps under way.
    """
    ours = [version for version in stored if is_ours(version) and version != KEYFRAMES_VERSION]
    by_pin = sorted((version for version in ours if version in pinned), key=lambda version: pinned[version])
    if len(by_pin) < _KEPT or now - pinned[by_pin[-1]] < GRACE_SECONDS:
        return []
    kept = by_pin[-_KEPT:]
    newest = max(map(_number, kept))
    return sorted(v for v in ours if v not in kept and (v in pinned or _number(v) < newest))


def _number(version: str) -> int:
    return int(version.rpartition("-v")[2])


def retire(context: WorkerContext, work: ProjectWork, stored: Iterable[str]) -> None:
    """Deletes those of the `stored` versions that may go from Label Studio and from the files for `/predict`."""
    pinned = projects.pins(context.redis, work.key)
    for version in retired(pinned, set(stored), time.time()):
        context.client.delete_version(work.id, version)
        ready.delete(context.settings.data_dir, work.key, version)
        task_order.delete(context.settings.data_dir, work.key, version)

"""Deletes old predictions, late: one that somebody has open must stay, or Label Studio refuses to submit the task."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.version_names import is_ours
from ml_backend.projects import registry, stored_predictions, task_order
from ml_backend.provenance import ModelVersion

# Nobody keeps a task open for longer than this.
GRACE_SECONDS = 24 * 3600
_KEPT = 2


def retired(pinned: dict[str, float], stored: set[str], now: float, made: Collection[str] = ()) -> list[str]:
    """Which of the `stored` versions may go: all but the last two pinned, once the newer of those was pinned a day ago.

    `pinned`: unix time at which each version was pinned; `made`: those whose models are here. Suggestions and other models'
    versions always stay, be they named like ours, and so does a version newer than the pinned ones, whose roll-out is
    perhaps under way.
    """
    ours = [v for v in stored if is_ours(v) and v != KEYFRAMES_VERSION and (v in pinned or v in made)]
    by_pin = sorted((version for version in ours if version in pinned), key=lambda version: pinned[version])
    if len(by_pin) < _KEPT or now - pinned[by_pin[-1]] < GRACE_SECONDS:
        return []
    kept = by_pin[-_KEPT:]
    newest = max(map(_number, kept))
    return sorted(v for v in ours if v not in kept and (v in pinned or _number(v) < newest))


def _number(version: str) -> int:
    parsed = ModelVersion.parse(version)
    return parsed.number if parsed else 0


def retire(work: ProjectWork, stored: Mapping[str, int]) -> None:
    """Deletes those of the `stored` versions that may go from Label Studio and from the files for `/predict`."""
    pinned = registry.pins(work.context.redis, work.key)
    models = work.context.models_dir(work.key)
    made = {version for version in stored if is_ours(version) and (models / version).is_dir()}
    for version in retired(pinned, set(stored), time.time(), made):
        work.context.client.delete_version(work.id, version)
        stored_predictions.delete(work.context.settings.data_dir, work.key, version)
        task_order.delete(work.context.settings.data_dir, work.key, version)

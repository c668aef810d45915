"""Deletes old predictions, late: one that somebody has open must stay, or Label Studio refuses to submit the task. Second ones of the same
version, which two workers once stored beside each other, go too."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, is_ours
from ml_backend.projects import reconcile_state, registry, stored_predictions
from ml_backend.provenance import ModelVersion

log = logging.getLogger(__name__)

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
        work.context.studio.predictions.delete_version(work.id, version)
        stored_predictions.delete(work.context.settings.data_dir, work.key, version)
        stored_predictions.delete_order(work.context.settings.data_dir, work.key, version)


_AGAIN_SECONDS = 3600


def remove_doubles(work: ProjectWork, tasks: int, stored: Mapping[str, int]) -> int:
    """Deletes all but the newest prediction that a task has of a version made here; returns how many.

    Where somebody may have the task open, since the newest is younger than a day or there is a draft, all stay: Label Studio
    would refuse to submit it. `tasks`: their number, `stored`: predictions of each version; while these are as they were
    when it was looked last, Label Studio is not asked.
    """
    models = work.context.models_dir(work.key)
    ours = [name for name in stored if name == KEYFRAMES_VERSION or (is_ours(name) and (models / name).is_dir())]
    state = [[name, tasks, stored[name]] for name in ours]
    if reconcile_state.get(work.context.redis, work.key, "doubles") == state:
        return 0
    removed = left = 0
    for version in ours:
        # Label Studio counts those of cold-v12 as if they were of cold-v1.
        confused = any(version in other and other != version for other in stored)
        if not confused and stored[version] <= tasks - work.context.studio.predictions.number_lacking(work.id, version):
            continue
        for doubled in work.context.studio.predictions.doubled(work.id, version):
            *older, (_, newest) = doubled.predictions
            if doubled.has_draft or time.time() - newest < GRACE_SECONDS:
                left += len(older)
                continue
            for number, _ in older:
                work.context.studio.predictions.delete(number)
            removed += len(older)
    reconcile_state.put(work.context.redis, work.key, "doubles", state, seconds=_AGAIN_SECONDS if left else None)
    if removed:
        log.info("project %s: removed %d predictions that tasks had twice", work.key, removed)
    return removed

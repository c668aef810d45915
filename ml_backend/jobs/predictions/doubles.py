"""Second predictions of one version, which two workers once stored beside each other, are taken away, late."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from ml_backend.jobs.predictions.retire import GRACE_SECONDS
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.version_names import is_ours
from ml_backend.projects import reconcile_state

log = logging.getLogger(__name__)

# Those that had to stay are looked for again after so long.
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
        if not confused and stored[version] <= tasks - work.context.client.number_lacking(work.id, version):
            continue
        for doubled in work.context.client.doubled(work.id, version):
            *older, (_, newest) = doubled.predictions
            if doubled.has_draft or time.time() - newest < GRACE_SECONDS:
                left += len(older)
                continue
            for number, _ in older:
                work.context.client.delete_prediction(number)
            removed += len(older)
    reconcile_state.put(work.context.redis, work.key, "doubles", state, seconds=_AGAIN_SECONDS if left else None)
    if removed:
        log.info("project %s: removed %d predictions that tasks had twice", work.key, removed)
    return removed

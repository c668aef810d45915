"""What is queued because it is missing: predictions that tasks lack, a bounded number at a time, and model versions whose files the disk
has lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.learning.versions import delete_version
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue, scheduled, waiting, waiting_of
from ml_backend.wording import counted

log = logging.getLogger(__name__)


def is_whole(models: Path, version: str, load: Callable[[Path, str], object]) -> bool:
    """Whether `load` can read a version; one that it cannot is removed, and its number is not used again.

    Raises StorageError when the disk does not let it be removed.
    """
    try:
        load(models, version)
    except StorageError as error:
        log.warning("%s It is removed and made again.", error.message)
        if (models / version).is_dir():
            delete_version(models, version)
        return False
    return True


def make_again(redis: Redis, project: str) -> None:
    """To be called when a version that is needed cannot be read: has a training look at it."""
    reconcile_state.drop(redis, project, "trained")
    enqueue(redis, "train", project, again=True)


# A job is about 2 KB in Redis. When few are left the next ones are queued, so that no worker idles.
WINDOW, LOW = 400, 100
# Of its own every project may have a part of these, however many of others wait: their turns alternate.
_PART = 4
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
    room = room_for(redis, kind, work.key) if scheduled(redis, kind) < _MOST_SCHEDULED else 0
    asked = 0
    for task in work.context.studio.predictions.tasks_lacking(work.id, wanted, after) if room > 0 else ():
        if asked == room:
            break
        asked += enqueue(redis, kind, work.key, task.id) is not None
        after = task.id
    else:
        if room > 0:
            reconcile_state.drop(redis, work.key, "cursor")
            reconcile_state.put(redis, work.key, "tasks", state)
            return f"{counted(asked, 'task')} to {kind}" if asked else None
    reconcile_state.put(redis, work.key, "cursor", [wanted, after])
    return f"{counted(asked, 'task')} to {kind}, more when these are done"


def room_for(redis: Redis, kind: str, project: str) -> int:
    """How many more jobs of a kind a project may queue; below 1 where it has enough in line."""
    return max(WINDOW - waiting(redis, kind), WINDOW // _PART - waiting_of(redis, kind, project))


def is_low(redis: Redis, kind: str, project: str) -> bool:
    """Whether few jobs of a kind are in line, or few of this project."""
    return waiting(redis, kind) <= LOW or waiting_of(redis, kind, project) <= LOW // _PART


def ask_for_more(redis: Redis, kind: str, project: str) -> None:
    """To be called after each job of a kind: has the next ones queued when few are left, be it of this project alone."""
    begun = kind in KINDS and reconcile_state.get(redis, project, "cursor")
    begun = begun or (kind == "track" and reconcile_state.get(redis, project, "tracks") == "more")
    if begun and is_low(redis, kind, project):
        enqueue(redis, "reconcile", project, again=True)

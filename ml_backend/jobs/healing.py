"""Model versions whose files the disk has lost or damaged: made again from the annotations, without anybody's help."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.learning.versions import delete_version
from ml_backend.projects import reconcile_state
from ml_backend.queueing.queue import enqueue

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

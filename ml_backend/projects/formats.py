"""The numbers of the formats in which a data folder and a Redis keep what is stored, so that a newer release's are not misread.

A number goes up when an older release could not read, or would spoil, what a newer one writes. What was written before there were
numbers has the first format.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.projects.files import write_whole
from ml_backend.queueing.replies import text

DATA_FORMAT, REDIS_FORMAT = 1, 1
_FILE, _KEY = "format.json", "coldblitz:format"


def check_folder(data_dir: Path, *, note: bool = False) -> None:
    """Raises StorageError for a data folder that a newer release has written. `note`: gives one without a format this one."""
    found = _of_folder(data_dir)
    if found is None and note:
        # A folder that cannot be written says so where something is to be stored in it.
        with contextlib.suppress(StorageError):
            write_whole(data_dir / _FILE, json.dumps({"format": DATA_FORMAT}).encode(), "The format of the data folder")
    if found is not None and found > DATA_FORMAT:
        raise _newer(f"The data folder {data_dir}", found, DATA_FORMAT, "set DATA_DIR to another folder")


def check_redis(redis: Redis) -> None:
    """Notes the format of a Redis that has none yet. Raises StorageError for one that a newer release has written, RedisError."""
    redis.set(_KEY, REDIS_FORMAT, nx=True)
    stored = text(redis.get(_KEY) or str(REDIS_FORMAT))
    if stored.isdecimal() and int(stored) > REDIS_FORMAT:
        raise _newer("What Redis holds", int(stored), REDIS_FORMAT, "set REDIS_URL to another Redis")


def _of_folder(data_dir: Path) -> int | None:
    """None where none is noted, or it cannot be read."""
    try:
        return int(json.loads((data_dir / _FILE).read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _newer(what: str, found: int, known: int, otherwise: str) -> StorageError:
    return StorageError(
        f"{what} was written by a newer version of Coldblitz (format {found}; this version reads up to {known}).",
        f"Update Coldblitz, or {otherwise}.",
    )

"""How things are stored: files written whole or not at all, files of equal rows that belong to tasks, and the numbers of formats, so that
what another release has stored is not misread."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.processes import locked
from ml_backend.queueing.counters import text
from ml_backend.store import files

_Kind = TypeVar("_Kind")


def read_object(stored: Any) -> dict[str, Any]:
    """The JSON object that Redis has; empty when there is none, or nothing that can be read."""
    try:
        said = {} if stored is None else json.loads(text(stored))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def read_as(kind: type[_Kind], said: Mapping[str, Any]) -> _Kind | None:
    """A `kind` of dataclass from what was stored of one; None when that does not suffice."""
    try:
        return kind(**{field.name: said[field.name] for field in fields(kind) if field.name in said})  # type: ignore[arg-type]
    except TypeError:
        return None


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


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Puts `content` at `path`, whose folder is made. `what`: how the error begins. Raises StorageError."""
    try:
        files.write(path, content)
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error


Rows = NDArray[Any]
_GONE = -1
_TRIES = 5


def mapped_rows(path: Path, dtype: np.dtype[Any]) -> Rows:
    """(n,) of `dtype`, which has a field `task`, in no order; those with a `task` below 0 are gone. Empty without a file."""
    for _ in range(_TRIES):
        try:
            return _mapped(files.current(path), dtype)
        except OSError:
            break
        except ValueError:
            # It was cut off after its length was read.
            continue
    return np.zeros(0, dtype)


def _mapped(path: Path, dtype: np.dtype[Any], mode: Any = "r") -> Rows:
    try:
        # A row that a full disk cut off is none.
        number = path.stat().st_size // dtype.itemsize
    except FileNotFoundError:
        number = 0
    return np.memmap(path, dtype, mode, shape=(number,)) if number else np.zeros(0, dtype)


def put_rows(path: Path, dtype: np.dtype[Any], tasks: Collection[int], rows: Rows) -> None:
    """Puts these in place of all rows of `tasks`, whoever else does so at the same time. Raises OSError."""
    if files.shared(path) is None:
        if len(rows) or path.exists():
            with locked(path.with_name(".rows.lock")):
                _put(path, dtype, tasks, rows)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # What others may be reading is not changed in place: a changed copy takes its place everywhere.
    with files.exclusively(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".rows-") as made:
        copy = Path(made) / path.name
        if files.current(path).exists():
            shutil.copyfile(path, copy)
        _put(copy, dtype, tasks, rows)
        if copy.exists():
            files.put(copy, path)


def _put(path: Path, dtype: np.dtype[Any], tasks: Collection[int], rows: Rows) -> None:
    known = _mapped(path, dtype, "r+")
    known["task"][np.isin(known["task"], list(tasks))] = _GONE
    free = np.flatnonzero(known["task"] == _GONE)[: len(rows)]
    known[free] = rows[: len(free)]
    if len(rows) > len(free):
        with path.open("ab") as file:
            file.truncate(len(known) * dtype.itemsize)
            file.write(rows[len(free) :].tobytes())

"""The files of a data folder that all machines share. Without STORE_URL these are plain operations on the disk; with it, the folder is the
cache of the store that holds them, and what is written is there for all.

Which data folder is the cache of which store is a fact of the process, noted by `attach`, so that whoever has a path needs to know no more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ml_backend.errors import StoreUnreachable

if TYPE_CHECKING:
    from ml_backend.store.shared import SharedFolder

log = logging.getLogger(__name__)

_attached: dict[Path, Callable[[], SharedFolder]] = {}
_opened: dict[Path, SharedFolder] = {}
_failed: dict[Path, tuple[float, StoreUnreachable]] = {}
_opening = threading.Lock()
# A page with many files must not wait again for each of them.
_AWAY_SECONDS = 3.0


def attach(data_dir: Path, opened: Callable[[], SharedFolder] | None) -> None:
    """Makes a data folder the cache of what `opened` makes when it is first needed; None: it is no cache of anything."""
    _attached.pop(data_dir, None)
    _opened.pop(data_dir, None)
    _failed.pop(data_dir, None)
    if opened is not None:
        _attached[data_dir] = opened


def shared(path: Path) -> SharedFolder | None:
    """The folder with `path` in it, where it is the cache of a store. Raises SettingsError and what `SharedFolder` does."""
    root = _root(path)
    if root is None:
        return None
    with _opening:
        if root not in _opened:
            until, error = _failed.get(root, (0.0, None))
            if error is not None and time.monotonic() < until:
                raise StoreUnreachable(error.message, error.remedy)
            try:
                _opened[root] = _attached[root]()
            except StoreUnreachable as error:
                _failed[root] = time.monotonic() + _AWAY_SECONDS, error
                raise
        return _opened[root]


def is_shared(path: Path) -> bool:
    """Whether `path` is in the cache of a store, which is not asked for anything."""
    return _root(path) is not None


def _root(path: Path) -> Path | None:
    return next((root for root in _attached if path.is_relative_to(root)), None) if _attached else None


def current(path: Path) -> Path:
    """`path`, once the file there is what the installation has; nothing is there when it has none."""
    folder = shared(path)
    if folder is not None:
        folder.fetch(path)
    return path


def current_folder(path: Path) -> Path:
    """The same of a folder with all that is in it."""
    folder = shared(path)
    if folder is not None:
        folder.fetch_folder(path)
    return path


def exists(path: Path) -> bool:
    """Whether there is such a file, be it not here yet."""
    folder = shared(path)
    return path.exists() if folder is None else folder.exists(path)


def size_and_time(path: Path) -> tuple[int, float] | None:
    """How many bytes a file has, be it not here yet, and the unix time at which it was written; None without one."""
    folder = shared(path)
    if folder is not None:
        entry = folder.entry(path)
        return None if entry is None else (entry.bytes, entry.written)
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime


def has_folder(path: Path) -> bool:
    folder = shared(path)
    return path.is_dir() if folder is None else folder.has_folder(path)


def names(path: Path, beginning: str = "") -> list[str]:
    """Of the files and folders in a folder, in no order; none without a folder."""
    folder = shared(path)
    if folder is not None:
        return folder.names(path, beginning)
    try:
        return [name for name in os.listdir(path) if name.startswith(beginning)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def within(path: Path, ending: str) -> list[Path]:
    """The files of a folder whose names end so, by name."""
    return [path / name for name in sorted(names(path)) if name.endswith(ending) and not name.startswith(".")]


def fetched(paths: Collection[Path], *, partly: bool = False) -> Collection[Path]:
    """Those of `paths` that may be read, brought together. `partly`: without those that the store does not give now."""
    try:
        folder = shared(next(iter(paths))) if paths else None
        return paths if folder is None else sorted(folder.fetch_all(paths, partly=partly)[0])
    except StoreUnreachable as error:
        if not partly:
            raise
        log.warning("%s", error)
        return ()


def put(part: Path, path: Path) -> None:
    """Has the file `part`, on the same disk, take the place of `path`. Raises OSError."""
    folder = shared(path)
    if folder is None:
        os.replace(part, path)
    else:
        folder.put(part, path)


def put_folder(made: Path, path: Path) -> bool:
    """Has the folder `made`, on the same disk, be at `path`, whole at once; False when there is one. Raises OSError."""
    folder = shared(path)
    if folder is not None:
        return folder.put_folder(made, path)
    try:
        made.rename(path)
    except OSError:
        if path.exists():
            return False
        raise
    return True


def write(path: Path, content: bytes) -> None:
    """Puts `content` at `path`, whole or not at all; its folder is made. Raises OSError."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        put(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """A file that may be there. Raises OSError."""
    folder = shared(path)
    if folder is None:
        path.unlink(missing_ok=True)
    else:
        folder.remove(path)


def remove_folder(path: Path) -> None:
    """With all that is in it; what the disk keeps stays."""
    folder = shared(path)
    if folder is None:
        shutil.rmtree(path, ignore_errors=True)
    else:
        folder.remove_folder(path)


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """For what looks and then writes: one process at a time over all machines. Those of one machine wait by its own locks."""
    folder = shared(path)
    if folder is None:
        yield
    else:
        with folder.exclusively(path):
            yield

"""Folders with a file for each task, of which there may be a hundred thousand: which tasks have one, and which files say most. Imports
nothing heavy: the web reads it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.store import files

Row = TypeVar("Row")
# When a file was written (ns), its inode, how many rows it has, and what the best of them is worth.
_Measured = tuple[int, int, int, float]
# Of so many folders it is remembered what is in them: 8 bytes a task, and 200 bytes a file that says something.
_MOST_FOLDERS = 1024
# A folder that has changed just now may change again without looking changed: its time is no more exact than the kernel's tick.
_SETTLED_NS = 2_000_000_000

_listed: dict[Path, tuple[int, NDArray[np.int64]]] = {}
_measured: dict[Path, dict[str, _Measured]] = {}
_best: dict[tuple[Path, int], tuple[int, list[Any], int]] = {}


def tasks_with_file(folder: Path) -> NDArray[np.int64]:
    """The tasks, ascending, that have a file `<task>.json` there; none where there is no such folder."""
    if files.shared(folder) is not None:
        return _numbered(files.names(folder))
    try:
        changed = folder.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return np.zeros(0, np.int64)
    known = _listed.get(folder)
    if known is not None and known[0] == changed:
        return known[1]
    found = _numbered(files.names(folder))
    if time.time_ns() - changed > _SETTLED_NS:
        _make_room(_listed)
        _listed[folder] = changed, found
    return found


def best_of(
    folder: Path, read: Callable[[Path], Sequence[Row]], worth: Callable[[Row], float], most: int
) -> tuple[list[Row], int]:
    """Those `most` rows of all files `*.json` there that are worth most, and how many rows there are.

    `read` gives the rows of a file. Only files that have changed since the last time are read, and those of the rows that are
    returned; where machines share a store, all are.
    """
    if files.shared(folder) is not None:
        rows = [row for path in files.fetched(files.within(folder, ".json")) for row in read(path)]
        return nlargest(most, rows, key=worth), len(rows)
    try:
        changed = folder.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return [], 0
    known = _best.get((folder, most))
    if known is not None and known[0] == changed:
        return list(known[1]), known[2]
    measured = _measure(folder, read, worth)
    # The best rows are in as many files at most.
    chosen = nlargest(most, sorted(measured), key=lambda name: measured[name][3])
    best = nlargest(most, (row for name in sorted(chosen) for row in read(folder / name)), key=worth)
    number = sum(rows for _, _, rows, _ in measured.values())
    if time.time_ns() - changed > _SETTLED_NS:
        _make_room(_best)
        _best[folder, most] = changed, best, number
    return list(best), number


def _measure(
    folder: Path, read: Callable[[Path], Sequence[Row]], worth: Callable[[Row], float]
) -> dict[str, _Measured]:
    before, now = _measured.get(folder, {}), dict[str, _Measured]()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".json") or entry.name.startswith("."):
                continue
            # One may be deleted meanwhile.
            with contextlib.suppress(FileNotFoundError):
                state = entry.stat()
                known = before.get(entry.name)
                if known is None or known[:2] != (state.st_mtime_ns, state.st_ino):
                    rows = read(folder / entry.name)
                    known = state.st_mtime_ns, state.st_ino, len(rows), max(map(worth, rows), default=0.0)
                now[entry.name] = known
    _make_room(_measured)
    _measured[folder] = now
    return now


def _numbered(names: Iterable[str]) -> NDArray[np.int64]:
    numbers = (name[:-5] for name in names if name.endswith(".json"))
    return np.sort(np.array([int(number) for number in numbers if number.isdecimal()], np.int64))


def _make_room(known: dict[Any, Any]) -> None:
    if len(known) >= _MOST_FOLDERS:
        known.clear()

"""Files of equal rows that belong to tasks, mapped rather than read; room that becomes free is used again.

One process at a time writes to a file; whoever reads it meanwhile may see a task's rows half replaced.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
_GONE = -1


def mapped(path: Path, dtype: np.dtype[Any], mode: Any = "r") -> Rows:
    """(n,) of `dtype`, which has a field `task`, in no order; those with a `task` below 0 are gone. Empty without a file."""
    try:
        # A row that a full disk cut off is none.
        number = path.stat().st_size // dtype.itemsize
        return np.memmap(path, dtype, mode, shape=(number,)) if number else np.zeros(0, dtype)
    except OSError:
        return np.zeros(0, dtype)


def put(path: Path, dtype: np.dtype[Any], tasks: Collection[int], rows: Rows) -> None:
    """Puts these in place of all rows of `tasks`. The folder must be there. Raises OSError."""
    known = mapped(path, dtype, "r+")
    known["task"][np.isin(known["task"], list(tasks))] = _GONE
    free = np.flatnonzero(known["task"] == _GONE)[: len(rows)]
    known[free] = rows[: len(free)]
    if len(rows) > len(free):
        with path.open("ab") as file:
            file.truncate(len(known) * dtype.itemsize)
            file.write(rows[len(free) :].tobytes())

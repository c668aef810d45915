"""How long an index of a project's pictures takes to build and to ask, what it holds in memory, and what it misses."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sampling.vector_codes import CellIndex

SIZES = (10_000, 100_000, 1_000_000)
DIMENSIONS = 64
LEAST = 0.98
# Pictures of a scene are closer to each other than to those of other scenes; queries are re-encoded pictures of the index.
_PER_SCENE = 50
_SPREAD, _COPY = 0.35, 0.012
_QUERIES, _AT_ONCE = 500, 10


def index(sizes: Sequence[int] = SIZES) -> dict[str, dict[str, float]]:
    """By size `build_seconds`, `query_ms` of ten pictures asked about together, `rss_mib` that it holds, and `recall`:
    the share of pictures of which the index finds the one that they are a copy of."""
    report: dict[str, dict[str, float]] = {}
    for size in sizes:
        # A process of its own for each: memory that was used before would hide what is used now.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            report[str(size)] = pool.apply(_measured, (size,))
    return report


def _measured(size: int) -> dict[str, float]:
    rows, copied, queries = _pictures(size)
    before = _held_mib()
    start = time.perf_counter()
    built = CellIndex.build(rows)
    build_seconds = time.perf_counter() - start
    rss = _held_mib() - before
    found = np.zeros(len(queries), bool)
    start = time.perf_counter()
    for at in range(0, len(queries), _AT_ONCE):
        for asked, position, _ in built.within(queries[at : at + _AT_ONCE], LEAST):
            found[at + asked[position == copied[at + asked]]] = True
    query_ms = 1000 * (time.perf_counter() - start) * _AT_ONCE / len(queries)
    return {
        "build_seconds": build_seconds,
        "query_ms": query_ms,
        "rss_mib": rss,
        "recall": float(found[np.einsum("nd,nd->n", queries, rows[copied]) >= LEAST + 0.005].mean()),
    }


def _pictures(size: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    """(n, d) unit rows, the positions of some of them, and copies of those."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((-(-size // _PER_SCENE), DIMENSIONS), np.float32).repeat(_PER_SCENE, axis=0)[:size]
    rows += np.float32(_SPREAD) * rng.standard_normal(rows.shape, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    copied = rng.choice(size, min(_QUERIES, size), replace=False)
    queries = rows[copied] + np.float32(_COPY) * rng.standard_normal((len(copied), DIMENSIONS), np.float32)
    return rows, copied, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def _held_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20

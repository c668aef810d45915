"""An index of embeddings that finds all rows above a cosine without comparing every two: cells around centres.

An inverted file (Sivic and Zisserman, "Video Google", 2003) with cells of k-means centres, of which a search visits those
whose border is near. Pictures of videos lie in tight bunches, in which graphs of neighbours lose their way;
docs/duplicates.md compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sampling.candidates import unit

Floats = NDArray[np.float32]
Found = tuple[NDArray[np.intp], NDArray[np.intp], Floats]

_ROWS = 8192
_ASKED = 2048
_ROUNDS = 4
_TAUGHT = 24  # rows for each centre
# How much of the distance between two rows may lie along one direction. At 1 nothing could be missed, but in dozens of
# dimensions the directions share it; no row was missed at 0.3 by those of benchmarks/sampling/index.py.
_ALONG = 0.5
# What rounding to a byte does to a cosine at most, nearly always.
_ROUNDING = 0.002


@dataclass(frozen=True, eq=False)
class CellIndex:
    """`centres`: (c, d). `order`: (n,) positions, cell by cell; cell i is order[starts[i]:starts[i + 1]]. `codes`: (n, d)
    int8 in that order, each row scaled by its own `scale` (n,)."""

    centres: Floats
    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    codes: NDArray[np.int8]
    scale: Floats

    @classmethod
    def build(cls, rows: NDArray[np.floating], cells: int | None = None, seed: int = 0) -> CellIndex:
        """From (n, d) unit rows of any float type, with about twice the square root of n cells unless it is said how many."""
        count = len(rows)
        wanted = min(max(int(cells or 2 * count**0.5), 1), max(count, 1))
        centres = _centres(rows, wanted, np.random.default_rng(seed))
        own = np.concatenate([_nearest(piece, centres) for _, piece in _pieces(rows)] or [np.zeros(0, np.intp)])
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], np.arange(len(centres) + 1))
        codes = np.empty((count, rows.shape[1]), np.int8)
        scale = np.empty(count, np.float32)
        for at in range(0, count, _ROWS):
            codes[at : at + _ROWS], scale[at : at + _ROWS] = as_bytes(rows[order[at : at + _ROWS]])
        return cls(centres, order, starts, codes, scale)

    def __len__(self) -> int:
        return len(self.order)

    def within(self, queries: NDArray[np.floating], least: float) -> Iterator[Found]:
        """All pairs of a query, a row of the index and their cosine, where it is `least` or more, in pieces.

        `queries`: (q, d) unit rows. A row of a cell lies on its centre's side of the plane between that centre and any
        other; so a cell is visited only by queries that are as near to that plane as rows are likely to be apart across it.
        """
        if not len(self.centres):
            return
        apart = _ALONG * float(np.sqrt(max(2 - 2 * (least - _ROUNDING), 0)))
        for start, piece in _pieces(queries, _ASKED):
            distance = _squared(piece, self.centres)
            own = distance.argmin(axis=1)
            between = np.sqrt(np.maximum(_squared(self.centres[own], self.centres), 0))
            visits = distance - distance.min(axis=1, keepdims=True) <= 2 * apart * between
            cell, asked = np.nonzero(visits.T)
            edges = np.searchsorted(cell, np.arange(len(self.centres) + 1))
            for number in np.unique(cell):
                mine = asked[edges[number] : edges[number + 1]]
                yield from self._in_cell(int(number), start, mine, piece, least)

    def _in_cell(
        self, number: int, start: int, asked: NDArray[np.intp], piece: Floats, least: float
    ) -> Iterator[Found]:
        first, end = int(self.starts[number]), int(self.starts[number + 1])
        for at in range(first, end, _ROWS):
            rows = from_bytes(self.codes[at : min(at + _ROWS, end)], self.scale[at : min(at + _ROWS, end)])
            cosine = piece[asked] @ rows.T
            query, found = np.nonzero(cosine >= least)
            if len(query):
                yield start + asked[query], self.order[at + found], cosine[query, found]


def as_bytes(rows: NDArray[np.floating]) -> tuple[NDArray[np.int8], Floats]:
    """(n, d) rows as int8 and the (n,) float32 by which each is to be multiplied; of zeros 1."""
    largest = np.abs(rows).max(axis=1, initial=0).astype(np.float32)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(rows / scale[:, None]).astype(np.int8), scale


def from_bytes(codes: NDArray[np.int8], scale: Floats) -> Floats:
    """(n, d) float32."""
    return np.asarray(codes.astype(np.float32) * scale[:, None], np.float32)


def projected(rows: NDArray[np.floating], dimensions: int = 64) -> Floats:
    """(n, d) rows on `dimensions` random directions, the same ones for ever, as unit rows: cosines are kept but for noise.

    Johnson and Lindenstrauss, 1984: a distance is off by about 1 / sqrt(2 dimensions) of itself.
    """
    directions = np.random.default_rng(20_090_115).standard_normal((rows.shape[1], dimensions)).astype(np.float32)
    return unit(rows.astype(np.float32) @ directions)


def _centres(rows: NDArray[np.floating], wanted: int, rng: np.random.Generator) -> Floats:
    """Lloyd's algorithm on some of the rows."""
    some = np.sort(rng.permutation(len(rows))[: _TAUGHT * wanted])
    taught = rows[some].astype(np.float32)
    centres = taught[rng.permutation(len(taught))[:wanted]]
    for _ in range(_ROUNDS if len(taught) else 0):
        own = np.concatenate([_nearest(piece, centres) for _, piece in _pieces(taught)])
        order = np.argsort(own, kind="stable")
        held, starts = np.unique(own[order], return_index=True)
        sums = np.add.reduceat(taught[order], starts, axis=0)
        centres[held] = sums / np.diff(np.append(starts, len(order)))[:, None]
    return np.asarray(centres, np.float32)


def _nearest(rows: NDArray[np.floating], centres: Floats) -> NDArray[np.intp]:
    return np.asarray(_squared(rows, centres).argmin(axis=1), np.intp)


def _squared(rows: NDArray[np.floating], centres: Floats) -> Floats:
    """(n, c) squared distances."""
    mine = rows.astype(np.float32)
    lengths = np.einsum("nd,nd->n", mine, mine)[:, None]
    return np.asarray(lengths - 2 * (mine @ centres.T) + np.einsum("cd,cd->c", centres, centres), np.float32)


def _pieces(rows: NDArray[np.floating], size: int = _ROWS) -> Iterator[tuple[int, Floats]]:
    for start in range(0, len(rows), size):
        yield start, rows[start : start + size].astype(np.float32)

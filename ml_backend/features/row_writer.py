"""The last step of embedding: adds motion to the embedded frames, in order, and writes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.flow import flow
from ml_backend.features.motion import REACH, motion
from ml_backend.features.selection import Interval, Rows
from ml_backend.features.store import EntryWriter
from ml_backend.video.decode import Picture

_CHUNK = 256


class RowWriter:
    """Takes the intervals of a video in order and writes the rows of their embedded frames.

    Holds as many frames as motion reaches back and ahead, and embeddings up to one embedded frame beyond.
    """

    def __init__(self, writer: EntryWriter) -> None:
        self._writer = writer
        self._start = 0  # position of the first grey picture held
        self._next = 0  # the first position not written yet
        self._grey: list[NDArray[np.uint8]] = []
        self._rows: dict[int, Rows] = {}
        self._indices: dict[int, int] = {}

    def begin(self, first: Picture) -> None:
        """The video's first frame."""
        self._indices[0] = first.index
        self._grey.append(first.grey[None])
        self._writer.append_flow(np.array([first.index], np.int64), flow(first.soft[None], np.zeros(1, np.int64)))

    def add(self, interval: Interval) -> None:
        self._grey.append(interval.grey[1:])
        self._writer.append_flow(interval.flow_frames, interval.flow)
        self._rows.update(interval.rows)
        self._indices.update({p: int(interval.indices[p - interval.first]) for p in interval.rows})
        have = interval.first + len(interval.indices)
        if have - self._next > _CHUNK + REACH:
            self._write(have - REACH)

    def finish(self, only: Rows | None) -> None:
        """Writes what is left; `only` is the row of a video of a single frame."""
        if only is not None:
            self._rows[0] = only
        have = self._start + sum(map(len, self._grey))
        self._write(have)

    def _write(self, stop: int) -> None:
        grey = np.concatenate(self._grey)
        held = np.array(sorted(self._rows))
        appearance = np.stack([self._rows[position]["appearance"] for position in held])
        moved = motion(grey, held - self._start, appearance)
        writing = held[(held >= self._next) & (held < stop)]
        rows = [self._rows[position] for position in writing]
        blocks = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        self._writer.append(
            np.array([self._indices[position] for position in writing], np.int64),
            {**blocks, "motion": moved[writing - self._start]},
        )
        self._next = stop
        keep = int(held[held <= max(stop - REACH, 0)][-1])
        self._grey = [grey[keep - self._start :]]
        self._start = keep
        for position in held[held < keep].tolist():
            del self._rows[position], self._indices[position]

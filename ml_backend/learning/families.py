"""Feature families: ways to turn a video's embeddings and the flow of its frames into rows that a linear head can separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import Flow, VideoFeatures
from ml_backend.features.flow import COLUMNS, GLOBAL, LOCAL, STEPS
from sampling.diverse import principal

Floats = NDArray[np.float32]

# Widths in rows, which are every second frame.
_BRIEF = 3
_WINDOWS = (1, 5, 13)
_SIDES = (4, 10)
# Of what `_seen` gives, what is about the subject rather than the camera; and what of it has a sign.
_OWN = np.arange(3, 10)
_SEEN_SIGNED = np.array([True, True, False, False, True, True, False, True, True, False, True, True, False])
# An amount that is nothing yet.
_LITTLE = 0.002


class _Column(NamedTuple):
    """Some columns of `moves`. `part`: `brief`, `whole` or `cells`. `signed`: those whose 0 is "none" in every video."""

    part: str
    rows: Floats
    signed: NDArray[np.bool_]


def moves(flow: Flow) -> Floats:
    """(r, d) float32: speed, direction, turning, spreading over several windows, their change from before to after, and how
    each part of the picture moves.
    """
    return np.concatenate([column.rows for column in _columns(np.asarray(flow.rows, np.float32))], axis=1)


@cache
def columns_of(part: str) -> NDArray[np.intp]:
    """The columns of `moves` that are its `brief`, what a few answers can be learnt by, or all that is about the `whole`
    picture, or about `all` of it and its cells."""
    parts = {"brief": ("brief",), "whole": ("brief", "whole"), "all": ("brief", "whole", "cells")}[part]
    return np.flatnonzero(np.concatenate([np.full(len(each.signed), each.part in parts) for each in _layout()]))


@cache
def signed_columns() -> NDArray[np.bool_]:
    """(d,) the columns of `moves` that are a direction or a change."""
    return np.concatenate([column.signed for column in _layout()])


@cache
def _layout() -> list[_Column]:
    return _columns(np.zeros((1, len(STEPS) * COLUMNS), np.float32))


def _columns(rows: Floats) -> list[_Column]:
    found = []
    for at in range(len(STEPS)):
        step = rows[:, at * COLUMNS : (at + 1) * COLUMNS]
        whole, cells = step[:, :GLOBAL], step[:, GLOBAL:]
        mass, velocity = whole[:, 2:3], whole[:, 8:10]
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        camera = whole[:, :2]
        shake = np.linalg.norm(camera, axis=1, keepdims=True)
        summed = np.concatenate(
            [camera, shake, mass, whole[:, 3:8], mass * velocity, mass * speed, whole[:, 10:], velocity, speed], axis=1
        )
        total = _summed(summed)
        found.append(_Column("brief", _seen(_centred(total, _BRIEF))[:, _OWN], _SEEN_SIGNED[_OWN]))
        before, after = _sides(total, _BRIEF)
        moved = (_place(after) - _place(before))[:, :3]
        way = np.linalg.norm(moved[:, :2], axis=1, keepdims=True)
        found.append(_Column("brief", np.concatenate([moved, way], axis=1), np.array([True] * 3 + [False])))
        for window in _WINDOWS:
            found.append(_Column("whole", _seen(_centred(total, window)), _SEEN_SIGNED))
        for side in _SIDES:
            before, after = _sides(total, side)
            changed = np.concatenate([_place(after) - _place(before), (_seen(after) - _seen(before))[:, 3:7]], axis=1)
            found.append(_Column("whole", changed, np.ones(8, bool)))
        parts = _summed(cells)
        amounts = np.arange(LOCAL) < LOCAL // 3
        found += [_Column("cells", _centred(parts, window), ~amounts) for window in _WINDOWS[1:]]
    return found


def _seen(mean: Floats) -> Floats:
    """(r, 13): the camera (3), how much moves, its velocity and speed, spreading, turning, extent, and mean velocity."""
    mass = mean[:, 3:4] + _LITTLE
    extent = _place(mean)[:, 2:]
    return np.concatenate(
        [mean[:, :3], np.sqrt(mass), mean[:, 9:12] / mass, mean[:, 12:14] / mass, extent[:, :1], mean[:, 14:17]], axis=1
    )


def _place(mean: Floats) -> Floats:
    """(r, 4): where what moves is (x, y), how far it extends, and how much longer than high it is."""
    mass = mean[:, 3:4] + _LITTLE
    centre = mean[:, 4:6] / mass
    spread = np.maximum(mean[:, 6:8] / mass - centre**2, 0)
    extent = np.sqrt(spread)
    return np.concatenate([centre, extent.sum(axis=1, keepdims=True), extent[:, :1] - extent[:, 1:]], axis=1)


def _summed(rows: Floats) -> NDArray[np.float64]:
    return np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])


def _mean(total: NDArray[np.float64], first: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
    return np.asarray((total[stop] - total[first]) / (stop - first)[:, None], np.float32)


def _centred(total: NDArray[np.float64], window: int) -> Floats:
    """Means of windows around each row, shifted inward at the ends."""
    count = len(total) - 1
    width = min(window, count)
    first = np.clip(np.arange(count) - width // 2, 0, count - width)
    return _mean(total, first, first + width)


def _sides(total: NDArray[np.float64], side: int) -> tuple[Floats, Floats]:
    """Means of the rows before and after each, both with the row itself."""
    count = len(total) - 1
    every = np.arange(count)
    return (
        _mean(total, np.maximum(every - side, 0), every + 1),
        _mean(total, every, np.minimum(every + side + 1, count)),
    )


View = Literal["raw", "centred", "standardised", "shared"]
# By block, the mean and the spread (d,) of a project's frames.
Reference = Mapping[str, tuple[Floats, Floats]]


class Part(NamedTuple):
    blocks: tuple[str, ...]
    view: View
    scale: float = 1.0


class Family(NamedTuple):
    name: str
    parts: tuple[Part, ...]

    @property
    def moving(self) -> bool:
        """Whether it is about movement alone, so that its rows are those of `flow`."""
        return all(block in FLOW for part in self.parts for block in part.blocks)


# Rows are made and used in pieces of this many, which stay in the processor's cache.
CHUNK = 512

LAYERS = ("appearance", "middle", "early")
# How things move: all of it, what of it speaks of the picture as a whole, and the little that a few answers can be learnt by.
FLOW = {"flow": "all", "flow.whole": "whole", "flow.brief": "brief"}

SCENE = Family("scene", (Part(LAYERS, "standardised"), Part(("motion",), "standardised", 0.3)))
APPEARANCE = Family("appearance", (Part(("appearance",), "raw"), Part(("early",), "standardised")))
SHAPE = Family("shape", (Part(("middle",), "standardised"), Part(("early",), "standardised")))
PLAIN = Family("plain", (Part(("appearance",), "raw"),))
SHARED = Family("shared", (Part(LAYERS, "shared"),))
BRIEF = Family("brief", (Part(("flow.brief",), "shared"),))
MOVES = Family("moves", (Part(("flow.whole",), "shared"),))
WHERE = Family("where it moves", (Part(("flow",), "shared"),))


class Views:
    """The rows of one video; what is constant in it is measured once.

    `reference`: of the project's videos, without which *shared* is the video's own. `kept`: rows are made once, for those
    who ask many times; all families' are 25 kB a frame, and they must not be written to.
    """

    def __init__(self, features: VideoFeatures, reference: Reference | None = None, *, kept: bool = False) -> None:
        self.features = features
        self._reference = reference or {}
        self._measured: dict[str, tuple[Floats, Floats]] = {}
        self.kept = kept
        self._rows: dict[str, Floats] = {}
        self._pieces: dict[str, tuple[tuple[int | None, int | None], Floats]] = {}

    def __len__(self) -> int:
        return len(self.features.frames)

    def grid(self, family: Family) -> NDArray[np.int64]:
        """(m,) ascending frame indices of which the family has rows."""
        flow = self.features.flow
        return flow.frames if family.moving and flow is not None else self.features.frames

    def rows(self, family: Family, at: slice | NDArray[np.int64] = slice(None)) -> Floats:
        """(k, d) float32 rows of unit length, or of about that where they are about movement, at positions `at` of its grid."""
        if not self.kept:
            return self._made(family, at)
        if family.name not in self._rows:
            self._rows[family.name] = self._made(family, slice(None))
        return self._rows[family.name][at]

    def _made(self, family: Family, at: slice | NDArray[np.int64]) -> Floats:
        """Written in their place one after the other, since new arrays of this size cost more than what is calculated."""
        blocks = [[self._block(name, at) for name in part.blocks] for part in family.parts]
        widths = [[block.shape[1] for block in part] for part in blocks]
        found = np.empty((len(blocks[0][0]), sum(map(sum, widths))), np.float32)
        start = 0
        for part, own in zip(family.parts, blocks, strict=True):
            first = start
            for name, block in zip(part.blocks, own, strict=True):
                place = found[:, start : (start := start + block.shape[1])]
                self._view(name, part.view, block, place)
            # The length of a row of movement says how much there is.
            if part.blocks[0] not in FLOW:
                _to_length(found[:, first:start], part.scale)
            elif part.scale != 1:
                found[:, first:start] *= np.float32(part.scale)
        if len(family.parts) > 1:
            _to_length(found)
        return found

    def statistics(self, name: str) -> tuple[Floats, Floats]:
        """(d,) mean and spread of the video's own frames, each counting for those around it."""
        if name not in self._measured:
            block = self.moves if name == "flow" else self.features.blocks[name]
            share = self._share if name != "flow" else np.full(len(block), 1 / max(len(block), 1), np.float32)
            mean, squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])
            for start in range(0, len(block), CHUNK):
                rows = block[start : start + CHUNK].astype(np.float32)
                some = share[start : start + CHUNK]
                mean += some @ rows
                squares += np.einsum("n,nd,nd->d", some, rows, rows)
            if name == "flow" and self.features.flow is not None:
                mean[signed_columns()] = 0
            spread = np.sqrt(np.maximum(squares - mean**2, 0))
            # A feature that hardly moves is noise; the floor keeps it from being blown up.
            floor = 1e-3 * float(np.sqrt((spread**2).mean())) + 1e-8
            self._measured[name] = (mean.astype(np.float32), (spread + floor).astype(np.float32))
        return self._measured[name]

    @cached_property
    def moves(self) -> Floats:
        """(r, d) how things move; nothing where it was never measured."""
        flow = self.features.flow
        return moves(flow) if flow is not None else np.zeros((len(self), 1), np.float32)

    @cached_property
    def _share(self) -> Floats:
        # Frames are embedded more densely where the picture moves; each counts for the frames around it.
        frames = self.features.frames
        shown = np.gradient(frames.astype(np.float64)) if len(frames) > 1 else np.ones(1)
        return np.asarray(shown / shown.sum(), np.float32)

    def _block(self, name: str, at: slice | NDArray[np.int64]) -> Floats:
        """(k, d) as measured, which several families ask for in turn: the last piece of each is kept. Not to be written to."""
        if name in FLOW:
            return self._flow(name, at)
        if not isinstance(at, slice) or at.stop is None:
            return self.features.blocks[name][at].astype(np.float32)
        piece = (at.start, at.stop)
        if self._pieces.get(name, ((), None))[0] != piece:
            self._pieces[name] = piece, self.features.blocks[name][at].astype(np.float32)
        return self._pieces[name][1]

    def _view(self, name: str, view: View, block: Floats, place: Floats) -> None:
        """Writes a block as it is viewed into `place`."""
        if name in FLOW or view == "raw":
            place[:] = block
            return
        mean, spread = self._reference.get(name) or self.statistics(name) if view == "shared" else self.statistics(name)
        np.subtract(block, mean, out=place)
        if view != "centred":
            place *= 1 / spread

    def _flow(self, name: str, at: slice | NDArray[np.int64]) -> Floats:
        rows = self.moves[at]
        mean, spread = self._reference.get("flow") or self.statistics("flow")
        if self.features.flow is not None:
            columns = columns_of(FLOW[name])
            rows, mean, spread = rows[:, columns], mean[columns], spread[columns]
        # What is rare and large must not drown what is common and small.
        return np.asarray(np.arcsinh((rows - mean) / spread) / np.sqrt(np.float32(rows.shape[1])), np.float32)


class InSpan(Views):
    """Rows as their places (k, r) in the directions of `spans` (d, r), by family. What lies in these has the same product with
    them as with the rows themselves, so heads that were fitted to such places say the same of them, in a fraction of the time.
    """

    def __init__(
        self, features: VideoFeatures, reference: Reference | None, spans: Mapping[str, Floats], *, kept: bool = False
    ) -> None:
        super().__init__(features, reference, kept=kept)
        self._spans = spans

    def _made(self, family: Family, at: slice | NDArray[np.int64]) -> Floats:
        return super()._made(family, at) @ self._spans[family.name]


def _to_length(rows: Floats, length: float = 1.0) -> None:
    """Makes rows (k, d) so long, in place; those of zeros stay."""
    now = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    rows *= (np.float32(length) / np.maximum(now, 1e-9))[:, None]


def reference_of(videos: Sequence[Views]) -> Reference:
    """The mean and the spread of the frames of all of these videos, each video counting the same."""
    found: dict[str, tuple[Floats, Floats]] = {}
    flows = all(video.features.flow is not None for video in videos)
    for name in (*LAYERS, *(("flow",) if flows else ())):
        means, spreads = (np.stack(each) for each in zip(*(video.statistics(name) for video in videos), strict=True))
        mean = means.mean(axis=0)
        spread = np.sqrt((spreads**2 + (means - mean) ** 2).mean(axis=0))
        found[name] = (mean.astype(np.float32), spread.astype(np.float32))
    return found


# Components that are kept of looks and of movement when frames are chosen: what there is beside them is noise.
_LOOKS, _MOVEMENT = 32, 8


def scene_rows(features: VideoFeatures) -> Floats:
    """(m, d) what to choose frames to label by: how they look and how things move there, both counting the same.

    Their distances are to be taken as they are.
    """
    views = Views(features)
    looks = _of_spread_one(views.rows(SCENE), _LOOKS)
    if features.flow is None:
        return looks
    at = np.searchsorted(features.flow.frames, features.frames).clip(0, len(features.flow.frames) - 1)
    return np.concatenate([looks, _of_spread_one(views.rows(MOVES, at), _MOVEMENT)], axis=1)


def _of_spread_one(rows: Floats, components: int) -> Floats:
    """(m, <= components) principal components of rows, scaled so that these lie 1 from their mean, on average of squares."""
    points = principal(rows, components)
    spread = float(np.sqrt((points**2).sum(axis=1).mean()))
    return np.asarray(points / spread if spread > 1e-6 else points, np.float32)

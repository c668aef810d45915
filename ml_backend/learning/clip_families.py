"""Ways to turn a whole video into one row: how it looks on average, how it moves, and what moves where in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ml_backend.features.blocks import Flow, VideoFeatures
from ml_backend.features.flow import COLUMNS, GLOBAL, STEPS
from ml_backend.learning.examples import rows_at
from ml_backend.learning.families import LAYERS, Family, Floats, Part, Views, columns_of, moves
from sampling.candidates import unit

# A video is seen at so many times, evenly spread: however its frames were embedded, long and short ones are alike.
_LOOKS = 64
# Beside the mean: how far what is seen for a tenth of the time, and for nearly all of it, is from it. That does not tell one
# room from another, as the mean does.
_QUANTILES = (0.1, 0.9)
# A still picture has no such difference; its noise must not be made as large as others' movement.
_STILL = 0.2
_SEEN = Family("as seen", (Part(("appearance",), "raw"),))
# Rows of movement that are looked at together; at the seams of longer videos a few are seen less well.
_PIECE = 2048
# An amount of movement that is nothing yet.
_LITTLE = 0.02
# Before and after so much of all movement nothing has begun, or is over.
_BEGUN, _OVER = 0.03, 0.97
# What moves is followed through so many parts of the time in which something does, and where it moves through so many.
_STEPS_OF_COURSE, _THIRDS = 6, 3
# Where every video agrees a number says nothing: its noise must not be made as large as others' differences.
_AGREED = 1e-3

# The mean and the spread (d,) of rows of other videos; without a spread lengths are made equal instead.
Norm = tuple[Floats, Floats | None]


class ClipFamily(NamedTuple):
    """`moving`: it is about movement, which entries of old versions do not hold. `alike`: rows are compared by their direction."""

    name: str
    pooled: Callable[[VideoFeatures], Floats]
    moving: bool = False
    alike: bool = False


def looks(features: VideoFeatures) -> Floats:
    """(d,) the mean of a video's embeddings over time, and how far two of their quantiles are from it."""
    times = np.linspace(0, max(len(features) - 1, 0), _LOOKS)
    rows = rows_at(Views(features), _SEEN, times)
    mean = rows.mean(axis=0)
    far = [quantile - mean for quantile in np.quantile(rows, _QUANTILES, axis=0)]
    parts = [unit(mean[None])[0], *(each / max(float(np.linalg.norm(each)), _STILL) for each in far)]
    return np.asarray(np.concatenate(parts), np.float32)


def _layers(features: VideoFeatures) -> Floats:
    """(d,) the mean of all layers over time."""
    shown = np.gradient(features.frames.astype(np.float64)) if len(features.frames) > 1 else np.ones(1)
    share = (shown / shown.sum()).astype(np.float32)
    means = [share @ features.blocks[name].astype(np.float32) for name in LAYERS]
    return np.asarray(np.concatenate(means), np.float32)


def _movement(features: VideoFeatures) -> Floats:
    """(d,) the mean and the spread over time of how the picture moves."""
    flow, columns = _flow(features), columns_of("whole")
    total, squares = np.zeros(len(columns)), np.zeros(len(columns))
    for start in range(0, len(flow.frames), _PIECE):
        some = slice(start, start + _PIECE)
        rows = moves(Flow(flow.frames[some], flow.rows[some]))[:, columns].astype(np.float64)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    mean = total / len(flow.frames)
    spread = np.sqrt(np.maximum(squares / len(flow.frames) - mean**2, 0))
    return np.asarray(np.concatenate([mean, spread]), np.float32)


def _course(features: VideoFeatures) -> Floats:
    """(d,) how much moves, where, how far spread and which way, in one part of the time after another."""
    rows = _active(_flow(features))
    found = []
    for start in range(0, len(STEPS) * COLUMNS, COLUMNS):
        step = rows[:, start : start + GLOBAL]
        amount = step[:, 2:3]
        weight = np.sqrt(amount)
        centre = step[:, 3:5] / (amount + _LITTLE)
        extent = np.sqrt(np.maximum(step[:, 5:7] / (amount + _LITTLE) - centre**2, 0))
        turned = np.arcsinh(step[:, 10:12] / (amount + _LITTLE))
        velocity = step[:, 8:10] * np.minimum(weight, 1)
        found += [weight, weight * centre, weight * extent, velocity, weight * turned]
    return _in_turn(np.concatenate(found, axis=1), _STEPS_OF_COURSE)


def _places(features: VideoFeatures) -> Floats:
    """(d,) how much moves in each cell of the picture, and which way, in one part of the time after another."""
    rows = _active(_flow(features))
    steps = [rows[:, start + GLOBAL : start + COLUMNS] for start in range(0, len(STEPS) * COLUMNS, COLUMNS)]
    cells = np.concatenate(steps, axis=1)
    return _in_turn(np.sign(cells) * np.sqrt(np.abs(cells)), _THIRDS)


AS_SEEN = ClipFamily("as seen", looks, alike=True)
CLIP_FAMILIES = (
    AS_SEEN,
    ClipFamily("layers", _layers),
    ClipFamily("movement", _movement, moving=True),
    ClipFamily("course", _course, moving=True),
    ClipFamily("places", _places, moving=True),
)
BY_NAME: Mapping[str, ClipFamily] = {family.name: family for family in CLIP_FAMILIES}


def norm_of(family: ClipFamily, rows: Floats) -> Norm:
    """What the rows (v, d) of several videos have in common."""
    mean = rows.mean(axis=0)
    if family.alike:
        return mean, None
    spread = rows.std(axis=0)
    return mean, spread + np.float32(_AGREED * np.sqrt((spread**2).mean()) + 1e-8)


def normed(rows: Floats, norm: Norm) -> Floats:
    """(v, d) rows of about unit length, in which every number counts alike."""
    mean, spread = norm
    if spread is None:
        return unit(rows - mean)
    # What is rare and large must not drown what is common and small.
    return np.asarray(np.arcsinh((rows - mean) / spread) / np.sqrt(np.float32(rows.shape[1])), np.float32)


def able(features: Sequence[VideoFeatures]) -> tuple[ClipFamily, ...]:
    """The families that all of these videos have rows of."""
    moving = all(video.flow is not None for video in features)
    return tuple(family for family in CLIP_FAMILIES if moving or not family.moving)


def _flow(features: VideoFeatures) -> Flow:
    if features.flow is None:
        raise ValueError("movement was never measured in this video")
    return features.flow


def _active(flow: Flow) -> Floats:
    """(k, d) the rows of movement between the first and the last that moves; the rest says when a recording was begun."""
    rows = np.asarray(flow.rows, np.float32)
    amount = rows[:, 2::COLUMNS].sum(axis=1, dtype=np.float64)
    # What always moves, such as a lamp that flickers, is no beginning.
    amount = np.maximum(amount - np.quantile(amount, 0.1), 0) + 1e-4 * float(amount.max()) + 1e-9
    reached = np.cumsum(amount) / amount.sum()
    first = int(np.searchsorted(reached, _BEGUN))
    last = int(np.searchsorted(reached, _OVER))
    return rows[first : max(last, first) + 1]


def _in_turn(rows: Floats, parts: int) -> Floats:
    """(parts x d,) means of equally long parts of rows (k, d); of fewer rows than parts some stand for two."""
    edges = np.linspace(0, len(rows), parts + 1)
    found = [rows[int(a) : max(int(np.ceil(b)), int(a) + 1)].mean(axis=0) for a, b in pairwise(edges.tolist())]
    return np.asarray(np.concatenate(found), np.float32)

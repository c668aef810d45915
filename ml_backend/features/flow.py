"""How the subject of a picture moves, frame by frame: the camera's own motion and the light's drift are taken off first; and when something
moves as it hardly ever does in this video."""

from __future__ import annotations

import threading
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Every second frame has a row.
EVERY = 2
# Pictures so many frames apart are compared: the nearest for what is fast, the others for what is slow.
STEPS = (1, 4)
GRID = 4
# Of each step: the camera's shift (x, y); amount; its first and second moments (x, y, xx, yy, xy); velocity (x, y);
# spreading; turning.
GLOBAL = 12
# And in each of 4 x 4 cells: amount, velocity (x, y).
LOCAL = 3 * GRID * GRID
COLUMNS = GLOBAL + LOCAL
# Frames before a frame that its row depends on.
BACK = max(STEPS)

_SIZE = 64
_ROUNDS = 3
# Levels that count as nothing: of noise, and more where the picture is steep, since an edge is never met exactly.
_NOISE, _STEEP = 1.0, 0.06
# Pairs at once: more leave the processor's cache.
_PART = 8

_AT = np.linspace(-1, 1, _SIZE, dtype=np.float32)
# What sums over a picture: the four bands of its cells, then its first and second moments.
_BANDS = np.repeat(np.eye(GRID, dtype=np.float32), _SIZE // GRID, axis=1)
_SUMS = np.ascontiguousarray(np.concatenate([_BANDS, _AT[None], _AT[None] ** 2]))
_RIDGE = np.diag(np.array([20.0, 20.0, 400.0, 0.5], np.float32))
# Slopes are held four times and levels twice as large, since dividing each by a power of two is exact, and a pass over all.
_SLOPE, _LEVEL = np.float32(1 / 4), np.float32(1 / 2)
# Of slopes across and down, change, and levels.
_SCALES = np.array([_SLOPE, _SLOPE, 1, _LEVEL], np.float32)


class _Room(threading.local):
    """Arrays for so many pairs, kept by each thread: the system clears new ones, which takes as long as filling them."""

    def __init__(self) -> None:
        pixels = (_PART, _SIZE**2)
        self.moving, self.scratch = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
        self.moves = np.empty(pixels, np.bool_)
        # Each apart, since that is faster than beside each other: slopes across and down, change, levels.
        self.fields = np.empty((4, *pixels), np.float32)
        self.slopes = np.empty((2, *pixels), np.float32)
        self.flows = np.empty((3, *pixels), np.float32)


_room = _Room()


def flow(grey: NDArray[np.uint8], rows: NDArray[np.int64]) -> Floats:
    """(n, 64, 64) grey pictures of consecutive frames to (k, 2 x COLUMNS), at `rows`: (k,) positions among them.

    Where there is no picture so far back, the first is taken. Velocities are in pixels of the small picture a frame, or about
    that, the rim of what moves counting more; places in -1..1 from its middle; amounts in levels averaged over the picture
    or the cell.
    """
    levels = np.empty(grey.shape, np.float32)
    cv2.boxFilter(grey.reshape(-1, _SIZE), cv2.CV_32F, (3, 1), levels.reshape(-1, _SIZE))
    after = np.tile(rows, len(STEPS))
    steps = np.repeat(np.array(STEPS, np.int64), len(rows))
    before = np.maximum(after - steps, 0)
    explained = _camera(levels, before, after)
    sums = np.empty((len(after), 3, len(_SUMS), len(_SUMS)), np.float32)
    products = np.empty((len(after), 2, 3), np.float32)
    for first in range(0, len(after), _PART):
        some = slice(first, first + _PART)
        pairs = _at(levels, before[some]), _at(levels, after[some])
        _between(*pairs, explained[some], sums[some], products[some])
    pace = steps.astype(np.float32)[:, None]
    sums[:, 1:] *= (-1 / (_SLOPE * pace))[:, :, None, None]
    products *= np.array([_SLOPE**2, _SLOPE**2, _SLOPE], np.float32)
    found = np.concatenate([explained[:, :2] / -pace, *_moments(sums, _velocity(products) / pace)], axis=1)
    return np.concatenate(np.split(found, len(STEPS)), axis=1)


def _at(levels: Floats, positions: NDArray[np.int64]) -> Floats:
    """Those of (n, 64, 64) pictures as (p, 4096); not copied where they are as far apart."""
    gaps = np.diff(positions)
    even = len(gaps) and gaps[0] > 0 and (gaps == gaps[0]).all()
    taken = levels[positions[0] : positions[-1] + 1 : gaps[0]] if even else levels[positions]
    return taken.reshape(len(positions), -1)


def _between(before: Floats, after: Floats, explained: Floats, sums: Floats, products: Floats) -> None:
    """Writes what is seen of p pairs of pictures (p, 4096), of which so much is `explained` (see `_camera`): `sums` (p, 3, 6, 6) of
    amount and flow over cells and by moments, and `products` (p, 2, 3) of slopes with slopes and change, all in slopes as they are held."""
    pairs = len(after)
    scratch, moving = _room.scratch[:pairs], _room.moving[:pairs]
    fields, where, flows = _room.fields[:, :pairs], _room.slopes[:, :pairs], _room.flows[:, :pairs]
    across, down, change, twice = fields
    np.subtract(after, before, out=change)
    np.add(before, after, out=twice)
    # Central differences; at the picture's rim there is no slope.
    np.subtract(twice[:, 2:], twice[:, :-2], out=across[:, 1:-1])
    np.subtract(twice[:, 2 * _SIZE :], twice[:, : -2 * _SIZE], out=down[:, _SIZE:-_SIZE])
    across[:, ::_SIZE] = across[:, _SIZE - 1 :: _SIZE] = 0
    down[:, :_SIZE] = down[:, -_SIZE:] = 0
    # What neither the camera nor the light explains. In two rows, since BLAS would take several threads for one, which then spin.
    shares = np.zeros((pairs, 2, 4), np.float32)
    np.multiply(explained[:, [0, 1, 3, 2]], -_SCALES, out=shares[:, 0])
    shares[:, 0, 2] = 1
    rest = np.matmul(shares, fields.transpose(1, 0, 2), out=where.transpose(1, 0, 2))[:, 0]
    left = np.subtract(rest, explained[:, 3, None], out=change)
    amount = flows[0]
    np.abs(left, out=scratch)
    noise = _medians(scratch.reshape(-1, _SIZE, _SIZE)[:, 1::8, 3::8].reshape(pairs, -1))
    np.subtract(scratch, (np.float32(4.5) * noise + np.float32(_NOISE))[:, None], out=amount)
    steep = np.abs(across, out=scratch)
    steep += np.abs(down, out=moving)
    steep *= np.float32(_STEEP) * _SLOPE
    amount -= steep
    np.maximum(amount, 0, out=amount)
    moving[...] = np.greater(amount, 0, out=_room.moves[:pairs])
    for slope, masked in zip((across, down), where, strict=True):
        np.multiply(slope, moving, out=masked)
    # The flow along the slope, where something moves; flat places say nothing of it.
    square = np.multiply(across, across, out=scratch)
    square += np.multiply(down, down, out=moving)
    square += np.float32(30.0) / _SLOPE**2
    pull = np.divide(left, square, out=moving)
    for masked, flowing in zip(where, flows[1:], strict=True):
        np.multiply(masked, pull, out=flowing)
    # The first four rows and columns are of the cells, the others moments.
    pictures = flows.reshape(3, pairs, _SIZE, _SIZE).transpose(1, 0, 2, 3)
    np.matmul(np.matmul(_SUMS, pictures), _SUMS.T, out=sums)
    np.matmul(where.transpose(1, 0, 2), fields[:3].transpose(1, 2, 0), out=products)


def _moments(sums: Floats, velocity: Floats) -> tuple[Floats, ...]:
    """The columns behind the camera's, from (p, 3, 6, 6) sums of amount and flow over cells and by moments."""
    pairs = len(sums)
    of_cells = sums[:, :, :GRID, :GRID]
    whole = np.float32(1 / _SIZE**2)
    total = of_cells.sum(axis=(2, 3)) * whole
    along_x, along_xx = (sums[:, :, :GRID, GRID + at].sum(axis=2) * whole for at in range(2))
    along_y, along_yy = (sums[:, :, GRID + at, :GRID].sum(axis=2) * whole for at in range(2))
    mass = total[:, :1]
    first = np.stack([along_x[:, 0], along_y[:, 0]], axis=1)
    second = np.stack([along_xx[:, 0], along_yy[:, 0], sums[:, 0, GRID, GRID] * whole], axis=1)
    centre, pulled = first / (mass + np.float32(1e-6)), total[:, 1:]
    spreading = along_x[:, 1] + along_y[:, 2] - (centre * pulled).sum(axis=1)
    turning = along_x[:, 2] - along_y[:, 1] - centre[:, 0] * pulled[:, 1] + centre[:, 1] * pulled[:, 0]
    cells = (of_cells * np.float32(GRID**2 / _SIZE**2)).reshape(pairs, LOCAL)
    return mass, first, second, velocity, np.stack([spreading, turning], axis=1), cells


def _medians(values: Floats) -> Floats:
    """(p,) of (p, k) values, k even."""
    half = values.shape[1] // 2
    # Of so few, faster than to partition them.
    values = np.sort(values, axis=1)
    return np.asarray((values[:, half - 1] + values[:, half]) * np.float32(0.5), np.float32)


def _velocity(products: Floats) -> Floats:
    """(p, 2) the one velocity that explains best all that moves, from (p, 2, 3) products of slopes with slopes and change."""
    ridge = np.float32(200.0)
    xx, xy, yy = products[:, 0, 0] + ridge, products[:, 0, 1], products[:, 1, 1] + ridge
    xt, yt = -products[:, 0, 2], -products[:, 1, 2]
    determinant = xx * yy - xy * xy
    return np.stack([(yy * xt - xy * yt) / determinant, (xx * yt - xy * xt) / determinant], axis=1)


def _camera(levels: Floats, before: NDArray[np.int64], after: NDArray[np.int64]) -> Floats:
    """(p, 4) how much of the slopes across and down (minus the camera's shift), of the levels and of a constant explains the change between
    pairs of (n, 64, 64) pictures, at these positions."""
    # A sixteenth of the pixels is enough for four numbers: at each, its level and those beside it.
    here = levels[:, 2::4, 2::4]
    across = levels[:, 2::4, 3::4] - levels[:, 2::4, 1::4]
    down = levels[:, 3::4, 2::4] - levels[:, 1::4, 2::4]
    each = np.stack([across, down, here], axis=1).reshape(len(levels), 3, -1)
    earlier, later = each[before], each[after]
    system = np.empty((len(after), 5, each.shape[2]), np.float32)
    np.add(earlier, later, out=system[:, :3])
    system[:, :2] *= _SLOPE
    system[:, 2] *= _LEVEL
    system[:, 3] = 1
    np.subtract(later[:, 2], earlier[:, 2], out=system[:, 4])
    design, target, columns = system[:, :4], system[:, 4], system.transpose(0, 2, 1)
    weighted = design
    for turn in range(_ROUNDS):
        equations = np.matmul(weighted, columns)
        fitted = np.linalg.solve(equations[:, :, :4] + _RIDGE, equations[:, :, 4:])[:, :, 0]
        if turn < _ROUNDS - 1:
            rest = np.abs(target - np.matmul(fitted[:, None], design)[:, 0])
            rest /= np.float32(2.0) * _medians(rest)[:, None] + np.float32(1.0)
            rest *= rest
            rest *= rest
            rest += 1
            weighted = design / rest[:, None]
    return np.asarray(fitted, np.float32)


# Of each step, the column that holds how much moves.
_AMOUNT = 2
# Rows of movement, every second frame, that one is compared with on either side; the next ones belong to the event itself.
_SIDE, _BESIDE = 8, 1
# Stretches that a stretch is compared with, and how many there must be first.
_REMEMBERED, _ENOUGH = 128, 12
# The score above which a stretch stands out; and no more than one stretch in eighteen does, also where a video grows livelier.
_SHARE, _ONE_IN = 0.92, 18
_MOST = 6.0


class Unusual:
    """Takes the movement of stretches of a video in order, and says of each whether, and where, it stands out."""

    def __init__(self) -> None:
        self._before: NDArray[np.float64] = np.zeros((0, len(STEPS)))
        self._squares: NDArray[np.float64] = np.zeros(len(STEPS))
        self._count = 0
        self._scores: deque[float] = deque(maxlen=_REMEMBERED)
        self._left = 1.0  # how many stretches may stand out

    def look(self, flow: Floats, known: NDArray[np.bool_]) -> int | None:
        """Of (k, 2 x COLUMNS) rows of `features.flow`, the position of the one at which more, or less, moves than before and
        after it by an amount that few of the stretches so far have had; else None, also where it is `known` (k,) anyway."""
        amounts = np.sqrt(np.maximum(flow[:, _AMOUNT::COLUMNS].astype(np.float64), 0))
        rows = np.concatenate([self._before, amounts])
        start = len(self._before)
        self._before = rows[-_SIDE - _BESIDE :]
        if not start or not len(amounts):
            return None
        beside = _outside(rows, start)
        self._squares += (beside**2).sum(axis=0)
        self._count += len(beside)
        usual = np.sqrt(self._squares / self._count) + 1e-6
        scores = np.sqrt((np.minimum(beside / usual, _MOST) ** 2).mean(axis=1))
        most = int(scores.argmax())
        self._left += 1 / _ONE_IN
        stands_out = (
            self._left >= 1
            and not known[most]
            and len(self._scores) >= _ENOUGH
            and scores[most] > np.quantile(self._scores, _SHARE)
        )
        self._scores.append(float(scores[most]))
        self._left -= stands_out
        return most if stands_out else None


def _outside(amounts: NDArray[np.float64], start: int) -> NDArray[np.float64]:
    """(k, s) how far each row from `start` (1 or more) on lies outside of what was before it and what comes after it, as far as that
    is known."""
    at = np.arange(start, len(amounts))
    total = np.concatenate([np.zeros_like(amounts[:1]), amounts.cumsum(axis=0)])
    first, stop = np.maximum(at - _SIDE - _BESIDE, 0), np.maximum(at - _BESIDE, 1)
    before = (total[stop] - total[first]) / (stop - first)[:, None]
    rest = (len(amounts) - 1 - _BESIDE - at)[:, None]
    known = total[-1] - total[np.minimum(at + _BESIDE + 1, len(amounts))]
    after = np.where(rest > 0, known / np.maximum(rest, 1), before)
    here = amounts[start:]
    return np.asarray(np.maximum(np.maximum(here - np.maximum(before, after), np.minimum(before, after) - here), 0))

"""How the subject of a picture moves, frame by frame: the camera's own motion and the light's drift are taken off first; and when something
moves as it hardly ever does in this video."""

from __future__ import annotations

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
_X, _Y = (each.ravel() for each in np.meshgrid(_AT, _AT))
_MOMENTS = np.ascontiguousarray(np.stack([np.ones_like(_X), _X, _Y, _X * _X, _Y * _Y, _X * _Y], axis=1))
_RIDGE = np.diag(np.array([20.0, 20.0, 400.0, 0.5], np.float32))


def flow(grey: NDArray[np.uint8], rows: NDArray[np.int64]) -> Floats:
    """(n, 64, 64) grey pictures of consecutive frames to (k, 2 x COLUMNS), at `rows`: (k,) positions among them.

    Where there is no picture so far back, the first is taken. Velocities are in pixels of the small picture a frame, or about
    that, the rim of what moves counting more; places in -1..1 from its middle; amounts in levels averaged over the picture
    or the cell.
    """
    levels = np.empty(grey.shape, np.float32)
    cv2.blur(grey.reshape(-1, _SIZE).astype(np.float32), (3, 1), levels.reshape(-1, _SIZE))
    parts = [
        np.concatenate([_between(levels[np.maximum(some - step, 0)], levels[some], step) for step in STEPS], axis=1)
        for some in np.array_split(rows, range(_PART, len(rows), _PART))
        if len(some)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(STEPS) * COLUMNS), np.float32)


def _between(before: Floats, after: Floats, step: int) -> Floats:
    """(p, COLUMNS) of p pairs of pictures."""
    pairs = len(after)
    middle, change = (before + after) * np.float32(0.5), after - before
    # Central differences; at the picture's rim there is no slope.
    across, down = np.zeros_like(middle), np.zeros_like(middle)
    np.subtract(middle[:, :, 2:], middle[:, :, :-2], out=across[:, :, 1:-1])
    np.subtract(middle[:, 2:], middle[:, :-2], out=down[:, 1:-1])
    across *= np.float32(0.5)
    down *= np.float32(0.5)
    camera, left = _without_camera(change, across, down, middle)
    size = np.abs(left)
    noise = np.median(size[:, 1::8, 3::8].reshape(pairs, -1), axis=1)
    amount = size - (np.float32(4.5) * noise + np.float32(_NOISE))[:, None, None]
    amount -= np.float32(_STEEP) * (np.abs(across) + np.abs(down))
    np.maximum(amount, 0, out=amount)
    moving = (amount > 0).astype(np.float32)
    moving_across, moving_down = across * moving, down * moving
    # The flow along the slope, where something moves; flat places say nothing of it.
    pull = left / (moving_across * across + moving_down * down + np.float32(30.0)) * np.float32(-1 / step)
    flows = np.stack([amount, pull * moving_across, pull * moving_down], axis=1)
    moments = np.matmul(flows.reshape(pairs, 3, -1), _MOMENTS) * np.float32(1 / _SIZE**2)
    slopes = np.stack([moving_across, moving_down], axis=1).reshape(pairs, 2, -1)
    fields = np.stack([across, down, left], axis=1).reshape(pairs, 3, -1)
    products = np.matmul(slopes, fields.transpose(0, 2, 1))
    mass, first, second = moments[:, 0, :1], moments[:, 0, 1:3], moments[:, 0, 3:]
    centre = first / (mass + np.float32(1e-6))
    pulled, along_x, along_y = moments[:, 1:, 0], moments[:, 1:, 1], moments[:, 1:, 2]
    spreading = along_x[:, 0] + along_y[:, 1] - (centre * pulled).sum(axis=1)
    turning = along_x[:, 1] - along_y[:, 0] - centre[:, 0] * pulled[:, 1] + centre[:, 1] * pulled[:, 0]
    cells = cv2.resize(flows.reshape(-1, _SIZE), (GRID, GRID * 3 * pairs), interpolation=cv2.INTER_AREA).reshape(
        pairs, LOCAL
    )
    whole = np.stack([spreading, turning], axis=1)
    return np.concatenate([camera / step, mass, first, second, _velocity(products) / step, whole, cells], axis=1)


def _velocity(products: Floats) -> Floats:
    """(p, 2) the one velocity that explains best all that moves, from (p, 2, 3) products of slopes with slopes and change."""
    ridge = np.float32(200.0)
    xx, xy, yy = products[:, 0, 0] + ridge, products[:, 0, 1], products[:, 1, 1] + ridge
    xt, yt = -products[:, 0, 2], -products[:, 1, 2]
    determinant = xx * yy - xy * xy
    return np.stack([(yy * xt - xy * yt) / determinant, (xx * yt - xy * xt) / determinant], axis=1)


def _without_camera(change: Floats, across: Floats, down: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """(p, 2) the camera's shift and (p, 64, 64) the change that it and the light do not explain."""
    pairs = len(change)
    # A sixteenth of the pixels is enough for four numbers.
    some = [np.ascontiguousarray(each[:, 2::4, 2::4]).reshape(pairs, -1) for each in (across, down, levels, change)]
    target = some[3]
    design = np.stack([*some[:3], np.ones_like(target)], axis=1)
    weight = np.ones_like(target)
    for _ in range(_ROUNDS):
        weighted = design * weight[:, None]
        normal = np.matmul(weighted, design.transpose(0, 2, 1)) + _RIDGE
        fitted = np.linalg.solve(normal, np.matmul(weighted, target[:, :, None]))[:, :, 0]
        rest = np.abs(target - np.matmul(fitted[:, None], design)[:, 0])
        scale = np.float32(2.0) * np.median(rest, axis=1)[:, None] + np.float32(1.0)
        weight = 1 / (1 + (rest / scale) ** 4)
    fitted = fitted[:, :, None, None]
    left = change - fitted[:, 0] * across
    left -= fitted[:, 1] * down
    left -= fitted[:, 2] * levels
    left -= fitted[:, 3]
    return np.asarray(-fitted[:, :2, 0, 0], np.float32), np.asarray(left, np.float32)


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
        beside = np.array([_outside(rows, at) for at in range(start, len(rows))])
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


def _outside(amounts: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    """(s,) how far a row lies outside of what was before it and what comes after it, as far as that is known."""
    before = amounts[max(at - _SIDE - _BESIDE, 0) : max(at - _BESIDE, 1)].mean(axis=0)
    rest = amounts[at + _BESIDE + 1 :]
    after = rest.mean(axis=0) if len(rest) else before
    low, high = np.minimum(before, after), np.maximum(before, after)
    return np.asarray(np.maximum(np.maximum(amounts[at] - high, low - amounts[at]), 0))

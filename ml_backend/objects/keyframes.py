"""Sparse sequences: the few key frames between which Label Studio draws a whole track.

Label Studio moves a box on a straight line from key frame to key frame, all four numbers by frame number alone. A key frame
that is not `enabled` still shows its box; from the next frame on there is none until the next key frame. The last enabled one
is shown to the end of the video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ml_backend.objects.boxes import Boxes, Floats, iou

# What is drawn overlaps with what was meant by so much, at least and at every frame.
LEAST_IOU = 0.9
# How much looser chords are tried as a start for lines that fit better than they do.
_LOOSER = (1.5, 2.0, 2.5, 3.0, 4.0)
_ROUNDS = 12
# Numbers are rounded on their way to Label Studio; and a line through too few boxes stays near them.
_ROUNDING, _RIDGE = 1e-4, 1e-3


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """`frame`: its number, in whatever way frames are counted. `box`: (4,) float32 left, top, width, height. `enabled`: whether
    the box goes on behind it."""

    frame: int
    box: Boxes
    enabled: bool = True


def thin(frames: NDArray[np.int64], boxes: Boxes, least: float = LEAST_IOU, *, exact: bool = False) -> list[KeyFrame]:
    """As few key frames as it takes to draw the boxes (k, 4) of k ascending `frames` with an IoU of at least `least` at each.

    Where frames are missing the box is off, and so it is behind the last of them. A key frame's box is near to its frame's, but
    need not be the same unless it is to be `exact`: lines that pass a curve on both sides reach farther than its chords.
    `frames` have to be counted as the reader interpolates: for Label Studio by its own frames, see `StudioGrid`.
    """
    if not len(frames):
        return []
    edges = np.flatnonzero(np.diff(frames) != 1) + 1
    keys: list[KeyFrame] = []
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(frames)], strict=True):
        kept, drawn = _thinned(boxes[start:stop].astype(np.float64), least, exact)
        keys += [
            KeyFrame(int(frames[start + at]), box.astype(np.float32), start + at < stop - 1)
            for at, box in zip(kept.tolist(), drawn, strict=True)
        ]
    return keys


def draw(keys: Sequence[KeyFrame], last: int) -> tuple[NDArray[np.int64], Boxes]:
    """The inverse: (k,) frames in which Label Studio shows the box, and (k, 4) float32 where, up to the video's `last` frame.

    Key frames may come in any order; of two at one frame the later one counts.
    """
    known = sorted({key.frame: key for key in keys}.values(), key=lambda key: key.frame)
    frames: list[NDArray[np.int64]] = []
    boxes: list[Floats] = []
    for at, key in enumerate(known):
        following = known[at + 1] if at + 1 < len(known) else None
        stop = following.frame if following is not None else max(last, key.frame) + 1
        steps = np.arange(key.frame, stop if key.enabled else key.frame + 1)
        there = key if following is None else following
        share = ((steps - key.frame) / max(there.frame - key.frame, 1))[:, None]
        frames.append(steps)
        boxes.append((key.box + share * (there.box - key.box)).astype(np.float32))
    if not known:
        return np.empty(0, np.int64), np.empty((0, 4), np.float32)
    return np.concatenate(frames).astype(np.int64), np.concatenate(boxes)


def _thinned(boxes: NDArray[np.float64], least: float, exact: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The positions of the kept ones among (n, 4), the first and the last among them, and their boxes."""
    chords = _farthest_steps(boxes, least)
    best = chords, boxes[chords]
    for looser in () if exact else _LOOSER:
        tried = _fitted(boxes, _farthest_steps(boxes, 1 - looser * (1 - least)), least, len(best[0]))
        best = tried if tried is not None else best
    return best


def _fitted(
    boxes: NDArray[np.float64], kept: NDArray[np.int64], least: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Key frames whose lines leave no frame too far off, with more where they cannot; None when it takes `most` or more."""
    frames = np.arange(len(boxes))
    while len(kept) < most:
        weights = np.ones(len(boxes))
        for _ in range(_ROUNDS):
            knots = _best_lines(boxes, kept, weights)
            drawn = np.stack([np.interp(frames, kept, knots[:, axis]) for axis in range(4)], axis=1)
            overlap = iou(drawn, boxes)
            if overlap.min() >= least + _ROUNDING:
                return kept, knots
            # As Lawson (1961) comes to the fit whose largest error is least: what is far off counts more.
            weights *= np.clip((1 - overlap) / (1 - least), 0.3, 3.0)
            weights /= weights.mean()
        segment = np.searchsorted(kept, frames, side="right")
        worst = [int(part[overlap[part].argmin()]) for part in np.split(frames, np.flatnonzero(np.diff(segment)) + 1)]
        bad = [at for at in worst if overlap[at] < least + _ROUNDING]
        more = np.union1d(kept, [_between(at, kept) for at in bad])
        if len(more) == len(kept):
            return None
        kept = more
    return None


def _between(at: int, kept: NDArray[np.int64]) -> int:
    """Where to add a key frame so that `at` is drawn better: there, or in the middle of its line when it has one already."""
    if at not in kept:
        return at
    place = int(np.searchsorted(kept, at))
    after = kept[min(place + 1, len(kept) - 1)]
    before = kept[max(place - 1, 0)]
    return int((at + after) // 2) if after - at >= at - before else int((before + at) // 2)


def _best_lines(
    boxes: NDArray[np.float64], kept: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(m, 4) boxes at the m kept positions whose lines are nearest to all of (n, 4), each of which counts by its weight."""
    frames = np.arange(len(boxes))
    if len(kept) < 2:
        return boxes[kept]
    left = np.clip(np.searchsorted(kept, frames, side="right") - 1, 0, len(kept) - 2)
    share = (frames - kept[left]) / (kept[left + 1] - kept[left])
    count = len(kept)
    # The normal equations have three diagonals: each box is between two key frames.
    own = np.bincount(left, weights * (1 - share) ** 2, count)
    own += np.bincount(left + 1, weights * share**2, count)
    beside = np.bincount(left, weights * share * (1 - share), count)
    banded = np.zeros((2, count))
    banded[0, 1:], banded[1] = beside[:-1], own + _RIDGE
    target = np.zeros((count, 4))
    for axis in range(4):
        target[:, axis] = np.bincount(left, weights * (1 - share) * boxes[:, axis], count)
        target[:, axis] += np.bincount(left + 1, weights * share * boxes[:, axis], count)
    return np.asarray(solveh_banded(banded, target + _RIDGE * boxes[kept]), np.float64)


def _farthest_steps(boxes: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """(m,) positions among (n, 4), the first and the last among them: from each the farthest that its chord reaches."""
    kept, last = [0], len(boxes) - 1
    while kept[-1] < last:
        here = kept[-1]
        good, step = here + 1, 2
        while here + step <= last and _is_straight(boxes, here, here + step, least):
            good, step = here + step, 2 * step
        bad = min(here + step, last + 1)
        while bad - good > 1:
            middle = (good + bad) // 2
            if _is_straight(boxes, here, middle, least):
                good = middle
            else:
                bad = middle
        kept.append(good)
    return np.array(kept, np.int64)


def _is_straight(boxes: NDArray[np.float64], first: int, last: int, least: float) -> bool:
    """Whether the line from one box to another stays so near to all between them."""
    share = (np.arange(first + 1, last) - first)[:, None] / (last - first)
    line = boxes[first] + share * (boxes[last] - boxes[first])
    return bool((iou(line, boxes[first + 1 : last]) >= least).all())

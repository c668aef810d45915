"""What people have to do until all tracks of a video are right, counted: from found tracks, and from nothing.

One action is one thing that a person does in Label Studio: draw a box or drag it at one frame, switch it on or off there, set its
label, or delete a track. Looking, playing and selecting are not counted; they are needed both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ml_backend.objects.boxes import Track, iou
from ml_backend.objects.keyframes import KeyFrame, draw, thin

# A box is right where it overlaps with the true one by so much.
RIGHT = 0.7
# So many frames at either end of an appearance are let stand: a fifth of a second.
_SLACK = 5
_LABEL, _DELETE = 1, 1


def effort(truth: Sequence[Track], found: Sequence[Track], frames: int, right: float = RIGHT) -> tuple[int, int]:
    """The actions from the found tracks, and those from nothing, until each true track of a video of so many frames is there,
    under its label, by an IoU of at least `right` at every frame."""
    by_hand = [_LABEL + _drawn(track, frames, right) for track in truth]
    if not truth or not found:
        return sum(by_hand) + _DELETE * len(found), sum(by_hand)
    shared = np.array([[_right_frames(one, other, frames, right) for other in found] for one in truth])
    rows, columns = linear_sum_assignment(-shared)
    taken = {int(row): int(column) for row, column in zip(rows, columns, strict=True) if shared[row, column]}
    actions = _DELETE * (len(found) - len(taken))
    for at, track in enumerate(truth):
        # Where mending takes longer, people delete a track and draw it anew.
        anew = by_hand[at] + (_DELETE if at in taken else 0)
        mended = _LABEL + _corrected(track, found[taken[at]], frames, right) if at in taken else anew
        actions += min(mended, anew)
    return actions, sum(by_hand)


def _drawn(track: Track, frames: int, right: float) -> int:
    """Key frames of one track, and switching it off where it ends before the video does."""
    keys = thin(track.frames, track.boxes, right)
    return len(keys) + sum(not key.enabled and key.frame < frames - 1 for key in keys)


def _right_frames(truth: Track, found: Track, frames: int, right: float) -> int:
    one, other = _everywhere(truth.frames, truth.boxes, frames), _everywhere(found.frames, found.boxes, frames)
    return int((np.nan_to_num(iou(one, other)) >= right).sum())


def _corrected(truth: Track, found: Track, frames: int, right: float) -> int:
    """Actions on one found track, done forwards: where it is wrong for a while, the worst frame gets the true box."""
    wanted = _everywhere(truth.frames, truth.boxes, frames)
    keys = {key.frame: key for key in thin(found.frames, found.boxes)}
    actions = 0
    while True:
        # Behind the video's last frame nothing has to be switched off.
        there, boxes = draw(list(keys.values()), frames - 1)
        shown = _everywhere(there, boxes, frames)
        run = _first_wrong(wanted, shown, right)
        if run is None:
            return actions
        actions += 1
        first, last = run
        if np.isnan(wanted[first, 0]):
            # It is shown where nothing is: off from there on.
            at = max(first - 1, 0)
            keys[at] = KeyFrame(at, shown[at].astype(np.float32), enabled=False)
            for frame in [frame for frame in keys if at < frame <= last]:
                del keys[frame]
        elif np.isnan(shown[first, 0]):
            keys[first] = KeyFrame(first, wanted[first].astype(np.float32))
            if last + 1 < frames and last + 1 not in keys:
                keys[last] = KeyFrame(last, wanted[last].astype(np.float32), enabled=not np.isnan(wanted[last + 1, 0]))
                actions += last > first
        else:
            overlap = iou(wanted[first : last + 1], shown[first : last + 1])
            at = first + int(overlap.argmin())
            keys[at] = KeyFrame(at, wanted[at].astype(np.float32), keys[at].enabled if at in keys else True)


def _first_wrong(wanted: NDArray[np.float64], shown: NDArray[np.float64], right: float) -> tuple[int, int] | None:
    """The first and the last frame of the first stretch that is wrong in one way; None where all is right."""
    there, drawn = ~np.isnan(wanted[:, 0]), ~np.isnan(shown[:, 0])
    off = there & drawn & (np.nan_to_num(iou(wanted, shown)) < right)
    kinds = np.where(off, 3, np.where(there & ~drawn, 2, np.where(drawn & ~there, 1, 0)))
    edges = np.flatnonzero(np.diff(kinds)) + 1
    for part in np.split(np.arange(len(kinds)), edges):
        kind = kinds[part[0]]
        if kind == 3 or (kind and len(part) > _SLACK):
            return int(part[0]), int(part[-1])
    return None


def _everywhere(frames: NDArray[np.int64], boxes: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """(count, 4), NaN where there is none."""
    dense = np.full((count, 4), np.nan)
    dense[frames] = boxes
    return dense

"""Where a subject must be, since it is found nowhere else: each box that nobody explains may be one whom no box explains.

Subjects jump farther than anything predicts, and one of two that were in the same box walks out of it. None comes from nowhere
amid the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A box of one subject is at most so many times as large as that usually is.
_ONE = 1.5
# One that jumped looks so much alike afterwards, blurred as it is, is up to so many times as large or small in area, and at most so far
# from where it was expected, in sizes of both.
_ALIKE, _GROWN, _JUMP = 0.7, 2.5, 8.0
# So near to the rim of the picture, in shares of it, subjects come and go.
_RIM = 0.02


def parted(
    inside_of: Sequence[int],
    unlike: NDArray[np.float64],
    boxes: NDArray[np.float64],
    sizes: NDArray[np.float64],
    most: float,
) -> dict[int, int]:
    """For each known subject that was in one box with others and has walked out of it: the box that it is.

    `inside_of`: for each of m subjects in which of n boxes it is expected, -1 for none. `unlike`: (n, m) how unlike each box is to
    each subject; from `most` on it is none of its. `boxes`: (n, 4), `sizes`: (m, 2). It is where a box is no larger than one of
    its subjects, and another one beside it holds nobody who is known.
    """
    free = [at for at in range(len(boxes)) if at not in inside_of and unlike[at].min() < most]
    gone: dict[int, int] = {}
    for at in set(inside_of) - {-1}:
        inside = [number for number, box in enumerate(inside_of) if box == at]
        if len(inside) < 2 or np.prod(boxes[at, 2:]) > _ONE * np.prod(sizes[inside], axis=1).max():
            continue
        while len(inside) > 1 and free:
            costs = unlike[np.ix_(free, inside)]
            box, number = np.unravel_index(costs.argmin(), costs.shape)
            if costs[box, number] >= most:
                break
            gone[inside.pop(int(number))] = free.pop(int(box))
    return gone


def jumped(
    inside_of: Sequence[int],
    unlike: NDArray[np.float64],
    boxes: NDArray[np.float64],
    expected: NDArray[np.float64],
    alike: NDArray[np.float64],
    just: Sequence[bool],
    most: float,
) -> dict[int, int]:
    """For each known subject that no box is like, though one is there that is like nobody: that box, the nearest one.

    As in `parted`; `expected`: (m, 4) where each subject was expected, `alike`: (n, m) how alike the looks are, 0..1; `just`: (m,) whether
    it was found lately.
    """
    lost = [
        number for number, box in enumerate(inside_of) if box == -1 and just[number] and unlike[:, number].min() >= most
    ]
    free = [at for at in range(len(boxes)) if at not in inside_of and unlike[at].min() >= most]
    lost = [number for number in lost if _is_amid(expected[number])]
    free = [at for at in free if _is_amid(boxes[at])]
    if not lost or not free:
        return {}
    one, other = boxes[free][:, None], expected[lost][None]
    apart = (one[..., :2] + one[..., 2:] / 2 - other[..., :2] - other[..., 2:] / 2) / (
        (one[..., 2:] + other[..., 2:]) / 2
    )
    away = np.hypot(apart[..., 0], apart[..., 1])
    grown = np.abs(np.log(np.prod(one[..., 2:], axis=2) / np.prod(other[..., 2:], axis=2)))
    away[(grown > np.log(_GROWN)) | (alike[np.ix_(free, lost)] < _ALIKE) | (away > _JUMP)] = np.inf
    where: dict[int, int] = {}
    while np.isfinite(away).any():
        box, number = (int(each) for each in np.unravel_index(away.argmin(), away.shape))
        where[lost[number]] = free[box]
        away[box], away[:, number] = np.inf, np.inf
    return where


def _is_amid(box: NDArray[np.float64]) -> bool:
    return bool((box[:2] > _RIM).all() and (box[:2] + box[2:] < 1 - _RIM).all())

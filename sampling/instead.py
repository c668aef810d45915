"""Other frames in the place of chosen ones that were left out: as unlike what was kept as there are, none that looks the same.

Farthest first, as in `sampling.k_centre`. Of the ways tried (medoids of what is left, or of more clusters from the beginning)
it taught a model most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sampling.diverse import principal
from sampling.k_centre import to_nearest


def instead(
    embeddings: NDArray[np.floating],
    appearance: NDArray[np.floating],
    kept: NDArray[np.intp],
    count: int,
    least: float,
    free: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """At most `count` positions, in the order of choice: each the farthest, among the `embeddings` (m, d) in 32 dimensions,
    from the nearest of the positions `kept` (k,), one or more, and of those before it.

    None is chosen whose row in `appearance` (m, e), of unit length, has a cosine of `least` or more with one of these, nor one
    that is not `free` (m,). Fewer when nothing unlike is left.
    """
    points = principal(embeddings, standardised=False)
    open_ = np.ones(len(points), bool) if free is None else free.copy()
    for position in kept.tolist():
        open_ &= appearance @ appearance[position] < least
    distance = to_nearest(points, kept)
    chosen: list[int] = []
    while len(chosen) < count and open_.any():
        farthest = int(np.where(open_, distance, -1.0).argmax())
        chosen.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
        open_ &= appearance @ appearance[farthest] < least
        open_[farthest] = False
    return np.array(chosen, np.intp)

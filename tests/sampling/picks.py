"""What holds of the frames that any strategy picks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np


def well_formed(
    choose: Callable[[], np.ndarray], frames: np.ndarray, count: int, gap: int, labelled: Iterable[int] = ()
) -> bool:
    """At most `count` of `frames`, sorted and distinct, apart from each other and from what is labelled, the same again."""
    found = choose()
    assert found.dtype == np.int64
    assert len(found) <= max(count, 0)
    assert set(found) <= set(frames)
    assert (np.diff(found) >= max(gap, 1)).all()
    assert all(abs(frame - known) >= max(gap, 1) for frame in found for known in labelled)
    assert np.array_equal(found, choose())
    return True

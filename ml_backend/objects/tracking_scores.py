"""How good the tracks of a video are: HOTA (Luiten et al., 2021), by motrics."""

from __future__ import annotations

from collections.abc import Sequence

import motrics
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Track

# A box as it is counted: motrics rounds nothing, but what it divides by should not be tiny.
_UNIT = 1000.0


def hota(truth: Sequence[Track], found: Sequence[Track], frames: int) -> float:
    """In 0..1, of a video of so many frames; 1 where nothing is to be found and nothing was."""
    if not truth and not found:
        return 1.0
    if not truth or not found:
        return 0.0
    result = motrics.evaluate(_by_frame(truth, frames), _by_frame(found, frames), box_format="xywh")
    return float(result.hota.hota)


def _by_frame(tracks: Sequence[Track], frames: int) -> motrics.Frames:
    ids: list[list[int]] = [[] for _ in range(frames)]
    boxes: list[list[NDArray[np.float64]]] = [[] for _ in range(frames)]
    for track in tracks:
        for frame, box in zip(track.frames.tolist(), track.boxes.astype(np.float64) * _UNIT, strict=True):
            ids[frame].append(track.number)
            boxes[frame].append(box)
    return motrics.Frames(ids=ids, boxes=[np.array(each, np.float64).reshape(-1, 4) for each in boxes])

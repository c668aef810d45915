"""The features of one video: embeddings of some of its frames, in blocks, and what holds in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.video.timeline import Timeline

# In this order everywhere. `early_grid` keeps where things are, `motion` how they move; the others are pooled over the picture.
EMBEDDED = ("appearance", "middle", "early", "early_grid")
BLOCKS = (*EMBEDDED, "motion")


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """What the backbone saw of a video of n frames, m of which were embedded.

    `timeline`: of the frames that decode. `frames`: (m,) int64, ascending frame indices; the first and the last frame are
    always among them. `blocks`: by name (m, d) float16, see `BLOCKS`. `promised`: how many frames the file says it holds;
    more than `len(timeline)` for a damaged one. `hash_frames`, `hashes`: (k,) int64 and uint64, the perceptual hashes of
    some frames, a by-product of the same pass.
    """

    timeline: Timeline
    frames: NDArray[np.int64]
    blocks: Mapping[str, NDArray[np.float16]]
    promised: int
    hash_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return len(self.timeline)

    @cached_property
    def _between(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        every = np.arange(len(self))
        left = np.clip(np.searchsorted(self.frames, every, side="right") - 1, 0, max(len(self.frames) - 2, 0))
        if len(self.frames) == 1:
            return left, np.zeros(len(self), np.float32)
        gap = self.frames[left + 1] - self.frames[left]
        return left, np.clip((every - self.frames[left]) / gap, 0, 1).astype(np.float32)

    def interpolate(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """From (m,) or (m, d) values of the embedded frames to (n,) or (n, d) of all frames, linearly in between."""
        left, share = self._between
        share = share.reshape(-1, *[1] * (values.ndim - 1))
        right = np.minimum(left + 1, len(values) - 1)
        return np.asarray(values[left] * (1 - share) + values[right] * share, dtype=np.float32)

"""The features of one video: embeddings of some of its frames, in blocks, and what holds in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.video.timeline import Timeline

# In this order everywhere. `motion` keeps how things move; the others are pooled over the picture. Entries of older versions
# may hold more.
EMBEDDED = ("appearance", "middle", "early")
BLOCKS = (*EMBEDDED, "motion")


@dataclass(frozen=True, eq=False)
class Samples:
    """What suggesting frames needs to know of k frames of a video, evenly spaced or nearly so.

    `frames`: (k,) int64, ascending frame indices. `hashes`: (k,) uint64, their perceptual hashes. `sharpness`: (k,)
    float32, 0 or more: how much fine detail each has, to be compared within a video only. `brightness`: (k,) float32,
    0..255, the mean grey. `entropy`: (k,) float32, 0..8 bits, of the grey values. None of the last two in old entries.
    """

    frames: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    sharpness: NDArray[np.float32]
    brightness: NDArray[np.float32] | None = None
    entropy: NDArray[np.float32] | None = None

    def at(self, positions: NDArray[np.int64]) -> Samples:
        """Those at these positions, (j,) from 0 to k - 1."""
        known = {name: each[positions] for name, each in vars(self).items() if each is not None}
        return replace(self, **known)


def _no_samples() -> Samples:
    return Samples(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.float32))


@dataclass(frozen=True, eq=False)
class TextView:
    """What a text model saw of k frames of a video.

    `model`: the network's key. `frames`: (k,) int64, ascending frame indices. `rows`: (k, d) float16, of unit length.
    """

    model: str
    frames: NDArray[np.int64]
    rows: NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Flow:
    """How things move in every second frame or so of a video, see `features.flow`.

    `frames`: (r,) int64, ascending frame indices. `rows`: (r, d) float16.
    """

    frames: NDArray[np.int64]
    rows: NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """What the backbone saw of a video of n frames, m of which were embedded.

    `timeline`: of the frames that decode. `frames`: (m,) int64, ascending frame indices; the first and the last frame are
    always among them. `blocks`: by name (m, d) float16, see `BLOCKS`. `promised`: how many frames the file says it holds;
    more than `len(timeline)` for a damaged one. `samples`: of some frames, a by-product of the same pass. `text`: what a
    text model saw, where there is one; kept on its own. `flow`: how things move; None in old entries.
    """

    timeline: Timeline
    frames: NDArray[np.int64]
    blocks: Mapping[str, NDArray[np.float16]]
    promised: int
    samples: Samples = field(default_factory=_no_samples)
    text: TextView | None = None
    flow: Flow | None = None

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

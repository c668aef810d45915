"""Which frames of a video to embed: every so many, and in between where the picture changes.

Three nets catch what happens in between: a bisection where the embeddings of two neighbours differ, for slow changes, one
on the pixels for short events that leave no trace at either end, and one on movement (`features.unusual`) for those of a
small subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.video.view import GREY

_BLOCK = 8


@dataclass(frozen=True)
class Density:
    """`stride`: frames between two that are embedded anyway; 1 embeds all. `cosine`: the distance (0..2) from which on
    the frame in the middle of two is embedded as well. `pixels`: a frame is embedded when one of its 8 x 8 blocks, in a
    64 x 64 grey picture, differs from both neighbours by more than this on average (0..255). `least`: in a short video the
    stride is smaller, so that it has at least so many embedded frames, or as many as there are.
    """

    stride: int = 16
    cosine: float = 0.22
    pixels: float = 25.0
    least: int = 64

    @property
    def key(self) -> str:
        """Empty for the default, so that a backbone's key alone names its usual features."""
        return "" if self == Density() else f"-s{self.stride}c{self.cosine:g}p{self.pixels:g}l{self.least}"

    def stride_in(self, frames: int) -> int:
        """The stride in a video of so many frames."""
        return min(self.stride, max(1, frames // self.least))


DEFAULT = Density()


def short_event(grey: NDArray[np.uint8], threshold: float) -> int | None:
    """The position in (k, 64, 64) consecutive grey pictures of the one that differs most from both the first and the last.

    Only those count of which one block differs by more than `threshold` from the same block of both; None without any.
    """
    inner = grey[1:-1]
    if not len(inner):
        return None
    differing = np.minimum(_blocks(inner, grey[0]), _blocks(inner, grey[-1]))
    total = np.where(differing.max(axis=1) > threshold, differing.sum(axis=1, dtype=np.int64), 0)
    most = int(total.argmax())
    return 1 + most if total[most] else None


def _blocks(inner: NDArray[np.uint8], end: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(k, 64 x 64 / 8 x 8) mean absolute difference of every picture's blocks from those of `end`."""
    difference = cv2.absdiff(inner.reshape(-1, GREY), np.tile(end, (len(inner), 1)))
    shape = (GREY // _BLOCK, len(difference) // _BLOCK)
    return np.asarray(cv2.resize(difference, shape, interpolation=cv2.INTER_AREA), np.uint8).reshape(len(inner), -1)

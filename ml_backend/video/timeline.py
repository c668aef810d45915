"""Presentation times of a video, and the only conversions between frame index, Label Studio frame and seconds.

* `FrameIndex`: 0-based position in presentation order.
* `StudioFrame`: 1-based frame of Label Studio, on the grid of the `<Video>` tag's `framerate`.
* `Seconds`: presentation time relative to what the browser calls 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NewType

import numpy as np
from numpy.typing import NDArray

FrameIndex = NewType("FrameIndex", int)
StudioFrame = NewType("StudioFrame", int)
Seconds = NewType("Seconds", float)

# Label Studio seeks this far past the start of a frame so that the browser does not show the one before.
SEEK_NUDGE = 0.002


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each frame of a video is shown.

    `pts`: (n,) int64, strictly increasing, in ticks of `time_base` seconds, 0 being the browser's zero.
    `duration`: what the browser gives as the video's duration, in seconds.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    duration: Fraction

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, eq=False)
class StudioGrid:
    """The frames that Label Studio counts for a timeline at one `framerate`.

    `shown`: (frames,) int64, non-decreasing; the frame index that Label Studio shows at Label Studio frame `i + 1`.
    """

    timeline: Timeline
    framerate: float
    shown: NDArray[np.int64]


def read_timeline(path: Path) -> Timeline:
    raise NotImplementedError


def studio_grid(timeline: Timeline, framerate: float) -> StudioGrid:
    raise NotImplementedError

"""What a model asks people about a video: the frames of which it is least sure and that show something new."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.families import SCENE, Views
from ml_backend.video.timeline import FrameIndex, StudioFrame, StudioGrid
from sampling.uncertain import margin, uncertain

# A larger batch asks about the same confusion again and again, and would push the least confident regions out of sight:
# Label Studio shows about ten rows.
QUESTIONS = 5
# Seconds between two questions, and between a question and what was answered: nearer frames show the same.
_APART = 0.1
# In a long video only so many embedded frames are compared, those of which it is least sure.
_COMPARED = 2000


def questions(
    probabilities: NDArray[np.float32],
    exclusive: bool,
    grid: StudioGrid,
    answered: NDArray[np.int64],
    features: VideoFeatures | None,
) -> list[StudioFrame]:
    """At most `QUESTIONS` Label Studio frames, ascending.

    `probabilities`: (n, L) in 0..1 of the video's frames; `exclusive` allows one label a frame. `answered`: (k,) int64 frame
    indices, which are not asked about again. `features`: what the frames show, None where nobody knows: then they are
    chosen far from each other in time.
    """
    frames = np.arange(len(probabilities), dtype=np.int64) if features is None else features.frames
    candidates = np.flatnonzero(np.isin(frames, grid.shown))
    if features is not None and len(candidates) > _COMPARED:
        doubt = margin(probabilities[frames[candidates]], exclusive)
        # What was answered stays, since the others are compared with it.
        least_sure = np.union1d(np.argsort(-doubt, kind="stable")[:_COMPARED], _beside(frames[candidates], answered))
        candidates = candidates[least_sure]
    frames = frames[candidates]
    per_second = len(grid.timeline) / max(float(grid.timeline.duration), 1e-9)
    chosen = uncertain(
        probabilities[frames],
        QUESTIONS,
        exclusive=exclusive,
        frames=frames,
        embeddings=None if features is None else Views(features).rows(SCENE, candidates),
        labelled=answered,
        gap=round(_APART * per_second),
    )
    asked = (grid.frame(FrameIndex(int(frame))) for frame in chosen)
    return [frame for frame in asked if frame is not None]


def _beside(frames: NDArray[np.int64], to: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions of those of the ascending `frames` that are next to each of `to`, before and after."""
    after = np.searchsorted(frames, to)
    return np.union1d(after, after - 1).clip(0, len(frames) - 1)

"""Which further frames are worth embedding once somebody has answered, or a head has an opinion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.examples import examples
from ml_backend.learning.framelabels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.metrics import decided

# Of halving the gap in which a label changes, before its timeline is shown.
REFINING_ROUNDS = 3


def answered_frames(features: VideoFeatures, known: FrameLabels) -> NDArray[np.int64]:
    """Frames that stand for what was labelled and are not embedded: sorted int64 frame indices.

    Without them their features are interpolated.
    """
    return np.setdiff1d(examples(known.resized(len(features)), features.frames).frames, features.frames)


def changing_frames(head: Head, features: VideoFeatures, known: FrameLabels | None = None) -> NDArray[np.int64]:
    """The frame in the middle of each two neighbouring embedded ones between which the label changes, sorted int64.

    Embedding these and asking again halves the doubt about where the change is; three rounds place it to about two
    frames at the usual density. Empty when every change lies between consecutive frames.
    """
    answer = decided(head.probabilities(features, known), head.exclusive)[features.frames]
    changes = (answer[1:] != answer[:-1]).any(axis=1) & (np.diff(features.frames) > 1)
    at = np.flatnonzero(changes)
    return np.asarray((features.frames[at] + features.frames[at + 1]) // 2, np.int64)

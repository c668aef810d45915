"""Which further frames are worth embedding once somebody has answered, or a head has an opinion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.examples import examples
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import decided

Floats = NDArray[np.float32]

# Each halves the gap in which a label changes. What is embedded stays in the store, so later versions find it there.
_ROUNDS = 2


def answered_frames(features: VideoFeatures, known: FrameLabels) -> NDArray[np.int64]:
    """Frames that stand for what was labelled and are not embedded: sorted int64 frame indices.

    Without them their features are interpolated.
    """
    return np.setdiff1d(examples(known.resized(len(features)), features.frames).frames, features.frames)


def changing_frames(features: VideoFeatures, probabilities: Floats, exclusive: bool) -> NDArray[np.int64]:
    """The frame in the middle of each two neighbouring embedded ones between which the label changes, sorted int64."""
    answer = decided(probabilities, exclusive)[features.frames]
    changes = (answer[1:] != answer[:-1]).any(axis=1) & (np.diff(features.frames) > 1)
    at = np.flatnonzero(changes)
    return np.asarray((features.frames[at] + features.frames[at + 1]) // 2, np.int64)


def refined_probabilities(
    head: Head,
    features: VideoFeatures,
    known: FrameLabels | None,
    embed: Callable[[VideoFeatures, NDArray[np.int64]], VideoFeatures],
) -> Floats:
    """`head.probabilities` of a video whose label changes are looked at more closely.

    `embed` gives the features with some more frames embedded. Meant for the videos that people are working on: it decodes
    parts of the video, which the head alone does not need.
    """
    probabilities = head.probabilities(features, known)
    for _ in range(_ROUNDS):
        between = changing_frames(features, probabilities, head.exclusive)
        if not len(between):
            break
        features = embed(features, between)
        probabilities = head.probabilities(features, known)
    return probabilities

"""What label names alone say of a video, as a prior for a head that has seen few labelled frames.

The head's log-probabilities and those of the text model are added, the latter with a weight that fades with the
number of labelled frames (a logarithmic opinion pool: Genest and Zidek, *Combining probability distributions*, 1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.prompts import Prompts
from ml_backend.learning.ensemble import normalised
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.families import Floats

# With less than this the names have no say any more, and no video needs to be looked at for them.
LEAST_WEIGHT = 0.02


@dataclass(frozen=True, eq=False)
class Prior:
    """`weight`: 0..1, how much the names' log-probabilities count beside the head's, which count 1."""

    prompts: Prompts
    weight: float

    def added(self, logs: Floats, features: VideoFeatures, position: int, exclusive: bool) -> Floats:
        """`logs` (n, K) of every frame, of question `position`, with the prior; unchanged for a video that this text model has not seen."""
        seen = features.text
        if seen is None or seen.model != self.prompts.model:
            return logs
        scores = self.prompts.log_scores(seen.rows)
        # Yes is the label, no is none of them; normalising makes an answer of the two.
        columns = scores if exclusive else scores[:, [position, -1]]
        every = np.arange(len(features))
        at = [np.interp(every, seen.frames, column) for column in columns.T]
        return normalised(np.asarray(logs + self.weight * np.stack(at, axis=1), np.float32))


def prior_for(videos: Sequence[LabelledVideo], labels: Sequence[str], prompts: Prompts | None) -> Prior | None:
    """A prior of weight 1 / (1 + n), n being the labelled frames of `videos` per label; None when it has no say."""
    if prompts is None or prompts.labels != tuple(labels):
        return None
    labelled = sum(int(video.labels.known.sum()) for video in videos)
    weight = 1 / (1 + labelled / len(labels))
    return Prior(prompts, weight) if weight >= LEAST_WEIGHT else None

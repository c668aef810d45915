"""How well a plain head tells a project's labels apart by what a backbone sees, and how fast that backbone is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.examples import classes_of
from ml_backend.learning.linear import Floats, fit_softmax, span
from ml_backend.learning.metrics import macro_f1, per_label
from ml_backend.learning.probabilities import decided
from sampling.candidates import unit

if TYPE_CHECKING:
    from ml_backend.features.backbones import Backbone

_FOLDS = 5
# With fewer videos than this, parts of each are held out in place of whole ones.
_FEWEST_VIDEOS = 3


@dataclass(frozen=True, eq=False)
class Sample:
    """k labelled frames of some videos, video by video and in order.

    `pictures`: (k, s, s, 3) uint8 RGB. `values`: (k, L) int8 as in `FrameLabels`. `video`: (k,) which one each is of.
    """

    labels: tuple[str, ...]
    exclusive: bool
    pictures: NDArray[np.uint8]
    values: NDArray[np.int8]
    video: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Measured:
    """`frames_per_second`: embedded, one after the other, decoding not counted. `macro_f1`: of held-out frames, None when they
    show no label."""

    frames_per_second: float
    macro_f1: float | None
    dimensions: int


def measure(backbone: Backbone, sample: Sample) -> Measured:
    """Embeds the sample, and cross-validates a plain softmax regression on it."""
    # The first batch is slower, on a GPU above all.
    backbone.embed(sample.pictures[: backbone.batch])
    started = time.perf_counter()
    parts = [backbone.embed(sample.pictures[at : at + backbone.batch]) for at in range(0, len(sample), backbone.batch)]
    seconds = time.perf_counter() - started
    rows = np.concatenate([unit(np.concatenate([part[name] for part in parts])) for name in parts[0]], axis=1)
    return Measured(len(sample) / max(seconds, 1e-9), score(rows, sample), rows.shape[1])


def score(rows: Floats, sample: Sample) -> float | None:
    """Macro-F1 of the labels over all frames, each answered by a head that has seen nothing of its fold."""
    answers = np.zeros((len(sample), len(sample.labels)), np.float32)
    for held in folds(sample.video):
        learnt = ~held
        # What all pictures share tells nothing apart.
        mean, spread = rows[learnt].mean(axis=0), rows[learnt].std(axis=0) + 1e-3
        seen = unit((rows - mean) / spread)
        basis = span(seen[learnt])
        near = seen @ basis
        for column in range(1 if sample.exclusive else len(sample.labels)):
            classes = classes_of(sample.values, sample.exclusive, column)
            known = learnt & (classes >= 0)
            count = len(sample.labels) + 1 if sample.exclusive else 2
            if not known.any():
                continue
            said = np.exp(fit_softmax(near[known], classes[known], count).log_probabilities(near[held]))
            if sample.exclusive:
                answers[held] = said[:, :-1]
            else:
                answers[held, column] = said[:, 0]
    return macro_f1(per_label(decided(answers, sample.exclusive), sample.values, sample.labels))


def folds(video: NDArray[np.intp]) -> Sequence[NDArray[np.bool_]]:
    """(k,) masks of what is held out together: whole videos, or of one or two videos parts that follow each other."""
    names = np.unique(video)
    if len(names) >= _FEWEST_VIDEOS:
        number = np.searchsorted(names, video) % min(_FOLDS, len(names))
    else:
        number = np.zeros(len(video), np.intp)
        for name in names:
            own = np.flatnonzero(video == name)
            number[own] = np.arange(len(own)) * _FOLDS // len(own)
    return [number == each for each in np.unique(number)]

"""What is known of each frame of a video, by a person or by a model: runs of frames with one label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Region, WholeVideo
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES, FrameLabels
from ml_backend.video.timeline import StudioGrid

Source = Literal["human", "model"]


@dataclass(frozen=True)
class Run:
    """The frame indices `start`..`stop`, the latter not included, that have `label`; None where none of the labels holds.

    `confidence` in 0..1: of a person's label the share of annotators who agree, of a model's its calibrated score. `control`:
    whose label it is, where a label config has several questions and all are exported.
    """

    start: int
    stop: int
    label: str | None
    confidence: float
    source: Source
    control: str = ""

    def __len__(self) -> int:
        return self.stop - self.start


def runs_of(
    human: FrameLabels | None, regions: Iterable[Region], grid: StudioGrid, labels: Sequence[str]
) -> tuple[Run, ...]:
    """The runs of one video, ordered by their first frame; a frame with two labels is in two runs.

    A person's word counts where there is one, and the model's `regions` elsewhere. What a person submitted without
    touching it is the model's word still.
    """
    frames = len(grid.timeline)
    said: NDArray[np.bool_] = np.zeros(frames, bool)
    found: list[Run] = []
    if human is not None:
        said = human.known & (human.weight > UNTOUCHED_WEIGHT)
        for column, label in enumerate(human.labels):
            found += _runs(said & (human.values[:, column] == YES), human.weight, label, "human")
        found += _runs(said & (human.values == NO).all(axis=1), human.weight, None, "human")
    for region in regions:
        mask = _shown(region, grid) & ~said
        score = np.full(frames, 1.0 if region.score is None else region.score, np.float32)
        for label in region.labels:
            if label in labels:
                found += _runs(mask, score, label, "model")
    return tuple(sorted(found, key=lambda run: (run.start, run.stop, run.label or "")))


def _shown(region: Region, grid: StudioGrid) -> NDArray[np.bool_]:
    """(n,) the frames of a region, those between two of its frames that Label Studio's grid skips included."""
    mask = np.zeros(len(grid.timeline), bool)
    mask[grid.index(region.start) : grid.index(region.end) + 1] = True
    return mask


def _runs(mask: NDArray[np.bool_], confidence: NDArray[np.float32], label: str | None, source: Source) -> list[Run]:
    """Stretches of `mask` with one confidence."""
    if not mask.any():
        return []
    level = np.where(mask, np.round(confidence, 4), UNKNOWN)
    edges = np.flatnonzero(np.diff(level, prepend=UNKNOWN, append=UNKNOWN))
    return [
        Run(start, stop, label, round(float(level[start]), 4), source)
        for start, stop in pairwise(edges.tolist())
        if mask[start]
    ]


def whole_runs(
    values: NDArray[np.int8] | None, trust: float, shown: WholeVideo | None, frames: int, labels: Sequence[str]
) -> tuple[Run, ...]:
    """The same of the class of a whole video of `frames` frames: (L,) `values` that people gave with this `trust`, or what a
    model has `shown` where they gave none, or left it as it was."""
    if values is not None and trust > UNTOUCHED_WEIGHT:
        yes = [label for label, value in zip(labels, values, strict=True) if value == YES]
        return tuple(Run(0, frames, label, round(trust, 4), "human") for label in yes)
    score = 1.0 if shown is None or shown.score is None else shown.score
    said = shown.labels if shown is not None else ()
    return tuple(Run(0, frames, label, round(score, 4), "model") for label in said if label in labels)

"""Training rows: what the labels of some videos give a head to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.families import Family, Floats, Views
from ml_backend.learning.framelabels import NO, YES, FrameLabels
from sampling.unit import unit

# A project's rows beyond this add time, not accuracy.
MAX_ROWS = 6000


@dataclass(frozen=True, eq=False)
class LabelledVideo:
    """One task's embeddings and what is known of its frames."""

    task: int
    features: VideoFeatures
    labels: FrameLabels


@dataclass(frozen=True, eq=False)
class Examples:
    """The frames of one video that a head is fitted on.

    `frames`: (k,) int64 frame indices. `values`: (k, L) int8 as in `FrameLabels`. `weight`: (k,) float32, how many
    frames, in trust, the row stands for.
    """

    frames: NDArray[np.int64]
    values: NDArray[np.int8]
    weight: Floats

    def __len__(self) -> int:
        return len(self.frames)


def examples(labels: FrameLabels, embedded: NDArray[np.int64]) -> Examples:
    """Choose the rows that stand for the known frames.

    Within a run of equally labelled frames the embedded ones share its weight; a run without any is represented by the
    frame in its middle, whose features are interpolated.
    """
    known = labels.known & (labels.weight > 0)
    row = np.concatenate([labels.values, (labels.weight * 100).astype(np.int8)[:, None]], axis=1)
    edge = np.flatnonzero((row[1:] != row[:-1]).any(axis=1)) + 1
    firsts = np.concatenate([[0], edge]).astype(np.int64)
    lasts = np.concatenate([edge, [len(row)]]).astype(np.int64) - 1
    frames: list[NDArray[np.int64]] = []
    weights: list[Floats] = []
    for first, last in zip(firsts, lasts, strict=True):
        if not len(row) or not known[first]:
            continue
        inside = embedded[np.searchsorted(embedded, first) : np.searchsorted(embedded, last, side="right")]
        chosen = inside if len(inside) else np.array([(first + last) // 2], np.int64)
        share = float(labels.weight[first]) * (last - first + 1) / len(chosen)
        frames.append(chosen)
        weights.append(np.full(len(chosen), share, np.float32))
    if not frames:
        return Examples(np.empty(0, np.int64), np.empty((0, len(labels.labels)), np.int8), np.empty(0, np.float32))
    index = np.concatenate(frames)
    return Examples(index, labels.values[index], np.concatenate(weights))


def thin(chosen: Examples, most: int) -> Examples:
    """At most `most` rows, evenly spread, their weight scaled up to what it was."""
    if len(chosen) <= most:
        return chosen
    kept = np.linspace(0, len(chosen) - 1, most).round().astype(np.int64)
    scale = float(chosen.weight.sum() / chosen.weight[kept].sum())
    return Examples(chosen.frames[kept], chosen.values[kept], chosen.weight[kept] * np.float32(scale))


def rows_at(
    views: Views, family: Family, embedded: NDArray[np.int64], frames: NDArray[np.int64] | NDArray[np.floating]
) -> Floats:
    """(k, d) unit rows at any frame indices, whole or not, interpolated between the embedded ones."""
    after = np.searchsorted(embedded, frames).clip(0, len(embedded) - 1)
    before = np.where(embedded[after] > frames, np.maximum(after - 1, 0), after)
    gap = np.maximum(embedded[after] - embedded[before], 1)
    share = ((frames - embedded[before]) / gap).clip(0, 1).astype(np.float32)[:, None]
    return unit(views.rows(family, before) * (1 - share) + views.rows(family, after) * share)


def classes_of(values: NDArray[np.int8], exclusive: bool, column: int = 0) -> NDArray[np.intp]:
    """Class of each row, -1 where unknown.

    Exclusive: the index of the label that is yes, L where all are no. Otherwise for label `column`: 0 yes, 1 no.
    """
    if not exclusive:
        return np.select([values[:, column] == YES, values[:, column] == NO], [0, 1], -1).astype(np.intp)
    yes = values == YES
    return np.select([yes.any(axis=1), (values == NO).all(axis=1)], [yes.argmax(axis=1), values.shape[1]], -1).astype(
        np.intp
    )


def training_examples(videos: Sequence[LabelledVideo]) -> list[Examples]:
    """One set of rows for each video, together at most `MAX_ROWS`."""
    chosen = [examples(video.labels, video.features.frames) for video in videos]
    total = sum(len(c) for c in chosen)
    if total <= MAX_ROWS:
        return chosen
    return [thin(c, max(len(c) * MAX_ROWS // total, 1)) for c in chosen]

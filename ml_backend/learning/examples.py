"""Training rows: what the labels of some videos give a head to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.families import Family, Floats, Views
from ml_backend.learning.frame_labels import NO, YES, FrameLabels
from sampling.candidates import unit

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
    """About `most` rows, of each way to be labelled as many as there is room for, rare ones first; the weight of each way
    stays what it was. The first and last row of every run of equal labels are kept where there is room for them.
    """
    if len(chosen) <= most:
        return chosen
    _, way = np.unique(chosen.values, axis=0, return_inverse=True)
    way = way.ravel()
    kept = np.zeros(len(chosen), bool)
    for one, room in enumerate(fair_shares(np.bincount(way), most).tolist()):
        members = np.flatnonzero(way == one)
        edges = members[(np.diff(members, prepend=-2) > 1) | (np.diff(members, append=len(way) + 2) > 1)]
        edges = edges if len(edges) <= room else edges[:0]
        others = np.setdiff1d(members, edges)
        spread = np.linspace(0, len(others) - 1, min(room - len(edges), len(others))).round().astype(np.int64)
        kept[edges], kept[others[spread]] = True, True
    before, after = (np.bincount(way, weights=w) for w in (chosen.weight, chosen.weight * kept))
    weight = (chosen.weight * (before / np.maximum(after, 1e-9))[way])[kept].astype(np.float32)
    return Examples(chosen.frames[kept], chosen.values[kept], weight)


def fair_shares(sizes: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """How many of each of these many may stay, together at most `most` but one at least of each: none more than another
    that has more to give."""
    shares = np.zeros(len(sizes), np.intp)
    left, waiting = most, list(np.argsort(sizes, kind="stable"))
    while waiting:
        at = waiting.pop(0)
        shares[at] = max(min(int(sizes[at]), left // (len(waiting) + 1)), 1)
        left -= int(shares[at])
    return shares


def rows_at(views: Views, family: Family, frames: NDArray[np.int64] | NDArray[np.floating]) -> Floats:
    """(k, d) rows at any frame indices, whole or not, interpolated between those there are."""
    embedded = views.grid(family)
    after = np.searchsorted(embedded, frames).clip(0, len(embedded) - 1)
    before = np.where(embedded[after] > frames, np.maximum(after - 1, 0), after)
    gap = np.maximum(embedded[after] - embedded[before], 1)
    share = ((frames - embedded[before]) / gap).clip(0, 1).astype(np.float32)[:, None]
    if not share.any():
        return views.rows(family, before)
    rows = views.rows(family, before) * (1 - share) + views.rows(family, after) * share
    return rows if family.moving else unit(rows)


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
    if sum(len(c) for c in chosen) <= MAX_ROWS:
        return chosen
    # All together, so that a label which is rare in the project keeps its rows in the videos that have it.
    video = np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])
    every = Examples(
        np.concatenate([c.frames for c in chosen]),
        np.concatenate([c.values for c in chosen]),
        np.concatenate([c.weight for c in chosen]),
    )
    kept = thin(Examples(np.arange(len(every)), every.values, every.weight), MAX_ROWS)
    own = video[kept.frames]
    return [
        Examples(every.frames[kept.frames[own == v]], kept.values[own == v], kept.weight[own == v])
        for v in range(len(chosen))
    ]

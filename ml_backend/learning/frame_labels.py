"""What all annotations of a video say together: for every frame and label, yes, no or unknown.

This and `annotation_reading` are the only places that decide it (`docs/labels.md` draws it). "Not looked at" is unknown,
never no. Each annotation is read on Label Studio's own frame grid, where the person worked, and says something of the
pictures that it shows; here the annotations of a task come to one answer a picture, and that to one a frame index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region
from ml_backend.learning.annotation_reading import (
    DENSE,
    GROUND_TRUTH,
    NO,
    SPARSE,
    UNKNOWN,
    UNTOUCHED,
    UNTOUCHED_WEIGHT,
    YES,
    is_dense,
    is_from_timeline,
    is_question,
    is_untouched,
    read_annotation,
)
from ml_backend.video.timeline import StudioGrid

__all__ = [
    "MEANING",
    "NO",
    "UNKNOWN",
    "UNTOUCHED_WEIGHT",
    "YES",
    "FrameLabels",
    "frame_labels",
    "is_dense",
    "is_exclusive",
    "is_from_timeline",
    "is_untouched",
]

# Raised when annotations come to mean something else: then projects train again without a new annotation.
MEANING = 2
# Two labels that meet in at most this many Label Studio frames are a sloppy boundary, not two labels at once; or, where it
# counts many frames for one picture, in as many as make this part of a second.
BOUNDARY_SLIP, BOUNDARY_SECONDS = 5, 0.2


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """What is known of each frame index of one video.

    `labels`: the L labels of the project, in its order.
    `values`: (n, L) int8, 1 yes, 0 no, -1 unknown.
    `weight`: (n,) float32 in 0..1, trust in the row; 0 where nothing is known.
    `dense`: the whole video was reviewed, so that gaps mean "none of the labels".
    `judged`: good enough to measure a model against: dense, and by a person rather than by a blind Submit.
    `unknown_labels`: labels that annotations use and the project no longer has; they were ignored.
    """

    labels: tuple[str, ...]
    values: NDArray[np.int8]
    weight: NDArray[np.float32]
    dense: bool = False
    judged: bool = False
    unknown_labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) frames of which at least one label is known."""
        return np.asarray((self.values != UNKNOWN).any(axis=1))

    def select(self, labels: Sequence[str]) -> FrameLabels:
        """The same frames for another list of labels; a label that was not asked about is unknown."""
        values = np.full((len(self.values), len(labels)), UNKNOWN, np.int8)
        for to, label in enumerate(labels):
            if label in self.labels:
                values[:, to] = self.values[:, self.labels.index(label)]
        return replace(self, labels=tuple(labels), values=values)

    def without(self, unclear: NDArray[np.bool_]) -> FrameLabels:
        """The same, where nothing is known of the `unclear` (n,) frames but which labels they have."""
        silent = unclear & ~(self.values == YES).any(axis=1)
        if not silent.any():
            return self
        values = np.where(silent[:, None], UNKNOWN, self.values).astype(np.int8)
        return replace(self, values=values, weight=np.where(silent, 0, self.weight).astype(np.float32))

    def resized(self, frames: int) -> FrameLabels:
        """For a video that turned out to have `frames` frames: the end is cut off, or unknown."""
        if frames == len(self.values):
            return self
        values = np.full((frames, len(self.labels)), UNKNOWN, np.int8)
        weight = np.zeros(frames, np.float32)
        shared = min(frames, len(self.values))
        values[:shared], weight[:shared] = self.values[:shared], self.weight[:shared]
        return replace(self, values=values, weight=weight)


def is_exclusive(annotations: Iterable[Annotation], framerate: float = 24.0) -> bool:
    """Whether a frame has at most one label in these annotations, boundaries drawn a few frames too far aside.

    `framerate`: how many frames Label Studio counts in a second of their videos.
    """
    slip = max(BOUNDARY_SLIP, round(BOUNDARY_SECONDS * framerate))
    for annotation in annotations:
        answered = sorted((region for region in annotation.regions if region.labels), key=lambda region: region.start)
        for position, region in enumerate(answered):
            if len(set(region.labels)) > 1:
                return False
            for later in answered[position + 1 :]:
                if later.start > region.end:
                    break
                # What a question is answered with is the whole answer for its frame, whatever lies under it.
                if later.labels == region.labels or is_question(later) != is_question(region):
                    continue
                shared = min(region.end, later.end) - later.start + 1
                shorter = min(region.end - region.start, later.end - later.start) + 1
                if shared > slip or 2 * shared >= shorter:
                    return False
    return True


def frame_labels(
    annotations: Sequence[Annotation],
    grid: StudioGrid,
    labels: Sequence[str],
    default_label: str | None = None,
    *,
    exclusive: bool | None = None,
    pushed: Mapping[str, Region] | None = None,
    dense: bool | None = None,
) -> FrameLabels:
    """What all annotations of one task say together.

    Per picture the majority wins and a tie is unknown; ground truth outranks everything, then dense annotations, then
    sparse ones, then what was taken over from a model unchanged in a dense one. `default_label` is what the gaps of dense annotations
    stand for; without it they mean none of the labels. `exclusive` None decides from these annotations: pass the
    project's answer (`is_exclusive` over all of its annotations) where it is known. `pushed` are the regions that were
    given to the annotators, by id; it lets dragged ones count as touched. `dense`: what all annotations are that are not
    marked otherwise; what a model drew and nobody touched stays its word.
    """
    names = tuple(labels)
    one_label = is_exclusive(annotations, grid.framerate) if exclusive is None else exclusive
    readings = [read_annotation(a, grid, names, default_label, one_label, pushed or {}, dense) for a in annotations]
    shown, count = np.unique(grid.shown), len(names)
    values: NDArray[np.int8] = np.full((len(shown), count), UNKNOWN, np.int8)
    weight: NDArray[np.float32] = np.zeros(len(shown), np.float32)
    for rank in (UNTOUCHED, SPARSE, DENSE, GROUND_TRUTH):
        said = [np.where((r.rank == rank)[:, None], r.values, UNKNOWN).astype(np.int8) for r in readings]
        said = [answer for answer in said if (answer != UNKNOWN).any()]
        if not said:
            continue
        agreed, share = _majority(np.stack(said), one_label)
        spoken = np.any([(answer != UNKNOWN) for answer in said], axis=0)
        if one_label:
            spoken = np.repeat(spoken.any(axis=1, keepdims=True), count, axis=1)
        values = np.where(spoken, agreed, values).astype(np.int8)
        trust = share * (UNTOUCHED_WEIGHT if rank == UNTOUCHED else 1.0)
        weight = np.where(spoken.any(axis=1), trust, weight).astype(np.float32)
    foreign = {label for a in annotations for region in a.regions for label in region.labels} - set(names)
    on_file, file_weight = _to_frame_indices(values, weight, shown, len(grid.timeline), one_label)
    whole = [r for r in readings if r.dense]
    return FrameLabels(names, on_file, file_weight, bool(whole), any(r.judged for r in whole), tuple(sorted(foreign)))


def _majority(said: NDArray[np.int8], exclusive: bool) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(annotators, frames, L) answers to the most frequent one, a tie being unknown, and the share that gave it."""
    annotators, frames, count = said.shape
    if annotators == 1:
        return said[0], np.ones(frames, np.float32)
    if not exclusive:
        yes, no = (said == YES).sum(axis=0), (said == NO).sum(axis=0)
        values = np.where(yes > no, YES, np.where(no > yes, NO, UNKNOWN)).astype(np.int8)
        agreeing = np.maximum(yes, no) / np.maximum(yes + no, 1)
        return values, np.where(yes + no > 0, agreeing, 1.0).min(axis=1, initial=1.0).astype(np.float32)
    # One vote per annotator and frame: a label, or none of them (column L). Voting label by label would let
    # three different answers turn into "none".
    votes = np.zeros((frames, count + 1), np.int32)
    for answer in said:
        votes[:, :count] += answer == YES
        votes[:, count] += (answer == NO).all(axis=1)
    best = votes.argmax(axis=1)
    most = votes.max(axis=1)
    decided = (most > 0) & ((votes == most[:, None]).sum(axis=1) == 1)
    values = np.full((frames, count), UNKNOWN, np.int8)
    values[decided] = NO
    row = np.flatnonzero(decided & (best < count))
    values[row, best[row]] = YES
    return values, (most / np.maximum(votes.sum(axis=1), 1)).astype(np.float32)


def _to_frame_indices(
    values: NDArray[np.int8], weight: NDArray[np.float32], shown: NDArray[np.int64], frames: int, exclusive: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """From the pictures `shown`, (P,) frame indices, to all `frames` frame indices.

    A frame that Label Studio never shows takes the value on which the ones shown before and after it agree; at the ends
    of the video it stays unknown.
    """
    carried = np.full((frames, values.shape[1]), UNKNOWN, np.int8)
    trust = np.zeros(frames, np.float32)
    if not len(shown):
        return carried, trust
    carried[shown], trust[shown] = values, weight
    hidden = np.setdiff1d(np.arange(frames), shown)
    hidden = hidden[(hidden > shown[0]) & (hidden < shown[-1])]
    after = np.searchsorted(shown, hidden)
    before = after - 1
    same = np.asarray(values[before] == values[after])
    if exclusive:
        # Between a cat and a dog it is one of them: that it is no third label is nothing to learn.
        same = np.repeat(same.all(axis=1, keepdims=True), values.shape[1], axis=1)
    carried[hidden] = np.where(same, values[before], UNKNOWN)
    trust[hidden] = np.minimum(weight[before], weight[after])
    trust[(carried == UNKNOWN).all(axis=1)] = 0.0
    return carried, trust

"""What an annotation means: for every frame and label of a video, yes, no or unknown.

This is the only place that decides it (`docs/labels.md` draws it). "Not looked at" is unknown, never no. Everything is
decided on Label Studio's own frame grid, where the person worked, and only then carried over to frame indices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region
from ml_backend.video.timeline import StudioGrid

YES, NO, UNKNOWN = 1, 0, -1

# A hand-made annotation whose regions cover this share of the video was meant as a whole timeline.
NEARLY_ALL = 0.9
# Trust in what a model drew and nobody touched: a blind Submit must not become truth.
UNTOUCHED_WEIGHT = 0.3
# Two labels that meet in at most this many Label Studio frames are a sloppy boundary, not two labels at once.
BOUNDARY_SLIP = 5

SUGGESTION_PREFIX = "kf-"
_FROM_MODEL = re.compile(r"^(cold|blitz|custom-.+)-v\d+-")
# The range in the id of a predicted region, as `timeline_prediction` writes it; ids from before that have none.
_PREDICTED_RANGE = re.compile(r"-\d+_(\d{1,18})_(\d{1,18})$")

# Whose word counts, lowest first. A higher one overrules the lower ones frame by frame.
_UNTOUCHED, _SPARSE, _DENSE, _GROUND_TRUTH = range(4)


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

    def resized(self, frames: int) -> FrameLabels:
        """For a video that turned out to have `frames` frames: the end is cut off, or unknown."""
        if frames == len(self.values):
            return self
        values = np.full((frames, len(self.labels)), UNKNOWN, np.int8)
        weight = np.zeros(frames, np.float32)
        shared = min(frames, len(self.values))
        values[:shared], weight[:shared] = self.values[:shared], self.weight[:shared]
        return replace(self, values=values, weight=weight)


def is_dense(annotation: Annotation, grid: StudioGrid, pushed: Mapping[str, Region] | None = None) -> bool:
    """Whether the annotation speaks of the whole video, gaps included.

    An explicit mark wins. Else one that began from a full timeline prediction is dense, unless questions were answered
    in it and the timeline was left as it was; one that began from keyframe suggestions is sparse, and a hand-made one is
    dense when its regions cover nearly all of the video. `pushed`: as for `frame_labels`.
    """
    if annotation.reviewed is not None:
        return annotation.reviewed
    suggested = [region for region in annotation.regions if region.id.startswith(SUGGESTION_PREFIX)]
    if any(is_from_timeline(region) for region in annotation.regions):
        answered = any(region.labels for region in suggested)
        return not answered or annotation.ground_truth or _is_worked_on(annotation, pushed or {})
    if suggested:
        return False
    covered = np.zeros(len(grid.shown), bool)
    for region in annotation.regions:
        if region.labels:
            covered[_span(region, len(covered))] = True
    return bool(len(covered)) and float(covered.mean()) >= NEARLY_ALL


def is_exclusive(annotations: Iterable[Annotation]) -> bool:
    """Whether a frame has at most one label in these annotations, boundaries drawn a few frames too far aside."""
    for annotation in annotations:
        answered = sorted((region for region in annotation.regions if region.labels), key=lambda region: region.start)
        for position, region in enumerate(answered):
            if len(set(region.labels)) > 1:
                return False
            for later in answered[position + 1 :]:
                if later.start > region.end:
                    break
                # What a question is answered with is the whole answer for its frame, whatever lies under it.
                if later.labels == region.labels or _is_question(later) != _is_question(region):
                    continue
                shared = min(region.end, later.end) - later.start + 1
                shorter = min(region.end - region.start, later.end - later.start) + 1
                if shared > BOUNDARY_SLIP or 2 * shared >= shorter:
                    return False
    return True


def is_untouched(region: Region, pushed: Mapping[str, Region]) -> bool:
    """Whether a model drew this region and nobody changed it.

    Label Studio leaves `origin` alone when an edge is dragged, so the range is compared with what was `pushed`
    (region id to region), or where that is no longer at hand with the range in the region's id.
    """
    if region.origin != "prediction" or not is_from_timeline(region):
        return False
    was = pushed.get(region.id)
    if was is not None:
        return (was.start, was.end, was.labels) == (region.start, region.end, region.labels)
    predicted = _PREDICTED_RANGE.search(region.id)
    return predicted is None or (region.start, region.end) == (int(predicted[1]), int(predicted[2]))


def frame_labels(
    annotations: Sequence[Annotation],
    grid: StudioGrid,
    labels: Sequence[str],
    default_label: str | None = None,
    *,
    exclusive: bool | None = None,
    pushed: Mapping[str, Region] | None = None,
) -> FrameLabels:
    """What all annotations of one task say together.

    Per frame the majority wins and a tie is unknown; ground truth outranks everything, then dense annotations, then
    sparse ones, then what was taken over from a model unchanged in a dense one. `default_label` is what the gaps of dense annotations
    stand for; without it they mean none of the labels. `exclusive` None decides from these annotations: pass the
    project's answer (`is_exclusive` over all of its annotations) where it is known. `pushed` are the regions that were
    given to the annotators, by id; it lets dragged ones count as touched.
    """
    names = tuple(labels)
    one_label = is_exclusive(annotations) if exclusive is None else exclusive
    readings = [_read(a, grid, names, default_label, one_label, pushed or {}) for a in annotations]
    frames, count = len(grid.shown), len(names)
    values: NDArray[np.int8] = np.full((frames, count), UNKNOWN, np.int8)
    weight: NDArray[np.float32] = np.zeros(frames, np.float32)
    for rank in (_UNTOUCHED, _SPARSE, _DENSE, _GROUND_TRUTH):
        said = [np.where((r.rank == rank)[:, None], r.values, UNKNOWN).astype(np.int8) for r in readings]
        said = [answer for answer in said if (answer != UNKNOWN).any()]
        if not said:
            continue
        agreed, share = _majority(np.stack(said), one_label)
        spoken = np.any([(answer != UNKNOWN) for answer in said], axis=0)
        if one_label:
            spoken = np.repeat(spoken.any(axis=1, keepdims=True), count, axis=1)
        values = np.where(spoken, agreed, values).astype(np.int8)
        trust = share * (UNTOUCHED_WEIGHT if rank == _UNTOUCHED else 1.0)
        weight = np.where(spoken.any(axis=1), trust, weight).astype(np.float32)
    foreign = {label for a in annotations for region in a.regions for label in region.labels} - set(names)
    on_file, file_weight = _to_frame_indices(values, weight, grid)
    dense = [r for r in readings if r.dense]
    return FrameLabels(names, on_file, file_weight, bool(dense), any(r.judged for r in dense), tuple(sorted(foreign)))


@dataclass(frozen=True, eq=False)
class _Reading:
    """One annotation on Label Studio's grid: `values` (frames, L), `rank` (frames,) of whose word it is."""

    values: NDArray[np.int8]
    rank: NDArray[np.int8]
    dense: bool
    judged: bool


def _read(
    annotation: Annotation,
    grid: StudioGrid,
    labels: tuple[str, ...],
    default_label: str | None,
    exclusive: bool,
    pushed: Mapping[str, Region],
) -> _Reading:
    frames, count = len(grid.shown), len(labels)
    dense = is_dense(annotation, grid, pushed)
    yes = np.zeros((frames, count), bool)
    predicted = np.zeros((frames, count), bool)
    answered, asked, ignored, foreign, touched = np.zeros((5, frames), bool)
    for region in annotation.regions:
        span, untouched = _span(region, frames), is_untouched(region, pushed)
        # Only who speaks of the whole video agrees with what a model drew there.
        if untouched and not dense:
            continue
        if region.nothing:
            answered[span] = asked[span] = touched[span] = True
            continue
        mine = [labels.index(label) for label in region.labels if label in labels]
        if _is_question(region):
            (asked if region.labels else ignored)[span] = True
        if not mine:
            if region.labels:
                foreign[span] = True
            continue
        for column in mine:
            (predicted if untouched else yes)[span, column] = True
        if not untouched:
            touched[span] = True
        # The answer to a question about one frame is the whole answer for it.
        if exclusive or _is_question(region):
            answered[span] = True
    # So it also outdoes what a model says of that frame.
    yes |= predicted & ~asked[:, None]
    labelled = yes.any(axis=1)
    values = np.full((frames, count), UNKNOWN, np.int8)
    if dense:
        values[:] = NO
        if default_label in labels:
            values[~labelled, labels.index(default_label)] = YES
    else:
        values[answered] = NO
    values[yes] = YES
    if exclusive:
        values[yes.sum(axis=1) > 1] = UNKNOWN
    # A label that the project no longer has was there: nothing else may be concluded.
    values[foreign & ~labelled] = UNKNOWN
    from_model = any(is_from_timeline(region) for region in annotation.regions)
    blind = dense and from_model and annotation.reviewed is not True
    rank = np.full(frames, _DENSE if dense else _SPARSE, np.int8)
    if blind:
        rank[~touched] = _UNTOUCHED
    if annotation.ground_truth:
        rank[:] = _GROUND_TRUTH
    elif blind:
        # Nobody looked there, and the model asked because it does not know.
        values[ignored & ~touched] = UNKNOWN
    judged = dense and (not blind or annotation.ground_truth or _is_worked_on(annotation, pushed))
    return _Reading(values, rank, dense, judged)


def _is_worked_on(annotation: Annotation, pushed: Mapping[str, Region]) -> bool:
    """Whether somebody changed the timeline, be it that they drew in it; answers to questions are no such change."""
    return any(
        region.labels and not region.id.startswith(SUGGESTION_PREFIX) and not is_untouched(region, pushed)
        for region in annotation.regions
    )


def _is_question(region: Region) -> bool:
    """Whether it asks about one frame; one that was dragged longer is a region like others."""
    return region.id.startswith(SUGGESTION_PREFIX) and region.start == region.end


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
    values: NDArray[np.int8], weight: NDArray[np.float32], grid: StudioGrid
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Grid rows to frame indices.

    A frame shown several times takes what all of its showings agree on. One that Label Studio never shows takes the
    value on which the showings before and after it agree; at the ends of the video it stays unknown.
    """
    frames, (_, count) = len(grid.timeline), values.shape
    carried = np.full((frames, count), UNKNOWN, np.int8)
    trust = np.zeros(frames, np.float32)
    if not len(grid.shown) or not count:
        return carried, trust
    shown, starts = np.unique(grid.shown, return_index=True)
    lowest = np.minimum.reduceat(values, starts, axis=0)
    highest = np.maximum.reduceat(values, starts, axis=0)
    agreed = np.where(lowest == highest, lowest, UNKNOWN).astype(np.int8)
    least = np.minimum.reduceat(weight, starts)
    carried[shown], trust[shown] = agreed, least
    hidden = np.setdiff1d(np.arange(frames), shown)
    hidden = hidden[(hidden > shown[0]) & (hidden < shown[-1])]
    after = np.searchsorted(shown, hidden)
    before = after - 1
    same = np.asarray(agreed[before] == agreed[after])
    carried[hidden] = np.where(same, agreed[before], UNKNOWN)
    trust[hidden] = np.minimum(least[before], least[after])
    trust[(carried == UNKNOWN).all(axis=1)] = 0.0
    return carried, trust


def is_from_timeline(region: Region) -> bool:
    """Whether a model drew this region, be it that somebody changed it since."""
    return _FROM_MODEL.match(region.id) is not None


def _span(region: Region, frames: int) -> slice:
    """The grid rows of a region; Label Studio accepts ranges outside the video and ranges drawn backwards."""
    first, last = sorted((int(region.start), int(region.end)))
    return slice(min(max(first, 1) - 1, frames), min(max(last, 0), frames))

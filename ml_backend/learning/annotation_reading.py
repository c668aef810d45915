"""What one annotation says of each picture that Label Studio shows of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region
from ml_backend.provenance import RegionId
from ml_backend.video.timeline import StudioGrid

YES, NO, UNKNOWN = 1, 0, -1

# A hand-made annotation whose regions cover this share of the video was meant as a whole timeline.
NEARLY_ALL = 0.9
# Trust in what a model drew and nobody touched: a blind Submit must not become truth.
UNTOUCHED_WEIGHT = 0.3

# Whose word counts, lowest first. A higher one overrules the lower ones frame by frame.
UNTOUCHED, SPARSE, DENSE, GROUND_TRUTH = range(4)


def is_dense(annotation: Annotation, grid: StudioGrid, pushed: Mapping[str, Region] | None = None) -> bool:
    """Whether the annotation speaks of the whole video, gaps included.

    An explicit mark wins. Else one that began from a full timeline prediction is dense, unless questions were answered
    in it and the timeline was left as it was; one that began from keyframe suggestions is sparse, and a hand-made one is
    dense when its regions cover nearly all of the video, of which somebody must have touched one. `pushed`: as for
    `frame_labels`.
    """
    if annotation.reviewed is not None:
        return annotation.reviewed
    suggested = [region for region in annotation.regions if is_asked(region)]
    if any(is_from_timeline(region) for region in annotation.regions):
        answered = any(region.labels for region in suggested)
        return not answered or annotation.ground_truth or _is_worked_on(annotation, pushed or {})
    if suggested or not _is_worked_on(annotation, pushed or {}):
        return False
    covered = np.zeros(len(grid.shown), bool)
    for region in annotation.regions:
        if region.labels:
            covered[span_of(region, len(covered))] = True
    return bool(len(covered)) and float(covered.mean()) >= NEARLY_ALL


def is_untouched(region: Region, pushed: Mapping[str, Region]) -> bool:
    """Whether a model drew this region, and nobody changed it or ticked *reviewed* on it.

    Label Studio leaves `origin` alone when an edge is dragged, and forgets it when it makes annotations of predictions. So
    the region is compared with what was `pushed` (region id to region), or where that is no longer at hand with the
    range in the region's id. Of another model's region that is not at hand `origin` alone tells.
    """
    return not region.reviewed and _is_as_drawn(region, pushed)


def _is_as_drawn(region: Region, pushed: Mapping[str, Region]) -> bool:
    if region.origin == "prediction-changed" or is_asked(region):
        return False
    was = pushed.get(region.id)
    if was is not None:
        return (was.start, was.end, was.labels) == (region.start, region.end, region.labels)
    drawn = RegionId.parse(region.id)
    if drawn is None:
        return region.origin == "prediction"
    return drawn.span in (None, (region.start, region.end))


def is_from_model(region: Region, pushed: Mapping[str, Region]) -> bool:
    """Whether any model drew this region, be it that somebody changed it since; the answer to a question is a person's."""
    foreign = region.id in pushed or region.origin in ("prediction", "prediction-changed")
    return is_from_timeline(region) or (foreign and not is_asked(region))


@dataclass(frozen=True, eq=False)
class Reading:
    """One annotation's word on the P pictures that Label Studio shows: `values` (P, L), `rank` (P,) of whose word it is."""

    values: NDArray[np.int8]
    rank: NDArray[np.int8]
    dense: bool
    judged: bool


@dataclass(frozen=True, eq=False)
class _Showings:
    """The same for each of the F frames that Label Studio counts, of which several may show one picture.

    `asked`: (F,) a question was answered there. `touched`: (F,) somebody's own word. `barred`: (F,) nothing may be
    concluded, since two labels exclude each other, or what was there is not known any more.
    """

    values: NDArray[np.int8]
    rank: NDArray[np.int8]
    asked: NDArray[np.bool_]
    touched: NDArray[np.bool_]
    barred: NDArray[np.bool_]


def read_annotation(
    annotation: Annotation,
    grid: StudioGrid,
    labels: tuple[str, ...],
    default_label: str | None,
    exclusive: bool,
    pushed: Mapping[str, Region],
    whole: bool | None = None,
) -> Reading:
    """What an annotation says of the pictures that Label Studio shows, in order.

    A picture that Label Studio shows several times is what its labelled showings say: one that nobody labelled was not
    asked about. Where they contradict each other it is unknown. The parameters are those of `frame_labels`, `whole` being
    its `dense`.
    """
    dense = whole if whole is not None and annotation.reviewed is None else is_dense(annotation, grid, pushed)
    from_model = any(is_from_model(region, pushed) for region in annotation.regions)
    blind = dense and from_model and annotation.reviewed is not True
    said = _showings(annotation, len(grid), labels, default_label, exclusive, pushed, dense, blind)
    judged = dense and (not blind or annotation.ground_truth or _is_worked_on(annotation, pushed))
    return Reading(*_pictures(said, grid, exclusive), dense, judged)


def _showings(
    annotation: Annotation,
    frames: int,
    labels: tuple[str, ...],
    default_label: str | None,
    exclusive: bool,
    pushed: Mapping[str, Region],
    dense: bool,
    blind: bool,
) -> _Showings:
    yes = np.zeros((frames, len(labels)), bool)
    predicted = np.zeros((frames, len(labels)), bool)
    answered, asked, ignored, foreign, touched = np.zeros((5, frames), bool)
    for region in annotation.regions:
        span, untouched = span_of(region, frames), is_untouched(region, pushed)
        # Only who speaks of the whole video agrees with what a model drew there.
        if untouched and not dense:
            continue
        if region.nothing:
            answered[span] = asked[span] = touched[span] = True
            continue
        mine = [labels.index(label) for label in region.labels if label in labels]
        if is_question(region):
            (asked if region.labels else ignored)[span] = True
        if not mine:
            if region.labels:
                foreign[span] = True
            continue
        for column in mine:
            (predicted if untouched else yes)[span, column] = True
        if not untouched:
            touched[span] = True
        # The answer to a question about one frame is the whole answer for it, and so is a region that was reviewed.
        if exclusive or is_question(region) or region.reviewed:
            answered[span] = True
    # So it also outdoes what a model says of that frame.
    yes |= predicted & ~asked[:, None]
    labelled = yes.any(axis=1)
    values = np.full(yes.shape, UNKNOWN, np.int8)
    if dense:
        values[:] = NO
        if default_label in labels:
            values[~labelled, labels.index(default_label)] = YES
    else:
        values[answered] = NO
    values[yes] = YES
    rank = np.full(frames, DENSE if dense else SPARSE, np.int8)
    # A label that the project no longer has was there: nothing else may be concluded.
    barred = foreign & ~labelled
    if exclusive:
        barred |= yes.sum(axis=1) > 1
    if blind:
        rank[~touched] = UNTOUCHED
    if annotation.ground_truth:
        rank[:] = GROUND_TRUTH
    elif blind:
        # Nobody looked there, and the model asked because it does not know.
        barred |= ignored & ~touched
    return _Showings(values, rank, asked, touched, barred)


def _pictures(said: _Showings, grid: StudioGrid, exclusive: bool) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """(P, L) values and (P,) ranks of what the showings of each picture say together."""
    starts = np.flatnonzero(np.diff(grid.shown, prepend=-1))
    values = np.where(said.barred[:, None], UNKNOWN, said.values).astype(np.int8)
    if len(starts) == len(grid):
        return values, said.rank
    times = np.diff(starts, append=len(grid))
    # An answer is the whole answer for its picture. Of its other showings only what somebody labelled there counts.
    asked = np.repeat(np.logical_or.reduceat(said.asked, starts), times)
    beside = asked & ~said.asked
    values[beside] = np.where((values[beside] == YES) & said.touched[beside, None], YES, UNKNOWN)
    # Elsewhere the word of the highest standing does.
    speaks = said.barred | (values != UNKNOWN).any(axis=1)
    rank = np.where(speaks, said.rank, -1)
    highest = np.maximum.reduceat(rank, starts)
    speaks &= rank == np.repeat(highest, times)
    yes = np.logical_or.reduceat(speaks[:, None] & (values == YES), starts, axis=0)
    no = np.logical_or.reduceat(speaks[:, None] & (values == NO), starts, axis=0)
    barred = np.logical_or.reduceat(speaks & said.barred, starts)
    if exclusive:
        barred |= (yes & no).any(axis=1)
    agreed = np.select([yes & no, yes, no], [UNKNOWN, YES, NO], UNKNOWN).astype(np.int8)
    agreed[barred] = UNKNOWN
    return agreed, np.maximum(highest, 0).astype(np.int8)


def _is_worked_on(annotation: Annotation, pushed: Mapping[str, Region]) -> bool:
    """Whether somebody changed the timeline, be it that they drew in it; answers to questions are no such change."""
    return any(
        region.labels and not is_asked(region) and not _is_as_drawn(region, pushed) for region in annotation.regions
    )


def is_question(region: Region) -> bool:
    """Whether it asks about one frame; one that was dragged longer is a region like others."""
    return is_asked(region) and region.start == region.end


def is_from_timeline(region: Region) -> bool:
    """Whether a model drew this region, be it that somebody changed it since."""
    ours = RegionId.parse(region.id)
    return ours is not None and not ours.is_asked


def is_asked(region: Region) -> bool:
    """Whether it began as a suggestion or a question."""
    ours = RegionId.parse(region.id)
    return ours is not None and ours.is_asked


def span_of(region: Region, frames: int) -> slice:
    """The grid rows of a region; Label Studio accepts ranges outside the video and ranges drawn backwards."""
    first, last = sorted((int(region.start), int(region.end)))
    return slice(min(max(first, 1) - 1, frames), min(max(last, 0), frames))

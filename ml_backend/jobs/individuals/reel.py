"""The individuals of a video behind each other, as one video of its own: of each the frames in which it is in the picture, seen by a view
that moves with it.

So a task still has one video that teaches, is held out and is predicted as a whole, and what is learned from it cannot tell that it is
none. A gap in it says something about those who are there, and about nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region
from ml_backend.errors import VideoUnreadable
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.moving import joined, joined_timeline, moving_features, stored
from ml_backend.jobs.progress import SILENT, Progress
from ml_backend.jobs.project import ProjectWork, roi_for
from ml_backend.jobs.videos import known_content, naming, task_video
from ml_backend.labelstudio.box_track import at_pictures, upright
from ml_backend.labelstudio.individuals import Cast, Individual
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.annotation_reading import is_from_model, is_untouched
from ml_backend.queueing import counters
from ml_backend.video.moving_view import MovingView, moving_view
from ml_backend.video.timeline import StudioGrid, Timeline, read_timeline, studio_grid, usual_lasting


@dataclass(frozen=True, eq=False)
class Reel:
    """`cast`: who is in it, at least one. `own`: the frames of the video itself, as Label Studio counts them. `views`: of each
    individual."""

    cast: Cast
    own: StudioGrid
    views: tuple[MovingView, ...]

    @classmethod
    def of(cls, cast: Cast, own: StudioGrid) -> Reel:
        """Raises VideoUnreadable where nobody is in the video."""
        inside = cast.until(len(own))
        if not inside.individuals:
            raise VideoUnreadable(
                "Nobody is tracked in this video.", "Draw a box around each individual, or choose another detector."
            )
        return cls(inside, own, tuple(_view(each, own) for each in inside.individuals))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(k + 1,) at which of its frames each individual begins, and where the last one ends."""
        return np.cumsum([0, *(len(view) for view in self.views)])

    @cached_property
    def grid(self) -> StudioGrid:
        """Its frames, as Label Studio would count them: of each individual those in which it is there."""
        shown = []
        for each, view, start in zip(self.cast.individuals, self.views, self.starts.tolist(), strict=False):
            at = np.searchsorted(view.frames, self.own.shown[each.frames - 1]).clip(0, len(view) - 1)
            shown.append(start + at)
        timeline = joined_timeline(self.own.timeline, self.views)
        return StudioGrid(timeline, self.own.framerate, np.concatenate(shown))

    def parts(self, values: NDArray[np.float32]) -> list[tuple[Individual, NDArray[np.int64], NDArray[np.float32]]]:
        """What (n, L) values of its frames say of each individual: who it is, the frame indices (k,) of the video, and (k, L)."""
        cut = np.split(values[: self.starts[-1]], self.starts[1:-1])
        return [
            (each, view.frames[: len(rows)], rows)
            for each, view, rows in zip(self.cast.individuals, self.views, cut, strict=True)
        ]

    def placed(self, region: Region) -> Region | None:
        """A region of the video on the frames of the reel; None where nobody can tell whose it is, or whoever it is is away then."""
        whose = self.cast.whose(region)
        there = self.cast.placed(region, whose) if whose is not None else None
        return there if there is not None and there.start <= len(self.grid) else None

    def spans(self, start: int, stop: int) -> list[tuple[Individual, int, int]]:
        """Its frames `start`..`stop`, the latter not included, as frame indices of the video: who, from when, and until before when."""
        found = []
        for each, view, first in zip(self.cast.individuals, self.views, self.starts.tolist(), strict=False):
            frames = view.frames[max(start - first, 0) : max(stop - first, 0)]
            for part in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(frames) else ():
                found.append((each, int(part[0]), int(part[-1]) + 1))
        return found


def _view(individual: Individual, own: StudioGrid) -> MovingView:
    boxes = upright(at_pictures(individual.track, own), individual.aspect) / 100
    frames = np.flatnonzero(~np.isnan(boxes[:, 0]))
    return moving_view(frames, boxes[frames], individual.aspect, 1 / usual_lasting(own.timeline))


@dataclass(frozen=True, eq=False)
class Placed:
    """What people said of a task, on the frames that a model is shown of it: its video's, or its reel's. `pushed`: what was predicted, by
    id. `nobodys`: regions of a timeline of individuals of which nobody can tell whose they are."""

    annotations: tuple[Annotation, ...]
    pushed: Mapping[str, Region]
    nobodys: tuple[Region, ...] = ()

    def unclear(self, reel: Reel) -> NDArray[np.bool_]:
        """(n,) the frames of a reel in which somebody does what one of `nobodys` says."""
        found = np.zeros(len(reel.grid.timeline), bool)
        for region in self.nobodys:
            for each in reel.cast.individuals:
                there = reel.cast.placed(region, each)
                shown = reel.grid.shown[int(there.start) - 1 : int(there.end)]
                if len(shown):
                    found[int(shown[0]) : int(shown[-1]) + 1] = True
        return found


def on_reel(annotations: Sequence[Annotation], pushed: Mapping[str, Region], cast: Cast) -> Placed:
    """`pushed`: the predicted regions as they were shown."""
    was: dict[str, Region] = {}
    nobodys: list[Region] = []
    placed: list[Annotation] = []
    for annotation in annotations:
        regions: list[Region] = []
        for region in annotation.regions:
            whose = cast.whose(region)
            if whose is None:
                if region.labels or region.nothing:
                    nobodys.append(region)
                    continue
                # A question that nobody answered says nothing, whosever it is.
                whose = cast.individuals[0] if cast.individuals else None
            if whose is None:
                continue
            there = cast.placed(region, whose)
            regions.append(there)
            if is_from_model(region, pushed):
                before = pushed.get(region.id)
                same = is_untouched(replace(region, reviewed=False), pushed) and (
                    before is None or cast.whose(before) is whose
                )
                # The ranges in ids are the video's own, so what was predicted is told here.
                if same:
                    was[region.id] = there
                else:
                    was.setdefault(region.id, replace(there, labels=("", *there.labels)))
        placed.append(replace(annotation, regions=tuple(regions)))
    return Placed(tuple(placed), was, tuple(nobodys))


def reel_of(work: ProjectWork, task: Task, cast: Cast) -> Reel:
    """The reel of a task's video, for the question of `work`. Raises VideoError, LabelStudioError."""
    return Reel.of(cast, studio_grid(video_timeline(work, task), work.question.framerate_of(task.data)))


def video_timeline(work: ProjectWork, task: Task) -> Timeline:
    """Of a task's video, from what was kept of it, if anything. Raises VideoError, LabelStudioError."""
    if (known := _kept_timeline(work, task)) is not None:
        return known
    video = task_video(work.context, work.question, task)
    with naming(task, work.question, video):
        return read_timeline(video.path)


def _kept_timeline(work: ProjectWork, task: Task) -> Timeline | None:
    content = known_content(work.context, work.question, task)
    if content is None:
        return None
    kept = work.context.store.any_of(content, roi_for(work, task)) or work.context.individual_store.any_of(content)
    return kept.timeline if kept is not None else None


def reel_features(
    work: ProjectWork, task: Task, reel: Reel, backbone: Backbone, progress: Progress = SILENT
) -> VideoFeatures:
    """The embeddings of a reel: those of each individual from the store, or made in one decode of the video.

    Raises VideoError, LabelStudioError, StorageError.
    """
    context, store = work.context, work.context.individual_store
    content = known_content(context, work.question, task)
    if content is not None:
        known = [stored(store, content, backbone, view) for view in reel.views]
        if all(each is not None for each in known):
            return joined(known, reel.views)
    video = task_video(context, work.question, task, progress.part(0, 10))
    started = time.monotonic()
    with naming(task, work.question, video):
        found = moving_features(
            video.path,
            reel.views,
            backbone,
            store,
            video.content,
            progress.part(10, 100).share(f"embedding the individuals of task {task.id}"),
        )
        features = joined(found, reel.views)
    counters.count_frames(context.redis, len(features.timeline), len(features.frames), time.monotonic() - started)
    return features


def has_reel_features(work: ProjectWork, task: Task, cast: Cast, backbone: Backbone) -> bool:
    """Whether they are all in the store, so that predicting the individuals takes no time. Decodes nothing."""
    content = known_content(work.context, work.question, task)
    timeline = _kept_timeline(work, task)
    if content is None or timeline is None:
        return False
    try:
        reel = Reel.of(cast, studio_grid(timeline, work.question.framerate_of(task.data)))
    except VideoUnreadable:
        return True
    store, keys = work.context.individual_store, backbone.at(None).keys
    return all(any(store.has(content, key + view.key) for key in keys) for view in reel.views)

"""A project's boxes as an export sees them: each task's video, and the objects that a person or a model has boxed in it.

What somebody has submitted counts for the whole video; what is predicted, where nobody has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoError
from ml_backend.export.project import group_of, timeline_of
from ml_backend.jobs.box_tracks import Drawn, as_shown
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import video_name
from ml_backend.labelstudio.box_track import Floats, Track, at_pictures, upright
from ml_backend.labelstudio.submitted_tracks import submitted_tracks
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import is_untouched, read_tracks
from ml_backend.projects import tracks
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.provenance import track_number
from ml_backend.video.timeline import StudioGrid, studio_grid

log = logging.getLogger(__name__)

Sources = Literal["human", "model", "both"]
# What an object is called that nobody has named.
UNNAMED = "object"
# Higher numbers are nobody's count of objects.
_MOST_NUMBERS = 1_000_000


@dataclass(frozen=True)
class BoxChoice:
    """What to take. `every`: of each video's frames with a box every so many, counted through. `key_frames`: of them those at
    which a box was placed. `sources`: *human* for what was submitted, *model* for what is predicted where
    nothing was, *both*. `min_confidence`: of a model's tracks at least this. `shares`: of the frames in train, val and test, None
    does not split; `seed` decides between equals."""

    every: int = 1
    key_frames: bool = False
    sources: Sources = "both"
    min_confidence: float = 0.0
    shares: tuple[float, float, float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class BoxedObject:
    """One object in one video. `number`: within the video, from 1. `score`: 0..1, 1 for what a person submitted.

    `untouched`: a model drew it and a person submitted it as it was. `drawn`: the person's own box at one frame, which `track`
    follows through the video; then all other boxes are the model's.
    """

    number: int
    track: Track
    label: str
    source: Literal["human", "model"]
    score: float
    untouched: bool = False
    drawn: Track | None = None

    def boxes(self, grid: StudioGrid) -> tuple[Floats, NDArray[np.bool_]]:
        """(n, 5) the box in each picture, by frame index, in percent as `box_track` has it; NaN where there is none. And (n,)
        which of them are a person's."""
        found = at_pictures(self.track, grid)
        by_person = np.full(len(found), self.source == "human")
        if self.drawn is not None:
            own = at_pictures(self.drawn, grid)
            there = ~np.isnan(own[:, 0])
            found[there], by_person[there] = own[there], True
        return found, by_person

    def key_pictures(self, grid: StudioGrid) -> list[int]:
        """The frame indices of its key frames."""
        keys = (*self.track.keys, *(self.drawn.keys if self.drawn is not None else ()))
        return [int(grid.index(key.frame)) for key in keys if key.frame <= len(grid)]


@dataclass(frozen=True, eq=False)
class BoxedTask:
    """One task's video and its objects. `name`, `group`: as of `project.Video`. `version`: the model version whose prediction
    these are; None for what a person, `author`, has submitted."""

    task: Task
    name: str
    group: str
    grid: StudioGrid
    objects: tuple[BoxedObject, ...]
    version: str | None
    author: int | None

    def boxed(self) -> NDArray[np.int64]:
        """(k,) the frame indices at which there is a box in the picture."""
        there = np.zeros(len(self.grid.timeline), bool)
        for each in self.objects:
            there |= ~np.isnan(upright(each.boxes(self.grid)[0], 1.0)[:, 0])
        return np.flatnonzero(there)


def boxed_tasks(work: ProjectWork, choice: BoxChoice, skipped: list[str]) -> Iterator[BoxedTask]:
    """Each task that has an object by what is asked for, by its number.

    A task whose video cannot be used, and a region that cannot be read, is left out, and a
    sentence about it appended to `skipped`. Raises LabelStudioError.
    """
    version = work.project.model_version or None
    for task, items, results in work.context.studio.annotations.beside_predictions(work.id, version):
        submitted = submitted_tracks(items, work.question)
        stored = _stored(work, task)
        if submitted is not None:
            read = submitted.read
            found = _submitted(read.tracks, stored, work.question.from_name, choice)
        else:
            read = read_tracks(results, work.question)
            found = _predicted(read.tracks, choice)
        skipped += [f"Task {task.id}: {refused.message}" for refused in read.refused]
        if not found:
            continue
        try:
            timeline = timeline_of(work, task)
        except VideoError as error:
            log.warning("the boxes of task %d are not exported: %s", task.id, error)
            skipped.append(f"Task {task.id} is left out: {error}")
            continue
        grid = studio_grid(timeline, work.question.framerate_of(task.data))
        name, group = video_name(task, work.question), group_of(work, task)
        author = submitted.author if submitted is not None else None
        yield BoxedTask(task, name, group, grid, found, None if submitted is not None else version, author)


def _stored(work: ProjectWork, task: Task) -> StoredTracks | None:
    """What is kept of the task's tracks here, unless it is counted at another frame rate than now."""
    stored = tracks.load(work.context.settings.data_dir, work.key, task.id)
    length = stored.lengths.get(work.question.from_name) if stored is not None else None
    return stored if length is not None and length[2] == work.question.framerate_of(task.data) else None


def _predicted(found: Sequence[Track], choice: BoxChoice) -> tuple[BoxedObject, ...]:
    if choice.sources == "human":
        return ()
    objects = [
        BoxedObject(track_number(each.id) or 0, each, _label(each), "model", 1.0 if each.score is None else each.score)
        for each in found
    ]
    return _numbered([each for each in objects if each.score >= choice.min_confidence])


def _submitted(
    found: Sequence[Track], stored: StoredTracks | None, control: str, choice: BoxChoice
) -> tuple[BoxedObject, ...]:
    """The objects of one annotation. A box that was drawn at one frame is that of its followed track, where it has one."""
    if choice.sources == "model":
        return ()
    untouched = {each.id for each in found if is_untouched(each)}
    followed: dict[str, StoredTrack] = {}
    if choice.sources == "both" and stored is not None:
        marks = {each.drawn: each for each in stored.tracks if each.drawn and each.control == control}
        changed = {track_number(each.id) for each in found if each.id not in untouched and not _is_drawn(each)}
        for each in found:
            track = marks.get(Drawn(control, each, track_number(each.id)).mark) if _is_drawn(each) else None
            # What a person has changed of the same object is nearer to the truth than what follows one box.
            if track is not None and track.score >= choice.min_confidence and track.number not in changed:
                followed[each.id] = track
    replaced = {each.number for each in followed.values()}
    objects = []
    for each in found:
        number, label = track_number(each.id) or 0, _label(each)
        if each.id in followed:
            track = followed[each.id]
            label = label if each.labels else track.label or UNNAMED
            objects.append(BoxedObject(track.number, as_shown(track), label, "model", track.score, drawn=each))
        elif each.id not in untouched or number not in replaced:
            objects.append(BoxedObject(number, each, label, "human", 1.0, each.id in untouched))
    return _numbered(objects)


def _is_drawn(track: Track) -> bool:
    """Whether a person drew one box and said nothing of other frames."""
    return len(track.keys) == 1 and track.keys[0].enabled and not is_untouched(track)


def _label(track: Track) -> str:
    return track.labels[0] if track.labels else UNNAMED


def _numbered(objects: Sequence[BoxedObject]) -> tuple[BoxedObject, ...]:
    """With a number each: its own, or the next one that no other has."""
    taken: set[int] = set()
    kept = []
    for each in objects:
        own = each.number if 0 < each.number <= _MOST_NUMBERS and each.number not in taken else 0
        taken.add(own)
        kept.append(own)
    highest = max(taken, default=0)
    numbered = []
    for each, number in zip(objects, kept, strict=True):
        highest += number == 0
        numbered.append(replace(each, number=number or highest))
    return tuple(numbered)

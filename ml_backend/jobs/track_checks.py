"""What people have submitted of boxes is kept for the pages, and tracks that are probably wrong are noted, a model's and people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.geometry.faults import faults_of
from ml_backend.geometry.trajectory import Trajectory, told_apart
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import video_name
from ml_backend.labelstudio.box_track import Track, meant_boxes
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import is_untouched, read_tracks
from ml_backend.projects import submitted_tracks, track_faults, tracks
from ml_backend.projects.submitted_tracks import SubmittedTrack
from ml_backend.projects.track_faults import Source, TrackFault
from ml_backend.projects.tracks import StoredTracks

# Where nobody knows how wide a picture is.
ASPECT = 16 / 9


def keep_submitted(work: ProjectWork, task: Task, annotations: Sequence[Mapping[str, Any]]) -> None:
    """Keeps the tracks of a task's annotations, and checks them when they have changed. Raises StorageError."""
    data_dir = work.context.settings.data_dir
    found: list[SubmittedTrack] = []
    for annotation in annotations:
        if annotation.get("was_cancelled"):
            continue
        author, result = annotation.get("completed_by"), annotation.get("result")
        for question in work.config.tracks:
            found += [
                _submitted(track, question, author if isinstance(author, int) else None)
                for track in read_tracks(result if isinstance(result, list) else [], question).tracks
            ]
    if not submitted_tracks.save(data_dir, work.key, task.id, found):
        return
    stored = tracks.load(data_dir, work.key, task.id) or StoredTracks()
    faults: list[TrackFault] = []
    for question in work.config.tracks:
        for author in dict.fromkeys(each.author for each in found):
            of_author = [each for each in found if (each.author, each.control) == (author, question.from_name)]
            named = [_Named(each.called, Track.placed(each.region, each.keys, each.labels)) for each in of_author]
            faults += _faults(work, question, task, "human", named, stored)
    track_faults.save(data_dir, work.key, task.id, "human", faults)


def forget_submitted(work: ProjectWork, seen: set[int]) -> None:
    """Forgets what was submitted of other tasks than those that have an annotation."""
    data_dir = work.context.settings.data_dir
    for task in submitted_tracks.tasks(data_dir, work.key) - seen:
        submitted_tracks.delete(data_dir, work.key, task)
        track_faults.save(data_dir, work.key, task, "human", ())


def check_found(work: ProjectWork, task: Task, stored: StoredTracks) -> None:
    """Notes which of the tracks that are shown of a task are probably wrong. Raises StorageError."""
    faults: list[TrackFault] = []
    for question in work.config.tracks:
        named = [
            _Named(
                each.called(question.labels_of(task.data)),
                Track.placed("", ((*key[:5], 0.0, key[5]) for key in each.keys)),
                each.number,
            )
            for each in stored.shown
            if each.control == question.from_name
        ]
        faults += _faults(work, question, task, "model", named, stored)
    track_faults.save(work.context.settings.data_dir, work.key, task.id, "model", faults)


@dataclass(frozen=True, eq=False)
class _Named:
    """A track as pages call it. `number`: a model's."""

    name: str
    track: Track
    number: int | None = None


def _faults(
    work: ProjectWork,
    question: Question,
    task: Task,
    source: Source,
    named: Sequence[_Named],
    stored: StoredTracks,
) -> list[TrackFault]:
    rate, length = question.framerate_of(task.data), stored.lengths.get(question.from_name)
    last = length[0] if length is not None else max((each.track.keys[-1].frame for each in named), default=1)
    aspect = stored.aspects.get(question.from_name, ASPECT)
    known = [each for each in named if not each.track.is_one_box]
    names = told_apart([each.name for each in known])
    ways = [
        Trajectory.of(name, *meant_boxes(each.track, last, aspect), rate, aspect)
        for name, each in zip(names, known, strict=True)
    ]
    numbers = {name: each.number for name, each in zip(names, known, strict=True) if each.number is not None}
    return [
        TrackFault(
            task.id,
            video_name(task, question),
            source,
            fault.tracks,
            fault.start,
            fault.end,
            (fault.start - 1) / rate,
            fault.doubt,
            fault.kind,
            fault.sentence,
            question.from_name if source == "model" else "",
            tuple(numbers[name] for name in fault.tracks if name in numbers),
        )
        for fault in faults_of(ways, last)
    ]


def _submitted(track: Track, question: Question, author: int | None) -> SubmittedTrack:
    keys = tuple((int(k.frame), k.x, k.y, k.width, k.height, k.rotation, k.enabled) for k in track.keys)
    return SubmittedTrack(
        question.region_id(track.id), question.from_name, author, track.labels, keys, is_untouched(track)
    )

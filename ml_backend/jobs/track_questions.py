"""Which frames of a task's tracks a person is asked about: where a track is probably wrong, and what a label would teach most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.track_labels import is_open
from ml_backend.jobs.videos import video_name
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import track_faults, track_questions
from ml_backend.projects.track_faults import TrackFault
from ml_backend.projects.track_questions import AskedTrack
from ml_backend.projects.tracks import StoredTrack, StoredTracks

# Who is asked about what is nearly certain answers for nothing.
_LEAST_WORTH = 0.15
# What to do when the sentence of a fault is right, and which of its frames shows it best, from its first to its last.
_IF_SO = {
    "jump": ("If so, end its track before this frame, and draw a box around the other one here.", 1.0),
    "switch": ("If so, end both tracks before they met, and draw a box around each of the two here.", 1.0),
    "double": ("If so, delete one of the two tracks.", 0.5),
    "flicker": ("If it is none, delete its track.", 0.0),
    "still": ("If so, delete its track.", 0.5),
}


def asked_of(
    work: ProjectWork, task: Task, stored: StoredTracks, faults: Sequence[TrackFault]
) -> tuple[AskedTrack, ...]:
    """What to ask about a task's tracks, the most worth first: one question about a track, and at most `questions_per_video` of all.

    `faults`: of the tracks as they are shown.
    """
    found = [
        each
        for question in work.config.tracks
        for each in (*_about_faults(task, question, stored, faults), *_about_labels(task, question, stored))
    ]
    best: dict[tuple[str, int], AskedTrack] = {}
    for each in sorted(found, key=lambda asked: -asked.worth):
        best.setdefault((each.control, each.number), each)
    return tuple(best.values())[: work.settings.questions_per_video]


def keep_asked(work: ProjectWork, task: Task, stored: StoredTracks) -> bool:
    """Keeps what is asked about a task's tracks; returns whether it is something else than before. To be called within `pushing`, where
    tracks are saved. Raises StorageError."""
    data_dir = work.context.settings.data_dir
    before = track_questions.load(data_dir, work.key, task.id)
    faults = [each for each in track_faults.load(data_dir, work.key, task.id) if each.source == "model"]
    track_questions.save(data_dir, work.key, task.id, asked_of(work, task, stored, faults))
    return track_questions.load(data_dir, work.key, task.id) != before


def _about_faults(
    task: Task, question: Question, stored: StoredTracks, faults: Sequence[TrackFault]
) -> Iterator[AskedTrack]:
    shown = {each.number: each for each in stored.shown if each.control == question.from_name}
    for fault in faults:
        track = shown.get(fault.numbers[0]) if fault.numbers and fault.control == question.from_name else None
        if track is None or fault.kind not in _IF_SO:
            continue
        then, share = _IF_SO[fault.kind]
        also = f"With {fault.tracks[1]}: " if len(fault.tracks) > 1 else ""
        frame = round(fault.start + share * (fault.end - fault.start))
        yield _asked(task, question, track, frame, f"{also}{fault.sentence} {then}", False, fault.doubt)


def _about_labels(task: Task, question: Question, stored: StoredTracks) -> Iterator[AskedTrack]:
    for track in stored.shown:
        if not is_open(track, question) or len(question.labels) < 2 or track.worth < _LEAST_WORTH:
            continue
        _, frame = max(((width * height, frame) for frame, _, _, width, height, on in track.keys if on), default=(0, 1))
        so_far = f"Probably {track.predicted} ({track.sure:.0%}). " if track.predicted else ""
        text = f"{so_far}Which one is it? Press the digit of its label."
        yield _asked(task, question, track, frame, text, True, track.worth)


def _asked(
    task: Task,
    question: Question,
    track: StoredTrack,
    frame: int,
    text: str,
    of_label: bool,
    worth: float,
) -> AskedTrack:
    rate = question.framerate_of(task.data)
    frame, box = _box(track, frame)
    name = track.called(question.labels_of(task.data))
    return AskedTrack(
        task.id,
        video_name(task, question),
        track.control,
        track.number,
        name,
        frame,
        (frame - 1) / rate,
        box,
        text,
        of_label,
        round(worth, 4),
    )


def _box(track: StoredTrack, frame: int) -> tuple[int, tuple[float, float, float, float]]:
    """The box at a frame, or at the nearest one at which there is one."""
    way = Track.placed("", ((*key[:5], 0.0, key[5]) for key in track.keys))
    spans = way.meant(track.keys[-1][0])
    at = min((min(max(frame, start), end) for start, end in spans), key=lambda each: abs(each - frame))
    x, y, width, height = way.boxes(np.array([at]))[0, :4].tolist()
    return at, (round(x, 5), round(y, 5), round(width, 5), round(height, 5))

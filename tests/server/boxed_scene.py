"""A project that asks for boxes alone, as a backend at work has it, for the tests of the dashboard's pages."""

from __future__ import annotations

import math

from dashboard_scene import FPS, FRAMES, prediction
from redis import Redis

from ml_backend.labelstudio.box_track import Track
from ml_backend.projects import (
    label_report,
    registry,
    stored_predictions,
    submitted_tracks,
    task_view,
    track_faults,
    track_questions,
    tracks,
)
from ml_backend.projects.label_report import Author, LabelReport
from ml_backend.projects.submitted_tracks import SubmittedTrack
from ml_backend.projects.task_view import TaskView
from ml_backend.projects.track_faults import TrackFault
from ml_backend.projects.track_questions import AskedTrack
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.settings import Settings

BOXED = "6.1769860800"
BOXES = (
    '<View><Labels name="who" toName="video"><Label value="mouse" background="#0072B2"/><Label value="rat" background="#D55E00"/></Labels>'
    '<VideoRectangle name="box" toName="video"/><Video name="video" value="$video" framerate="25"/></View>'
)
_AWAY = ((40, 60.0, 55.0, 12.0, 16.0, True), (140, 20.0, 60.0, 10.0, 14.0, False), (180, 22.0, 20.0, 12.0, 16.0, True))
_BACK = (260, 70.0, 24.0, 12.0, 16.0, False)
_DRAWN = (120, 60.0, 60.0, 12.0, 14.0, 20.0, True)


def open_boxes(settings: Settings, redis: Redis) -> None:
    """A project that asks for boxes alone: two tracks were found, a person has submitted one of them, corrected, and one drawn box."""
    data = settings.data_dir
    registry.remember(redis, registry.Known(BOXED, BOXES, {}))
    registry.note_overview(redis, BOXED, title="Mice", tasks=1, versions={"keyframes-v1": 1})
    stored_predictions.save(data, BOXED, prediction("keyframes-v1", 1, [], 0.7))
    task_view.save(data, BOXED, TaskView(1, "pen_1.mp4", FPS, FRAMES, FRAMES / FPS, "keyframes-v1", {}, FPS))
    mouse = StoredTrack(1, "box", tuple(_circle(1, FRAMES)), 0.91, "mouse")
    other = StoredTrack(2, "box", (*_AWAY, _BACK), 0.64)
    lengths = {"box": (FRAMES, FRAMES / FPS, FPS)}
    tracks.save(
        data, BOXED, 1, StoredTracks(tracks=(mouse, other), lengths=lengths, highest=2, aspects={"box": 16 / 9})
    )
    corrected = tuple((frame, x, y, w, h, 0.0, on) for frame, x, y, w, h, on in _circle(1, 200))
    people = (
        SubmittedTrack("coldblitz-track-1", "box", 11, ("mouse",), corrected),
        SubmittedTrack("abc", "box", 11, ("rat",), (_DRAWN,)),
    )
    submitted_tracks.save(data, BOXED, 1, people)
    author = Author(11, 1, 0, 0, 0, 0, "2026-01-03T11:00:00+00:00", "Ada Lovelace", 151.0, 75.5)
    label_report.save(data, BOXED, LabelReport("2026-01-03T12:00:00+00:00", (1,), (), {}, {}, (author,)), [])
    sentence = "It jumps by 3.1 times its own length while out of sight; it may be another object from here on."
    fault = TrackFault(1, "pen_1.mp4", "model", ("Object 2",), 140, 180, 5.56, 0.84, "jump", sentence)
    track_faults.save(data, BOXED, 1, "model", [fault])
    text = f"{sentence} If so, end its track before this frame, and draw a box around the other one here."
    asked = AskedTrack(1, "pen_1.mp4", "box", 2, "Object 2", 180, 7.16, (30.0, 30.0, 12.0, 15.0), text, False, 0.84)
    track_questions.save(data, BOXED, 1, [asked])


def shown_tracks() -> list[Track]:
    """What Label Studio has of them, but for the drawn box, which it shows to the end of the video."""
    found = [_circle(1, FRAMES), _circle(1, 200), [*_AWAY, _BACK]]
    return [Track.placed("", ((f, x, y, w, h, 0.0, on) for f, x, y, w, h, on in keys)) for keys in found]


def _circle(first: int, last: int) -> list[tuple[int, float, float, float, float, bool]]:
    frames = [*range(first, last, 10), last]
    angles = [2 * math.pi * frame / FRAMES for frame in frames]
    return [
        (frame, 45 + 25 * math.cos(angle), 40 + 30 * math.sin(angle), 10.0, 15.0, frame < last)
        for frame, angle in zip(frames, angles, strict=True)
    ]

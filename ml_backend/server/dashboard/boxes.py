"""The tracks of one video as pages draw them: a lane each on the time axis, and their boxes over the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from ml_backend.geometry.trajectory import Trajectory, told_apart
from ml_backend.labelstudio.box_track import KeyFrame, Track, meant_boxes
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.recommended import colours_of
from ml_backend.projects import submitted_tracks, task_view, tracks
from ml_backend.projects.submitted_tracks import SubmittedTrack
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.server.dashboard import charts
from ml_backend.server.dashboard.charts import Span
from ml_backend.server.dashboard.formatting import clock, count
from ml_backend.server.dashboard.site import ProjectPage
from ml_backend.server.label_studio_routes import backend

# Where nobody knows how wide a picture is.
ASPECT = 16 / 9
_MOST_LANES = 80
# A browser draws more key frames of one object slowly; between those that are left it moves evenly.
_MOST_KEYS = 2000
_UNNAMED = "#808080"


@dataclass(frozen=True, eq=False)
class ShownTrack:
    """`name`: what pages call it, each once. `who`: whose word it is. `colour`: of its label. `score`: a model's."""

    name: str
    label: str | None
    control: str
    who: str
    is_person: bool
    colour: str
    score: float | None
    track: Track

    @property
    def lane_name(self) -> str:
        return f"{self.name} ({self.who})"


@dataclass(frozen=True, eq=False)
class Boxes:
    """Of one task: people's tracks, then the model's. `more`: how many are left out. `aspect`: width / height of the picture."""

    shown: tuple[ShownTrack, ...]
    more: int
    last: int
    framerate: float
    aspect: float

    def lanes(self) -> Iterator[tuple[str, Markup]]:
        """(name, picture) of each track: the stretches in which it has a box."""
        for each in self.shown:
            spans = [
                Span(start - 1, end, each.colour, self._said(each, start, end), 1.0 if each.is_person else 0.75)
                for start, end in each.track.meant(self.last)
            ]
            sure = f", {100 * each.score:.0f} % sure" if each.score is not None else ""
            desc = f"{count(len(spans), 'stretch', 'stretches')} in {self.last} frames{sure}"
            yield each.lane_name, charts.timeline(float(self.last), spans, each.lane_name, desc)

    def _said(self, each: ShownTrack, start: int, end: int) -> str:
        when = f"frames {start} to {end}" if end > start else f"frame {start}"
        sure = f", {100 * each.score:.0f} % sure" if each.score is not None else ""
        return f"{each.name}, {each.who}: {when} at {clock((start - 1) / self.framerate)}{sure}"

    def trajectories(self, *, of_people: bool) -> list[tuple[ShownTrack, Trajectory]]:
        """Where each went, people's or the model's; without boxes that were only drawn to be followed."""
        return [(each, way) for each, way in self._ways if each.is_person == of_people]

    @cached_property
    def _ways(self) -> list[tuple[ShownTrack, Trajectory]]:
        ways = [
            (
                each,
                Trajectory.of(each.name, *meant_boxes(each.track, self.last, self.aspect), self.framerate, self.aspect),
            )
            for each in self.shown
            if not each.track.is_one_box
        ]
        return [(each, way) for each, way in ways if len(way)]

    def as_json(self) -> dict[str, Any]:
        """For the page's script, which draws the boxes of a frame as Label Studio does."""
        rows = [
            {
                "name": each.name,
                "who": each.who,
                "person": each.is_person,
                "colour": each.colour,
                "keys": [
                    [int(key.frame), key.x, key.y, key.width, key.height, key.rotation, key.enabled]
                    for key in _fewer(each.track.keys)
                ],
            }
            for each in self.shown
        ]
        return {"aspect": round(self.aspect, 6), "tracks": rows}


def load(project: ProjectPage, task: int, names: Mapping[int | None, str]) -> Boxes:
    """What is known of a task's boxes. `names`: of annotators by their numbers."""
    data_dir, questions = backend().settings.data_dir, project.config.tracks if project.config else ()
    stored = tracks.load(data_dir, project.key, task) or StoredTracks()
    submitted = submitted_tracks.load(data_dir, project.key, task)
    by_control = {question.from_name: question for question in questions}
    people = [_of_person(each, by_control, names) for each in submitted if each.control in by_control]
    found = [_of_model(each, by_control[each.control]) for each in stored.shown if each.control in by_control]
    both = [*_apart(people), *_apart(found)]
    view = task_view.load(data_dir, project.key, task)
    lengths = list(stored.lengths.values())
    ends = [each.track.keys[-1].frame for each in both]
    frames = view.frames if view else lengths[0][0] if lengths else max(ends, default=1)
    rate = view.framerate if view else lengths[0][2] if lengths else 24.0
    return Boxes(
        tuple(both[:_MOST_LANES]),
        max(0, len(both) - _MOST_LANES),
        int(frames),
        rate,
        next(iter(stored.aspects.values()), None) or _of_sheet(project, task) or ASPECT,
    )


def _of_sheet(project: ProjectPage, task: int) -> float | None:
    sheet = task_view.load_sheet(backend().settings.data_dir, project.key, task)
    return sheet.width / sheet.height if sheet else None


def _of_person(each: SubmittedTrack, questions: Mapping[str, Question], names: Mapping[int | None, str]) -> ShownTrack:
    who = names.get(each.author, f"user {each.author}" if each.author is not None else "unknown")
    label = each.labels[0] if each.labels else None
    colours = colours_of(questions[each.control])
    track = Track.placed(each.region, each.keys, each.labels)
    return ShownTrack(each.called, label, each.control, who, True, colours.get(label or "", _UNNAMED), None, track)


def _of_model(each: StoredTrack, question: Question) -> ShownTrack:
    label = each.label or (question.labels[0] if len(question.labels) == 1 else None)
    track = Track.placed("", ((f, x, y, w, h, 0.0, on) for f, x, y, w, h, on in each.keys))
    colour = colours_of(question).get(label or "", _UNNAMED)
    return ShownTrack(each.called(question.labels), label, each.control, "the model", False, colour, each.score, track)


def _apart(found: Sequence[ShownTrack]) -> list[ShownTrack]:
    """By person, as checks of them are: the same name once."""
    whose = list(dict.fromkeys((each.who, each.control) for each in found))
    ordered = [[each for each in found if (each.who, each.control) == one] for one in whose]
    return [
        ShownTrack(name, each.label, each.control, each.who, each.is_person, each.colour, each.score, each.track)
        for group in ordered
        for name, each in zip(told_apart([one.name for one in group]), group, strict=True)
    ]


def _fewer(keys: Sequence[KeyFrame]) -> list[KeyFrame]:
    """At most about so many as a browser draws, those at the ends of stretches among them."""
    step = -(-len(keys) // _MOST_KEYS)
    return [
        key
        for at, key in enumerate(keys)
        if at % step == 0 or not key.enabled or (at and not keys[at - 1].enabled) or at == len(keys) - 1
    ]

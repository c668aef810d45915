"""Who is in a task's video: the tracks that people have submitted, where there are some, else those that were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ml_backend.jobs.box_tracks import as_shown, made_by_task
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.track_checks import ASPECT
from ml_backend.labelstudio import box_track
from ml_backend.labelstudio.individuals import MOST, Cast, Individual, named_apart
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.submitted_tracks import submitted_tracks
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import registry, tracks
from ml_backend.projects import submitted_tracks as submitted_tracks_of
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.provenance import track_number
from ml_backend.wording import counted

_NOBODY = "{} without a track {} no timelines: draw a box around each individual, or choose another detector."
_MANY = "{} more than {} individuals: only those that are seen longest have a timeline."


def individuals_of(work: ProjectWork, question: Question | None = None) -> Question | None:
    """The boxes of those who each have an answer of their own to the question of `work`; None where the question is about the video as a
    whole."""
    asked, settings = question or work.question, work.settings
    if not settings.per_individual or asked.kind != "timeline" or is_custom_used(work):
        return None
    return next((each for each in work.config.tracks if each.video == asked.video), None)


def is_custom_used(work: ProjectWork) -> bool:
    """Whether the project is predicted by a researcher's file."""
    return work.settings.mode == "custom" or (work.settings.mode == "auto" and work.settings.custom_model is not None)


def cast_of(work: ProjectWork, task: Task, annotations: Iterable[Mapping[str, Any]] = ()) -> Cast:
    """The individuals of a task, for the question of `work`. `annotations`: as Label Studio gives them; of several that were submitted
    the one counts that says where objects are."""
    question = individuals_of(work)
    if question is None:
        return Cast()
    stored = tracks.load(work.context.settings.data_dir, work.key, task.id) or StoredTracks()
    own = [each for each in stored.shown if each.control == question.from_name]
    length, labels = stored.lengths.get(question.from_name), question.labels_of(task.data)
    aspect = stored.aspects.get(question.from_name, ASPECT)
    submitted = submitted_tracks(annotations, question)
    drawn = [each for each in submitted.read.tracks if not each.is_one_box] if submitted is not None else []
    if not drawn:
        found = [(each.number, as_shown(each, labels), _followed(each)) for each in own]
        last = length[0] if length is not None else _last(track for _, track, _ in found)
        return Cast.of(_individual(number, track, last, aspect, also) for number, track, also in found)
    # A box that was drawn at one frame stands for the track that follows it.
    boxes = {each.id for each in submitted.read.tracks if each.is_one_box} if submitted is not None else set()
    known = {each.number for each in own}
    every = [(track_number(each.id), each) for each in drawn]
    also: dict[str, tuple[str, ...]] = {}
    for each in own:
        if boxes & set(_followed(each)) and each.number not in {number for number, _ in every}:
            shown = as_shown(each, labels)
            every.append((each.number, shown))
            also[shown.id] = _followed(each)
    last = length[0] if length is not None else _last(track for _, track in every)
    return Cast.of(
        _individual(number, track, last, aspect, also.get(track.id, ()), shown=number in known)
        for number, track in named_apart(every, max([stored.highest, *known]))
    )


def _individual(
    number: int, track: box_track.Track, last: int, aspect: float, also: tuple[str, ...] = (), *, shown: bool = True
) -> Individual:
    return Individual(number, track, last, aspect, track.labels[0] if track.labels else None, also, shown)


def _followed(track: StoredTrack) -> tuple[str, ...]:
    """The region of the box that a track follows."""
    return tuple(track.drawn.split()[1:2])


def _last(found: Iterable[box_track.Track]) -> int:
    return max((track.keys[-1].frame for track in found), default=1)


def tell_of_casts(work: ProjectWork) -> None:
    """Tells the admin of videos in which nobody, or not everybody, has a timeline. Label Studio is asked for nothing."""
    told: list[str] = []
    if any(individuals_of(work, each) is not None for each in work.config.questions):
        made = made_by_task(work)
        by_hand = submitted_tracks_of.tasks(work.context.settings.data_dir, work.key)
        nobody = sorted(task for task, each in made.items() if not each.shown and task not in by_hand)
        many = sorted(task for task, each in made.items() if each.shown > MOST)
        if nobody:
            told.append(_NOBODY.format(_tasks(nobody), "has" if len(nobody) == 1 else "have"))
        if many:
            told.append(_MANY.format(f"{_tasks(many)} {'has' if len(many) == 1 else 'have'}", MOST))
    registry.set_problems(work.context.redis, work.key, "casts", told)


def _tasks(numbers: list[int]) -> str:
    some = ", ".join(map(str, numbers[:3])) + (", …" if len(numbers) > 3 else "")
    return f"{counted(len(numbers), 'video')} (task{'s' if len(numbers) > 1 else ''} {some})"

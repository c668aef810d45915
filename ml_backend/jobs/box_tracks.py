"""The tracks of boxes that a task's predictions show, what people have said of boxes, and which tasks are to be tracked.

Label Studio shows one model version at a time, so a task's tracks are a part of every prediction that is pushed for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_backend.jobs.backlog import room_for
from ml_backend.jobs.detector_lessons import TaskBoxes, boxes_of_task, look_at_boxes
from ml_backend.jobs.detectors import chosen_score, state_of_detector, state_of_follower
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.track_checks import forget_submitted, keep_submitted
from ml_backend.labelstudio import box_track
from ml_backend.labelstudio.box_track import KeyFrame
from ml_backend.labelstudio.individuals import below_tracks
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.track_questions import TrackQuestion, answers, question_items
from ml_backend.labelstudio.tracks import Length, checksum, has_own_label, is_untouched, read_tracks, track_items
from ml_backend.prediction_item import PredictionItem, ResultItem
from ml_backend.projects import drawn_boxes, reconcile_state, registry, track_questions, tracks
from ml_backend.projects.track_questions import AskedTrack
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks
from ml_backend.provenance import RegionId, track_id, track_number
from ml_backend.queueing.queue import enqueue
from ml_backend.video.timeline import StudioFrame
from ml_backend.wording import counted

log = logging.getLogger(__name__)
# Goes up when the same settings find other tracks.
_METHOD = 4


def are_wanted(work: ProjectWork) -> bool:
    """Whether tracks of this project are predicted."""
    return bool(work.config.tracks) and work.settings.detector != "none"


def least_score(work: ProjectWork, question: Question) -> float:
    """What is less sure is not shown."""
    return chosen_score(work, question) or 0.0


def state_of(work: ProjectWork) -> str:
    """The same for as long as the same videos would get the same tracks."""
    chosen = work.settings
    settings = [chosen.detector, chosen.smallest_box, chosen.largest_box, chosen.max_tracks, chosen.track_iou]
    asked = [
        # What nobody has named is called by the only label that there is.
        [
            each.from_name,
            each.video,
            each.framerate,
            least_score(work, each),
            *(each.labels if len(each.labels) == 1 else ()),
            *state_of_detector(work, each),
        ]
        for each in work.config.tracks
    ]
    return json.dumps([_METHOD, settings, asked, *state_of_follower(work)])


def with_tracks(work: ProjectWork, task: Task, item: PredictionItem) -> PredictionItem:
    """A prediction of a task with the task's tracks, as far as they are known, in place of those that it had.

    To be called within `pushing`: tracks that are found meanwhile come into predictions that are there. Where a project
    asks for boxes alone, a prediction is as sure as the least sure of its tracks, and less where an answer is worth much, so that tasks
    that are worth most are opened first. Where none are wanted, it has none.
    """
    if not are_wanted(work):
        return {**item, "result": [each for each in item["result"] if not _is_found(work, each)]}
    stored = tracks.load(work.context.settings.data_dir, work.key, task.id)
    if stored is None:
        # A damaged file would pass for tracks that are there.
        tracks.delete(work.context.settings.data_dir, work.key, task.id)
        return item
    controls = {question.from_name for question in work.config.tracks}
    others = [each for each in item["result"] if each["type"] != "videorectangle" or each["from_name"] not in controls]
    own = [each for question in work.config.tracks for each in _items(stored, question, task)]
    if work.settings.per_individual:
        numbered = {number: each for each in own if (number := track_number(each["id"])) is not None}
        others = below_tracks(others, numbered)
    asked = track_questions.load(work.context.settings.data_dir, work.key, task.id)
    if own and asked:
        own += [each for question in work.config.tracks for each in _asked_items(asked, stored, question, task)]
    sure = [each["score"] for each in own if "score" in each] + [round(1 - each.worth, 4) for each in asked]
    score = item["score"] if work.config.questions else min(sure, default=0.0)
    return {**item, "score": score, "result": [*others, *own]}


def _is_found(work: ProjectWork, item: ResultItem) -> bool:
    """Whether an item of a prediction is a track of ours, or a question about one."""
    ours = RegionId.parse(str(item.get("id")))
    boxed = item["type"] == "videorectangle" and item["from_name"] in {each.from_name for each in work.config.tracks}
    return boxed and ours is not None and ours.kind in ("track", "track question")


def _items(stored: StoredTracks, question: Question, task: Task) -> list[ResultItem]:
    length = stored.lengths.get(question.from_name)
    # Key frames that are counted at another rate are made again.
    if length is None or length[2] != question.framerate_of(task.data):
        return []
    labels = question.labels_of(task.data)
    own = [each for each in stored.shown if each.control == question.from_name]
    try:
        return track_items([as_shown(each, labels) for each in own], question, Length(*length))
    except ValueError as error:
        log.warning("the tracks of task %d are not shown: %s", task.id, error)
        return []


def _asked_items(asked: Sequence[AskedTrack], stored: StoredTracks, question: Question, task: Task) -> list[ResultItem]:
    """What a task's prediction asks about the tracks of one control that it shows."""
    length = stored.lengths.get(question.from_name)
    shown = {each.number for each in stored.shown if each.control == question.from_name}
    if length is None or length[2] != question.framerate_of(task.data):
        return []
    own = [
        TrackQuestion(each.number, each.frame, each.box, each.text, each.of_label)
        for each in asked
        if each.control == question.from_name and each.number in shown and each.frame <= length[0]
    ]
    return question_items(own, question, Length(*length))


def as_shown(track: StoredTrack, labels: Sequence[str] = ()) -> box_track.Track:
    """As Label Studio has it. `labels`: those that the task may get: what a person has said, else what the detector took it for, else
    what it probably is by what was learned; where there is only one, what nobody has named is that.

    What was learned is as sure as that there is an object, and that it is this, together.
    """
    score = track.score
    said = next((each for each in (track.label, track.detected) if each in labels), None)
    named: Sequence[str] = (said,) if said is not None else labels if len(labels) == 1 else ()
    if not named and track.predicted is not None and track.predicted in labels:
        named, score = (track.predicted,), round(score * track.sure, 4)
    keys = (KeyFrame(StudioFrame(frame), x, y, w, h, enabled=enabled) for frame, x, y, w, h, enabled in track.keys)
    return box_track.Track(track_id(track.number), tuple(keys), tuple(filter(None, named)), score, "prediction")


@dataclass(frozen=True)
class Drawn:
    """A box that a person has drawn at one frame, or a track of several key frames. `number`: of the track whose only key frame
    it was, None of a new one. `mark` tells it from any other box, `region` from those of other regions."""

    control: str
    track: box_track.Track
    number: int | None

    @property
    def region(self) -> str:
        return f"{self.control} {self.track.id} "

    @property
    def mark(self) -> str:
        return f"{self.region}{checksum(self.track)}"


@dataclass(frozen=True)
class Said:
    """What the annotations of a task say of boxes. `drawn`: what is to be followed, the newest last. `labels`: what a person
    called a track, by control and number. `kept`: tracks that are in an annotation. `own`: labeled tracks that people drew with
    several key frames: what is in them is known, and not followed."""

    drawn: tuple[Drawn, ...]
    labels: Mapping[tuple[str, int], str]
    kept: frozenset[tuple[str, int]]
    own: tuple[Drawn, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """The same for as long as people say the same."""
        named = (f"{control} #{number} {label}" for (control, number), label in self.labels.items())
        return tuple(sorted({*(each.mark for each in (*self.drawn, *self.own)), *named}))


def said_of(work: ProjectWork, annotations: Iterable[Mapping[str, Any]]) -> Said:
    """What a task's `annotations`, as Label Studio gives them, say; skipped ones say nothing."""
    drawn: dict[str, Drawn] = {}
    labels: dict[tuple[str, int], str] = {}
    kept: set[tuple[str, int]] = set()
    own: dict[str, Drawn] = {}
    submitted = (each for each in annotations if not each.get("was_cancelled"))
    for annotation in sorted(submitted, key=lambda each: str(each.get("updated_at"))):
        # Who answers a question and also calls the track itself something has said the latter of it.
        labels |= _answered(work, annotation.get("result"))
        for control, track in _tracks(work, annotation.get("result")):
            ours = RegionId.parse(track.id)
            number = ours.number if ours is not None else None
            if number is not None:
                kept.add((control, number))
            if is_untouched(track):
                continue
            if len(track.keys) == 1 and track.keys[0].enabled:
                found = Drawn(control, track, number)
                drawn.pop(found.region, None)
                drawn[found.region] = found
            elif number is not None and has_own_label(track):
                labels[control, number] = track.labels[0]
            elif number is None and track.labels:
                found = Drawn(control, track, None)
                own[found.region] = found
    return Said(tuple(drawn.values()), labels, frozenset(kept), tuple(own.values()))


def unsubmitted(
    work: ProjectWork, task: int, submitted: Iterable[Mapping[str, Any]]
) -> tuple[Mapping[str, object], ...]:
    """The boxes that somebody draws just now, in the form of an annotation; none once something was submitted, which has them."""
    drawn = drawn_boxes.recall(work.context.redis, work.key, task)
    if drawn is None:
        return ()
    if any(datetime.fromisoformat(each["updated_at"]) > drawn.at for each in submitted):
        drawn_boxes.forget(work.context.redis, work.key, task)
        return ()
    return ({"result": list(drawn.items), "updated_at": drawn.at.isoformat()},)


def _tracks(work: ProjectWork, result: object) -> Iterator[tuple[str, box_track.Track]]:
    for question in work.config.tracks:
        for track in read_tracks(result if isinstance(result, list) else [], question).tracks:
            yield question.from_name, track


def _answered(work: ProjectWork, result: object) -> dict[tuple[str, int], str]:
    """By control and number the label that somebody gave to a question about a track."""
    items = result if isinstance(result, list) else []
    return {
        (question.from_name, number): label
        for question in work.config.tracks
        for number, label in answers(items, question).items()
    }


def queue_track(work: ProjectWork, task: int) -> None:
    """Has a task tracked that has no tracks by the settings of now."""
    if are_wanted(work):
        made = tracks.made_of(work.context.settings.data_dir, work.key, task)
        if made is None or made.state != state_of(work):
            enqueue(work.context.redis, "track", work.key, task)


def queue_tracks(work: ProjectWork, changed: str, number: int) -> str | None:
    """Queues the tasks that have no tracks by the settings of now, as far as there is room; returns what was done, if anything.

    `changed`: when a task changed last, `number`: how many there are; Label Studio is asked for no tasks when nothing has
    changed since all were queued.
    """
    redis, wanted = work.context.redis, are_wanted(work)
    now = [state_of(work), changed, number] if wanted else None
    if reconcile_state.get(redis, work.key, "tracks") == now:
        return None
    made = made_by_task(work)
    tell(work, made if wanted else {})
    room, asked, more = room_for(redis, "track", work.key), 0, False
    if now is None:
        if not made:
            reconcile_state.drop(redis, work.key, "tracks")
            return None
        gone = [enqueue(redis, "track", work.key, task, again=True) for task in list(made)[: max(room, 0)]]
        return f"{counted(len(gone), 'task')} whose tracks are not wanted any more"
    for task in work.context.studio.tasks.ids(work.id):
        if task in made and made[task].state == now[0]:
            continue
        if more := asked >= room:
            break
        # One that failed is tried again by other settings.
        asked += enqueue(redis, "track", work.key, task, again=task in made) is not None
    reconcile_state.put(redis, work.key, "tracks", "more" if more else now)
    return f"{counted(asked, 'task')} to track{', more when these are done' if more else ''}" if asked else None


def queue_said(work: ProjectWork) -> int:
    """Keeps what people have submitted of boxes, and queues the tasks of which they have said something new; returns how many. To be
    called when annotations have changed."""
    if not work.config.tracks:
        return 0
    redis, made, wanted = work.context.redis, made_by_task(work), are_wanted(work)
    news, seen, answered, boxes = [], set[int](), set[int](), list[TaskBoxes]()
    for task, submitted in work.context.studio.annotations.by_task(work.id):
        keep_submitted(work, task, submitted)
        seen.add(task.id)
        if any(not each.get("was_cancelled") for each in submitted):
            track_questions.close(work.context.settings.data_dir, work.key, task.id)
            answered.add(task.id)
        own = boxes_of_task(work, task, submitted)
        boxes += [own] if own is not None else []
        known = made.pop(task.id, Made())
        if wanted and said_of(work, submitted).marks != known.said:
            news.append(task.id)
    forget_submitted(work, seen)
    track_questions.reopen(work.context.settings.data_dir, work.key, answered)
    look_at_boxes(work, boxes)
    # Those whose annotations are all gone.
    news += [task for task, known in made.items() if wanted and known.said]
    return sum(enqueue(redis, "track", work.key, task, again=True) is not None for task in news)


def made_by_task(work: ProjectWork) -> dict[int, Made]:
    """What the tracks of all tasks that have some were made from."""
    data_dir = work.context.settings.data_dir
    found = {task: tracks.made_of(data_dir, work.key, task) for task in tracks.tasks(data_dir, work.key)}
    return {task: made for task, made in found.items() if made is not None}


def tell(work: ProjectWork, made: Mapping[int, Made]) -> None:
    """Tells the admin which tasks have no tracks, and why."""
    # What is wrong with the detector is the same for all of them.
    told = dict.fromkeys(each.problem for _, each in sorted(made.items()) if each.problem)
    registry.set_problems(work.context.redis, work.key, "tracks", told)

"""Learns what the tracks are that nobody has called anything, and shows it: from what is stored of the project's tracks, no video is
opened."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from ml_backend.errors import Gone, NotEnoughLabels
from ml_backend.jobs.backlog import room_for
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.objects.showing import show_anew_unless_begun
from ml_backend.jobs.predictions.pushing import pushing
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.track_labels import describer_of, is_open, recognition_state, recognized, taught_about
from ml_backend.jobs.track_questions import keep_asked
from ml_backend.labelstudio.label_config import Question
from ml_backend.learning.track_labels import Tracks, fit_track_head, held_out
from ml_backend.learning.track_worth import LabeledTracks
from ml_backend.projects import reconcile_state, track_rows, tracks
from ml_backend.projects.track_rows import Rows, TaughtTracks
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted

# What is usual among tracks is measured on so many that have no label.
_MOST_OPEN = 5000


@dataclass(eq=False)
class _Lessons:
    """What the tracks of one control teach. `rows`, `videos`, `labels`: of each track of which something is known; its label, None where
    nobody gave one, as of `open` ones. `strays`: labels that are not in the config. `unseen`: labeled tracks of which nothing is known."""

    question: Question
    rows: list[Rows] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    strays: Counter[str] = field(default_factory=Counter)
    unseen: int = 0
    open: int = 0

    def add(self, task: int, track: StoredTrack, row: Rows | None) -> None:
        if track.control != self.question.from_name:
            return
        by_hand = track.replaced and track.number == 0
        taught = track.label in self.question.labels and (by_hand or not track.replaced)
        if track.label is not None and not taught and not track.replaced:
            self.strays[track.label] += 1
        if row is None:
            self.unseen += taught
        elif taught or (is_open(track, self.question) and self.open < _MOST_OPEN):
            self.open += not taught
            self.rows.append(row)
            self.videos.append(task)
            self.labels.append(track.label if taught else None)

    @property
    def taught(self) -> dict[str, int]:
        return dict(Counter(each for each in self.labels if each is not None))


@job
def recognize(context: JobContext, project_key: str) -> str:
    """Fits a head for the boxes of each control with several labels to the tracks that people have called something, and gives each
    other track its label, in the predictions that are there and that nobody has begun to work on."""
    work = open_project(context, project_key)
    data_dir = context.settings.data_dir
    # Asked for before anything is read: what people say meanwhile is news to the next reconcile.
    state = recognition_state(work)
    every = sorted(tracks.tasks(data_dir, work.key))
    told, stale, more = _learn(work, every)
    changed = _show(work, every)
    track_rows.save_taught(data_dir, work.key, [_counted(work, every, each) for each in told])
    queued = [task for task in stale if enqueue(context.redis, "track", work.key, task, again=True)]
    if not more:
        reconcile_state.put(context.redis, project_key, "recognized", state)
    taught = sum(sum(each.taught.values()) for each in told)
    done = f"learned labels from {counted(taught, 'track')}" if taught else "no track has a label to learn from"
    if changed:
        done += f", and changed {counted(changed, 'prediction')}"
    return f"{done}, {counted(len(queued), 'video')} to look at again" if queued else done


def _learn(work: ProjectWork, every: list[int]) -> tuple[list[TaughtTracks], list[int], bool]:
    """Fits and keeps the heads, and what labeled tracks are like, for which one label is enough; returns what they were taught, the
    tasks of whose tracks nothing is known by the network of now, as far as there is room to look at them again, and whether there are
    more."""
    data_dir, questions = work.context.settings.data_dir, taught_about(work)
    labeled = _kinds(work, every)
    if not any(labeled.values()):
        with pushing(work):
            for question in work.config.tracks:
                track_rows.save_head(data_dir, work.key, question.tag, None)
                track_rows.save_labeled(data_dir, work.key, question.tag, None)
        return [TaughtTracks(each.from_name, dict(labeled[each.from_name])) for each in questions], [], False
    made_by = describer_of(work).made_by
    lessons = [_Lessons(each) for each in questions]
    first: list[int] = []
    later: list[int] = []
    for at, task in enumerate(every):
        work.progress.report(40 * at / len(every), "reading tracks")
        stored, rows = tracks.load(data_dir, work.key, task), track_rows.load(data_dir, work.key, task)
        if stored is None:
            continue
        known = rows if rows is not None and rows.made_by == made_by else None
        if known is None and stored.tracks and not stored.made.problem:
            (first if any(each.label for each in stored.tracks) else later).append(task)
        for track in stored.tracks:
            for each in lessons:
                each.add(task, track, known.of(track) if known is not None else None)
    told = [_fitted(work, each, made_by) for each in lessons]
    room = max(room_for(work.context.redis, "track", work.key), 0)
    return told, [*first, *later][:room], len(first) + len(later) > room


def _kinds(work: ProjectWork, every: list[int]) -> dict[str, Counter[str]]:
    """How many tracks people have called what, by control; read from the tracks alone."""
    found: dict[str, Counter[str]] = {each.from_name: Counter() for each in taught_about(work)}
    labels = {each.from_name: each.labels for each in taught_about(work)}
    for task in every:
        stored = tracks.load(work.context.settings.data_dir, work.key, task)
        for track in stored.tracks if stored is not None else ():
            counts = not track.replaced or track.number == 0
            if counts and track.label is not None and track.label in labels.get(track.control, ()):
                found[track.control][track.label] += 1
    return found


def _fitted(work: ProjectWork, lessons: _Lessons, made_by: str) -> TaughtTracks:
    """Fits and keeps the head of one control, and measures it; where there is nothing to fit, there is none."""
    question = lessons.question
    labels = list(question.labels)
    told = TaughtTracks(
        question.from_name,
        lessons.taught,
        len({video for video, label in zip(lessons.videos, lessons.labels, strict=True) if label is not None}),
        strays=sorted(lessons.strays),
        unseen=lessons.unseen,
    )
    described = Tracks.of(lessons.rows, lessons.videos)
    classes = np.array([labels.index(each) if each is not None else -1 for each in lessons.labels], np.intp)
    content = None
    with contextlib.suppress(NotEnoughLabels):
        content = fit_track_head(described, classes, labels, made_by=made_by).as_bytes()
    alike = LabeledTracks.of(described, np.flatnonzero(classes >= 0), made_by).as_bytes() if told.taught else None
    with pushing(work):
        track_rows.save_head(work.context.settings.data_dir, work.key, question.tag, content)
        track_rows.save_labeled(work.context.settings.data_dir, work.key, question.tag, alike)
    measured = held_out(described, classes, labels) if content is not None else None
    if measured is None:
        return told
    return replace(told, accuracy=measured.accuracy, macro_f1=measured.macro_f1, held_out=measured.tracks)


def _show(work: ProjectWork, every: list[int]) -> int:
    """Gives the tracks of all tasks their labels; returns how many predictions say something else then."""
    changed = 0
    for at, task in enumerate(every):
        work.progress.report(50 + 50 * at / len(every), "labeling tracks")
        if _news(work, task) is None:
            continue
        try:
            shown = work.context.studio.tasks.get(work.id, task)
            with pushing(work):
                # What was found meanwhile counts.
                renewed = _news(work, task)
                if renewed is not None:
                    tracks.save(work.context.settings.data_dir, work.key, task, renewed)
                    keep_asked(work, shown, renewed)
                    changed += show_anew_unless_begun(work, shown)
        except Gone:
            continue
    return changed


def _news(work: ProjectWork, task: int) -> StoredTracks | None:
    """A task's tracks with the labels by what is learned now; None where they have them, or there are none."""
    data_dir = work.context.settings.data_dir
    stored = tracks.load(data_dir, work.key, task)
    if stored is None:
        return None
    renewed = recognized(work, stored, track_rows.load(data_dir, work.key, task))
    return renewed if renewed != stored else None


def _counted(work: ProjectWork, every: list[int], told: TaughtTracks) -> TaughtTracks:
    """With how many tracks got a label, and how many did not."""
    [question] = [each for each in taught_about(work) if each.from_name == told.control]
    labeled = left_open = 0
    for task in every:
        stored = tracks.load(work.context.settings.data_dir, work.key, task)
        shown = [each for each in stored.tracks if is_open(each, question)] if stored is not None else []
        labeled += sum(each.predicted is not None for each in shown)
        left_open += sum(each.predicted is None for each in shown)
    return replace(told, labeled=labeled, left_open=left_open)

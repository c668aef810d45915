"""Finds the objects in one task's video, follows what a person has boxed in it, and gives their tracks to Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ml_backend.errors import ColdblitzError, CustomModelError, SettingsError, VideoError, WeightsError
from ml_backend.jobs.box_tracks import (
    Drawn,
    Said,
    are_wanted,
    made_by_task,
    said_of,
    state_of,
    tell,
    unsubmitted,
    with_tracks,
)
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.detectors import allow_for_detector, detector_for
from ml_backend.jobs.individuals.cast import individuals_of, tell_of_casts
from ml_backend.jobs.job import job
from ml_backend.jobs.objects.describing import Describing
from ml_backend.jobs.objects.follower import BoxFollower
from ml_backend.jobs.objects.showing import show_anew, show_anew_unless_begun, shown_version
from ml_backend.jobs.objects.track_numbers import joined, named, numbered
from ml_backend.jobs.pinning import pin
from ml_backend.jobs.predictions.pushing import push_one, pushing
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.track_checks import check_found
from ml_backend.jobs.track_labels import describer_of, learn_anew, recognized, taught_about
from ml_backend.jobs.track_questions import keep_asked
from ml_backend.jobs.videos import begin, inspect_once, naming, task_video
from ml_backend.labelstudio.box_track import at_studio_frames, upright
from ml_backend.labelstudio.individuals import MOST
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import Length
from ml_backend.objects.boxes import Boxes, Track
from ml_backend.objects.detector import Detector, Limits
from ml_backend.objects.finder import EVERYTHING, find_tracks
from ml_backend.objects.keyframes import thin
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.onebox import track_from_box
from ml_backend.prediction_item import PredictionItem
from ml_backend.projects import registry, track_rows, tracks
from ml_backend.projects.track_rows import Rows, TrackRows
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks
from ml_backend.queueing.job_limits import allow_for_video
from ml_backend.queueing.queue import enqueue
from ml_backend.video.timeline import StudioFrame, StudioGrid, read_timeline, studio_grid
from ml_backend.video.whole_frames import decode_whole
from ml_backend.wording import counted

# Its last digit is a ten-thousandth of a pixel in a picture of 1,000.
_DIGITS = 5


@job
def track(context: JobContext, project_key: str, task_number: int) -> str:
    """Makes the tracks of one task, or what has changed of them, and puts them into its prediction."""
    work = open_project(context, project_key)
    task = context.studio.tasks.get(work.id, task_number)
    if not are_wanted(work):
        return _take_away(work, task)
    if task.id in begin(work, [task]):
        # Its predictions are about the video before; whoever makes them anew asks for its tracks, too.
        return f"task {task.id} shows another video, and is tracked when that has its predictions"
    submitted = [each for _, found in context.studio.annotations.by_task(work.id, task.id) for each in found]
    annotations = [*submitted, *unsubmitted(work, task.id, submitted)]
    said, before = said_of(work, annotations), tracks.load(context.settings.data_dir, work.key, task.id)
    made = Made(state_of(work), said.marks)
    described = None
    try:
        inspect_once(work, task)
        stored, described, wrong = _tracked(work, task, said, before)
        stored = replace(stored, made=replace(made, problem=_problem(work, task, wrong)))
    except VideoError as error:
        if error.passes:
            raise
        wrong = None
        problem = f"Task {task.id} has no tracks: {error}"
        stored = StoredTracks(replace(made, problem=problem), highest=before.highest if before else 0)
    rows_before = track_rows.load(context.settings.data_dir, work.key, task.id) if described is not None else None
    given = _give(work, task, stored, said, described)
    if individuals_of(work) is not None:
        # Who is there may have changed, or what they are called.
        if min(len(stored.shown), MOST + 1) != min(len(before.shown) if before else 1, MOST + 1):
            tell_of_casts(work)
        enqueue(context.redis, "predict", project_key, task_number, again=True)
        if annotations:
            enqueue(context.redis, "train", project_key, again=True)
    if described is not None and _teaches_anew(before, stored, rows_before, described):
        learn_anew(work)
    if stored.made.problem or (before is not None and before.made.problem):
        tell(work, made_by_task(work))
    if given and registry.active_version(context.redis, project_key) is None:
        pin(work, KEYFRAMES_VERSION)
    if wrong is not None and wrong.setting:
        # It is tried again when this installation has started anew, or the weights are there.
        raise wrong
    return stored.made.problem or f"found {counted(len(stored.shown), 'track')} in the video of task {task.id}"


def _problem(work: ProjectWork, task: Task, wrong: ColdblitzError | None) -> str:
    """What the admin is told of a detector that could not be used, or not on this video; the same for all tasks if it is the same."""
    if wrong is None:
        return ""
    if isinstance(wrong, _FailedHere):
        return f"Task {task.id} has no new tracks: {wrong}"
    return f"No tracks are predicted by the detector {work.settings.detector}: {wrong}"


class _FailedHere(CustomModelError):
    """A detector that was loaded has failed on one video."""


def _take_away(work: ProjectWork, task: Task) -> str:
    """Takes the task's tracks out of its prediction, unless somebody works on it, and forgets them."""
    registry.set_problems(work.context.redis, work.key, "detector", [])
    with pushing(work):
        show_anew_unless_begun(work, task)
        tracks.delete(work.context.settings.data_dir, work.key, task.id)
    return "the project asks for no tracks"


def _teaches_anew(
    before: StoredTracks | None, stored: StoredTracks, rows_before: TrackRows | None, rows: TrackRows
) -> bool:
    """Whether people say something else of these tracks now, or what they say is to be understood for the first time."""
    if before is None or before.made.said != stored.made.said:
        return bool(stored.made.said) or (before is not None and bool(before.made.said))
    same = (
        rows_before is not None and rows_before.made_by == rows.made_by and rows_before.rows.keys() == rows.rows.keys()
    )
    return not same and any(each.label for each in stored.tracks)


def _give(work: ProjectWork, task: Task, stored: StoredTracks, said: Said, rows: TrackRows | None) -> bool:
    """Keeps the tracks, and puts them into the task's prediction: into suggestions for one that somebody works on only where they
    have drawn a box that is followed. Returns whether it has one now. `rows`: what they are like, where labels are learned. Raises
    StorageError, Gone and PredictionRefused."""
    data_dir, predictions = work.context.settings.data_dir, work.context.studio.predictions
    version = shown_version(work)
    with pushing(work):
        if rows is not None:
            track_rows.save(data_dir, work.key, task.id, rows)
        stored = recognized(work, stored, rows)
        tracks.save(data_dir, work.key, task.id, stored)
        check_found(work, task, stored)
        keep_asked(work, task, stored)
        number = predictions.untouched(work.id, task.id, version)
        there = [each for each in predictions.of(task.id) if each.get("model_version") == version]
        # What a model says of an answered task is there to be reviewed; it often comes before the tracks.
        if number is None and (said.drawn or (there and version != KEYFRAMES_VERSION)):
            if not there:
                nothing: PredictionItem = {"task": task.id, "model_version": version, "score": 0.0, "result": []}
                return push_one(work, with_tracks(work, task, nothing))
            number = int(there[-1]["id"])
        shown = next((each for each in there if each["id"] == number), None)
        if number is None or shown is None:
            return False
        show_anew(work, task, shown)
        return True


@dataclass(eq=False)
class _Video:
    """The video of one question about boxes. `follower`: asked first for the track of a drawn box. `describing`: its tracks, where
    labels are learned. `moving`: the tracks of all that moves in it, once they are known."""

    path: Path
    grid: StudioGrid
    question: Question
    least: float
    progress: Progress
    follower: BoxFollower
    describing: Describing | None = None
    moving: list[Track] | None = None

    @cached_property
    def aspect(self) -> float:
        """Width / height of the picture as it is shown."""
        _, coded = next(iter(decode_whole(self.path, self.grid.timeline)))
        width, height = coded.size
        return width / height

    def find(self, detector: Detector, limits: Limits) -> list[Track]:
        looking = self.progress.share("looking for objects")
        pictured = self.describing is not None
        found = find_tracks(self.path, self.grid.timeline, detector, limits, looking, pictured=pictured)
        if isinstance(detector, MotionDetector) and limits == EVERYTHING:
            self.moving = found
        return found

    def follow(self, frame: StudioFrame, box: Boxes, label: str | None) -> Track:
        """The track of `box`, (4,) shares of the picture; however many there are, what moves is looked for once."""
        index = self.grid.index(frame)
        self.progress.report(50, "following a drawn box")
        by_network = self.follower.follow(self.path, self.grid.timeline, index, box, label)
        if by_network is not None:
            return by_network
        if self.moving is None:
            allow_for_video(self.path)
            self.find(MotionDetector(), EVERYTHING)
        allow_for_video(self.path)
        self.progress.report(50, "following a drawn box")
        return track_from_box(self.path, self.grid.timeline, index, box, label, moving=self.moving)

    def stored(
        self, track: Track, label: str | None = None, drawn: str = "", detected: str | None = None
    ) -> StoredTrack | None:
        """The key frames of a track, without a number; None where Label Studio shows no frame of it."""
        dense = np.full((len(self.grid.timeline), 4), np.nan)
        dense[track.frames] = track.boxes
        rows = at_studio_frames(dense, self.grid)
        frames = np.flatnonzero(~np.isnan(rows[:, 0])) + 1
        keys = [
            (key.frame, *(round(100 * float(each), _DIGITS) for each in key.box), key.enabled)
            for key in thin(frames, rows[frames - 1].astype(np.float32), self.least)
        ]
        score = round(min(max(float(track.score), 0.0), 1.0), 4)
        if not keys:
            return None
        stored = StoredTrack(0, self.question.from_name, tuple(keys), score, label, drawn, detected=detected)  # type: ignore[arg-type]
        if self.describing is not None:
            self.describing.see(track, stored.keys)
        return stored


def _tracked(
    work: ProjectWork, task: Task, said: Said, before: StoredTracks | None
) -> tuple[StoredTracks, TrackRows | None, ColdblitzError | None]:
    """The task's tracks, without what they were made from, and what they are like, where labels are learned. What is known already
    is not looked for again. With them why the detector could not be used, if so: what was found before stays, and drawn boxes are
    followed. Raises VideoError and DeviceFull."""
    wrong: ColdblitzError | None = None
    known = before if before is not None and before.made.state == state_of(work) and not before.made.problem else None
    old = before.tracks if before is not None else ()
    highest = before.highest if before is not None else 0
    every: list[StoredTrack] = []
    lengths: dict[str, tuple[int, float, float]] = {}
    aspects: dict[str, float] = {}
    looked_at: set[str] = set()
    follower = BoxFollower(work)
    taught = taught_about(work)
    describer = describer_of(work) if taught else None
    rows_before = track_rows.load(work.context.settings.data_dir, work.key, task.id)
    rows: dict[str, Rows] = {}
    for position, question in enumerate(work.config.tracks):
        control = question.from_name
        drawn = [each for each in said.drawn if each.control == control]
        step = work.progress.step(position, len(work.config.tracks))
        file = task_video(work.context, question, task, step)
        with naming(task, question, file):
            timeline = read_timeline(file.path)
            grid = studio_grid(timeline, question.framerate_of(task.data))
            describing = (
                Describing(describer, file.path, grid, rows_before) if describer and question in taught else None
            )
            video = _Video(file.path, grid, question, work.settings.track_iou, step, follower, describing)
            of_control = [each for each in old if each.control == control]
            if known is not None:
                found = [each for each in of_control if not each.drawn]
            else:
                # Two controls on one video ask for two kinds of objects, which a detector does not tell apart.
                again = question.video in looked_at
                try:
                    found = numbered([] if again else _found(work, video), of_control, len(grid), highest)
                except (CustomModelError, WeightsError, SettingsError) as error:
                    wrong = error
                    found = [each for each in of_control if not each.drawn]
            looked_at.add(question.video)
            followed = _followed(video, drawn, said, of_control, anew=known is None)
            own = joined(found, followed, len(grid), max([highest, *(each.number for each in found)]))
            by_hand = [_by_hand(video, each) for each in said.own if each.control == control and describing is not None]
            own = named(own, said, [each for each in by_hand if each is not None], len(grid))
            if describing is not None:
                rows |= describing.rows(own)
        highest = max([highest, *(each.number for each in own)])
        every += own
        length = Length.of(grid)
        lengths[control] = length.frames, length.duration, length.framerate
        aspects[control] = video.aspect
    described = TrackRows(describer.made_by, rows) if describer else None
    return StoredTracks(Made(), tuple(every), lengths, highest, aspects), described, wrong


def _found(work: ProjectWork, video: _Video) -> list[StoredTrack]:
    """Raises WeightsError, SettingsError, CustomModelError, DeviceFull and VideoError."""
    chosen = detector_for(work, video.question)
    registry.set_problems(work.context.redis, work.key, "detector", chosen.told)
    allow_for_detector(work, chosen.detector, video.path)
    least = chosen.limits.least_score
    try:
        found = [each for each in video.find(chosen.detector, chosen.limits) if each.score >= least]
    except CustomModelError as error:
        raise _FailedHere(error.message, error.remedy) from error
    stored = (video.stored(each, detected=each.label if chosen.meant else None) for each in found)
    return [each for each in stored if each is not None]


def _followed(
    video: _Video, drawn: Sequence[Drawn], said: Said, before: Sequence[StoredTrack], *, anew: bool
) -> list[StoredTrack]:
    """The tracks of the drawn boxes, in their order, after those that are in an annotation though their box is not there any
    more. A track that was followed before keeps its number, also when it is followed `anew`; 0 is that of a new one."""
    marks, regions = {each.mark for each in drawn}, {each.region for each in drawn}
    old = {each.drawn: each for each in before if each.drawn}
    accepted = [
        each
        for mark, each in old.items()
        if mark not in marks
        and not any(mark.startswith(region) for region in regions)
        and (each.control, each.number) in said.kept
    ]
    found = []
    for box in drawn:
        followed = (None if anew else old.get(box.mark)) or _follow(video, box)
        if followed is not None:
            earlier = next((each.number for mark, each in old.items() if mark.startswith(box.region)), 0)
            found.append(replace(followed, number=followed.number or box.number or earlier))
    return [*accepted, *found]


def _follow(video: _Video, drawn: Drawn) -> StoredTrack | None:
    """None where the box is outside of the picture, or after the end of the video."""
    frame = drawn.track.keys[0].frame
    if frame > len(video.grid):
        return None
    turned = drawn.track.keys[0].rotation != 0
    [box] = upright(drawn.track.boxes(np.array([frame])), video.aspect if turned else 1.0) / 100
    if np.isnan(box).any():
        return None
    label = drawn.track.labels[0] if drawn.track.labels else None
    return video.stored(video.follow(frame, box.astype(np.float32), label), label, drawn.mark)


def _by_hand(video: _Video, drawn: Drawn) -> StoredTrack | None:
    """A track that a person drew with several key frames, to be learned from; None where it is outside of the picture."""
    aspect = video.aspect if any(key.rotation for key in drawn.track.keys) else 1.0
    frames = np.array([key.frame for key in drawn.track.keys if key.frame <= len(video.grid)])
    if not len(frames):
        return None
    boxes = upright(drawn.track.boxes(frames), aspect)
    enabled = [key.enabled for key in drawn.track.keys[: len(frames) - 1]] + [False]
    keys = tuple(
        (int(frame), *(round(float(each), _DIGITS) for each in box), on)
        for frame, box, on in zip(frames, boxes, enabled, strict=True)
        if not np.isnan(box).any()
    )
    named = drawn.track.labels[0]
    return StoredTrack(0, drawn.control, keys, 1.0, named, drawn.mark, replaced=True) if keys else None  # type: ignore[arg-type]

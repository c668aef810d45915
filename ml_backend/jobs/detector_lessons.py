"""What a project's detector learns from: the boxes that people have submitted, whether they are enough, and when it is trained anew."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.detector_names import is_trained
from ml_backend.jobs.detectors import BEFORE
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import known_content
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.submitted_tracks import submitted_tracks
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import checksum
from ml_backend.projects import detector_versions, reconcile_state, registry
from ml_backend.projects.detector_versions import DetectorCard, DetectorReport
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted

# So many videos with boxes, a fourth of which is held out.
ENOUGH_VIDEOS = 4
_SHARE, _MOST_HELD = 0.25, 6
# It is trained anew when people say something new of so large a share of the videos.
_NEWS = 0.25


@dataclass(frozen=True)
class TaskBoxes:
    """What somebody has submitted of the boxes in one video. `group`: the same for tasks with the same video. `whole`: whether the
    tracks say where the objects are in all of it, and not only at frames in which a single box was drawn."""

    task: Task
    question: Question
    tracks: tuple[Track, ...]
    group: str

    @property
    def whole(self) -> bool:
        return not any(each.is_one_box for each in self.tracks)

    @property
    def mark(self) -> str:
        """The same for as long as people say the same."""
        said = sorted(json.dumps([each.is_one_box, checksum(each)]) for each in self.tracks)
        return hashlib.sha256(json.dumps([self.question.from_name, said]).encode()).hexdigest()[:16]

    @property
    def keys(self) -> int:
        return sum(len(each.keys) for each in self.tracks)


def boxes_of_task(work: ProjectWork, task: Task, annotations: Iterable[Mapping[str, Any]]) -> TaskBoxes | None:
    """By the annotation that counts; None when nobody has submitted one, or where it says nothing of boxes: without any, only of
    projects that ask for nothing else is it known that there are no objects. Where several controls are about one video, the first
    that has boxes counts."""
    found = list(annotations)
    for question in work.config.tracks:
        said = submitted_tracks(found, question)
        if said is None:
            return None
        if said.read.refused:
            continue
        if said.read.tracks or not work.config.questions:
            content = known_content(work.context, question, task)
            return TaskBoxes(task, question, said.read.tracks, content or str(question.video_of(task.data)))
    return None


def report_on(every: Sequence[TaskBoxes], newest: DetectorCard | None, active: DetectorCard | None) -> DetectorReport:
    """How it stands. `newest`: the version that was trained last, `active`: the one in use."""
    boxed = [each for each in every if each.tracks]
    videos, whole = len({each.group for each in boxed}), len({each.group for each in boxed if each.whole})
    missing = []
    if videos < ENOUGH_VIDEOS:
        missing.append(f"{counted(ENOUGH_VIDEOS - videos, 'more video')} with submitted boxes")
    elif not whole:
        missing.append("a video with whole tracks (more than one key frame) to be judged by")
    lacking = (
        f"Needed to train the detector: {' and '.join(missing)}; there are {counted(videos, 'such video')} so far."
    )
    if active is None:
        until = f" Until there is a detector that is as good, {BEFORE} finds what moves."
        sentence = lacking if missing else f"The detector learns from the boxes of {counted(videos, 'video')}."
        if newest is not None and not missing:
            sentence = newest.decision
        sentence += until
    else:
        learned = f"{active.boxes} boxes in {counted(active.frames, 'frame')} of {counted(active.videos, 'video')}"
        sentence = f"{active.name} is in use, trained on {learned}. {active.decision}"
        if newest is not None and newest.name != active.name:
            sentence += f" {newest.decision}"
        sentence += f" {lacking}" if missing else ""
    return DetectorReport(videos, whole, ENOUGH_VIDEOS, sum(each.keys for each in boxed), sentence)


def is_enough(report: DetectorReport) -> bool:
    return report.videos >= report.needed and report.tracked > 0


def is_due(work: ProjectWork, every: Sequence[TaskBoxes], newest: DetectorCard | None) -> bool:
    """Whether people say enough that the version trained last does not know, or ask for other labels or another base."""
    if newest is None or newest.chosen != work.settings.detector or newest.asked != labels_of(work):
        return True
    now = {str(each.task.id): each.mark for each in every}
    changed = sum(newest.lessons.get(task) != now.get(task) for task in now.keys() | newest.lessons.keys())
    return changed >= max(1, math.ceil(_NEWS * len(newest.lessons)))


def labels_of(work: ProjectWork) -> tuple[str, ...]:
    """All labels that boxes can have, in the order of the label config."""
    return tuple(dict.fromkeys(label for question in work.config.tracks for label in question.labels))


def held_out(every: Sequence[TaskBoxes], newest: DetectorCard | None) -> set[int]:
    """The tasks whose videos the next detector does not learn from: those held out before, and as there become more videos some of the
    new ones, so that what is compared has not seen them either. All tasks of one video are on one side."""
    boxed = [each for each in every if each.tracks]
    groups = {each.group for each in boxed}
    partly = {each.group for each in boxed if not each.whole}
    seen = {each.group for each in boxed if newest is not None and each.task.id in newest.trained_on}
    kept = {each.group for each in boxed if newest is not None and each.task.id in newest.held_out}
    wanted = min(max(1, round(_SHARE * len(groups))), _MOST_HELD)

    def order(group: str) -> tuple[bool, bool, str]:
        return group not in kept, group in seen, hashlib.sha256(group.encode()).hexdigest()

    candidates = sorted(groups - partly, key=order)
    fresh = [group for group in candidates if group in kept or group not in seen]
    chosen = set((fresh or candidates)[:wanted])
    return {each.task.id for each in every if each.group in chosen}


def look_at_boxes(work: ProjectWork, every: Sequence[TaskBoxes]) -> bool:
    """Keeps how it stands for the pages, and queues a training when there are enough new boxes; returns whether it did. To be called
    with all tasks when annotations have changed."""
    if not is_trained(work.settings.detector) or not work.config.tracks:
        return False
    data_dir, key = work.context.settings.data_dir, work.key
    known = detector_versions.cards(data_dir, key)
    newest = known[-1] if known else None
    report = report_on(every, newest, detector_versions.active_card(data_dir, key))
    detector_versions.save_report(data_dir, key, report)
    if not is_enough(report) or not is_due(work, every, newest):
        return False
    return enqueue(work.context.redis, "train_detector", key) is not None


def queue_detector(work: ProjectWork) -> str | None:
    """Queues a look at the boxes when the detector was chosen, or its labels have changed; returns what was done, if anything."""
    redis, now = work.context.redis, None
    if is_trained(work.settings.detector) and work.config.tracks:
        now = [work.settings.detector, *labels_of(work)]
    else:
        # What a training had to say, also one that was still running when another detector was chosen.
        registry.set_problems(redis, work.key, "detector training", [])
    if reconcile_state.get(redis, work.key, "detector") == now:
        return None
    reconcile_state.put(redis, work.key, "detector", now)
    if now is None:
        return None
    return "a detector to train" if enqueue(redis, "train_detector", work.key, again=True) else None

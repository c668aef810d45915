"""Trains a project's detector on the boxes that people have submitted, and puts it to use unless it is worse than what is in use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.cards.detector_card import DetectorCard, DetectorFigures
from ml_backend.detector_names import SMALL, TRAIN, base_of, is_trained
from ml_backend.errors import ColdblitzError, TrainingError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.detector_lessons import (
    TaskBoxes,
    boxes_of_task,
    held_out,
    is_due,
    is_enough,
    labels_of,
    report_on,
)
from ml_backend.jobs.detectors import BEFORE, UNNAMED, Chosen, places, trained_detector, trained_or_before
from ml_backend.jobs.job import job
from ml_backend.jobs.objects.detector_examples import (
    BoxedVideo,
    examples,
    frames_of_each,
    frames_to_learn,
    looked_at,
    read_videos,
    usual_size,
)
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.jobs.videos import naming, task_video
from ml_backend.learning.average_precision import Boxed, average_precision
from ml_backend.learning.boxed_pictures import BoxedPicture
from ml_backend.objects.boxes import Track
from ml_backend.objects.finder import find_tracks
from ml_backend.objects.tracking_scores import hota
from ml_backend.projects import detector_versions, registry
from ml_backend.queueing.job_limits import allow
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted

if TYPE_CHECKING:
    from ml_backend.features.trainable_detection import Trainable

_SEED = 0
# The network on which the small detector stands.
_BODY = "mobilenet_v2"
_STARTED = {
    "detector": "the weights of {}",
    "backbone": "the weights of mobilenet_v2, which know no boxes",
    "nothing": "random weights",
}
_FROM_NOTHING = (
    "The detector begins from random weights, since neither those of a detector nor those of mobilenet_v2 are here, and needs many "
    "times more boxes. Let a worker reach the network once, or copy weights into DATA_DIR (docs/objects.md#a-detector-that-learns)."
)
# A slow processor takes so long for an epoch.
_EPOCH_SECONDS = 600.0
# The smallest median box that is seen well, in pixels, and the sizes of pictures to choose from.
_SEEN, _SIDES = 24.0, (320, 480, 640)
# Of a held-out video so many pictures are measured after each epoch.
_CHECKED = 12
# By how much a figure may be lower by chance: the videos are the same, and the boxes many.
_SAME = 0.005
_REMEDY = " Correct more of its boxes and submit them; it is trained again by itself."
_FEWEST_BOXES = 8


@job
def train_detector(context: JobContext, project_key: str) -> str:
    """Trains the next version, measures it and what is in use on videos that taught neither, and puts it to use unless it is worse."""
    redis = context.redis
    with project_lock_if_free(
        redis,
        context.settings.data_dir,
        project_key,
        "detector",
        lambda: enqueue(redis, "train_detector", project_key),
    ) as ours:
        if not ours:
            return "another training of the detector follows the one that is running"
        return _train(open_project(context, project_key))


def _train(work: ProjectWork) -> str:
    data_dir, key = work.context.settings.data_dir, work.key
    if not is_trained(work.settings.detector) or not work.config.tracks:
        registry.set_problems(work.context.redis, key, "detector training", [])
        detector_versions.drop_unfinished(data_dir, key)
        return "the project's detector learns nothing"
    every = [
        found
        for task, submitted in work.context.studio.annotations.by_task(work.id)
        if (found := boxes_of_task(work, task, submitted)) is not None
    ]
    known = detector_versions.cards(data_dir, key)
    newest, active = (known[-1] if known else None), detector_versions.active_card(data_dir, key)
    report = report_on(every, newest, active)
    detector_versions.save_report(data_dir, key, report)
    if not is_enough(report):
        registry.set_problems(work.context.redis, key, "detector training", [])
        return report.sentence
    if not is_due(work, every, newest):
        return f"{newest.name if newest else TRAIN} knows these boxes already"
    told: list[str] = []
    try:
        card = _next(work, every, newest, active, told)
    except ColdblitzError as error:
        registry.set_problems(work.context.redis, key, "detector training", [*told, str(error)])
        raise
    retired = detector_versions.retire(data_dir, key)
    if not card.active:
        told.append(card.decision + _REMEDY)
    registry.set_problems(work.context.redis, key, "detector training", told)
    active = card if card.active else active
    detector_versions.save_report(data_dir, key, report_on(every, card, active))
    if card.active:
        # Its state is another one now, so all videos are looked at again.
        enqueue(work.context.redis, "reconcile", key, again=True)
    gone = f", the weights of {' and '.join(retired)} are deleted" if retired else ""
    return f"{card.decision}{gone}"


@dataclass(frozen=True, eq=False)
class _Lessons:
    """`classes`: what is told apart, by name, from 1. `taught`, `held`: the videos that are learned from, and those that are not.
    `by_class`: whether a box of another class counts as wrong. `mark`: the same for as long as the same would be learned from."""

    classes: dict[str, int]
    taught: list[BoxedVideo]
    held: list[BoxedVideo]
    by_class: bool
    mark: str


def _next(
    work: ProjectWork,
    every: Sequence[TaskBoxes],
    newest: DetectorCard | None,
    active: DetectorCard | None,
    told: list[str],
) -> DetectorCard:
    """The next version, measured, decided and kept. A sentence about each video that could not be used, and about missing weights, is
    added to `told`. Raises TrainingError, WeightsError, DeviceFull, StorageError."""
    data_dir, started = work.context.settings.data_dir, time.monotonic()
    lessons = _lessons(work.part(0, 15), every, newest, active, told)
    card, weights = _tuned(work.part(15, 70), every, lessons, told)
    judging, question = work.part(70, 100), work.config.tracks[0]
    figures = _figures(judging.part(0, 50), trained_detector(work, question, card, weights), lessons, card.name)
    before = active.name if active is not None else BEFORE
    against = _figures(judging.part(50, 100), trained_or_before(work, question, active), lessons, before)
    pairs = (("mean AP", figures.ap, against.ap), ("HOTA", figures.hota, against.hota))
    worse = [f"its {name} is {new:.3f} instead of {old:.3f}" for name, new, old in pairs if new < old - _SAME]
    videos = counted(len(lessons.held), "held-out video")

    def named(name: str) -> DetectorCard:
        own = replace(figures, name=name)
        if worse:
            decision = f"{name} is kept out of use: on {videos} {' and '.join(worse)} of {before}."
        else:
            decision = f"On {videos}, {own.sentence}; {against.sentence}."
        seconds = round(time.monotonic() - started, 1)
        return replace(
            card, name=name, active=not worse, decision=decision, figures=own, against=against, seconds=seconds
        )

    kept = detector_versions.save(data_dir, work.key, named, weights)
    detector_versions.drop_unfinished(data_dir, work.key)
    return kept


def _lessons(
    work: ProjectWork,
    every: Sequence[TaskBoxes],
    newest: DetectorCard | None,
    active: DetectorCard | None,
    told: list[str],
) -> _Lessons:
    labels = [label for each in every for track in each.tracks for label in track.labels[:1]]
    asked = tuple(label for label in labels_of(work) if label in labels)
    objects = sum(len(each.tracks) for each in every)
    # Where most boxes have no label, they say where objects are, and not what.
    if len(labels_of(work)) < 2 or len([each for each in labels if each in asked]) * 2 < objects:
        asked = labels_of(work) if len(labels_of(work)) == 1 else (UNNAMED,)
    classes = {label: at for at, label in enumerate(asked, start=1)}
    videos = read_videos(work, every, classes if len(classes) > 1 else {}, told)
    apart = held_out(every, newest)
    if not any(each.of.task.id in apart and each.boxes for each in videos):
        # A video that cannot be had would be chosen again and again, and nothing be judged by it.
        apart = held_out([each.of for each in videos], newest)
    taught = [each for each in videos if each.of.task.id not in apart]
    held = [each for each in videos if each.of.task.id in apart and each.boxes]
    if not held or not any(each.boxes for each in taught):
        raise TrainingError(
            "The detector cannot be trained: of the videos with boxes none is left to "
            f"{'learn from' if held else 'be judged by'}.",
            "Look at what is told of these videos, or submit boxes of another one.",
        )
    by_class = active is not None and len(classes) > 1 and set(active.labels) == set(classes)
    said = [work.settings.detector, asked, sorted(apart), sorted((each.task.id, each.mark) for each in every)]
    mark = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return _Lessons(classes, taught, held, by_class, mark)


def _tuned(
    work: ProjectWork, every: Sequence[TaskBoxes], lessons: _Lessons, told: list[str]
) -> tuple[DetectorCard, bytes]:
    """A new version without a name and figures, and its weights."""
    # Imported here, since only a worker that trains needs it.
    from ml_backend.features.backbones import device_for
    from ml_backend.features.gpu import gpu_lock
    from ml_backend.learning.detector_training import Budget
    from ml_backend.learning.detector_training import train_detector as fit

    settings = work.context.settings
    start, side = _start(work, lessons, told)
    pictures, checked = _pictures(work.part(0, 15), lessons, side)
    device = device_for(settings.device)
    budget = Budget.on(device)
    mark = hashlib.sha256(f"{lessons.mark} {start.base} {side} {budget}".encode()).hexdigest().encode()
    kept = detector_versions.unfinished(settings.data_dir, work.key) or b""
    progress = work.progress.part(15, 100)
    if device == "cpu":
        allow(_EPOCH_SECONDS * budget.epochs)
    tuned = fit(
        start,
        pictures,
        checked,
        budget,
        device=device,
        seed=_SEED,
        lock=gpu_lock(settings.data_dir / "weights") if device != "cpu" else None,
        kept=kept.removeprefix(mark) if kept.startswith(mark) else None,
        keep=lambda content: detector_versions.keep_unfinished(settings.data_dir, work.key, mark + content),
        progress=progress.share("training the detector"),
        on_epoch=work.progress.show_curve,
    )
    card = DetectorCard(
        name="",
        base=start.base,
        labels=start.labels,
        side=side,
        threshold=tuned.threshold,
        weights_sha256="",
        created=datetime.now(UTC).isoformat(),
        active=False,
        asked=labels_of(work),
        chosen=work.settings.detector,
        started=_STARTED[start.started].format(start.base),
        videos=len({each.of.group for each in lessons.taught if each.boxes}),
        frames=len(pictures),
        boxes=sum(len(each.boxes) for each in pictures),
        lessons={str(each.task.id): each.mark for each in every},
        trained_on=tuple(each.of.task.id for each in lessons.taught),
        held_out=tuple(each.of.task.id for each in lessons.held),
        curve=tuple(tuned.curve),
        best=tuned.best,
        device=device,
    )
    return card, tuned.weights


def _start(work: ProjectWork, lessons: _Lessons, told: list[str]) -> tuple[Trainable, int]:
    """What to begin from, and the longer side of the pictures that it is to see."""
    from ml_backend.features.trainable_detection import trainable
    from ml_backend.features.weights import find_weights

    settings, where = work.context.settings, places(work.context.settings)
    usual = usual_size([*lessons.taught, *lessons.held])
    side = next((side for side in _SIDES if side * usual >= _SEEN), _SIDES[-1])
    given = settings.backbone_weights if settings.backbone == _BODY else "default"
    if settings.backbone_weights == "none":
        given = "none"
    start = trainable(
        base_of(work.settings.detector),
        tuple(lessons.classes),
        side,
        folder=where.weights,
        cache_dir=where.cache,
        accepted=where.accepted,
        backbone=lambda: find_weights(_BODY, given, where.cache, settings.backbone_license).path,
        named=work.settings.detector != TRAIN,
    )
    if start.started == "nothing":
        told.append(_FROM_NOTHING)
    return start, side if start.base == SMALL else start.side


def _pictures(work: ProjectWork, lessons: _Lessons, side: int) -> tuple[list[BoxedPicture], list[BoxedPicture]]:
    """What is learned from, and what says when to stop."""
    most, every = frames_of_each(len(lessons.taught)), [*lessons.taught, *lessons.held]
    learned: list[BoxedPicture] = []
    checked: list[BoxedPicture] = []
    for at, video in enumerate(every):
        work.progress.report(100 * at / len(every), "decoding frames with boxes")
        apart = at >= len(lessons.taught)
        frames = frames_to_learn(video, _CHECKED if apart else most)
        with _named(work, video):
            (checked if apart else learned).extend(examples(video, frames, side))
    boxes = sum(len(each.boxes) for each in learned)
    if boxes < _FEWEST_BOXES:
        raise TrainingError(
            f"The detector cannot be trained on {boxes} boxes; {_FEWEST_BOXES} is the minimum.",
            "Submit more boxes, and give those that have none a label.",
        )
    return learned, checked


def _figures(work: ProjectWork, chosen: Chosen, lessons: _Lessons, name: str) -> DetectorFigures:
    """How well a detector finds and follows what is in the held-out videos."""
    found: list[Boxed] = []
    true: list[Boxed] = []
    scores: list[float] = []
    for at, video in enumerate(lessons.held):
        progress = work.progress.step(at, len(lessons.held)).share(f"measuring {name or 'the new detector'}")
        with _named(work, video):
            tracks = find_tracks(video.path, video.timeline, chosen.detector, chosen.limits, progress)
        frames = looked_at(video)
        scores.append(hota(video.truth, tracks, len(video.timeline)))
        for frame in frames:
            found.append(_boxed(tracks, frame, lessons))
            boxes, classes = video.at(frame)
            true.append(Boxed.true(_corners(boxes), classes if lessons.by_class else np.ones_like(classes)))
    ap50, ap = average_precision(found, true, (0.5,)), average_precision(found, true)
    return DetectorFigures(name, ap50 or 0.0, ap or 0.0, float(np.mean(scores)), lessons.by_class)


def _boxed(tracks: Sequence[Track], frame: int, lessons: _Lessons) -> Boxed:
    there = [(track, box) for track in tracks if (box := track.box(frame)) is not None]
    boxes = np.array([box for _, box in there], np.float64).reshape(-1, 4)
    kinds = [lessons.classes.get(track.label or "", 0) if lessons.by_class else 1 for track, _ in there]
    return Boxed(_corners(boxes), np.array(kinds, np.int64), np.array([track.score for track, _ in there], np.float64))


def _corners(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1), np.float64)


@contextlib.contextmanager
def _named(work: ProjectWork, video: BoxedVideo) -> Iterator[None]:
    """Around all that opens the video, which is fetched again if it had to make room meanwhile."""
    of = video.of
    file = task_video(work.context, of.question, of.task)
    with naming(of.task, of.question, file):
        yield

"""A project as an export sees it: each task's video, and what is known of its frames, as runs of frames with one label."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Annotation, Region, WholeVideo
from ml_backend.errors import LabelConfigError, SettingsError, VideoError
from ml_backend.jobs.companion.answers import answered_frames
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.individuals.cast import cast_of, individuals_of
from ml_backend.jobs.individuals.reel import Reel, on_reel
from ml_backend.jobs.project import ProjectWork, named_work, roi_for
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.videos import naming, task_video, video_address, video_name
from ml_backend.labelstudio.regions import is_untouched_whole, parse_annotations, parse_regions, parse_whole
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES, FrameLabels, is_exclusive
from ml_backend.learning.whole_video import whole_labels
from ml_backend.video.cache import VideoFile
from ml_backend.video.timeline import StudioGrid, Timeline, read_timeline, studio_grid
from ml_backend.wording import cut, listed

Source = Literal["human", "model"]


@dataclass(frozen=True)
class Run:
    """The frame indices `start`..`stop`, the latter not included, that have `label`; None where none of the labels holds.

    `confidence` in 0..1: of a person's label the share of annotators who agree, of a model's its calibrated score. `control`:
    whose label it is, where a label config has several questions and all are exported. `who`: the individual that has it, where each has
    a timeline.
    """

    start: int
    stop: int
    label: str | None
    confidence: float
    source: Source
    control: str = ""
    who: str = ""

    def __len__(self) -> int:
        return self.stop - self.start


def runs_of(
    human: FrameLabels | None, regions: Iterable[Region], grid: StudioGrid, labels: Sequence[str]
) -> tuple[Run, ...]:
    """The runs of one video, ordered by their first frame; a frame with two labels is in two runs.

    A person's word counts where there is one, and the model's `regions` elsewhere. What a person submitted without
    touching it is the model's word still.
    """
    frames = len(grid.timeline)
    said: NDArray[np.bool_] = np.zeros(frames, bool)
    found: list[Run] = []
    if human is not None:
        said = human.known & (human.weight > UNTOUCHED_WEIGHT)
        for column, label in enumerate(human.labels):
            found += _masked_runs(said & (human.values[:, column] == YES), human.weight, label, "human")
        found += _masked_runs(said & (human.values == NO).all(axis=1), human.weight, None, "human")
    for region in regions:
        mask = _shown(region, grid) & ~said
        score = np.full(frames, 1.0 if region.score is None else region.score, np.float32)
        for label in region.labels:
            if label in labels:
                found += _masked_runs(mask, score, label, "model")
    return tuple(sorted(found, key=lambda run: (run.start, run.stop, run.label or "")))


def _shown(region: Region, grid: StudioGrid) -> NDArray[np.bool_]:
    """(n,) the frames of a region, those between two of its frames that Label Studio's grid skips included."""
    mask = np.zeros(len(grid.timeline), bool)
    mask[grid.index(region.start) : grid.index(region.end) + 1] = True
    return mask


def _masked_runs(
    mask: NDArray[np.bool_], confidence: NDArray[np.float32], label: str | None, source: Source
) -> list[Run]:
    """Stretches of `mask` with one confidence."""
    if not mask.any():
        return []
    level = np.where(mask, np.round(confidence, 4), UNKNOWN)
    edges = np.flatnonzero(np.diff(level, prepend=UNKNOWN, append=UNKNOWN))
    return [
        Run(start, stop, label, round(float(level[start]), 4), source)
        for start, stop in pairwise(edges.tolist())
        if mask[start]
    ]


def whole_runs(
    values: NDArray[np.int8] | None, trust: float, shown: WholeVideo | None, frames: int, labels: Sequence[str]
) -> tuple[Run, ...]:
    """The same of the class of a whole video of `frames` frames: (L,) `values` that people gave with this `trust`, or what a
    model has `shown` where they gave none, or left it as it was."""
    if values is not None and trust > UNTOUCHED_WEIGHT:
        yes = [label for label, value in zip(labels, values, strict=True) if value == YES]
        return tuple(Run(0, frames, label, round(trust, 4), "human") for label in yes)
    score = 1.0 if shown is None or shown.score is None else shown.score
    said = shown.labels if shown is not None else ()
    return tuple(Run(0, frames, label, round(score, 4), "model") for label in said if label in labels)


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Video:
    """One task's video. `name`: of its file, as people know it. `group`: the same for tasks with the same video. `version`:
    the model version whose prediction is in `runs`."""

    task: Task
    name: str
    group: str
    timeline: Timeline
    runs: tuple[Run, ...]
    version: str | None
    annotators: tuple[int, ...]


def open_work(context: JobContext, number: int, control: str | None = None) -> ProjectWork:
    """A project by its number for an export of frames; about `control` if given.

    Raises LabelStudioError, LabelConfigError when it has nothing to export, and SettingsError when it has no such control.
    """
    work = named_work(context, number)
    config = work.config
    if not config.questions:
        raise LabelConfigError(
            "The label config only asks for boxes, and this is an export of frames.",
            "Export boxes with --as coco, yolo, mot or crops.",
        )
    if control is None:
        return work
    names = [question.from_name for question in config.questions]
    if control not in names:
        raise SettingsError(
            f"The label config has no control “{cut(control)}”.", f"Name one of these: {listed(names)}."
        )
    return work.on(config.questions[names.index(control)])


def videos(work: ProjectWork, skipped: list[str], *, every_question: bool = False) -> Iterator[Video]:
    """Each task of which something is known, by its number.

    About the question of `work`, or about `every_question` of the label config: runs name their controls then. Predictions
    are those of the pinned version. A task whose video cannot be used is left out, and a sentence about it appended to
    `skipped`. Raises LabelStudioError.
    """
    version = work.project.model_version or None
    several = every_question and len(work.config.questions) > 1
    asked = list(work.each()) if several else [work]
    # What was said of single frames in the companion project is said of the video, to the main question.
    answers = {task.id: said for task, said in answered_frames(work, {}, None)}
    exclusive = _exclusive(work, asked, answers)
    for task, items, results in work.context.studio.annotations.beside_predictions(work.id, version):
        try:
            timeline = timeline_of(work, task)
        except VideoError as error:
            log.warning("task %d is not exported: %s", task.id, error)
            skipped.append(f"Task {task.id} is left out: {error}")
            continue
        runs: list[Run] = []
        authors: set[int] = set()
        for own in asked:
            annotations = parse_annotations(task.id, items, own.question)
            if own.question == own.config.main:
                annotations = (*annotations, *answers.get(task.id, ()))
            one_label = exclusive[own.question.from_name]
            casts = {own.question.from_name: cast_of(own, task, items)} if individuals_of(own) is not None else {}
            found = _runs(own, Annotated(task, annotations, casts=casts), results, timeline, one_label)
            runs += [replace(run, control=own.question.from_name) if several else run for run in found]
            authors |= {a.author for a in annotations if a.author is not None}
        if runs:
            name, group = video_name(task, work.question), group_of(work, task)
            shown = version if results else None
            yield Video(task, name, group, timeline, tuple(runs), shown, tuple(sorted(authors)))


def _runs(
    work: ProjectWork,
    annotated: Annotated,
    results: Sequence[Mapping[str, Any]],
    timeline: Timeline,
    exclusive: bool,
) -> tuple[Run, ...]:
    """What is known of one video about the question of `work`."""
    question, annotations = work.question, annotated.annotations
    if question.kind == "choices":
        values, trust, _ = whole_labels(annotations, question.labels, exclusive, is_untouched_whole)
        return whole_runs(values, trust, parse_whole(results, question), len(timeline), question.labels)
    grid = studio_grid(timeline, question.framerate_of(annotated.task.data))
    if (cast := annotated.cast(question)) is not None:
        return _runs_of_each(work, annotated, results, Reel.of(cast, grid), exclusive) if cast.individuals else ()
    human = labels_of(work, annotated, timeline, exclusive) if annotations else None
    return runs_of(human, parse_regions(results, question), grid, question.labels)


def _runs_of_each(
    work: ProjectWork, annotated: Annotated, results: Sequence[Mapping[str, Any]], reel: Reel, exclusive: bool
) -> tuple[Run, ...]:
    """The same of each individual."""
    human = labels_of(work, annotated, reel.own.timeline, exclusive) if annotated.annotations else None
    predicted = [there for each in parse_regions(results, work.question) if (there := reel.placed(each)) is not None]
    found = [
        replace(run, start=start, stop=stop, who=who.name)
        for run in runs_of(human, predicted, reel.grid, work.question.labels)
        for who, start, stop in reel.spans(run.start, run.stop)
    ]
    return tuple(sorted(found, key=lambda run: (run.start, run.stop, run.who, run.label or "")))


def _exclusive(
    work: ProjectWork,
    asked: Sequence[ProjectWork],
    answers: Mapping[int, tuple[Annotation, ...]],
) -> dict[str, bool]:
    """Whether a frame, or a video, has at most one label of each control."""
    found = {own.question.from_name: not own.question.multiple for own in asked}
    if work.config.main.from_name in found:
        found[work.config.main.from_name] &= all(is_exclusive(said) for said in answers.values())
    for task, items in work.context.studio.annotations.by_task(work.id):
        for own in asked:
            if own.question.kind == "timeline" and found[own.question.from_name]:
                said = parse_annotations(task.id, items, own.question)
                if individuals_of(own) is not None:
                    said = on_reel(said, {}, cast_of(own, task, items)).annotations
                found[own.question.from_name] = is_exclusive(said, own.question.framerate_of(task.data))
    return found


def fetch(work: ProjectWork, video: Video) -> VideoFile:
    """The file of a video. Raises VideoError."""
    return task_video(work.context, work.question, video.task)


def group_of(work: ProjectWork, task: Task) -> str:
    """The same for tasks with the same video."""
    url = video_address(work.context, work.question, task).url
    return work.context.videos.content_of(url) or url


def timeline_of(work: ProjectWork, task: Task) -> Timeline:
    """From the cache when the video was embedded before: labels alone are exported without fetching it."""
    content, roi = (
        work.context.videos.content_of(video_address(work.context, work.question, task).url),
        roi_for(work, task),
    )
    if content is not None and (features := work.context.store.any_of(content, roi)) is not None:
        return features.timeline
    file = task_video(work.context, work.question, task)
    with naming(task, work.question, file):
        return read_timeline(file.path)

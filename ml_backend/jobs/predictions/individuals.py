"""What a model says of each individual in a video: regions below its track, a few questions about some of them, and what a page draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ml_backend.annotation import Region
from ml_backend.jobs.individuals.reel import Reel
from ml_backend.jobs.predictions.predict import FrameProbabilities, certainty, questions
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.individuals import Individual
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import Prediction
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.smoothing import PredictedRegion, runs
from ml_backend.projects.task_view import over_time
from ml_backend.provenance import predicted_id, question_id
from ml_backend.video.timeline import FrameIndex, StudioFrame

Percent = dict[str, dict[str, list[int]]]


def individuals_prediction(
    work: ProjectWork, version: str, task: Task, found: FrameProbabilities, reel: Reel, boxes: Question
) -> Prediction:
    """The prediction of a video whose individuals each have a timeline; as that of a video, the least confident regions first.

    `found`: of the frames of its `reel`. `boxes`: the question whose tracks they are.
    """
    # Guesses would only have to be taken away.
    allowed = work.question.labels_of(task.data) if found.told_apart else ()
    least_sure_first = sorted(
        (each for each in _runs(work, found, reel) if each[3].label in allowed), key=lambda each: each[3].score
    )
    regions = tuple(
        _below(
            Region(
                predicted_id(version, number, start, end, who.number), start, end, (run.label,), "prediction", run.score
            ),
            who,
            boxes,
        )
        for number, (who, start, end, run) in enumerate(least_sure_first, start=1)
    )
    asked = tuple(
        _below(Region(question_id(version, at, who.number), at, at, (), "prediction"), who, boxes)
        for frame in questions(found.values, found.exclusive, reel.grid, found.answered, found.features)
        for who, at, _ in reel.cast.taken_apart(frame, frame)
    )
    return Prediction(task.id, version, (*asked, *regions), certainty(found.values, found.exclusive))


def _runs(
    work: ProjectWork, found: FrameProbabilities, reel: Reel
) -> Iterator[tuple[Individual, StudioFrame, StudioFrame, PredictedRegion]]:
    """The regions of each individual; none goes on while it is away."""
    settings = work.settings
    for who, frames, values in reel.parts(found.values):
        for stretch in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > 1) + 1):
            for run in runs(
                values[stretch],
                found.labels,
                found.exclusive,
                min_frames=settings.min_frames,
                fill_gaps=settings.fill_gaps,
            ):
                first, last = frames[stretch[run.first]], frames[stretch[run.last]]
                span = reel.own.span(FrameIndex(int(first)), FrameIndex(int(last)))
                if span is not None:
                    yield who, *span, run


def _below(region: Region, who: Individual, boxes: Question) -> Region:
    """With whom it is about. What is not in the prediction cannot be a parent in it."""
    return replace(region, parent=boxes.region_id(who.track.id) if who.shown else "", remark=who.remark)


def percent_of_each(found: FrameProbabilities, reel: Reel) -> Percent:
    """By individual and label, as in a `TaskView`: 0 where the individual is away."""
    drawn: Percent = {}
    for who, frames, values in reel.parts(found.values):
        dense = np.zeros((len(reel.own.timeline), values.shape[1]), np.float32)
        dense[frames] = values
        drawn[who.name] = dict(zip(found.labels, over_time(reel.own.timeline, dense).T.tolist(), strict=True))
    return drawn

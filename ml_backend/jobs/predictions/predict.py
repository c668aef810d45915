"""One task's timeline: probabilities of every frame, regions on Label Studio's grid, how sure the model is, and what it asks people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Region
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import unpredicted_view
from ml_backend.labelstudio.regions import Prediction, asked
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.families import SCENE, Views
from ml_backend.learning.probabilities import certainties, changes, doubt
from ml_backend.learning.smoothing import runs
from ml_backend.projects.task_view import TaskView, over_time
from ml_backend.provenance import predicted_id
from ml_backend.video.timeline import FrameIndex, StudioFrame, StudioGrid, Timeline, studio_grid
from sampling.candidates import unit
from sampling.uncertain import margin, uncertain

# A larger batch asks about the same confusion again and again, and would push the least confident regions out of sight:
# Label Studio shows about ten rows.
QUESTIONS = 5
# Seconds between two questions, and between a question and what was answered: nearer frames show the same.
_APART = 0.1
# In a long video only so many embedded frames are compared, those of which it is least sure.
_COMPARED = 2000


def questions(
    probabilities: NDArray[np.float32],
    exclusive: bool,
    grid: StudioGrid,
    answered: NDArray[np.int64],
    features: VideoFeatures | None,
) -> list[StudioFrame]:
    """At most `QUESTIONS` Label Studio frames, ascending.

    `probabilities`: (n, L) in 0..1 of the video's frames; `exclusive` allows one label a frame. `answered`: (k,) int64 frame
    indices, which are not asked about again. `features`: what the frames show, None where nobody knows: then they are
    chosen far from each other in time.
    """
    frames = np.arange(len(probabilities), dtype=np.int64) if features is None else features.frames
    candidates = np.flatnonzero(np.isin(frames, grid.shown))
    if features is not None and len(candidates) > _COMPARED:
        doubt = margin(probabilities[frames[candidates]], exclusive)
        # What was answered stays, since the others are compared with it.
        least_sure = np.union1d(np.argsort(-doubt, kind="stable")[:_COMPARED], _beside(frames[candidates], answered))
        candidates = candidates[least_sure]
    frames = frames[candidates]
    per_second = len(grid.timeline) / max(float(grid.timeline.duration), 1e-9)
    chosen = uncertain(
        probabilities[frames],
        QUESTIONS,
        exclusive=exclusive,
        frames=frames,
        embeddings=None if features is None else Views(features).rows(SCENE, candidates),
        labelled=answered,
        gap=round(_APART * per_second),
    )
    asked = (grid.frame(FrameIndex(int(frame))) for frame in chosen)
    return [frame for frame in asked if frame is not None]


def _beside(frames: NDArray[np.int64], to: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions of those of the ascending `frames` that are next to each of `to`, before and after."""
    after = np.searchsorted(frames, to)
    return np.union1d(after, after - 1).clip(0, len(frames) - 1)


# The share of a video's frames, the least sure ones, that decides how much it needs a person.
_LEAST_SURE = 0.1


@dataclass(frozen=True, eq=False)
class FrameProbabilities:
    """What a model says of every frame of a video: (n, L) in 0..1 for `labels`, of which `exclusive` allows one a frame.

    `features`: what the frames show, None for a researcher's file, which looks for itself. `answered`: (k,) int64 frame
    indices of which a person has said something. `told_apart`: the model is better than a guess.
    """

    timeline: Timeline
    labels: tuple[str, ...]
    exclusive: bool
    values: NDArray[np.float32]
    features: VideoFeatures | None = None
    answered: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    told_apart: bool = True


def timeline_prediction(work: ProjectWork, version: str, task: Task, found: FrameProbabilities) -> Prediction:
    """The prediction of a whole video: a few questions, then its regions, the least confident first.

    A region's id ends with its number and range, `cold-v3-17_120_340`: it tells a dragged edge for as long as the
    annotation lives, when the prediction is long deleted.
    """
    settings = work.settings
    regions = runs(
        found.values, found.labels, found.exclusive, min_frames=settings.min_frames, fill_gaps=settings.fill_gaps
    )
    grid = studio_grid(found.timeline, work.question.framerate_of(task.data))
    # Guesses would only have to be taken away.
    allowed = work.question.labels_of(task.data) if found.told_apart else ()
    spans = [(grid.span(run.first, run.last), run) for run in regions if run.label in allowed]
    least_sure_first = sorted(((span, run) for span, run in spans if span), key=lambda pair: pair[1].score)
    numbered = tuple(
        Region(predicted_id(version, number, start, end), start, end, (run.label,), "prediction", run.score)
        for number, ((start, end), run) in enumerate(least_sure_first, start=1)
    )
    frames = questions(found.values, found.exclusive, grid, found.answered, found.features)
    return Prediction(task.id, version, (*asked(version, frames), *numbered), certainty(found.values, found.exclusive))


def view_of(work: ProjectWork, version: str, task: Task, found: FrameProbabilities) -> TaskView:
    """What a page draws of a predicted task: how probable each label is, too."""
    return replace(
        unpredicted_view(work, version, task, found.timeline),
        percent=dict(zip(found.labels, over_time(found.timeline, found.values).T.tolist(), strict=True)),
        certainty=certainty(found.values, found.exclusive),
        doubt=doubt(found.values, found.exclusive),
        changes=changes(found.values, found.exclusive),
    )


def certainty(probabilities: NDArray[np.float32], exclusive: bool) -> float:
    """How sure the model is of a whole video, in 0..1: the mean certainty of its least certain tenth.

    `probabilities`: (n, L) in 0..1. A frame is as certain as its most probable answer (exclusive: a label or none of
    them), or as the least certain of its labels.
    """
    if not probabilities.size:
        return 0.0
    sure = certainties(probabilities, exclusive)
    return float(sure[_least_sure(sure)].mean())


def least_sure_embedding(found: FrameProbabilities) -> NDArray[np.float32] | None:
    """(d,) float32: the mean embedding of the tenth of the embedded frames of which the model is least certain.

    What it does not know of this video, to be compared with others. None where nobody knows what the frames show.
    """
    if found.features is None or not found.values.size:
        return None
    sure = certainties(found.values[found.features.frames], found.exclusive)
    rows = found.features.blocks["appearance"][_least_sure(sure)].astype(np.float32)
    return np.asarray(unit(rows).mean(axis=0), np.float32)


def _least_sure(sure: NDArray[np.float32]) -> NDArray[np.intp]:
    """Positions of the least certain tenth, at least one."""
    count = max(1, int(len(sure) * _LEAST_SURE))
    return np.argpartition(sure, count - 1)[:count]

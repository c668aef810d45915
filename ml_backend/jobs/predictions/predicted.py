"""What a model version says of one task, to all questions of the label config that it was taught."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import WholeVideo
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.inspecting import unpredicted_view
from ml_backend.jobs.predictions.predict import FrameProbabilities, least_sure_embedding, timeline_prediction, view_of
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.labelled import Annotated
from ml_backend.labelstudio.client import Task
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import Prediction, is_untouched_whole, joined_json, whole_id
from ml_backend.learning.whole import WholeHead
from ml_backend.projects.task_view import TaskView, over_time
from sampling.unit import unit


@dataclass(frozen=True, eq=False)
class WholeProbabilities:
    """What a model says of a whole video: (L,) in 0..1. `said`: what a person has answered already, which stays."""

    version: str
    head: WholeHead
    values: NDArray[np.float32]
    features: VideoFeatures
    said: tuple[str, ...] = ()

    @property
    def certainty(self) -> float:
        return 1.0 if self.said else self.head.certainty(self.values)

    def prediction(self, task: Task, labels: tuple[str, ...]) -> Prediction:
        """With one of `labels`, or some of them."""
        answer = self.said or self.head.answer(self.values, labels)
        score = 1.0 if self.said else self.certainty
        whole = WholeVideo(whole_id(self.version, answer), answer, "prediction", score)
        return Prediction(task.id, self.version, (), self.certainty, whole)


@dataclass(frozen=True, eq=False)
class Part:
    """The answer to one question, about frames or about the whole video. `is_said`: a person has said all that it asks."""

    frames: FrameProbabilities | None = None
    whole: WholeProbabilities | None = None
    is_said: bool = False


@dataclass(frozen=True, eq=False)
class Predicted:
    """The answers of a version to all questions that it was taught, each with the work on its question."""

    version: str
    task: Task
    parts: tuple[tuple[ProjectWork, Part], ...]

    def item(self) -> dict[str, Any]:
        """One prediction for Label Studio, with the regions of all questions."""
        found: list[tuple[Question, Prediction]] = []
        for work, part in self.parts:
            if part.frames is not None:
                found.append((work.question, timeline_prediction(work, self.version, self.task, part.frames)))
            elif part.whole is not None:
                found.append((work.question, part.whole.prediction(self.task, work.question.labels_of(self.task.data))))
        return joined_json(found)

    def view(self) -> TaskView:
        """What a page draws of it: the first timeline, and the answers to the other questions beside it."""
        timelines = [(work, part.frames) for work, part in self.parts if part.frames is not None]
        wholes = [(work, part.whole) for work, part in self.parts if part.whole is not None]
        if timelines:
            work, first = timelines[0]
            view = view_of(work, self.version, self.task, first)
        else:
            work, found = wholes[0]
            view = unpredicted_view(work, self.version, self.task, found.features.timeline)
            view = replace(view, certainty=found.certainty)
        return replace(
            view,
            control="" if work.question.alone else work.question.from_name,
            more={
                other.question.from_name: dict(
                    zip(found.labels, over_time(found.timeline, found.values).T.tolist(), strict=True)
                )
                for other, found in timelines[1:]
            },
            whole={
                other.question.from_name: {
                    label: round(100 * float(p)) for label, p in zip(found.head.labels, found.values, strict=True)
                }
                for other, found in wholes
            },
        )

    def embedding(self) -> NDArray[np.float32] | None:
        """(d,) float32: what the version is least sure of, to be compared with other videos. None where nobody knows."""
        for _, part in self.parts:
            if part.frames is not None:
                return least_sure_embedding(part.frames)
        for _, part in self.parts:
            if part.whole is not None:
                rows = part.whole.features.blocks["appearance"].astype(np.float32)
                return np.asarray(unit(rows).mean(axis=0), np.float32)
        return None


def person_said(annotated: Annotated | None, question: Question) -> tuple[str, ...]:
    """What the last person who judged a whole video has answered; empty where nobody has."""
    annotations = annotated.annotations if annotated is not None else ()
    answers = [a for a in annotations if a.whole is not None and not is_untouched_whole(a.whole)]
    if not answers:
        return ()
    last = max(answers, key=lambda a: (a.ground_truth, a.updated_at))
    return tuple(label for label in last.whole.labels if label in question.labels) if last.whole is not None else ()

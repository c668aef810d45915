"""The videos a project's models learn from and are measured on: embeddings, with what is known of each frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ml_backend.errors import VideoError
from ml_backend.features.backbones import Backbone
from ml_backend.jobs.embeddings import task_features, with_frames
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.run import part, report
from ml_backend.jobs.training.labelled import Annotated, labels_of
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.learning.examples import LabelledVideo, examples
from ml_backend.records import projects

log = logging.getLogger(__name__)

_FOREIGN = "Annotations use the label “{}”, which the label config does not have; it was ignored. Add it there to learn from it."


def labelled_videos(
    context: WorkerContext,
    work: ProjectWork,
    annotated: Sequence[Annotated],
    exclusive: bool,
    backbone: Backbone | None = None,
) -> list[LabelledVideo]:
    """One for each annotated task whose video can be used; what cannot be is told to the admin.

    Embedded by the frozen backbone unless one is given.
    """
    videos: list[LabelledVideo] = []
    unusable: list[str] = []
    foreign: set[str] = set()
    for position, each in enumerate(annotated):
        report(100 * position / len(annotated), f"reading task {each.task.id}, {position + 1} of {len(annotated)}")
        try:
            with part(100 * position / len(annotated), 100 * (position + 1) / len(annotated)):
                features = task_features(context, work.question, each.task, report, backbone)
                labels = labels_of(context, work, each, features.timeline, exclusive)
                labelled = examples(labels, features.frames).frames
                features = with_frames(context, work.question, each.task, features, labelled.tolist(), backbone)
        except VideoError as error:
            log.warning("task %d is not learnt from: %s", each.task.id, error)
            unusable.append(f"Task {each.task.id} is not learnt from: {error}")
            continue
        foreign.update(labels.unknown_labels)
        videos.append(LabelledVideo(each.task.id, features, labels))
    projects.set_problems(context.redis, work.key, "annotated videos", unusable)
    projects.set_problems(
        context.redis, work.key, "unknown labels", [_FOREIGN.format(label) for label in sorted(foreign)]
    )
    return videos

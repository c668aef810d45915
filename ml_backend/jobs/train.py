"""Trains a project's next model version from everything that is annotated now."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict

from ml_backend.errors import NotEnoughLabels, VideoError
from ml_backend.jobs import projects
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.labelled import Annotated, annotated_tasks, fingerprint, labels_of
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.queue import request
from ml_backend.jobs.run import job, report
from ml_backend.jobs.worker_context import WorkerContext, worker_context
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.framelabels import is_exclusive
from ml_backend.learning.versions import list_versions, save_version

log = logging.getLogger(__name__)

_FOREIGN = "Annotations use the label “{}”, which the label config does not have; it was ignored. Add it there to learn from it."


@job
def train(project_key: str) -> str:
    """Fits a head, registers it as the next version, and queues its roll-out; nothing when nothing has changed.

    A job reads the annotations when it starts, so however many events led to it, it learns from the newest state.
    """
    context = worker_context()
    work = open_project(context, project_key)
    with project_lock(context.settings.data_dir, project_key, "train"):
        annotated = annotated_tasks(context, work)
        if not annotated:
            return "nothing is annotated yet"
        mark = fingerprint(work, annotated, context.backbone.key)
        models = context.models_dir(project_key)
        newest = next(iter(reversed(list_versions(models))), None)
        if newest is not None and newest.settings.get("fingerprint") == mark:
            if projects.active_version(context.redis, project_key) != newest.name:
                request(context.redis, "rollout", project_key, newest.name)
            return f"{newest.name} knows these annotations already"
        exclusive = is_exclusive(a for each in annotated for a in each.annotations)
        videos = _labelled_videos(context, work, annotated, exclusive)
        report(90, f"fitting on {len(videos)} videos")
        try:
            head = fit_cold(videos, work.config.labels, exclusive=exclusive)
        except NotEnoughLabels as error:
            # Not a failure: the next annotation asks again, and until then the suggestions stay.
            projects.set_problems(context.redis, project_key, "labels", [str(error)])
            return str(error)
        projects.set_problems(
            context.redis,
            project_key,
            "labels",
            [
                f"No example of the label “{label}” yet, so it is never predicted. Label a frame of it."
                for label in head.lacking
            ],
        )
        card = save_version(
            models,
            head,
            backbone=context.backbone.key,
            annotations={str(a.id): a.updated_at.isoformat() for each in annotated for a in each.annotations},
            settings={**asdict(work.settings), "fingerprint": mark, "backbone_trained": context.backbone.trained},
            videos=len(videos),
            labelled_frames=int(sum(video.labels.known.sum() for video in videos)),
            taken=context.client.versions(work.id),
        )
    request(context.redis, "rollout", project_key, card.name)
    return f"trained {card.name} on {card.labelled_frames} frames of {card.videos} videos"


def _labelled_videos(
    context: WorkerContext, work: ProjectWork, annotated: Sequence[Annotated], exclusive: bool
) -> list[LabelledVideo]:
    videos: list[LabelledVideo] = []
    unusable: list[str] = []
    foreign: set[str] = set()
    for position, each in enumerate(annotated):
        report(90 * position / len(annotated), f"reading task {each.task.id}, {position + 1} of {len(annotated)}")
        try:
            features = task_features(context, work.config, each.task, report)
        except VideoError as error:
            log.warning("task %d is not learnt from: %s", each.task.id, error)
            unusable.append(f"Task {each.task.id} is not learnt from: {error}")
            continue
        labels = labels_of(context, work, each, features, exclusive)
        foreign.update(labels.unknown_labels)
        videos.append(LabelledVideo(each.task.id, features, labels))
    projects.set_problems(context.redis, work.key, "annotated videos", unusable)
    projects.set_problems(
        context.redis, work.key, "unknown labels", [_FOREIGN.format(label) for label in sorted(foreign)]
    )
    return videos

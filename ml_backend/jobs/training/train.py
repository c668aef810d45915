"""Trains a project's next model version from everything that is annotated now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from redis import Redis

from ml_backend.errors import NotEnoughLabels
from ml_backend.features.prompts import Prompts
from ml_backend.jobs.embeddings import tell_of_weights
from ml_backend.jobs.healing import is_whole
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.reading import with_names
from ml_backend.jobs.run import job, part, report
from ml_backend.jobs.training.custom_model import custom_file_of
from ml_backend.jobs.training.custom_training import take_custom
from ml_backend.jobs.training.decision import decided, roll_out_unless_worse, was_decided
from ml_backend.jobs.training.finetuning import OwnNetwork, own_network
from ml_backend.jobs.training.label_counts import note_labelled
from ml_backend.jobs.training.labelled import Annotated, annotated_tasks, fingerprint
from ml_backend.jobs.training.labelled_videos import labelled_videos
from ml_backend.jobs.training.news import training_state
from ml_backend.jobs.worker_context import WorkerContext, worker_context
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.evaluation import ENOUGH_VIDEOS, Fit, evaluate
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.framelabels import is_exclusive
from ml_backend.learning.versions import ModelCard, is_custom, list_versions, load_version, save_version
from ml_backend.queueing.queue import request
from ml_backend.records import marks, projects

# Whole timelines that people have judged, from which on Blitz takes over.
ENOUGH_REVIEWED = 2
# The check that decides the pin must not make anybody wait.
_QUICK_FOLDS = 2
# A pause of so many seconds ends a burst of annotations, which is cut off after so many.
_BURST = 1.0, 5.0
# In a companion project each frame is an annotation; a version for each of them would be too many.
_BURST_OF_FRAMES = 3.0, 15.0

_NO_EXAMPLE = "No example of the label “{}” yet, so it is never predicted. Label a frame of it."


@job
def train(project_key: str) -> str:
    """Fits a head, registers it as the next version, and queues its roll-out; nothing when nothing has changed.

    A job reads the annotations when it starts, so however many events led to it, it learns from the newest state.
    """
    context = worker_context()
    redis = context.redis
    _let_settle(redis, project_key)
    with project_lock_if_free(
        redis, context.settings.data_dir, project_key, "train", lambda: request(redis, "train", project_key)
    ) as ours:
        if not ours:
            return "the training that runs is followed by another one"
        work = open_project(context, project_key)
        # Asked for before the annotations are read: what changes meanwhile is news to the next reconcile.
        state = training_state(context, work)
        done = _train(context, work)
    marks.put(redis, project_key, "trained", state)
    return done


def _train(context: WorkerContext, work: ProjectWork) -> str:
    redis, key = context.redis, work.key
    if file := custom_file_of(context, work):
        return take_custom(context, work, file)
    annotated = annotated_tasks(context, work)
    if not annotated:
        note_labelled(context, work, (), ())
        return "nothing is annotated yet"
    tell_of_weights(context, key)
    mark = fingerprint(work, annotated, context.backbone.key)
    models = context.models_dir(key)
    newest = newest_learnt(models)
    known = newest is not None and newest.settings.get("fingerprint") == mark
    if newest is not None and known and is_whole(models, newest.name, load_version):
        return _go_on_with(context, work, newest)
    exclusive = is_exclusive(a for each in annotated for a in each.annotations)
    videos, fit, own = _material(context, work, annotated, exclusive)
    report(90, f"fitting on {len(videos)} videos")
    started = time.perf_counter()
    try:
        head = fit(videos)
    except NotEnoughLabels as error:
        # Not a failure: the next annotation asks again, and until then the suggestions stay.
        projects.set_problems(redis, key, "labels", [str(error)])
        return str(error)
    seconds = time.perf_counter() - started
    projects.set_problems(redis, key, "labels", map(_NO_EXAMPLE.format, head.lacking))
    report(95, "checking it on held-out videos")
    quick = own.metrics if own else _quick_check(videos, work.question.labels, fit, exclusive)
    card = save_version(
        models,
        head,
        backbone=(own.backbone if own else context.backbone).key,
        annotations={str(a.id): a.updated_at.isoformat() for each in annotated for a in each.annotations},
        settings={**asdict(work.settings), "fingerprint": mark, "backbone_trained": context.backbone.trained},
        metrics={"quick": quick},
        curves={"epochs": list(own.network.curve), "best": own.network.best} if own else {},
        network=asdict(own.network) if own else {},
        videos=len(videos),
        labelled_frames=int(sum(video.labels.known.sum() for video in videos)),
        train_seconds=round(seconds, 3),
        taken=context.client.versions(work.id),
    )
    trained = f"trained {card.name} on {card.labelled_frames} frames of {card.videos} videos"
    return f"{trained}, {_decide(context, work, card)}"


def _go_on_with(context: WorkerContext, work: ProjectWork, newest: ModelCard) -> str:
    """What is still to be done with a version that was trained on just what is annotated now."""
    redis, key = context.redis, work.key
    if not was_decided(context, work, newest):
        return _decide(context, work, newest)  # a worker was killed, or Redis lost, before it was
    wanted = projects.wanted_version(redis, key)
    if wanted is None or is_custom(wanted):
        wanted = newest.name
        projects.want(redis, key, wanted)
    if projects.active_version(redis, key) != wanted:
        request(redis, "rollout", key, wanted)
    return f"{newest.name} knows these annotations already"


def _material(
    context: WorkerContext, work: ProjectWork, annotated: Sequence[Annotated], exclusive: bool
) -> tuple[list[LabelledVideo], Fit, OwnNetwork | None]:
    """The labelled videos, how a head is fitted to them, and the project's own network where it is used for that."""
    may_tune = work.settings.blitz.fit == "finetune"
    with part(0, 30 if may_tune else 90):
        videos = labelled_videos(context, work, annotated, exclusive)
    note_labelled(context, work, annotated, [video.task for video in videos if video.labels.dense])
    kind = kind_for(work.settings.mode, videos)
    prompts = None
    if kind == "cold":
        videos, prompts = with_names(context, work, [each.task for each in annotated], videos)
    fit = fitting(kind, work.question.labels, exclusive, prompts)
    if kind != "blitz" or not may_tune:
        projects.set_problems(context.redis, work.key, "finetune", [])
        return videos, fit, None
    with part(30, 90):
        own = own_network(context, work, annotated, videos, exclusive, fit)
    return (own.videos if own else videos), fit, own


def _decide(context: WorkerContext, work: ProjectWork, card: ModelCard) -> str:
    """Has a new version rolled out and measured, or tells the admin why it is kept back."""
    redis, key = context.redis, work.key
    shown = roll_out_unless_worse(context, work, card, projects.active_version(redis, key))
    if shown:
        request(redis, "evaluate", key, card.name)
    # Also of one that is kept back: it may be worse because of wrong labels.
    request(redis, "quality", key)
    decided(context, work, card)
    return f"{card.name} is rolled out" if shown else f"{card.name} is kept back"


def _let_settle(redis: Redis, project_key: str) -> None:
    """Waits for the end of a burst of annotations, which is one training then instead of two."""
    known = projects.recall(redis, project_key)
    pause, most = _BURST_OF_FRAMES if known is not None and known.settings.companion else _BURST
    deadline = time.monotonic() + most
    while time.monotonic() < deadline and projects.seconds_since_annotation(redis, project_key) < pause:
        time.sleep(0.1)


def newest_learnt(models: Path) -> ModelCard | None:
    """The last version that was trained here, as opposed to a researcher's file."""
    return next((card for card in reversed(list_versions(models)) if not is_custom(card.name)), None)


def kind_for(mode: str, videos: Sequence[LabelledVideo]) -> str:
    """Cold or Blitz: as set, or Blitz as soon as enough whole timelines have been reviewed."""
    if mode != "auto":
        return mode
    reviewed = sum(video.labels.dense and video.labels.judged for video in videos)
    return "blitz" if reviewed >= ENOUGH_REVIEWED else "cold"


def fitting(kind: str, labels: Sequence[str], exclusive: bool, prompts: Prompts | None = None) -> Fit:
    """The training of one kind of model, for any of a project's videos. The result raises NotEnoughLabels.

    `prompts`: the labels as a text model reads them, for Cold.
    """
    if kind == "blitz":
        return lambda videos: fit_blitz(videos, labels, exclusive=exclusive)
    return lambda videos: fit_cold(videos, labels, exclusive=exclusive, prompts=prompts)


def _quick_check(
    videos: Sequence[LabelledVideo],
    labels: Sequence[str],
    fit: Fit,
    exclusive: bool,
) -> dict[str, Any]:
    """Held-out metrics from two folds; empty while too few videos could say anything."""
    if len(videos) < ENOUGH_VIDEOS:
        return {}
    return evaluate(videos, labels, fit, exclusive=exclusive, most_folds=_QUICK_FOLDS)

"""Measures a model version on held-out videos and calibrates it, after it has been rolled out: nobody waits for it."""

from __future__ import annotations

from ml_backend.jobs.own_network import backbone_of, trained_on
from ml_backend.jobs.project_work import open_project
from ml_backend.jobs.reading import with_names
from ml_backend.jobs.run import job, part, report
from ml_backend.jobs.training.labelled import annotated_tasks
from ml_backend.jobs.training.labelled_videos import labelled_videos
from ml_backend.jobs.training.train import fitting, newest_learnt
from ml_backend.jobs.worker_context import worker_context
from ml_backend.learning import evaluation
from ml_backend.learning.versions import add_measurements, load_card
from ml_backend.queueing.queue import request


@job
def evaluate(project_key: str, version: str) -> str:
    """Writes full held-out metrics and the temperature into the version's model card."""
    context = worker_context()
    work = open_project(context, project_key)
    models = context.models_dir(project_key)
    card = load_card(models, version)
    newest = newest_learnt(models)
    if newest is not None and newest.name != version:
        return f"{version} was overtaken by {newest.name}"
    annotated = annotated_tasks(context, work)
    with part(0, 50):
        videos = labelled_videos(context, work, annotated, card.exclusive, backbone_of(context, work, card))
    prompts = None
    if "prior" in card.structure:
        videos, prompts = with_names(context, work, [each.task for each in annotated], videos)
    metrics = evaluation.evaluate(
        videos,
        card.labels,
        fitting(card.kind, card.labels, card.exclusive, prompts),
        exclusive=card.exclusive,
        trained_on=trained_on(card),
        progress=lambda share: report(50 + 50 * share, f"measuring {version} on held-out videos"),
    )
    add_measurements(models, version, metrics=metrics, calibration={"temperature": metrics.get("temperature", 1.0)})
    request(context.redis, "stopping", project_key)
    score = metrics.get("macro_f1")
    return f"{version}: {metrics['judgement']}" + (f" Macro-F1 {score:.3f}." if score is not None else "")

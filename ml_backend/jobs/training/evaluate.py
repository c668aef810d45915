"""Measures a model version on held-out videos and calibrates it, after it has been rolled out: nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ml_backend.cards.measurements import Calibration, Metrics
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of, trained_on
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.text_hints import with_names
from ml_backend.jobs.training.labelled import Annotated, annotated_for, annotated_tasks
from ml_backend.jobs.training.labelled_videos import VideoProblems, labelled_videos, whole_videos
from ml_backend.jobs.training.learning import fitting
from ml_backend.jobs.training.train import newest_learnt
from ml_backend.jobs.training.unpacked import measure_unpacked
from ml_backend.learning.evaluation import cross_validated
from ml_backend.learning.versions import ModelCard, add_measurements, load_card
from ml_backend.learning.whole_video import cross_validated_whole
from ml_backend.queueing.queue import enqueue


@job
def evaluate(context: JobContext, project_key: str, version: str) -> str:
    """Writes full held-out metrics and the temperature into the version's model card."""
    work = open_project(context, project_key)
    models = context.models_dir(project_key)
    card = load_card(models, version)
    if card.origin:
        return measure_unpacked(work, card)
    newest = newest_learnt(models)
    if newest is not None and newest.name != version:
        return f"{version} was overtaken by {newest.name}"
    annotated = annotated_tasks(work)
    said, problems = [], VideoProblems()
    cards = card.each()
    for position, own in enumerate(cards):
        asked = work.taught(own.question, own.labels)
        if asked is None:
            continue
        metrics = _measured(asked.step(position, len(cards)), own, annotated_for(asked, annotated), problems)
        calibration = Calibration(1.0 if metrics.temperature is None else metrics.temperature)
        add_measurements(models, version, metrics=metrics, calibration=calibration, question=own.question)
        score = metrics.macro_f1
        where = "" if len(cards) == 1 else f"{own.question}: "
        said.append(f"{where}{metrics.judgement}" + (f" Macro-F1 {score:.3f}." if score is not None else ""))
    problems.tell(work)
    enqueue(context.redis, "stopping", project_key)
    return f"{version}: {' '.join(said)}"


def _measured(
    work: ProjectWork,
    card: ModelCard,
    annotated: Sequence[Annotated],
    problems: VideoProblems,
) -> Metrics:
    """Held-out metrics of what a version has learnt about one question."""
    tell = work.progress.part(50, 100).share(f"measuring {card.name} on held-out videos")
    if card.is_whole:
        answered = whole_videos(work.part(0, 50), annotated, problems)
        measured = cross_validated_whole(answered, work.question.labels, card.exclusive, progress=tell).metrics()
        # Nothing is calibrated on a row a video.
        return replace(measured, temperature=1.0)
    videos = labelled_videos(work.part(0, 50), annotated, card.exclusive, backbone_of(work, card), problems)
    prompts = None
    if "prior" in card.structure:
        videos, prompts = with_names(work, [each.task for each in annotated], videos)
    return cross_validated(
        videos,
        card.labels,
        fitting(card.kind, card.labels, card.exclusive, prompts),
        exclusive=card.exclusive,
        trained_on=trained_on(card),
        progress=tell,
    ).metrics()

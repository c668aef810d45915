"""What is learnt about one question of a project's label config: a head, and how well it does on held-out videos."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ml_backend.cards.measurements import ENOUGH_VIDEOS, Measurements, Metrics, TrainingCurves
from ml_backend.features.prompts import Prompts
from ml_backend.jobs.individuals.cast import individuals_of
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.text_hints import with_names
from ml_backend.jobs.training.decision import against_shown
from ml_backend.jobs.training.finetuning import OwnNetwork, own_network
from ml_backend.jobs.training.labelled import Annotated, are_exclusive, note_labelled
from ml_backend.jobs.training.labelled_videos import VideoProblems, labelled_videos, whole_videos
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.comparison import HeldAnswers, answers_of
from ml_backend.learning.evaluation import CrossValidation, Fit, cross_validated
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.versions import Learnt
from ml_backend.learning.whole_video import cross_validated_whole, fit_whole
from ml_backend.projects import registry
from ml_backend.wording import counted

# Whole timelines that people have judged, from which on Blitz takes over.
ENOUGH_REVIEWED = 2
# The check that decides the pin must not make anybody wait.
_QUICK_FOLDS = 2


def learn(work: ProjectWork, annotated: Sequence[Annotated], problems: VideoProblems) -> Learnt:
    """Fits the head of the question of `work`. Raises NotEnoughLabels."""
    if work.question.kind == "choices":
        return _learn_whole(work, annotated, problems)
    exclusive = are_exclusive(work, annotated)
    videos, fit, own = _material(work, annotated, exclusive, problems)
    work.progress.report(90, f"fitting on {counted(len(videos), 'video')}")
    started = time.perf_counter()
    head = fit(videos)
    seconds = time.perf_counter() - started
    work.progress.report(95, "checking it on held-out videos")
    checked = own.checked if own else _quick_check(videos, head)
    quick = own.metrics if own else _quick(checked)
    answers = _answers(checked, [video.task for video in videos])
    against = against_shown(work, answers, checked, videos, own.network.digest if own else "")
    return Learnt(
        work.question.from_name,
        head,
        backbone=(own.backbone if own else work.context.backbone_for(work.settings)).key,
        metrics=Measurements(quick=quick, against=against, compared=True),
        curves=TrainingCurves(own.network.curve, own.network.best) if own else TrainingCurves(),
        network=own.network if own else None,
        videos=len(videos),
        labelled_frames=int(sum(video.labels.known.sum() for video in videos)),
        train_seconds=round(seconds, 3),
        answers=answers,
    )


def _learn_whole(work: ProjectWork, annotated: Sequence[Annotated], problems: VideoProblems) -> Learnt:
    videos = whole_videos(work.part(0, 90), annotated, problems)
    if work.question == work.config.main:
        note_labelled(work, annotated, [video.task for video in videos if video.judged])
    labels, exclusive = work.question.labels, not work.question.multiple
    work.progress.report(90, f"fitting on {counted(len(videos), 'video')}")
    started = time.perf_counter()
    head = fit_whole(videos, labels, exclusive)
    seconds = time.perf_counter() - started
    enough = len(videos) >= ENOUGH_VIDEOS
    checked = (
        cross_validated_whole(videos, labels, exclusive, most_folds=_QUICK_FOLDS, doubted=False) if enough else None
    )
    answers = _answers(checked, [video.task for video in videos], whole=True)
    return Learnt(
        work.question.from_name,
        head,
        backbone=work.context.backbone_for(work.settings).key,
        metrics=Measurements(
            quick=_quick(checked), against=against_shown(work, answers, checked, videos, ""), compared=True
        ),
        videos=len(videos),
        train_seconds=round(seconds, 3),
        answers=answers,
    )


def _material(
    work: ProjectWork,
    annotated: Sequence[Annotated],
    exclusive: bool,
    problems: VideoProblems,
) -> tuple[list[LabelledVideo], Fit, OwnNetwork | None]:
    """The labelled videos, how a head is fitted to them, and the project's own network where it is used for that.

    There is one such network; with several questions it is the main one's.
    """
    is_main = work.question == work.config.main
    # Individuals are seen by the frozen network alone, and no text model looks at them.
    whole = individuals_of(work) is None
    may_tune = work.settings.blitz.fit == "finetune" and is_main and whole
    videos = labelled_videos(work.part(0, 30 if may_tune else 90), annotated, exclusive, problems=problems)
    if is_main:
        note_labelled(work, annotated, [video.task for video in videos if video.labels.dense and video.labels.judged])
    kind = kind_for(work.settings.mode, videos)
    prompts = None
    if kind == "cold" and whole:
        videos, prompts = with_names(work, [each.task for each in annotated], videos)
    fit = fitting(kind, work.question.labels, exclusive, prompts)
    if kind != "blitz" or not may_tune:
        if is_main:
            registry.set_problems(work.context.redis, work.key, "finetune", [])
        return videos, fit, None
    own = own_network(work.part(30, 90), annotated, videos, exclusive, fit)
    return (own.videos if own else videos), fit, own


def kind_for(mode: str, videos: Sequence[LabelledVideo]) -> str:
    """Cold or Blitz: as set, or Blitz as soon as enough whole timelines have been reviewed."""
    if mode != "auto":
        return mode
    reviewed = sum(video.labels.dense and video.labels.judged for video in videos)
    return "blitz" if reviewed >= ENOUGH_REVIEWED else "cold"


def fitting(
    kind: str, labels: Sequence[str], exclusive: bool, prompts: Prompts | None = None, *, doubted: bool = True
) -> Fit:
    """The training of one kind of model, for any of a project's videos. The result raises NotEnoughLabels.

    `prompts`: the labels as a text model reads them, for Cold. `doubted`: whether it is measured how far to believe it.
    """
    if kind == "blitz":
        return lambda videos: fit_blitz(videos, labels, exclusive=exclusive, doubted=doubted)
    return lambda videos: fit_cold(videos, labels, exclusive=exclusive, prompts=prompts, doubted=doubted)


def _quick_check(videos: Sequence[LabelledVideo], head: Head) -> CrossValidation | None:
    """What such a head answers in two folds; None while too few videos could say anything."""
    if len(videos) < ENOUGH_VIDEOS:
        return None
    prompts = None if head.prior is None else head.prior.prompts
    fit = fitting(head.kind, head.labels, head.exclusive, prompts, doubted=False)
    return cross_validated(videos, head.labels, fit, exclusive=head.exclusive, most_folds=_QUICK_FOLDS)


def _quick(checked: CrossValidation | None) -> Metrics:
    """Held-out metrics; it is for comparing answers, so nothing is said of how far to believe them."""
    return checked.metrics().about_answers() if checked else Metrics()


def _answers(checked: CrossValidation | None, taught: Sequence[int], *, whole: bool = False) -> HeldAnswers | None:
    return answers_of(checked.held, checked.labels, checked.exclusive, taught, whole=whole) if checked else None

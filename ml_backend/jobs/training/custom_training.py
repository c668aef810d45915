"""Versions of a researcher's file: as it is, or, when it can learn, fitted to all that is annotated now."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_backend.cards.measurements import ENOUGH_VIDEOS, EvaluationScheme, Measurements, Metrics
from ml_backend.errors import CustomModelError
from ml_backend.jobs.backlog import is_whole
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.accounting import Accounts
from ml_backend.jobs.training.decision import against_shown, note_decided, roll_out_unless_worse, was_decided
from ml_backend.jobs.training.labelled import Annotated, annotated_tasks, are_exclusive, fingerprint, note_labelled
from ml_backend.jobs.training.labelled_videos import VideoProblems, labelled_videos
from ml_backend.jobs.videos import task_video
from ml_backend.learning.calibration import Held
from ml_backend.learning.comparison import answers_of
from ml_backend.learning.custom.model import CustomModel, load_custom, video_probabilities
from ml_backend.learning.custom.versions import (
    Learnt,
    evenly,
    fit,
    known_version,
    load_custom_version,
    save_custom,
    targets,
)
from ml_backend.learning.evaluation import CrossValidation
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import UNKNOWN
from ml_backend.learning.groups import duplicates, held_out_share
from ml_backend.learning.pictures import pictures_at
from ml_backend.learning.probabilities import decided
from ml_backend.learning.smoothing import smooth
from ml_backend.learning.versions import ModelCard
from ml_backend.projects import registry
from ml_backend.projects.training_choice import MODEL_FILES
from ml_backend.provenance import ModelVersion
from ml_backend.queueing.job_limits import allow
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted, some


def custom_file_of(work: ProjectWork) -> Path | None:
    """The project's `custom_model` in DATA_DIR/custom_models, else CUSTOM_MODEL; None when the project learns by itself.

    Raises CustomModelError when the mode is custom and no file is named, or the named one is not there.
    """
    if work.settings.mode not in ("auto", "custom"):
        return None
    if work.settings.custom_model:
        # Imported here, since every reconcile asks and most projects have none.
        from ml_backend.learning.custom.model import custom_file

        return custom_file(work.context.settings.data_dir / MODEL_FILES, work.settings.custom_model)
    if work.context.settings.custom_model is None and work.settings.mode == "custom":
        raise CustomModelError(
            "The project's mode is custom, but no model file is set.",
            "Set the extra param custom_model, or CUSTOM_MODEL.",
        )
    return work.context.settings.custom_model


_NOT_PREDICTED = "The custom model does not know {}. If it does, map its outputs to labels with predicted_values."
_TOO_FEW = "{} starts learning once frames with two different labels exist. Label a frame of each label."
_NOT_MEASURED = "Not measured: this needs reviewed videos to hold out, and the remaining ones must show every label. Review more videos."
_SHARE, _SEED = 0.2, 0
# What one fit of a researcher's file may take.
_FIT_SECONDS = 3600.0


def take_custom(work: ProjectWork, file: Path) -> str:
    """Makes a version of the researcher's file, unless there is one of it already, and has it rolled out.

    A file that learns gets a version of its own for what is annotated now. Raises CustomModelError.
    """
    accounts = Accounts()
    annotated = annotated_tasks(work, held_in=accounts.held)
    reviewed = [each.task.id for each in annotated if any(one.reviewed for one in each.annotations)]
    note_labelled(work, annotated, reviewed)
    exclusive = are_exclusive(work, annotated)

    def loaded(tried: bool = False) -> CustomModel:
        return load_custom(file, work.question.labels, work.question.predicted_values, tried=tried)

    if loaded().learning is not None:
        card = _fitted(work, loaded, annotated, exclusive, accounts) if annotated else None
        if card is not None:
            registry.set_problems(work.context.redis, work.key, "labels", _not_predicted(card))
            return f"{file.name} is {card.name}, {_shown(work, card)}"
        try:
            loaded(tried=True)
        except CustomModelError:
            text = _TOO_FEW.format(file.name)
            registry.set_problems(work.context.redis, work.key, "labels", [text])
            return text
    card = _kept(work, loaded(tried=True), exclusive)
    registry.set_problems(work.context.redis, work.key, "labels", _not_predicted(card))
    if registry.active_version(work.context.redis, work.key) != card.name:
        registry.want(work.context.redis, work.key, card.name)
        enqueue(work.context.redis, "rollout", work.key, card.name)
    return f"{file.name} is {card.name}"


def _not_predicted(card: ModelCard) -> list[str]:
    return [_NOT_PREDICTED.format(some(card.lacking))] if card.lacking else []


def _kept(
    work: ProjectWork,
    model: CustomModel,
    exclusive: bool,
    learnt: Learnt | None = None,
    lost: ModelCard | None = None,
) -> ModelCard:
    """The version of a file; made again when the one there is cannot be read. The name of a `lost` one is not used again."""
    models = work.context.models_dir(work.key)
    taken = (*work.context.studio.predictions.versions(work.id), *([lost.name] if lost else []))
    card = save_custom(models, model, exclusive=exclusive, taken=taken, learnt=learnt)
    if not is_whole(models, card.name, load_custom_version):
        card = save_custom(models, model, exclusive=exclusive, taken=(*taken, card.name), learnt=learnt)
    return card


def _fitted(
    work: ProjectWork,
    loaded: Callable[[], CustomModel],
    annotated: Sequence[Annotated],
    exclusive: bool,
    accounts: Accounts,
) -> ModelCard | None:
    """The version that has learnt from all that is annotated; None when that says one thing only."""
    model, models = loaded(), work.context.models_dir(work.key)
    mark = fingerprint(work, annotated, model.digest)
    known = known_version(models, model, exclusive=exclusive, fingerprint=mark)
    if known is not None and is_whole(models, known.name, load_custom_version):
        return known
    problems = VideoProblems(accounts=accounts)
    videos = labelled_videos(work.part(0, 40), annotated, exclusive, problems=problems)
    problems.tell(work)
    accounts.close(work)
    answers = {tuple(row) for rows in evenly(videos, model.project_labels) for row in rows.values.tolist()}
    if len(answers) < 2:
        return None
    tasks = {each.task.id: each.task for each in annotated}

    def path_of(video: LabelledVideo) -> Path:
        return task_video(work.context, work.question, tasks[video.task]).path

    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".fit-") as made:
        checked = _checked(loaded, videos, path_of, exclusive, Path(made) / "measured", work.progress.part(40, 70))
        started = time.perf_counter()
        frames = _learn(model, videos, path_of, Path(made) / "learnt", work.progress.part(70, 100))
        taught = [video.task for video in videos]
        held = answers_of(checked.held, checked.labels, exclusive, taught) if checked else None
        learnt = Learnt(
            Path(made) / "learnt",
            mark,
            {str(a.id): a.updated_at.isoformat() for each in annotated for a in each.annotations},
            Measurements(
                quick=_metrics(checked),
                against=against_shown(work, held, checked, videos, model.digest),
                compared=True,
            ),
            len(videos),
            frames,
            round(time.perf_counter() - started, 3),
            held,
        )
        return _kept(work, model, exclusive, learnt, known)


def _learn(
    model: CustomModel,
    videos: Sequence[LabelledVideo],
    path_of: Callable[[LabelledVideo], Path],
    folder: Path,
    progress: Progress,
) -> int:
    """Has a file learn from the videos and save that in `folder`; returns from how many frames."""
    pictures = pictures_at(
        videos,
        evenly(videos, model.project_labels),
        model.project_labels,
        path_of,
        size=model.size,
        folder=folder.parent,
        progress=progress.part(0, 50).share(f"decoding the frames that {model.file.name} learns from"),
    )
    allow(_FIT_SECONDS)
    progress.report(50, f"{model.file.name} learns from {counted(len(pictures), 'frame')}")
    fit(model, pictures.pixels, targets(model, pictures.values), folder)
    return len(pictures)


def _checked(
    loaded: Callable[[], CustomModel],
    videos: Sequence[LabelledVideo],
    path_of: Callable[[LabelledVideo], Path],
    exclusive: bool,
    folder: Path,
    progress: Progress,
) -> CrossValidation | None:
    """What one fit without some of the reviewed videos says of them, leaving out each in turn would be as many fits; None where
    none can be left out."""
    model = loaded()
    labels = model.project_labels
    share = min(max(_SHARE, ENOUGH_VIDEOS / len(videos)), 0.5)
    held = held_out_share(videos, labels, exclusive, share, _SEED)
    if held is None:
        return None
    _learn(model, [video for video in videos if video.task not in held], path_of, folder, progress.part(0, 60))
    outside = [video for video in videos if video.task in held]
    found = []
    for done, video in enumerate(outside):
        progress.report(60 + 40 * done / len(outside), f"measuring {model.file.name} on held-out videos")
        found.append(_predicted(model, video, path_of(video), exclusive))
    groups = duplicates([video.features for video in outside]).tolist()
    recording = {video.task: group for video, group in zip(outside, groups, strict=True)}
    return CrossValidation(tuple(labels), exclusive, tuple(found), EvaluationScheme.ONE_FOLD, recording)


def _metrics(checked: CrossValidation | None) -> Metrics:
    return checked.metrics() if checked else Metrics.nothing(_NOT_MEASURED, EvaluationScheme.ONE_FOLD, 0)


def _predicted(model: CustomModel, video: LabelledVideo, path: Path, exclusive: bool) -> Held:
    known = video.labels.select(model.project_labels).resized(len(video.features.timeline))
    values = video_probabilities(model, path, video.features.timeline, exclusive=exclusive)
    at = known.known
    whole = bool((known.values != UNKNOWN).all())
    smoothed = smooth(values, exclusive)
    return Held(video.task, smoothed[at], known.values[at], whole, decided(smoothed, exclusive))


def _shown(work: ProjectWork, card: ModelCard) -> str:
    """Has a fitted version rolled out, unless it is worse than an older one of the same file, or that was decided before."""
    redis, key = work.context.redis, work.key
    active = registry.active_version(redis, key)
    if was_decided(work, card):
        if registry.wanted_version(redis, key) == card.name != active:
            enqueue(redis, "rollout", key, card.name)
        return "which knows these annotations already"
    before = ModelVersion.parse(active or "")
    comparable = active if before is not None and before.kind == card.kind else None
    shown = roll_out_unless_worse(work, card, comparable)
    note_decided(work, card)
    return "and is rolled out" if shown else "and is kept back"

"""A model version that was trained in another project: brought into this one in its words, and measured on what is labeled here before
anybody is shown it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_backend.cards.measurements import Calibration
from ml_backend.cards.model_card import ModelCard
from ml_backend.errors import LabelStudioMissing, SettingsError, StorageError, VideoError
from ml_backend.features.backbones import network_of
from ml_backend.jobs.embeddings import backbone_of, sees_as_then, sees_each
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.decision import against_shown, roll_out_unless_worse
from ml_backend.jobs.training.labelled import Annotated, annotated_for, annotated_tasks
from ml_backend.jobs.training.labelled_videos import VideoProblems, labelled_videos, whole_videos
from ml_backend.jobs.videos import task_video, video_mark
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.comparison import FILE, HeldAnswers, answers_of, as_file
from ml_backend.learning.evaluation import CrossValidation, answered_by
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.model_archive import AGAIN, Archive
from ml_backend.learning.relabel import relabeled, unused
from ml_backend.learning.versions import (
    add_measurements,
    add_version,
    is_custom,
    load_card,
    load_heads,
    note_decision,
    publish,
    unwritable,
    weights_of,
)
from ml_backend.learning.whole_head import WholeHead
from ml_backend.learning.whole_video import LabelledWhole, answered_by_whole
from ml_backend.projects import registry
from ml_backend.projects.storage import write_whole
from ml_backend.provenance import ModelVersion
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import counted, cut, some

_OUT = "{} is kept back: {} Run `coldblitz models activate` to show it all the same."


@dataclass(frozen=True)
class Packed:
    """What is to be passed on of a version. `origin`: JSON."""

    card: ModelCard
    weights: Mapping[str, bytes]
    origin: Mapping[str, Any]


def to_pack(work: ProjectWork, version: str) -> Packed:
    """A version of the project with what tells its videos from others. Raises SettingsError for what cannot be passed on, StorageError
    and LabelStudioError."""
    parsed = ModelVersion.parse(version)
    if version.startswith("detector-v"):
        raise SettingsError(
            f"{version} is a detector, which is not packed.",
            "Copy its folder from `detectors` in the project's folder in DATA_DIR.",
        )
    if parsed is not None and is_custom(version):
        raise SettingsError(
            f"{version} is your own model file, which is not packed: it is code that would be run elsewhere.",
            "Pass the file on yourself; whoever trusts it puts it into DATA_DIR/custom_models.",
        )
    models = work.context.models_dir(work.key)
    card = load_card(models, version)
    if any(one.network is not None for one in card.each()):
        raise SettingsError(
            f"{version} was fine-tuned, and its network is not packed.", 'Train with {"fit": "head"}, and pack that.'
        )
    settings = {name: card.settings.get(name) for name in ("backbone_trained", "backbone_source", "backbone_license")}
    marks, unknown = _seen_by(work, card)
    origin = {
        "version": card.name,
        "project": work.project.title,
        "created": card.created,
        "macro_f1": card.measured.macro_f1,
        "judgement": card.measured.judgement,
        "labels": {one.question: list(one.labels) for one in card.each()},
        "backbone": {"key": card.backbone, "network": network_of(card.backbone), **settings},
        "videos": sorted(marks),
        "videos_unknown": unknown,
    }
    return Packed(card, weights_of(models, card), origin)


def _seen_by(work: ProjectWork, card: ModelCard) -> tuple[set[str], int]:
    """The marks of the videos that a version was trained on, and of how many more nobody knows which they were."""
    videos = max(one.videos for one in card.each())
    if card.origin:
        lost = card.origin.get("videos_unknown")
        return {*card.video_marks, *_texts(card.origin.get("videos"))}, lost if isinstance(lost, int) else 0
    if card.video_marks:
        return set(card.video_marks), max(videos - len(card.video_marks), 0)
    # A version from before its card said so. What was annotated since counts, too: better one video too many is left out where
    # it is measured than one too few.
    marks: set[str] = set()
    trained = unknown = 0
    for each in annotated_tasks(work):
        mark = _mark(work, each.task)
        marks |= {mark} if mark else set()
        unknown += mark is None
        trained += any(str(one.id) in card.annotations for one in each.annotations)
    # Those of tasks, or annotations, that were deleted since.
    return marks, unknown + max(videos - trained, 0)


def unpack(work: ProjectWork, archive: Archive, names: Mapping[str, str], control: str | None) -> ModelCard:
    """Makes the next version of the project from it. `names`: new names of labels. `control`: which question of the project it is
    about, where it answers one.

    Raises SettingsError when it does not fit the project, StorageError when it is damaged.
    """
    if wrong := unused(names, archive.card):
        every = [label for one in archive.card.each() for label in one.labels]
        raise SettingsError(f"The model has no label {some(wrong)}.", f"It has {some(every)}.")
    parsed = ModelVersion.parse(archive.card.name)
    if parsed is None or parsed.is_custom or archive.card.kind not in ("cold", "blitz"):
        raise SettingsError(f"A model of the kind “{cut(archive.card.kind)}” cannot be unpacked.", "Update Coldblitz.")
    card = _in_words_of(work, archive.card, names, control)
    _demand_same_view(work, card)
    origin = {**archive.origin, "names": dict(names), "signed": bool(archive.signed)}
    card = replace(
        card,
        origin=origin,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        settings={name: value for name, value in card.settings.items() if name != "fingerprint"},
        decision="",
    )
    try:
        with tempfile.TemporaryDirectory() as made:
            # Nothing of it is kept before it was read as a whole.
            publish(Path(made), card, archive.weights)
            load_heads(Path(made), card.name)
    except StorageError as error:
        raise StorageError(error.message, AGAIN) from error
    except OSError as error:
        raise unwritable(Path(tempfile.gettempdir()), error) from error
    models = work.context.models_dir(work.key)
    added = add_version(models, card, archive.weights, work.context.studio.predictions.versions(work.id))
    return note_decision(models, added.name, f"{added.name} was unpacked, and is not measured here yet.")


def _in_words_of(work: ProjectWork, card: ModelCard, names: Mapping[str, str], control: str | None) -> ModelCard:
    if not card.others:
        question = _question(work, control) if control else _main(work, card)
        return replace(relabeled(card, names, question.labels, question.from_name), question=question.from_name)
    if control is not None:
        raise SettingsError("The model answers several questions, so --control says too little.", "Omit it.")
    first = _question(work, card.question)
    others = {name: relabeled(one, names, _question(work, name).labels, name) for name, one in card.others.items()}
    return replace(relabeled(card, names, first.labels, first.from_name), others=others)


def _main(work: ProjectWork, card: ModelCard) -> Question:
    kind = "choices" if card.is_whole else "timeline"
    alike = [each for each in work.config.questions if each.kind == kind]
    if not alike:
        what = "whole videos" if card.is_whole else "frames"
        raise SettingsError(
            f"The model is about {what}, and no control of this project is.",
            f"Add a {'<Choices>' if card.is_whole else '<TimelineLabels>'} with its labels.",
        )
    return next((each for each in alike if each.from_name == card.question), alike[0])


def _question(work: ProjectWork, name: str) -> Question:
    found = next((each for each in work.config.questions if each.from_name == name), None)
    if found is None:
        every = [each.from_name for each in work.config.questions]
        raise SettingsError(f"The project has no control “{cut(name)}”.", f"It has {some(every)}.")
    return found


def _demand_same_view(work: ProjectWork, card: ModelCard) -> None:
    """Raises SettingsError when its answers would be wrong and sure."""
    if sees_as_then(work, card):
        return
    if sees_each(card) != work.settings.per_individual:
        told = "each individual" if sees_each(card) else "whole pictures"
        raise SettingsError(f"The model was trained on {told}, and this project is not.", "Change per_individual.")
    raise SettingsError(
        f"The model was trained on what the backbone {network_of(card.backbone)} sees, and the one here is "
        f"{work.context.backbone_for(work.settings).network}.",
        "Set BACKBONE, BACKBONE_WEIGHTS, and the project's resolution and roi as they were there.",
    )


def measure_unpacked(work: ProjectWork, card: ModelCard) -> str:
    """Measures it on labeled videos of this project that it was not trained on, and rolls it out if it may be."""
    models, problems = work.context.models_dir(work.key), VideoProblems()
    seen = set(_texts(card.origin.get("videos")))
    every = annotated_tasks(work)
    known = {each.task.id for each in every if _mark(work, each.task) in seen}
    annotated = [each for each in every if each.task.id not in known]
    held: dict[str, HeldAnswers] = {}
    said = []
    for head, own in load_heads(models, card.name):
        asked = work.taught(own.question, own.labels)
        if asked is None:
            continue
        checked, videos = _answered(asked, head, own, annotated_for(asked, annotated), problems)
        metrics = checked.metrics()
        answers = answers_of(checked.held, checked.labels, checked.exclusive, (), whole=own.is_whole)
        held[own.question] = answers
        against = against_shown(asked, answers, checked, videos, "")
        calibration = Calibration(1.0 if own.is_whole or metrics.temperature is None else metrics.temperature)
        add_measurements(
            models, card.name, metrics=metrics, calibration=calibration, against=against, question=own.question
        )
        said.append(metrics.judgement + (f" Macro-F1 {metrics.macro_f1:.3f}." if metrics.macro_f1 is not None else ""))
    problems.tell(work)
    write_whole(models / card.name / FILE, as_file(held), "What a model said of held-out videos")
    left_out = f" {counted(len(known), 'labeled video')} that it was trained on left out." if known else ""
    return f"{card.name}: {' '.join(said)}{left_out} {_decide(work, load_card(models, card.name), known)}"


def _answered(
    work: ProjectWork,
    head: Head | WholeHead,
    card: ModelCard,
    annotated: Sequence[Annotated],
    problems: VideoProblems,
) -> tuple[CrossValidation, Sequence[LabelledVideo] | Sequence[LabelledWhole]]:
    if not isinstance(head, Head):
        whole = whole_videos(work, annotated, problems)
        return answered_by_whole(head, whole), whole
    videos = labelled_videos(work, annotated, card.exclusive, backbone_of(work, card), problems)
    return answered_by(head, videos, card.labels, exclusive=card.exclusive), videos


def _decide(work: ProjectWork, card: ModelCard, known: set[int]) -> str:
    """By the usual gate, but only with a score, and where another version is shown only after both were scored here."""
    active, models = registry.active_version(work.context.redis, work.key), work.context.models_dir(work.key)
    if active == card.name or registry.wanted_version(work.context.redis, work.key) == card.name:
        return "Somebody has activated it."
    reason = None
    if card.measured.macro_f1 is None:
        seen = " but videos that it was trained on" if known else ""
        reason = f"nothing{seen} is labeled here by which it could be measured."
    elif active is not None and not all(one.metrics.against and one.metrics.against.recordings for one in card.each()):
        against = card.metrics.against
        reason = f"it cannot be compared with {active}: {against.said if against else 'nothing is known of it'}."
    if reason is not None:
        note_decision(models, card.name, _OUT.format(card.name, reason))
        return _OUT.format(card.name, reason)
    roll_out_unless_worse(work, card, active)
    return load_card(models, card.name).decision


def _mark(work: ProjectWork, task: Task) -> str | None:
    """Tells the content of a task's video from others; None where it cannot be had."""
    try:
        return video_mark(task_video(work.context, work.question, task).content)
    except (VideoError, LabelStudioMissing):
        return None


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def queue_measuring(work: ProjectWork, card: ModelCard, *, show: bool) -> None:
    """Has it measured, and rolled out at once when somebody wants to `show` it in any case."""
    if show:
        registry.want(work.context.redis, work.key, card.name)
        enqueue(work.context.redis, "rollout", work.key, card.name, again=True)
        note_decision(
            work.context.models_dir(work.key), card.name, f"{card.name} is rolled out: somebody wanted it, unmeasured."
        )
    enqueue(work.context.redis, "evaluate", work.key, card.name)

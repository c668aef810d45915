"""Trains a project's next model version from everything that is annotated now, when anything has changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from redis import Redis

from ml_backend.errors import CustomModelError, NotEnoughLabels, NothingLabelled
from ml_backend.jobs.backlog import is_whole
from ml_backend.jobs.box_tracks import queue_said
from ml_backend.jobs.companion.answers import answers_state
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import tell_of_weights
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.jobs.replaced_videos import tell_of_checked
from ml_backend.jobs.shown_progress import shown_in_studio
from ml_backend.jobs.training.accounting import Accounts, nothing_taught
from ml_backend.jobs.training.custom_training import custom_file_of, take_custom
from ml_backend.jobs.training.decision import note_decided, roll_out_unless_worse, was_decided
from ml_backend.jobs.training.labelled import Annotated, annotated_for, annotated_tasks, fingerprint, note_labelled
from ml_backend.jobs.training.labelled_videos import VideoProblems
from ml_backend.jobs.training.learning import learn
from ml_backend.jobs.videos import known_content, video_mark
from ml_backend.labelstudio.label_config import Question
from ml_backend.learning.frame_labels import MEANING
from ml_backend.learning.versions import (
    Learnt,
    ModelCard,
    is_custom,
    list_versions,
    load_heads,
    next_number,
    save_version,
)
from ml_backend.projects import reconcile_state, registry
from ml_backend.projects.label_report import Account
from ml_backend.queueing.queue import enqueue
from ml_backend.wording import some


def training_state(work: ProjectWork) -> str | None:
    """The same for the same annotations, label config, settings and model file; None when there is nothing to train from.

    Annotations are known by their numbers and by when an annotated task changed last, those of the companion project too.
    A model file that cannot be used is something to train from: the training says what is wrong with it.
    """
    changed, annotated = work.context.studio.tasks.last_annotated(work.id)
    stamp = _stamp(work)
    answers = answers_state(work)
    if not annotated and stamp is None and not any(answers[1:]):
        return None
    settings = work.context.settings
    said = [
        *(work.project.counts, changed, annotated, work.project.label_config, repr(work.settings), stamp),
        *(settings.backbone, settings.backbone_weights),
        *answers,
        MEANING,
    ]
    if work.settings.per_individual:
        said.append("per_individual")
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _stamp(work: ProjectWork) -> list[str | int] | None:
    """Tells one state of the project's model file from another; None when it has none."""
    try:
        file = custom_file_of(work)
    except CustomModelError as error:
        return [str(error)]
    if file is None:
        return None
    return [str(file), file.stat().st_mtime_ns, file.stat().st_size] if file.is_file() else [str(file)]


def queue_training(work: ProjectWork) -> str | None:
    """Queues a training unless the last one knew all there is; returns what was done, if anything."""
    redis, state = work.context.redis, training_state(work)
    if state is None or state == reconcile_state.get(redis, work.key, "trained"):
        return None
    # One that failed for good is not tried again before something has changed.
    news = state != reconcile_state.get(redis, work.key, "asked")
    reconcile_state.put(redis, work.key, "asked", state)
    return "annotations to learn from" if enqueue(redis, "train", work.key, again=news) else None


# A pause of so many seconds ends a burst of annotations, which is cut off after so many.
_BURST = 1.0, 5.0
# In a companion project each frame is an annotation; a version for each of them would be too many.
_BURST_OF_FRAMES = 3.0, 15.0

_STRAY = (
    "Annotations have {} regions on the control “{}”, which is no longer in the label config, so they are not used "
    "for training. Rename the control back, or give a new control this name."
)
_NO_EXAMPLE = "No example of the label {} yet, so it is never predicted. Label a frame of it."
_NO_EXAMPLES = "No example yet of {} labels{}: {}. They are never predicted; label a frame of each."


@job
def train(context: JobContext, project_key: str) -> str:
    """Fits a head, registers it as the next version, and queues its roll-out; nothing when nothing has changed.

    A job reads the annotations when it starts, so however many events led to it, it learns from the newest state.
    """
    redis = context.redis
    _let_settle(redis, project_key)
    with project_lock_if_free(
        redis, context.settings.data_dir, project_key, "train", lambda: enqueue(redis, "train", project_key)
    ) as ours:
        if not ours:
            known = registry.recall(redis, project_key)
            # A drawn box does not wait for the training that runs.
            if known is not None and "videorectangle" in known.label_config.lower():
                queue_said(open_project(context, project_key))
            return "another training follows the one that is running"
        work = open_project(context, project_key, sure=True)
        queue_said(work)
        # Asked for before the annotations are read: what changes meanwhile is news to the next reconcile.
        state = training_state(work)
        with shown_in_studio(work, lambda: f"training {_coming(work)}") as shown:
            done = _train(shown)
    reconcile_state.put(redis, project_key, "trained", state)
    return done


def _train(work: ProjectWork) -> str:
    redis, key = work.context.redis, work.key
    if not work.config.questions:
        return "nothing is learned from boxes alone"
    if file := custom_file_of(work):
        return take_custom(work, file)
    accounts = Accounts()
    annotated = annotated_tasks(work, held_in=accounts.held)
    if not annotated:
        note_labelled(work, (), ())
        accounts.close(work)
        return "nothing is annotated yet"
    tell_of_checked(work, {each.task.id: min(a.updated_at.timestamp() for a in each.annotations) for each in annotated})
    tell_of_weights(work)
    backbone = work.context.backbone_for(work.settings)
    _tell_of_strays(work, annotated)
    mark = fingerprint(work, annotated, backbone.network)
    models = work.context.models_dir(key)
    newest = newest_learnt(models)
    known = newest is not None and newest.fingerprint == mark
    if newest is not None and known and is_whole(models, newest.name, load_heads):
        accounts.close_again(work, annotated)
        return _go_on_with(work, newest)
    learnt, short, account = _learn_all(work, annotated, accounts)
    if not learnt:
        # Not a failure: the next annotation asks again, and until then the suggestions stay.
        registry.set_problems(redis, key, "labels", short)
        return " ".join(short)
    registry.set_problems(redis, key, "labels", [*_without_example(work, learnt), *short])
    first, *others = learnt
    card = save_version(
        models,
        first.head,
        backbone=first.backbone,
        annotations={str(a.id): a.updated_at.isoformat() for each in annotated for a in each.annotations},
        settings={
            **asdict(work.settings),
            "fingerprint": mark,
            "backbone_trained": backbone.trained,
            "backbone_source": backbone.source,
            "backbone_license": backbone.licence,
        },
        metrics=first.metrics,
        curves=first.curves,
        network=first.network,
        videos=first.videos,
        labelled_frames=first.labelled_frames,
        train_seconds=first.train_seconds,
        taken=work.context.studio.predictions.versions(work.id),
        question=first.question,
        others=others,
        account=account.as_json(),
        answers=first.answers,
        video_marks=_marks(work, annotated),
    )
    frames = sum(each.labelled_frames for each in learnt)
    videos = f"{max(each.videos for each in learnt)} videos"
    # A question about whole videos knows no frames.
    trained = f"trained {card.name} on {f'{frames} frames of {videos}' if frames else videos}"
    return f"{trained}, {_decide(work, card)}"


def _marks(work: ProjectWork, annotated: Sequence[Annotated]) -> list[str]:
    """Of the videos of the main question: what was learnt from has been fetched."""
    contents = (known_content(work.context, work.config.main, each.task) for each in annotated)
    return sorted(video_mark(content) for content in contents if content is not None)


def _coming(work: ProjectWork) -> str:
    """The name of the version that is trained, as far as it can be told before: Cold or Blitz may be decided by the labels."""
    number = next_number(work.context.models_dir(work.key), work.context.studio.predictions.versions(work.id))
    return f"{work.settings.mode}-v{number}" if work.settings.mode in ("cold", "blitz") else f"v{number}"


def _tell_of_strays(work: ProjectWork, annotated: Sequence[Annotated]) -> None:
    """Says which regions are on a control that was renamed or removed: nothing is learnt from them."""
    strays: Counter[str] = sum((Counter(each.strays) for each in annotated), Counter())
    told = [_STRAY.format(number, control) for control, number in sorted(strays.items())]
    registry.set_problems(work.context.redis, work.key, "controls", told)


def _learn_all(
    work: ProjectWork, annotated: Sequence[Annotated], accounts: Accounts
) -> tuple[list[Learnt], list[str], Account]:
    """What can be learnt about each question, the main one first, a sentence about each of which nothing can be yet, and what
    became of all regions."""
    main = work.config.main
    every = [main, *(each for each in work.config.questions if each != main)]
    learnt: list[Learnt] = []
    short: list[tuple[Question, NotEnoughLabels]] = []
    problems = VideoProblems(accounts=accounts)
    for position, question in enumerate(every):
        own = work.on(question).step(position, len(every))
        try:
            learnt.append(learn(own, annotated_for(own, annotated), problems))
        except NotEnoughLabels as error:
            short.append((question, error))
    problems.tell(work)
    account = accounts.close(work)
    return learnt, [_why_not(question, error, account) for question, error in short], account


def _why_not(question: Question, error: NotEnoughLabels, account: Account) -> str:
    where = "" if question.alone else f"{question.from_name}: "
    told = nothing_taught(account, question.from_name) if isinstance(error, NothingLabelled) else None
    return f"{where}{told} {error.remedy}" if told else f"{where}{error}"


def _without_example(work: ProjectWork, learnt: Sequence[Learnt]) -> Iterator[str]:
    """A sentence about each question with labels that nobody has given yet."""
    named = len(work.config.questions) > 1
    for each in learnt:
        labels = each.head.lacking
        where = f" of “{each.question}”" if named else ""
        if len(labels) == 1:
            yield _NO_EXAMPLE.format(f"“{labels[0]}”{where}")
        elif labels:
            yield _NO_EXAMPLES.format(len(labels), where, some(labels))


def _go_on_with(work: ProjectWork, newest: ModelCard) -> str:
    """What is still to be done with a version that was trained on just what is annotated now."""
    redis, key = work.context.redis, work.key
    if not was_decided(work, newest):
        return _decide(work, newest)  # a worker was killed, or Redis lost, before it was
    wanted = registry.wanted_version(redis, key)
    if not newest.told_apart and wanted is None:
        return f"{newest.name} knows these annotations already, and cannot tell the labels apart"
    if wanted is None or is_custom(wanted):
        wanted = newest.name
        registry.want(redis, key, wanted)
    if registry.active_version(redis, key) != wanted:
        enqueue(redis, "rollout", key, wanted)
    return f"{newest.name} knows these annotations already"


def _decide(work: ProjectWork, card: ModelCard) -> str:
    """Has a new version rolled out and measured, or tells the admin why it is kept back."""
    redis, key = work.context.redis, work.key
    shown = roll_out_unless_worse(work, card, registry.active_version(redis, key))
    if shown:
        enqueue(redis, "evaluate", key, card.name)
    # Also of one that is kept back: it may be worse because of wrong labels.
    enqueue(redis, "quality", key)
    note_decided(work, card)
    return f"{card.name} is rolled out" if shown else f"{card.name} is kept back"


def _let_settle(redis: Redis, project_key: str) -> None:
    """Waits for the end of a burst of annotations, which is one training then instead of two."""
    known = registry.recall(redis, project_key)
    pause, most = _BURST_OF_FRAMES if known is not None and known.settings.companion else _BURST
    deadline = time.monotonic() + most
    while time.monotonic() < deadline and registry.seconds_since_annotation(redis, project_key) < pause:
        time.sleep(0.1)


def newest_learnt(models: Path) -> ModelCard | None:
    """The last version that was trained here, as opposed to a researcher's file."""
    return next((card for card in reversed(list_versions(models)) if not is_custom(card.name)), None)

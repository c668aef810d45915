"""Whether a new model version is shown, or kept back because it is worse than the one that annotators are shown now."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ml_backend.cards.measurements import Comparison
from ml_backend.errors import StorageError
from ml_backend.features.backbones import network_of
from ml_backend.jobs.embeddings import sees_as_then
from ml_backend.jobs.indistinct_labels import left_open, tell_of_untold
from ml_backend.jobs.project import ProjectWork
from ml_backend.learning.comparison import Asked, HeldAnswers, compared, load_answers
from ml_backend.learning.evaluation import CrossValidation
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import Values, decided
from ml_backend.learning.versions import ModelCard, is_custom, load_card, load_heads, note_decision
from ml_backend.learning.whole_video import LabelledWhole
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue

log = logging.getLogger(__name__)

_BLIND = "cannot predict with the backbone, resolution, and roi that are set now"

Videos = Sequence[LabelledVideo] | Sequence[LabelledWhole]


def against_shown(
    work: ProjectWork,
    new: HeldAnswers | None,
    checked: CrossValidation | None,
    videos: Videos,
    seen_by: str,
) -> Comparison | None:
    """The comparison of `new` answers to the question of `work` with those of the version that is shown; None where there is
    nothing to compare.

    `checked`: how the new ones came about. `videos`: those labelled now, embedded by the network `seen_by`, a digest, or by the
    frozen one where it is empty.
    """
    version = registry.active_version(work.context.redis, work.key)
    if version is None:
        return None
    try:
        whole = load_card(work.context.models_dir(work.key), version)
        card = whole.about(work.question.from_name)
    except StorageError:
        return None  # its files are gone
    if card is None:
        return Comparison(version, False, f"{version} does not answer it")
    old = load_answers(work.context.models_dir(work.key), version, card.question)
    if new is None or checked is None or old is None:
        few = (
            "there are too few videos to measure it"
            if new is None
            else f"{version} was not measured when it was trained"
        )
        return Comparison(version, False, few)
    asked = [
        Asked(video.task, _values(video, new.labels), checked.recording[video.task])
        for video in videos
        if video.task in checked.recording
    ]
    known = {one.recording for one in asked if one.task in old.taught}
    unseen = {one.task for one in asked if one.recording not in known}
    frozen = work.context.backbone_for(work.settings).network
    same = _network(card) == seen_by and (seen_by or network_of(card.backbone) == frozen)
    later = _answers(work, card, [v for v in videos if v.task in unseen]) if same else {}
    found = compared(version, new, old, asked, later)
    if found.worse and not is_custom(version) and not sees_as_then(work, card):
        # Held back for a version that predicts no more, it would leave new videos without predictions.
        found = Comparison(version, False, f"{found.said}, but {version} {_BLIND}")
    return found


def _network(card: ModelCard) -> str:
    return card.network.digest if card.network else ""


def _values(video: LabelledVideo | LabelledWhole, labels: tuple[str, ...]) -> Values:
    if isinstance(video, LabelledWhole):
        return video.values[None]
    return video.labels.select(labels).resized(len(video.features)).values


def _answers(work: ProjectWork, card: ModelCard, videos: Sequence[LabelledVideo | LabelledWhole]) -> dict[int, Values]:
    """What a version says of videos that it has not seen; nothing where it cannot be had of it."""
    if is_custom(card.name) or not videos:
        return {}
    try:
        heads = load_heads(work.context.models_dir(work.key), card.name)
    except StorageError as error:
        log.warning("%s", error)
        return {}
    head = next(head for head, own in heads if own.question == card.question)
    found: dict[int, Values] = {}
    for video in videos:
        p = head.probabilities(video.features)
        found[video.task] = decided(p if isinstance(head, Head) else p[None], head.exclusive)
    return found


_KEPT_BACK = "{} is kept back: {}."
_ROLLED_OUT = "{} is rolled out: {}."
_UNTOLD = "{} is kept back: its labels cannot be told apart yet."
_FIRST = "there is no other version to compare it with"
_REMEDY = " Correct some predictions and submit them, or run `coldblitz models activate`."


def roll_out_unless_worse(work: ProjectWork, card: ModelCard, before: str | None) -> bool:
    """Queues the roll-out of a new version, unless it is worse than the one it was compared with when it was trained, which the
    admin is told. Its card says why, either way.

    `before` None: there is none to hold against it. Nor is one rolled out that cannot tell the labels apart.
    """
    redis, key, models = work.context.redis, work.key, work.context.models_dir(work.key)
    if tell_of_untold(work, card):
        note_decision(models, card.name, _UNTOLD.format(card.name))
        return False
    found = _comparisons(card) if before not in (None, card.name) else {}
    worse = {question: each for question, each in found.items() if each.worse}
    why = "; ".join(
        f"{question}: {each.said}" if card.others else each.said for question, each in (worse or found).items()
    )
    decision = (_KEPT_BACK if worse else _ROLLED_OUT).format(card.name, why or _FIRST)
    note_decision(models, card.name, decision)
    registry.set_problems(redis, key, "model", [decision + _REMEDY] if worse else left_open(card))
    if not worse:
        registry.want(redis, key, card.name)
        enqueue(redis, "rollout", key, card.name)
    return not worse


def was_decided(work: ProjectWork, card: ModelCard) -> bool:
    """Whether this was asked of the version before; not when a worker was killed, or Redis lost, in between."""
    return bool(reconcile_state.get(work.context.redis, work.key, "decided") == card.name)


def note_decided(work: ProjectWork, card: ModelCard) -> None:
    """To be called when all that follows from a decision is queued."""
    reconcile_state.put(work.context.redis, work.key, "decided", card.name)


def _comparisons(card: ModelCard) -> dict[str, Comparison]:
    """What was found about each question of a version that was compared."""
    every = ((own.question, own.metrics.against) for own in card.each())
    return {question: found for question, found in every if found is not None}

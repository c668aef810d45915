"""Whether a new model version is shown, or kept back because it is worse than the one before it."""

from __future__ import annotations

from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.untold import tell_of_untold
from ml_backend.learning.comparison import Comparison
from ml_backend.learning.versions import ModelCard, note_decision
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import enqueue

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
    registry.set_problems(redis, key, "model", [decision + _REMEDY] if worse else [])
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
    every = ((own.question, Comparison.of(own.metrics.get("against"))) for own in card.each())
    return {question: found for question, found in every if found is not None}

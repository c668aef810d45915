"""Whether a new model version is shown, or kept back because it is worse than the one before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_backend.errors import StorageError
from ml_backend.jobs.project_work import ProjectWork
from ml_backend.jobs.untold import tell_of_untold
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.learning.evaluation import is_worse
from ml_backend.learning.versions import ModelCard, load_card
from ml_backend.queueing.queue import request
from ml_backend.records import marks, projects

_KEPT_BACK = "{} is kept back: {} Correct some predictions and submit, or run `coldblitz models activate`."


def roll_out_unless_worse(context: WorkerContext, work: ProjectWork, card: ModelCard, before: str | None) -> bool:
    """Queues the roll-out of a new version, unless it is worse than the version `before` it, which the admin is told.

    `before` None: there is nothing to compare it with. Nor is one rolled out that cannot tell the labels apart.
    """
    redis, key = context.redis, work.key
    if tell_of_untold(context, work, card):
        return False
    worse = _worse(card, context.models_dir(key), before) if before not in (None, card.name) else None
    projects.set_problems(redis, key, "model", [_KEPT_BACK.format(card.name, worse)] if worse else [])
    if not worse:
        projects.want(redis, key, card.name)
        request(redis, "rollout", key, card.name)
    return not worse


def was_decided(context: WorkerContext, work: ProjectWork, card: ModelCard) -> bool:
    """Whether this was asked of the version before; not when a worker was killed, or Redis lost, in between."""
    return bool(marks.get(context.redis, work.key, "decided") == card.name)


def decided(context: WorkerContext, work: ProjectWork, card: ModelCard) -> None:
    """To be called when all that follows from a decision is queued."""
    marks.put(context.redis, work.key, "decided", card.name)


def _worse(card: ModelCard, models: Path, before: str | None) -> str | None:
    """Why a version should not replace the one `before` it: what of its questions it answers worse. None when it may."""
    try:
        old = load_card(models, before) if before is not None else None
    except StorageError:
        return None  # its files are gone: nothing to compare with
    for own in card.each() if old is not None else ():
        was = old.about(own.question) if old is not None else None
        if was is not None and (why := is_worse(_quick(own), _quick(was))):
            return f"{own.question}: {why}" if card.others else why
    return None


def _quick(card: ModelCard) -> dict[str, Any]:
    return dict(card.metrics.get("quick") or {})

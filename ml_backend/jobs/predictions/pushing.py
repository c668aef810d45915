"""Predictions go into Label Studio once: it would keep a second one of the same version beside the first."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioMissing, PredictionRefused
from ml_backend.jobs.identity import note
from ml_backend.jobs.pinning import made_here
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.project_lock import project_lock
from ml_backend.labelstudio.client import Task
from ml_backend.projects import stored_predictions


@dataclass(frozen=True)
class Pushed:
    """`stored`: tasks that have got their prediction. `refused`: those whose prediction Label Studio does not take. Tasks that
    are in neither are gone, or had one already."""

    stored: tuple[int, ...]
    refused: Mapping[int, PredictionRefused] = field(default_factory=dict)


def pushing(work: ProjectWork) -> contextlib.AbstractContextManager[None]:
    """Nobody else pushes a project's predictions meanwhile. To be held for moments only: everything takes longer to make
    than to push. Raises StorageError."""
    return project_lock(work.context.redis, work.context.settings.data_dir, work.key, "push")


def push_lacking(work: ProjectWork, items: Sequence[Mapping[str, Any]]) -> Pushed:
    """Stores those predictions, all of one version, whose tasks are there and have none of it, and keeps them for `/predict`.

    To be called within `pushing`: whether a task lacks its prediction is asked where nobody else can make it.
    """
    if not items:
        return Pushed(())
    lacking = work.context.client.lacking_among(work.id, items[0]["model_version"], [item["task"] for item in items])
    wanted = [item for item in items if item["task"] in lacking]
    refused = work.context.client.push(work.id, wanted)
    stored = [item for item in wanted if item["task"] not in refused]
    for item in stored:
        stored_predictions.save(work.context.settings.data_dir, work.key, item)
    return Pushed(tuple(item["task"] for item in stored), refused)


def push_one(work: ProjectWork, item: Mapping[str, Any]) -> bool:
    """Stores one prediction as `push_lacking` does; whether its task had none of its version.

    Raises Gone when the task was deleted meanwhile, and PredictionRefused.
    """
    task = item["task"]
    pushed = push_lacking(work, [item])
    if task in pushed.stored:
        return True
    work.context.client.task(work.id, task)
    if task in pushed.refused:
        raise pushed.refused[task]
    return False


def renew(work: ProjectWork, task: Task, item: Mapping[str, Any] | None) -> bool:
    """Puts the prediction of a task that shows another video in the place of the old one of its version, so that whoever has it
    open can still submit, and deletes those of our other versions. `item` None: it needs none. Returns whether it has one.

    To be called within `pushing`. Raises as `push_one` does.
    """
    version = item["model_version"] if item is not None else None
    there = False
    for old in work.context.client.predictions(task.id):
        named = str(old.get("model_version"))
        if item is not None and named == version and not there:
            work.context.client.replace_prediction(old["id"], item)
            stored_predictions.save(work.context.settings.data_dir, work.key, item)
            there = True
        elif made_here(work.context, work.key, named):
            with contextlib.suppress(LabelStudioMissing):  # somebody else has deleted it
                work.context.client.delete_prediction(old["id"])
    if item is not None and not there:
        push_one(work, item)
    note(work, task)
    return item is not None

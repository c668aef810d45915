"""Predictions go into Label Studio in the order in which people had best look at them, and once: it would keep a second one of the same
version beside the first."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import LabelStudioMissing, PredictionRefused, StorageError
from ml_backend.jobs.pinning import made_here
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.project_lock import project_lock
from ml_backend.jobs.videos import note
from ml_backend.labelstudio.tasks import Task
from ml_backend.prediction_item import PredictionItem
from ml_backend.projects import stored_predictions
from ml_backend.projects.stored_predictions import PLACED
from ml_backend.queueing.queue import enqueue
from sampling.task_order import least_certain_first, score_among, sketch


class Held:
    """Predictions in a file that has no name, so that a killed worker leaves nothing behind; in memory are sketches only.

    Its methods raise StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks: list[int] = []
        self._certainties: list[float] = []
        self._sketches: list[NDArray[np.float32]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._full(error) from error

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, item: PredictionItem, embedding: NDArray[np.float32]) -> None:
        """`item`: a prediction whose score is the model's certainty. `embedding`: (d,) of what the model is least certain of."""
        try:
            self._file.write(json.dumps(item) + "\n")
        except OSError as error:
            raise self._full(error) from error
        self._tasks.append(int(item["task"]))
        self._certainties.append(float(item["score"]))
        self._sketches.append(sketch(embedding))

    def scored(
        self, data_dir: Path, project: str, version: str, alone: contextlib.AbstractContextManager[None]
    ) -> Iterator[PredictionItem]:
        """The predictions as they were added, each with the score that puts its task into the order of usefulness.

        The order of the `project`'s tasks by this `version` is kept, within `alone`.
        """
        if not self._sketches:
            return
        sketches = np.stack(self._sketches)
        scores = least_certain_first(self._certainties, sketches)
        rows = np.zeros(len(scores), PLACED)
        rows["task"], rows["score"], rows["sketch"] = self._tasks, scores, sketches
        with alone:
            stored_predictions.save_order(data_dir, project, version, rows)
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._full(error) from error
        for line, score in zip(self._file, scores, strict=True):
            item: PredictionItem = json.loads(line)
            yield {**item, "score": round(float(score), 6)}

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            f"Predictions cannot be written to {self._folder} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        )


def among(data_dir: Path, project: str, item: PredictionItem, embedding: NDArray[np.float32]) -> PredictionItem:
    """The prediction of a task that came later, with the score that puts it among those of its version; these stay.

    `item`, `embedding`: as in `Held.add`. Raises StorageError.
    """
    version, row = item["model_version"], np.zeros(1, PLACED)
    row["task"], row["sketch"] = item["task"], sketch(embedding)
    placed = stored_predictions.load_order(data_dir, project, version)
    others = placed[placed["task"] != item["task"]]
    row["score"] = score = score_among(float(item["score"]), row["sketch"][0], others["score"], others["sketch"])
    stored_predictions.save_order(data_dir, project, version, row)
    return {**item, "score": round(score, 6)}


# Nobody keeps a task open for longer than this.


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


def push_lacking(work: ProjectWork, items: Sequence[PredictionItem]) -> Pushed:
    """Stores those predictions, all of one version, whose tasks are there and have none of it, and keeps them for `/predict`.

    To be called within `pushing`: whether a task lacks its prediction is asked where nobody else can make it.
    """
    if not items:
        return Pushed(())
    lacking = work.context.studio.predictions.lacking_among(
        work.id, items[0]["model_version"], [item["task"] for item in items]
    )
    wanted = [item for item in items if item["task"] in lacking]
    refused = work.context.studio.predictions.push(work.id, wanted)
    stored = [item for item in wanted if item["task"] not in refused]
    for item in stored:
        stored_predictions.save(work.context.settings.data_dir, work.key, item)
    return Pushed(tuple(item["task"] for item in stored), refused)


def push_one(work: ProjectWork, item: PredictionItem) -> bool:
    """Stores one prediction as `push_lacking` does; whether its task had none of its version.

    Raises Gone when the task was deleted meanwhile, and PredictionRefused.
    """
    task = item["task"]
    pushed = push_lacking(work, [item])
    if task in pushed.stored:
        return True
    work.context.studio.tasks.get(work.id, task)
    if task in pushed.refused:
        raise pushed.refused[task]
    return False


def renew(
    work: ProjectWork, task: Task, item: PredictionItem | None, content: int = 0, *, replaced: bool = False
) -> bool:
    """Puts the prediction of a task that shows another video in the place of the old one of its version, so that whoever has it
    open can still submit, and deletes those of our other versions. `item` None: it needs none. `content`: as for `note`.
    `replaced`: it is another file at the same address. Returns whether it has one.

    To be called within `pushing`. Raises as `push_one` does.
    """
    version = item["model_version"] if item is not None else None
    there = False
    for old in work.context.studio.predictions.of(task.id):
        named = str(old.get("model_version"))
        if item is not None and named == version and not there:
            work.context.studio.predictions.replace(old["id"], item)
            stored_predictions.save(work.context.settings.data_dir, work.key, item)
            there = True
        elif made_here(work.context, work.key, named):
            with contextlib.suppress(LabelStudioMissing):  # somebody else has deleted it
                work.context.studio.predictions.delete(old["id"])
    if item is not None and not there:
        push_one(work, item)
    note(work, task, content, replaced=replaced)
    if replaced:
        # What was learned from its annotations was seen in the file before.
        enqueue(work.context.redis, "train", work.key, again=True)
    return item is not None


log = logging.getLogger(__name__)

# Those that had to stay are looked for again after so long.

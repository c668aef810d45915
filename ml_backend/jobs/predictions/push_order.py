"""Predictions wait until all are made: how soon a task should be looked at depends on what the others show. One that comes
later takes its place among them.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import StorageError
from ml_backend.projects import task_order
from ml_backend.projects.task_order import PLACED
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

    def add(self, item: Mapping[str, Any], embedding: NDArray[np.float32]) -> None:
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
    ) -> Iterator[dict[str, Any]]:
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
            task_order.save(data_dir, project, version, rows)
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._full(error) from error
        for line, score in zip(self._file, scores, strict=True):
            yield {**json.loads(line), "score": round(float(score), 6)}

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            f"Predictions cannot be written to {self._folder} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        )


def among(data_dir: Path, project: str, item: Mapping[str, Any], embedding: NDArray[np.float32]) -> dict[str, Any]:
    """The prediction of a task that came later, with the score that puts it among those of its version; these stay.

    `item`, `embedding`: as in `Held.add`. Raises StorageError.
    """
    version, row = item["model_version"], np.zeros(1, PLACED)
    row["task"], row["sketch"] = item["task"], sketch(embedding)
    placed = task_order.load(data_dir, project, version)
    others = placed[placed["task"] != item["task"]]
    row["score"] = score = score_among(float(item["score"]), row["sketch"][0], others["score"], others["sketch"])
    task_order.save(data_dir, project, version, row)
    return {**item, "score": round(score, 6)}

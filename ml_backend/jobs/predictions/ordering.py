"""Predictions that wait until all are made: how soon a task should be looked at depends on what the others show."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import StorageError
from sampling.order import least_certain_first, sketch


class Held:
    """Predictions in a file that has no name, so that a killed worker leaves nothing behind; in memory are their looks only.

    Its methods raise StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._certainties: list[float] = []
        self._looks: list[NDArray[np.float32]] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._full(error) from error

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, item: Mapping[str, Any], look: NDArray[np.float32]) -> None:
        """`item`: a prediction whose score is the model's certainty. `look`: (d,) what it is least certain of."""
        try:
            self._file.write(json.dumps(item) + "\n")
        except OSError as error:
            raise self._full(error) from error
        self._certainties.append(float(item["score"]))
        self._looks.append(sketch(look))

    def scored(self) -> Iterator[dict[str, Any]]:
        """The predictions as they were added, each with the score that puts its task into the order of usefulness."""
        if not self._looks:
            return
        scores = least_certain_first(self._certainties, np.stack(self._looks))
        try:
            self._file.seek(0)
        except OSError as error:
            raise self._full(error) from error
        for line, score in zip(self._file, scores, strict=True):
            yield {**json.loads(line), "score": round(float(score), 6)}

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            f"Predictions cannot be written to {self._folder} ({error.strerror}).",
            "Make room there or set DATA_DIR elsewhere.",
        )

"""What was answered about a project's videos without having learnt from them: kept with a version, to compare later ones with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml_backend.learning.calibration import Held
from ml_backend.learning.frame_labels import YES
from ml_backend.learning.metrics import Values
from ml_backend.video.timeline import MOST_STUDIO_FRAMES

FILE = "held-out.json"


@dataclass(frozen=True, eq=False)
class HeldAnswers:
    """Answers to one question. `labels`, `exclusive`: what was asked; `whole`: of videos rather than of their frames.

    `by_task`: (n, L) int8, 1 yes or 0 no, of every frame of a video (n = 1 for a whole one), by heads that were fitted without
    it. `taught`: all tasks that the version itself has learnt from.
    """

    labels: tuple[str, ...]
    exclusive: bool
    whole: bool
    taught: frozenset[int]
    by_task: Mapping[int, Values]

    def as_json(self) -> dict[str, Any]:
        return {
            "labels": list(self.labels),
            "exclusive": self.exclusive,
            "whole": self.whole,
            "taught": sorted(self.taught),
            "by_task": {str(task): _runs(answer) for task, answer in self.by_task.items()},
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> HeldAnswers:
        """Raises KeyError, TypeError or ValueError for what is none."""
        labels = tuple(map(str, data["labels"]))
        by_task = {int(task): _frames(runs, len(labels)) for task, runs in data["by_task"].items()}
        return cls(labels, bool(data["exclusive"]), bool(data["whole"]), frozenset(data["taught"]), by_task)


def answers_of(
    held: Iterable[Held], labels: Sequence[str], exclusive: bool, taught: Iterable[int], *, whole: bool = False
) -> HeldAnswers:
    by_task = {one.task: one.answer for one in held if one.answer is not None}
    return HeldAnswers(tuple(labels), exclusive, whole, frozenset(taught), by_task)


def as_file(every: Mapping[str, HeldAnswers]) -> bytes:
    """The file `FILE` of a version, of the answers to each of its questions."""
    return json.dumps({question: one.as_json() for question, one in every.items()}, separators=(",", ":")).encode()


def load_answers(root: Path, version: str, question: str) -> HeldAnswers | None:
    """Of one question of a version; None when none were kept, or they cannot be read."""
    try:
        data = json.loads((root / version / FILE).read_bytes())
        return HeldAnswers.of(data[question])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # not there, or damaged


def _runs(answer: Values) -> list[list[int]]:
    """Runs of equal rows as [frames, labels], the latter a bit for each label, in their order."""
    if not len(answer):
        return []
    firsts = [0, *(np.flatnonzero((answer[1:] != answer[:-1]).any(axis=1)) + 1).tolist()]
    codes = [sum(1 << int(column) for column in np.flatnonzero(row == YES)) for row in answer[firsts]]
    lengths = np.diff([*firsts, len(answer)]).tolist()
    return [[length, code] for length, code in zip(lengths, codes, strict=True)]


def _frames(runs: Sequence[Sequence[int]], labels: int) -> Values:
    if sum(length for length, _ in runs) > MOST_STUDIO_FRAMES:
        raise ValueError("no video has so many frames")
    rows = np.array([[code >> column & 1 for column in range(labels)] for _, code in runs], np.int8)
    return np.repeat(rows.reshape(len(runs), labels), [length for length, _ in runs], axis=0)

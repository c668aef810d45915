"""Whether a model version may replace the one that is shown: both are scored on the same videos, by today's labels, by answers that were
kept with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ml_backend.cards.measurements import Comparison
from ml_backend.learning.calibration import Held
from ml_backend.learning.examples import classes_of
from ml_backend.learning.frame_labels import UNKNOWN, YES
from ml_backend.learning.probabilities import Values
from ml_backend.store.files import current
from ml_backend.video.timeline import MOST_STUDIO_FRAMES
from ml_backend.wording import some

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
        data = json.loads(current(root / version / FILE).read_bytes())
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


# Recordings needed before a difference is worth believing.
_ENOUGH = 3
# Worse is what lies beyond chance, one in forty, and in any case beyond this much of the score.
_CHANCE, _SLACK = 0.025, 0.01

Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Asked:
    """A video and what is known of it now. `values`: (n, L) int8 as in `FrameLabels`. `recording`: the same number for copies of
    one recording, which are no witnesses of their own."""

    task: int
    values: Values
    recording: int


def new_question(new: HeldAnswers, old: HeldAnswers) -> str | None:
    """How the question has changed, in words; None when it is the same one."""
    if new.whole != old.whole:
        return f"it is now about {'whole videos' if new.whole else 'frames'}"
    added = [label for label in new.labels if label not in old.labels]
    removed = [label for label in old.labels if label not in new.labels]
    told = [f"{what}: {some(labels)}" for labels, what in ((added, "added"), (removed, "removed")) if labels]
    if told:
        return f"labels {'; '.join(told)}"
    if new.exclusive != old.exclusive:
        return f"{'only one label' if new.exclusive else 'several labels'} can apply at a time now"
    return None


def compared(
    version: str, new: HeldAnswers, old: HeldAnswers, videos: Sequence[Asked], later: Mapping[int, Values]
) -> Comparison:
    """Compares a new version's answers with the `old` ones of `version`, on the labels of `videos`.

    `later`: what that version says of videos that it has not learnt from and was not measured on. It was shown all its videos then
    and the new one only those of a fold, and people may have worked on what it had predicted; so those videos can excuse the new
    version, and not condemn it: it is worse when it is so on the others, beyond chance, and on all together.
    """
    if (changed := new_question(new, old)) is not None:
        return Comparison(
            version, False, f"the question has changed since {version} ({changed}), so scores cannot be compared"
        )
    now = {video.task: video for video in videos if video.task in new.by_task}
    both = _differences(now, new, {task: _in_order(old.by_task[task], old, new) for task in now if task in old.by_task})
    since = _differences(now, new, {task: _in_order(later[task], old, new) for task in now if task in later})
    if len(both) < _ENOUGH:
        recordings = "1 recording" if len(both) == 1 else f"{len(both)} recordings"
        return Comparison(
            version, False, f"only {recordings} can be scored with both it and {version}, too few to compare"
        )
    found = f"on the {len(both)} recordings that neither version was trained on, {_scored(both, version)}"
    if not _is_worse(both):
        chance = ", which may be chance" if _drop(both) > _SLACK else ""
        return Comparison(version, False, found + chance, len(both))
    if not len(since) or _drop(np.concatenate([both, since])) > _SLACK:
        return Comparison(version, True, f"{found}, more than chance explains ({_noise(both):.3f})", len(both))
    return Comparison(
        version, False, f"{found}, but on the {len(since)} labeled since {_scored(since, version)}", len(both)
    )


def score(answer: Values, values: Values, exclusive: bool) -> float | None:
    """Macro-F1 over the answers that occur, “none of the labels” and “no” among them; None when nothing is known."""
    found = []
    for column in range(1 if exclusive else values.shape[1]):
        truth, said = classes_of(values, exclusive, column), classes_of(answer, exclusive, column)
        said, truth = said[truth >= 0], truth[truth >= 0]
        for each in np.unique(truth):
            hits = int(((said == each) & (truth == each)).sum())
            found.append(2 * hits / (int((said == each).sum()) + int((truth == each).sum())))
    return float(np.mean(found)) if found else None


def _differences(now: Mapping[int, Asked], new: HeldAnswers, old: Mapping[int, Values]) -> Scores:
    """(r, 2) the score of the older and of the new version in each recording."""
    by_recording: dict[int, list[tuple[float, float]]] = {}
    for task, before in old.items():
        values, after = now[task].values, new.by_task[task]
        if not len(values) == len(before) == len(after) or not (values != UNKNOWN).any():
            continue  # another file than then
        was, is_ = score(before, values, new.exclusive), score(after, values, new.exclusive)
        if was is not None and is_ is not None:
            by_recording.setdefault(now[task].recording, []).append((was, is_))
    return np.array([np.mean(pairs, axis=0) for pairs in by_recording.values()], np.float64).reshape(-1, 2)


def _in_order(answer: Values, old: HeldAnswers, new: HeldAnswers) -> Values:
    return answer[:, [old.labels.index(label) for label in new.labels]]


def _noise(pairs: Scores) -> float:
    """By how much the means would differ by chance (Student's paired test)."""
    error = float(np.std(pairs[:, 0] - pairs[:, 1], ddof=1) / np.sqrt(len(pairs)))
    return float(student.ppf(1 - _CHANCE, len(pairs) - 1)) * error


def _is_worse(pairs: Scores) -> bool:
    return _drop(pairs) > max(_noise(pairs), _SLACK)


def _drop(pairs: Scores) -> float:
    return float((pairs[:, 0] - pairs[:, 1]).mean())


def _scored(pairs: Scores, version: str) -> str:
    was, now = pairs.mean(axis=0)
    return f"its macro-F1 is {now:.3f}, and that of {version} is {was:.3f}"

"""Whether a model version may replace the one that is shown: both are scored on the same videos, by today's labels.

Neither has learnt from what it is scored on. Where the older one was measured, its answers from then are held against what is
said now, so that labels which were corrected count for the version that knows them; what was labelled since, it predicts.
Another question, one with a label more, say, begins a new comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ml_backend.learning.examples import classes_of
from ml_backend.learning.frame_labels import UNKNOWN
from ml_backend.learning.heldout import HeldAnswers
from ml_backend.learning.metrics import Values
from ml_backend.wording import some

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


@dataclass(frozen=True)
class Comparison:
    """With which `version`, whether the new one is `worse`, and `said`: what was found, to follow a colon in a sentence."""

    version: str
    worse: bool
    said: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Comparison | None:
        try:
            return cls(**data) if data else None
        except TypeError:
            return None  # one from another version of this program


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
        return Comparison(version, False, found + (", which may be chance" if _drop(both) > _SLACK else ""))
    if not len(since) or _drop(np.concatenate([both, since])) > _SLACK:
        return Comparison(version, True, f"{found}, more than chance explains ({_noise(both):.3f})")
    return Comparison(version, False, f"{found}, but on the {len(since)} labeled since {_scored(since, version)}")


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

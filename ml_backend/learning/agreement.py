"""How far annotators agree, with each other and with a model, beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.frame_labels import UNKNOWN, UNTOUCHED_WEIGHT, FrameLabels
from ml_backend.learning.run_predictions import HeldOut


def cohen_kappa(counts: NDArray[np.int64]) -> float | None:
    """Kappa of (K, K) counts, [one's class][the other's class]; 1 is perfect, 0 is chance, None without any count.

    Cohen, "A coefficient of agreement for nominal scales", 1960. Two that never say but one class agree perfectly.
    """
    total = counts.sum()
    if not total:
        return None
    observed = float(np.trace(counts) / total)
    chance = float((counts.sum(axis=0) / total) @ (counts.sum(axis=1) / total))
    return 1.0 if chance >= 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(said: Sequence[NDArray[np.int8]]) -> float | None:
    """Kappa of (annotators, frames) answers 1, 0 or -1 (none), from one or more tasks.

    Fleiss, "Measuring nominal scale agreement among many raters", 1971, with a varying number of raters.
    """
    agreeing = total = 0.0
    counts = np.zeros(2)
    for answers in said:
        yes, no = (answers == 1).sum(axis=0), (answers == 0).sum(axis=0)
        raters = yes + no
        several = raters >= 2
        yes, no, raters = yes[several], no[several], raters[several]
        agreeing += float(((yes * (yes - 1) + no * (no - 1)) / (raters * (raters - 1))).sum()) if len(raters) else 0.0
        total += len(raters)
        counts += [yes.sum(), no.sum()]
    if not total:
        return None
    chance = float(((counts / counts.sum()) ** 2).sum())
    observed = agreeing / total
    return 1.0 if chance >= 1 else (observed - chance) / (1 - chance)


@dataclass(frozen=True)
class Agreement:
    """`labels`: Fleiss' kappa per label over the frames that two or more annotators labelled, None where there are none.

    `annotators`: Cohen's kappa of each annotator against the majority of the others. 1 is perfect, 0 is chance.
    `frames`: how many frames two or more annotators labelled.
    """

    labels: Mapping[str, float | None]
    annotators: Mapping[int, float | None]
    frames: int


def agreement(tasks: Sequence[Mapping[int, FrameLabels]], labels: Sequence[str]) -> Agreement:
    """How far annotators agree, frame by frame; `tasks` hold each annotator's own frame labels of a task.

    What a model drew and an annotator left as it was is nobody's answer: two blind submits would agree on everything.
    """
    names = tuple(labels)
    stacked = []
    for task in tasks:
        if len(task) > 1:
            said = [np.where(_own(one)[:, None], one.select(names).values, UNKNOWN) for one in task.values()]
            stacked.append((tuple(task), np.stack(said).astype(np.int8)))
    per_label = {label: fleiss_kappa([said[:, :, at] for _, said in stacked]) for at, label in enumerate(names)}
    everyone = sorted({author for authors, _ in stacked for author in authors})
    shared = sum(int(((said != UNKNOWN).any(axis=2).sum(axis=0) > 1).sum()) for _, said in stacked)
    return Agreement(per_label, {author: _against_others(author, stacked) for author in everyone}, shared)


def agreement_with_model(
    found: Sequence[HeldOut], tasks: Mapping[int, Mapping[int, FrameLabels]], labels: Sequence[str]
) -> dict[int, float | None]:
    """Cohen's kappa of each annotator with predictions held out; `tasks` hold each annotator's own frame labels by task.

    None where nothing can be compared. Who labels alone teaches the model their own mistakes, which then agrees with them.
    """
    names = tuple(labels)
    counts: dict[int, NDArray[np.int64]] = {}
    for one in found:
        for author, theirs in tasks.get(one.video.task, {}).items():
            said = theirs.select(names).resized(len(one.judged))
            both = (said.values != UNKNOWN) & (one.judged & _own(said))[:, None]
            pairs = 2 * said.values[both].astype(np.int64) + one.answer[both]
            counted = np.bincount(pairs, minlength=4).reshape(2, 2)
            counts[author] = counts[author] + counted if author in counts else counted
    return {author: cohen_kappa(counts[author]) for author in sorted(counts)}


def _own(labels: FrameLabels) -> NDArray[np.bool_]:
    """(n,) frames that the annotator looked at."""
    return np.asarray(labels.weight > UNTOUCHED_WEIGHT)


def _against_others(author: int, tasks: Sequence[tuple[tuple[int, ...], NDArray[np.int8]]]) -> float | None:
    mine, theirs = [], []
    for authors, said in tasks:
        if author not in authors:
            continue
        at = authors.index(author)
        others = np.delete(said, at, axis=0)
        votes = (others == 1).sum(axis=0) - (others == 0).sum(axis=0)
        both = (said[at] != UNKNOWN) & (votes != 0)
        mine.append(said[at][both])
        theirs.append((votes > 0).astype(np.int8)[both])
    a, b = (np.concatenate(side) if side else np.empty(0, np.int8) for side in (mine, theirs))
    return cohen_kappa(np.bincount(2 * a + b, minlength=4).reshape(2, 2))

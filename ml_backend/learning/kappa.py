"""Kappa: how far answers agree beyond chance, Cohen's of two, Fleiss' of any number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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

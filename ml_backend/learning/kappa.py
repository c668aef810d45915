"""Cohen's kappa: how far two answers agree beyond chance."""

from __future__ import annotations

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

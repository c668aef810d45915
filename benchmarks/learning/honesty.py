"""Whether the models know when they are wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ml_backend.learning.metrics import calibration_error, confidence


@dataclass
class Honesty:
    """Scored frames of all runs, kept by track, number of labels and seed."""

    runs: dict[tuple[str, int, int], list[tuple[NDArray[np.float32], NDArray[np.int8]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(
        self,
        track: str,
        count: int,
        seed: int,
        probabilities: NDArray[np.float32],
        truth: NDArray[np.intp],
        scored: NDArray[np.bool_],
    ) -> None:
        values = np.eye(probabilities.shape[1], dtype=np.int8)[truth[scored]]
        self.runs[track, count, seed].append((probabilities[scored], values))

    def report(self) -> dict[str, Any]:
        """Calibration error per number of labels; at k=10, errors among the least confident tenth, and their AUROC."""
        errors: dict[int, list[float]] = defaultdict(list)
        caught, ranked = [], []
        for (_, count, _), parts in self.runs.items():
            p, values = (np.concatenate(side) for side in zip(*parts, strict=True))
            error = calibration_error(p, values, True)
            if error is not None:
                errors[count].append(error)
            sure, right = confidence(p, values, True)
            if count == 10 and 0 < right.sum() < len(right):
                least = np.argsort(sure, kind="stable")[: -(-len(sure) // 10)]
                caught.append(float((~right[least]).sum() / (~right).sum()))
                ranks = rankdata(-sure)
                wrong = int((~right).sum())
                ranked.append(float((ranks[~right].sum() - wrong * (wrong + 1) / 2) / (wrong * (len(right) - wrong))))
        return {
            "ece": {f"cold_k{count}": float(np.mean(found)) for count, found in sorted(errors.items())},
            "errors_in_least_confident_10pct": float(np.mean(caught)) if caught else None,
            "error_auroc": float(np.mean(ranked)) if ranked else None,
        }

"""Softmax regression, and the span of a few rows of many features in which it is solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

Floats = NDArray[np.float32]

# The log-probability of a class that no example has.
NEVER = -50.0


class Steps(NamedTuple):
    """When a fit ends: after so many steps at most, or where the loss falls by no more than this share of itself."""

    most: int = 200
    precision: float = 1e-6


EXACT = Steps()
# To compare, or to see what a fit would have said, so many steps are enough.
ROUGH = Steps(60, 1e-4)


@dataclass(frozen=True, eq=False)
class Linear:
    """`weights` (d, K) and `bias` (K,), float32: log-probabilities are the log-softmax of rows @ weights + bias."""

    weights: Floats
    bias: Floats

    def log_probabilities(self, rows: Floats) -> Floats:
        """(n, d) rows to (n, K) log-probabilities."""
        return np.asarray(log_softmax(rows @ self.weights + self.bias, axis=1), np.float32)


def span(rows: Floats, most: int = 256) -> Floats:
    """An orthonormal basis (d, r) of what `rows` (k, d) span.

    A penalised linear model has its optimum there (representer theorem), so fitting rows @ basis and carrying the
    weights back loses nothing for k <= `most`. For more rows the basis holds their `most` strongest directions, found
    by random projection (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011).
    """
    if len(rows) <= most:
        values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
        kept = values > max(values[-1], 1e-12) * 1e-6
        return np.asarray(rows.T @ (vectors[:, kept] / np.sqrt(values[kept])), np.float32)
    probe = np.random.default_rng(0).standard_normal((rows.shape[1], most + 20)).astype(np.float32)
    for _ in range(2):
        probe = np.linalg.qr(rows.T @ (rows @ probe))[0]
    _, _, directions = np.linalg.svd(rows @ probe, full_matrices=False)
    return np.asarray((probe @ directions.T)[:, :most], np.float32)


def fit_softmax(
    rows: Floats,
    classes: NDArray[np.intp],
    count: int,
    weight: Floats | None = None,
    inverse_penalty: float = 100.0,
    steps: Steps = EXACT,
) -> Linear:
    """Class-balanced L2-penalised softmax regression.

    `rows` (k, d), best of unit norm; `classes` (k,) in 0..count-1, a class without a row gets no probability;
    `weight` (k,) trust per row; `inverse_penalty` is what scikit-learn calls C.
    """
    trust = np.ones(len(rows)) if weight is None else weight.astype(np.float64)
    seen = np.unique(classes)
    per_class = np.bincount(classes, weights=trust, minlength=count)
    share = trust * (len(rows) / (len(seen) * per_class[classes]))
    columns = np.searchsorted(seen, classes)
    targets = np.eye(len(seen), dtype=np.float32)[columns]
    pull = (inverse_penalty * share).astype(np.float32)
    width, every = rows.shape[1], np.arange(len(rows))

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        matrix, bias = flat[: width * len(seen)].reshape(width, len(seen)), flat[width * len(seen) :]
        scores = rows @ matrix.astype(np.float32) + bias.astype(np.float32)
        scores -= scores.max(axis=1, keepdims=True)
        raised = np.exp(scores)
        total = raised.sum(axis=1)
        loss = float(pull @ (np.log(total) - scores[every, columns])) + 0.5 * float((matrix**2).sum())
        residual = (raised / total[:, None] - targets) * pull[:, None]
        return loss, np.concatenate([(rows.T @ residual + matrix).ravel(), residual.sum(axis=0)])

    start = np.zeros((width + 1) * len(seen))
    options = {"maxiter": steps.most, "ftol": steps.precision, "gtol": 1e-4}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    weights = np.zeros((width, count), np.float32)
    bias = np.full(count, NEVER, np.float32)
    weights[:, seen] = found[: width * len(seen)].reshape(width, len(seen))
    bias[seen] = found[width * len(seen) :]
    return Linear(weights, bias)

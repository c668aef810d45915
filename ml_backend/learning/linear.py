"""Softmax regression for few rows of many features, solved in the span of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Linear:
    """`weights` (d, K) and `bias` (K,), float32: log-probabilities are the log-softmax of rows @ weights + bias."""

    weights: Floats
    bias: Floats

    def log_probabilities(self, rows: Floats) -> Floats:
        """(n, d) rows to (n, K) log-probabilities."""
        return np.asarray(log_softmax(rows @ self.weights + self.bias, axis=1), np.float32)


def fit_softmax(
    rows: Floats, classes: NDArray[np.intp], count: int, weight: Floats | None = None, inverse_penalty: float = 100.0
) -> Linear:
    """Class-balanced L2-penalised softmax regression.

    `rows` (k, d), best of unit norm; `classes` (k,) in 0..count-1, a class without a row gets no probability;
    `weight` (k,) trust per row; `inverse_penalty` is what scikit-learn calls C. The optimum lies in the span of the
    rows (representer theorem), so with k < d the problem is solved in k dimensions and carried back, exactly.
    """
    trust = np.ones(len(rows)) if weight is None else weight.astype(np.float64)
    seen = np.unique(classes)
    per_class = np.bincount(classes, weights=trust, minlength=count)
    share = trust * (trust.sum() / (len(seen) * per_class[classes]))
    basis, reduced = _span(rows.astype(np.float32))
    columns = np.searchsorted(seen, classes)
    targets = np.eye(len(seen))[columns]
    width = reduced.shape[1]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        matrix, bias = flat[: width * len(seen)].reshape(width, -1), flat[width * len(seen) :]
        logs = log_softmax(reduced @ matrix + bias, axis=1)
        loss = -inverse_penalty * float(share @ logs[np.arange(len(logs)), columns]) + 0.5 * float((matrix**2).sum())
        residual = inverse_penalty * share[:, None] * (np.exp(logs) - targets)
        return loss, np.concatenate([(reduced.T @ residual + matrix).ravel(), residual.sum(axis=0)])

    start = np.zeros((width + 1) * len(seen))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "maxcor": 20}).x
    weights = np.zeros((rows.shape[1], count), np.float32)
    bias = np.full(count, -50.0, np.float32)
    solved = found[: width * len(seen)].reshape(width, -1)
    weights[:, seen] = solved if basis is None else basis @ solved
    bias[seen] = found[width * len(seen) :]
    return Linear(weights, bias)


def _span(rows: Floats) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """An orthonormal basis (d, r) of the rows' span and the rows in it (k, r); no basis when that saves nothing."""
    if len(rows) >= rows.shape[1]:
        return None, rows.astype(np.float64)
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    kept = values > values[-1] * 1e-6
    scale = np.sqrt(values[kept])
    reduced = vectors[:, kept] * scale
    return np.asarray(rows.T @ (vectors[:, kept] / scale), np.float64), np.asarray(reduced, np.float64)

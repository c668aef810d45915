"""Softmax regression, and the span of a few rows of many features in which it is solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.optimize import minimize
from scipy.special import log_softmax

Floats = NDArray[np.float32]

# The log-probability of a class that no example has.
NEVER = -50.0
# Up to so many more directions than are wanted are found faster than those that are wanted alone.
_AT_ONCE = 144


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
    """An orthonormal basis (d, r) of what `rows` (k, d) span, their strongest directions first.

    A penalised linear model has its optimum there (representer theorem), so fitting rows @ basis and carrying the
    weights back loses nothing for k <= `most`. For more rows the basis holds their `most` strongest directions: the
    eigenvectors of rows times rows, whichever way round has fewer numbers, and of a large one those that are found by random
    projection (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011).
    """
    count, width = rows.shape
    if not count:
        return np.zeros((width, 0), np.float32)
    products = rows @ rows.T if count <= width else rows.T @ rows
    values, vectors = _strongest(products, most)
    kept = values > max(values[0], 1e-12) * 1e-6
    values, vectors = values[kept], vectors[:, kept]
    return np.asarray(rows.T @ (vectors / np.sqrt(values)) if count <= width else vectors, np.float32)


def _strongest(products: Floats, most: int) -> tuple[Floats, Floats]:
    """The `most` largest eigenvalues (r,) of a symmetric (s, s) without negative ones, largest first, and their vectors (s, r)."""
    if len(products) <= most + _AT_ONCE:
        values, vectors = np.linalg.eigh(products)
        return values[::-1][:most], vectors[:, ::-1][:, :most]
    probe = np.random.default_rng(0).standard_normal((len(products), most + 20), np.float32)
    for _ in range(2):
        # numpy's own decomposes in double precision only, which takes twice as long.
        probe = qr(products @ probe, mode="economic", overwrite_a=True, check_finite=False)[0]
    values, turned = np.linalg.eigh(probe.T @ (products @ probe))
    return values[::-1][:most], probe @ turned[:, ::-1][:, :most]


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
    trust = np.ones(len(rows), np.float32) if weight is None else weight
    return fit_each(rows, classes, count, np.ones((1, len(rows)), bool), trust, inverse_penalty, steps)[0]


def fit_each(
    rows: Floats,
    classes: NDArray[np.intp],
    count: int,
    kept: NDArray[np.bool_],
    weight: Floats,
    inverse_penalty: float,
    steps: Steps,
) -> list[Linear]:
    """As `fit_softmax`, for each of `kept` (m, k), the rows that it is fitted to, none of them empty.

    All are looked for in the same steps, which is as fast as a few of them alone: problems that differ in some rows take the same
    way to their ends.
    """
    several = [_pull(classes, own, weight, count) for own in kept]
    pull = np.stack([np.float32(inverse_penalty) * own for own, _ in several], axis=1)
    shown = np.stack([seen for _, seen in several])
    seen = np.flatnonzero(shown.any(axis=0))
    columns = np.searchsorted(seen, classes)
    fit = _two if len(seen) == 2 and shown[:, seen].all() else _several
    found, biases = fit(rows, columns, shown[:, seen], pull, steps)
    fitted = []
    for at, own in enumerate(shown[:, seen]):
        weights, bias = np.zeros((rows.shape[1], count), np.float32), np.full(count, NEVER, np.float32)
        weights[:, seen[own]], bias[seen[own]] = found[:, at, own], biases[at, own]
        fitted.append(Linear(weights, bias))
    return fitted


def _pull(
    classes: NDArray[np.intp], kept: NDArray[np.bool_], weight: Floats, count: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """How far the loss of each row counts (k,), every class as much as another, and which classes there are (count,)."""
    trust = weight.astype(np.float64) * kept
    there = np.bincount(classes[kept], minlength=count) > 0
    per_class = np.maximum(np.bincount(classes, weights=trust, minlength=count), 1e-30)
    return (trust * (kept.sum() / (there.sum() * per_class[classes]))).astype(np.float32), there


def _several(
    rows: Floats, columns: NDArray[np.intp], shown: NDArray[np.bool_], pull: Floats, steps: Steps
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (d, m, K) and biases (m, K) for `columns` (k,) in 0..K-1, of which m problems have those `shown` (m, K); the loss of
    each row counts `pull` (k, m)."""
    width, (problems, count) = rows.shape[1], shown.shape
    truth = np.arange(len(rows)), slice(None), columns
    never = np.where(shown, 0, NEVER).astype(np.float32)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        whole = flat.astype(np.float32).reshape(width + 1, problems * count)
        scores = (rows @ whole[:-1]).reshape(-1, problems, count) + (whole[-1].reshape(problems, count) + never)
        scores -= scores.max(axis=2, keepdims=True)
        raised = np.exp(scores)
        total = raised.sum(axis=2)
        weights = flat[: -problems * count]
        loss = float((pull * (np.log(total) - scores[truth])).sum()) + 0.5 * float(weights @ weights)
        residual = raised * (pull / total)[:, :, None]
        residual[truth] -= pull
        residual = residual.reshape(len(rows), -1)
        slope = np.empty_like(flat)
        slope[: -problems * count] = (rows.T @ residual).ravel() + weights
        slope[-problems * count :] = residual.sum(axis=0)
        return loss, slope

    found = _least(objective, (width + 1) * problems * count, steps).reshape(width + 1, problems, count)
    return found[:-1], found[-1]


def _two(
    rows: Floats, columns: NDArray[np.intp], shown: NDArray[np.bool_], pull: Floats, steps: Steps
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_several`, of two classes: what draws to one draws from the other as much, so half of the numbers say all."""
    way = np.where(columns == 1, 1, -1).astype(np.float32)[:, None]
    # The weights of both have together the length of what is looked for, so that it is penalised as these are.
    length = np.float32(np.sqrt(2))
    width, problems = rows.shape[1], len(shown)
    signed = rows * (length * way)
    sides = length * way[:, 0]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        half = flat.astype(np.float32).reshape(width + 1, problems)
        ahead = signed @ half[:-1]
        ahead += sides[:, None] * half[-1]
        small = np.exp(-np.abs(ahead))
        weights = flat[:-problems]
        losses = np.log1p(small) - np.minimum(ahead, 0)
        loss = float(np.vdot(pull, losses)) + 0.5 * float(weights @ weights)
        residual = pull * (np.where(ahead > 0, small, 1) / (1 + small))
        slope = np.empty_like(flat)
        slope[:-problems] = weights - (signed.T @ residual).ravel()
        slope[-problems:] = -(sides @ residual)
        return loss, slope

    found = _least(objective, (width + 1) * problems, steps).reshape(width + 1, problems, 1) / np.sqrt(2)
    both = np.concatenate([-found, found], axis=2)
    return both[:-1], both[-1]


def _least(
    objective: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]], count: int, steps: Steps
) -> NDArray[np.float64]:
    """Where `objective`, which gives its slope as well, is least, from zeros (count,) on."""
    options = {"maxiter": steps.most, "ftol": steps.precision, "gtol": 1e-4}
    found = minimize(objective, np.zeros(count), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, np.float64)

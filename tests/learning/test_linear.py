"""Softmax regression in the span of its rows, held against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ml_backend.learning.linear import NEVER, fit_softmax, span


def rows(count: int, width: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize(("count", "width", "classes"), [(10, 200, 2), (60, 30, 3), (40, 300, 4), (900, 20, 3)])
def test_probabilities_are_those_of_the_balanced_regression(count: int, width: int, classes: int) -> None:
    x = rows(count, width)
    y = np.random.default_rng(1).integers(0, classes, count)
    basis = span(x)
    ours = np.exp(fit_softmax(x @ basis, y, classes, inverse_penalty=100).log_probabilities(x @ basis))
    # scikit-learn has one set of weights for two classes, which halves the penalty.
    c = 200 if classes == 2 else 100
    theirs = LogisticRegression(C=c, class_weight="balanced", max_iter=5000, tol=1e-8).fit(x, y).predict_proba(x)
    assert ours == pytest.approx(theirs, abs=0.01)


def test_the_span_of_few_rows_keeps_them_exactly() -> None:
    x = rows(12, 500)
    basis = span(x)
    assert basis.shape == (500, 12)
    assert (x @ basis) @ basis.T == pytest.approx(x, abs=1e-4)


def test_many_rows_are_reduced_to_their_strongest_directions() -> None:
    rng = np.random.default_rng(0)
    low = (rng.normal(size=(600, 5)) @ rng.normal(size=(5, 80))).astype(np.float32)
    basis = span(low, most=20)
    assert basis.shape == (80, 20)
    assert (low @ basis) @ basis.T == pytest.approx(low, abs=1e-2)


def test_a_class_without_rows_gets_no_probability() -> None:
    x = rows(10, 6)
    fitted = fit_softmax(x, np.arange(10) % 2, 3)
    assert fitted.bias[2] == NEVER
    assert np.exp(fitted.log_probabilities(x))[:, 2].max() < 1e-9


def test_rows_that_count_more_pull_more() -> None:
    x = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    classes = np.array([0, 1, 0, 1])
    even = fit_softmax(x, classes, 2)
    assert np.exp(even.log_probabilities(x))[0, 0] == pytest.approx(0.5, abs=1e-3)
    heavy = fit_softmax(x, classes, 2, np.array([10, 1, 1, 1], np.float32))
    assert np.exp(heavy.log_probabilities(x))[0, 0] > 0.6


def test_rows_that_show_nothing_leave_every_class_as_likely() -> None:
    x = np.zeros((3, 6), np.float32)
    basis = span(x)
    assert basis.shape == (6, 0)
    fitted = fit_softmax(x @ basis, np.array([0, 1, 1]), 3)
    assert fitted.weights.shape == (0, 3)
    assert np.exp(fitted.log_probabilities(x @ basis)) == pytest.approx(np.array([[0.5, 0.5, 0]] * 3), abs=1e-6)

"""Softmax regression in the span of its rows, held against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ml_backend.learning.linear import EXACT, NEVER, fit_each, fit_softmax, span


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


@pytest.mark.parametrize(("count", "width"), [(600, 80), (600, 900), (900, 600)])
def test_many_rows_are_reduced_to_their_strongest_directions(count: int, width: int) -> None:
    rng = np.random.default_rng(0)
    strengths = np.geomspace(1, 0.01, 60)
    x = ((rng.normal(size=(count, 60)) * strengths) @ rng.normal(size=(60, width))).astype(np.float32)
    basis = span(x, most=20)
    assert basis.shape == (width, 20)
    assert basis.T @ basis == pytest.approx(np.eye(20), abs=1e-3)
    _, _, best = np.linalg.svd(x, full_matrices=False)
    kept, could_be = (float((np.abs(x @ each) ** 2).sum()) for each in (basis, best[:20].T))
    assert kept > 0.999 * could_be
    each = (np.abs(x @ basis) ** 2).sum(axis=0)
    assert (np.diff(each) < 1e-3 * each[0]).all()  # the strongest first


def test_no_rows_span_nothing() -> None:
    assert span(np.zeros((0, 7), np.float32)).shape == (7, 0)


def test_directions_in_which_nothing_lies_are_left_out() -> None:
    rng = np.random.default_rng(0)
    low = (rng.normal(size=(600, 5)) @ rng.normal(size=(5, 80))).astype(np.float32)
    basis = span(low, most=20)
    assert basis.shape == (80, 5)
    assert (low @ basis) @ basis.T == pytest.approx(low, abs=1e-2)


@pytest.mark.parametrize("classes", [2, 3])
def test_fits_that_are_made_at_once_are_those_of_each_alone(classes: int) -> None:
    x = rows(120, 20)
    y = np.random.default_rng(1).integers(0, classes, 120)
    kept = np.arange(120) % 4 != np.arange(4)[:, None]
    # The last does not see one of the classes.
    kept[3] &= y != 0
    weight = np.random.default_rng(2).uniform(0.5, 2, 120).astype(np.float32)
    for own, ours in zip(kept, fit_each(x, y, classes, kept, weight, 10.0, EXACT), strict=True):
        alone = fit_softmax(x[own], y[own], classes, weight[own], 10.0)
        said, expected = (np.exp(each.log_probabilities(x)) for each in (ours, alone))
        assert said == pytest.approx(expected, abs=0.01)
        assert (ours.bias == NEVER).tolist() == (alone.bias == NEVER).tolist()


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

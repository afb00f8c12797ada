"""Summaries of data that determine little: dependent and constant columns, few rows, perfect fits."""

import numpy as np
import pytest

from bayesglm.inference.sufficient import summarize
from tests.least_squares import check, coefficients, least_squares, rows

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(5, 9), (9, 9), (1, 2), (2, 1)])
def test_fewer_rows_than_coefficients(n, p, intercept):
    X, y = rows(n, p)
    found = summarize(X, y, intercept=intercept)
    rank = min(n - intercept, p)
    assert found.rank == rank
    assert found.factor.shape == (rank, p)
    assert found.null.shape == (p - rank, p)
    np.testing.assert_allclose(found.null @ found.null.T, np.eye(p - rank), atol=1e-12)
    Z = (X - (found.x_mean if intercept else 0.0)) / found.x_unit
    np.testing.assert_allclose(Z @ found.null.T, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.factor.T @ found.factor, Z.T @ Z, atol=1e-11)
    r = (y - (found.y_mean if intercept else 0.0)) / found.y_unit
    np.testing.assert_allclose(found.factor.T @ found.rotated, Z.T @ r, atol=1e-11)
    if n - rank - intercept == 0:
        assert found.rss == 0.0
        assert not found.exact_fit


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_dependent_columns(offset):
    rng = np.random.default_rng(9)
    X = rng.normal(size=(100, 5)) + offset
    X[:, 3] = X[:, 0] + X[:, 1]
    X[:, 4] = 2.5 * X[:, 2]
    y = X[:, 0] + rng.normal(size=100)
    found = summarize(X, y)
    assert found.rank == 3
    Z = (X - found.x_mean) / found.x_unit
    np.testing.assert_allclose(Z @ found.null.T, 0.0, atol=1e-9)
    np.testing.assert_allclose(found.null @ found.null.T, np.eye(2), atol=1e-12)
    # The fit itself is that of the independent columns.
    _, rss = least_squares(X[:, :3], y)
    assert found.rss * found.y_unit**2 == pytest.approx(rss, rel=1e-9)
    assert found.singular.shape == (5,)
    assert np.all(np.diff(found.singular) <= 0)


def test_dummies_with_an_intercept():
    levels = np.arange(200) % 4
    X = np.eye(4)[levels]
    y = np.random.default_rng(10).normal(size=200) + levels
    found = summarize(X, y)
    assert found.rank == 3
    direction = found.null[0] / found.x_unit  # in the data's units: all levels alike
    np.testing.assert_allclose(direction / direction[0], 1.0, rtol=1e-10)
    assert summarize(X, y, intercept=False).rank == 4


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.3, 1e9 + 0.1, 1e-300, 123456.789])
@pytest.mark.parametrize("n", [2, 10, 1_000, 20_000])
def test_constant_columns(value, n):
    """Their mean is rounded, so they seem to vary by the last digit."""
    X, y = rows(n, 2)
    X = np.column_stack([X[:, 0], np.full(n, value)])
    found = summarize(X, y)
    assert found.x_sd[1] == 0.0
    assert found.x_unit[1] == 1.0
    assert found.x_mean[1] == pytest.approx(value, rel=1e-15)
    assert found.rank == 1
    np.testing.assert_allclose(np.abs(found.null), [[0.0, 1.0]], atol=1e-12)
    alone = summarize(X[:, :1], y)
    assert found.rss == pytest.approx(alone.rss, rel=1e-9)
    np.testing.assert_allclose(np.abs(found.rotated), np.abs(alone.rotated), rtol=1e-9)
    weights = np.random.default_rng(0).exponential(1.0, n)
    assert summarize(X, y, weights).x_sd[1] == 0.0


@pytest.mark.parametrize("value", [0.1, 5.0, -1e9])
def test_a_constant_column_is_an_intercept_where_there_is_none(value):
    X, y = rows(30, 2)
    full = summarize(np.column_stack([X, np.full(30, value)]), y, intercept=False)
    assert full.rank == 3
    with_intercept = summarize(X, y)
    np.testing.assert_allclose(coefficients(full)[:2], coefficients(with_intercept), rtol=1e-9)
    level = with_intercept.y_mean - coefficients(with_intercept) @ with_intercept.x_mean
    assert coefficients(full)[2] * value == pytest.approx(level, rel=1e-8)


def test_a_column_of_zeros_without_an_intercept():
    X, y = rows(30, 2)
    found = summarize(np.column_stack([X, np.zeros(30)]), y, intercept=False)
    assert found.rank == 2
    np.testing.assert_allclose(np.abs(found.null), [[0.0, 0.0, 1.0]], atol=1e-12)


def test_a_column_that_varies_little_is_not_constant():
    X, y = rows(100, 1)
    found = check(1e6 + 1e-6 * X, y, rtol=1e-8)
    assert found.x_sd[0] == pytest.approx(1e-6, rel=0.3)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_constant_response(value, intercept):
    X, _ = rows(50, 2)
    found = summarize(X, np.full(50, value), intercept=intercept)
    assert found.y_sd == 0.0
    assert found.y_mean == pytest.approx(value, rel=1e-15)
    if intercept:
        assert found.y_unit == 1.0
        np.testing.assert_allclose(coefficients(found), 0.0, atol=1e-14 * max(abs(value), 1e-10))
    if intercept or value == 0.0:
        assert found.exact_fit
        assert 0.0 < found.rss < 1e-20 * max(value**2, 1.0)


def test_no_columns():
    y = np.array([1.0, 2.0, 6.0])
    for intercept, rss in ((True, 14.0), (False, 41.0)):
        found = summarize(np.zeros((3, 0)), y, intercept=intercept)
        assert found.rank == 0
        assert found.rss * found.y_unit**2 == pytest.approx(rss)
        assert found.null.shape == (0, 0)


def test_one_row():
    found = summarize(np.array([[3.0, 4.0]]), np.array([5.0]))
    assert (found.rank, found.rss, found.y_mean, found.y_sd) == (0, 0.0, 5.0, 0.0)
    np.testing.assert_array_equal(found.x_mean, [3.0, 4.0])


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("n", [5, 100, 30_000])
def test_a_perfect_fit_is_recognised(n, offset):
    X, _ = rows(n, 3)
    X += offset
    y = X @ [1.0, 2.0, -3.0] + 3.0
    found = summarize(X, y)
    assert found.exact_fit
    assert found.rss > 0.0
    assert np.sqrt(found.rss / n) * found.y_unit < 1e-14 * (10.0 + np.abs(offset) * 10)
    np.testing.assert_allclose(coefficients(found), [1.0, 2.0, -3.0], rtol=1e-7 if offset else 1e-12)


@pytest.mark.parametrize("noise", [1e-3, 1e-6, 1e-9, 1e-12])
def test_little_noise_is_not_a_perfect_fit(noise):
    X, y = rows(200, 2, noise=noise)
    found = summarize(X, y)
    assert not found.exact_fit
    assert np.sqrt(found.rss / 197) * found.y_unit == pytest.approx(noise, rel=0.3)


def test_integers_on_a_line():
    """The first example of scikit-learn's LinearRegression."""
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    found = summarize(X, X @ [1, 2] + 3)
    assert found.exact_fit
    np.testing.assert_allclose(coefficients(found), [1.0, 2.0], rtol=1e-14)

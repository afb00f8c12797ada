"""Least squares in extended precision, and what a summary of the data has to agree with."""

import numpy as np
import pytest

from bayesglm.inference.sufficient import summarize


def least_squares(X, y, w=None, intercept=True):
    """Coefficients, weighted residual sum of squares, means and sds in extended precision.

    Householder reflections in long double on standardised columns; enough for condition numbers up to 1e8.
    """
    X, y = np.asarray(X, np.longdouble), np.asarray(y, np.longdouble)
    w = np.ones(len(y), np.longdouble) if w is None else np.asarray(w, np.longdouble)
    total = w.sum()
    mean, y_mean = (w @ X / total, w @ y / total) if intercept else (np.zeros(X.shape[1]), np.longdouble(0))
    D = (X - mean) * np.sqrt(w)[:, np.newaxis]
    r = (y - y_mean) * np.sqrt(w)
    unit = np.sqrt(np.sum(D**2, axis=0))
    D = D / unit
    table = np.column_stack([D, r])
    p = X.shape[1]
    for j in range(p):
        v = table[j:, j].copy()
        v[0] += np.copysign(np.sqrt(v @ v), v[0])
        table[j:] -= np.outer(v, 2 * (v @ table[j:]) / (v @ v))
    coef = np.zeros(p, np.longdouble)
    for j in reversed(range(p)):
        coef[j] = (table[j, p] - table[j, j + 1 : p] @ coef[j + 1 :]) / table[j, j]
    return coef / unit, float(table[p:, p] @ table[p:, p])


def moments(X, w=None):
    X = np.asarray(X, np.longdouble)
    w = np.ones(len(X), np.longdouble) if w is None else np.asarray(w, np.longdouble)
    mean = w @ X / w.sum()
    return mean, np.sqrt(w @ (X - mean) ** 2 / w.sum())


def coefficients(summary):
    """The least-squares coefficients of a summary in the data's units."""
    standardised = np.linalg.lstsq(summary.factor, summary.rotated, rcond=None)[0]
    return standardised * summary.y_unit / summary.x_unit


def check(X, y, w=None, intercept=True, rtol=1e-10, **settings):
    """Compare everything that a summary says with extended precision."""
    found = summarize(X, y, w, intercept=intercept, **settings)
    coef, rss = least_squares(X, y, w, intercept)
    size = np.max(np.abs(coef * found.x_unit))
    np.testing.assert_allclose(
        coefficients(found) * found.x_unit, (coef * found.x_unit).astype(float), rtol=0, atol=rtol * size
    )
    assert found.rss * found.y_unit**2 == pytest.approx(rss, rel=max(rtol, 1e-9))
    mean, sd = moments(X, w)
    np.testing.assert_allclose(found.x_mean, mean.astype(float), rtol=1e-14, atol=1e-14 * float(np.max(sd)))
    np.testing.assert_allclose(found.x_sd, sd.astype(float), rtol=1e-9)
    y_mean, y_sd = moments(np.asarray(y, float), w)
    assert found.y_mean == pytest.approx(float(y_mean), rel=1e-13, abs=1e-14 * float(y_sd))
    assert found.y_sd == pytest.approx(float(y_sd), rel=1e-9)
    assert found.weight == pytest.approx(len(y) if w is None else np.sum(w), rel=1e-13)
    assert found.n_rows == (len(y) if w is None else np.count_nonzero(w))
    assert found.intercept is intercept
    assert not found.exact_fit
    assert found.rank == X.shape[1]
    assert found.null.shape == (0, X.shape[1])
    return found


def rows(n, p, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ rng.normal(size=p) + 0.5 + noise * rng.normal(size=n)


def same_bits(a, b):
    for name in a.__dataclass_fields__:
        one, other = getattr(a, name), getattr(b, name)
        if one is None or other is None:
            assert one is other, name
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)

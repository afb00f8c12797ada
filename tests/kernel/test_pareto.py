"""Pareto-smoothed leave-one-out of single rows against the installed ArviZ, and what it is made of against mpmath."""

import math

import numpy as np
import pytest
from mpmath import mp
from scipy import stats
from scipy.special import logsumexp

from bayesglm.arviz_export import arviz_version
from bayesglm.families import NegativeBinomial
from bayesglm.inference.pareto import tail_length
from bayesglm.kernel.family import softplus
from bayesglm.kernel.pareto import generalised_pareto, leave_one_out

STRICT = arviz_version() < 1


def arvizs(row, efficiency):
    """Return elpd and shape of one row by ArviZ; both NaN where it refuses a tail of equal values."""
    if STRICT:
        import arviz as az

        weights, shape = az.psislw(-row[np.newaxis], efficiency)
        return logsumexp(weights[0] + row), float(shape[0])
    from arviz_stats.base import array_stats

    try:
        elpd, shape, _ = array_stats.loo(row[np.newaxis], r_eff=efficiency)
    except ValueError as error:
        if "All tail values are the same" not in str(error):
            raise
        return np.nan, np.nan
    return float(elpd), float(shape)


def log_densities(n, rng):
    """Rows of n log densities: tails of all kinds, draws that repeat, hardly any differences, and huge ones."""
    rows = [np.full(n, -2.0)]
    for scale in (1e-6, 0.01, 0.3, 1.0, 5.0, 50.0):
        z = scale * rng.normal(size=n)
        rows += [
            z - 5.0,
            -0.5 * (1.5 + z) ** 2,
            -scale * np.abs(rng.standard_cauchy(n)),
            -scale * rng.exponential(size=n),
            z[rng.integers(0, max(2 * n // 3, 8), size=n)],
            np.repeat(z, 5)[:n],
            np.where(rng.random(n) < 0.9, -1.0, z),
        ]
    return np.array(rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [25, 100, 1000, 4001])
@pytest.mark.parametrize("efficiency", [0.3, 1.0, 1.7])
def test_each_row_is_arvizs(n, efficiency):
    rows = log_densities(n, np.random.default_rng(n))
    length = (math.ceil if STRICT else math.floor)(tail_length(n, efficiency))
    elpd, shape, in_sample = leave_one_out(rows, length, STRICT)
    expected = np.array([arvizs(row, efficiency) for row in rows])
    known = ~np.isnan(expected[:, 0])
    assert known.sum() > 30
    np.testing.assert_allclose(elpd[known], expected[known, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shape[known], expected[known, 1], rtol=1e-8, atol=1e-8)
    # A tail of equal weights has no shape, and they are used as they are.
    assert np.all(np.isposinf(shape[~known]))
    raw = logsumexp(np.zeros(n)) - logsumexp(-rows[~known], axis=1)
    np.testing.assert_allclose(elpd[~known], raw, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(in_sample, logsumexp(rows, axis=1) - np.log(n), rtol=1e-13, atol=1e-13)


def test_equal_log_densities_are_left_as_they_are():
    elpd, shape, in_sample = leave_one_out(np.full((1, 400), -2.0), 60, STRICT)
    assert elpd[0] == pytest.approx(-2.0, rel=1e-14)
    assert in_sample[0] == pytest.approx(-2.0, rel=1e-14)
    assert shape[0] == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_a_number(value):
    rows = np.random.default_rng(0).normal(size=(3, 400))
    alone = leave_one_out(rows, 60, STRICT)
    rows[1, 7] = value
    elpd, shape, in_sample = found = leave_one_out(rows, 60, STRICT)
    assert np.isnan(elpd[1])
    assert not shape[1] <= 0.7
    # An impossible observation under one draw leaves the others' mean density.
    assert np.isfinite(in_sample[1]) == (value == -np.inf)
    np.testing.assert_array_equal(found[:, [0, 2]], alone[:, [0, 2]])


def test_lengths_that_leave_nothing_are_refused():
    for length in (0, 20, 21, -1):
        with pytest.raises(ValueError, match="length must lie between 1 and 19"):
            leave_one_out(np.zeros((1, 20)), length, True)
    assert leave_one_out(np.zeros((0, 20)), 4, True).shape == (3, 0)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.3, 0.9])
def test_the_generalised_pareto_fit_finds_shape_and_scale(shape):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        excess = np.sort(stats.genpareto(shape, scale=3.0).rvs(2000, random_state=rng))
        found.append(generalised_pareto(excess))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(40)
    # The prior of the shape, worth ten observations at 0.5, moves it by at most 0.005.
    assert abs(mean[0] - (2000 * shape + 5.0) / 2010) < 4 * error[0] + 2e-3
    assert abs(mean[1] - 3.0) < 4 * error[1] + 0.02
    # Excesses in another unit have another scale.
    twice = generalised_pareto(2.0 * excess)
    assert twice[0] == pytest.approx(found[-1][0], rel=1e-12)
    assert twice[1] == pytest.approx(2.0 * found[-1][1], rel=1e-12)


def test_a_fit_needs_an_excess():
    for excess in ([], [0.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match="at least one number above 0"):
            generalised_pareto(np.array(excess))


def test_softplus_has_its_digits():
    x = np.concatenate([np.linspace(-700, 700, 401), np.random.default_rng(0).normal(size=200)])
    with mp.workdps(40):
        true = np.array([float(mp.log1p(mp.exp(mp.mpf(float(v))))) for v in x])
    np.testing.assert_allclose(softplus(x), true, rtol=5e-16)
    ends = softplus(np.array([[np.inf, -np.inf, np.nan], [0.0, 1e300, -1e300]]))
    np.testing.assert_array_equal(ends, [[np.inf, 0.0, np.nan], [np.log(2.0), 1e300, 0.0]])


def test_probabilities_of_counts_have_their_digits():
    rng = np.random.default_rng(2)
    y = np.concatenate([np.arange(70), [100, 1000, 2.5]]).astype(float)
    phi = np.concatenate([rng.gamma(2.0, size=5), [1e-8, 1e-3, 63.0, 999.0, 1e4]])
    eta = rng.normal(size=(len(y), len(phi)))
    found = NegativeBinomial().logpdf(y[:, np.newaxis], eta, {"phi": phi})
    with mp.workdps(40):
        for i in range(len(y)):
            for j in range(len(phi)):
                k, p, m = mp.mpf(y[i]), mp.mpf(phi[j]), mp.exp(mp.mpf(eta[i, j]))
                true = mp.loggamma(k + p) - mp.loggamma(p) - mp.loggamma(k + 1)
                true += k * mp.log(m / (m + p)) + p * mp.log(p / (m + p))
                assert found[i, j] == pytest.approx(float(true), rel=1e-11, abs=1e-11)

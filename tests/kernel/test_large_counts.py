"""Counts so large that the terms of their log density, of 1e16, cancel but for the last digits: against mpmath."""

import warnings

import numpy as np
import pytest
from mpmath import mp, mpf
from sklearn.exceptions import ConvergenceWarning

from bayesglm import BayesianGLM
from bayesglm.families import NegativeBinomial, Poisson

EPS = float(np.finfo(float).eps)
COUNTS = (0.0, 1.5, 3.0, 999.0, 2e5, 1e9 + 1.0, 1e15, 3e18)
PHIS = (1e-3, 0.3, 2.0, 1e4, 1e9, 1e15, 1e20)
#: Distances of the linear predictor from its best, in standard deviations of log(y), and by themselves.
SCORES, GAPS = (-4.0, -1.0, -1e-3, 0.0, 0.5, 3.0), (-800.0, -40.0, -2.0, 2.0, 40.0)


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(80):
        yield


def negative_binomial(y, eta, phi):
    mean = mp.exp(eta)
    return (
        mp.loggamma(y + phi)
        - mp.loggamma(phi)
        - mp.loggamma(y + 1)
        + phi * mp.log(phi / (phi + mean))
        + (y * mp.log(mean / (phi + mean)) if y else 0)
    )


def poisson(y, eta):
    return y * eta - mp.exp(eta) - mp.loggamma(y + 1)


def predictors(y, width):
    level = np.log(max(y, 0.1))
    return [level + s * width for s in SCORES] + [level + gap for gap in GAPS]


@pytest.mark.parametrize("phi", PHIS)
@pytest.mark.parametrize("y", COUNTS)
def test_negative_binomial(y, phi):
    family, fixed = NegativeBinomial(), NegativeBinomial(phi=phi)
    # A weight makes likelihoods of few counts as large as those of many.
    weight = np.array([max(1.0, 1e12 / max(y, 1.0))])
    for eta in predictors(y, np.sqrt(1.0 / max(y, 1.0) + 1.0 / phi)):
        e, f, k = mpf(eta), mpf(phi), mpf(y)
        true = float(negative_binomial(k, e, f))
        mean = mp.exp(e)
        by_eta = float(f * (k - mean) / (f + mean))
        by_phi = float(mp.digamma(k + f) - mp.digamma(f) + mp.log(f / (f + mean)) + 1 - (k + f) / (f + mean))
        # What a last digit of the predictor is worth, and of a sum of terms that are of the size of the result.
        near = 4.0 * EPS * (abs(by_eta) * (1.0 + abs(eta)) + abs(true)) + 1e-10
        at = ([phi], weight)
        value, score, slopes = family.loglik_and_score(np.array([y]), np.array([eta]), *at)
        assert abs(value / weight[0] - true) < near
        width = min(y, phi) * EPS * (1.0 + abs(eta)) if y else 0.0
        assert abs(score[0] / weight[0] - by_eta) < 1e-13 * abs(by_eta) + 4.0 * width + 1e-250
        # By phi it is a difference as well, of logarithms of the size of the distance.
        gap = abs(eta - np.log(y)) if y else 1.0
        assert abs(slopes[0] / weight[0] - by_phi) < 8.0 * EPS * (1.0 + gap + abs(eta) + 40.0) + 1e-11 * abs(
            by_phi
        )
        value, curvature = fixed.value_and_curvature(np.array([y]), np.array([eta]), (), weight)
        assert abs(value / weight[0] - true) < near
        assert curvature[0] / weight[0] == pytest.approx(
            float((k + f) * f * mean / (f + mean) ** 2), rel=1e-12 * (1.0 + abs(eta)), abs=1e-280
        )
        assert abs(family.logpdf(y, eta, {"phi": phi}) - true) < near + 1e-12 * abs(eta) * (y < 1e8) * y


@pytest.mark.parametrize("y", COUNTS)
def test_poisson(y):
    for eta in predictors(y, 1.0 / np.sqrt(max(y, 1.0))):
        if eta > 600.0:
            continue
        true, slope = float(poisson(mpf(y), mpf(eta))), float(mpf(y) - mp.exp(mpf(eta)))
        near = 4.0 * EPS * (abs(slope) * (1.0 + abs(eta)) + abs(true)) + 1e-10
        assert abs(Poisson().logpdf(y, eta, {}) - true) < near + 1e-12 * abs(eta) * (y < 1e8) * y


@pytest.mark.parametrize("y", [1e9, 1e12, 1e15])
def test_deviances(y):
    for ratio in (1e-3, 1.0 - 3.0 / np.sqrt(y), 1.0 + 1.0 / np.sqrt(y), 7.0):
        mean = ratio * y
        k, m = mpf(y), mpf(mean)
        true = 2 * (k * mp.log(k / m) - k + m)
        assert Poisson().deviance(y, mean, {}) == pytest.approx(float(true), rel=1e-6)
        for phi in (0.3, 1e4, 1e12):
            f = mpf(phi)
            true = 2 * (k * mp.log(k / m) - (k + f) * mp.log((k + f) / (m + f)))
            found = NegativeBinomial().deviance(y, mean, {"phi": phi})
            assert found == pytest.approx(float(true), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("y", [1e6, 1e15])
@pytest.mark.parametrize("phi", [0.3, 2.0, 50.0])
def test_distribution_function_is_that_of_a_gamma_variable(y, phi):
    """The mean of a Poisson count this large is the count: gamma distributed, to a part in its square root."""
    for ratio in (0.05, 0.9, 4.0):
        found = NegativeBinomial().cdf(ratio * y, np.log(y), {"phi": phi})
        assert float(found) == pytest.approx(
            float(mp.gammainc(phi, 0, phi * ratio, regularized=True)), rel=100.0 * (phi + 1.0) / y + 1e-9
        )


@pytest.mark.parametrize(("size", "spread"), [(1e12, 1e6), (1e15, 3e7)])
def test_counts_that_are_not_overdispersed(size, spread):
    """phi is as large as the counts or larger: chains that a wrong gradient leads astray disagree (R-hat 3)."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=12)
    y = np.rint(size * np.exp(0.5 * x) + spread * rng.normal(size=12))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = BayesianGLM(family="negative_binomial", draws=1000, random_state=0).fit(x[:, np.newaxis], y)
    draws = model.posterior_.draws
    assert abs(draws["coef"].mean() - 0.5) < 4.0 * draws["coef"].std()
    # As little as Poisson counts of this size tell, and not much less.
    assert 0.5 < draws["coef"].std() * np.sqrt(y.sum()) * x.std() < 4.0
    assert np.median(draws["phi"]) > 0.1 * size

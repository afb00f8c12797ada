"""Weights that add up to as many as 6e13 observations: every route keeps the digits that tell them apart."""

import mpmath
import numpy as np
import pytest

from bayesglm import R2D2, BayesianLinearRegression, Horseshoe, Laplace
from bayesglm.kernel.gaussian import ScaleTarget, SummaryTarget
from bayesglm.kernel.priors import Flat

ROUTES = {
    "diagonal": {},
    "any prior": {"prior": Laplace(0, 1)},
    "positive": {"positive": True},
    "learned scale": {"prior_scale": "learn"},
    "horseshoe": {"prior": Horseshoe()},
    "R2D2": {"prior": R2D2()},
}


@pytest.mark.parametrize("weight", [1e8, 1e10, 1e12])
@pytest.mark.parametrize("route", ROUTES)
def test_draws_follow_the_likelihood(route, weight):
    """No prior is felt beside so many observations, and what the likelihood says is known in closed form."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = 1.0 + X @ [1.0, 0.5, 0.25] + rng.normal(size=60)
    model = BayesianLinearRegression(draws=1000, random_state=0, progressbar=False, **ROUTES[route])
    posterior = model.fit(X, y, np.full(60, weight)).posterior_
    design = np.column_stack([np.ones(60), X])
    mean, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
    sigma = np.sqrt(rss[0] / 60.0)
    sd = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) / weight) * sigma
    truth, width = np.append(mean, sigma), np.append(sd, sigma / np.sqrt(120.0 * weight))
    draws = posterior.stacked()[:5].reshape(5, -1).T
    effective = posterior.diagnostics.ess_bulk[:5]
    # Rounding of the mean itself is 1e-9 of it and more than a hundredth of a standard deviation at 1e12.
    scores = (draws.mean(axis=0) - truth) / np.hypot(width / np.sqrt(effective), 1e-15)
    assert np.abs(scores).max() < 4.5
    # A standard deviation is known less well than a mean: squares mix more slowly than what is squared.
    assert np.abs(draws.std(axis=0) / width - 1.0).max() < 4.5 / np.sqrt(effective.min())


def test_differences_of_log_densities_keep_their_digits():
    weight = 6e13
    prior = Flat().bind([0])
    scale = ScaleTarget(1, weight, weight, [], [], [], prior)
    plain = SummaryTarget(weight, 0.0, weight, np.zeros((0, 0)), [], False, [], [], None, None, prior)
    with mpmath.workdps(60):
        for x in (-3.0, -1e-2, -3e-7, -1e-9, 2e-8, 4e-7, 0.019, 0.021, 2.0):
            s, w = mpmath.mpf(x), mpmath.mpf(weight)
            value = s - w * s - w * mpmath.expm1(-2 * s) / 2
            slope = 1 - w + w * mpmath.exp(-2 * s)
            values, slopes = scale.log_marginal(np.array([x]))
            assert values[0] == pytest.approx(float(value), rel=4e-15, abs=1e-15)
            assert slopes[0] == pytest.approx(float(slope), rel=4e-15, abs=1e-15)
            value_of_plain, slope_of_plain = plain(np.array([x]))
            assert value_of_plain == pytest.approx(float(value), rel=4e-15, abs=1e-15)
            assert slope_of_plain[0] == pytest.approx(float(slope), rel=4e-15, abs=1e-15)

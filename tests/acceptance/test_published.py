"""Posteriors equal published ones: Stan's, from posteriordb, and what least squares says of flat priors."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import gammaln

from bayesglm import BayesianLinearRegression
from tests.acceptance import published, published_data
from tests.oracles import mcse

EVERY = {case.name: case for case in (*published.SAMPLED, *published.LEAST_SQUARES)}
sampled_case = pytest.mark.parametrize("case", published.SAMPLED, ids=lambda case: case.name)
least_squares_case = pytest.mark.parametrize("case", published.LEAST_SQUARES, ids=lambda case: case.name)
LIMIT = 4.0  # standard errors


@functools.cache
def fitted(name):
    """Return the fit by formula, 4 chains x 4000 draws; nothing may warn."""
    case = EVERY[name]
    settings = getattr(case, "settings", published.FLAT)
    model = BayesianLinearRegression(case.formula, draws=4000, random_state=3, progressbar=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # ours and convergence; not deprecations of others
        return model.fit(case.data())


def exact(name):
    """Return exact means and sds of the intercept (if any), the coefficients and sigma, two arrays (k,)."""
    known = fitted(name).posterior_.exact
    return tuple(
        np.hstack([values[key] for key in ("Intercept", "coef", "sigma") if key in values])
        for values in (known.mean, known.sd)
    )


def draws(name):
    """Return the draws (k, chain, draw) in the same order."""
    found = fitted(name).posterior_.draws
    columns = [found["Intercept"]] if "Intercept" in found else []
    return np.stack([*columns, *np.moveaxis(found["coef"], 2, 0), found["sigma"]])


def off(values, truth, error):
    """Return for each parameter how many standard errors the mean of values (k, chain, draw) is off truth."""
    return (values.mean(axis=(1, 2)) - truth) / np.hypot([mcse(v) for v in values], error)


def figures(case):
    """Return the four columns of `case.figures`."""
    return np.array(case.figures).T


def test_generator_is_that_of_r():
    # set.seed(42); rnorm(5) and set.seed(1); rnorm(3), as R of any version since 1.7 prints them.
    expected = [1.37095845, -0.56469817, 0.36312841, 0.63286260, 0.40426832]
    np.testing.assert_allclose(published_data.r_normal(42, 5), expected, atol=5e-9)
    np.testing.assert_allclose(published_data.r_normal(1, 3), [-0.6264538, 0.1836433, -0.8356286], atol=5e-8)


@sampled_case
def test_exact_means_are_those_of_posteriordb(case):
    mean, error, _, _ = figures(case)
    z = (exact(case.name)[0] - mean) / error
    assert np.abs(z).max() < LIMIT, z.round(1)


@sampled_case
def test_exact_mean_squares_are_those_of_posteriordb(case):
    _, _, square, error = figures(case)
    mean, sd = exact(case.name)
    z = (mean**2 + sd**2 - square) / error
    assert np.abs(z).max() < LIMIT, z.round(1)


@sampled_case
def test_exact_sds_are_those_of_posteriordb(case):
    # The mean of the square says little of the sd where the mean is large. The mean's standard error does: of
    # independent draws it is sd / sqrt(draws). The effective number of draws that it was computed with is 10,000
    # up to 10 %, so the sd is known up to 5 %.
    _, error, _, _ = figures(case)
    ratio = exact(case.name)[1] / (error * np.sqrt(published.REFERENCE_DRAWS))
    np.testing.assert_allclose(ratio, 1, atol=0.06)


@sampled_case
def test_draws_are_those_of_posteriordb(case):
    mean, error, square, square_error = figures(case)
    values = draws(case.name)
    assert values[0].size == 16_000
    assert np.abs(off(values, mean, error)).max() < LIMIT
    assert np.abs(off(values**2, square, square_error)).max() < LIMIT


def sd_factor(dof):
    """Return the posterior sd of a coefficient over its standard error, flat priors on all and on sigma.

    p(b | y) is a multivariate t with dof - 1 degrees of freedom, S the residual squares: its covariance is
    S / (dof - 3) inv(X'X), where squared standard errors are S / dof inv(X'X).
    """
    return np.sqrt(dof / (dof - 3))


def sigma_factor(dof):
    """Return the posterior mean of sigma over the residual sd: S / sigma^2 is chi-square, dof - 1 degrees."""
    return np.sqrt(dof / 2) * np.exp(gammaln((dof - 2) / 2) - gammaln((dof - 1) / 2))


def expectation(case):
    """Return the posterior means that the published fit implies, and how far rounding may put them off."""
    estimates = np.array([float(value) for value in case.estimates])
    allowed = np.array([published.rounding(value) for value in case.estimates]) + case.slack
    factor = sigma_factor(case.dof)
    return (
        np.append(estimates, factor * float(case.residual_sd)),
        np.append(allowed, factor * published.rounding(case.residual_sd)) * (1 + 1e-9),
    )


@least_squares_case
def test_exact_means_round_to_the_published_estimates(case):
    expected, allowed = expectation(case)
    mean, _ = exact(case.name)
    assert len(case.data()) == case.dof + len(case.estimates)
    assert (np.abs(mean - expected) <= allowed).all(), (mean - expected) / allowed


@pytest.mark.parametrize("case", [c for c in published.LEAST_SQUARES if c.errors], ids=lambda case: case.name)
def test_exact_sds_round_to_the_published_standard_errors(case):
    errors = np.array([float(value) for value in case.errors])
    allowed = np.array([published.rounding(value) for value in case.errors]) * (1 + 1e-9)
    found = exact(case.name)[1][:-1] / sd_factor(case.dof)
    assert (np.abs(found - errors) <= allowed).all(), (found - errors) / allowed


@least_squares_case
def test_draws_are_off_the_published_estimates_by_chance_only(case):
    expected, allowed = expectation(case)
    values = draws(case.name)
    distance = np.abs(values.mean(axis=(1, 2)) - expected)
    assert (distance <= LIMIT * np.array([mcse(v) for v in values]) + allowed).all()
    if case.errors:
        errors = np.array([float(value) for value in case.errors])
        squares = (values[:-1] - expected[:-1, None, None]) ** 2
        allowed = 2 * sd_factor(case.dof) ** 2 * errors * [published.rounding(value) for value in case.errors]
        distance = np.abs(squares.mean(axis=(1, 2)) - (sd_factor(case.dof) * errors) ** 2)
        assert (distance <= LIMIT * np.array([mcse(v) for v in squares]) + 1.01 * allowed).all()


@pytest.mark.parametrize("kind", published.STACKLOSS_INTERVALS)
def test_intervals_are_the_published_ones(kind):
    model, dof = fitted("stack loss"), 17
    day = pd.DataFrame([published.STACKLOSS_DAY])
    centre = float(published.STACKLOSS_FIT)
    assert model.predict(day)[0] == pytest.approx(centre, abs=published.rounding(published.STACKLOSS_FIT))
    # R's half width is a quantile of t with 17 degrees of freedom times a scale; ours has 16 (see `sd_factor`), and
    # S / 16 in the scale where R has S / 17.
    factor = stats.t.ppf(0.975, dof - 1) / stats.t.ppf(0.975, dof) * np.sqrt(dof / (dof - 1))
    low, high = model.predict_interval(day, coverage=0.95, kind=kind)[0]
    for found, figure in zip((low, high), published.STACKLOSS_INTERVALS[kind], strict=True):
        expected = centre + factor * (float(figure) - centre)
        assert found == pytest.approx(expected, abs=1.5 * published.rounding(figure))

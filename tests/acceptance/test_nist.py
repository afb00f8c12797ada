"""Posterior means and sds under flat priors equal NIST's certified least-squares fits."""

import warnings

import mpmath as mp
import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy.special import gammaln

from bayesglm import BayesianLinearRegression, Flat
from tests.acceptance import nist

# Digits that coef_ and intercept_ must share with the certified values, data taken as doubles. The noise of
# Wampler3 to 5 grows while the estimates stay 1 (their standard errors reach 2e7): numpy.linalg.lstsq on
# scaled columns gets 9.0, 7.6 and 5.6 digits there.
REQUIRED = {
    # The intercept, -0.26, is a difference of two means of 430: rounding one of them leaves 12.4 digits at the best,
    # and how they round depends on BLAS (12.0 and 13 have been seen).
    "Norris": 11.5,
    "Pontius": 11.0,
    "NoInt1": 13.0,
    "NoInt2": 13.0,
    "Longley": 10.0,
    "Wampler1": 8.0,
    "Wampler2": 8.0,
    "Wampler3": 8.5,
    "Wampler4": 8.0,
    "Wampler5": 6.0,
}
PERFECT = (nist.WAMPLER1, nist.WAMPLER2)
NOISY = tuple(problem for problem in nist.PROBLEMS if problem not in PERFECT and problem is not nist.FILIP)
by_name = pytest.mark.parametrize("problem", NOISY, ids=lambda problem: problem.name)


def fit(X, y, **settings):
    """Fit under flat priors, with few draws: what is tested here does not come from the draws."""
    settings = {"prior": Flat(), "intercept_prior": Flat(), "sigma_prior": Flat(), **settings}
    model = BayesianLinearRegression(draws=100, random_state=1, progressbar=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def estimates(model):
    """Return the posterior means, the intercept first where there is one."""
    return np.concatenate([[model.intercept_] if model.fit_intercept else [], model.coef_])


def digits(values, reference):
    """Return how many decimal digits all of values share with reference, at most 16."""
    with mp.workdps(nist.DIGITS):
        worst = mp.mpf(10) ** -16
        for value, target in zip(values, reference, strict=True):
            target = mp.mpf(target)
            error = abs(mp.mpf(value) - target)
            worst = max(worst, error / abs(target) if target else error)
        return float(-mp.log10(worst))


def residual_squares(problem):
    """Return the residual sum of squares and its degrees of freedom."""
    dof = len(problem.y) - len(problem.estimates)
    return float(problem.residual_sd) ** 2 * dof, dof


@pytest.mark.parametrize("problem", nist.PROBLEMS, ids=lambda problem: problem.name)
def test_the_data_are_transcribed_rightly(problem):
    solution = nist.solve(problem.design(), problem.response())
    assert digits(solution.estimates, problem.estimates) > 13
    assert digits(solution.errors, problem.errors) > 13
    assert digits([solution.residual_sd], [problem.residual_sd]) > 13


@by_name
def test_posterior_means_are_the_certified_estimates(problem):
    # NoInt2's three observations and a flat sigma leave a posterior without a mean: it takes the default.
    sigma = {"sigma_prior": None} if problem is nist.NOINT2 else {}
    model = fit(problem.X, problem.target, fit_intercept=problem.intercept, **sigma)
    reached = digits(estimates(model), problem.estimates)
    assert reached >= REQUIRED[problem.name], f"{problem.name}: {reached:.1f} digits"


@pytest.mark.parametrize("problem", [p for p in NOISY if p is not nist.NOINT2], ids=lambda p: p.name)
def test_exact_sds_follow_from_the_certified_standard_errors(problem):
    # Flat in the coefficients and in sigma, S the residual squares, k coefficients: p(b | y) is proportional
    # to (S + q(b))^(-(n-1)/2), a multivariate t with n-k-1 degrees of freedom, so its covariance is
    # S / (n-k-3) (X'X)^-1 where the squared standard errors are S / (n-k) (X'X)^-1; and S / sigma^2 is
    # chi-square with n-k-1 degrees of freedom.
    exact = fit(problem.X, problem.target, fit_intercept=problem.intercept).posterior_.exact
    squares, dof = residual_squares(problem)
    expected = [float(error) * (dof / (dof - 3)) ** 0.5 for error in problem.errors]
    found = [*([exact.sd["Intercept"]] if problem.intercept else []), *exact.sd["coef"]]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    mean = np.sqrt(squares / 2) * np.exp(gammaln((dof - 2) / 2) - gammaln((dof - 1) / 2))
    np.testing.assert_allclose(exact.mean["sigma"], mean, rtol=1e-8)
    np.testing.assert_allclose(exact.sd["sigma"], np.sqrt(squares / (dof - 3) - mean**2), rtol=1e-7)


def filip_basis():
    """Return Filip's x in Legendre polynomials of degree 1 to 10 on its own range, and that range."""
    x = np.array([float(value) for value in nist.FILIP.columns[0]])
    low, high = x.min(), x.max()
    return legendre.legvander((2 * x - (low + high)) / (high - low), 10)[:, 1:], low, high


def to_powers(coefficients, low, high):
    """Map coefficients of Legendre polynomials on [low, high] to coefficients of powers, exactly."""
    with mp.workdps(nist.DIGITS):
        low, high = mp.mpf(low), mp.mpf(high)
        slope, shift = 2 / (high - low), -(high + low) / (high - low)
        powers = [mp.mpf(0)] * len(coefficients)
        for degree, coefficient in enumerate(coefficients):
            for k, factor in enumerate(legendre.leg2poly([0] * degree + [1])):
                for i in range(k + 1):
                    term = mp.binomial(k, i) * slope**i * shift ** (k - i)
                    powers[i] += mp.mpf(coefficient) * mp.mpf(float(factor)) * term
        return powers


def test_filip_in_a_well_conditioned_basis():
    basis, low, high = filip_basis()
    model = fit(basis, nist.FILIP.target)
    reached = digits(to_powers(estimates(model), low, high), nist.FILIP.estimates)
    assert reached >= 11, f"{reached:.1f} digits"
    solution = nist.solve_doubles(basis, nist.FILIP.target)
    _, dof = residual_squares(nist.FILIP)
    expected = [float(error) * (dof / (dof - 3)) ** 0.5 for error in solution.errors]
    exact = model.posterior_.exact
    np.testing.assert_allclose([exact.sd["Intercept"], *exact.sd["coef"]], expected, rtol=1e-8)


def test_filip_in_raw_powers_is_right_or_refused():
    try:
        model = fit(nist.FILIP.X, nist.FILIP.target)
    except ValueError as error:
        assert "collinear" in str(error)  # noqa: PT017
    else:
        # Rounding the powers to doubles alone moves the solution in the eighth digit.
        assert digits(estimates(model), nist.FILIP.estimates) >= 6


@pytest.mark.parametrize("problem", PERFECT, ids=lambda problem: problem.name)
@pytest.mark.parametrize("priors", ["flat", "default"])
def test_a_perfect_fit_is_exact_and_says_so_once(problem, priors):
    settings = dict.fromkeys(("prior", "intercept_prior", "sigma_prior"), Flat()) if priors == "flat" else {}
    model = BayesianLinearRegression(random_state=1, progressbar=False, **settings)
    with pytest.warns(UserWarning, match="rounding") as caught:
        model.fit(problem.X, problem.target)
    assert len(caught) == 1, [str(warning.message) for warning in caught]
    assert digits(estimates(model), problem.estimates) >= REQUIRED[problem.name]
    assert 0 < model.sigma_ < 1e-9 * np.std(problem.target)
    assert all(np.isfinite(draws).all() for draws in model.posterior_.draws.values())


def test_the_first_example_of_linear_regression():
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    with pytest.warns(UserWarning, match="rounding"):
        model = BayesianLinearRegression(random_state=1).fit(X, X @ [1, 2] + 3)
    np.testing.assert_allclose(estimates(model), [3, 1, 2], rtol=1e-8)
    assert 0 < model.sigma_ < 1e-8


def hard_design(kind, rng):
    """Return predictors whose scales or offsets lose digits in careless arithmetic."""
    Z = rng.normal(size=(60, 3))
    Z[:, 2] += 0.9 * Z[:, 0]
    match kind:
        case "scales":
            return Z * [1e-8, 1e8, 1.0]
        case "offset":
            return Z + np.array([1e9, 0.0, 0.0])
        case "offsets":
            return Z + 1e9
        case "scales and offset":
            return Z * [1e-8, 1e8, 1.0] + np.array([1.0, 0.0, 1e9])
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["scales", "offset", "offsets", "scales and offset"])
@pytest.mark.parametrize("priors", ["flat", "default"])
def test_awkward_scales_and_offsets(kind, priors):
    rng = np.random.default_rng(11)
    X = hard_design(kind, rng)
    y = 1.5 + (X - X.mean(axis=0)) / X.std(axis=0) @ [1.0, -2.0, 0.5] + rng.normal(size=len(X))
    if priors == "flat":
        model = fit(X, y)
        reference = nist.solve_doubles(X, y).estimates
        admitted = 9.0
        if kind != "scales":
            # The digits that survive when every x moves by half a unit in its last place.
            nudges = (np.where(rng.random(X.shape) < 0.5, -0.5, 0.5) for _ in range(10))
            moved = (nist.solve(_nudged(X, nudge), _exact(y)).estimates for nudge in nudges)
            admitted = min(9.0, *(digits(solution[1:], reference[1:]) for solution in moved))
        reached = digits(model.coef_, reference[1:])
        assert reached >= admitted, f"{reached:.1f} of {admitted:.1f} digits"
    else:
        # The same model on predictors that carry neither scale nor offset: equal after mapping back.
        centre, scale = X.mean(axis=0), X.std(axis=0)
        defaults = dict.fromkeys(("prior", "intercept_prior", "sigma_prior"))
        plain, model = fit((X - centre) / scale, y, **defaults), fit(X, y, **defaults)
        np.testing.assert_allclose(model.coef_ * scale, plain.coef_, rtol=1e-7)
        rounding = 4 * np.finfo(float).eps * np.abs(X * model.coef_).sum(axis=1).max()
        expected = plain.predict((X - centre) / scale)
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-7, atol=rounding)


def _exact(values):
    with mp.workdps(nist.DIGITS):
        return [mp.mpf(float(value)) for value in values]


def _nudged(X, nudge):
    with mp.workdps(nist.DIGITS):
        steps = np.spacing(np.abs(X)) * nudge
        return mp.matrix(
            [
                [
                    mp.mpf(1),
                    *(mp.mpf(float(x)) + mp.mpf(float(step)) for x, step in zip(row, move, strict=True)),
                ]
                for row, move in zip(X, steps, strict=True)
            ]
        )

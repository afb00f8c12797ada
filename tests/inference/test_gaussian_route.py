"""Diagonal coordinates and the marginal of sigma against dense formulas in standardised units."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from bayesglm.inference import settled
from bayesglm.inference.gaussian import ConditionalGaussian, GaussianPrior, NotIdentifiedError
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.positive_priors import HalfCauchy, HalfNormal, HalfStudentT, InverseGamma
from bayesglm.kernel.priors import Flat

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit


@pytest.fixture(autouse=True)
def all_digits(monkeypatch):
    """Let targets have the digits that chains do without: what they are is what is tested here."""
    monkeypatch.setattr(settled, "BITS", 60)


class Dense:
    """A regression in standardised units, its posterior given sigma by inverting matrices."""

    def __init__(
        self, n=12, p=3, *, seed=0, intercept=True, shift=False, flat=(), weights=False, sigma=None, rank=None
    ):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, p)) * np.logspace(-1, 1, p) + 3.0
        if rank is not None:
            X = X[:, :rank] @ rng.normal(size=(rank, p))
        y = X @ (rng.normal(size=p) / np.logspace(-1, 1, p)) + 2.0 + rng.normal(size=n)
        w = rng.uniform(0.5, 3.0, n) if weights else None
        self.summary = summarize(X, y, w, intercept=intercept)
        s = self.summary
        k = p + intercept
        precision = np.exp(rng.normal(0, 1, k))
        precision[list(flat)] = 0.0
        loc = np.where(precision > 0, rng.normal(size=k), 0.0)
        where = s.x_mean / s.x_unit if shift else np.zeros(p)
        self.sigma_prior = HalfStudentT(4.0, 1.0) if sigma is None else sigma
        self.prior = GaussianPrior(loc, precision, where, self.sigma_prior.bind([0]))
        self.route = ConditionalGaussian(s, self.prior)

        Z = (X - (s.x_mean if intercept else 0.0)) / s.x_unit
        self.design = np.column_stack([np.ones(n), Z]) if intercept else Z
        self.y = (y - (s.y_mean if intercept else 0.0)) / s.y_unit
        self.w = np.ones(n) if w is None else w
        self.rows = np.eye(k)  # the prior is on rows @ theta
        if intercept:
            self.rows[0, 1:] = -where
        self.k, self.n = k, n

    def conditional(self, sigma):
        """Mean and covariance of theta given sigma."""
        D, P = self.design, self.rows.T @ (self.prior.precision[:, np.newaxis] * self.rows)
        precision = (D.T * self.w) @ D / sigma**2 + P
        right = D.T @ (self.w * self.y) / sigma**2 + self.rows.T @ (self.prior.precision * self.prior.loc)
        return np.linalg.solve(precision, right), np.linalg.inv(precision)

    def log_marginal(self, sigma):
        """Log density of log sigma up to a constant, by Bayes' rule at the conditional mean."""
        mean, covariance = self.conditional(sigma)
        line = self.design @ mean
        total = np.sum(self.w * stats.norm(line, sigma).logpdf(self.y))
        total -= 0.5 * np.sum(self.prior.precision * (self.rows @ mean - self.prior.loc) ** 2)
        total += 0.5 * np.linalg.slogdet(covariance)[1] + np.log(sigma)
        return total + (0.0 if isinstance(self.sigma_prior, Flat) else self.prior.sigma.logpdf([sigma])[0])


CASES = {
    "plain": {},
    "at zero": {"shift": True},
    "no intercept": {"intercept": False},
    "weights": {"weights": True, "shift": True},
    "flat intercept": {"flat": [0]},
    "flat intercept at zero": {"flat": [0], "shift": True},
    "some flat": {"flat": [0, 2], "shift": True},
    "all flat": {"flat": range(4)},
    "all flat, no intercept": {"flat": range(3), "intercept": False},
    "all flat but the intercept": {"flat": [1, 2, 3], "shift": True},
    "more columns than rows": {"n": 5, "p": 9},
    "more columns than rows, at zero": {"n": 5, "p": 9, "shift": True, "flat": [0]},
    "dependent columns": {"p": 5, "rank": 2, "shift": True},
    "many columns": {"n": 80, "p": 40, "shift": True, "flat": [3, 7]},
    "no columns": {"n": 6, "p": 0},
    "no columns, flat": {"n": 6, "p": 0, "flat": [0]},
    "flat sigma": {"sigma": Flat(), "flat": range(4)},
    "inverse gamma": {"sigma": InverseGamma(3.0, 2.0)},
    "half Cauchy": {"sigma": HalfCauchy(0.5), "n": 6},
}


@pytest.fixture(params=sorted(CASES))
def dense(request):
    return Dense(**CASES[request.param])


@pytest.mark.parametrize("sigma", [0.03, 0.4, 1.0, 5.0])
def test_moments_given_sigma(dense, sigma):
    mean, variance = dense.route.conditional(np.log(sigma))
    assert mean.shape == variance.shape == (dense.k,)
    basis = dense.route.basis
    expected_mean, expected = dense.conditional(sigma)
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose((basis @ mean - expected_mean) / size, 0.0, atol=1e-8)
    np.testing.assert_allclose(
        (basis * variance) @ basis.T / np.outer(size, size), expected / np.outer(size, size), atol=1e-9
    )


def test_moments_at_many_sigmas_at_once():
    route = Dense(**CASES["at zero"]).route
    points = np.linspace(-2, 2, 6).reshape(2, 3)
    mean, variance = route.conditional(points)
    assert mean.shape == variance.shape == (2, 3, 4)
    one_mean, one_variance = route.conditional(points[1, 2])
    np.testing.assert_array_equal(mean[1, 2], one_mean)
    np.testing.assert_array_equal(variance[1, 2], one_variance)


def test_coordinates_are_diagonal_for_data_and_prior(dense):
    basis, route = dense.route.basis, dense.route
    data = (dense.design.T * dense.w) @ dense.design
    prior = dense.rows.T @ (dense.prior.precision[:, np.newaxis] * dense.rows)
    for matrix, diagonal in ((data, route.data_precision), (prior, route.prior_precision)):
        found = basis.T @ matrix @ basis
        # Relative to the two coordinates' own precision (of data and prior at sigma = 1 together).
        size = np.sqrt(route.data_precision + route.prior_precision)
        np.testing.assert_allclose(found / np.outer(size, size), np.diag(diagonal / size**2), atol=1e-10)
    assert np.all(route.data_precision >= 0)
    assert np.all(route.prior_precision >= 0)
    if not dense.prior.precision.any():
        np.testing.assert_array_equal(route.prior_precision, 0.0)
    uninformed = dense.k - dense.summary.rank - dense.summary.intercept
    assert np.count_nonzero(route.data_precision == 0.0) == uninformed


def test_marginal_of_log_sigma(dense):
    points = np.linspace(-2.0, 2.5, 10)
    found, slopes = dense.route.target.log_marginal(points)
    expected = np.array([dense.log_marginal(np.exp(x)) for x in points])
    np.testing.assert_allclose(found - found[3], expected - expected[3], rtol=1e-8, atol=1e-8)
    step = 1e-4
    numerical = (
        dense.route.target.log_marginal(points + step)[0] - dense.route.target.log_marginal(points - step)[0]
    )
    np.testing.assert_allclose(slopes, numerical / (2 * step), rtol=1e-5, atol=1e-5)


def test_quadrature_is_over_the_marginal_of_log_sigma(dense):
    grid, log_marginal = dense.route.grid, dense.route.target.log_marginal
    peak = log_marginal(grid.mode)[0]

    def moment(power):
        def integrand(x):
            return (x - grid.mode) ** power * np.exp(log_marginal(x)[0] - peak)

        cuts = grid.mode + np.array([-45.0, -12.0, -4.0, -1.0, 0.0, 1.0, 4.0, 12.0, 45.0])
        return sum(integrate.quad(integrand, low, high)[0] for low, high in pairwise(cuts))

    mass = moment(0)
    mean = moment(1) / mass
    assert grid.mean(grid.nodes) - grid.mode == pytest.approx(mean, abs=1e-8 * grid.sd)
    assert grid.sd == pytest.approx(np.sqrt(moment(2) / mass - mean**2), rel=1e-7)


def test_log_marginal_against_the_covariance_of_y():
    """The textbook's p(y | sigma) as a multivariate normal density, for proper priors."""
    for case in ("plain", "at zero", "no intercept", "more columns than rows", "dependent columns"):
        dense = Dense(**CASES[case])
        half = np.linalg.solve(dense.rows, np.diag(dense.prior.precision**-0.5))
        centre = np.linalg.solve(dense.rows, dense.prior.loc)
        points = np.linspace(-2.0, 2.0, 7)
        found = dense.route.target.log_marginal(points)[0]
        expected = []
        for x in points:
            covariance = np.exp(2 * x) * np.eye(dense.n) + dense.design @ half @ half.T @ dense.design.T
            density = stats.multivariate_normal(dense.design @ centre, covariance).logpdf(dense.y)
            expected.append(density + dense.prior.sigma.logpdf([np.exp(x)])[0] + x)
        np.testing.assert_allclose(found - found[0], np.array(expected) - expected[0], rtol=1e-9, atol=1e-9)


def test_unwhiten_is_mean_plus_sd_times_u(dense):
    route, k = dense.route, dense.k
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(2, 3, k + 1))
    theta, sigma = route.unwhiten(draws)
    assert theta.shape == (2, 3, k)
    assert sigma.shape == (2, 3)
    log_sigma = route.target.log_sigma(draws[1, 2, -1])
    assert sigma[1, 2] == pytest.approx(np.exp(log_sigma), rel=1e-14)
    mean, covariance = dense.conditional(sigma[1, 2])
    # The standardised distance of theta from its conditional mean is that of u from zero.
    distance = theta[1, 2] - mean
    assert distance @ np.linalg.solve(covariance, distance) == pytest.approx(
        np.sum(draws[1, 2, :-1] ** 2), rel=1e-6
    )


def test_unwhiten_leaves_the_draws_alone():
    route = Dense().route
    draws = np.random.default_rng(2).normal(size=(1, 4, 5))
    before = draws.copy()
    route.unwhiten(draws)
    np.testing.assert_array_equal(draws, before)


def test_the_map_makes_log_sigma_standard_normal(dense):
    target, grid = dense.route.target, dense.route.grid
    t = np.linspace(-6.5, 6.5, 2001)
    mapped = target.log_sigma(t)
    assert np.all(np.diff(mapped) > 0)
    # The density of t, from the target itself with u = 0: standard normal wherever draws go.
    values = np.array([target(np.append(np.zeros(dense.k), x))[0] for x in t])
    density = np.exp(values - values.max())
    density /= density.sum() * (t[1] - t[0])
    core = np.abs(t) < 4
    np.testing.assert_allclose(density[core] / stats.norm.pdf(t[core]), 1.0, atol=0.05)
    # And log sigma keeps its mean and sd, since the density is exact for any map.
    mean = np.sum(mapped * density) * (t[1] - t[0])
    assert mean == pytest.approx(grid.mean(grid.nodes), abs=1e-4 * grid.sd)
    sd = np.sqrt(np.sum((mapped - mean) ** 2 * density) * (t[1] - t[0]))
    assert sd == pytest.approx(grid.sd, rel=1e-3)


@pytest.mark.parametrize("n", [2, 3, 5, 1000])
def test_the_map_for_few_and_for_many_rows(n):
    """With two rows log sigma has a tail of hundreds of units; with many it is as narrow as can be."""
    dense = Dense(n=n, p=1, sigma=HalfStudentT(4.0, 1.0), flat=[0] if n > 2 else [])
    target = dense.route.target
    t = np.linspace(-5.5, 5.5, 801)
    values = np.array([target(np.append(np.zeros(2), x))[0] for x in t])
    assert np.all(np.isfinite(values))
    core = np.abs(t) < 3.5
    level = values + 0.5 * t**2
    assert np.ptp(level[core]) < 0.2


def test_which_moments_of_sigma_exist():
    """Under flat priors sigma has moments of order below n - k - 1 (1/sigma² is gamma)."""
    for n in (6, 7, 8, 9):
        route = Dense(n=n, p=3, flat=range(4), sigma=Flat()).route
        for power in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0):
            assert route.exists(power) == (power < n - 4 - 1)
    assert not Dense(n=5, p=3, flat=range(4), sigma=HalfCauchy(1.0)).route.exists(2.0)
    assert Dense(n=5, p=3, sigma=HalfNormal(1.0)).route.exists(2.0)


def test_signs_do_not_depend_on_the_order_of_rows():
    """Equal data give equal draws, up to rounding: the coordinates must not be mirrored."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 4)), rng.normal(size=40)
    order = rng.permutation(40)
    prior = GaussianPrior(np.zeros(5), np.full(5, 0.3), np.zeros(4), HalfNormal().bind([0]))
    first = ConditionalGaussian(summarize(X, y), prior)
    second = ConditionalGaussian(summarize(X[order], y[order]), prior)
    np.testing.assert_allclose(first.basis, second.basis, rtol=1e-8, atol=1e-10)


# -- improper posteriors --------------------------------------------------------------------------------


def improper(X, y, flat, *, intercept=True, sigma=None, shift=None):
    summary = summarize(X, y, intercept=intercept)
    precision = np.ones(X.shape[1] + intercept)
    precision[list(flat)] = 0.0
    shift = np.zeros(X.shape[1]) if shift is None else shift
    prior = GaussianPrior(np.zeros(len(precision)), precision, shift, (sigma or HalfNormal()).bind([0]))
    return ConditionalGaussian(summary, prior)


def test_dependent_columns_under_flat_priors_are_named():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(50, 5)), rng.normal(size=50)
    X[:, 4] = X[:, 1] - 2 * X[:, 2]
    with pytest.raises(NotIdentifiedError) as caught:
        improper(X, y, range(6))
    np.testing.assert_array_equal(caught.value.columns, [1, 2, 4])
    assert isinstance(caught.value, ValueError)
    # One proper prior among the three is enough.
    improper(X, y, [0, 1, 2, 3, 4])


def test_a_constant_column_under_a_flat_prior_is_named():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    X[:, 1] = 0.1
    with pytest.raises(NotIdentifiedError) as caught:
        improper(X, y, [0, 1, 2, 3])
    np.testing.assert_array_equal(caught.value.columns, [1])
    improper(X, y, [0, 1, 3])
    improper(X, y, range(3), intercept=False)


def test_two_dependencies_held_by_one_prior():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    X[:, 2], X[:, 3] = X[:, 0], X[:, 1]
    with pytest.raises(NotIdentifiedError) as caught:
        improper(X, y, [1, 2, 4])  # the proper prior holds columns 0 and 2 apart, not 1 and 3
    np.testing.assert_array_equal(caught.value.columns, [1, 3])
    improper(X, y, [1, 2])


@pytest.mark.parametrize("seed", range(5))
def test_a_proper_prior_on_another_column_does_not_hold_dependent_ones(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    X[:, 2] = X[:, 0]
    with pytest.raises(NotIdentifiedError) as caught:
        improper(X, y, [1, 3])
    np.testing.assert_array_equal(caught.value.columns, [0, 2])


def test_too_few_rows_under_flat_priors():
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(3, 5)), rng.normal(size=3)
    with pytest.raises(NotIdentifiedError):
        improper(X, y, range(6))


def test_a_constant_column_under_a_prior_of_the_intercept_at_zero():
    """With center=False the prior of the intercept speaks of the constant column's coefficient too, and holds it."""
    X, y = np.column_stack([np.full(30, 2.0), np.arange(30.0)]), np.random.default_rng(8).normal(size=30)
    shift = summarize(X, y).x_mean / summarize(X, y).x_unit
    improper(X, y, [1, 2], shift=shift)
    with pytest.raises(NotIdentifiedError):
        improper(X, y, [0, 1, 2], shift=shift)


@pytest.mark.parametrize("n", [2, 4, 5])
def test_sigma_without_a_proper_posterior(n):
    """Flat priors everywhere need two rows more than there are coefficients."""
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(n, n - 1 if n < 5 else 3)), rng.normal(size=n)
    if n < 5:
        with pytest.raises(ArithmeticError):
            improper(X, y, range(n), sigma=Flat())
    else:
        with pytest.raises(ArithmeticError):
            improper(X, y, range(4), sigma=Flat())
        improper(X, y, range(4), sigma=HalfNormal())

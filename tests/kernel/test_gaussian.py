"""The targets of a Gaussian likelihood against dense formulas written out from the data themselves."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.interpolate import CubicHermiteSpline

from bayesglm.kernel.gaussian import CorrectedTarget, ScaleTarget, SummaryTarget
from bayesglm.kernel.positive_priors import (
    PRIORS,
    Exponential,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
)
from bayesglm.kernel.priors import Cauchy, Flat, JointPrior, Laplace, Normal, StudentT
from tests.target_cases import gradient_error

SIGMA_PRIORS = [HalfNormal(0.7), HalfStudentT(4.0, 2.0), HalfCauchy(1.5), InverseGamma(3.0, 2.0), Flat()]
KNOTS = (-1.5, 0.5, np.array([-2.0, -1.2, -1.0, 0.1, 0.3, 2.0]), np.array([0.7, 0.9, 0.6, 0.5, 0.9, 2.5]))
LAST_KNOT = -1.5 + 5 * 0.5


class Diagonal:
    """A regression whose cross-products and normal prior are diagonal: y = X z + noise, X'X = diag(a)."""

    def __init__(self, seed=0, n=9, r=4):
        rng = np.random.default_rng(seed)
        q, _ = np.linalg.qr(rng.normal(size=(n, r)))
        self.a = np.exp(rng.normal(0, 2, r))
        self.b = np.exp(rng.normal(0, 1, r))
        self.m = rng.normal(size=r)
        self.X = q * np.sqrt(self.a)
        self.y = self.X @ rng.normal(size=r) + rng.normal(size=n)
        fitted = self.X.T @ self.y / self.a
        self.gap = fitted - self.m
        self.rss = float(np.sum((self.y - self.X @ fitted) ** 2))
        self.n, self.r = n, r

    def target(self, sigma_prior, *spline, extra=0, flat=()):
        b = self.b.copy()
        b[list(flat)] = 0.0
        return ScaleTarget(
            self.r + 1 + extra, self.n, self.rss, self.a, b, self.gap, sigma_prior.bind([0]), *spline
        )

    def log_marginal(self, log_sigma, sigma_prior):
        """Log density of log sigma, all constants included, from the covariance of y."""
        sigma = np.exp(log_sigma)
        covariance = sigma**2 * np.eye(self.n) + self.X / self.b @ self.X.T
        prior = 0.0 if isinstance(sigma_prior, Flat) else sigma_prior.bind([0]).logpdf([sigma])[0]
        return stats.multivariate_normal(self.X @ self.m, covariance).logpdf(self.y) + prior + log_sigma


@pytest.mark.parametrize("sigma_prior", SIGMA_PRIORS, ids=repr)
def test_log_marginal_is_that_of_the_covariance_of_y(sigma_prior):
    model = Diagonal(1)
    target = model.target(sigma_prior)
    points = np.linspace(-3.0, 3.0, 13)
    values, slopes = target.log_marginal(points)
    expected = [model.log_marginal(x, sigma_prior) for x in points]
    # The normal priors' constant ½ log b is left out; everything else is there.
    np.testing.assert_allclose(values, np.array(expected) - 0.5 * np.log(model.b).sum(), rtol=1e-10)
    step = 1e-4
    near = target.log_marginal(points + step)[0] - target.log_marginal(points - step)[0]
    np.testing.assert_allclose(slopes, near / (2 * step), rtol=1e-6, atol=1e-6)


def test_log_marginal_under_flat_priors_is_the_textbook_density():
    model = Diagonal(2)
    target = model.target(Flat(), flat=range(model.r))
    points = np.linspace(-2.0, 3.0, 11)
    values, _ = target.log_marginal(points)
    expected = (1 - model.n + model.r) * points - 0.5 * model.rss * np.exp(-2 * points)
    constant = -0.5 * model.n * np.log(2 * np.pi) - 0.5 * np.log(model.a).sum()
    np.testing.assert_allclose(values, expected + constant, rtol=1e-12)


def test_log_marginal_keeps_the_shape_of_its_argument():
    target = Diagonal(1).target(HalfNormal())
    values, slopes = target.log_marginal(np.zeros((2, 3)))
    assert values.shape == slopes.shape == (2, 3)
    assert np.shape(target.log_marginal(0.0)[0]) == ()
    assert values[0, 0] == target.log_marginal(0.0)[0]


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12, 1e60])
def test_many_coordinates_do_not_overflow_the_product(size):
    rng = np.random.default_rng(3)
    a, b = size * np.exp(rng.normal(size=700)), size * np.exp(rng.normal(size=700))
    target = ScaleTarget(701, 1000.0, 10.0, a, b, np.zeros(700), Flat().bind([0]))
    for x in (-3.0, 0.0, 4.0):
        expected = (
            -999 * x
            - 500 * np.log(2 * np.pi)
            - 5 * np.exp(-2 * x)
            - 0.5 * np.log(a * np.exp(-2 * x) + b).sum()
        )
        assert target.log_marginal(x)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("spline", [(), KNOTS], ids=["identity", "spline"])
@pytest.mark.parametrize("sigma_prior", SIGMA_PRIORS, ids=repr)
def test_scale_target_gradient(sigma_prior, spline):
    target = Diagonal(4).target(sigma_prior, *spline, extra=2)
    rng = np.random.default_rng(5)
    assert target.dim == 7
    for _ in range(20):
        q = rng.normal(size=7)
        q[-1] = rng.uniform(-2.5, 2.0)
        if (
            np.min(np.abs((q[-1] - KNOTS[0]) / KNOTS[1] - np.arange(6))) > 1e-3
        ):  # the second derivative jumps there
            assert gradient_error(target, q) < 1e-8


def test_scale_target_is_a_product_of_standard_normals_and_the_marginal():
    model = Diagonal(6)
    target = model.target(HalfNormal(), *KNOTS)
    q = np.array([0.3, -1.0, 0.0, 2.0, 0.4])
    expected = target.log_marginal(target.log_sigma(0.4))[0] - 0.5 * (0.09 + 1.0 + 4.0)
    width = (target.log_sigma(0.4 + 1e-6) - target.log_sigma(0.4 - 1e-6)) / 2e-6
    assert target(q)[0] == pytest.approx(expected + np.log(width), rel=1e-9)
    np.testing.assert_allclose(target(q)[1][:4], -q[:4])


def test_the_spline_is_scipys_and_goes_on_straight():
    target = Diagonal(6).target(HalfNormal(), *KNOTS)
    where = KNOTS[0] + KNOTS[1] * np.arange(6)
    spline = CubicHermiteSpline(where, KNOTS[2], KNOTS[3])
    inside = np.linspace(where[0], where[-1], 201)
    np.testing.assert_allclose(target.log_sigma(inside), spline(inside), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(target.log_sigma(where), KNOTS[2], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(
        target.log_sigma([-3.5, -2.5]), KNOTS[2][0] + KNOTS[3][0] * np.array([-2.0, -1.0])
    )
    np.testing.assert_allclose(
        target.log_sigma([2.0, 11.0]), KNOTS[2][-1] + KNOTS[3][-1] * np.array([1.0, 10.0])
    )
    assert target.log_sigma(np.zeros((2, 2))).shape == (2, 2)
    np.testing.assert_allclose(Diagonal(6).target(HalfNormal()).log_sigma([-7.0, 0.3, 9.0]), [-7.0, 0.3, 9.0])


def test_the_slope_that_enters_the_density_is_that_of_the_map():
    """log density at t minus log marginal at m(t) is log m'(t), whichever piece t is in."""
    target = ScaleTarget(1, 6.0, 3.0, [], [], [], HalfNormal().bind([0]), *KNOTS)
    for t in np.linspace(-2.4, 2.4, 37) + 0.003:
        width = np.exp(target([t])[0] - target.log_marginal(target.log_sigma(t))[0])
        step = 1e-5
        numerical = (target.log_sigma(t + step) - target.log_sigma(t - step)) / (2 * step)
        assert width == pytest.approx(numerical, rel=1e-7)


def test_the_map_keeps_the_probability():
    target = ScaleTarget(1, 6.0, 3.0, [], [], [], HalfNormal().bind([0]), *KNOTS)
    plain = target.through(0.0, 1.0, [0.0, 1.0], [1.0, 1.0])
    cuts = [-30.0, *(KNOTS[0] + KNOTS[1] * np.arange(6)), 15.0]
    mapped = sum(
        integrate.quad(lambda t: np.exp(target([t])[0]), low, high, epsabs=0, epsrel=1e-12)[0]
        for low, high in pairwise(cuts)
    )
    whole = integrate.quad(
        lambda s: np.exp(plain.log_marginal(s)[0]), -6.0, 8.0, points=[0.0], epsabs=0, epsrel=1e-12
    )
    assert mapped == pytest.approx(whole[0], rel=1e-9)


def test_scale_target_pickles():
    target = Diagonal(6).target(HalfNormal(), *KNOTS)
    again = pickle.loads(pickle.dumps(target))
    assert again(np.full(5, 0.2))[0] == target(np.full(5, 0.2))[0]


# -- any priors ----------------------------------------------------------------------------------


class Regression:
    """Rows, and the posterior's log density written out from them."""

    def __init__(self, seed=0, n=12, p=3, intercept=True, centred=False, weights=False):
        rng = np.random.default_rng(seed)
        self.w = rng.uniform(0.3, 2.5, n) if weights else np.ones(n)
        self.x_mean = rng.normal(size=p) if intercept else np.zeros(p)
        X = rng.normal(size=(n, p))
        if intercept:
            X -= np.average(X, axis=0, weights=self.w)
        self.X = X + self.x_mean
        self.y = 0.7 * intercept + X @ rng.normal(size=p) + rng.normal(size=n)
        self.y_mean = np.average(self.y, weights=self.w) if intercept else 0.0
        self.intercept, self.p, self.k = intercept, p, p + intercept
        self.shift = np.zeros(p) if centred else self.x_mean
        root = np.sqrt(self.w)[:, np.newaxis]
        q, self.factor = np.linalg.qr(root * X)
        self.rotated = q.T @ (root[:, 0] * (self.y - self.y_mean))
        fit = np.linalg.solve(self.factor, self.rotated)
        self.rss = float(np.sum(self.w * (self.y - self.y_mean - X @ fit) ** 2))
        self.centred_rows = X

    def log_density(self, theta, sigma, priors, sigma_prior):
        """Log likelihood plus log priors, all constants included; theta as the target has it."""
        coef = theta[self.intercept :]
        line = self.centred_rows @ coef + (theta[0] if self.intercept else 0.0)
        total = float(np.sum(self.w * stats.norm(line, sigma).logpdf(self.y)))
        total += sum(prior.logpdf(coef[prior.bound[0]]).sum() for prior in priors)
        if self.intercept:
            total += self.intercept_prior.logpdf([theta[0] - self.shift @ coef])[0]
        return total + (0.0 if isinstance(sigma_prior, Flat) else sigma_prior.logpdf([sigma])[0])

    intercept_prior = StudentT(3.0, 0.4, 0.8).bind([0])

    def summary_target(self, priors, positive, sigma_prior):
        return SummaryTarget(
            self.w.sum(), self.y_mean, self.rss, self.factor, self.rotated, self.intercept, self.shift, positive,
            joined(priors), self.intercept_prior if self.intercept else None, sigma_prior,
        )  # fmt: skip

    def corrected_target(self, priors, sigma_prior, spline=KNOTS):
        """The target with normal stand-ins of arbitrary position and width, diagonalised by hand."""
        rng = np.random.default_rng(99)
        normal_mean, normal_precision = rng.normal(size=self.k), np.exp(rng.normal(size=self.k))
        rows = np.eye(self.k)
        if self.intercept:
            rows[0, 1:] = -self.shift
        precision = rows.T @ (normal_precision[:, np.newaxis] * rows)
        data = np.zeros((self.k, self.k))
        data[self.intercept :, self.intercept :] = self.factor.T @ self.factor
        if self.intercept:
            data[0, 0] = self.w.sum()
        half = np.linalg.inv(np.linalg.cholesky(precision)).T
        a, vectors = np.linalg.eigh(half.T @ data @ half)
        basis = half @ vectors
        prior_mean = np.linalg.solve(basis, np.linalg.solve(rows, normal_mean))
        fit = np.append(np.full(int(self.intercept), self.y_mean), np.linalg.solve(self.factor, self.rotated))
        data_mean, ones = np.linalg.solve(basis, fit), np.ones(self.k)
        gap = data_mean - prior_mean
        scale = ScaleTarget(self.k + 1, self.w.sum(), self.rss, a, ones, gap, sigma_prior, *spline)
        target = CorrectedTarget(
            scale, basis, a, ones, prior_mean, data_mean, self.intercept, self.shift, normal_mean, normal_precision,
            joined(priors), self.intercept_prior if self.intercept else None,
        )  # fmt: skip
        self.normal_mean, self.normal_precision, self.basis = normal_mean, normal_precision, basis
        return target


def joined(priors):
    joint = None
    for prior in priors:
        joint = prior if joint is None else JointPrior(joint, prior)
    return joint


KINDS = {name: cls() for name, cls in PRIORS.items()}
CASES = [
    {"intercept": True, "centred": True},
    {"intercept": True, "centred": False},
    {"intercept": False},
    {"intercept": True, "centred": False, "weights": True},
]
case_ids = ["centred", "at zero", "no intercept", "weighted"]


@pytest.mark.parametrize("case", CASES, ids=case_ids)
@pytest.mark.parametrize("name", sorted(PRIORS))
def test_summary_target_is_likelihood_times_prior(name, case):
    model = Regression(3, **case)
    prior = KINDS[name]
    priors = (prior.bind([2, 0]), Laplace(0.3, 0.5).bind([1]))
    positive = np.array([0.7, 0.0, 20.0]) * prior.positive  # the scale s of x = s log(1 + exp(v)), or 0
    sigma_prior = HalfStudentT(4.0, 1.3).bind([0])
    target = model.summary_target(priors, positive, sigma_prior)
    assert target.dim == model.k + 1
    rng = np.random.default_rng(4)
    for _ in range(5):
        q = 0.5 * rng.normal(size=target.dim)
        theta, sigma = target.unwhiten(q)
        v = q[model.intercept : -1]
        np.testing.assert_allclose(
            theta[model.intercept :], np.where(positive > 0, positive * np.log1p(np.exp(v)), v), rtol=1e-13
        )
        assert sigma == pytest.approx(np.exp(q[-1]))
        jacobian = q[-1] + np.log(positive / (1 + np.exp(-v)), where=positive > 0, out=np.zeros(3)).sum()
        expected = model.log_density(theta, sigma, priors, sigma_prior) + jacobian
        assert target(q)[0] == pytest.approx(expected, rel=1e-11)
        assert gradient_error(target, q) < 1e-8


@pytest.mark.parametrize("v", [-700.0, -40.0, -1e-9, 1e-9, 40.0, 1e4])
def test_positive_coefficients_near_zero_and_far_from_it(v):
    model = Regression(3, n=8, p=1, intercept=False)
    prior, sigma_prior = Exponential(2.0).bind([0]), HalfNormal(100.0).bind([0])
    target = model.summary_target((prior,), np.array([0.5]), sigma_prior)
    q = np.array([v, 3.0])
    theta, sigma = target.unwhiten(q)
    assert theta[0] == pytest.approx(0.5 * np.logaddexp(0.0, v), rel=1e-12)
    expected = (
        model.log_density(theta, sigma, (prior,), sigma_prior) + 3.0 + np.log(0.5) - np.logaddexp(0.0, -v)
    )
    value, gradient = target(q)
    assert value == pytest.approx(expected, rel=1e-11)
    assert gradient_error(target, q, 1e-5 * max(1.0, abs(v) / 100)) < 1e-7
    if v == -700.0:
        assert gradient[0] == pytest.approx(1.0)  # the Jacobian alone: the coefficient is zero


@pytest.mark.parametrize("sigma_prior", SIGMA_PRIORS, ids=repr)
def test_summary_target_with_any_prior_of_sigma(sigma_prior):
    model = Regression(5)
    bound = sigma_prior.bind([0])
    target = model.summary_target((Normal().bind([0, 1, 2]),), np.zeros(3), bound)
    q = np.array([0.2, -0.5, 0.4, 1.0, 0.3])
    theta, sigma = target.unwhiten(q)
    expected = model.log_density(theta, sigma, (Normal().bind([0, 1, 2]),), bound) + q[-1]
    assert target(q)[0] == pytest.approx(expected, rel=1e-12)
    assert gradient_error(target, q) < 1e-8


@pytest.mark.parametrize("case", CASES, ids=case_ids)
@pytest.mark.parametrize("name", sorted(name for name in PRIORS if not PRIORS[name].positive))
def test_corrected_target_is_likelihood_times_prior(name, case):
    """Up to a constant, and to the Jacobian of the map from (u, t) to the parameters."""
    model = Regression(6, **case)
    priors = (KINDS[name].bind([2, 0]), Cauchy(0.3, 0.5).bind([1]))
    sigma_prior = HalfCauchy(0.8).bind([0])
    target = model.corrected_target(priors, sigma_prior)
    rng = np.random.default_rng(7)
    differences = []
    for _ in range(6):
        q = rng.normal(size=target.dim)
        theta, sigma = target.unwhiten(q)
        differences.append(
            target(q)[0] - model.log_density(theta, sigma, priors, sigma_prior) - log_jacobian(target, q)
        )
        if np.min(np.abs((q[-1] - KNOTS[0]) / KNOTS[1] - np.arange(6))) > 1e-3:
            assert gradient_error(target, q) < 1e-7
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


def log_jacobian(target, q, step=1e-6):
    """Log determinant of d(theta, sigma)/d(u, t), numerically."""
    columns = []
    for unit in np.eye(len(q)):
        up, down = target.unwhiten(q + step * unit), target.unwhiten(q - step * unit)
        columns.append(np.append(up[0] - down[0], up[1] - down[1]) / (2 * step))
    return np.linalg.slogdet(np.array(columns))[1]


@pytest.mark.parametrize("case", CASES, ids=case_ids)
def test_corrected_target_with_its_own_stand_ins_is_the_scale_target(case):
    model = Regression(8, **case)
    sigma_prior = HalfNormal(2.0).bind([0])
    stand_in = model.corrected_target((Flat().bind([0, 1, 2]),), sigma_prior)
    loc, scale = model.normal_mean, model.normal_precision**-0.5
    first = int(model.intercept)
    coef = Normal(loc[first:], scale[first:]).bind([0, 1, 2])
    if first:
        model.intercept_prior = Normal(loc[0], scale[0]).bind([0])
    target = model.corrected_target((coef,), sigma_prior)
    rng = np.random.default_rng(9)
    points = rng.normal(size=(8, target.dim))
    differences = [target(q)[0] - stand_in.scale(q)[0] for q in points]
    np.testing.assert_allclose(differences, differences[0], rtol=1e-10)
    for q in points:
        np.testing.assert_allclose(target(q)[1], stand_in.scale(q)[1], rtol=1e-9, atol=1e-9)


def test_unwhiten_takes_draws_of_any_shape():
    model = Regression(10)
    priors, sigma_prior = (Normal().bind([0, 1, 2]),), HalfNormal().bind([0])
    corrected = model.corrected_target(priors, sigma_prior)
    plain = model.summary_target(priors, np.array([1.0, 0.0, 0.0]), sigma_prior)
    draws = np.random.default_rng(11).normal(size=(2, 3, 5))
    for target in (corrected, plain):
        theta, sigma = target.unwhiten(draws)
        assert theta.shape == (2, 3, 4)
        assert sigma.shape == (2, 3)
        one_theta, one_sigma = target.unwhiten(draws[1, 2])
        np.testing.assert_allclose(theta[1, 2], one_theta, rtol=1e-13)
        assert sigma[1, 2] == pytest.approx(one_sigma)


def test_targets_without_coefficients():
    sigma_prior = HalfNormal().bind([0])
    empty = np.zeros((0, 0))
    for intercept in (True, False):
        target = SummaryTarget(
            8.0, 0.5, 4.0, empty, np.zeros(0), intercept, np.zeros(0), np.zeros(0), None,
            Normal().bind([0]) if intercept else None, sigma_prior,
        )  # fmt: skip
        assert target.dim == 1 + intercept
        assert gradient_error(target, np.full(target.dim, 0.3)) < 1e-8
    scale = ScaleTarget(1, 8.0, 4.0, [], [], [], sigma_prior)
    none = np.zeros(0)
    target = CorrectedTarget(scale, empty, none, none, none, none, False, none, none, none, None, None)
    assert target([0.2])[0] == scale([0.2])[0]
    np.testing.assert_array_equal(target([0.2])[1], scale([0.2])[1])


@pytest.mark.parametrize("kind", ["summary", "corrected"])
def test_copies_have_scratch_memory_of_their_own(kind):
    model = Regression(12)
    priors, sigma_prior = (Laplace().bind([0, 1, 2]),), HalfNormal().bind([0])
    if kind == "summary":
        target = model.summary_target(priors, np.zeros(3), sigma_prior)
    else:
        target = model.corrected_target(priors, sigma_prior)
    q = np.array([0.1, -0.3, 0.2, 0.5, 0.2])
    for other in (target.clone(), pickle.loads(pickle.dumps(target))):
        assert other is not target
        assert other(q)[0] == target(q)[0]
        np.testing.assert_array_equal(other(q)[1], target(q)[1])


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(13)
    factor, rotated = rng.normal(size=(2, 4)), rng.normal(size=2)
    prior, sigma_prior = Normal(0.0, 1.0).bind(range(4)), HalfNormal().bind([0])
    target = SummaryTarget(
        2.0, 0.0, 0.0, factor, rotated, False, np.zeros(4), np.zeros(4), prior, None, sigma_prior
    )
    q = rng.normal(size=5)
    sigma = np.exp(q[-1])
    residual = rotated - factor @ q[:4]
    expected = stats.norm(0, sigma).logpdf(residual).sum() + stats.norm.logpdf(q[:4]).sum()
    expected += stats.halfnorm.logpdf(sigma) + q[-1]
    assert target(q)[0] == pytest.approx(expected, rel=1e-12)
    assert gradient_error(target, q) < 1e-8


@pytest.mark.parametrize("t", [-400.0, 400.0, 1e6, np.nan, np.inf, -np.inf])
def test_far_away_is_never_a_large_density(t):
    model = Regression(14)
    priors, sigma_prior = (Normal().bind([0, 1, 2]),), HalfStudentT(4.0, 1.0).bind([0])
    for target in (
        model.summary_target(priors, np.zeros(3), sigma_prior),
        model.corrected_target(priors, sigma_prior),
        model.corrected_target(priors, sigma_prior).scale,
    ):
        q = np.zeros(target.dim)
        q[-1] = t
        assert not target(q)[0] > -100.0

"""Exact marginals: Student's t in closed form under flat priors, the oracle otherwise, moments that do not exist."""

import pickle

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import gammaln

from bayesglm import prediction
from bayesglm.inference.exact import ExactPosterior
from bayesglm.inference.gaussian import ConditionalGaussian
from bayesglm.inference.prior_set import resolve
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.positive_priors import HalfCauchy, HalfNormal
from bayesglm.kernel.priors import Flat, Normal
from tests.oracles import Model, gaussian_oracle

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit

LEVELS = np.array([0.001, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.999])


def exact(X, y, w=None, *, intercept=True, **priors):
    summary = summarize(X, y, w, intercept=intercept)
    bound = resolve(summary, tuple(f"x{j}" for j in range(X.shape[1])), {}, **priors)
    gaussian = bound.standardised(summary).gaussian()
    return ExactPosterior(ConditionalGaussian(summary, gaussian), summary)


FLAT = {"prior": "flat", "intercept_prior": "flat", "sigma_prior": "flat"}


class Textbook:
    """The posterior under flat priors on all coefficients and on sigma.

    Given the data the coefficients are multivariate t with n - k - 1 degrees of freedom (one fewer than
    under 1/sigma), and rss/sigma² is chi-square.
    """

    def __init__(self, X, y, w=None, intercept=True):
        w = np.ones(len(y)) if w is None else w
        self.intercept = intercept
        D = np.column_stack([np.ones(len(y)), X]) if intercept else X
        q, r = np.linalg.qr(np.sqrt(w)[:, np.newaxis] * D)
        self.inverse = np.linalg.inv(r)
        self.fit = np.linalg.solve(r, q.T @ (np.sqrt(w) * y))
        self.rss = float(np.sum(w * (y - D @ self.fit) ** 2))
        self.df = w.sum() - D.shape[1] - 1
        self.scale = np.sqrt(self.rss / self.df * np.sum(self.inverse**2, axis=1))

    def coef(self, j):
        return stats.t(self.df, self.fit[j], self.scale[j])

    def response(self, x):
        row = np.append(1.0, x) if self.intercept else x
        leverage = np.sum((row @ self.inverse) ** 2)
        return stats.t(self.df, row @ self.fit, np.sqrt(self.rss / self.df * (1 + leverage)))

    def line(self, x):
        row = np.append(1.0, x) if self.intercept else x
        return stats.t(
            self.df, row @ self.fit, np.sqrt(self.rss / self.df * np.sum((row @ self.inverse) ** 2))
        )

    def sigma_quantile(self, q):
        return np.sqrt(self.rss / stats.chi2(self.df).isf(q))

    def sigma_moment(self, power):
        """E sigma^power: a gamma integral."""
        half = self.df / 2
        return np.exp(power / 2 * np.log(self.rss / 2) + gammaln(half - power / 2) - gammaln(half))


def data(n, p, seed=0, scales=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * scales + offset
    return X, 4.0 + (X - offset) / scales @ rng.normal(size=p) + rng.normal(size=n)


CASES = {
    "30 x 3": {"n": 30, "p": 3},
    "9 x 3": {"n": 9, "p": 3},
    "1000 x 2": {"n": 1000, "p": 2},
    "scales": {"n": 40, "p": 3, "scales": np.array([1e-6, 1.0, 1e6])},
    "offset": {"n": 40, "p": 2, "offset": 1e4},
    "intercept only": {"n": 12, "p": 0},
    "many": {"n": 120, "p": 40},
}


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("weighted", [False, True])
def test_flat_priors_give_students_t(name, intercept, weighted):
    X, y = data(**CASES[name])
    w = np.random.default_rng(1).integers(1, 4, len(y)).astype(float) if weighted else None
    found, truth = exact(X, y, w, intercept=intercept, **FLAT), Textbook(X, y, w, intercept)
    first = int(intercept)
    spread = np.sqrt(truth.df / (truth.df - 2))
    for j in range(X.shape[1]):
        assert found.mean["coef"][j] == pytest.approx(truth.fit[first + j], abs=1e-8 * truth.scale[first + j])
        assert found.sd["coef"][j] == pytest.approx(spread * truth.scale[first + j], rel=1e-8)
    if intercept:
        assert found.mean["Intercept"] == pytest.approx(truth.fit[0], abs=1e-8 * truth.scale[0])
        assert found.sd["Intercept"] == pytest.approx(spread * truth.scale[0], rel=1e-8)
    else:
        assert "Intercept" not in found.mean
        assert "Intercept" not in found.sd
    assert found.mean["sigma"] == pytest.approx(truth.sigma_moment(1), rel=1e-10)
    variance = truth.sigma_moment(2) - truth.sigma_moment(1) ** 2
    assert found.sd["sigma"] == pytest.approx(np.sqrt(variance), rel=1e-8)


@pytest.mark.parametrize("name", sorted(CASES))
def test_quantiles_of_coefficients(name):
    X, y = data(**CASES[name])
    found, truth = exact(X, y, **FLAT), Textbook(X, y)
    weights, means, sds = found.parameter_components()
    assert weights.shape == (found.n_components,)
    assert means.shape == sds.shape == (X.shape[1] + 1, found.n_components)
    quantiles = prediction.component_quantiles(weights, means, sds, LEVELS)
    for j in range(X.shape[1] + 1):
        np.testing.assert_allclose(
            (quantiles[j] - truth.coef(j).ppf(LEVELS)) / truth.scale[j], 0.0, atol=1e-8
        )


@pytest.mark.parametrize("df", [1, 2, 3, 5, 30, 1000, 100_000])
def test_quantiles_of_sigma(df):
    """To about 1e-7 of its standard deviation (of its interquartile range, where it has none)."""
    X, y = data(df + 2, 0)
    found, truth = exact(X, y, **FLAT), Textbook(X, y)
    assert truth.df == df
    expected = truth.sigma_quantile(LEVELS)
    size = truth.sigma_quantile(0.75) - truth.sigma_quantile(0.25)
    inner = slice(1, -1)
    np.testing.assert_allclose((found.sigma_quantile(LEVELS)[inner] - expected[inner]) / size, 0.0, atol=2e-7)


def test_quantiles_do_not_need_the_order_of_levels():
    X, y = data(30, 1)
    found = exact(X, y)
    levels = np.array([0.9, 0.1, 0.5])
    np.testing.assert_array_equal(
        found.sigma_quantile(levels), found.sigma_quantile(np.sort(levels))[[2, 0, 1]]
    )


@pytest.mark.parametrize("intercept", [True, False])
def test_predictive_distribution_is_students_t(intercept):
    X, y = data(20, 3, offset=5.0)
    found, truth = exact(X, y, intercept=intercept, **FLAT), Textbook(X, y, intercept=intercept)
    rows = np.random.default_rng(2).normal(5, 3, size=(6, 3))
    for kind, distribution in (("response", truth.response), ("mean", truth.line)):
        weights, means, sds = found.components(rows, kind)
        assert means.shape == sds.shape == (6, found.n_components)
        quantiles = prediction.component_quantiles(weights, means, sds, LEVELS)
        for i, row in enumerate(rows):
            t = distribution(row)
            np.testing.assert_allclose((quantiles[i] - t.ppf(LEVELS)) / t.std(), 0.0, atol=1e-8)
    mean, sd = found.moments(rows)
    np.testing.assert_allclose(mean, [truth.response(row).mean() for row in rows], rtol=1e-10)
    np.testing.assert_allclose(sd, [truth.response(row).std() for row in rows], rtol=1e-9)
    observed = mean + sd
    density = prediction.log_density(found, rows, observed)
    np.testing.assert_allclose(
        density, [truth.response(r).logpdf(v) for r, v in zip(rows, observed, strict=True)], rtol=1e-9
    )


@pytest.mark.parametrize("df", [1, 2, 3])
def test_moments_that_do_not_exist_are_infinite(df):
    X, y = data(df + 3, 1)
    found, truth = exact(X, y, **FLAT), Textbook(X, y)
    assert truth.df == df
    assert np.isinf(found.mean["sigma"]) == (df <= 1)
    assert np.isinf(found.sd["sigma"]) == (df <= 2)
    assert np.isinf(found.sd["Intercept"]) == (df <= 2)
    assert np.isinf(found.sd["coef"][0]) == (df <= 2)
    rows = np.zeros((1, 1))
    assert np.isinf(found.moments(rows)[1][0]) == (df <= 2)
    # The middle of the distribution exists all the same.
    assert found.mean["coef"][0] == pytest.approx(truth.fit[1], rel=1e-7)
    quantiles = prediction.component_quantiles(*found.parameter_components(), np.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(quantiles[1], truth.coef(1).ppf([0.25, 0.5, 0.75]), rtol=1e-6)


@pytest.mark.parametrize("df", [2.1, 2.5, 3.0, 4.0])
def test_moments_that_just_exist(df):
    """E sigma² lives far out in the tail of log sigma, where its density itself is long negligible."""
    X, y = data(12, 1)
    w = np.full(12, (df + 3) / 12)
    found, truth = exact(X, y, w, **FLAT), Textbook(X, y, w)
    assert truth.df == pytest.approx(df)
    assert found.mean["sigma"] == pytest.approx(truth.sigma_moment(1), rel=1e-7)
    assert found.sd["coef"][0] == pytest.approx(np.sqrt(df / (df - 2)) * truth.scale[1], rel=1e-7)
    assert found.sd["sigma"] == pytest.approx(
        np.sqrt(truth.sigma_moment(2) - truth.sigma_moment(1) ** 2), rel=1e-7
    )
    assert found.moments(X)[1][0] == pytest.approx(truth.response(X[0]).std(), rel=1e-7)


def test_a_proper_prior_keeps_its_own_coefficient_finite():
    X, y = data(4, 1)
    X -= X.mean()
    found = exact(X, y, prior=Normal(0.0, 1.0), intercept_prior="flat", sigma_prior="flat")
    assert np.isinf(found.sd["sigma"])
    assert np.isinf(found.sd["Intercept"])
    assert 0 < found.sd["coef"][0] < 2
    heavy = exact(X, y, prior=Normal(0.0, 1.0), intercept_prior=Normal(0.0, 5.0), sigma_prior=HalfCauchy(1.0))
    assert np.isfinite(heavy.sd["Intercept"])
    tail = exact(X, y, prior="flat", intercept_prior="flat", sigma_prior=HalfCauchy(1.0))
    assert np.isfinite(
        tail.sd["coef"][0]
    )  # two degrees of freedom, and one more power of sigma from its prior


ORACLE_CASES = {
    "plain": {"n": 15, "p": 2},
    "not centred": {"n": 15, "p": 2, "center": False},
    "weights": {"n": 15, "p": 2, "weighted": True, "center": False},
    "more columns than rows": {"n": 4, "p": 7},
    "no intercept": {"n": 10, "p": 3, "intercept": False},
    "tight and wrong": {"n": 20, "p": 2, "scale": 0.05},
}


@pytest.mark.parametrize("name", sorted(ORACLE_CASES))
def test_normal_priors_against_the_oracle(name):
    case = {"center": True, "weighted": False, "intercept": True, "scale": 2.0, **ORACLE_CASES[name]}
    X, y = data(case["n"], case["p"], offset=3.0)
    w = np.random.default_rng(3).exponential(1.5, case["n"]) if case["weighted"] else None
    model = Model(
        X,
        y,
        [stats.norm(0.3, case["scale"])] * case["p"],
        stats.halfnorm(0, 1.5),
        stats.norm(1.0, 4.0),
        fit_intercept=case["intercept"],
        center=case["center"],
        weights=w,
    )
    oracle = gaussian_oracle(model, nodes=1001)
    given = {"intercept_prior": Normal(1.0, 4.0)} if case["intercept"] else {}
    found = exact(
        X, y, w, intercept=case["intercept"], prior=Normal(0.3, case["scale"]), sigma_prior=HalfNormal(1.5),
        center=case["center"], **given,
    )  # fmt: skip
    order = [*(["Intercept"] if case["intercept"] else []), *(f"coef[{j}]" for j in range(case["p"]))]
    means = np.append([found.mean["Intercept"]] if case["intercept"] else [], found.mean["coef"])
    sds = np.append([found.sd["Intercept"]] if case["intercept"] else [], found.sd["coef"])
    quantiles = prediction.component_quantiles(*found.parameter_components(), LEVELS)
    for j, parameter in enumerate(order):
        truth = oracle[parameter]
        assert means[j] == pytest.approx(truth.mean, abs=1e-8 * truth.sd)
        assert sds[j] == pytest.approx(truth.sd, rel=1e-8)
        np.testing.assert_allclose(quantiles[j], [truth.quantile(q) for q in LEVELS], atol=1e-7 * truth.sd)
    assert found.mean["sigma"] == pytest.approx(oracle["sigma"].mean, rel=1e-8)
    assert found.sd["sigma"] == pytest.approx(oracle["sigma"].sd, rel=1e-7)
    np.testing.assert_allclose(
        found.sigma_quantile(LEVELS[1:-1]), [oracle["sigma"].quantile(q) for q in LEVELS[1:-1]],
        atol=2e-4 * oracle["sigma"].sd,
    )  # fmt: skip


def test_quantiles_against_monte_carlo():
    """The mixture's own quantiles, by drawing from it."""
    X, y = data(8, 1)
    found = exact(X, y)
    weights, means, sds = found.parameter_components()
    rng = np.random.default_rng(4)
    which = rng.choice(len(weights), size=200_000, p=weights)
    for j in range(2):
        draws = rng.normal(means[j, which], sds[j, which])
        quantiles = prediction.component_quantiles(weights, means, sds, np.array([0.05, 0.5, 0.95]))[j]
        for q, value in zip((0.05, 0.5, 0.95), quantiles, strict=True):
            share = np.mean(draws < value)
            assert abs(share - q) < 4 * np.sqrt(q * (1 - q) / len(draws))


def test_sigma_has_its_marginal():
    """One row: sigma is known from its prior and from how far y lies from its prior mean."""
    X, y = np.zeros((1, 0)), np.array([3.0])
    found = exact(X, y, intercept_prior=Normal(0.0, 1.0), sigma_prior=HalfNormal(2.0))

    def density(s):
        return stats.norm(0, np.sqrt(1 + s**2)).pdf(3.0) * stats.halfnorm(0, 2).pdf(s)

    mass = integrate.quad(density, 0, np.inf)[0]
    mean = integrate.quad(lambda s: s * density(s), 0, np.inf)[0] / mass
    assert found.mean["sigma"] == pytest.approx(mean, rel=1e-8)
    median = found.sigma_quantile(np.array([0.5]))[0]
    assert integrate.quad(density, 0, median)[0] / mass == pytest.approx(0.5, abs=1e-4)


def test_small_when_pickled():
    X, y = data(5000, 3)
    found = exact(X, y)
    text = pickle.dumps(found)
    assert len(text) < 40_000
    again = pickle.loads(text)
    rows = X[:4]
    np.testing.assert_array_equal(again.moments(rows)[1], found.moments(rows)[1])
    np.testing.assert_array_equal(again.sigma_quantile(LEVELS), found.sigma_quantile(LEVELS))


def test_rows_do_not_influence_each_other():
    X, y = data(30, 3)
    found = exact(X, y)
    together = found.moments(X[:7])
    for i in range(7):
        alone = found.moments(X[i : i + 1])
        assert alone[0][0] == pytest.approx(together[0][i], rel=1e-14)
        assert alone[1][0] == pytest.approx(together[1][i], rel=1e-14)


def test_flat_and_nearly_flat_agree():
    X, y = data(25, 2)
    flat = exact(X, y, prior=Flat(), intercept_prior=Flat(), sigma_prior=HalfNormal(3.0))
    wide = exact(X, y, prior=Normal(0, 1e7), intercept_prior=Normal(0, 1e7), sigma_prior=HalfNormal(3.0))
    np.testing.assert_allclose(flat.mean["coef"], wide.mean["coef"], rtol=1e-9)
    np.testing.assert_allclose(flat.sd["coef"], wide.sd["coef"], rtol=1e-9)
    assert flat.mean["sigma"] == pytest.approx(wide.mean["sigma"], rel=1e-9)

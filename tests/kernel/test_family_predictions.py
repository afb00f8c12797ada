"""Moments, distribution functions, quantiles, draws and deviances of every family against scipy.stats."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn import metrics

from bayesglm.families import (
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Gamma,
    Gaussian,
    InverseGaussian,
    Laplace,
    NegativeBinomial,
    Poisson,
    StudentT,
)

M = 12.0
ETA = np.array([-2.0, -0.3, 0.0, 0.8, 2.5])
#: Family, auxiliary parameters, extra, the distribution for a linear predictor.
CASES = {
    "bernoulli": (Bernoulli(), {}, None, lambda eta: stats.bernoulli(expit(eta))),
    "bernoulli, probit": (Bernoulli("probit"), {}, None, lambda eta: stats.bernoulli(stats.norm.cdf(eta))),
    "bernoulli, cloglog": (
        Bernoulli("cloglog"),
        {},
        None,
        lambda eta: stats.bernoulli(-np.expm1(-np.exp(eta))),
    ),
    "binomial": (Binomial(), {}, M, lambda eta: stats.binom(12, expit(eta))),
    "poisson": (Poisson(), {}, None, lambda eta: stats.poisson(np.exp(eta))),
    "negative binomial": (
        NegativeBinomial(),
        {"phi": 1.7},
        None,
        lambda eta: stats.nbinom(1.7, 1.7 / (1.7 + np.exp(eta))),
    ),
    "negative binomial, phi=0.4": (
        NegativeBinomial(phi=0.4),
        {},
        None,
        lambda eta: stats.nbinom(0.4, 0.4 / (0.4 + np.exp(eta))),
    ),
    "gaussian": (Gaussian(), {"sigma": 0.7}, None, lambda eta: stats.norm(eta, 0.7)),
    "gaussian, standard error": (
        Gaussian(),
        {"sigma": 0.7},
        1.1,
        lambda eta: stats.norm(eta, np.hypot(0.7, 1.1)),
    ),
    "student t": (StudentT(), {"sigma": 0.7, "df": 4.5}, None, lambda eta: stats.t(4.5, eta, 0.7)),
    "student t, df=3": (StudentT(df=3.0), {"sigma": 0.7}, None, lambda eta: stats.t(3.0, eta, 0.7)),
    "laplace": (Laplace(), {"scale": 0.7}, None, lambda eta: stats.laplace(eta, 0.7)),
    "gamma": (Gamma(), {"shape": 2.3}, None, lambda eta: stats.gamma(2.3, scale=np.exp(eta) / 2.3)),
    "inverse gaussian": (
        InverseGaussian(),
        {"shape": 2.3},
        None,
        lambda eta: stats.invgauss(np.exp(eta) / 2.3, scale=2.3),
    ),
    "beta": (
        Beta(),
        {"precision": 3.1},
        None,
        lambda eta: stats.beta(3.1 * expit(eta), 3.1 * expit(-eta)),
    ),
}
EVERY = pytest.mark.parametrize("name", CASES)


@EVERY
def test_moments(name):
    family, aux, extra, distribution = CASES[name]
    np.testing.assert_allclose(family.mean(ETA, aux, extra), distribution(ETA).mean(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(family.variance(ETA, aux, extra), distribution(ETA).var(), rtol=1e-11)


@EVERY
def test_density_and_distribution_function(name):
    family, aux, extra, distribution = CASES[name]
    for eta in ETA:
        own = distribution(eta)
        y = own.ppf([1e-9, 0.01, 0.3, 0.5, 0.8, 0.99, 1 - 1e-9])
        if name == "beta":
            y = y[y < 1.0]  # which the last ones round to
        log = own.logpmf if family.discrete else own.logpdf
        np.testing.assert_allclose(family.logpdf(y, eta, aux, extra), log(y), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(family.cdf(y, eta, aux, extra), own.cdf(y), rtol=1e-8)
        if family.discrete:
            np.testing.assert_allclose(family.cdf(y + 0.5, eta, aux, extra), own.cdf(y), rtol=1e-8)
            assert family.cdf(-1.0, eta, aux, extra) == 0.0


@EVERY
def test_quantiles(name):
    family, aux, extra, distribution = CASES[name]
    q = np.array([1e-6, 0.05, 0.31, 0.5, 0.77, 0.95, 1 - 1e-6])
    for eta in ETA:
        found = family.quantile(q, np.full(len(q), eta), aux, extra)
        np.testing.assert_allclose(found, distribution(eta).ppf(q), rtol=1e-8, atol=1e-9)
        if family.discrete:
            assert np.all(family.cdf(found, eta, aux, extra) >= q)
            assert np.all((found == 0) | (family.cdf(found - 1.0, eta, aux, extra) < q))


@EVERY
def test_draws(name):
    """Shares of draws below the mean and below two quantiles, by their z-scores."""
    family, aux, extra, distribution = CASES[name]
    rng, n = np.random.default_rng(1), 40_000
    for eta in ETA:
        y = family.draw(rng, np.full(n, eta), aux, extra)
        own = distribution(eta)
        for values, true in (
            (np.sign(y - own.mean()), 1.0 - own.cdf(own.mean()) - own.cdf(np.nextafter(own.mean(), -np.inf))),
            (y <= own.ppf(0.25), own.cdf(own.ppf(0.25))),
            (y <= own.ppf(0.9), own.cdf(own.ppf(0.9))),
        ):
            sd = max(values.std(), 1e-3)
            assert abs(values.mean() - true) < 4.5 * sd / np.sqrt(n)


@EVERY
def test_shapes_broadcast(name):
    """Rows down, draws across, auxiliary parameters a number a draw, extra a number a row."""
    family, aux, extra, _ = CASES[name]
    eta = np.linspace(-1, 1, 12).reshape(3, 4)
    draws = {key: np.full(4, value) for key, value in aux.items()}
    column = None if extra is None else np.full((3, 1), extra)
    y = np.ones((3, 1)) * (0.4 if name == "beta" else 1.0)
    for method in (family.logpdf, family.cdf):
        found = method(y, eta, draws, column)
        assert found.shape == (3, 4)
        assert found[2, 1] == method(y[2, 0], eta[2, 1], aux, extra)
    assert np.shape(family.quantile(0.3, eta, draws, column)) == (3, 4)
    assert np.shape(family.draw(np.random.default_rng(0), eta, draws, column)) == (3, 4)


def test_deviances_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    mean = rng.uniform(0.5, 5.0, 30)
    y = rng.poisson(mean).astype(float)
    assert Poisson().deviance(y, mean, {}).mean() == pytest.approx(metrics.mean_poisson_deviance(y, mean))
    z = rng.gamma(2.0, mean / 2.0)
    assert Gamma().deviance(z, mean, {"shape": 2.0}).mean() == pytest.approx(
        metrics.mean_gamma_deviance(z, mean)
    )
    power = metrics.mean_tweedie_deviance(z, mean, power=3)
    assert InverseGaussian().deviance(z, mean, {"shape": 1.0}).mean() == pytest.approx(power)
    p = rng.uniform(0.1, 0.9, 30)
    b = (rng.random(30) < p).astype(float)
    assert Bernoulli().deviance(b, p, {}).mean() == pytest.approx(2.0 * metrics.log_loss(b, p))
    assert Gaussian().deviance(z, mean, {"sigma": 1.0}).mean() == pytest.approx(
        metrics.mean_squared_error(z, mean)
    )
    large = NegativeBinomial().deviance(y, mean, {"phi": 1e9}).mean()
    assert large == pytest.approx(metrics.mean_poisson_deviance(y, mean), rel=1e-6)


def test_deviances_are_twice_the_gap_to_the_best_density():
    rng = np.random.default_rng(4)
    y, eta = rng.normal(size=30), rng.normal(size=30)
    p = expit(eta)
    k, share = rng.binomial(12, 0.4, 30).astype(float), rng.uniform(0.05, 0.95, 30)
    best = np.where((k == 0) | (k == M), 0.0, stats.binom(12, k / M).logpmf(k))
    cases = (
        (StudentT(), {"sigma": 0.7, "df": 4.5}, None, y, eta, stats.t(4.5, y, 0.7).logpdf(y)),
        (Laplace(), {"scale": 0.7}, None, y, eta, stats.laplace(y, 0.7).logpdf(y)),
        (Binomial(), {}, M, k, M * p, best),
        (
            Beta(),
            {"precision": 3.1},
            None,
            share,
            p,
            stats.beta(3.1 * share, 3.1 - 3.1 * share).logpdf(share),
        ),
    )
    for family, aux, extra, observed, mean, top in cases:
        gap = 2.0 * (top - family.logpdf(observed, eta, aux, extra))
        np.testing.assert_allclose(family.deviance(observed, mean, aux, extra), gap, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("eta", [30.0, 37.0, 40.0, 100.0, 300.0])
@pytest.mark.parametrize(("family", "aux"), [(Poisson(), {}), (NegativeBinomial(), {"phi": 2.0})], ids=repr)
def test_quantiles_of_counts_that_no_integer_holds(family, aux, eta):
    """From 2^53 on whole numbers are further apart than one: the search must end, at the quantile of the limit."""
    found = family.quantile(np.array([0.1, 0.5, 0.9]), np.full(3, eta), aux)
    shape = aux.get("phi")
    limit = np.ones(3) if shape is None else stats.gamma(shape, scale=1 / shape).ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(found / np.exp(eta), limit, rtol=1e-5)


def test_inverse_gaussian_close_to_its_normal_limit():
    """With a shape far above the mean the standardised response is normal; 1e-10 is the size of what is left."""
    z = np.linspace(-3.0, 3.0, 7)
    for shape in (1e18, 1e20):
        y = np.exp(z / np.sqrt(shape))
        low = np.sqrt(shape / y) * (y - 1.0)
        found = InverseGaussian().cdf(y, 0.0, {"shape": shape})
        np.testing.assert_allclose(found, stats.norm.cdf(low), atol=1e-9)


def test_inverse_gaussian_close_to_its_levy_limit():
    """With a mean far above the shape the response is shape/Z², Z standard normal."""
    rng, n = np.random.default_rng(5), 40_000
    levy = stats.levy(scale=2.0)
    for eta in (40.0, 300.0, 800.0):
        y = InverseGaussian().draw(rng, np.full(n, eta), {"shape": 2.0})
        for q in (0.1, 0.5, 0.9):
            assert abs((y <= levy.ppf(q)).mean() - q) < 4.5 * np.sqrt(q * (1.0 - q) / n)
        np.testing.assert_allclose(InverseGaussian().cdf(levy.ppf(0.3), eta, {"shape": 2.0}), 0.3, rtol=1e-7)


@pytest.mark.parametrize("eta", [-800.0, 800.0])
def test_predictions_where_a_mean_underflows(eta):
    rng = np.random.default_rng(6)
    draws = Beta().draw(rng, np.full(50, eta), {"precision": 3.0})
    np.testing.assert_array_equal(draws, float(eta > 0.0))
    assert Beta().quantile(0.5, eta, {"precision": 3.0}) == pytest.approx(float(eta > 0.0), abs=1e-300)
    tiny = InverseGaussian().draw(rng, np.full(50, -800.0), {"shape": 2.0})
    assert np.all((tiny >= 0.0) & (tiny < 1e-290))
    assert InverseGaussian().cdf(0.5, -800.0, {"shape": 2.0}) == 1.0
    found = InverseGaussian().quantile(0.3, eta, {"shape": 2.0})
    assert found == pytest.approx(stats.levy(scale=2.0).ppf(0.3) if eta > 0.0 else 0.0, rel=1e-9, abs=1e-290)


def test_classes():
    rng = np.random.default_rng(3)
    family, eta = Categorical(3), np.array([[0.0, 0.5, -1.0]])
    p = np.exp([0.0, 0.5, -1.0]) / np.exp([0.0, 0.5, -1.0]).sum()
    np.testing.assert_allclose(family.probabilities(eta)[0], p, rtol=1e-14)
    y = family.draw(rng, np.broadcast_to(eta, (50_000, 3)), {})
    for k in range(3):
        assert abs((y == k).mean() - p[k]) < 4.5 * np.sqrt(p[k] * (1 - p[k]) / 50_000)
    np.testing.assert_allclose(family.logpdf(np.array([2.0]), eta, {}), np.log(p[2]))

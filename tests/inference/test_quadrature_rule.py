"""Integrals of densities that are known in closed form, and densities that have none."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, expit, polygamma

from bayesglm.inference.quadrature import cumulate, integrate

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit


def normal(mean, sd, level=0.0):
    return lambda x: (level - 0.5 * ((x - mean) / sd) ** 2, -(x - mean) / sd**2)


def log_gamma(shape, rate=1.0, sign=1):
    """The log of a gamma variable (sign=-1: of an inverse gamma one): one tail is exponential, one dies at once."""

    def density(x):
        with np.errstate(over="ignore"):
            e = rate * np.exp(sign * x)
        return shape * sign * x - e, sign * (shape - e)

    return density


def generalised_logistic(a, b):
    """log(u/(1 - u)) for u ~ Beta(a, b): exponential tails of rates a and b."""

    def density(x):
        return a * x - (a + b) * np.logaddexp(0.0, x), a - (a + b) * expit(x)

    return density


def mixture(weights, means, sds):
    def density(x):
        x = np.asarray(x, float)[..., np.newaxis]
        with np.errstate(under="ignore"):
            logs = np.log(weights) - np.log(sds) - 0.5 * ((x - means) / sds) ** 2
            top = logs.max(axis=-1, keepdims=True)
            parts = np.exp(logs - top)
        total = parts.sum(axis=-1)
        slope = (parts * (means - x) / np.square(sds)).sum(axis=-1) / total
        return top[..., 0] + np.log(total), slope

    return density


def check(density, mean, sd, tolerance=1e-12):
    grid = integrate(density)
    rounding = 4e-14 * abs(mean) / sd  # of the nodes, if they lie far from zero and close together
    assert grid.mean(grid.nodes) == pytest.approx(mean, abs=sd * (10 * tolerance + rounding))
    assert grid.sd == pytest.approx(sd, rel=10 * tolerance + rounding)
    assert grid.weights.sum() == pytest.approx(1.0, rel=1e-13)
    assert np.all(grid.weights > 0)
    assert np.all(np.diff(grid.nodes) > 0)
    return grid


@pytest.mark.parametrize("mean", [0.0, -3.3, 17.0, -45.0])
@pytest.mark.parametrize("sd", [1e-5, 1e-3, 0.1, 1.0, 4.0])
def test_normal(mean, sd):
    grid = check(normal(mean, sd), mean, sd)
    assert grid.mode == pytest.approx(mean, abs=1e-9 * max(sd, 1e-4) + 1e-12 * abs(mean))
    z = (grid.nodes - mean) / sd
    rounding = 1e-11 + 2e-13 * abs(mean) / sd
    assert grid.mean(z**4) == pytest.approx(3.0, rel=rounding)
    assert grid.mean(np.cos(z)) == pytest.approx(np.exp(-0.5), rel=rounding)
    assert grid.left > 0 > grid.right


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0, 50.0, 1e4, 1e8])
def test_log_of_gamma(shape, sign):
    grid = check(log_gamma(shape, sign=sign), sign * digamma(shape), np.sqrt(polygamma(1, shape)), 1e-11)
    # E[gamma] = shape, as a mean of exp(x): what moments of sigma are made of.
    assert grid.mean(np.exp(sign * grid.nodes)) == pytest.approx(shape, rel=1e-10)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.2, 3.0), (5.0, 0.3), (0.1, 0.1), (40.0, 2.0)])
def test_exponential_tails(a, b):
    grid = check(
        generalised_logistic(a, b), digamma(a) - digamma(b), np.sqrt(polygamma(1, a) + polygamma(1, b))
    )
    assert grid.left == pytest.approx(a, rel=1e-9)
    assert grid.right == pytest.approx(-b, rel=1e-9)


@pytest.mark.parametrize(
    "density", [normal(-1.0, 0.01), normal(0.0, 1.0), log_gamma(2.0, sign=-1), log_gamma(500.0)]
)
def test_few_nodes_are_enough(density):
    assert len(integrate(density).nodes) <= 300


@pytest.mark.parametrize("level", [-1e7, 1e7])
def test_the_level_of_the_log_density_costs_digits_but_nothing_else(level):
    grid = integrate(normal(0.3, 0.01, level))
    assert grid.mean(grid.nodes) == pytest.approx(0.3, abs=1e-7 * 0.01)
    assert grid.sd == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "means", "sds"),
    [
        ([0.5, 0.5], [-1.0, 1.0], [0.5, 0.5]),
        ([0.9, 0.1], [0.0, 4.0], [0.5, 1.0]),
        ([0.3, 0.7], [-3.0, 0.0], [1.0, 0.05]),
        ([0.5, 0.5], [-2.0, 2.0], [0.4, 0.4]),
    ],
)
def test_two_modes(weights, means, sds):
    weights, means, sds = map(np.asarray, (weights, means, sds))
    mean = weights @ means
    check(mixture(weights, means, sds), mean, np.sqrt(weights @ (sds**2 + (means - mean) ** 2)))


@pytest.mark.parametrize("gap", [6.0, 7.0, 9.0, 13.0])
def test_two_modes_with_nothing_between(gap):
    """Data that a prior contradicts and that fit almost perfectly: sigma is either tiny or large."""
    weights, means, sds = np.array([0.4, 0.6]), np.array([1.0 - gap, 1.0]), np.array([0.3, 0.3])
    grid = integrate(mixture(weights, means, sds))
    assert grid.mean(grid.nodes) == pytest.approx(weights @ means, abs=1e-9)


def flat(x):
    return np.zeros_like(x), np.zeros_like(x)


def rising(x):
    return x, np.ones_like(x)


def falling(x):
    return -x, -np.ones_like(x)


def level_on_the_left(x):
    return -np.logaddexp(0.0, x), -expit(x)


def level_on_the_right(x):
    return -np.logaddexp(0.0, -x), expit(-x)


def unbounded_at_the_left(x):
    """A mode, and beyond it a rise without end: sigma running to zero."""
    return np.maximum(-0.5 * x**2, -2.0 * x - 50.0), np.where(-0.5 * x**2 > -2.0 * x - 50.0, -x, -2.0)


def nothing(x):
    return np.full_like(x, -np.inf), np.zeros_like(x)


def undefined(x):
    return np.full_like(x, np.nan), np.full_like(x, np.nan)


@pytest.mark.parametrize(
    "density",
    [flat, rising, falling, level_on_the_left, level_on_the_right, unbounded_at_the_left, nothing, undefined],
)
def test_a_density_that_does_not_fall_off_has_no_integral(density):
    with pytest.raises(ArithmeticError, match="does not fall off on both sides"):
        integrate(density)


def test_expectations_of_arrays():
    grid = integrate(normal(1.0, 2.0))
    values = np.stack([grid.nodes, grid.nodes**2], axis=1)
    np.testing.assert_allclose(grid.mean(values), [1.0, 5.0], rtol=1e-11)


# -- distribution functions ----------------------------------------------------------------------------

DISTRIBUTIONS = {
    "normal": (normal(0.5, 0.2), stats.norm(0.5, 0.2)),
    "log gamma": (log_gamma(4.0), stats.loggamma(4.0)),
    "logistic": (generalised_logistic(1.0, 1.0), stats.logistic()),
}


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_distribution_function(name):
    density, truth = DISTRIBUTIONS[name]
    found = cumulate(density, integrate(density).nodes, 4096)
    assert found.nodes.shape == found.below.shape == found.above.shape == found.density.shape == (4097,)
    np.testing.assert_allclose(found.below, truth.cdf(found.nodes), atol=1e-9)
    np.testing.assert_allclose(found.below + found.above, 1.0, atol=1e-12)
    np.testing.assert_allclose(found.density, truth.pdf(found.nodes), rtol=1e-7)
    # Both tails to a relative accuracy, as normal scores need.
    tail = (truth.cdf(found.nodes) > 1e-13) & (truth.cdf(found.nodes) < 0.5)
    np.testing.assert_allclose(found.below[tail], truth.cdf(found.nodes[tail]), rtol=2e-3)
    tail = (truth.sf(found.nodes) > 1e-13) & (truth.sf(found.nodes) < 0.5)
    np.testing.assert_allclose(found.above[tail], truth.sf(found.nodes[tail]), rtol=2e-3)
    q = np.array([0.01, 0.05, 0.5, 0.95, 0.99])
    np.testing.assert_allclose(found.quantile(q), truth.ppf(q), atol=1e-4 * truth.std())  # linear


def test_distribution_function_of_a_long_tail():
    """log sigma for a single degree of freedom: exp(-2x) is chi-square."""
    density = log_gamma(0.5, 0.5, sign=-2)
    found = cumulate(density, integrate(density).nodes, 4096)
    assert found.quantile(np.array([0.5]))[0] == pytest.approx(
        -0.5 * np.log(stats.chi2(1).ppf(0.5)), abs=1e-5
    )


def test_cells_converge_with_the_fourth_power():
    density, truth = DISTRIBUTIONS["log gamma"]
    grid = integrate(density)
    errors = []
    for size in (64, 128, 256):
        found = cumulate(density, grid.nodes, size)
        errors.append(np.max(np.abs(found.below - truth.cdf(found.nodes))))
    assert errors[0] / errors[1] > 10
    assert errors[1] / errors[2] > 10

"""Learned scales, the horseshoe and R2D2: densities against SciPy, and draws against the textbook's."""

import functools
import pickle

import numpy as np
import pytest
from scipy import stats

from bayesglm.inference.sampling import Settings, run
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.gaussian import SummaryTarget
from bayesglm.kernel.horseshoe import HorseshoeMap
from bayesglm.kernel.positive_priors import HalfStudentT
from bayesglm.kernel.priors import Flat
from bayesglm.kernel.shrinkage import LearnedScaleMap, R2D2Map
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.target_cases import gradient_error, z_scores

UNIT = np.array([1.0, 0.4, 2.5])
#: From "the prior outdoes the data" to "the data outdo the prior".
INFORMATION = {"none": 0.0, "some": np.array([0.5, 2.0, 0.0]), "much": np.array([1e4, 1e6, 30.0])}


def half_t(x, df, scale=1.0):
    """Log density of log x where x is half-t."""
    return np.log(2.0) + stats.t.logpdf(x, df, 0, scale) + np.log(x)


class Learned:
    """Two scales, of coefficients (0, 2) and (1)."""

    group = np.array([0, 1, 0])
    size = 5

    def __init__(self, information, sigma=1.0):
        self.map = LearnedScaleMap(UNIT, HalfStudentT(3.0, 0.7).bind([0, 1]), self.group, information)

    def log_density(self, u, coef, sigma):
        scale = np.exp(u[3:])
        return stats.norm.logpdf(coef, 0, UNIT * scale[self.group]).sum() + half_t(scale, 3.0, 0.7).sum()

    def draw(self, rng, n):
        scale = 0.7 * np.abs(rng.standard_t(3.0, (n, 2)))
        return np.hstack([UNIT * scale[:, self.group] * rng.normal(size=(n, 3)), scale])

    def hyper(self, found):
        return found["prior_scale"]


class Horseshoe:
    size = 8
    df_local, df_global, slab_df = 1.5, 2.0, 3.0

    def __init__(self, information, scaled=True):
        self.map = HorseshoeMap(
            3, 0.3, 1.2, self.slab_df, self.df_local, self.df_global, UNIT, scaled, information
        )

    def log_density(self, u, coef, sigma):
        local, x, y = np.exp(u[3:6]), np.exp(u[6]), np.exp(u[7])
        tau, slab = 0.3 * x * sigma, 1.2 * np.sqrt(y)
        scale = UNIT / np.sqrt(1 / (tau * local) ** 2 + 1 / slab**2)
        return (
            stats.norm.logpdf(coef, 0, scale).sum()
            + half_t(local, self.df_local).sum()
            + half_t(x, self.df_global)
            + stats.invgamma.logpdf(y, self.slab_df / 2, 0, self.slab_df / 2)
            + np.log(y)
        )

    def draw(self, rng, n):
        tau = 0.3 * np.abs(rng.standard_t(self.df_global, (n, 1)))
        local = np.abs(rng.standard_t(self.df_local, (n, 3)))
        slab = 1.2 * np.sqrt(
            stats.invgamma(self.slab_df / 2, 0, self.slab_df / 2).rvs((n, 1), random_state=rng)
        )
        bounded = np.sqrt(slab**2 * local**2 / (slab**2 + tau**2 * local**2))  # as in the paper
        return np.hstack([UNIT * tau * bounded * rng.normal(size=(n, 3)), tau])

    def hyper(self, found):
        return found["global_scale"][..., np.newaxis]


class R2D2:
    size = 7

    def __init__(self, information, scaled=True):
        self.map = R2D2Map(3, 0.4, 3.0, 0.6, UNIT, scaled, information)

    def log_density(self, u, coef, sigma):
        k = 0.75 / 0.6
        gamma = np.logaddexp(0, k * u[3:6]) ** 2 / (2 * k**2)
        slope = np.logaddexp(0, k * u[3:6]) / k / (1 + np.exp(-k * u[3:6]))
        explained = 1 / (1 + np.exp(-u[6]))
        scale = UNIT * sigma * np.sqrt(gamma / gamma.sum() * explained / (1 - explained))
        return (
            stats.norm.logpdf(coef, 0, scale).sum()
            + (stats.gamma.logpdf(gamma, 0.6) + np.log(slope)).sum()
            + stats.beta.logpdf(explained, 1.2, 1.8)
            + np.log(explained * (1 - explained))
        )

    def draw(self, rng, n):
        explained = rng.beta(1.2, 1.8, (n, 1))
        share = rng.dirichlet([0.6] * 3, n)
        scale = UNIT * np.sqrt(share * explained / (1 - explained))
        return np.hstack([scale * rng.normal(size=(n, 3)), explained])

    def hyper(self, found):
        return found["R2"][..., np.newaxis]


CASES = [Learned, Horseshoe, R2D2]


def points(case, rng):
    """200 ordinary and 20 extreme points, log sigma last."""
    ordinary = rng.normal(size=(200, case.size + 1))
    extreme = rng.choice([-1, 1], (20, case.size + 1)) * np.geomspace(1e-6, 8, 20)[:, np.newaxis]
    return np.concatenate([ordinary, extreme])


@pytest.mark.parametrize("information", INFORMATION)
@pytest.mark.parametrize("case", CASES)
def test_density_is_the_textbook_s(case, information):
    found = case(INFORMATION[information])
    for q in points(case, np.random.default_rng(1)):
        u = q if found.map.scaled else q[:-1]
        value, coef, _ = found.map.log_density_and_gradient(u, np.zeros(3))
        # A coefficient is proportional to its own coordinate: that is the Jacobian.
        expected = found.log_density(q[:-1], coef, np.exp(q[-1])) + np.log(np.abs(coef / u[:3])).sum()
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("information", INFORMATION)
@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_the_density(case, information):
    found = case(INFORMATION[information]).map
    weight = np.array([0.3, -1.0, 2.0])

    def density(u):
        value, coef, _ = found.log_density_and_gradient(u, weight)
        return value + weight @ coef, found.log_density_and_gradient(u, weight)[2]

    dim = found.size + found.scaled
    target = PyTarget(dim, density)
    for q in points(case, np.random.default_rng(2)):
        assert gradient_error(target, q[:dim]) < 1e-6


@pytest.mark.parametrize("case", CASES)
def test_density_does_not_depend_on_information_but_by_its_jacobian(case):
    """The same point of coefficients and scales has the same density whatever the coordinates."""
    rng = np.random.default_rng(3)
    one, other = case(0.0).map, case(INFORMATION["much"]).map
    for _ in range(20):
        u = rng.normal(size=one.size + one.scaled)
        coef = one.coefficients(u)
        v = u.copy()
        v[:3] *= coef / other.coefficients(u)
        np.testing.assert_allclose(other.coefficients(v), coef, rtol=1e-12)
        there = other.log_density(v) - np.log(np.abs(coef / v[:3])).sum()
        assert there == pytest.approx(one.log_density(u) - np.log(np.abs(coef / u[:3])).sum(), rel=1e-9)


@functools.cache
def sampled_prior(case, information):
    """Draws of coefficients and hyperparameters by NUTS where the data say nothing, and case."""
    found = case(INFORMATION[information], False)
    inner = SummaryTarget(
        30.0,
        0.0,
        30.0,
        np.zeros((0, 3)),
        np.zeros(0),
        False,
        np.zeros(3),
        np.zeros(3),
        Flat().bind([0, 1, 2]),
        None,
        HalfStudentT().bind([0]),
    )
    target = MappedTarget(inner, found.map, 0)
    start = np.zeros(target.dim)
    settings = Settings(4, 6000, target_accept=0.95, n_threads=2)
    made = run(
        AffineTarget(target, start, np.eye(target.dim)),
        settings,
        np.random.SeedSequence(1),
        known_scale=False,
    )
    q = made.target.unwhiten(made.draws)
    return found, np.concatenate([target.unwhiten(q)[..., :3], found.hyper(target.hyper(q))], axis=-1)


LEVELS = np.array([0.02, 0.1, 0.5, 0.9, 0.98])


@pytest.mark.parametrize("information", ["none", "some"])
@pytest.mark.parametrize("case", CASES)
def test_draws_without_data_are_the_textbook_s(case, information):
    found, draws = sampled_prior(case, information)
    direct = found.draw(np.random.default_rng(1), 1_000_000)
    levels = np.quantile(direct, LEVELS, axis=0)
    below = (draws[..., np.newaxis, :] < levels).astype(float)
    scores = z_scores(below.reshape(*draws.shape[:2], -1), np.repeat(LEVELS, draws.shape[-1]))
    assert np.abs(scores).max() < 4.5


def test_the_comparison_of_draws_notices_a_wrong_scale():
    _, draws = sampled_prior(R2D2, "some")
    direct = np.array([1.15, 1.15, 1.15, 1.0]) * R2D2(0.0).draw(np.random.default_rng(1), 1_000_000)
    below = (draws[..., np.newaxis, :] < np.quantile(direct, LEVELS, axis=0)).astype(float)
    scores = z_scores(below.reshape(*draws.shape[:2], -1), np.repeat(LEVELS, draws.shape[-1]))
    assert np.abs(scores).max() > 4.5


@pytest.mark.parametrize("case", CASES)
def test_coordinates_of_coefficients_give_them_back(case):
    coef = np.array([0.5, 0.0, -30.0])
    for information in INFORMATION.values():
        found = case(information).map
        u = np.append(found.at(coef, 0.7), np.log(0.7))[: found.size + found.scaled]
        assert np.isfinite(found.log_density(u))
        np.testing.assert_allclose(found.coefficients(u), coef, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_maps_are_pickled_and_cloned(case):
    found = case(INFORMATION["some"]).map
    u = np.random.default_rng(1).normal(size=(2, 3, found.size + found.scaled))
    for copy in (found.clone(), pickle.loads(pickle.dumps(found))):
        np.testing.assert_array_equal(copy.coefficients(u), found.coefficients(u))
        np.testing.assert_array_equal(copy.log_density(u), found.log_density(u))


def weak_and_strong(n, p, size, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = X @ (size * rng.normal(size=p)) + rng.normal(size=n)
    factor = np.linalg.qr(X)[1]
    estimate = np.linalg.lstsq(X, y, rcond=None)[0]
    inner = SummaryTarget(
        n,
        0.0,
        np.sum((y - X @ estimate) ** 2),
        factor,
        factor @ estimate,
        False,
        np.zeros(p),
        np.zeros(p),
        Flat().bind(np.arange(p)),
        None,
        HalfStudentT().bind([0]),
    )
    coef_map = LearnedScaleMap(np.ones(p), HalfStudentT().bind([0]), None, np.sum(X**2, axis=0))
    return MappedTarget(inner, coef_map, 0)


@pytest.mark.parametrize(("n", "p", "size"), [(1000, 10, 1.0), (1000, 10, 0.02), (40, 20, 0.3), (30, 5, 0.0)])
def test_a_learned_scale_does_not_diverge_wherever_the_data_stand(n, p, size):
    target = weak_and_strong(n, p, size)
    start = np.zeros(target.dim)
    found = run(
        AffineTarget(target, start, np.eye(target.dim)),
        Settings(4, 500),
        np.random.SeedSequence(1),
        known_scale=False,
    )
    assert found.stats["diverging"].sum() == 0
    assert found.stats["tree_depth"].mean() < 5


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="hyperprior must be a prior on the positive numbers"):
        LearnedScaleMap(UNIT, Flat().bind([0]))
    with pytest.raises(ValueError, match="one of 1 scales"):
        LearnedScaleMap(UNIT, HalfStudentT().bind([0]), [0, 1, 0])

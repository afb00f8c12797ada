"""Maps of coordinates: densities and gradients against mpmath, and the target behind a map."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from bayesglm.inference.sampling import Settings, run
from bayesglm.kernel.coefficient_maps import MappedTarget, PositiveMap, TailMap
from bayesglm.kernel.gaussian import SummaryTarget
from bayesglm.kernel.positive_priors import HalfNormal, HalfStudentT
from bayesglm.kernel.priors import Cauchy, Flat, JointPrior, Laplace, Normal, StudentT
from bayesglm.kernel.shrinkage import LearnedScaleMap, R2D2Map
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.target_cases import gradient_error, z_scores


def summary_target(p, coef_prior, positive=None, seed=3):
    """Five rows' worth of information on p coefficients, an intercept and sigma."""
    rng = np.random.default_rng(seed)
    return SummaryTarget(
        25.0,
        0.3,
        20.0,
        rng.normal(size=(p, p)),
        rng.normal(size=p),
        True,
        rng.normal(size=p),
        np.zeros(p) if positive is None else positive,
        coef_prior,
        Normal(0, 2).bind([0]),
        HalfStudentT(4.0).bind([0]),
    )


def flat(p):
    return Flat().bind(np.arange(p))


# -- tails ---------------------------------------------------------------------------------------


def tail_in_mpmath(v, df, loc, scale):
    """Coefficient and log density of v of a Student-t prior, with their derivatives, to forty digits."""
    with mpmath.workdps(40):
        df, loc, scale = map(mpmath.mpf, (df, loc, scale))
        edge = 4 * mpmath.sqrt(df)

        def coef(x):
            return loc + scale * edge * mpmath.sinh(x / edge)

        def log_density(x):
            t = (coef(x) - loc) / scale
            constant = (
                mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2) - mpmath.log(df * mpmath.pi) / 2
            )
            slope = scale * mpmath.cosh(x / edge)
            return constant - (df + 1) / 2 * mpmath.log1p(t**2 / df) - mpmath.log(scale) + mpmath.log(slope)

        x = mpmath.mpf(v)
        return [
            float(value)
            for value in (coef(x), log_density(x), mpmath.diff(coef, x), mpmath.diff(log_density, x))
        ]


@pytest.mark.parametrize(("prior", "df"), [(Cauchy(0.3, 2.0), 1.0), (StudentT(4.0, -1.0, 0.5), 4.0)])
def test_tail_map_is_the_prior_in_other_coordinates(prior, df):
    loc, scale = prior.loc, prior.scale
    found = TailMap([prior.bind([0])], 1)
    rng = np.random.default_rng(1)
    extreme = np.concatenate([np.geomspace(1e-8, 0.05, 8), np.geomspace(5, 500, 12)]) * rng.choice(
        [-1, 1], 20
    )
    for v in np.concatenate([rng.normal(size=200), extreme]):
        coef, value, slope, score = tail_in_mpmath(v, df, loc, scale)
        got = found.log_density_and_gradient([v], [0.0])
        assert got[0] == pytest.approx(value, rel=1e-12, abs=1e-12)
        assert got[1][0] - loc == pytest.approx(coef - loc, rel=1e-11)
        assert got[2][0] == pytest.approx(score, rel=1e-10, abs=1e-12)
        assert found.log_density_and_gradient([v], [1.0])[2][0] - got[2][0] == pytest.approx(slope, rel=1e-9)


def test_tail_map_leaves_other_priors_as_they_are():
    others = JointPrior(Laplace(0.1, 2.0).bind([1]), HalfNormal(1.5).bind([3]))
    found = TailMap([StudentT(3.0).bind([0, 2]), Laplace(0.1, 2.0).bind([1]), HalfNormal(1.5).bind([3])], 4)
    u = np.array([0.3, -1.2, 2.0, 0.7])
    value, coef, gradient = found.log_density_and_gradient(u, np.zeros(4))
    np.testing.assert_array_equal(coef[[1, 3]], u[[1, 3]])
    expected = others.value_and_gradient(u)
    np.testing.assert_allclose(gradient[[1, 3]], expected[1][[1, 3]])
    alone = TailMap([StudentT(3.0).bind([0])], 1)
    assert value == pytest.approx(expected[0] + alone.log_density([0.3]) + alone.log_density([2.0]))


def test_tail_map_finds_coordinates_of_coefficients():
    found = TailMap([Cauchy(1.0, 2.0).bind([0, 2]), Normal(5.0, 1.0).bind([1])], 3)
    coef = np.array([-1e6, 0.3, 1.0 + 1e-9])
    np.testing.assert_allclose(found.coefficients(found.at(coef)), coef, rtol=1e-9)
    np.testing.assert_allclose(found.coefficients(found.centre()), [1.0, 5.0, 1.0])


def separated(prior, mapped, seed=2):
    """Two separated classes, an intercept and four coefficients of a logistic regression with NumPy."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 4))
    y = X[:, 0] > 0

    def loglik(q):
        eta = q[0] + X @ q[1:]
        gap = y - 0.5 * (1.0 + np.tanh(0.5 * eta))
        return -np.logaddexp(0.0, np.where(y, -eta, eta)).sum(), np.append(gap.sum(), gap @ X)

    bound = prior.bind(np.arange(5))
    if mapped:
        return MappedTarget(PyTarget(5, loglik), TailMap([bound], 5), 0)

    def with_prior(q):
        one, two = loglik(q), bound.value_and_gradient(q)
        return one[0] + two[0], one[1] + two[1]

    return PyTarget(5, with_prior)


@pytest.mark.parametrize("mapped", [False, True])
def test_cauchy_priors_under_separation_diverge_only_without_the_map(mapped):
    target = separated(Cauchy(0, 2.5), mapped, seed=3)
    whitened = AffineTarget(target, np.zeros(5), np.eye(5))
    settings = Settings(4, 150, target_accept=0.95 if mapped else 0.8, max_treedepth=6)
    found = run(whitened, settings, np.random.SeedSequence(5), known_scale=False)
    divergences = found.stats["diverging"].sum()
    # Without the map even the smallest steps that warm-up asks for do not help all trajectories.
    assert divergences == 0 if mapped else divergences > 0


# -- bounds --------------------------------------------------------------------------------------


def test_positive_map_is_what_the_summary_target_does():
    positive = np.array([0.7, 0.0, 1.9])
    prior = JointPrior(HalfNormal(2.0).bind([0, 2]), Normal(0, 1).bind([1]))
    whole = summary_target(3, prior, positive)
    mapped = MappedTarget(summary_target(3, flat(3)), PositiveMap(prior, positive), 1)
    rng = np.random.default_rng(1)
    for scale in (1.0, 1.0, 30.0):
        q = scale * rng.normal(size=5)
        q[-1] /= scale
        one, two = whole(q), mapped(q)
        assert two[0] == pytest.approx(one[0], rel=1e-13)
        np.testing.assert_allclose(two[1], one[1], rtol=1e-11, atol=1e-11)
    points = rng.normal(size=(7, 5))
    np.testing.assert_allclose(mapped.unwhiten(points)[:, :-1], whole.unwhiten(points)[0])


def test_positive_map_finds_coordinates_of_coefficients():
    found = PositiveMap(HalfNormal().bind([0, 1, 2]), [0.5, 0.0, 2.0])
    np.testing.assert_allclose(found.coefficients(found.at([3.0, -1.0, 0.4])), [3.0, -1.0, 0.4])
    np.testing.assert_allclose(found.coefficients(found.centre()), [0.5, 0.0, 2.0])


# -- the target behind a map ---------------------------------------------------------------------


def learned(p):
    return LearnedScaleMap(np.ones(p), HalfStudentT(3.0).bind([0]))


MAPS = {
    "tails": lambda p: TailMap([Cauchy(0, 2).bind(np.arange(p))], p),
    "learned": learned,
    "scaled": lambda p: R2D2Map(p, scaled=True, information=2.0),
}


@pytest.mark.parametrize("name", MAPS)
def test_mapped_target_adds_the_density_of_the_map(name):
    coef_map = MAPS[name](3)
    inner = summary_target(3, flat(3))
    target = MappedTarget(inner, coef_map, 1)
    assert target.dim == 2 + coef_map.size
    rng = np.random.default_rng(1)
    for _ in range(10):
        q = rng.normal(size=target.dim)
        u = np.append(q[1:-1], q[-1]) if coef_map.scaled else q[1:-1]
        there = np.concatenate([q[:1], coef_map.coefficients(u), q[-1:]])
        np.testing.assert_allclose(target.unwhiten(q), there)
        assert target(q)[0] == pytest.approx(inner(there)[0] + coef_map.log_density(u))
        assert gradient_error(target, q) < 1e-8
        np.testing.assert_array_equal(target.clone()(q)[1], target(q)[1])


def test_chains_with_their_own_clones_agree_with_one_after_the_other():
    target = MappedTarget(summary_target(3, flat(3)), MAPS["scaled"](3), 1)
    found = [
        run(target, Settings(4, 50, tune=50, n_threads=n), np.random.SeedSequence(1), known_scale=True).draws
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(*found)


def test_an_error_of_the_inner_target_ends_the_run():
    def fail(q):
        raise RuntimeError("no density today")

    target = MappedTarget(PyTarget(2, fail), learned(2), 0)
    with pytest.raises((RuntimeError, ValueError), match=r"no density today|not finite|density"):
        run(target, Settings(1, 5, tune=5), np.random.SeedSequence(1), known_scale=True)


def test_prior_draws_by_nuts_are_draws_from_the_prior():
    prior = StudentT(3.0, 1.0, 2.0)
    target = MappedTarget(PyTarget(2, lambda q: (0.0, np.zeros(2))), TailMap([prior.bind([0, 1])], 2), 0)
    found = run(target, Settings(4, 1000, tune=200), np.random.SeedSequence(1), known_scale=True)
    coef = target.unwhiten(found.draws)
    levels = stats.t(3.0, 1.0, 2.0).ppf([0.01, 0.1, 0.5, 0.9, 0.99])
    below = (coef[..., np.newaxis] < levels).astype(float).reshape(4, 1000, -1)
    assert np.abs(z_scores(below, np.tile([0.01, 0.1, 0.5, 0.9, 0.99], 2))).max() < 4.5


def test_coefficients_and_unit_must_be_coordinates():
    inner = summary_target(3, flat(3))
    with pytest.raises(ValueError, match="coefficients 3 to 5"):
        MappedTarget(inner, learned(3), 3)
    with pytest.raises(ValueError, match="unit=2 is not a coordinate"):
        MappedTarget(inner, MAPS["scaled"](3), 1, 2)
    with pytest.raises(ValueError, match="u has 2 entries, but the map takes 4"):
        learned(3).coefficients([1.0, 2.0])
    with pytest.raises(ValueError, match="grad_coef has 1 entries"):
        learned(3).log_density_and_gradient(np.zeros(4), [1.0])

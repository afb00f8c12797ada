"""The continuous ranked probability score against its definition, scipy.integrate, mpmath and the normal's formula."""

import tracemalloc
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.integrate import fixed_quad
from scipy.stats import norm

from bayesglm import crps as module
from bayesglm.crps import component_crps, crps, half_spread
from bayesglm.prediction import DrawSource
from tests.linear_data import FRAME, X, exact_fit, sampled_fit, y
from tests.test_prediction import MIXTURES, FixedMixture

#: One row with a zero in it.
ROW = np.zeros((1, 1))


def normal_crps(y, mean, sd):
    """The well-known formula for one normal."""
    z = (y - mean) / sd
    return sd * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / np.sqrt(np.pi))


def defined_crps(y, weights, means, sds):
    """The definition: the integral of the squared distance between F and the step at y, piece by piece."""
    weights, means, sds = (np.asarray(a, dtype=float) for a in (weights, means, sds))
    reaches = (-38, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 38)
    marks = np.unique(np.concatenate([[y], *(means + reach * sds for reach in reaches)]))

    def squared(x):
        side = norm.cdf if x.max() <= y else norm.sf
        return (side(x[:, np.newaxis], means, sds) @ weights) ** 2

    return sum(fixed_quad(squared, low, high, n=24)[0] for low, high in pairwise(marks))


def exact_spread(weights, means, sds):
    """E|Y - Y'|/2 in sixty digits."""
    with mpmath.workdps(60):
        total = mpmath.mpf(0)
        for w, m, s in zip(weights, means, sds, strict=True):
            for v, n, t in zip(weights, means, sds, strict=True):
                width = mpmath.sqrt(mpmath.mpf(s) ** 2 + mpmath.mpf(t) ** 2)
                z = (mpmath.mpf(m) - mpmath.mpf(n)) / width
                mean = width * (
                    mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-z * z / 2) + z * mpmath.erf(z / mpmath.sqrt(2))
                )
                total += mpmath.mpf(w) * mpmath.mpf(v) * mean / 2
        return float(total)


def both_ways(weights, means, sds, monkeypatch):
    """The spread by the grid and by pairs, whatever they cost."""
    centred = np.atleast_2d(means - np.dot(weights, means))
    found = []
    for cost in (1e9, 0.0):
        monkeypatch.setattr(module, "_PAIR_COST", cost)
        found.append(half_spread(np.asarray(weights), centred, np.atleast_2d(sds))[0])
    return found


# -- values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1.0, 1e150])
@pytest.mark.parametrize("z", [-1e6, -40.0, -3.0, 0.0, 0.7, 9.0, 1e9])
def test_one_component_is_the_normals_formula(z, scale):
    found = crps(FixedMixture([1.0], [3.0 * scale], [2.0 * scale]), ROW, [scale * (3.0 + 2.0 * z)])
    np.testing.assert_allclose(found / scale, normal_crps(3.0 + 2.0 * z, 3.0, 2.0), rtol=1e-14)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_are_the_integral_that_defines_the_score(name, narrow):
    weights, means, sds = (np.asarray(a, dtype=float) for a in MIXTURES[name])
    weights = weights / weights.sum()
    centre, spread = np.dot(weights, means), np.max(sds)
    for observed in centre + spread * np.array([-20.0, -2.0, 0.0, 0.3, 5.0]):
        found = crps(FixedMixture(weights, means, sds, narrow), ROW, [observed])
        expected = defined_crps(observed - centre, weights, means - centre, sds)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["one", "two close", "bimodal", "large mean", "skewed"])
def test_grid_and_pairs_agree_with_sixty_digits(name, monkeypatch):
    weights, means, sds = (np.asarray(a, dtype=float) for a in MIXTURES[name])
    weights = weights / weights.sum()
    expected = exact_spread(weights, means, sds)
    np.testing.assert_allclose(both_ways(weights, means, sds, monkeypatch), expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_grid_and_pairs_agree_on_mixtures_like_posteriors(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 60))
    weights = rng.dirichlet(np.full(size, 0.5))
    sds = np.exp(rng.uniform(0.01, 1.0) * rng.normal(size=size))
    means = 1e9 + rng.uniform(0.0, 4.0) * rng.normal(size=size)
    expected = exact_spread(weights, means, sds)
    np.testing.assert_allclose(both_ways(weights, means, sds, monkeypatch), expected, rtol=1e-13)


def test_a_large_offset_costs_no_digits():
    weights, means, sds = np.array([0.25, 0.75]), np.array([[-1.0, 2.0]]), np.array([[1.0, 0.5]])
    for distance in (0.25, -3.0, 64.0):
        near = component_crps(np.array([distance]), weights, means, sds)
        far = component_crps(np.array([1e9 + distance]), weights, 1e9 + means, sds)
        np.testing.assert_allclose(far, near, rtol=1e-14)


def test_points_have_the_score_of_a_sample():
    points = np.array([[-1.0, 0.5, 0.5, 4.0]])
    weights = np.full(4, 0.25)
    expected = np.abs(points - 0.2).mean() - 0.5 * np.abs(points - points.T).mean()
    for sds in (np.zeros((1, 4)), np.full((1, 4), 1e-200)):
        np.testing.assert_allclose(
            component_crps(np.array([0.2]), weights, points, sds), expected, rtol=1e-15
        )


def test_an_infinite_response_is_infinitely_far():
    assert np.all(
        np.isposinf(
            component_crps(np.array([np.inf, -np.inf]), np.ones(1), np.zeros((2, 1)), np.ones((1, 1)))
        )
    )


def test_many_draws_take_the_grid_and_agree_with_the_pairs(monkeypatch):
    rng = np.random.default_rng(3)
    source = DrawSource(np.empty((2000, 0)), rng.normal(0, 0.1, 2000), rng.gamma(50, 0.02, 2000))
    rows, observed = np.empty((3, 0)), np.array([-1.0, 0.1, 30.0])
    with monkeypatch.context() as patch:
        patch.setattr(module, "_by_pairs", lambda *_: pytest.fail("four million pairs"))
        found = crps(source, rows, observed)
    monkeypatch.setattr(module, "_PAIR_COST", 0.0)
    np.testing.assert_allclose(found, crps(source, rows, observed), rtol=1e-12)


def test_widths_that_no_grid_can_serve_take_the_pairs(monkeypatch):
    weights, means, sds = MIXTURES["heavy tails"]
    monkeypatch.setattr(module, "_by_grid", lambda *_: pytest.fail("a hundred million nodes"))
    found = crps(FixedMixture(weights, means, sds), ROW, [0.0])
    np.testing.assert_allclose(found, defined_crps(0.0, weights, means, sds), rtol=1e-12)


# -- rows ------------------------------------------------------------------------------------------------


def test_rows_that_hold_nan_stay_nan_and_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    source = DrawSource(rng.normal(size=(40, 2)), rng.normal(size=40), rng.gamma(5, 0.2, 40))
    rows, observed = rng.normal(size=(50, 2)), rng.normal(size=50)
    rows[3, 1], observed[7] = np.nan, np.nan
    found = crps(source, rows, observed)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 7]
    one_by_one = np.concatenate([crps(source, rows[i : i + 1], observed[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(one_by_one, found, rtol=1e-14)
    monkeypatch.setattr("bayesglm.prediction._BUDGET", 1 << 12)
    np.testing.assert_allclose(crps(source, rows, observed), found, rtol=1e-14)
    assert crps(source, rows[:0], observed[:0]).shape == (0,)


def test_shape_of_y_is_checked():
    with pytest.raises(ValueError, match=r"y must have shape \(1,\)"):
        crps(FixedMixture([1.0], [0.0], [1.0]), ROW, [1.0, 2.0])


def test_memory_is_bounded():
    rng = np.random.default_rng(2)
    source = DrawSource(rng.normal(size=(1000, 2)), rng.normal(size=1000), rng.gamma(50, 0.02, 1000))
    rows = rng.normal(size=(400, 2))
    tracemalloc.start()
    crps(source, rows, rows[:, 0])  # 3 MB for each array that held everything
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


# -- the estimator's method ------------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [exact_fit, sampled_fit], ids=["exact", "draws"])
def test_method_agrees_with_simulation(fitted):
    model = fitted()
    first, second = (model.sample_predictive(X[:5], 40_000, random_state=seed) for seed in (1, 2))
    # Both come in the order of the posterior draws, which must not be compared with themselves.
    second = np.random.default_rng(0).permutation(second)
    scores = np.abs(first - y[:5]) - 0.5 * np.abs(first - second)
    z = (scores.mean(axis=0) - model.crps(X[:5], y[:5])) / (scores.std(axis=0) / np.sqrt(len(scores)))
    assert np.all(np.abs(z) < 4.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_method_takes_y_from_a_formula():
    model = type(exact_fit())("y ~ a + b", draws=20, random_state=0).fit(FRAME)
    np.testing.assert_array_equal(model.crps(FRAME), model.crps(FRAME, FRAME["y"]))
    missing = FRAME.assign(a=FRAME["a"].where(FRAME.index != 4))
    assert np.flatnonzero(np.isnan(model.crps(missing))).tolist() == [4]

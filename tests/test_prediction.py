"""Predictive quantiles, densities and draws against root finding, scipy.stats and simulation."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm

from bayesglm import mixture_quantiles, prediction
from bayesglm.prediction import DrawSource, draw, intervals, log_density, moments, quantiles


class FixedMixture:
    """The same mixture for every row, shifted by the row's first column."""

    def __init__(self, weights, means, sds, narrow=False):
        self.weights = np.asarray(weights, dtype=float)
        self.means = np.asarray(means, dtype=float)
        self.sds = np.asarray(sds, dtype=float)
        self.narrow = narrow
        self.n_components = self.weights.size

    def components(self, X, kind):
        means = X[:, :1] + self.means
        sds = self.sds[np.newaxis] if self.narrow else np.tile(self.sds, (len(X), 1))
        return self.weights, means, sds


def reference_quantile(weights, means, sds, q):
    """Root of the mixture's distribution function, or of its upper tail where that is the smaller."""
    weights, means, sds = (np.asarray(a, dtype=float) for a in (weights, means, sds))

    def excess(x):
        if q <= 0.5:
            return weights @ norm.cdf(x, means, sds) - q
        return (1 - q) - weights @ norm.sf(x, means, sds)

    ends = means + norm.ppf(q) * sds
    low, high = ends.min() - sds.max(), ends.max() + sds.max()
    return brentq(excess, low, high, xtol=1e-14 * sds.min(), rtol=1e-15, maxiter=1000)


def mixture_sd(weights, means, sds):
    weights, means, sds = (np.asarray(a, dtype=float) for a in (weights, means, sds))
    return np.sqrt(weights @ (sds**2 + (means - weights @ means) ** 2))


MIXTURES = {
    "one": ([1.0], [0.3], [2.0]),
    "two close": ([0.5, 0.5], [0.0, 0.5], [1.0, 1.3]),
    "bimodal": ([0.35, 0.65], [-5.0, 5.0], [1.0, 0.5]),
    "spike and slab": ([0.2, 0.8], [0.0, 0.1], [1e-4, 10.0]),
    "many scales": ([0.25, 0.25, 0.25, 0.25], [0.0, 1.0, -2.0, 30.0], [1e-3, 0.1, 1.0, 100.0]),
    "heavy tails": (np.full(50, 0.02), np.zeros(50), np.geomspace(0.1, 1e6, 50)),
    "large mean": ([0.4, 0.6], [1e8, 1e8 + 1.0], [1.0, 2.0]),
    "skewed": (np.full(30, 1 / 30), np.geomspace(0.01, 20, 30), np.geomspace(0.05, 5, 30)),
}
LEVELS = [1e-300, 1e-12, 1e-6, 0.001, 0.05, 0.3, 0.5, 0.62, 0.95, 0.999, 1 - 1e-6, 1 - 1e-12]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def regression(rng):
    """Posterior draws of a small regression and rows to predict."""
    draws = 300
    source = DrawSource(
        rng.normal([1.0, -2.0], 0.1, (draws, 2)), rng.normal(0.5, 0.1, draws), rng.gamma(50, 0.02, draws)
    )
    return source, rng.normal(size=(40, 2))


# ---------------------------------------- quantiles


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", MIXTURES)
def test_quantiles_are_roots_of_the_distribution_function(name, narrow):
    weights, means, sds = MIXTURES[name]
    found = quantiles(FixedMixture(weights, means, sds, narrow), np.zeros((1, 1)), LEVELS)[0]
    expected = [reference_quantile(weights, means, sds, q) for q in LEVELS]
    np.testing.assert_allclose(
        found,
        expected,
        rtol=4e-16 if name == "large mean" else 1e-14,
        atol=1e-10 * mixture_sd(weights, means, sds),
    )
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize("sd", [1e-150, 1e-12, 1.0, 1e12, 1e150])
def test_one_component_gives_normal_quantiles_at_any_scale(sd):
    q = np.array([1e-6, 0.05, 0.5, 0.9, 1 - 1e-6])
    found = quantiles(FixedMixture([1.0], [3.0 * sd], [sd]), np.zeros((1, 1)), q)[0]
    np.testing.assert_allclose(found / sd, norm.ppf(q, 3.0, 1.0), rtol=0, atol=1e-10)


@pytest.mark.parametrize("sd", [1e-150, 1e150])
def test_mixtures_at_extreme_scales(sd):
    weights, means, sds = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([1.0, 0.5])
    plain = quantiles(FixedMixture(weights, means, sds), np.zeros((1, 1)), LEVELS)
    scaled = quantiles(FixedMixture(weights, sd * means, sd * sds), np.zeros((1, 1)), LEVELS)
    np.testing.assert_allclose(scaled / sd, plain, rtol=1e-12, atol=1e-10)


def test_few_evaluations_suffice_for_a_posterior(regression, monkeypatch):
    source, X = regression
    evaluations = []
    evaluate = mixture_quantiles._evaluate
    monkeypatch.setattr(
        mixture_quantiles, "_evaluate", lambda x, *rest: evaluations.append(x.size) or evaluate(x, *rest)
    )
    intervals(source, X, 0.9)
    assert sum(evaluations) <= 2.5 * 2 * len(X)


def test_level_inside_a_gap_between_modes_lands_in_the_gap():
    median = quantiles(FixedMixture([0.5, 0.5], [-100.0, 110.0], [1.0, 1.0]), np.zeros((1, 1)), 0.5)
    assert -95.0 < median[0] < 105.0


def test_scalar_and_array_levels_have_their_shapes(regression):
    source, X = regression
    assert quantiles(source, X, 0.3).shape == (40,)
    assert quantiles(source, X, [0.3]).shape == (40, 1)
    assert quantiles(source, X, []).shape == (40, 0)
    assert quantiles(source, X[:0], [0.3, 0.4]).shape == (0, 2)
    np.testing.assert_array_equal(quantiles(source, X, [0.7, 0.3])[:, 1], quantiles(source, X, 0.3))


def test_levels_zero_and_one_are_infinite_for_a_response(regression):
    source, X = regression
    ends = quantiles(source, X, [0, 1])
    assert np.all(np.isneginf(ends[:, 0]))
    assert np.all(np.isposinf(ends[:, 1]))


@pytest.mark.parametrize("q", [-0.1, 1.1, np.nan, [0.5, 2.0]])
def test_levels_outside_the_unit_interval_are_refused(regression, q):
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        quantiles(*regression, q)


def test_levels_that_are_no_list_of_numbers_are_refused(regression):
    for q in ([[0.1]], "median", [[0.1], [0.2, 0.3]]):
        with pytest.raises(ValueError, match="q must be a number or a one-dimensional sequence"):
            quantiles(*regression, q)


def test_unknown_kind_is_refused(regression):
    source, X = regression
    for call in (quantiles, intervals):
        with pytest.raises(ValueError, match='kind must be "response" or "mean"'):
            call(source, X, 0.5, "median")


def test_mean_of_draws_has_the_empirical_quantiles(regression):
    source, X = regression
    lines = X @ source.coef.T + source.intercept
    q = [0.0, 0.025, 0.31, 0.5, 1.0]
    np.testing.assert_allclose(quantiles(source, X, q, "mean"), np.quantile(lines, q, axis=1).T, rtol=1e-13)


def test_rows_without_width_stand_among_rows_with_width():
    class Line:
        """A regression line through the origin, known exactly at zero only."""

        n_components = 3

        def components(self, X, kind):
            return np.array([0.2, 0.3, 0.5]), np.zeros((len(X), 3)), np.abs(X) * np.array([1.0, 2.0, 3.0])

    found = quantiles(Line(), np.array([[0.0], [2.0], [0.0]]), [0.1, 0.9], "mean")
    np.testing.assert_array_equal(found[[0, 2]], 0.0)
    expected = reference_quantile([0.2, 0.3, 0.5], np.zeros(3), [2.0, 4.0, 6.0], 0.9)
    np.testing.assert_allclose(found[1], [-expected, expected], rtol=1e-12)


def test_unequally_weighted_points_use_the_inverse_distribution_function():
    source = FixedMixture([0.2, 0.5, 0.3], [3.0, 1.0, 2.0], [0.0, 0.0, 0.0])
    found = quantiles(source, np.zeros((1, 1)), [0.0, 0.4, 0.6, 0.79, 0.81, 1.0], "mean")
    np.testing.assert_array_equal(found[0], [1.0, 1.0, 2.0, 2.0, 3.0, 3.0])


def test_a_point_among_normals_is_found():
    source = FixedMixture([0.5, 0.5], [0.0, 0.0], [0.0, 1.0])
    found = quantiles(source, np.zeros((1, 1)), [0.1, 0.4, 0.9])[0]
    np.testing.assert_allclose(found, [norm.ppf(0.2), 0.0, norm.ppf(0.8)], atol=1e-10)


# ---------------------------------------- intervals, moments


def test_interval_is_equal_tailed(regression):
    source, X = regression
    found = intervals(source, X, 0.8)
    np.testing.assert_allclose(found, quantiles(source, X, [0.1, 0.9]), rtol=1e-9)
    wide = intervals(source, X, 0.99)
    assert np.all(wide[:, 0] < found[:, 0])
    assert np.all(found[:, 1] < wide[:, 1])
    line = intervals(source, X, 0.8, "mean")
    assert np.all(line[:, 0] > found[:, 0])


@pytest.mark.parametrize("coverage", [0, 1, -0.5, 90, np.nan, "90%", None])
def test_impossible_coverage_is_refused(regression, coverage):
    with pytest.raises(ValueError, match="coverage must lie strictly between 0 and 1"):
        intervals(*regression, coverage)


@pytest.mark.parametrize("kind", ["response", "mean"])
def test_moments_are_those_of_the_draws(regression, kind):
    source, X = regression
    lines = X @ source.coef.T + source.intercept
    mean, sd = moments(source, X, kind)
    np.testing.assert_allclose(mean, lines.mean(axis=1), rtol=1e-12)
    noise = (source.sigma**2).mean() if kind == "response" else 0.0
    np.testing.assert_allclose(sd, np.sqrt(lines.var(axis=1) + noise), rtol=1e-12)


# ---------------------------------------- density


def test_log_density_is_that_of_the_mixture(regression, rng):
    source, X = regression
    y = rng.normal(size=len(X))
    terms = norm.logpdf(y[:, np.newaxis], X @ source.coef.T + source.intercept, source.sigma)
    np.testing.assert_allclose(log_density(source, X, y), logsumexp(terms, axis=1) - np.log(300), rtol=1e-12)


def test_log_density_does_not_underflow_in_the_tails():
    source = FixedMixture([0.5, 0.25, 0.25, 0.0], [0.0, 1.0, 0.0, 5.0], [1.0, 1.0, 1e-150, 1.0])
    y = np.array([1e5, -1e100, np.inf])
    found = log_density(source, np.zeros((3, 1)), y)
    at_mean_one = np.log(0.25) + norm.logpdf(1e5 - 1.0)
    np.testing.assert_allclose(found[0], at_mean_one, rtol=1e-14)
    np.testing.assert_allclose(found[1], -0.5e200, rtol=1e-14)
    assert found[2] == -np.inf


@pytest.mark.parametrize("sd", [1e-150, 1e150])
def test_log_density_at_extreme_scales(sd):
    found = log_density(FixedMixture([1.0], [0.0], [sd]), np.zeros((1, 1)), np.array([2.0 * sd]))
    np.testing.assert_allclose(found, norm.logpdf(2.0) - np.log(sd), rtol=1e-14)


def test_log_density_wants_one_response_a_row(regression):
    source, X = regression
    with pytest.raises(ValueError, match="one value for each row"):
        log_density(source, X, np.zeros(39))


# ---------------------------------------- rows and blocks


def test_rows_that_cannot_be_computed_are_nan_and_leave_the_others_alone(regression, rng):
    source, X = regression
    y = rng.normal(size=len(X))
    broken = X.copy()
    broken[[0, 17], 1] = np.nan
    good = np.setdiff1d(np.arange(len(X)), [0, 17])
    results = {
        "quantiles": (quantiles(source, X, [0.1, 0.9]), quantiles(source, broken, [0.1, 0.9])),
        "mean": (quantiles(source, X, 0.5, "mean"), quantiles(source, broken, 0.5, "mean")),
        "density": (log_density(source, X, y), log_density(source, broken, y)),
        "sd": (moments(source, X)[1], moments(source, broken)[1]),
        "draws": tuple(
            draw(source.coef, source.intercept, source.sigma, rows, rng=np.random.default_rng(1)).T
            for rows in (X, broken)
        ),
    }
    for name, (whole, holed) in results.items():
        assert np.isnan(holed[[0, 17]]).all(), name
        np.testing.assert_allclose(holed[good], whole[good], rtol=1e-12, err_msg=name)
    assert np.isnan(intervals(source, np.full((3, 2), np.nan))).all()
    y[4] = np.nan
    assert np.flatnonzero(np.isnan(log_density(source, X, y))).tolist() == [4]


def test_blocks_and_neighbours_do_not_matter(regression, monkeypatch, rng):
    source, X = regression
    y = rng.normal(size=len(X))

    def everything(rows):
        lines = draw(source.coef, source.intercept, source.sigma, X[rows], kind="mean")
        return np.column_stack(
            [quantiles(source, X[rows], [1e-6, 0.05, 0.8]), log_density(source, X[rows], y[rows]), lines.T]
        )

    whole = everything(np.arange(len(X)))
    shuffled = rng.permutation(len(X))
    np.testing.assert_allclose(everything(shuffled), whole[shuffled], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(everything(np.array([5])), whole[[5]], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(prediction, "_BUDGET", 1)
    np.testing.assert_allclose(everything(np.arange(len(X))), whole, rtol=1e-12, atol=1e-12)


def test_a_model_without_columns_or_intercept(rng):
    sigma = rng.gamma(50, 0.02, 100)
    source = DrawSource(np.empty((100, 0)), rng.normal(size=100), sigma)
    assert np.ptp(intervals(source, np.empty((5, 0))), axis=0).max() < 1e-14
    line = DrawSource(np.ones((100, 1)), 0.0, sigma)
    np.testing.assert_allclose(quantiles(line, np.array([[3.0]]), 0.5), 3.0, atol=1e-10)
    assert draw(line.coef, 0.0, sigma, np.array([[3.0]]), 7).shape == (7, 1)


def test_memory_stays_bounded(rng):
    n, S = 20_000, 4_000
    source = DrawSource(rng.normal(size=(S, 3)), rng.normal(size=S), np.full(S, 2.0))
    X = rng.normal(size=(n, 3))
    calls = {
        "log_density": lambda rows: log_density(source, rows, rows[:, 0]),
        "moments": lambda rows: moments(source, rows)[0],
        # Quantiles cost a hundred times more: fewer rows show the same, since a block does not know how
        # many follow.
        "quantiles": lambda rows: quantiles(source, rows[:500], 0.1),
        "mean": lambda rows: quantiles(source, rows[:2000], 0.1, "mean"),
        "draw": lambda rows: draw(source.coef, source.intercept, source.sigma, rows, 50),
    }
    for name, call in calls.items():
        tracemalloc.start()
        try:
            result = call(X)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak - result.nbytes < 16 * 2**20, name


# ---------------------------------------- draws


def test_draws_have_the_moments_of_the_mixture(regression):
    source, X = regression
    mean, sd = moments(source, X)
    found = draw(source.coef, source.intercept, source.sigma, X, 20_000, rng=np.random.default_rng(3))
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=5 * sd.max() / np.sqrt(20_000))
    np.testing.assert_allclose(found.std(axis=0), sd, rtol=0.03)


def test_all_draws_come_in_their_order(regression):
    source, X = regression
    found = draw(source.coef, source.intercept, source.sigma, X, kind="mean")
    np.testing.assert_allclose(found, source.coef @ X.T + source.intercept[:, np.newaxis], rtol=1e-12)


def test_posterior_draws_are_used_evenly():
    S = 10
    counts = np.arange(S, dtype=float)
    for n_draws in (1, 4, 10, 23, 40):
        used = draw(np.empty((S, 0)), counts, np.ones(S), np.empty((1, 0)), n_draws, "mean")[:, 0]
        times = np.bincount(used.astype(int), minlength=S)
        assert used.size == n_draws
        assert times.max() - times.min() <= 1


def test_reused_draws_get_fresh_noise():
    found = draw(np.empty((2, 0)), np.zeros(2), np.ones(2), np.empty((3, 0)), 10)
    assert np.unique(found).size == 30


def test_the_same_generator_gives_the_same_draws(regression):
    source, X = regression
    one, two = (
        draw(source.coef, source.intercept, source.sigma, X, 50, rng=np.random.default_rng(5))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("draws", [0, -3, 2.5, True, "all"])
def test_draws_must_be_a_positive_whole_number(regression, draws):
    source, X = regression
    with pytest.raises(ValueError, match="draws must be a positive whole number"):
        draw(source.coef, source.intercept, source.sigma, X, draws)

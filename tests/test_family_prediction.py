"""Predictions of any likelihood against mixtures written out: moments, quantiles, densities, scores, draws."""

import numpy as np
import pytest
from scipy import sparse, stats
from scipy.special import ive

from bayesglm import family_prediction
from bayesglm.crps import crps as normal_crps
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
from bayesglm.family_prediction import FamilySource
from bayesglm.prediction import DrawSource, interval_levels

RNG = np.random.default_rng(0)
N, P, S = 9, 3, 300
X = RNG.normal(size=(N, P))
OFFSET = RNG.normal(scale=0.2, size=N)
TRIALS = RNG.integers(1, 30, N).astype(float)
AUX = {
    name: np.exp(RNG.normal(scale=0.2, size=S) + level)
    for name, level in (
        ("sigma", 0.0),
        ("df", 1.5),
        ("scale", 0.0),
        ("phi", 0.5),
        ("shape", 1.0),
        ("precision", 1.5),
    )
}
FAMILIES = {
    "bernoulli": Bernoulli(),
    "cloglog": Bernoulli("cloglog"),
    "binomial": Binomial(),
    "poisson": Poisson(),
    "negative binomial": NegativeBinomial(),
    "gaussian": Gaussian(),
    "student t": StudentT(),
    "laplace": Laplace(),
    "gamma": Gamma(),
    "inverse gaussian": InverseGaussian(),
    "beta": Beta(),
}
COEF, INTERCEPT = RNG.normal(scale=0.3, size=(S, P)), RNG.normal(scale=0.2, size=S) + 0.4
EVERY = pytest.mark.parametrize("name", FAMILIES)


def setting(name):
    family = FAMILIES[name]
    source = FamilySource(family, COEF, INTERCEPT, {key: AUX[key] for key in family.aux})
    return family, source, TRIALS if family.extra == "trials" else None


def components(source, i, extra):
    """Linear predictors of a row and what else its components take."""
    return X[i] @ COEF.T + INTERCEPT + OFFSET[i], source.aux, None if extra is None else extra[i]


@EVERY
def test_moments(name):
    family, source, extra = setting(name)
    mean, sd = family_prediction.moments(source, X, OFFSET, extra)
    line, spread = family_prediction.moments(source, X, OFFSET, extra, "mean")
    for i in range(N):
        means, variances = (
            family.mean(*components(source, i, extra)),
            family.variance(*components(source, i, extra)),
        )
        assert mean[i] == pytest.approx(means.mean(), rel=1e-12)
        assert line[i] == mean[i]
        assert sd[i] == pytest.approx(np.sqrt(np.mean(variances) + means.var()), rel=1e-12)
        assert spread[i] == pytest.approx(means.std(), rel=1e-10)


@EVERY
def test_quantiles_are_roots_of_the_mixture(name):
    family, source, extra = setting(name)
    q = np.array([0.001, 0.05, 0.5, 0.83, 0.999])
    found = family_prediction.quantiles(source, X, q, "response", OFFSET, extra)
    for i in range(N):
        for j, level in enumerate(q):
            below = family.cdf(found[i, j], *components(source, i, extra)).mean()
            if family.discrete:
                assert found[i, j] == np.floor(found[i, j])
                assert below >= level - 1e-12
                less = family.cdf(found[i, j] - 1.0, *components(source, i, extra)).mean()
                assert found[i, j] == 0.0 or less < level
            else:
                assert below == pytest.approx(level, abs=1e-9)
    means = np.array([family.mean(*components(source, i, extra)) for i in range(N)])
    line = family_prediction.quantiles(source, X, q, "mean", OFFSET, extra)
    np.testing.assert_allclose(line, np.quantile(means, q, axis=1).T, rtol=1e-12)
    assert family_prediction.quantiles(source, X, 0.5, "response", OFFSET, extra).shape == (N,)


@EVERY
def test_log_density_is_that_of_the_mixture(name):
    family, source, extra = setting(name)
    y = family_prediction.quantiles(source, X, 0.7, "response", OFFSET, extra)
    found = family_prediction.log_density(source, X, y, OFFSET, extra)
    for i in range(N):
        each = np.exp(family.logpdf(y[i], *components(source, i, extra)))
        assert found[i] == pytest.approx(np.log(each.mean()), rel=1e-10)


@EVERY
def test_crps_against_its_integral(name):
    """The squared distance of distribution functions, on a fine grid or summed over whole numbers."""
    family, source, extra = setting(name)
    y = family_prediction.quantiles(source, X, 0.8, "response", OFFSET, extra)
    found = family_prediction.crps(source, X, y, OFFSET, extra)
    for i in range(0, N, 3):
        ends = family_prediction.quantiles(
            source,
            X[i : i + 1],
            [1e-7, 1 - 1e-7],
            "response",
            OFFSET[i : i + 1],
            None if extra is None else extra[i : i + 1],
        )[0]
        at = np.arange(0.0, ends[1] + 1.0) if family.discrete else np.linspace(*ends, 8001)
        below = np.array([family.cdf(x, *components(source, i, extra)).mean() for x in at])
        gap = (below - (at >= y[i])) ** 2
        true = gap.sum() if family.discrete else np.trapezoid(gap, at)
        assert found[i] == pytest.approx(true, rel=1e-6 if family.discrete else 0.02)


def test_crps_of_one_poisson_distribution():
    """E|Y - y| - E|Y - Y'|/2, the latter by Bessel functions; beyond 256 counts by points."""
    for rate, accuracy in ((0.01, 1e-12), (7.0, 1e-12), (150.0, 1e-10), (5000.0, 0.01)):
        source = FamilySource(Poisson(), np.zeros((40, 1)), np.full(40, np.log(rate)), {})
        for y in (0.0, np.ceil(rate), np.ceil(3.0 * rate) + 2.0):
            cdf, pmf = stats.poisson(rate).cdf(y), stats.poisson(rate).pmf(np.floor(y))
            spread = 2.0 * rate * (ive(0, 2.0 * rate) + ive(1, 2.0 * rate))
            true = (y - rate) * (2.0 * cdf - 1.0) + 2.0 * rate * pmf - 0.5 * spread
            found = family_prediction.crps(source, np.ones((1, 1)), np.array([y]))
            assert found[0] == pytest.approx(true, rel=accuracy)


@pytest.mark.parametrize("error", [None, np.linspace(0.0, 2.0, N)])
def test_crps_of_normal_noise_agrees_with_the_exact_one(error):
    source = FamilySource(Gaussian(), COEF, INTERCEPT, {"sigma": AUX["sigma"]})
    y = X[:, 0] + 1.0
    found = family_prediction.crps(source, X, y, None, error)
    for i in range(N):
        sigma = np.hypot(AUX["sigma"], 0.0 if error is None else error[i])
        other = normal_crps(DrawSource(COEF, INTERCEPT, sigma), X[i : i + 1], y[i : i + 1])
        assert found[i] == pytest.approx(other[0], rel=1e-12)


def test_quantiles_in_a_gap_between_modes():
    """Where the distribution function is nearly flat a small distance from the level is no small one from the root."""
    far = np.where(np.arange(S) % 4 == 0, 50.0, 0.0)
    source = FamilySource(Gaussian(), np.zeros((S, 1)), far, {"sigma": np.ones(S)})
    found = family_prediction.quantiles(source, np.ones((1, 1)), [0.3, 0.7499999, 0.7500001, 0.9])[0]
    true = [*stats.norm.ppf([0.4, 0.7499999 / 0.75]), *50.0 + stats.norm.ppf([4e-7, 0.6])]
    np.testing.assert_allclose(found, true, rtol=1e-4)


def test_quantiles_close_to_zero_keep_their_digits():
    """Of one component the quantiles are its own, however small."""
    q = [1e-9, 0.01, 0.5, 0.999]
    for family, aux in (
        (Gamma(), {"shape": 0.1}),
        (InverseGaussian(), {"shape": 0.2}),
        (Beta(), {"precision": 0.4}),
    ):
        draws = {name: np.full(80, value) for name, value in aux.items()}
        source = FamilySource(family, np.zeros((80, 1)), np.full(80, -0.5), draws)
        found = family_prediction.quantiles(source, np.ones((1, 1)), q)[0]
        true = np.array([float(family.quantile(level, -0.5, aux)) for level in q])
        np.testing.assert_allclose(found, true, rtol=1e-8)


def test_rows_of_which_something_overflows_are_refused():
    source = FamilySource(Poisson(), np.ones((S, 1)), INTERCEPT, {})
    rows = np.array([[1.0], [800.0]])
    for call in (
        lambda: family_prediction.moments(source, rows),
        lambda: family_prediction.quantiles(source, rows, 0.5),
        lambda: family_prediction.quantiles(source, rows, 0.5, "mean"),
        lambda: family_prediction.crps(source, rows, np.ones(2)),
    ):
        with pytest.raises(ValueError, match=r"^row 1 of X holds numbers so large"):
            call()
    # A draw or a probability is what it is, and the least probability is 0.
    assert family_prediction.log_density(source, rows, np.ones(2))[1] == -np.inf


@EVERY
def test_draws(name):
    """Each posterior draw makes one of every row: means and tails by z-scores."""
    family, source, extra = setting(name)
    rng, times = np.random.default_rng(3), 40
    drawn = family_prediction.draw(source, X, times * S, "response", rng, OFFSET, extra)
    assert drawn.shape == (times * S, N)
    middle = family_prediction.quantiles(source, X, 0.6, "response", OFFSET, extra)
    for i in range(N):
        below = family.cdf(middle[i], *components(source, i, extra)).mean()
        error = np.sqrt(max(below * (1 - below), 1e-4) / (times * S))
        assert abs((drawn[:, i] <= middle[i]).mean() - below) < 4.5 * error + 1e-9
    line = family_prediction.draw(source, X, None, "mean", rng, OFFSET, extra)
    np.testing.assert_allclose(line[:, 2], family.mean(*components(source, 2, extra)), rtol=1e-12)


@EVERY
def test_rows_are_on_their_own(name):
    """Neither the rows beside it nor a missing value among them changes what is said of a row."""
    _, source, extra = setting(name)
    holed = X.copy()
    holed[4, 1] = np.nan
    y = family_prediction.quantiles(source, X, 0.4, "response", OFFSET, extra)
    for call in (
        lambda rows, o, e, v: family_prediction.moments(source, rows, o, e)[1],
        lambda rows, o, e, v: family_prediction.quantiles(source, rows, [0.1, 0.9], "response", o, e),
        lambda rows, o, e, v: family_prediction.log_density(source, rows, v, o, e),
        lambda rows, o, e, v: family_prediction.crps(source, rows, v, o, e),
        lambda rows, o, e, v: (
            family_prediction.draw(source, rows, 7, "response", np.random.default_rng(1), o, e).T
        ),
    ):
        whole = call(holed, OFFSET, extra, y)
        assert np.isnan(whole[4]).all()
        assert np.isfinite(np.delete(whole, 4, axis=0)).all()
        if call(X, OFFSET, extra, y).shape != (N, 7):
            one = call(X[6:7], OFFSET[6:7], None if extra is None else extra[6:7], y[6:7])
            np.testing.assert_allclose(whole[6], one[0], rtol=1e-13)


@EVERY
def test_sparse_rows(name):
    _, source, extra = setting(name)
    for a, b in zip(
        family_prediction.moments(source, X, OFFSET, extra),
        family_prediction.moments(source, sparse.csr_array(X), OFFSET, extra),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_classes():
    family = Categorical(4)
    coef, level = RNG.normal(size=(S, 4, P)), RNG.normal(size=(S, 4))
    coef[:, 1], level[:, 1] = 0.0, 0.0
    reached = np.array([1.0, 0.0, 1.0, 1.0])
    source = FamilySource(family, coef, level, {}, reached)
    found = family_prediction.class_probabilities(source, X, OFFSET)
    full = np.exp(np.einsum("np,skp->nsk", X, coef) + level + OFFSET[:, None, None] * reached)
    each = full / full.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(found, each.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-14)
    quantiles = family_prediction.class_quantiles(source, X, [0.1, 0.9], OFFSET)
    np.testing.assert_allclose(
        quantiles, np.moveaxis(np.quantile(each, [0.1, 0.9], axis=1), 0, -1), rtol=1e-12
    )
    y = np.arange(N) % 4.0
    np.testing.assert_allclose(
        family_prediction.log_density(source, X, y, OFFSET),
        np.log(found[np.arange(N), y.astype(int)]),
        rtol=1e-11,
    )
    drawn = family_prediction.draw(source, X, 100 * S, "response", np.random.default_rng(2), OFFSET)
    for k in range(4):
        error = np.sqrt(found[:, k] * (1 - found[:, k]) / (100 * S))
        assert np.all(np.abs((drawn == k).mean(axis=0) - found[:, k]) < 4.5 * error)


def test_ends_of_noise_without_bounds():
    for name in ("gaussian", "student t", "laplace"):
        source = setting(name)[1]
        found = family_prediction.quantiles(source, X[:1], [0.0, 1.0])
        assert np.array_equal(found, [[-np.inf, np.inf]]), name


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_ends(q):
    _, source, _ = setting("poisson")
    assert np.all(family_prediction.quantiles(source, X, q, "response") == (0.0 if q == 0.0 else np.inf))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: family_prediction.moments(s, X, kind="line"), "kind must be"),
        (lambda s: family_prediction.quantiles(s, X, 1.5), "q must lie between 0 and 1"),
        (lambda s: interval_levels(1.0), "coverage must lie strictly"),
        (lambda s: family_prediction.draw(s, X, 0), "draws must be a positive"),
    ],
)
def test_what_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call(setting("poisson")[1])

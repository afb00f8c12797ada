"""A response whose squares are hardly doubles any more: everything is what a smaller one gives, times their ratio.

The factor is a power of two, so that nothing is rounded on the way and the results must agree to their last digits.
"""

import copy
import warnings

import numpy as np
import pytest

from bayesglm import R2D2, BayesianLinearRegression, HalfNormal, Laplace
from bayesglm.metrics import crps_scorer, interval_scorer, log_density_scorer, pinball_scorer

POWER = 498
FACTOR = 2.0**POWER
#: Coefficients are of 1e153, whose squares are of 1e306.
COLUMNS = 2.0**-10
RNG = np.random.default_rng(5)
X = COLUMNS * RNG.normal(size=(40, 3))
Y = 1.0 + X @ np.array([1.0, 0.5, 0.25]) / COLUMNS + RNG.normal(size=40)
NEW = np.vstack([X[:5], 8.0 * X[:3]])
SEEN = np.append(Y[:5], [3.0, -30.0, 3e4])
MODELS = {
    "diagonal": {},
    "no intercept": {"fit_intercept": False},
    "any prior": {"prior": Laplace(0, 2)},
    "positive": {"prior": HalfNormal(2)},
    "learned scale": {"prior_scale": "learn"},
    "R2D2": {"prior": R2D2()},
}


def fitted(factor, model, response=Y, **more):
    settings = dict(model)
    if "prior" in settings and not isinstance(settings["prior"], R2D2):
        # The priors named above are of coefficients of 1: bring them to the data.
        settings["prior"] = type(settings["prior"])(scale=2.0 * factor / COLUMNS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        return BayesianLinearRegression(
            draws=100, chains=2, random_state=0, progressbar=False, **settings, **more
        ).fit(X, factor * response)


@pytest.fixture(scope="module", params=MODELS)
def fits(request):
    return fitted(1.0, MODELS[request.param]), fitted(FACTOR, MODELS[request.param])


@pytest.fixture(scope="module")
def both(fits):
    """Two models that have the same draws: chains part company by a last digit, which scales may round differently."""
    small, large = fits[0], copy.deepcopy(fits[1])
    for name in ("Intercept", "coef", "sigma"):
        if name in small.posterior_.draws:
            large.posterior_.draws[name][:] = FACTOR * small.posterior_.draws[name]
    for name in ("intercept_", "coef_", "sigma_"):
        setattr(large, name, FACTOR * getattr(small, name))
    return small, large


def assert_times(large, small, factor=FACTOR):
    np.testing.assert_allclose(np.asarray(large) / factor, small, rtol=1e-9, atol=1e-11 * np.abs(small).max())
    assert np.isfinite(large).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_parameters(fits):
    small, large = fits
    first, second = small.summary().to_frame(), large.summary().to_frame()
    assert str(large.summary())
    own = [name for name in first.index if name in ("Intercept", "x0", "x1", "x2", "sigma")]
    error = np.hypot(first.loc[own, "mcse_mean"], second.loc[own, "mcse_mean"] / FACTOR)
    exact = small.posterior_.exact is not None
    for name in first:
        a, b = first.loc[own, name], second.loc[own, name]
        if name in ("mean", "sd") or name.endswith("%"):
            b = b / FACTOR
            assert (np.abs(a - b) <= (1e-9 * np.abs(a) if exact else 12.0 * error)).all(), name
        elif name == "mcse_mean":
            np.testing.assert_allclose(b / FACTOR, a, rtol=0.5)
        else:
            assert np.isfinite(b).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_predictions(both):
    small, large = both
    for found in zip(large.predict(NEW, return_std=True), small.predict(NEW, return_std=True), strict=True):
        assert_times(*found)
    for kind in ("response", "mean"):
        assert_times(large.predict_interval(NEW, kind=kind), small.predict_interval(NEW, kind=kind))
        q = [0.01, 0.5, 0.9]
        assert_times(large.predict_quantiles(NEW, q, kind=kind), small.predict_quantiles(NEW, q, kind=kind))
        assert_times(
            large.sample_predictive(NEW, kind=kind, random_state=1),
            small.sample_predictive(NEW, kind=kind, random_state=1),
        )


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_scores(both):
    small, large = both
    assert large.score(NEW, FACTOR * SEEN) == pytest.approx(small.score(NEW, SEEN), rel=1e-12)
    weights = np.arange(1.0, 9.0)
    assert large.score(NEW, FACTOR * SEEN, weights) == pytest.approx(small.score(NEW, SEEN, weights))
    shift = POWER * np.log(2.0)
    density = large.log_predictive_density(NEW, FACTOR * SEEN) + shift
    np.testing.assert_allclose(density, small.log_predictive_density(NEW, SEEN), rtol=1e-9)
    assert_times(large.crps(NEW, FACTOR * SEEN), small.crps(NEW, SEEN))
    for scorer in (crps_scorer, interval_scorer, pinball_scorer):
        assert_times(scorer(large, NEW, FACTOR * SEEN), scorer(small, NEW, SEEN))
    assert log_density_scorer(large, NEW, FACTOR * SEEN) + shift == pytest.approx(
        log_density_scorer(small, NEW, SEEN), rel=1e-9
    )


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_arviz(both):
    small, large = (
        model.to_arviz(NEW, factor * SEEN, prior=True)
        for model, factor in zip(both, (1.0, FACTOR), strict=True)
    )
    for group, names in {
        "posterior": ("coef", "sigma"),
        "prior": ("coef", "sigma"),
        "posterior_predictive": ("y",),
        "prior_predictive": ("y",),
    }.items():
        for name in names:
            assert_times(large[group][name].values, small[group][name].values)
    shift = POWER * np.log(2.0)
    np.testing.assert_allclose(
        large["log_likelihood"]["y"].values + shift, small["log_likelihood"]["y"].values, rtol=1e-9
    )
    for name in ("coef", "Intercept", "sigma"):
        if name in small["log_prior"]:
            np.testing.assert_allclose(
                large["log_prior"][name].values + shift, small["log_prior"][name].values, rtol=1e-9, atol=1e-9
            )


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("model", ["diagonal", "no intercept"])
def test_predictions_far_away(model):
    small, large = fitted(1.0, MODELS[model]), fitted(FACTOR, MODELS[model])
    far = 3e5 * X
    assert_times(large.predict(far, return_std=True)[1], small.predict(far, return_std=True)[1])
    assert_times(large.predict_interval(far), small.predict_interval(far))
    assert_times(large.crps(far, FACTOR * Y), small.crps(far, Y))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_several_responses_and_going_on():
    responses = np.column_stack([Y, Y[::-1]])
    small, large = fitted(1.0, {}, responses), fitted(FACTOR, {}, responses)
    assert_times(large.predict(NEW, return_std=True)[1], small.predict(NEW, return_std=True)[1])
    assert large.score(NEW, FACTOR * np.column_stack([SEEN, SEEN])) == pytest.approx(
        small.score(NEW, np.column_stack([SEEN, SEEN]))
    )
    small, large = fitted(1.0, {}).partial_fit(X, Y), fitted(FACTOR, {}).partial_fit(X, FACTOR * Y)
    assert_times(large.coef_, small.coef_)
    assert_times(
        large.sample_posterior(10)["posterior"]["coef"].values,
        small.sample_posterior(10)["posterior"]["coef"].values,
    )


@pytest.mark.parametrize("factor", [1e155, 1e200, 1e305])
def test_beyond_that_the_sentence_names_what_to_divide(factor):
    with pytest.raises(ValueError, match=r"^y holds numbers so large .* divide y"):
        BayesianLinearRegression(draws=10).fit(X, factor * Y)
    with pytest.raises(ValueError, match=r"^y\['y1'\] holds numbers so large .* divide y"):
        BayesianLinearRegression(draws=10).fit(X, np.column_stack([Y, factor * Y]))
    with pytest.raises(ValueError, match=r"^y and column 'x1' hold numbers so large .* divide them"):
        BayesianLinearRegression(draws=10).fit(X * [1.0, 1.0 / factor, 1.0], Y)

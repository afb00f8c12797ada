"""Linear regression of rescaled, shifted, reflected and permuted data: the posterior moves as the mathematics says."""

from functools import cache

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, HalfCauchy, HalfNormal, Horseshoe, Laplace, Normal, StudentT
from tests.acceptance.equivariance import EPS, Change, standard_scores, together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Numbers of few digits: shifted by 1e12 they are as exact as before.
RNG = np.random.default_rng(5)
X = np.rint(RNG.normal(size=(40, 3)) * [512, 256, 1024] + [0, 900, 300]) / 512
Y = np.rint(256 * (1.0 + X @ [1.0, -0.5, 0.25] + RNG.normal(size=40))) / 256
WEIGHTS = np.round(RNG.gamma(2.0, 0.5, 40), 3) + 0.1
ROWS = np.rint(RNG.normal(size=(6, 3)) * 1024) / 512
SEEN = np.rint(256 * RNG.normal(size=6)) / 256

CHANGES = {
    "columns times powers of two": Change(scale=np.array([2.0**40, 2.0**-40, 8.0])),
    "columns times 1e12": Change(scale=1e12),
    "columns times 1e-12": Change(scale=1e-12),
    "columns times 1e12, 1e-12, 3": Change(scale=np.array([1e12, 1e-12, 3.0])),
    "a column reflected": Change(scale=np.array([1.0, -1.0, 1.0])),
    "columns shifted": Change(shift=np.array([1e6, -3.5, 40.0])),
    "columns shifted by 1e12": Change(shift=np.array([1e12, 0.0, -1e12])),
    "columns permuted": Change(order=(2, 0, 1)),
    "y times a power of two": Change(y_scale=2.0**60),
    "y times 1e12": Change(y_scale=1e12),
    "y times 1e-12": Change(y_scale=1e-12),
    "y times -1e-140": Change(y_scale=-1e-140),
    "y times 1e140": Change(y_scale=1e140),
    "y reflected": Change(y_scale=-1.0),
    "y shifted": Change(y_shift=1e6),
    "y shifted by 1e12": Change(y_shift=-1e12),
    "all at once": Change(np.array([1e12, -1e-12, 7.0]), np.array([3e12, 1e-12, 1e3]), (1, 2, 0), -3e5, 1e7),
}

#: Priors in the data's own units, of which all is known exactly: settings of the model.
EXACT = {
    "default": {},
    "rstanarm": {"prior": "rstanarm"},
    "bambi": {"prior": "bambi"},
    "scale 0.1": {"prior_scale": 0.1},
    "half-normal sigma": {"sigma_prior": HalfNormal(0.5, autoscale=True)},
    "located": {
        "intercept_prior": Normal(0.0, 0.5, autoscale=True),
        "prior": Normal(0.0, 1.0, autoscale=True),
    },
    "flat": {"prior": "flat", "intercept_prior": "flat"},
    "precision weights": {"weights_type": "precision"},
    "frequency weights": {},
    "no intercept": {"fit_intercept": False},
}
#: The same that are sampled only.
SAMPLED = {
    "laplace": {"prior": "laplace"},
    "cauchy": {"prior": "cauchy"},
    "student t": {"prior": StudentT(4, 0.0, 1.0, autoscale=True)},
    "cauchy intercept and sigma": {
        "intercept_prior": "cauchy",
        "sigma_prior": HalfCauchy(1.0, autoscale=True),
    },
    "mixed": {"prior": {"x0": Laplace(0.0, 0.5, autoscale=True), "x2": "cauchy"}},
    "arm": {"prior": "arm"},
    "horseshoe": {"prior": Horseshoe(n_signals=1), "target_accept": 0.95},
    "R2D2": {"prior": "r2d2", "target_accept": 0.95},
    "learned scale": {"prior_scale": "learn"},
    "positive": {"positive": True},
    "laplace, precision weights": {"prior": "laplace", "weights_type": "precision"},
}
#: Changes that a prior or a line through zero does not go along with.
NO_INTERCEPT = {name for name, change in CHANGES.items() if np.any(change.shift) or change.y_shift}
AROUND_ZERO = {name for name, change in CHANGES.items() if change.y_shift}
SIGNED = {name for name, change in CHANGES.items() if np.any(change.scale * np.ones(3) * change.y_scale < 0)}
#: Of other changes the chains see the same target, and walk the same way but for rounding.
MIRRORED = {*SIGNED, *(name for name, change in CHANGES.items() if change.order)}
EXCEPT = {"no intercept": NO_INTERCEPT, "arm": AROUND_ZERO, "positive": SIGNED}


def weights(name):
    return WEIGHTS if name.endswith("weights") else None


def fit(name, change, **settings):
    settings = {**EXACT, **SAMPLED}[name] | settings
    prior = settings.get("prior")
    if isinstance(prior, dict) and change.order is not None:
        settings["prior"] = {f"x{change.order.index(int(key[1:]))}": value for key, value in prior.items()}
    w = weights(name)
    model = BayesianLinearRegression(random_state=0, **settings)
    return model.fit(change.columns(X), change.response(Y), None if w is None else change.weight_scale * w)


@cache
def original(name, draws):
    return fit(name, Change(), draws=draws)


def back(model, change):
    """Return draws of a model of changed data in the coordinates of the data as they were."""
    draws = dict(model.posterior_.draws)
    coef = draws["coef"]
    found = {"coef": change.coef_back(coef), "sigma": draws["sigma"] / abs(change.y_scale)}
    if model.fit_intercept:
        # At the mean of the columns: at zero a shift of 1e12 leaves too few digits.
        middle = (change.columns(X).astype(np.longdouble)).mean(axis=0)
        level = draws["Intercept"] + (coef * middle).sum(axis=-1) - change.y_shift
        found["Intercept"] = (level / change.y_scale).astype(float)
    for name in ("prior_scale", "R2"):
        if name in draws:
            found[name] = draws[name]
    if "global_scale" in draws:
        found["global_scale"] = draws["global_scale"]
    return together(found)


def near(found, expected, sd, size=0.0):
    """Whether numbers agree to 1e-9 standard deviations, but for the rounding of numbers of some size."""
    room = 1e-9 * np.abs(sd) + 16 * EPS * (np.abs(expected) + size)
    np.testing.assert_array_less(np.abs(np.asarray(found) - expected), room)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", EXACT)
def test_exact_posterior(name, change):
    if change in EXCEPT.get(name, ()):
        pytest.skip("the prior or the line speaks of zero")
    move, first = CHANGES[change], original(name, 100)
    second = fit(name, move, draws=100)
    before, after, c = first.posterior_.exact, second.posterior_.exact, abs(move.y_scale)
    near(after.mean["coef"], move.coef(before.mean["coef"]), after.sd["coef"])
    near(after.sd["coef"], np.abs(move.coef(before.sd["coef"])), 0.0, after.sd["coef"] * 1e6)
    near(after.mean["sigma"], c * before.mean["sigma"], after.sd["sigma"])
    near(after.sd["sigma"], c * before.sd["sigma"], c * before.sd["sigma"])
    if second.fit_intercept:
        at_zero, width = first.predict(move.origin(3), return_std=True)
        sd = c * np.sqrt(width[0] ** 2 - before.sd["sigma"] ** 2 - before.mean["sigma"] ** 2)
        near(second.intercept_, move.response(at_zero[0]), sd, abs(move.y_shift))
        near(after.sd["Intercept"], sd, sd)
    rows, seen = move.columns(ROWS), move.response(SEEN)
    mean, sd = first.predict(ROWS, return_std=True)
    found_mean, found_sd = second.predict(rows, return_std=True)
    near(found_mean, move.response(mean), c * sd, abs(move.y_shift))
    near(found_sd, c * sd, c * sd)
    quantiles = move.response(first.predict_quantiles(ROWS, [0.05, 0.4, 0.95]))
    if move.y_scale < 0:
        quantiles = move.response(first.predict_quantiles(ROWS, [0.95, 0.6, 0.05]))
    near(second.predict_quantiles(rows, [0.05, 0.4, 0.95]), quantiles, c, 4 * abs(move.y_shift))
    density = first.log_predictive_density(ROWS, SEEN) - np.log(c)
    # A response at 1e12 is known to 1e-4.
    loose = 1e3 * EPS * abs(move.y_shift) / c
    np.testing.assert_allclose(second.log_predictive_density(rows, seen), density, rtol=1e-8, atol=loose)
    np.testing.assert_allclose(second.crps(rows, seen), c * first.crps(ROWS, SEEN), rtol=1e-8, atol=c * loose)


@pytest.mark.parametrize("name", ["precision weights", "laplace, precision weights"])
@pytest.mark.parametrize("factor", [2.0**-40, 1e-9, 3.0, 1e9])
def test_only_ratios_of_precisions_matter(name, factor):
    """Sigma is the noise of a row of weight 1: it grows with the square root."""
    first, second = original(name, 4000), fit(name, Change(weight_scale=factor), draws=4000)
    draws = [model.posterior_.draws for model in (first, second)]
    np.testing.assert_allclose(draws[1]["coef"], draws[0]["coef"], rtol=0, atol=1e-3 * draws[0]["coef"].std())
    np.testing.assert_allclose(draws[1]["sigma"], np.sqrt(factor) * draws[0]["sigma"], rtol=1e-3)
    if name in EXACT:
        exact = [model.posterior_.exact for model in (first, second)]
        near(exact[1].mean["coef"], exact[0].mean["coef"], exact[0].sd["coef"])
        near(exact[1].mean["sigma"] / np.sqrt(factor), exact[0].mean["sigma"], exact[0].sd["sigma"])
        near(exact[1].sd["coef"], exact[0].sd["coef"], exact[0].sd["coef"])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["default", *SAMPLED])
def test_draws(name, change):
    """Draw for draw, or by their moments: seeds are the same, but a walk in a mirror is another one."""
    if change in EXCEPT.get(name, ()):
        pytest.skip("the prior speaks of zero")
    # Maps of all coefficients' scales are not rounded to walk the same way.
    same = change not in MIRRORED and name not in ("horseshoe", "R2D2")
    move, draws = CHANGES[change], 1000 if same else 4000
    a, b = back(original(name, draws), Change()), back(fit(name, move, draws=draws), move)
    if same:
        np.testing.assert_array_less(np.abs(a - b).max(axis=(1, 2)), 0.01 * a.std(axis=(1, 2)))
        return
    scores = standard_scores(a, b)
    assert np.abs(scores).max() < 4.5, scores.round(1)


def test_responses_of_several_units():
    """One fit of four responses is that of each: y, 1e12 y, -1e-12 y, y + 1e6."""
    moves = [Change(y_scale=1e12), Change(y_scale=-1e-12), Change(y_shift=1e6)]
    together = BayesianLinearRegression(random_state=0, draws=100)
    together.fit(X, np.column_stack([Y, *(move.response(Y) for move in moves)]))
    coef, sigma = together.coef_, together.sigma_
    sd = together.posterior_.parts[0].exact.sd["coef"]
    for j, move in enumerate(moves, start=1):
        near(coef[j] / move.y_scale, coef[0], sd)
        np.testing.assert_allclose(sigma[j], abs(move.y_scale) * sigma[0], rtol=1e-9)
    near(together.intercept_[1:], [move.response(together.intercept_[0]) for move in moves], 0.0)

"""Directions of many normal coefficients: the same density; where no row sees, draws of the prior's own."""

import numpy as np
import pytest
from scipy import sparse

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    HalfNormal,
    InverseGamma,
)
from bayesglm.families import Bernoulli, Categorical, Gaussian, NegativeBinomial, Poisson, StudentT
from bayesglm.inference import whitening
from bayesglm.inference.directions import normal_directions
from bayesglm.inference.family_priors import resolve_family
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.regression_data import regression_data
from bayesglm.inference.sampling import Settings
from bayesglm.kernel.priors import Flat, Laplace, Normal
from bayesglm.testing import simulation_based_calibration

N_FEW, P_MANY = 40, 90
RNG = np.random.default_rng(7)
FEW = RNG.normal(size=(N_FEW, P_MANY)) * np.geomspace(1e-3, 1e3, P_MANY) + 0.5
WIDE = RNG.normal(size=(150, 70)) + 1.0
MODELS = {
    "logit": (FEW, Bernoulli(), {}, {}),
    "logit, more rows": (WIDE, Bernoulli(), {}, {}),
    "weights, offset": (
        FEW,
        Poisson(),
        {"weights": RNG.integers(0, 3, N_FEW) * 1.0, "offset": RNG.normal(size=N_FEW)},
        {"prior": Normal(0.3, 0.2)},
    ),
    "not centred": (
        FEW,
        NegativeBinomial(),
        {},
        {"prior": Normal(0.1, 0.2, autoscale=True), "intercept_prior": Normal(0.5, 2.0), "center": False},
    ),
    "not centred, more rows": (
        WIDE,
        Gaussian(),
        {},
        {"prior": Normal(-0.1, 0.2), "intercept_prior": Normal(0.5, 2.0), "center": False},
    ),
    "no intercept": (FEW, Gaussian(), {"intercept": False}, {"prior": Normal(0.1, 0.5, autoscale=True)}),
    "classes": (FEW, Categorical(3), {}, {}),
    # (A wider prior lets lines go through all rows, and the mode be where sigma is nothing.)
    "student t": (FEW, StudentT(df=4.0), {}, {"prior": Normal(0.0, 0.02, autoscale=True)}),
    "student t, more rows": (WIDE, StudentT(), {}, {"prior": Normal(0.0, 0.05)}),
    "sparse": (sparse.csr_array(FEW[:20]), Bernoulli(), {}, {}),
}


def response(family, n):
    rng = np.random.default_rng(1)
    if isinstance(family, Bernoulli | Categorical):
        return rng.integers(0, max(family.n_predictors, 2), n) * 1.0
    return rng.poisson(2.0, n) * 1.0 if isinstance(family, Poisson | NegativeBinomial) else rng.normal(size=n)


def model(name):
    rows, family, row, priors = MODELS[name]
    data = regression_data(rows, response(family, rows.shape[0]), family, **row)
    return data, resolve_family(data, [f"x{j}" for j in range(rows.shape[1])], {}, **priors)


def both(name, monkeypatch):
    """The route along directions, and the plain one, both in maps that do not move."""
    data, bound = model(name)
    monkeypatch.setattr(whitening, "_moving", lambda *_: None)
    along = GeneralRoute(data, bound)
    monkeypatch.setattr(whitening, "normal_directions", lambda *_: None)
    return along, GeneralRoute(data, bound), data


def in_coefficients(route, q, data):
    """Map coordinates along directions to intercepts, coefficients and the rest."""
    contrasts, first = route._contrasts, int(data.intercept)
    directions, K = route._directions, 1 if contrasts is None else contrasts.shape[1]
    linear = q[: len(q) - len(data.family.aux)].reshape(K, -1)
    coef = directions.loc + directions.scale * (linear[:, first:] @ directions.basis.T)
    return np.concatenate([np.hstack([linear[:, :first], coef]).ravel(), q[linear.size :]])


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_same_density(name, monkeypatch):
    along, plain, data = both(name, monkeypatch)
    assert along._directions is not None
    assert plain._directions is None
    rng = np.random.default_rng(2)
    gaps, values = [], []
    for _ in range(5):
        q = along.target.unwhiten(rng.normal(size=along.target.dim))
        values.append(along.target.inner(q)[0])
        gaps.append(values[-1] - plain.target.inner(in_coefficients(along, q, data))[0])
    assert np.ptp(gaps) < 1e-9 * (1.0 + np.abs(values).max())
    assert np.ptp(values) > 1.0


@pytest.mark.parametrize("name", MODELS)
def test_it_has_the_same_mode_and_covariance(name, monkeypatch):
    along, plain, data = both(name, monkeypatch)
    width = np.sqrt(np.sum(plain.laplace.factor**2, axis=1))
    gap = in_coefficients(along, along.laplace.mode, data) - plain.laplace.mode
    assert np.abs(gap / width).max() < 1e-5
    value, slope = along.target(np.zeros(along.target.dim))
    assert np.isfinite(value)
    assert np.abs(slope).max() < 1e-5
    # The factor is a square root of the inverse of the curvature; of that across directions too, if there is but one
    # linear predictor.
    fit = along.laplace
    whitened = fit.factor.T @ fit.curvature @ fit.factor
    np.testing.assert_allclose(np.diag(whitened), 1.0, atol=1e-6)
    rest = whitened - np.diag(np.diag(whitened))
    assert np.abs(rest).max() < (1e-6 if data.family.n_predictors == 1 else 0.6)


def test_one_linear_predictor_has_a_nearly_diagonal_map(monkeypatch):
    monkeypatch.setattr(whitening, "_moving", lambda *_: None)
    data, bound = model("not centred")
    factor = GeneralRoute(data, bound).target.factor
    rest = factor - np.diag(np.diag(factor))
    assert np.flatnonzero(rest.any(axis=0)).tolist() == [0, len(factor) - 1]


@pytest.mark.parametrize(
    ("rows", "family", "priors"),
    [
        (FEW[:, :63], Bernoulli(), {}),
        (np.tile(WIDE, (2, 1)) + np.arange(300)[:, np.newaxis], Bernoulli(), {}),
        (WIDE, Categorical(3), {}),
        (FEW, Bernoulli(), {"intercept_prior": Flat()}),
        (FEW, Bernoulli(), {"prior": Laplace(0.0, 1.0)}),
        (FEW, Bernoulli(), {"positive": True}),
        (np.eye(100), Poisson(), {}),
    ],
    ids=["few columns", "many rows", "classes, more rows", "flat intercept", "laplace", "positive", "sparse"],
)
def test_elsewhere_coefficients_stay_what_they_are(rows, family, priors):
    data = regression_data(rows, response(family, len(rows)), family)
    bound = resolve_family(data, [f"x{j}" for j in range(rows.shape[1])], {}, **priors)
    assert normal_directions(data, bound.standardised(data)) is None


def test_what_no_row_sees_is_the_prior_and_independent_of_the_rest():
    data, bound = model("weights, offset")
    standardised = bound.standardised(data)
    directions = normal_directions(data, standardised)
    rng = np.random.default_rng(3)
    v = rng.normal(size=(4, 5000, directions.basis.shape[1]))
    coef = directions.coefficients(v, np.random.default_rng(4))
    rows = np.concatenate([data.design.block(b) for b in range(data.design.n_blocks)])
    # What the rows see is v's alone ...
    np.testing.assert_allclose(coef @ rows.T, v @ directions.rows.T + directions.offset, atol=1e-9)
    # ... and if v comes from the prior, so do the coefficients: each and every pair.
    z = ((coef - directions.loc) / directions.scale).reshape(-1, P_MANY)
    assert np.abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(len(z))
    products = z.T @ z / len(z) - np.eye(P_MANY)
    assert np.abs(np.diag(products)).max() < 4.5 * np.sqrt(2.0 / len(z))
    assert np.abs(products - np.diag(np.diag(products))).max() < 5.5 / np.sqrt(len(z))


def test_further_draws_have_further_prior_draws_and_seeds_repeat_them():
    data, bound = model("logit")
    settings = Settings(draws=50, chains=2, tune=50)
    features = tuple(f"x{j}" for j in range(P_MANY))
    route = GeneralRoute(data, bound)
    first = route.sample(settings, 0, data, bound, features).draws["coef"]
    again = GeneralRoute(data, bound).sample(settings, 0, data, bound, features).draws["coef"]
    np.testing.assert_array_equal(first, again)
    more = route.more(50, settings)[0]["coef"]
    np.testing.assert_array_equal(more, route.more(50, settings)[0]["coef"])
    free = np.eye(P_MANY) - route._directions.basis @ route._directions.basis.T
    unit = route._directions.scale / data.x_unit

    def unseen(coef):
        return (coef / unit @ free).ravel()

    parts = [unseen(coef) for coef in (first[0], first[1], more[0], more[1])]
    correlations = np.corrcoef(parts) - np.eye(4)
    assert np.abs(correlations).max() < 4.5 / np.sqrt(50 * (P_MANY - N_FEW))


@pytest.mark.parametrize("n", [40, 150])
def test_it_agrees_with_the_exact_moments_of_the_normal_model(n):
    """Quadrature over sigma, by another route: no mode, no directions, no chains."""
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(n, 80)) + 0.5
    y = 1.0 + rows[:, 0] + rng.normal(size=n)
    common = {
        "prior": Normal(0.05, 0.2),
        "intercept_prior": Normal(0.5, 2.0),
        "center": False,
    }
    exact = (
        BayesianLinearRegression(sigma_prior=HalfNormal(1.0), random_state=0, **common)
        .fit(rows, y)
        .posterior_.exact
    )
    model = BayesianGLM(aux_priors={"sigma": HalfNormal(1.0)}, random_state=0, **common).fit(rows, y)
    posterior = model.posterior_
    names = ("Intercept", "coef", "sigma")
    mean, sd = (np.hstack([moments[name] for name in names]) for moments in (exact.mean, exact.sd))
    draws = np.concatenate([np.atleast_3d(posterior.draws[name]) for name in names], axis=2)
    z = (draws - mean) / sd
    assert np.abs(z.mean(axis=(0, 1)) * np.sqrt(np.minimum(posterior.diagnostics.ess_bulk, 4000))).max() < 4.5
    np.testing.assert_allclose(z.std(axis=(0, 1)), 1.0, atol=0.09)


def test_the_climb_starts_where_coefficients_are_zero():
    """Priors far from zero, of predictors far from zero: exp of the one times the other is no number."""
    rows = FEW[:, :70] / np.abs(FEW[:, :70]).max(axis=0) + 1e3
    data = regression_data(rows, response(Poisson(), N_FEW), Poisson())
    priors = {"prior": Normal(1.0, 0.5), "intercept_prior": Normal(0.0, 1e5), "center": False}
    bound = resolve_family(data, [f"x{j}" for j in range(70)], {}, **priors)
    route = GeneralRoute(data, bound)
    assert route._directions.level > 1e3
    assert route.laplace.converged


@pytest.mark.parametrize("family", ["bernoulli", "negative_binomial", "classes"])
def test_ranks_are_uniform(family):
    """By simulation from the priors: a truth is any of the draws, in what the rows see and in what they do not."""
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(30, 70)) + 0.3
    common = {"prior": Normal(0.1, 0.15), "intercept_prior": Normal(0.5, 1.0), "center": False, "draws": 250}
    if family == "classes":
        estimator = BayesianLogisticRegression(**common)
    else:
        estimator = BayesianGLM(family=family, **common)
        if family == "negative_binomial":
            estimator.set_params(aux_priors={"phi": InverseGamma(4.0, 6.0)})
    y = np.arange(30) % (3 if family == "classes" else 2)
    found = simulation_based_calibration(estimator, rows, y, n_simulations=40, random_state=0)
    assert found.p_value > 1e-3

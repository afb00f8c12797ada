"""Few rows: the map that follows the noise's scale has the plain density, and its chains find the posterior."""

import warnings

import numpy as np
import pytest
from scipy import stats

from bayesglm import BayesianGLM, BayesianLinearRegression, HalfNormal, InverseGamma, Normal
from bayesglm.families import (
    Bernoulli,
    Beta,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    StudentT,
)
from bayesglm.inference import whitening
from bayesglm.inference.family_priors import resolve_family
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.moving import moving_target
from bayesglm.inference.regression_data import regression_data
from bayesglm.inference.sampling import Settings
from bayesglm.kernel.moving import MovingTarget
from bayesglm.kernel.priors import Flat
from bayesglm.kernel.target import PyTarget
from bayesglm.testing import simulation_based_calibration
from tests.acceptance.importance import assert_agree

RNG = np.random.default_rng(3)
WIDE, TALL = RNG.normal(size=(6, 8)) + 0.5, RNG.normal(size=(9, 3)) + 0.5
FAMILIES = {
    "gaussian": Gaussian(),
    "student t": StudentT(),
    "student t, df": StudentT(df=4.0),
    "gamma": Gamma(),
    "inverse gaussian": InverseGaussian(),
    "beta": Beta(),
    "negative binomial": NegativeBinomial(),
}


def response(family, n, seed=1):
    rng = np.random.default_rng(seed)
    if isinstance(family, Beta):
        return rng.uniform(0.1, 0.9, n)
    if isinstance(family, NegativeBinomial):
        return rng.negative_binomial(2, 0.3, n) * 1.0
    return (
        np.exp(0.5 * rng.normal(size=n))
        if isinstance(family, Gamma | InverseGaussian)
        else rng.normal(size=n)
    )


def model(rows, family, row=None, **priors):
    data = regression_data(rows, response(family, len(rows)), family, **(row or {}))
    return data, resolve_family(data, [f"x{j}" for j in range(rows.shape[1])], {}, **priors)


def plain(data, bound, monkeypatch):
    """The route without directions and without the map."""
    monkeypatch.setattr(whitening, "normal_directions", lambda *_, **__: None)
    monkeypatch.setattr(whitening, "_moving", lambda *_: None)
    return whitening.whitened(data, bound).target.inner


CASES = {
    **{f"{name}, wide": (WIDE, family, {}, {}) for name, family in FAMILIES.items()},
    **{f"{name}, tall": (TALL[:7], family, {}, {}) for name, family in FAMILIES.items()},
    "weights, offset": (
        WIDE,
        Gamma(),
        {"weights": RNG.uniform(0.3, 1.0, 6), "offset": RNG.normal(size=6)},
        {},
    ),
    "no intercept": (WIDE, Gaussian(), {"intercept": False}, {"prior": Normal(0.2, 0.5, autoscale=True)}),
    "not centred": (
        WIDE,
        Beta(),
        {},
        {"prior": Normal(0.1, 0.4), "intercept_prior": Normal(0.5, 2.0), "center": False},
    ),
    "standard errors": (TALL, Gaussian(), {"extra": RNG.uniform(0.2, 1.0, 9)}, {}),
    "laplace prior": (WIDE, Gamma(), {}, {"prior": "laplace"}),
    "student t prior": (TALL, InverseGaussian(), {}, {"prior": "student_t"}),
    "positive": (TALL, Gamma(), {}, {"positive": True}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_same_density(name, monkeypatch):
    """Up to the determinant of the map's derivatives, here by differences."""
    rows, family, row, priors = CASES[name]
    data, bound = model(rows, family, row, **priors)
    route = GeneralRoute(data, bound)
    target, directions = route.target, route._directions
    assert isinstance(target.inner, MovingTarget)
    assert route.laplace is None

    def regression(z):
        return target.inner.inner.unwhiten(target.inner.unwhiten(target.unwhiten(z)))

    def coordinates(z):
        q, first = regression(z), int(data.intercept)
        if directions is None:
            return q
        r = directions.basis.shape[1]
        coef = directions.loc + directions.scale * (directions.basis @ q[first : first + r])
        return np.concatenate([q[:first], coef, q[first + r :]])

    other = plain(data, bound, monkeypatch)
    rng, gaps = np.random.default_rng(2), []
    for _ in range(4):
        z = rng.normal(size=target.dim)
        slopes = np.array([(regression(z + e) - regression(z - e)) / 2e-5 for e in 1e-5 * np.eye(target.dim)])
        gaps.append(target(z)[0] - np.linalg.slogdet(slopes)[1] - other(coordinates(z))[0])
    assert np.ptp(gaps) < 1e-5, gaps


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    rows, family, row, priors = CASES[name]
    target = GeneralRoute(*model(rows, family, row, **priors)).target
    z = np.random.default_rng(5).normal(size=target.dim)
    central = [(target(z + e)[0] - target(z - e)[0]) / 2e-5 for e in 1e-5 * np.eye(target.dim)]
    np.testing.assert_allclose(target(z)[1], central, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [WIDE, TALL], ids=["wide", "tall"])
def test_of_the_normal_model_it_is_standard_normal(rows):
    """Whose marginal density of sigma Laplace's method has exactly."""
    target = GeneralRoute(*model(rows, Gaussian())).target
    z = np.random.default_rng(6).normal(size=(200, target.dim))
    weights = np.array([target(row)[0] for row in z]) + 0.5 * np.sum(z**2, axis=1)
    assert weights.std() < 0.02


@pytest.mark.parametrize(
    ("rows", "family", "row", "priors"),
    [
        (RNG.normal(size=(13, 3)), Gamma(), {}, {}),
        (TALL, StudentT(), {}, {}),
        (RNG.normal(size=(100, 10)), Gaussian(), {}, {}),
        (WIDE, Bernoulli(), {}, {}),
        (WIDE, Gaussian(sigma=1.0), {}, {}),
        (TALL, Gamma(), {}, {"intercept_prior": Flat()}),
        (TALL, Gamma(), {}, {"prior": Flat()}),
    ],
    ids=["more rows", "modes of t", "many rows", "no scale", "known scale", "flat intercept", "flat"],
)
def test_elsewhere_it_is_the_approximation_at_the_mode(rows, family, row, priors):
    y = RNG.integers(0, 2, len(rows)) * 1.0 if isinstance(family, Bernoulli) else response(family, len(rows))
    data = regression_data(rows, y, family, **row)
    bound = resolve_family(data, [f"x{j}" for j in range(rows.shape[1])], {}, **priors)
    found = whitening.whitened(data, bound)
    assert not isinstance(found.target.inner, MovingTarget)
    assert found.laplace is not None


@pytest.mark.parametrize(
    "family", ["gaussian", "student_t", "gamma", "inverse_gaussian", "beta", "negative_binomial"]
)
def test_chains_agree_and_nothing_is_warned_of(family):
    rows = np.random.default_rng(0).normal(size=(15, 30))
    y = response(BayesianGLM(family=family)._make_family(None), 15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = BayesianGLM(family=family, random_state=0, progressbar=False).fit(rows, y).posterior_
    assert found.diagnostics.rhat.max() < 1.01
    assert min(found.diagnostics.ess_bulk.min(), found.diagnostics.ess_tail.min()) > 400


@pytest.mark.parametrize(("n", "p"), [(15, 30), (5, 2), (2, 1)])
def test_it_agrees_with_the_exact_moments_of_the_normal_model(n, p):
    """Quadrature over sigma, by another route: no mode, no map, no chains."""
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(n, p)) + 0.5
    y = 1.0 + rows[:, 0] + rng.normal(size=n)
    exact = (
        BayesianLinearRegression(sigma_prior=HalfNormal(1.0), random_state=0).fit(rows, y).posterior_.exact
    )
    found = BayesianGLM(aux_priors={"sigma": HalfNormal(1.0)}, random_state=0).fit(rows, y).posterior_
    names = ("Intercept", "coef", "sigma")
    mean, sd = (np.hstack([moments[name] for name in names]) for moments in (exact.mean, exact.sd))
    draws = np.concatenate([np.atleast_3d(found.draws[name]) for name in names], axis=2)
    z = (draws - mean) / sd
    assert np.abs(z.mean(axis=(0, 1)) * np.sqrt(np.minimum(found.diagnostics.ess_bulk, 4000))).max() < 4.5
    np.testing.assert_allclose(z.std(axis=(0, 1)), 1.0, atol=0.09)


def by_hand(family, rows, y):
    """The log density of (intercept, coefficients, log aux), vectorised, from SciPy's distributions."""

    def density(points):
        k = rows.shape[1] + 1
        eta, aux = points[:, :1] + points[:, 1:k] @ rows.T, np.exp(points[:, k:])
        value = stats.norm.logpdf(points[:, 0] + points[:, 1:k] @ rows.mean(axis=0), 0.0, 1.5)
        value = value + stats.norm.logpdf(points[:, 1:k], 0.0, 0.8).sum(axis=1)
        value += (stats.invgamma.logpdf(aux, 3.0, scale=2.0) + points[:, k:]).sum(axis=1)
        scale = aux[:, :1]
        with np.errstate(all="ignore"):
            mean = np.exp(eta)
            if family == "student_t":
                rows_ = stats.t.logpdf(y, aux[:, 1:], eta, scale)
            elif family == "gamma":
                rows_ = stats.gamma.logpdf(y, scale, scale=mean / scale)
            elif family == "inverse_gaussian":
                rows_ = 0.5 * np.log(scale / (2.0 * np.pi * y**3)) - 0.5 * scale * (y / mean - 1.0) ** 2 / y
            elif family == "beta":
                share = 1.0 / (1.0 + np.exp(-eta))
                rows_ = stats.beta.logpdf(y, share * scale, (1.0 - share) * scale)
            else:
                rows_ = stats.nbinom.logpmf(y, scale, scale / (scale + mean))
        return np.nan_to_num(value + rows_.sum(axis=1), nan=-np.inf)

    return density


@pytest.mark.parametrize("family", ["student_t", "gamma", "inverse_gaussian", "beta", "negative_binomial"])
def test_it_agrees_with_importance_sampling(family):
    rows = np.random.default_rng(12).normal(size=(2, 3)) + 0.5
    kind = BayesianGLM(family=family)._make_family(None)
    y = response(kind, 2)
    model = BayesianGLM(
        family=family,
        prior=Normal(0.0, 0.8),
        intercept_prior=Normal(0.0, 1.5),
        aux_priors={name: InverseGamma(3.0, 2.0) for name in kind.aux},
        random_state=1,
        draws=4000,
    ).fit(rows, y)
    draws = model.posterior_.draws
    names = [np.log(draws[name])[..., np.newaxis] for name in kind.aux]
    seen = np.concatenate([draws["Intercept"][..., np.newaxis], draws["coef"], *names], axis=2)
    dim = seen.shape[2]
    assert_agree(np.moveaxis(seen, 2, 0), by_hand(family, rows, y), dim, lambda q: q, points=100_000)


@pytest.mark.parametrize("name", ["gamma", "beta", "inverse gaussian", "negative binomial"])
def test_what_is_improper_is_refused(name):
    """Where all rows can be fitted, the likelihood does not fall off as the noise goes to nothing."""
    family = FAMILIES[name]
    (aux,) = family.aux
    model = BayesianGLM(family=family, aux_priors={aux: Flat()}, progressbar=False)
    with pytest.raises(ValueError, match=f"^{aux}: "):
        model.fit(WIDE, response(family, 6))
    # A proper prior is enough, ...
    model.set_params(aux_priors={aux: "half_cauchy"}, draws=50, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few draws
        model.fit(WIDE, response(family, 6))
    assert np.isfinite(model.coef_).all()


def test_one_row_with_a_flat_scale_is_improper():
    with pytest.raises(
        ValueError, match=r"^sigma: its posterior does not fall off and is improper; give it a proper"
    ):
        BayesianGLM(aux_priors={"sigma": Flat()}, progressbar=False).fit(WIDE[:1], [1.0])
    found = BayesianGLM(progressbar=False, random_state=0).fit(WIDE[:1], [1.0])
    assert found.posterior_.diagnostics.rhat.max() < 1.01


@pytest.mark.parametrize("name", ["gaussian", "student t", "gamma", "inverse gaussian", "beta"])
def test_rows_that_are_repeated_are_fitted_to_rounding_error(name):
    """Only the resolution of numbers keeps the noise from zero: one warning, coefficients that are exact."""
    y = response(FAMILIES[name], 6)
    model = BayesianGLM(family=FAMILIES[name], random_state=0, progressbar=False)
    with pytest.warns(UserWarning, match="fitted to rounding error") as caught:
        model.fit(WIDE, y, sample_weight=[2, 3, 4, 2, 3, 5])
    assert len(caught) == 1
    np.testing.assert_allclose(model.predict(WIDE), y, rtol=1e-9)
    assert model.posterior_.diagnostics.rhat.max() < 1.01


def test_seeds_and_further_draws():
    data, bound = model(WIDE, Gamma())
    settings, features = Settings(draws=60, chains=2, tune=100), tuple(f"x{j}" for j in range(8))
    route = GeneralRoute(data, bound)
    first = route.sample(settings, 0, data, bound, features).draws
    again = GeneralRoute(data, bound).sample(settings, 0, data, bound, features).draws
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
    more = route.more(60, settings)[0]
    np.testing.assert_array_equal(more["shape"], route.more(60, settings)[0]["shape"])
    assert not np.any(more["shape"] == first["shape"])


def test_a_path_that_breaks_off_gives_none():
    """A density that is no number beyond a scale, and so has no end there."""
    data, bound = model(WIDE, Gaussian())
    standardised = bound.standardised(data)
    target, start = whitening._target_and_start(data, standardised, np.zeros(8))
    wall = start[-1] - 0.1

    def broken(q):
        value, gradient = target(q)
        return (np.nan if q[-1] < wall else value), gradient

    curvature = whitening.Curvature(target, standardised)
    assert moving_target(PyTarget(target.dim, broken), curvature, start, target.dim - 1) is None
    assert isinstance(moving_target(target, curvature, start, target.dim - 1), MovingTarget)


@pytest.mark.parametrize("family", ["gamma", "inverse_gaussian"])
def test_ranks_are_uniform(family):
    rows = np.random.default_rng(8).normal(size=(5, 7)) + 0.3
    estimator = BayesianGLM(
        family=family,
        prior=Normal(0.1, 0.4),
        intercept_prior=Normal(0.2, 0.8),
        center=False,
        draws=150,
        aux_priors={"shape": InverseGamma(3.0, 4.0)},
    )
    found = simulation_based_calibration(
        estimator, rows, np.arange(1.0, 6.0), n_simulations=40, random_state=0
    )
    assert found.p_value > 1e-3

"""The general route: agrees with the Gaussian route, with quadrature, with importance sampling, batches with NUTS."""

import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor

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
from bayesglm.inference.family_priors import resolve_family
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.prior_set import resolve
from bayesglm.inference.regression_data import regression_data
from bayesglm.inference.route import Route
from bayesglm.inference.sampling import Settings
from bayesglm.inference.sufficient import summarize
from bayesglm.inference.whitening import UndeterminedError
from bayesglm.kernel.positive_priors import HalfNormal, HalfStudentT
from bayesglm.kernel.priors import Cauchy, Flat, Normal
from bayesglm.kernel.priors import Laplace as LaplacePrior
from bayesglm.kernel.priors import StudentT as StudentTPrior

RNG = np.random.default_rng(0)
N, P = 120, 3
X = RNG.normal(size=(N, P)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
ETA = 0.4 + X @ [0.5, -0.04, 3.0] - 3.0
MEAN = np.exp(0.5 * ETA)
P_ = 1.0 / (1.0 + np.exp(-ETA))
TRIALS = RNG.integers(1, 9, N).astype(float)
FEATURES = ("a", "b", "c")
#: Where so few rows leave too little of the normal approximation.
KINKED = ("student t", "laplace")
MODELS = {
    "logit": (Bernoulli(), (RNG.random(N) < P_).astype(float), {}),
    "probit": (Bernoulli("probit"), (RNG.random(N) < P_).astype(float), {}),
    "binomial": (Binomial(), RNG.binomial(TRIALS.astype(int), P_).astype(float), {"extra": TRIALS}),
    "poisson, offset": (
        Poisson(),
        RNG.poisson(MEAN * 3.0).astype(float),
        {"offset": np.full(N, np.log(3.0))},
    ),
    "negative binomial": (NegativeBinomial(), RNG.poisson(MEAN * RNG.gamma(2, 0.5, N)).astype(float), {}),
    "gaussian, weighted": (Gaussian(), ETA + RNG.normal(size=N), {"weights": RNG.integers(0, 3, N) * 1.0}),
    "standard errors": (Gaussian(), ETA + RNG.normal(size=N), {"extra": RNG.uniform(0.1, 1.0, N)}),
    "student t": (StudentT(), ETA + RNG.standard_t(3.0, size=N), {}),
    "laplace": (Laplace(), ETA + RNG.laplace(size=N), {}),
    "gamma": (Gamma(), MEAN * RNG.gamma(3.0, 1 / 3.0, N), {}),
    "inverse gaussian": (InverseGaussian(), RNG.wald(MEAN, 2.0), {}),
    "beta": (Beta(), RNG.beta(4 * P_, 4 * (1 - P_)), {}),
    "classes": (Categorical(3), RNG.integers(0, 3, N).astype(float), {}),
}
SETTINGS = Settings(draws=2000, n_threads=2)


def fit(family, y, row=None, sampler="auto", settings=SETTINGS, seed=1, rows=X, **priors):
    features = tuple(f"x{i}" for i in range(rows.shape[1]))
    data = regression_data(rows, y, family, **(row or {}))
    bound = resolve_family(data, features, {}, **priors)
    route = GeneralRoute(data, bound, sampler)
    return route, route.sample(settings, seed, data, bound, features), data


def z_scores(one, other):
    """Differences of location and of spread over their Monte Carlo errors, the same for tails of any weight."""
    scores = []
    errors = (1.0 / np.minimum(run.diagnostics.ess_bulk, np.prod(run.shape)) for run in (one, other))
    for x, y, dx, dy in zip(one.stacked(), other.stacked(), *errors, strict=True):
        low, middle, high = np.quantile(y, [0.25, 0.5, 0.75])
        u, v = np.arctan((x - middle) / (high - low)), np.arctan((y - middle) / (high - low))
        scores.append((u.mean() - v.mean()) / np.sqrt(u.var() * dx + v.var() * dy))
        u, v = u**2, v**2
        scores.append((u.mean() - v.mean()) / np.sqrt(2.0 * (u.var() * dx + v.var() * dy)))
    return np.abs(scores)


@pytest.mark.parametrize("name", MODELS)
def test_batches_agree_with_nuts(name):
    family, y, row = MODELS[name]
    _, auto, _ = fit(family, y, row)
    _, nuts, _ = fit(family, y, row, "nuts", seed=2)
    assert auto.how == ("nuts" if name in KINKED else "batch")
    assert nuts.how == "nuts"
    assert nuts.n_divergences == 0
    assert z_scores(auto, nuts).max() < 4.5
    assert auto.diagnostics.rhat.max() < 1.01
    assert min(auto.diagnostics.ess_bulk.min(), auto.diagnostics.ess_tail.min()) > 800


@pytest.mark.parametrize(
    "priors",
    [
        {},
        {"prior": Normal(0.0, 0.3), "intercept_prior": Normal(1.0, 0.5)},
        {"prior": Normal(0.5, 1.0), "intercept_prior": Normal(0.0, 2.0), "center": False},
        {"prior": Flat(), "intercept_prior": Flat()},
    ],
    ids=["defaults", "strong", "not centred", "flat"],
)
@pytest.mark.parametrize("sampler", ["auto", "nuts"])
def test_it_agrees_with_the_gaussian_route(priors, sampler):
    """Whose moments are exact: a permanent test."""
    y = ETA + RNG.normal(size=N)
    summary = summarize(X, y)
    bound = resolve(summary, FEATURES, {}, sigma_prior=HalfStudentT(4.0, 1.0), **priors)
    exact = Route(summary, bound).exact
    _, found, _ = fit(Gaussian(), y, None, sampler, aux_priors={"sigma": HalfStudentT(4.0, 1.0)}, **priors)
    mcse = found.diagnostics.mcse_mean
    names = ("Intercept", "coef", "sigma")
    means = np.concatenate([np.atleast_1d(exact.mean[name]) for name in names])
    sds = np.concatenate([np.atleast_1d(exact.sd[name]) for name in names])
    assert np.abs((found.stacked().mean(axis=(1, 2)) - means) / mcse).max() < 4.0
    np.testing.assert_allclose(found.stacked().std(axis=(1, 2)), sds, rtol=0.06)


@pytest.mark.parametrize("prior", ["cauchy", "student_t", "laplace", "half_normal", "exponential"])
def test_other_priors_agree_with_the_gaussian_route(prior):
    """Which samples them in other coordinates, from sufficient statistics."""
    y = ETA + RNG.normal(size=N)
    summary = summarize(X, y)
    bound = resolve(summary, FEATURES, {}, prior=prior)
    route = Route(summary, bound)
    other = route.sample(SETTINGS, 3, summary, bound, FEATURES)
    _, found, _ = fit(Gaussian(), y, prior=prior, aux_priors={"sigma": HalfStudentT(4.0, y.std())})
    assert z_scores(found, other).max() < 4.5


def test_one_coefficient_against_quadrature():
    """Poisson counts with heavy prior tails: mean, sd and quantiles by a fine grid."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(30, 1))
    y = rng.poisson(np.exp(0.8 * x[:, 0])).astype(float)
    grid = np.linspace(-1.0, 3.0, 20_001)
    logs = (y[:, None] * (x * grid) - np.exp(x * grid)).sum(axis=0) - np.log1p(((grid - 2.0) / 0.2) ** 2)
    weights = np.exp(logs - logsumexp(logs))
    mean, sd = weights @ grid, np.sqrt(weights @ grid**2 - (weights @ grid) ** 2)
    for sampler in ("auto", "nuts"):
        data = regression_data(x, y, Poisson(), intercept=False)
        bound = resolve_family(data, ("x",), {}, prior=Cauchy(2.0, 0.2))
        found = GeneralRoute(data, bound, sampler).sample(SETTINGS, 1, data, bound, ("x",))
        draws = found.draws["coef"].ravel()
        mcse = found.diagnostics.mcse_mean[0]
        assert abs(draws.mean() - mean) < 4.0 * mcse
        assert draws.std() == pytest.approx(sd, rel=0.05)
        cumulated = np.cumsum(weights)
        for q in (0.05, 0.5, 0.95):
            below = (draws <= grid[np.searchsorted(cumulated, q)]).mean()
            assert abs(below - q) < 4.5 * np.sqrt(q * (1 - q) / found.diagnostics.ess_bulk[0]) + 1e-3


@pytest.mark.parametrize("name", ["logit", "negative binomial", "gamma"])
def test_against_importance_sampling(name):
    """A wide t distribution around the mode, weighted by a density that was tested by itself."""
    family, y, row = MODELS[name]
    route, found, _ = fit(family, y, row, "nuts", settings=Settings(draws=4000, n_threads=2))
    rng, n = np.random.default_rng(6), 60_000
    target, fitted = route.target.inner, route.laplace
    z = rng.standard_normal((n, target.dim)) * np.sqrt(8.0 / rng.chisquare(8.0, (n, 1)))
    logs = np.array([target(q)[0] for q in z @ fitted.factor.T + fitted.mode])
    logs += 0.5 * (8.0 + target.dim) * np.log1p(np.einsum("ij,ij->i", z, z) / 8.0)
    w = np.exp(logs - logsumexp(logs))
    q = z @ fitted.factor.T + fitted.mode
    coef = q[:, 1 : 1 + P] / X.std(axis=0)
    for j in range(P):
        mean = w @ coef[:, j]
        error = np.sqrt(w**2 @ (coef[:, j] - mean) ** 2)
        own = found.draws["coef"][..., j]
        mcse = own.std() / np.sqrt(found.diagnostics.ess_bulk[1 + j])
        assert abs(own.mean() - mean) < 4.0 * np.hypot(error, mcse)
        assert own.std() == pytest.approx(np.sqrt(w @ (coef[:, j] - mean) ** 2), rel=0.06)


@pytest.mark.parametrize("name", ["logit", "poisson", "gamma"])
def test_modes_are_those_of_scikit_learn(name):
    """Penalised maximum likelihood is the mode under a normal prior: to 1e-8."""
    rng = np.random.default_rng(7)
    Z = rng.normal(size=(200, 4))
    eta = 0.3 + Z @ [0.5, -0.5, 0.2, 0.0]
    if name == "logit":
        family, y = Bernoulli(), (rng.random(200) < 1 / (1 + np.exp(-eta))).astype(float)
        other = LogisticRegression(C=0.7**2, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(Z, y)
    elif name == "poisson":
        family, y = Poisson(), rng.poisson(np.exp(eta)).astype(float)
        alpha = 1.0 / (0.7**2 * 200)
        other = PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(Z, y)
    else:
        family, y = Gamma(), np.exp(eta) * rng.gamma(3.0, 1 / 3.0, 200)
        other = None
    data = regression_data(Z, y, family)
    bound = resolve_family(data, tuple("abcd"), {}, prior=Normal(0.0, 0.7), intercept_prior=Flat())
    route = GeneralRoute(data, bound)
    mode = route.laplace.mode
    assert route.laplace.decrement < 1e-15
    if other is None:
        # The mode's shape of the gamma distribution is the penalty's weight.
        shape = np.exp(mode[-1])
        alpha = 1.0 / (0.7**2 * 200 * shape)
        other = GammaRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(Z, y)
    np.testing.assert_allclose(mode[1:5] / data.x_unit, np.ravel(other.coef_), rtol=1e-8, atol=1e-8)
    level = data.y_mean + mode[0] - (mode[1:5] / data.x_unit) @ data.x_mean
    assert level == pytest.approx(float(np.ravel(other.intercept_)[0]), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("sampler", ["auto", "nuts"])
def test_going_on(sampler):
    family, y, row = MODELS["logit"]
    settings = Settings(draws=500, n_threads=1)
    route, first, _ = fit(family, y, row, sampler, settings)
    draws, stats = route.more(700, settings)
    again, _ = route.more(700, settings)
    np.testing.assert_array_equal(draws["coef"], again["coef"])
    assert draws["coef"].shape == (4, 700, P)
    assert stats["lp"].shape == (4, 700)
    other, _ = route.more(700, settings, 5)
    assert np.any(other["coef"] != draws["coef"])
    error = np.sqrt(first.draws["coef"].var(axis=(0, 1)) / 500)
    assert np.all(np.abs(draws["coef"].mean(axis=(0, 1)) - first.draws["coef"].mean(axis=(0, 1))) < 5 * error)
    with pytest.raises(ValueError, match="without its training data"):
        pickle.loads(pickle.dumps(route)).more(5, settings)


def test_threads_do_not_matter():
    family, y, row = MODELS["negative binomial"]
    for sampler in ("auto", "nuts"):
        one, two = (
            fit(family, y, row, sampler, Settings(draws=200, n_threads=n))[1].stacked() for n in (1, 2)
        )
        np.testing.assert_array_equal(one, two)


def test_rows_in_another_order_and_repeated_ones_give_the_same_draws():
    family, y, _ = MODELS["poisson, offset"]
    order = np.random.default_rng(8).permutation(N)
    settings = Settings(draws=100)
    plain = fit(family, y, settings=settings)[1].stacked()
    np.testing.assert_array_equal(plain, fit(family, y[order], settings=settings, rows=X[order])[1].stacked())
    weights = np.arange(N) % 3.0
    weighted = fit(family, y, {"weights": weights}, settings=settings)[1]
    times = np.repeat(np.arange(N), weights.astype(int))
    repeated = fit(family, y[times], settings=settings, rows=X[times])[1]
    np.testing.assert_array_equal(weighted.stacked(), repeated.stacked())
    assert weighted.weight == repeated.weight


def test_where_the_approximation_is_poor_nuts_is_asked():
    """All counts zero: a wall on one side, a tail on the other."""
    rng = np.random.default_rng(9)
    _, found, _ = fit(Poisson(), np.zeros(40), rows=rng.normal(size=(40, 2)))
    assert found.how == "nuts"
    assert found.n_divergences == 0
    assert found.diagnostics.rhat.max() < 1.01


@pytest.mark.parametrize(
    ("rows", "y", "family", "columns"),
    [
        (np.column_stack([X[:, :2], X[:, 0] + X[:, 1]]), MODELS["logit"][1], Bernoulli(), [0, 1, 2]),
        (np.linspace(-1, 1, N)[:, None], (np.arange(N) >= N // 2) * 1.0, Bernoulli(), []),
        (np.linspace(-1, 1, N)[:, None], np.arange(N) // (N // 3) * 1.0, Categorical(3), []),
        (
            np.column_stack([np.arange(N) < 5, X[:, 0]]).astype(float),
            (np.arange(N) >= 5) * 2.0,
            Poisson(),
            [],
        ),
    ],
    ids=["collinear", "separated", "separated classes", "a level of zeros"],
)
def test_flat_priors_that_leave_no_posterior(rows, y, family, columns):
    with pytest.raises(UndeterminedError) as caught:
        fit(family, y, rows=rows, prior=Flat(), intercept_prior=Flat())
    np.testing.assert_array_equal(caught.value.columns, columns)


@pytest.mark.parametrize(
    "prior", [Normal(0.0, 2.5), Cauchy(0.0, 2.5), LaplacePrior(0.0, 1.0), StudentTPrior(3.0)]
)
def test_separation_is_finite_under_proper_priors(prior):
    x = np.linspace(-1, 1, 60)[:, None]
    _, found, _ = fit(Bernoulli(), (x[:, 0] > 0) * 1.0, rows=x, prior=prior, aux_priors={})
    assert np.isfinite(found.stacked()).all()
    assert found.draws["coef"].mean() > 1.0
    assert found.n_divergences <= (20 if isinstance(prior, Cauchy) else 0)


def test_positive_coefficients():
    _, found, _ = fit(Poisson(), MODELS["poisson, offset"][1], prior=HalfNormal(1.0))
    assert np.all(found.draws["coef"] > 0.0)
    assert found.diagnostics.rhat.max() < 1.01
    with pytest.raises(ValueError, match="several classes"):
        fit(Categorical(3), MODELS["classes"][1], positive=True)

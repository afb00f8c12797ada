"""Horseshoe and R2D2 in the linear regression: against importance sampling, and from end to end."""

import functools
import pickle
import warnings

import numpy as np
import pytest
from scipy import stats

import bayesglm
from bayesglm import R2D2, BayesianLinearRegression, HalfNormal, Horseshoe, Normal
from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.prior_set import resolve
from bayesglm.inference.sufficient import summarize

SPARSE = {"horseshoe": Horseshoe(global_scale=0.3, slab_scale=0.8, slab_df=3.0), "r2d2": R2D2(0.4, 3.0, 0.7)}
SIGMA = HalfNormal(1.5)


def data(n, p, signals, seed=1, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.exp(rng.normal(size=p)) + rng.normal(size=p)
    coef = np.zeros(p)
    coef[:signals] = (
        rng.choice([-1, 1], signals) * rng.uniform(0.5, 1.5, signals) / X[:, :signals].std(axis=0)
    )
    return X, 2.0 + X @ coef + noise * rng.normal(size=n), coef


def fitted(prior, X, y, **settings):
    model = BayesianLinearRegression(prior=prior, random_state=0, progressbar=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


@functools.cache
def small(name):
    X, y, _ = data(10, 3, 1, seed=4, noise=2.0)
    return X, y, fitted(SPARSE[name], X, y, draws=4000, intercept_prior=Normal(0, 3), sigma_prior=SIGMA)


@pytest.mark.parametrize("name", SPARSE)
def test_posterior_is_that_of_importance_sampling(name):
    """The prior written down once more, in the user's units, weighed with the likelihood."""
    X, y, model = small(name)
    rng, size = np.random.default_rng(2), 1_500_000
    sigma = np.abs(rng.normal(0, 1.5, size))
    noise, unit = sigma[:, np.newaxis] / X.std(axis=0), y.std() / X.std(axis=0)
    if name == "horseshoe":
        tau = 0.3 * np.abs(rng.standard_cauchy(size))
        free = tau[:, np.newaxis] * np.abs(rng.standard_cauchy((size, 3))) * noise
        slab = 0.8 * np.sqrt(stats.invgamma(1.5, 0, 1.5).rvs((size, 1), random_state=rng)) * unit
        coef = rng.normal(size=(size, 3)) * free * slab / np.hypot(free, slab)
        hyper = tau
    else:
        hyper = rng.beta(1.2, 1.8, size)
        share = rng.dirichlet([0.7] * 3, size) * (hyper / (1 - hyper))[:, np.newaxis]
        coef = rng.normal(size=(size, 3)) * np.sqrt(share) * noise
    # The intercept at the means has a normal prior, so that it integrates out.
    residual = y - y.mean() - coef @ (X - X.mean(axis=0)).T
    logs = -len(y) * np.log(sigma) - 0.5 * np.sum(residual**2, axis=1) / sigma**2
    spread = sigma**2 / len(y)
    logs += 0.5 * np.log(spread) + stats.norm.logpdf(y.mean(), 0, np.sqrt(9 + spread))
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    assert 1 / np.sum(weight**2) > 3000
    table = np.column_stack([coef, np.abs(coef), sigma, hyper < np.median(hyper)])
    exact = weight @ table
    error = np.sqrt(weight**2 @ (table - exact) ** 2)

    draws = model.posterior_.draws
    learnt = draws["global_scale" if name == "horseshoe" else "R2"]
    found = np.concatenate(
        [
            draws["coef"],
            np.abs(draws["coef"]),
            draws["sigma"][..., np.newaxis],
            (learnt < np.median(hyper))[..., np.newaxis].astype(float),
        ],
        axis=-1,
    )
    mcse = diagnose(np.moveaxis(found, -1, 0)).mcse_mean
    assert np.abs((found.mean(axis=(0, 1)) - exact) / np.hypot(mcse, error)).max() < 4.5


@pytest.mark.parametrize("prior", [Horseshoe(n_signals=5), R2D2()], ids=["horseshoe", "r2d2"])
@pytest.mark.parametrize(("n", "p"), [(200, 60), (60, 80)])
def test_signals_are_found_without_divergences(prior, n, p):
    X, y, coef = data(n, p, 5, seed=3)
    posterior = fitted(prior, X, y, draws=500).posterior_
    assert posterior.n_divergences == 0
    assert posterior.how == "nuts"
    sd = X.std(axis=0)
    error = (posterior.means()["coef"] - coef) * sd
    assert np.abs(error).max() < 0.5
    if n > p:
        assert np.nanmax(posterior.diagnostics.rhat) < 1.02
        plain = fitted(None, X, y).coef_
        assert np.linalg.norm(error) < 0.8 * np.linalg.norm((plain - coef) * sd)


@pytest.mark.parametrize("name", SPARSE)
def test_units_of_the_data_do_not_matter(name):
    X, y, _ = data(40, 4, 1)
    one = fitted(SPARSE[name], X, y).posterior_.means()
    other = fitted(SPARSE[name], X * [1e3, 1, 1e-6, 1], 100 * y - 7).posterior_.means()
    np.testing.assert_allclose(
        other["coef"] * [1e3, 1, 1e-6, 1] / 100, one["coef"], atol=0.02 / X.std(axis=0).min()
    )
    assert other["sigma"] / 100 == pytest.approx(one["sigma"], rel=0.03)


def test_the_default_scale_follows_from_the_number_of_signals():
    X, y, _ = data(100, 40, 2)
    model = fitted(Horseshoe(n_signals=2), X, y, draws=50)
    assert f"global_scale={2 / 38 / np.sqrt(100):.4g}" in str(model.posterior_.priors)
    assert Horseshoe().for_rows(40, 100).global_scale == pytest.approx(4 / 36 / 10)
    assert Horseshoe().for_rows(1, 100).global_scale == pytest.approx(0.1)


@pytest.mark.parametrize("name", SPARSE)
def test_a_model_is_reported_pickled_and_saved(name, tmp_path):
    X, _, model = small(name)
    hyper = "global_scale" if name == "horseshoe" else "R2"
    assert hyper in str(model.summary())
    assert hyper in model.posterior_.names
    model.save(tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(model)), bayesglm.load(tmp_path / "model")):
        np.testing.assert_array_equal(copy.posterior_.draws[hyper], model.posterior_.draws[hyper])
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
        assert copy.posterior_.priors == model.posterior_.priors
        assert copy.prior == model.prior


@pytest.mark.parametrize("name", SPARSE)
def test_prior_draws_and_log_prior(name):
    X, y, model = small(name)
    summary = summarize(X, y)
    priors = resolve(summary, ["a", "b", "c"], {}, prior=SPARSE[name], sigma_prior=SIGMA)
    drawn = priors.draw(np.random.default_rng(1), 1000, X.mean(axis=0))
    assert drawn["coef"].shape == (1000, 3)
    assert drawn["global_scale" if name == "horseshoe" else "R2"].shape == (1000,)
    found = model.posterior_.prior_set.log_density(model.posterior_.draws, X.mean(axis=0))
    assert set(found) == {"sigma", "Intercept"}


def test_names_stand_for_defaults():
    X, y, _ = data(30, 4, 1)
    one, other = fitted("horseshoe", X, y, draws=20), fitted(Horseshoe(), X, y, draws=20)
    np.testing.assert_array_equal(one.posterior_.draws["coef"], other.posterior_.draws["coef"])
    assert fitted("r2d2", X, y, draws=20).posterior_.priors[1][1].startswith("R2D2(")


@pytest.mark.parametrize("prior", [Horseshoe(n_signals=3, df_local=2.0), R2D2(0.3, 5.0)])
def test_descriptions_are_compared_copied_and_shown(prior):
    copy = type(prior)(**prior.get_params())
    assert copy == prior == pickle.loads(pickle.dumps(prior))
    assert type(prior)() != prior
    assert eval(repr(prior)) == prior
    assert copy.set_params(**type(prior)().get_params()) == type(prior)()
    with pytest.raises(ValueError, match="has no parameter 'width'"):
        prior.set_params(width=1)


WRONG = {
    "slab_scale must be a positive finite number; got -1": {"prior": Horseshoe(slab_scale=-1)},
    "df_local must be a positive finite number; got 'a'": {"prior": Horseshoe(df_local="a")},
    "n_signals must be a positive finite number or None; got True": {"prior": Horseshoe(n_signals=True)},
    "either global_scale or n_signals, not both": {"prior": Horseshoe(0.1, 3)},
    "n_signals=4 must be less than the number of coefficients, 4": {"prior": Horseshoe(n_signals=4)},
    "mean must be between 0 and 1": {"prior": R2D2(1.5)},
    "symmetrical about zero": {"prior": R2D2(), "positive": True},
    "prior_scale has no meaning": {"prior": Horseshoe(), "prior_scale": 2.0},
    r"prior\['x0'\]: .* on all coefficients together": {"prior": {"x0": Horseshoe()}},
    "intercept_prior: .* on all coefficients together": {"intercept_prior": Horseshoe()},
    "sigma_prior must be a prior on the positive numbers": {"sigma_prior": R2D2()},
    "did you mean 'horseshoe'": {"prior": "horsesho"},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_named(message):
    X, y, _ = data(30, 4, 1)
    with pytest.raises(ValueError, match=message):
        fitted(X=X, y=y, **{"prior": None, **WRONG[message]})


@pytest.mark.parametrize("prior", [Horseshoe(), R2D2()], ids=["horseshoe", "r2d2"])
def test_hard_data_have_finite_answers(prior):
    X, y, _ = data(50, 6, 2)
    exact = fitted(prior, X, 2 * X[:, 0] + 1, draws=200)
    assert exact.posterior_.n_divergences == 0
    np.testing.assert_allclose(exact.coef_, [2, 0, 0, 0, 0, 0], atol=1e-7)
    for n in (3, 6, 7, 8):  # fewer rows than coefficients, as many, and one for each parameter
        saturated = fitted(prior, X[:n], y[:n], draws=200)
        # Three rows leave sigma and six coefficients to their priors, of which the horseshoe's are Cauchy.
        assert saturated.posterior_.n_divergences <= (4 if n > 3 else 40)
        assert np.abs(saturated.coef_ * X[:n].std(axis=0)).max() < 4 * y[:n].std()
    constant = fitted(prior, np.hstack([X, np.ones((50, 1))]), y, draws=200)
    assert np.isfinite(constant.coef_).all()
    assert np.isfinite(fitted(prior, np.zeros((20, 3)), y[:20], draws=50).coef_).all()
    level = fitted(prior, X, np.full(50, 3.0), draws=50)
    np.testing.assert_allclose(level.coef_, 0, atol=1e-6)

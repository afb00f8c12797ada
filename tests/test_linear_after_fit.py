"""What comes after a fit: predictions, further draws, ArviZ."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

import bayesglm
from bayesglm import BayesianLinearRegression, HalfNormal, Normal
from tests.linear_data import FEW, FRAME, X, exact_fit, sampled_fit, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def data():
    return X, y


@pytest.fixture
def frame():
    return FRAME.copy()


@pytest.fixture
def fitted():
    return exact_fit()


@pytest.fixture
def sampled():
    return sampled_fit()


# -- predictions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_predict_is_deterministic_and_row_wise(request, data, which):
    model, X = request.getfixturevalue(which), data[0]
    mean, sd = model.predict(X, return_std=True)
    again = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, again[0])
    np.testing.assert_array_equal(sd, again[1])
    np.testing.assert_allclose(mean, X @ model.coef_ + model.intercept_, rtol=1e-12)
    alone = np.array([np.ravel(model.predict(X[i : i + 1], return_std=True)) for i in range(len(X))])
    np.testing.assert_allclose(alone[:, 0], mean, rtol=1e-10)
    np.testing.assert_allclose(alone[:, 1], sd, rtol=1e-10)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(model.predict_interval(X[order]), model.predict_interval(X)[order], rtol=1e-8)


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_intervals_quantiles_and_densities_agree(request, data, which):
    model, X = request.getfixturevalue(which), data[0]
    np.testing.assert_allclose(
        model.predict_interval(X, 0.8), model.predict_quantiles(X, [0.1, 0.9]), rtol=1e-9
    )
    assert model.predict_quantiles(X, 0.5).shape == (60,)
    assert model.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (60, 3)
    line, response = model.predict_interval(X, kind="mean"), model.predict_interval(X)
    assert np.all((response[:, 0] < line[:, 0]) & (line[:, 1] < response[:, 1]))
    # The density integrates to the probability between two quantiles.
    ends = model.predict_quantiles(X[:1], [0.05, 0.95])[0]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    at = ends.mean() + 0.5 * np.ptp(ends) * nodes
    density = np.exp(model.log_predictive_density(np.repeat(X[:1], 60, axis=0), at))
    assert 0.5 * np.ptp(ends) * density @ weights == pytest.approx(0.9, abs=1e-7)


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_simulated_predictions_have_the_moments_and_quantiles_promised(request, data, which):
    model, X = request.getfixturevalue(which), data[0][:5]
    draws = model.sample_predictive(X, random_state=1)
    assert draws.shape == (4000, 5)
    mean, sd = model.predict(X, return_std=True)
    # The draws of the parameters are nearly independent and most of the variance is fresh noise.
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(4000))
    assert np.all(np.abs(draws.std(axis=0) / sd - 1.0) < 4.5 / np.sqrt(2 * 4000))
    for q in (0.05, 0.5, 0.95):
        below = np.mean(draws < model.predict_quantiles(X, q), axis=0)
        assert np.all(np.abs(below - q) < 4.5 * np.sqrt(q * (1 - q) / 4000))
    lines = model.sample_predictive(X, kind="mean", random_state=1)
    np.testing.assert_allclose(
        lines, (model.posterior_.flat()[0] @ X.T) + model.posterior_.flat()[1][:, None], rtol=1e-9
    )


def test_simulated_predictions_follow_their_seed(fitted, data):
    X = data[0][:3]
    one = fitted.sample_predictive(X, 50, random_state=3)
    np.testing.assert_array_equal(one, fitted.sample_predictive(X, 50, random_state=3))
    assert not np.array_equal(one, fitted.sample_predictive(X, 50, random_state=4))
    assert fitted.sample_predictive(X, 9000, random_state=0).shape == (9000, 3)


def test_the_exact_predictive_is_student_t_under_the_reference_prior():
    # Flat on coefficients, 1/sigma on sigma: closed form. InverseGamma with tiny parameters comes close.
    rng = np.random.default_rng(2)
    X, n, p = rng.normal(size=(25, 2)), 25, 2
    y = X @ [1.0, 2.0] + rng.normal(size=25)
    model = BayesianLinearRegression(
        prior="flat", intercept_prior="flat", sigma_prior=bayesglm.InverseGamma(1e-9, 1e-9), **FEW
    ).fit(X, y)
    Z = np.c_[np.ones(n), X]
    beta, rss = np.linalg.lstsq(Z, y, rcond=None)[:2]
    new = np.c_[np.ones(4), rng.normal(size=(4, p))]
    scale = np.sqrt(rss / (n - p - 1) * (1 + np.einsum("ij,jk,ik->i", new, np.linalg.inv(Z.T @ Z), new)))
    expected = stats.t(n - p - 1, loc=new @ beta, scale=scale)
    np.testing.assert_allclose(model.predict_quantiles(new[:, 1:], 0.9), expected.ppf(0.9), rtol=1e-5)
    np.testing.assert_allclose(model.predict(new[:, 1:], return_std=True)[1], expected.std(), rtol=1e-5)
    np.testing.assert_allclose(
        model.log_predictive_density(new[:, 1:], np.ones(4)), expected.logpdf(1.0), rtol=1e-5
    )


def test_a_formula_keeps_every_row_in_its_place(frame):
    holes = frame.copy()
    holes.loc[[2, 5], "a"] = np.nan
    holes.loc[7, "g"] = None
    with pytest.warns(UserWarning, match=r"dropped 3 of 60 rows \(missing values in 'a', 'g'\)"):
        model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(holes)
    assert model.posterior_.n_rows == 57
    mean, sd = model.predict(holes, return_std=True)
    for values in (mean, sd, model.predict_interval(holes)[:, 0], model.sample_predictive(holes, 3)[0]):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [2, 5, 7])
    np.testing.assert_allclose(mean[8:], model.predict(frame)[8:], rtol=1e-12)
    assert model.score(holes) == pytest.approx(model.score(holes.dropna()))


def test_a_formula_finds_its_columns_in_any_order(frame):
    model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(frame)
    np.testing.assert_array_equal(model.predict(frame[["g", "c", "a"]]), model.predict(frame))
    np.testing.assert_allclose(model.predict(frame.iloc[[3]]), model.predict(frame)[[3]], rtol=1e-12)


def test_scores(fitted, data, frame):
    X, y = data
    weights = np.arange(60.0)
    assert fitted.score(X, y, weights) == pytest.approx(r2_score(y, fitted.predict(X), sample_weight=weights))
    model = BayesianLinearRegression("y ~ a + b + c", **FEW).fit(frame)
    assert model.score(frame) == pytest.approx(fitted.score(X, y))
    assert model.score(frame, y, weights) == pytest.approx(fitted.score(X, y, weights))


# -- more draws, ArviZ -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_sample_posterior(request, which):
    model = request.getfixturevalue(which)
    before = {name: values.copy() for name, values in model.posterior_.draws.items()}
    own = model.sample_posterior()
    np.testing.assert_array_equal(own["posterior"]["coef"].values, before["coef"])
    more = model.sample_posterior(250)
    assert more["posterior"]["coef"].shape == (4, 250, 3)
    assert {"diverging", "lp", "tree_depth", "energy"} <= set(more["sample_stats"].data_vars)
    np.testing.assert_array_equal(
        more["posterior"]["sigma"].values, model.sample_posterior(250)["posterior"]["sigma"].values
    )
    other = model.sample_posterior(250, random_state=1)
    assert not np.array_equal(more["posterior"]["sigma"].values, other["posterior"]["sigma"].values)
    for name, values in before.items():
        np.testing.assert_array_equal(model.posterior_.draws[name], values)
    sigma = more["posterior"]["sigma"].values
    assert not np.isin(sigma, before["sigma"]).any()
    assert abs(sigma.mean() - before["sigma"].mean()) < 0.1 * before["sigma"].mean()


def test_changing_an_exported_posterior_leaves_the_estimator_alone(fitted):
    kept = fitted.posterior_.draws["sigma"].copy()
    fitted.sample_posterior()["posterior"]["sigma"].values[:] = 0.0
    np.testing.assert_array_equal(fitted.posterior_.draws["sigma"], kept)


def groups(exported):
    """Names of the groups, under either ArviZ."""
    names = exported.children if hasattr(exported, "children") else exported.groups()
    return {name.strip("/") for name in names}


EVERYTHING = {
    "posterior",
    "sample_stats",
    "observed_data",
    "constant_data",
    "posterior_predictive",
    "log_likelihood",
    "log_prior",
}


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_to_arviz_has_all_groups_and_serves_loo_and_summary(request, data, which):
    import arviz as az

    model, (X, y) = request.getfixturevalue(which), data
    exported = model.to_arviz(X, y, prior=True)
    assert groups(exported) == EVERYTHING | {"prior", "prior_predictive"}
    np.testing.assert_array_equal(exported["observed_data"]["y"].values, y)
    density = exported["log_likelihood"]["y"].values
    mixture = np.log(np.mean(np.exp(density.reshape(-1, 60)), axis=0))
    np.testing.assert_allclose(mixture, model.log_predictive_density(X, y), atol=0.02)
    found = az.loo(exported)
    assert float(found.elpd_loo if hasattr(found, "elpd_loo") else found.elpd) < np.sum(mixture)
    table = az.summary(exported, var_names=["Intercept", "coef", "sigma"])
    assert len(table) == 5
    prior = exported["prior"]["coef"].values
    assert np.all(np.abs(prior.mean(axis=(0, 1))) < 5 * prior.std(axis=(0, 1)) / np.sqrt(4000))


def test_to_arviz_of_a_formula_names_its_columns_and_response(frame):
    model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(frame.rename(columns={"y": "y"}))
    exported = model.to_arviz(frame)
    assert list(exported["posterior"]["feature"].values) == ["C(g)[T.v]", "C(g)[T.w]", "a"]
    assert exported["log_likelihood"]["y"].shape == (4, 100, 60)
    renamed = BayesianLinearRegression("np.exp(yield_) ~ a", **FEW).fit(frame.rename(columns={"y": "yield_"}))
    exported = renamed.to_arviz(frame.rename(columns={"y": "yield_"}))
    assert "np.exp(yield_)" in exported["observed_data"].data_vars


def test_to_arviz_under_a_flat_prior_has_no_draws_of_it(data):
    model = BayesianLinearRegression(prior="flat", **FEW).fit(*data)
    assert groups(model.to_arviz(*data)) == EVERYTHING
    with pytest.raises(ValueError, match=r"^The prior of coef is flat.*proper prior"):
        model.to_arviz(*data, prior=True)


def test_log_prior_is_the_prior_of_the_draws(data):
    X, y = data
    model = BayesianLinearRegression(prior=Normal(1, 2), sigma_prior=HalfNormal(3), **FEW).fit(X, y)
    found = model.to_arviz(X, y)["log_prior"]
    draws = model.posterior_.draws
    np.testing.assert_allclose(found["coef"].values, stats.norm(1, 2).logpdf(draws["coef"]), rtol=1e-9)
    np.testing.assert_allclose(found["sigma"].values, stats.halfnorm(0, 3).logpdf(draws["sigma"]), rtol=1e-9)
    level = draws["Intercept"] + draws["coef"] @ X.mean(axis=0)
    np.testing.assert_allclose(
        found["Intercept"].values, stats.norm(y.mean(), 2.5 * y.std()).logpdf(level), rtol=1e-9
    )

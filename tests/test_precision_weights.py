"""Weights as precisions, y_i ~ N(mean, sigma²/w_i), against quadrature, other models of the same, and SciPy."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesglm
from bayesglm import BayesianLinearRegression, Flat, HalfNormal, Laplace, Normal, StudentT
from tests.oracles import Model, gaussian_oracle

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 2.0], size=(15, 2))
WEIGHTS = RNG.exponential(size=15) + 0.1
y = 1.0 + X @ [1.0, -0.5] + RNG.normal(size=15) / np.sqrt(WEIGHTS)


def fit(X=X, y=y, weights=WEIGHTS, formula=None, **params):
    params = {"weights_type": "precision", "draws": 50, "random_state": 0, **params}
    return BayesianLinearRegression(formula, **params).fit(X, y, weights)


def check_against_oracle(model, oracle):
    exact = model.posterior_.exact
    names = [
        *(["Intercept"] if model.fit_intercept else []),
        *(f"coef[{j}]" for j in range(len(model.coef_))),
        "sigma",
    ]
    for attribute, rtol in (("mean", 1e-8), ("sd", 1e-7)):
        values = getattr(exact, attribute)
        found = np.concatenate(
            [np.atleast_1d(values[k]) for k in ("Intercept", "coef", "sigma") if k in values]
        )
        expected = np.array([getattr(oracle[name], attribute) for name in names])
        sd = np.array([oracle[name].sd for name in names])
        np.testing.assert_array_less(np.abs(found - expected), rtol * np.maximum(sd, np.abs(expected)))


@pytest.mark.parametrize("kind", ["precision", "frequency"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_moments_are_those_of_quadrature(kind, center, fit_intercept):
    model = fit(
        prior=Normal(0.2, 0.8),
        intercept_prior=Normal(0.5, 2.0),
        sigma_prior=HalfNormal(1.5),
        center=center,
        fit_intercept=fit_intercept,
        weights_type=kind,
    )
    oracle = gaussian_oracle(
        Model(
            X,
            y,
            coef=[stats.norm(0.2, 0.8)] * 2,
            intercept=stats.norm(0.5, 2.0),
            sigma=stats.halfnorm(scale=1.5),
            center=center,
            fit_intercept=fit_intercept,
            weights=WEIGHTS,
            precision=kind == "precision",
        )
    )
    check_against_oracle(model, oracle)


def test_more_columns_than_rows():
    wide = np.random.default_rng(1).normal(size=(6, 10))
    model = fit(
        wide, y[:6], WEIGHTS[:6], prior=Normal(0, 1), intercept_prior=Normal(0, 2), sigma_prior=HalfNormal(1)
    )
    oracle = gaussian_oracle(
        Model(
            wide,
            y[:6],
            coef=[stats.norm(0, 1)] * 10,
            intercept=stats.norm(0, 2),
            sigma=stats.halfnorm(scale=1),
            weights=WEIGHTS[:6],
            precision=True,
        )
    )
    check_against_oracle(model, oracle)


@pytest.mark.parametrize(
    ("prior", "same"),
    [(Normal(0.0, 0.7), stats.norm(0, 0.7)), (Laplace(0.0, 0.5), stats.laplace(0, 0.5))],
    ids=["normal", "laplace"],
)
def test_moments_are_those_of_the_density_written_down(prior, same):
    """One coefficient and sigma on a grid, the density from scipy.stats.norm and nothing else."""
    x = X[:, 0]
    model = fit(x[:, np.newaxis], prior=prior, sigma_prior=HalfNormal(2.0), fit_intercept=False, draws=2000)
    b, log_sigma = np.linspace(-3, 4, 601)[:, np.newaxis], np.linspace(-2.5, 2.5, 401)
    sigma = np.exp(log_sigma)
    log_density = same.logpdf(b) + stats.halfnorm(scale=2).logpdf(sigma) + log_sigma
    for i in range(15):
        log_density = log_density + stats.norm(b * x[i], sigma / np.sqrt(WEIGHTS[i])).logpdf(y[i])
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean_b, mean_sigma = np.sum(weights * b), np.sum(weights * sigma)
    sd_b = np.sqrt(np.sum(weights * (b - mean_b) ** 2))
    if model.posterior_.exact is not None:
        assert model.coef_[0] == pytest.approx(mean_b, abs=1e-8)
        assert model.sigma_ == pytest.approx(mean_sigma, rel=1e-8)
        assert model.posterior_.exact.sd["coef"][0] == pytest.approx(sd_b, rel=1e-7)
    error = model.posterior_.diagnostics.mcse_mean
    draws = model.posterior_.stacked().mean(axis=(1, 2))
    assert np.all(np.abs(draws - [mean_b, mean_sigma]) < 4 * error + 1e-3)


@pytest.mark.parametrize("prior", [Normal(0, 1), Laplace(0, 1), StudentT(4, 0, 1)], ids=str)
def test_the_same_model_by_scaling_rows(prior):
    # Dividing by the noise's sd: sqrt(w) y ~ N(sqrt(w) (a + x b), sigma^2).
    root = np.sqrt(WEIGHTS)[:, np.newaxis]
    columns = np.column_stack([np.ones(15), X])
    settings = {"prior": prior, "sigma_prior": HalfNormal(1), "fit_intercept": False, "draws": 500}
    weighted = fit(columns, **settings)
    scaled = fit(root * columns, root[:, 0] * y, None, **settings)
    if isinstance(prior, Normal):
        np.testing.assert_allclose(weighted.coef_, scaled.coef_, rtol=1e-10)
        assert weighted.sigma_ == pytest.approx(scaled.sigma_, rel=1e-10)
    error = np.hypot(weighted.posterior_.diagnostics.mcse_mean, scaled.posterior_.diagnostics.mcse_mean)
    ours, theirs = (each.posterior_.stacked().mean(axis=(1, 2)) for each in (weighted, scaled))
    np.testing.assert_array_less(np.abs(ours - theirs), 4.5 * error + 1e-12)


@pytest.mark.parametrize("prior", [None, "flat", "laplace", "positive"])
@pytest.mark.parametrize("factor", [1e-4, 0.5, 4.0, 1e6])
def test_only_ratios_of_weights_matter_to_the_coefficients(factor, prior):
    params = {"positive": True} if prior == "positive" else {"prior": prior}
    one, other = fit(**params), fit(weights=factor * WEIGHTS, **params)
    if prior in (None, "flat"):
        np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-9)
        assert other.intercept_ == pytest.approx(one.intercept_, rel=1e-9)
        np.testing.assert_allclose(
            other.posterior_.exact.sd["coef"], one.posterior_.exact.sd["coef"], rtol=1e-9
        )
        assert other.sigma_ == pytest.approx(one.sigma_ * np.sqrt(factor), rel=1e-9)
        assert other.posterior_.exact.sd["sigma"] == pytest.approx(
            one.posterior_.exact.sd["sigma"] * factor**0.5, rel=1e-8
        )
    error = np.hypot(other.posterior_.diagnostics.mcse_mean[:-1], one.posterior_.diagnostics.mcse_mean[:-1])
    ours, theirs = (each.posterior_.stacked().mean(axis=(1, 2)) for each in (other, one))
    np.testing.assert_array_less(np.abs(ours - theirs)[:-1], 4.5 * error + 1e-12)
    assert ours[-1] == pytest.approx(theirs[-1] * np.sqrt(factor), rel=0.3)


def test_weights_of_one_are_no_weights():
    for kind in ("precision", "frequency"):
        one, other = fit(weights=np.ones(15), weights_type=kind), fit(weights=None, weights_type=kind)
        np.testing.assert_array_equal(one.posterior_.draws["coef"], other.posterior_.draws["coef"])
        assert one.posterior_.weight == other.posterior_.weight == 15.0


def test_rows_of_weight_zero_are_absent():
    weights = np.where(np.arange(15) < 4, 0.0, WEIGHTS)
    one, other = fit(weights=weights), fit(X[4:], y[4:], WEIGHTS[4:])
    np.testing.assert_array_equal(one.posterior_.draws["sigma"], other.posterior_.draws["sigma"])
    assert one.posterior_.n_rows == one.posterior_.weight == 11


def test_equal_rows_are_counted_one_by_one():
    """Two rows of precision w are not one of precision 2w, whatever the sums are made of."""
    twice = np.r_[X, X], np.r_[y, y]
    model = fit(*twice, np.r_[WEIGHTS, WEIGHTS], prior=Flat(), intercept_prior=Flat(), sigma_prior=Flat())
    oracle = gaussian_oracle(
        Model(*twice, coef=[None] * 2, sigma=None, weights=np.r_[WEIGHTS, WEIGHTS], precision=True)
    )
    check_against_oracle(model, oracle)
    assert model.posterior_.n_rows == 30


def test_prediction_is_of_a_row_of_weight_one():
    model = fit(prior=Normal(0, 1), sigma_prior=HalfNormal(1), intercept_prior=Normal(0, 2))
    exact, at = model.posterior_.exact, np.zeros((1, 2))
    mean, sd = model.predict(at, return_std=True)
    noise = exact.sd["sigma"] ** 2 + exact.mean["sigma"] ** 2
    assert mean[0] == pytest.approx(model.intercept_, rel=1e-12)
    assert sd[0] ** 2 == pytest.approx(exact.sd["Intercept"] ** 2 + noise, rel=1e-8)


# -- ArviZ ------------------------------------------------------------------------------------------------


def means_of(model, X):
    draws = model.posterior_.draws
    return draws["Intercept"][..., np.newaxis] + draws["coef"] @ X.T, draws["sigma"][..., np.newaxis]


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_log_likelihoods(kind, k):
    response = y if k == 1 else np.column_stack([y, y**2])
    model = fit(y=response, weights_type=kind)
    data = model.to_arviz(X, response, sample_weight=WEIGHTS)
    found = data["log_likelihood"]["y"].values
    np.testing.assert_array_equal(data["constant_data"]["sample_weight"].values, WEIGHTS)
    for j, part in enumerate(model.posterior_.parts):
        mean = part.draws["Intercept"][..., np.newaxis] + part.draws["coef"] @ X.T
        sigma, observed = part.draws["sigma"][..., np.newaxis], response if k == 1 else response[:, j]
        if kind == "precision":
            expected = stats.norm(mean, sigma / np.sqrt(WEIGHTS)).logpdf(observed)
        else:
            expected = WEIGHTS * stats.norm(mean, sigma).logpdf(observed)
        np.testing.assert_allclose(found if k == 1 else found[..., j], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_replicated_data(kind):
    model = fit(weights_type=kind, draws=1000, prior=Normal(0, 1), intercept_prior=Normal(0, 1))
    data = model.to_arviz(X, y, sample_weight=WEIGHTS, prior=True)
    mean, sigma = means_of(model, X)
    noise = sigma / np.sqrt(WEIGHTS) if kind == "precision" else sigma
    standard = (data["posterior_predictive"]["y"].values - mean) / noise
    assert stats.kstest(standard.ravel()[::7], "norm").pvalue > 1e-4
    assert np.all(np.abs(standard.var(axis=(0, 1)) - 1) < 4.5 * np.sqrt(2 / 4000))
    prior = data["prior"]
    line = prior["Intercept"].values[..., np.newaxis] + prior["coef"].values @ X.T
    noise = prior["sigma"].values[..., np.newaxis] / (np.sqrt(WEIGHTS) if kind == "precision" else 1.0)
    standard = (data["prior_predictive"]["y"].values - line) / noise
    assert np.all(np.abs(standard.var(axis=(0, 1)) - 1) < 4.5 * np.sqrt(2 / 4000))


def test_rows_of_weight_zero_in_arviz():
    weights = np.where(np.arange(15) < 4, 0.0, WEIGHTS)
    data = fit(weights=weights).to_arviz(X, y, sample_weight=weights)
    assert np.isfinite(data["log_likelihood"]["y"].values).all()
    np.testing.assert_array_equal(data["observed_data"]["obs"].values, np.arange(4, 15))
    counted = fit(weights=weights, weights_type="frequency").to_arviz(X, y, sample_weight=weights)
    np.testing.assert_array_equal(counted["log_likelihood"]["y"].values[..., :4], 0.0)
    assert counted["log_likelihood"]["y"].shape[-1] == 15


def test_weights_go_with_the_rows_of_a_formula():
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(y=y)
    frame.loc[2, "a"] = np.nan
    with pytest.warns(UserWarning, match="dropped 1"):
        model = fit(frame, None, formula="y ~ a + b")
    kept = np.delete(np.arange(15), 2)
    expected = fit(X[kept], y[kept], WEIGHTS[kept])
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
    data = model.to_arviz(frame, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(data["constant_data"]["sample_weight"].values, WEIGHTS[kept])
    mean, sigma = means_of(model, X[kept])
    np.testing.assert_allclose(
        data["log_likelihood"]["y"].values,
        stats.norm(mean, sigma / np.sqrt(WEIGHTS[kept])).logpdf(y[kept]),
        rtol=1e-9,
    )


@pytest.mark.parametrize("bad", ["precisions", None, 1, "Frequency"])
def test_other_meanings_are_refused(bad):
    with pytest.raises(ValueError, match="weights_type must be 'frequency' or 'precision'"):
        fit(weights_type=bad)


def test_the_summary_says_what_weights_mean():
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = X.sum(axis=1) + np.random.default_rng(1).normal(size=30)
    model = BayesianLinearRegression(weights_type="precision", draws=50, random_state=0)
    text = str(model.fit(X, y, sample_weight=np.full(30, 4.0)).summary())
    assert "30 (weights are precisions, 4 on average; sigma is that of weight 1)" in text
    assert "precisions" not in str(model.fit(X, y).summary())
    frequency = BayesianLinearRegression(draws=50, random_state=0).fit(X, y, sample_weight=np.full(30, 4.0))
    assert "30 (weights sum to 120)" in str(frequency.summary())


# -- both meanings at once -----------------------------------------------------------------------------------

FIRST, SECOND = slice(0, 8), slice(8, 15)


def halves(first_weights, second_weights, kinds=("precision", "frequency")):
    return [
        fit(X[rows], y[rows], None if w is None else np.broadcast_to(w, len(y[rows])), weights_type=kind)
        for rows, w, kind in zip((FIRST, SECOND), (first_weights, second_weights), kinds, strict=True)
    ]


def through(model, how, tmp_path):
    if how == "file":
        model.save(tmp_path / "model.bayesglm")
        return bayesglm.load(tmp_path / "model.bayesglm")
    return pickle.loads(pickle.dumps(model)) if how == "pickle" else model


@pytest.mark.parametrize("how", ["itself", "file", "pickle"])
@pytest.mark.parametrize("kinds", [("precision", "frequency"), ("frequency", "precision")], ids="-".join)
def test_weights_of_two_meanings_are_not_added_up(kinds, how, tmp_path):
    weighted, plain = halves(4.0, None, kinds)
    weighted, plain = through(weighted, how, tmp_path), through(plain, how, tmp_path)
    before = plain.coef_.copy()
    with pytest.raises(ValueError, match=rf"others\[0\] .*weights_type='{kinds[0]}'"):
        plain.merge(weighted)
    np.testing.assert_array_equal(plain.coef_, before)
    # Rows of weight 1 are the same in both meanings.
    merged = weighted.merge(plain)
    whole = fit(weights=np.where(np.arange(15) < 8, 4.0, 1.0), weights_type=kinds[0])
    np.testing.assert_allclose(merged.coef_, whole.coef_, rtol=1e-10)
    assert merged.posterior_.weight == whole.posterior_.weight


@pytest.mark.parametrize("how", ["itself", "file", "pickle"])
@pytest.mark.parametrize("kinds", [("precision", "frequency"), ("frequency", "precision")], ids="-".join)
def test_the_meaning_cannot_change_between_batches(kinds, how, tmp_path):
    model = fit(X[FIRST], y[FIRST], WEIGHTS[FIRST], weights_type=kinds[0]).set_params(weights_type=kinds[1])
    model = through(model, how, tmp_path)
    for call in (lambda: model.partial_fit(X[SECOND], y[SECOND]), model.merge):
        with pytest.raises(ValueError, match=f"weights_type='{kinds[1]}'.*weights_type='{kinds[0]}'"):
            call()
    model.set_params(weights_type=kinds[0]).partial_fit(X[SECOND], y[SECOND], WEIGHTS[SECOND])
    np.testing.assert_allclose(model.coef_, fit(weights_type=kinds[0]).coef_, rtol=1e-10)
    # fit forgets, and so its meaning is free.
    assert model.set_params(weights_type=kinds[1]).fit(X, y, WEIGHTS).posterior_.n_rows == 15


@pytest.mark.parametrize("how", ["itself", "file", "pickle"])
def test_the_meaning_of_rows_of_weight_one_may_change(how, tmp_path):
    model = fit(X[FIRST], y[FIRST], np.ones(8), weights_type="frequency")
    model = through(model.set_params(weights_type="precision"), how, tmp_path)
    model.partial_fit(X[SECOND], y[SECOND], WEIGHTS[SECOND])
    whole = fit(weights=np.concatenate([np.ones(8), WEIGHTS[SECOND]]))
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-10)
    assert model.sigma_ == pytest.approx(whole.sigma_, rel=1e-10)


def test_rows_without_a_fit_are_not_saved_under_another_meaning(tmp_path):
    model = BayesianLinearRegression(prior="flat", weights_type="precision")
    with pytest.warns(UserWarning, match="Not fitted yet"):
        model.partial_fit(X[:2], y[:2], [4.0, 4.0])
    with pytest.raises(ValueError, match="weights_type='frequency' was set after"):
        model.set_params(weights_type="frequency").save(tmp_path / "model.bayesglm")
    model.set_params(weights_type="precision").save(tmp_path / "model.bayesglm")
    with pytest.raises(ValueError, match="the rows before"):
        bayesglm.load(tmp_path / "model.bayesglm").set_params(weights_type="frequency").partial_fit(X, y)


def test_what_weights_meant_to_the_fit_stays_after_set_params():
    weights = np.arange(1.0, 16.0)
    model = fit(weights=weights)
    before = str(model.summary()), model.to_arviz(X, y, sample_weight=weights)
    model.set_params(weights_type="frequency")
    assert str(model.summary()) == before[0]
    found = model.to_arviz(X, y, sample_weight=weights)
    np.testing.assert_array_equal(
        found.log_likelihood["y"].to_numpy(), before[1].log_likelihood["y"].to_numpy()
    )

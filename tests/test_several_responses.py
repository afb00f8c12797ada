"""Several responses in one fit: each as if fitted alone, under its name wherever something is told of it."""

import pickle

import arviz as az
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from bayesglm import BayesianLinearRegression, HalfNormal, Laplace, Normal
from tests.sparse_data import random_sparse

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) * [1.0, 10.0, 0.1]
Y = 1.0 + X @ RNG.normal(size=(3, 3)) + RNG.normal(size=(60, 3)) * [0.3, 1.0, 5.0]
WEIGHTS = RNG.integers(0, 4, size=60).astype(float)
NEW = RNG.normal(size=(7, 3))
NAMES = ["length", "width", "mass"]


def fit(X=X, y=Y, weights=None, formula=None, **params):
    return BayesianLinearRegression(formula, **{"draws": 30, "random_state": 0, **params}).fit(X, y, weights)


def same_posterior(one, other, rtol=1e-11):
    """See that two posteriors of one response have the same exact moments, in units of their sds."""
    for name, sd in other.exact.sd.items():
        np.testing.assert_allclose(one.exact.sd[name], sd, rtol=rtol)
        gap = np.abs(np.subtract(one.exact.mean[name], other.exact.mean[name]))
        assert np.all(gap <= rtol * np.asarray(sd)), name


SETTINGS = {
    "default": {},
    "weights": {"weights": WEIGHTS},
    "precision": {"weights": WEIGHTS, "weights_type": "precision"},
    "no intercept": {"fit_intercept": False},
    "own priors": {"prior": Normal(0.3, 2.0), "sigma_prior": HalfNormal(3.0), "center": False},
    "a mapping of priors": {"prior": {"x1": Normal(0, 0.1), "x2": Normal(1, 5)}},
    "prior scale": {"prior_scale": 0.5},
    "flat": {"prior": "flat"},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_response_is_as_if_fitted_alone(setting):
    together = fit(**SETTINGS[setting])
    assert together.coef_.shape == (3, 3)
    assert together.sigma_.shape == (3,)
    assert together.posterior_.n_rows == (
        60 if "weights" not in SETTINGS[setting] else np.count_nonzero(WEIGHTS)
    )
    for j, part in enumerate(together.posterior_.parts):
        alone = fit(y=Y[:, j], **SETTINGS[setting])
        same_posterior(part, alone.posterior_)
        np.testing.assert_allclose(together.coef_[j], alone.coef_, rtol=1e-9)
        assert together.sigma_[j] == pytest.approx(alone.sigma_, rel=1e-11)
        if setting != "no intercept":
            assert together.intercept_[j] == pytest.approx(alone.intercept_, rel=1e-9)
        np.testing.assert_allclose(together.predict(NEW)[:, j], alone.predict(NEW), rtol=1e-9)
        assert [text for _, text in part.priors] == [text for _, text in alone.posterior_.priors]
    if setting == "no intercept":
        assert together.intercept_ == LinearRegression(fit_intercept=False).fit(X, Y).intercept_


def test_the_first_response_has_the_draws_that_it_has_alone():
    together, alone = fit(draws=200), fit(y=Y[:, 0], draws=200)
    for name, draws in alone.posterior_.draws.items():
        np.testing.assert_allclose(together.posterior_.draws[name][:, :, 0], draws, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("prior", [None, "laplace"])
def test_draws_of_different_responses_are_independent(prior):
    # The same response three times: whatever the chains shared would show.
    model = fit(y=Y[:, [1, 1, 1]], draws=1000, prior=prior)
    draws = np.concatenate(
        [model.posterior_.draws["coef"], model.posterior_.draws["sigma"][..., np.newaxis]], axis=-1
    )
    draws = draws - draws.mean(axis=(0, 1))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        products = draws[:, :, a] * draws[:, :, b]
        # Means of blocks of 50 draws are nearly independent of each other.
        blocks = products.reshape(4 * 20, 50, -1).mean(axis=1)
        z = blocks.mean(axis=0) / (blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks)))
        assert np.all(np.abs(z) < 4.0), z


@pytest.mark.parametrize("prior", ["laplace", {"x0": Laplace(0, 1), "x1": Normal(0, 1)}])
def test_responses_under_priors_without_closed_form(prior):
    model = fit(prior=prior, draws=500)
    assert model.posterior_.how == "nuts"
    for j in range(3):
        alone = fit(y=Y[:, j], prior=prior, draws=500)
        error = np.hypot(
            model.posterior_.parts[j].diagnostics.mcse_mean, alone.posterior_.diagnostics.mcse_mean
        )
        gap = [
            model.intercept_[j] - alone.intercept_,
            *(model.coef_[j] - alone.coef_),
            model.sigma_[j] - alone.sigma_,
        ]
        np.testing.assert_array_less(np.abs(gap), 4.5 * error + 1e-12)


def test_one_column_comes_out_as_one_column():
    model, alone = fit(y=Y[:, :1]), fit(y=Y[:, 0])
    theirs = LinearRegression().fit(X, Y[:, :1])
    assert model.coef_.shape == theirs.coef_.shape == (1, 3)
    assert np.shape(model.intercept_) == theirs.intercept_.shape == (1,)
    assert model.predict(X).shape == (60, 1)
    assert model.predict(X, return_std=True)[1].shape == (60, 1)
    assert model.score(X, Y[:, :1]) == pytest.approx(alone.score(X, Y[:, 0]), rel=1e-12)
    for name, draws in alone.posterior_.draws.items():
        np.testing.assert_array_equal(model.posterior_.draws[name][:, :, 0], draws)


def test_prediction():
    model = fit()
    alone = [fit(y=Y[:, j]) for j in range(3)]
    calls = {
        "mean": (lambda m, y: m.predict(NEW), (7, 3)),
        "std": (lambda m, y: m.predict(NEW, return_std=True)[1], (7, 3)),
        "interval": (lambda m, y: m.predict_interval(NEW, 0.8), (7, 3, 2)),
        "interval of the line": (lambda m, y: m.predict_interval(NEW, kind="mean"), (7, 3, 2)),
        "quantiles": (lambda m, y: m.predict_quantiles(NEW, [0.1, 0.5, 0.6, 0.9]), (7, 3, 4)),
        "quantile": (lambda m, y: m.predict_quantiles(NEW, 0.3), (7, 3)),
        "density": (lambda m, y: m.log_predictive_density(X, y), (60, 3)),
        "crps": (lambda m, y: m.crps(X, y), (60, 3)),
    }
    for name, (call, shape) in calls.items():
        found = call(model, Y)
        assert found.shape == shape, name
        for j, single in enumerate(alone):
            np.testing.assert_allclose(found[:, j], call(single, Y[:, j]), rtol=1e-8, err_msg=name)


def test_predictive_draws():
    model = fit(draws=500)
    found = model.sample_predictive(NEW, random_state=1)
    assert found.shape == (2000, 7, 3)
    assert model.sample_predictive(NEW, 11, kind="mean").shape == (11, 7, 3)
    mean, sd = model.predict(NEW, return_std=True)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - mean), 5 * sd / np.sqrt(1000))
    # New observations of different responses are independent given X.
    correlation = np.corrcoef(found[:, 0].T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlation) < 4.5 / np.sqrt(1000))


def test_score_is_the_mean_of_the_responses():
    model = fit()
    expected = np.mean([r2_score(Y[:, j], model.predict(X)[:, j]) for j in range(3)])
    assert model.score(X, Y) == pytest.approx(expected, rel=1e-12)
    weighted = r2_score(Y, model.predict(X), sample_weight=WEIGHTS)
    assert model.score(X, Y, WEIGHTS) == pytest.approx(weighted, rel=1e-12)


def test_sparse_rows():
    rows = random_sparse((60, 8), 0.3, 1)
    found, expected = fit(rows), fit(rows.toarray())
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_allclose(found.predict(rows), expected.predict(rows.toarray()), rtol=1e-12)
    data = found.to_arviz(rows, Y, sample_weight=np.ones(60))
    assert list(data["constant_data"].data_vars) == ["sample_weight"]


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (pd.DataFrame(Y, columns=NAMES), tuple(NAMES)),
        (pl.DataFrame(Y, schema=NAMES), tuple(NAMES)),
        (pd.DataFrame(Y), ("y0", "y1", "y2")),
        (Y, ("y0", "y1", "y2")),
        (Y.tolist(), ("y0", "y1", "y2")),
    ],
)
def test_responses_are_called_by_their_columns(response, expected):
    model = fit(y=response)
    assert model.posterior_.responses == expected
    assert model.posterior_.names[:2] == (f"{expected[0]}: Intercept", f"{expected[0]}: x0")
    np.testing.assert_array_equal(model.coef_, fit().coef_)


def test_arviz():
    model = fit(y=pd.DataFrame(Y, columns=NAMES), draws=200)
    alone = fit(y=Y[:, 0], draws=200)
    data, single = model.to_arviz(X, Y, prior=True), alone.to_arviz(X, Y[:, 0])
    posterior = data["posterior"]
    assert posterior["coef"].dims == ("chain", "draw", "response", "feature")
    assert posterior["Intercept"].dims == posterior["sigma"].dims == ("chain", "draw", "response")
    assert list(posterior["response"].values) == NAMES
    for group in ("posterior_predictive", "log_likelihood"):
        assert data[group]["y"].dims == ("chain", "draw", "obs", "response")
    assert data["observed_data"]["y"].dims == ("obs", "response")
    assert data["prior"]["coef"].dims == data["log_prior"]["coef"].dims == posterior["coef"].dims
    np.testing.assert_array_equal(data["observed_data"]["y"].values, Y)
    np.testing.assert_array_equal(data["constant_data"]["X"].values, X)
    ours, theirs = (each["log_likelihood"]["y"].values for each in (data, single))
    np.testing.assert_allclose(ours[..., 0], theirs, rtol=1e-9)
    np.testing.assert_allclose(
        data["log_prior"]["coef"].values[:, :, 0], single["log_prior"]["coef"].values, rtol=1e-9
    )

    table = az.summary(data)
    rows = [f"{name}[{response}]" for name in ("Intercept", "sigma") for response in NAMES]
    assert set(rows) <= set(table.index)
    assert len(table) == 3 * 5
    loo = az.loo(data, var_name="y")
    parts = sum(elpd(az.loo(fit(y=Y[:, j], draws=200).to_arviz(X, Y[:, j]))) for j in range(3))
    assert loo.n_data_points == 180
    assert elpd(loo) == pytest.approx(parts, abs=0.5)


def elpd(loo):
    """What ArviZ 0.x and 1.x call differently."""
    return float(loo.elpd_loo if hasattr(loo, "elpd_loo") else loo.elpd)


def test_new_draws_for_arviz():
    model = fit(y=pd.DataFrame(Y, columns=NAMES))
    kept = model.sample_posterior()["posterior"]
    np.testing.assert_array_equal(kept["coef"].values, model.posterior_.draws["coef"])
    for seed in (None, 5):
        found = model.sample_posterior(40, random_state=seed)
        assert found["posterior"]["coef"].shape == (4, 40, 3, 3)
        assert found["sample_stats"]["diverging"].shape == (4, 40)
        assert list(found["posterior"]["response"].values) == NAMES
        again = model.sample_posterior(40, random_state=seed)["posterior"]["sigma"].values
        np.testing.assert_array_equal(found["posterior"]["sigma"].values, again)
        sigma = found["posterior"]["sigma"].values
        assert not np.any(sigma[..., 0] == sigma[..., 1])


def test_summary():
    model = fit(y=pd.DataFrame(Y, columns=NAMES), draws=100)
    table = model.summary()
    assert table.names == tuple(f"{r}: {p}" for r in NAMES for p in ("Intercept", "x0", "x1", "x2", "sigma"))
    frame = table.to_frame()
    assert frame.shape[0] == 15
    alone = fit(y=Y[:, 2], draws=100).summary().to_frame()
    np.testing.assert_allclose(frame.iloc[10:]["mean"], alone["mean"], rtol=1e-9)
    np.testing.assert_allclose(frame.iloc[10:]["5%"], alone["5%"], rtol=1e-8)
    text = str(table)
    assert "length, width, mass ~ Normal" in text
    assert "mass: sigma" in text
    assert table._repr_html_().count("<tr>") > 15


# -- the rest of an estimator's life ----------------------------------------------------------------------


def test_pickling():
    model = fit(y=pd.DataFrame(Y, columns=NAMES))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW))
    np.testing.assert_array_equal(again.predict_interval(NEW), model.predict_interval(NEW))
    np.testing.assert_array_equal(
        again.sample_posterior(5)["posterior"]["coef"].values,
        model.sample_posterior(5)["posterior"]["coef"].values,
    )
    assert str(again.summary()) == str(model.summary())
    assert not hasattr(clone(model), "posterior_")


def test_a_constant_response_is_named():
    response = np.column_stack([Y[:, 0], np.full(60, 3.0)])
    with pytest.warns(UserWarning, match="Response 'y1': y is constant") as caught:
        model = fit(y=response)
    assert sum("constant" in str(each.message) for each in caught) == 1
    assert model.predict(NEW)[:, 1] == pytest.approx(3.0)
    same_posterior(model.posterior_.parts[0], fit(y=Y[:, 0]).posterior_, 1e-9)


def test_a_response_fitted_exactly_is_named():
    response = pd.DataFrame({"exact": X @ [1.0, 2.0, 3.0] + 4.0, "noisy": Y[:, 0]})
    with pytest.warns(UserWarning, match="Response 'exact': The data are fitted to rounding error") as caught:
        model = fit(y=response)
    assert not any("'noisy'" in str(each.message) and "rounding" in str(each.message) for each in caught)
    np.testing.assert_allclose(model.coef_[0], [1.0, 2.0, 3.0], rtol=1e-10)
    same_posterior(model.posterior_.parts[1], fit(y=Y[:, 0]).posterior_, 1e-9)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_draws_that_cannot_be_trusted_are_told_by_response():
    with pytest.warns(UserWarning, match=r"Response 'mass': .*effective"):
        fit(y=pd.DataFrame(Y, columns=NAMES), draws=20)


FRAME = pd.DataFrame(X, columns=list("abc")).assign(g=list("uvw") * 20)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_formulas(kind):
    response = pd.DataFrame(Y[:, :2], columns=["length", "width"])
    if kind is pl.DataFrame:
        frame, response = (pl.DataFrame(each.to_dict("list")) for each in (FRAME, response))
    else:
        frame = FRAME
    model = fit(frame, response, formula="a + b + C(g)", prior={"C(g)": Normal(0, 1)})
    assert model.posterior_.responses == ("length", "width")
    assert model.coef_.shape == (2, 4)
    for j in range(2):
        alone = fit(FRAME, Y[:, j], formula="a + b + C(g)", prior={"C(g)": Normal(0, 1)})
        same_posterior(model.posterior_.parts[j], alone.posterior_)
    assert model.predict(frame).shape == (60, 2)
    assert model.score(frame, response) > 0.5
    assert "a + b + C(g)" in str(model.summary())


def test_a_formula_leaves_rows_out_for_all_responses():
    frame = FRAME.copy()
    frame.loc[[3, 7], "a"] = np.nan
    with pytest.warns(UserWarning, match="dropped 2 of 60 rows"):
        model = fit(frame, Y[:, :2], formula="a + b")
    kept = np.setdiff1d(np.arange(60), [3, 7])
    same_posterior(model.posterior_.parts[1], fit(FRAME.iloc[kept], Y[kept, 1], formula="a + b").posterior_)
    assert np.isnan(model.predict(frame)[3]).all()
    assert len(model.to_arviz(frame, Y[:, :2])["observed_data"]["obs"]) == 58


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Y[:-1], "inconsistent numbers of samples"),
        (Y[:, :0], "give at least one response"),
        (Y[:, :, np.newaxis], "dim 3"),
        (np.where(Y[5, 1] == Y, np.nan, Y), "y contains NaN in row 5"),
    ],
)
def test_responses_that_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(y=bad)


@pytest.mark.parametrize("method", ["log_predictive_density", "crps", "to_arviz"])
def test_other_numbers_of_responses_are_refused(method):
    with pytest.raises(ValueError, match="3 numbers a row, one a response"):
        getattr(fit(), method)(X, Y[:, :2])
    with pytest.raises(ValueError, match="one number a row"):
        getattr(fit(y=Y[:, 0]), method)(X, Y)

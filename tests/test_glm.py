"""The estimators of any likelihood as a user meets them: arrays, formulas, what rows bring, errors, life after fit."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesglm
from bayesglm import (
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Exponential,
    Normal,
    families,
    load,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N = 200
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=N),
        "b": RNG.normal(size=N),
        "g": RNG.choice(["u", "v", "w"], N),
        "pop": RNG.uniform(1.0, 9.0, N),
        "trials": RNG.integers(1, 9, N),
    }
)
X = FRAME[["a", "b"]].to_numpy()
ETA = 0.3 + X @ [0.5, -0.3]
MEAN = np.exp(ETA)
FRAME["k"] = RNG.poisson(MEAN * FRAME["pop"])
FRAME["s"] = RNG.binomial(FRAME["trials"], 1.0 / (1.0 + np.exp(-ETA)))
RESPONSES = {
    "gaussian": ETA + RNG.normal(size=N),
    "student_t": ETA + RNG.standard_t(3.0, size=N),
    "laplace": ETA + RNG.laplace(size=N),
    "bernoulli": (RNG.random(N) < 0.6) * 1.0,
    "binomial": FRAME["s"].to_numpy(),
    "poisson": RNG.poisson(MEAN),
    "negative_binomial": RNG.poisson(MEAN * RNG.gamma(2.0, 0.5, N)),
    "gamma": MEAN * RNG.gamma(3.0, 1 / 3, N),
    "inverse_gaussian": RNG.wald(MEAN, 3.0),
    "beta": RNG.beta(2.0, 3.0, N),
}
NAMED = {
    "poisson": BayesianPoissonRegressor,
    "negative_binomial": BayesianNegativeBinomialRegressor,
    "gamma": BayesianGammaRegressor,
    "student_t": BayesianRobustRegression,
}


def rows_of(family):
    return {"trials": FRAME["trials"].to_numpy()} if family == "binomial" else {}


@pytest.mark.parametrize("family", RESPONSES)
def test_everything_after_fit(family, tmp_path):
    """Each method answers, in the shape that is promised, and says the same after loading."""
    model = BayesianGLM(family=family, draws=300, random_state=0)
    y, row = RESPONSES[family], rows_of(family)
    assert model.fit(X, y, **row) is model
    assert model.coef_.shape == (2,)
    assert isinstance(model.intercept_, float)
    assert set(model.aux_) == set(families.FAMILIES[family]().aux)
    assert all(getattr(model, f"{name}_") == value for name, value in model.aux_.items())
    new, few = X[:7], {name: values[:7] for name, values in row.items()}
    mean, sd = model.predict(new, return_std=True, **few)
    np.testing.assert_array_equal(mean, model.predict(new, **few))
    assert mean.shape == sd.shape == (7,)
    interval = model.predict_interval(new, 0.8, **few)
    assert np.all(interval[:, 0] <= interval[:, 1])
    line = model.predict_interval(new, kind="mean", **few)
    assert np.all((line[:, 0] < mean) & (mean < line[:, 1]))
    assert model.predict_quantiles(new, [0.2, 0.5, 0.7], **few).shape == (7, 3)
    assert model.sample_predictive(new, 11, random_state=1, **few).shape == (11, 7)
    assert np.isfinite(model.log_predictive_density(new, y[:7], **few)).all()
    assert np.all(model.crps(new, y[:7], **few) >= -1e-12)
    assert model.score(X, y, **row) < 1.0
    assert "rows" in str(model.summary())
    assert list(model.summary().to_frame().index) == list(model.posterior_.names)
    found = model.to_arviz(X, y, prior=True, **row)
    assert found["log_likelihood"]["y"].shape == (4, 300, N)
    assert np.isfinite(found["log_likelihood"]["y"].to_numpy()).all()
    assert model.sample_posterior(draws=20)["posterior"]["coef"].shape == (4, 20, 2)
    model.save(tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(new, **few), mean)
        with pytest.raises(ValueError, match="fit it again"):
            twin.sample_posterior(draws=5)


@pytest.mark.parametrize("family", NAMED)
def test_named_estimators_are_the_family(family):
    named = NAMED[family](draws=100, random_state=0).fit(X, RESPONSES[family])
    general = BayesianGLM(family=family, draws=100, random_state=0).fit(X, RESPONSES[family])
    np.testing.assert_array_equal(named.coef_, general.coef_)
    assert named.aux_ == general.aux_


def test_coefficients_are_found():
    for family, y in RESPONSES.items():
        if family in ("bernoulli", "beta", "binomial"):
            continue
        posterior = BayesianGLM(family=family, random_state=0).fit(X, y).posterior_
        flat = posterior.draws["coef"].reshape(-1, 2)
        z = (flat.mean(axis=0) - [0.5, -0.3]) / flat.std(axis=0)
        assert np.abs(z).max() < 3.5, family


def test_exposure_is_an_offset_of_its_logarithm():
    settings = {"draws": 200, "random_state": 0}
    first = BayesianPoissonRegressor(**settings).fit(X, FRAME["k"], exposure=FRAME["pop"])
    second = BayesianPoissonRegressor(**settings).fit(X, FRAME["k"], offset=np.log(FRAME["pop"]))
    third = BayesianPoissonRegressor("k ~ a + b", **settings).fit(FRAME, exposure="pop")
    np.testing.assert_array_equal(first.coef_, second.coef_)
    np.testing.assert_array_equal(first.coef_, third.coef_)
    np.testing.assert_allclose(third.predict(FRAME), first.predict(X) * FRAME["pop"], rtol=1e-12)
    np.testing.assert_allclose(third.predict(FRAME, exposure=2.0), first.predict(X) * 2.0, rtol=1e-12)
    assert np.abs(first.intercept_ - 0.3) < 0.2
    assert third.score(FRAME) > 0.3


def test_successes_without_their_trials_are_refused():
    """As one trial a row they would be impossible, and the answers minus infinity or NaN."""
    model = BayesianGLM(family="binomial", chains=1, draws=50, random_state=0)
    model.fit(X, FRAME["s"], trials=FRAME["trials"])
    for method in (model.score, model.crps, model.log_predictive_density, model.to_arviz):
        with pytest.raises(ValueError, match="trials is missing"):
            method(X, FRAME["s"])
    assert np.isfinite(model.score(X, FRAME["s"] > 0))
    assert 0.0 < model.score(X, FRAME["s"], trials=FRAME["trials"]) < 1.0


def test_formula_with_trials_and_missing_values():
    frame = FRAME.copy()
    frame.loc[[3, 8], "a"] = np.nan
    with pytest.warns(UserWarning, match="2 of 200 rows"):
        model = BayesianGLM("s ~ a + C(g)", family="binomial", draws=200, random_state=0).fit(
            frame, trials="trials"
        )
    predicted = model.predict(frame)
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [3, 8]
    share = model.predict(frame.iloc[:3], trials=1)
    np.testing.assert_allclose(predicted[:3], share * frame["trials"].iloc[:3], rtol=1e-12)


def test_an_intercept_alone():
    model = BayesianPoissonRegressor("k ~ 1", draws=300, random_state=0).fit(FRAME)
    assert model.coef_.shape == (0,)
    assert np.ptp(model.predict(FRAME)) == 0.0
    assert model.predict(FRAME)[0] == pytest.approx(FRAME["k"].mean(), rel=0.02)
    assert model.predict_interval(FRAME.head(3)).shape == (3, 2)
    assert model.sample_predictive(FRAME.head(3), 5).shape == (5, 3)
    assert "Intercept" in str(model.summary())
    model.to_arviz(FRAME)


def test_known_standard_errors_are_a_meta_analysis():
    """Eight schools: the mean of the spread and of the level against quadrature."""
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    se = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    frame = pd.DataFrame({"y": y, "se": se})
    model = BayesianGLM(
        "y ~ 1",
        family="gaussian",
        intercept_prior=Normal(0.0, 5.0),
        aux_priors={"sigma": bayesglm.HalfCauchy(5.0)},
        draws=4000,
        random_state=0,
    ).fit(frame, standard_error="se")
    tau, mu = np.meshgrid(np.geomspace(1e-3, 300.0, 1200), np.linspace(-25.0, 35.0, 600))
    logs = -0.5 * (mu / 5.0) ** 2 - np.log1p((tau / 5.0) ** 2) + np.log(tau)
    for one, error in zip(y, se, strict=True):
        variance = tau**2 + error**2
        logs = logs - 0.5 * (one - mu) ** 2 / variance - 0.5 * np.log(variance)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    diagnostics = model.posterior_.diagnostics
    assert abs(model.intercept_ - (weights * mu).sum()) < 4.0 * diagnostics.mcse_mean[0]
    assert abs(model.sigma_ - (weights * tau).sum()) < 4.0 * diagnostics.mcse_mean[1]


def test_weights_are_repeated_rows():
    weights = RNG.integers(0, 3, N)
    times = np.repeat(np.arange(N), weights)
    y = RESPONSES["poisson"]
    model = BayesianPoissonRegressor(draws=100, random_state=0)
    weighted = clone(model).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(weighted.coef_, clone(model).fit(X[times], y[times]).coef_)


def test_searches_and_pipelines():
    y = RESPONSES["poisson"]
    model = BayesianPoissonRegressor(draws=50, chains=2, random_state=0)
    search = GridSearchCV(model, {"prior_scale": [0.001, 2.5]}, cv=3).fit(X, y)
    assert search.best_params_ == {"prior_scale": 2.5}
    assert cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean() > 0.1
    searched = GridSearchCV(
        BayesianPoissonRegressor("k ~ a", draws=50, chains=2, random_state=0),
        {"prior_scale": [1.0, 2.5]},
        cv=3,
        scoring=bayesglm.metrics.log_density_scorer,
    ).fit(FRAME, FRAME["k"], exposure="pop")
    assert searched.best_score_ < 0.0


def test_robust_regression_is_not_moved_by_outliers():
    y = 1.0 + X @ [2.0, -1.0] + 0.3 * RNG.normal(size=N)
    y[:20] += 100.0
    robust = BayesianRobustRegression(random_state=0).fit(X, y)
    np.testing.assert_allclose(robust.coef_, [2.0, -1.0], atol=0.1)
    assert robust.df_ < 3.0
    given = BayesianRobustRegression(df=3.0, random_state=0).fit(X, y)
    assert set(given.aux_) == {"sigma"}
    assert np.abs(BayesianLinearRegression(random_state=0).fit(X, y).intercept_ - 1.0) > 5.0


def test_summary_on_the_scale_of_the_response():
    model = BayesianPoissonRegressor(random_state=0, draws=200).fit(X, RESPONSES["poisson"])
    link, response = model.summary().to_frame(), model.summary(scale="response").to_frame()
    draws = model.posterior_.draws["coef"]
    np.testing.assert_allclose(response["mean"].iloc[1:], np.exp(draws).mean(axis=(0, 1)))
    np.testing.assert_allclose(response["5%"], np.exp(link["5%"]), rtol=1e-3)
    assert "ratios of means" in str(model.summary(scale="response"))
    probit = BayesianGLM(family="bernoulli", link="probit", draws=50).fit(X, RESPONSES["bernoulli"])
    with pytest.raises(ValueError, match="compare predictions"):
        probit.summary(scale="response")
    with pytest.raises(ValueError, match="scale must be"):
        model.summary(scale="log")


def test_sparse_priors_are_in_units_of_the_pseudo_sigma():
    """Piironen and Vehtari (2017): 2 for a balanced logistic model, 1/sqrt(mean) for counts."""
    for family, y, sigma in (
        ("bernoulli", np.arange(N) % 2 * 1.0, 2.0),
        ("poisson", np.full(N, 4.0), 0.5),
        ("binomial", np.full(N, 4.0), 1.0 / np.sqrt(2.0)),
    ):
        row = {"trials": np.full(N, 8.0)} if family == "binomial" else {}
        model = BayesianGLM(family=family, prior="horseshoe", draws=50, random_state=0).fit(X, y, **row)
        (prior,) = model.posterior_.prior_set.coef
        np.testing.assert_allclose(prior.bound[1] * X.std(axis=0), sigma, rtol=0.01)
        np.testing.assert_allclose(prior.bound[2] * X.std(axis=0), 1.0)


@pytest.mark.parametrize("name", ["rstanarm", "bambi", "arm", "horseshoe", "r2d2", "cauchy"])
def test_priors_by_name(name):
    y = RESPONSES["negative_binomial"]
    model = BayesianNegativeBinomialRegressor(prior=name, random_state=0, draws=300).fit(X, y)
    assert model.posterior_.diagnostics.rhat.max() < 1.05
    assert np.abs(model.coef_ - [0.5, -0.3]).max() < 0.4
    assert np.isfinite(model.to_arviz(X, y)["log_prior"]["phi"].to_numpy()).all()


@pytest.mark.parametrize(
    ("make", "data", "error", "match"),
    [
        (
            lambda: BayesianGLM(family="poison"),
            (X, RESPONSES["poisson"]),
            ValueError,
            "did you mean 'poisson'",
        ),
        (
            lambda: BayesianGLM(family="poisson", link="logit"),
            (X, RESPONSES["poisson"]),
            ValueError,
            "takes, but 'log'",
        ),
        (
            lambda: BayesianPoissonRegressor(sampler="hmc"),
            (X, RESPONSES["poisson"]),
            ValueError,
            "sampler must be",
        ),
        (
            lambda: BayesianPoissonRegressor(dtype="half"),
            (X, RESPONSES["poisson"]),
            ValueError,
            "dtype must be",
        ),
        (lambda: BayesianPoissonRegressor(), (X, -1.0 - RESPONSES["poisson"]), ValueError, "row 0 has -"),
        (lambda: BayesianGammaRegressor(), (X, np.zeros(N)), ValueError, "must be positive"),
        (lambda: BayesianPoissonRegressor(), (X, np.column_stack([X, X])), ValueError, "takes one response"),
        (
            lambda: BayesianPoissonRegressor(prior="flatt"),
            (X, RESPONSES["poisson"]),
            ValueError,
            "did you mean 'flat'",
        ),
        (
            lambda: BayesianGLM(family="poisson", aux_priors={"phi": Exponential(1.0)}),
            (X, RESPONSES["poisson"]),
            ValueError,
            "no auxiliary parameter",
        ),
        (
            lambda: BayesianNegativeBinomialRegressor(phi_prior=Normal()),
            (X, RESPONSES["poisson"]),
            ValueError,
            "phi_prior must be a prior on the positive numbers",
        ),
        (
            lambda: BayesianNegativeBinomialRegressor(phi=-1.0),
            (X, RESPONSES["poisson"]),
            ValueError,
            "phi must be",
        ),
        (lambda: BayesianPoissonRegressor("k ~ aa"), (FRAME,), ValueError, "aa"),
        (
            lambda: BayesianPoissonRegressor(prior="flat", intercept_prior="flat"),
            (np.column_stack([X, X.sum(axis=1)]), RESPONSES["poisson"]),
            ValueError,
            "'x0', 'x1', 'x2'",
        ),
    ],
)
def test_errors(make, data, error, match):
    model = make()
    with pytest.raises(error, match=match):
        model.fit(*data)
    assert not hasattr(model, "posterior_")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"exposure": np.zeros(N)}, "exposure must be positive; got 0 in row 0"),
        ({"exposure": np.ones(3)}, "exposure has shape"),
        ({"offset": np.full(N, np.inf)}, "offset is infinite in row 0"),
        ({"trials": np.ones(N)}, "trials has no meaning for the Poisson family"),
        ({"standard_error": np.ones(N)}, "standard_error has no meaning"),
        ({"exposure": "pop"}, "needs a formula"),
        ({"exposure": np.where(np.arange(N) == 7, np.nan, 1.0)}, r"exposure is missing \(NaN\) in row 7"),
    ],
)
def test_what_rows_bring_is_checked(row, match):
    with pytest.raises(ValueError, match=match):
        BayesianPoissonRegressor().fit(X, RESPONSES["poisson"], **row)
    if isinstance(row.get("exposure"), str):
        with pytest.raises(ValueError, match="did you mean 'pop'"):
            BayesianPoissonRegressor("k ~ a").fit(FRAME, exposure="popp")
    with pytest.raises(ValueError, match="exposure has no meaning"):
        BayesianGammaRegressor().fit(X, RESPONSES["gamma"], exposure=np.ones(N))


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    model = BayesianPoissonRegressor(draws=200, random_state=0).fit(X, RESPONSES["poisson"])
    before = dict(model.__dict__)
    with pytest.raises(ValueError, match="y must be counts"):
        model.fit(X[:, :1], -1.0 - RESPONSES["poisson"])
    assert model.__dict__ == before


def test_what_is_told():
    with pytest.warns(UserWarning, match="numbers that are no counts"):
        BayesianPoissonRegressor(draws=400, random_state=0).fit(X, RESPONSES["poisson"] + 0.5)
    with pytest.warns(UserWarning, match="fitted to rounding error"):
        exact = BayesianGLM(draws=400, random_state=0).fit(X, X @ [2.0, 1.0])
    np.testing.assert_allclose(exact.coef_, [2.0, 1.0], rtol=1e-12)
    assert 0.0 < exact.sigma_ < 1e-12
    with pytest.warns(ConvergenceWarning, match="effective sample size"):
        BayesianPoissonRegressor(draws=5, random_state=0).fit(X, RESPONSES["poisson"])

"""posterior_of: one line for any composition, which takes its rows and speaks of the y that it was given."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from bayesglm import (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    posterior_of,
)
from bayesglm.model_selection import LooSearch, loo
from tests.linear_data import FRAME, X, check_refused, y

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:PSIS-LOO is not reliable"),
]

QUICK = BayesianLinearRegression(draws=50, random_state=0)
COLUMNS = FRAME[["a", "b", "c", "g"]]
ENCODE = make_column_transformer(
    (StandardScaler(), ["a", "b", "c"]), (OneHotEncoder(drop="first", sparse_output=False), ["g"])
)
NAMED = ColumnTransformer(
    [("scale", StandardScaler(), ["a", "b"])], remainder="passthrough", verbose_feature_names_out=False
).set_output(transform="pandas")
SCALES = {"bayesianlinearregression__prior_scale": [0.3, 2.5]}


def scaled():
    return make_pipeline(StandardScaler(), clone(QUICK))


#: Compositions of which the last is the model, the others what their rows go through, and their rows.
COMPOSITIONS = {
    "model": (QUICK, X),
    "pipeline": (scaled(), X),
    "nested pipelines": (make_pipeline(StandardScaler(), make_pipeline("passthrough", scaled())), X),
    "polynomials": (make_pipeline(PolynomialFeatures(2, include_bias=False), clone(QUICK)), X),
    "union": (make_pipeline(make_union(StandardScaler(), "passthrough"), clone(QUICK)), X),
    "columns": (make_pipeline(ENCODE, clone(QUICK)), COLUMNS),
    "set_output": (make_pipeline(clone(ENCODE).set_output(transform="pandas"), clone(QUICK)), COLUMNS),
    "formula": (make_pipeline(NAMED, clone(QUICK).set_params(formula="a * C(g) + b")), COLUMNS),
    "grid": (GridSearchCV(scaled(), SCALES, cv=2), X),
    "random": (RandomizedSearchCV(scaled(), SCALES, n_iter=2, cv=2, random_state=0), X),
    "halving": (HalvingGridSearchCV(scaled(), SCALES, cv=2, random_state=0), X),
    "grid in a pipeline": (
        make_pipeline(StandardScaler(), GridSearchCV(clone(QUICK), {"prior_scale": [0.3, 2.5]}, cv=2)),
        X,
    ),
    "loo search": (LooSearch(scaled(), SCALES), X),
    "selection": (RFE(clone(QUICK), n_features_to_select=2), X),
    "selection in a pipeline": (make_pipeline(StandardScaler(), RFE(clone(QUICK))), X),
}


def check_same_answers(found, model, rows):
    """See that answers are those of the model to the rows that arrive there."""
    pairs = {
        "predict": (found.predict(found.rows), model.predict(rows)),
        "interval": (found.predict_interval(found.rows, 0.5), model.predict_interval(rows, 0.5)),
        "line": (
            found.predict_interval(found.rows, kind="mean"),
            model.predict_interval(rows, kind="mean"),
        ),
        "quantiles": (
            found.predict_quantiles(found.rows, [0.2, 0.9]),
            model.predict_quantiles(rows, [0.2, 0.9]),
        ),
        "median": (found.predict_quantiles(found.rows, 0.5), model.predict_quantiles(rows, 0.5)),
        "draws": (
            found.sample_predictive(found.rows, 7, random_state=3),
            model.sample_predictive(rows, 7, random_state=3),
        ),
        "density": (found.log_predictive_density(found.rows, y), model.log_predictive_density(rows, y)),
        "crps": (found.crps(found.rows, y), model.crps(rows, y)),
        "loo": (found.loo(found.rows, y).elpd_i, loo(model, rows, y).elpd_i),
        "std": (found.predict(found.rows, return_std=True)[1], model.predict(rows, return_std=True)[1]),
        "ArviZ": (
            found.to_arviz(found.rows, y)["log_likelihood"]["y"].values,
            model.to_arviz(rows, y)["log_likelihood"]["y"].values,
        ),
    }
    for name, (ours, expected) in pairs.items():
        np.testing.assert_array_equal(ours, expected, err_msg=name)
    assert str(found.summary(0.5)) == str(model.summary(0.5))
    np.testing.assert_array_equal(
        found.sample_posterior(3)["posterior"]["coef"], model.sample_posterior(3)["posterior"]["coef"]
    )


class Found:
    """posterior_of with the rows that it is asked about."""

    def __init__(self, estimator, rows):
        self.asked, self.rows = posterior_of(estimator), rows

    def __getattr__(self, name):
        return getattr(self.asked, name)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_any_composition_answers_about_the_rows_that_it_takes(name):
    estimator, rows = COMPOSITIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of searches with few rows
        estimator = clone(estimator).fit(rows, y)
    for whole in (estimator, FrozenEstimator(estimator)):
        found = posterior_of(whole)
        assert type(found.model) is BayesianLinearRegression
        np.testing.assert_allclose(found.predict(rows), estimator.predict(rows), rtol=1e-12)
        check_same_answers(Found(whole, rows), found.model, found.transform(rows))
    assert repr(found).startswith("posterior_of(FrozenEstimator): BayesianLinearRegression")


def test_what_rows_bring_is_given_along():
    years = np.random.default_rng(0).uniform(0.5, 3.0, 60)
    counts = np.random.default_rng(1).poisson(years * np.exp(0.4 * X[:, 0]))
    pipeline = make_pipeline(StandardScaler(), BayesianPoissonRegressor(draws=100, random_state=0))
    pipeline.fit(X, counts, bayesianpoissonregressor__exposure=years)
    found, model, rows = posterior_of(pipeline), pipeline[-1], StandardScaler().fit_transform(X)
    for method, args in {
        "predict": (),
        "predict_interval": (0.5,),
        "predict_quantiles": ([0.1, 0.9],),
        "sample_predictive": (4, "response", 1),
        "log_predictive_density": (counts,),
        "crps": (counts,),
    }.items():
        np.testing.assert_array_equal(
            getattr(found, method)(X, *args, exposure=years),
            getattr(model, method)(rows, *args, exposure=years),
            err_msg=method,
        )
    assert found.loo(X, counts, exposure=years).elpd == loo(model, rows, counts, exposure=years).elpd
    assert found.loo(X, counts, exposure=years).elpd > found.loo(X, counts).elpd
    by_name = make_pipeline(NAMED, BayesianPoissonRegressor("a + C(g)", draws=100, random_state=0))
    frame = COLUMNS.assign(years=years)
    by_name.fit(frame, counts, bayesianpoissonregressor__exposure="years")
    doubled = posterior_of(by_name).predict(frame.assign(years=2 * years))
    np.testing.assert_allclose(doubled, 2 * posterior_of(by_name).predict(frame), rtol=1e-12)


def test_classes():
    labels = np.array(["u", "v", "w"])[np.digitize(y, [0.0, 2.0])]
    pipeline = make_pipeline(StandardScaler(), BayesianLogisticRegression(draws=100, random_state=0))
    found, rows = posterior_of(pipeline.fit(X, labels)), StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(found.predict(X), pipeline.predict(X))
    np.testing.assert_array_equal(found.predict_proba(X), pipeline.predict_proba(X))
    np.testing.assert_array_equal(found.predict_interval(X), pipeline[-1].predict_interval(rows))
    assert set(found.sample_predictive(X, 3, random_state=0).ravel()) <= {"u", "v", "w"}
    found.log_predictive_density(X, labels)
    found.loo(X, labels)
    search = LooSearch(pipeline, {"bayesianlogisticregression__prior_scale": [2.5]}).fit(X, labels)
    np.testing.assert_array_equal(search.predict_interval(X), found.predict_interval(X))


# -- a transformed response ------------------------------------------------------------------------------

POSITIVE = np.exp(y / 3.0)


def transformed(model=QUICK, rows=X, response=POSITIVE, **options):
    return TransformedTargetRegressor(clone(model), **options).fit(rows, response)


@pytest.mark.parametrize(
    ("options", "inverse"),
    [
        ({"func": np.log, "inverse_func": np.exp}, np.exp),
        ({"func": np.reciprocal, "inverse_func": np.reciprocal}, np.reciprocal),
        ({"func": lambda v: -np.sqrt(v), "inverse_func": np.square}, np.square),
    ],
    ids=["log", "reciprocal", "minus root"],
)
def test_answers_are_on_the_scale_of_y(options, inverse):
    response = 10.0 + y  # whose transformed predictions stay where the inverse is monotone
    whole = make_pipeline(StandardScaler(), transformed(scaled(), response=response, **options))
    whole.fit(X, response)
    found, inner = posterior_of(whole), whole[-1].regressor_[-1]
    rows = found.transform(X)
    np.testing.assert_allclose(found.predict(X), whole.predict(X), rtol=1e-12)
    ends = inverse(inner.predict_interval(rows))
    np.testing.assert_allclose(found.predict_interval(X), np.sort(ends, axis=1), rtol=1e-9)
    line = inverse(inner.predict_interval(rows, kind="mean"))
    np.testing.assert_allclose(found.predict_interval(X, kind="mean"), np.sort(line, axis=1), rtol=1e-9)
    middle = inverse(inner.predict_quantiles(rows, 0.5))
    np.testing.assert_allclose(found.predict_quantiles(X, 0.5), middle, rtol=1e-9)
    draws = inner.sample_predictive(rows, 9, random_state=2)
    np.testing.assert_allclose(found.sample_predictive(X, 9, random_state=2), inverse(draws), rtol=1e-12)
    check_refused(lambda: found.predict(X, return_std=True), TypeError, "posterior_of cannot see through")
    # The density of y integrates to one, and its distribution function is what the quantiles say.
    low, high = found.predict_quantiles(X[:1], [1e-3, 1 - 1e-3])[0]
    grid = np.linspace(low, high, 4001)
    density = np.exp(found.log_predictive_density(np.repeat(X[:1], len(grid), axis=0), grid))
    assert integrate.simpson(density, x=grid) == pytest.approx(1 - 2e-3, abs=2e-5)
    below = integrate.cumulative_simpson(density, x=grid, initial=0.0)
    for level in (0.1, 0.5, 0.9):
        at = np.interp(found.predict_quantiles(X[:1], level)[0], grid, below)
        assert at == pytest.approx(level - 1e-3, abs=2e-5)


@pytest.mark.filterwarnings("ignore:Some values in column 0 of the inverse-transformed data are NaN")
@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        PowerTransformer(),
        PowerTransformer("box-cox"),
        make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler()),
    ],
    ids=["scaler", "yeo-johnson", "box-cox", "log and scaler"],
)
def test_transformers_that_learn(transformer):
    found = posterior_of(transformed(transformer=transformer))
    low, high = found.predict_quantiles(X[:1], [1e-3, 1 - 1e-3])[0]
    grid = np.linspace(low, high, 4001)
    density = np.exp(found.log_predictive_density(np.repeat(X[:1], len(grid), axis=0), grid))
    assert integrate.simpson(density, x=grid) == pytest.approx(1 - 2e-3, abs=2e-5)
    data = found.to_arviz(X, POSITIVE, prior=True)
    np.testing.assert_allclose(data["observed_data"]["y"], POSITIVE, rtol=1e-12)
    each = np.exp(data["log_likelihood"]["y"].values).mean(axis=(0, 1))
    # Of the draws, where the density is exact.
    np.testing.assert_allclose(np.log(each), found.log_predictive_density(X, POSITIVE), atol=0.1)
    centre = np.nanmedian(data["posterior_predictive"]["y"].values, axis=(0, 1))
    np.testing.assert_allclose(centre, found.predict_quantiles(X, 0.5), atol=0.5)
    assert "prior_predictive" in data
    assert "posterior" in found.to_arviz()


def test_linear_transformations_keep_standard_deviations_and_crps():
    found = posterior_of(transformed(response=y, transformer=StandardScaler()))
    expected = BayesianLinearRegression(draws=50, random_state=0).fit(X, (y - y.mean()) / y.std())
    rows_sd = expected.predict(X, return_std=True)[1]
    np.testing.assert_allclose(found.predict(X, return_std=True)[1], y.std() * rows_sd, rtol=1e-9)
    np.testing.assert_allclose(
        found.crps(X, y), y.std() * expected.crps(X, (y - y.mean()) / y.std()), rtol=1e-9
    )
    turned = posterior_of(transformed(response=y, func=np.negative, inverse_func=np.negative))
    plain = BayesianLinearRegression(draws=50, random_state=0).fit(X, y)
    np.testing.assert_allclose(turned.crps(X, y), plain.crps(X, y), rtol=1e-6)
    np.testing.assert_allclose(turned.predict_interval(X), plain.predict_interval(X), rtol=1e-6)


def test_derivatives_have_nine_digits():
    target = posterior_of(transformed(func=np.log, inverse_func=np.exp))._inside(None, "predict").target
    values = 10.0 ** np.linspace(-12, 12, 200)
    np.testing.assert_allclose(target.log_jacobian(values), -np.log(values), atol=1e-9)
    one_more = posterior_of(transformed(func=np.log1p, inverse_func=np.expm1))._inside(None, "predict").target
    values = np.append(0.0, values)
    np.testing.assert_allclose(one_more.log_jacobian(values), -np.log1p(values), atol=1e-8)
    assert np.isnan(one_more.log_jacobian(np.array([np.nan, 1.0]))).tolist() == [True, False]


def test_several_responses_have_draws_and_predictions():
    several = np.c_[y, y[::-1] * 5.0 + 3.0]
    whole = transformed(response=several, transformer=StandardScaler())
    found = posterior_of(whole)
    np.testing.assert_allclose(found.predict(X), whole.predict(X), rtol=1e-12)
    draws = found.sample_predictive(X, 5, random_state=0)
    expected = whole.regressor_.sample_predictive(X, 5, random_state=0) * several.std(axis=0) + several.mean(
        axis=0
    )
    np.testing.assert_allclose(draws, expected, rtol=1e-9)
    for call in (
        lambda: found.predict_interval(X),
        lambda: found.log_predictive_density(X, several),
        lambda: found.crps(X, several),
        lambda: found.loo(X, several),
    ):
        check_refused(call, ValueError, "of several responses cannot pass through TransformedTargetRegressor")


# -- what cannot be ---------------------------------------------------------------------------------------


class Drops(TransformerMixin, BaseEstimator):
    """A step that leaves rows out."""

    def fit(self, X, y=None):
        self.n_ = len(X)
        return self

    def transform(self, X):
        return X if len(X) == self.n_ else X[: len(X) // 2]


def test_what_posterior_of_cannot_do_is_refused():
    for unfitted in (QUICK, scaled(), GridSearchCV(scaled(), SCALES), TransformedTargetRegressor(QUICK)):
        with pytest.raises(NotFittedError):
            posterior_of(unfitted)
    check_refused(
        lambda: posterior_of(make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)),
        TypeError,
        "posterior_of needs predict_interval, which LinearRegression does not have: give an estimator of bayesglm",
    )
    unchosen = GridSearchCV(QUICK, {"prior_scale": [1.0]}, refit=False, cv=2).fit(X, y)
    check_refused(lambda: posterior_of(unchosen), TypeError, "GridSearchCV does not have.*refit=True")
    fewer = posterior_of(make_pipeline(Drops(), clone(QUICK)).fit(X, y))
    check_refused(
        lambda: fewer.predict_interval(X[:10]),
        ValueError,
        "steps before the model make 5 rows of the 10 given",
    )
    numbers = posterior_of(scaled().fit(X, y))
    check_refused(lambda: numbers.predict_proba(X), TypeError, "needs predict_proba, which BayesianLinear")
    check_refused(lambda: numbers.predict_interval(X, 1.5), ValueError, "coverage must")
    check_refused(lambda: numbers.log_predictive_density(X), ValueError, "y is None")


def test_functions_of_y_without_a_density_are_refused():
    kinked = transformed(
        response=y, func=lambda v: np.where(v > y[7], 2 * (v - y[7]), v - y[7]) + y[7],
        inverse_func=lambda v: np.where(v > y[7], (v - y[7]) / 2, v - y[7]) + y[7],
    )  # fmt: skip
    found = posterior_of(kinked)
    check_refused(
        lambda: found.log_predictive_density(X, y),
        ValueError,
        "has no derivative at y = .* in row 7, so that y has no",
    )
    found.log_predictive_density(X[:7], y[:7])
    found.predict_interval(X)
    folded = posterior_of(transformed(response=y, func=np.abs, inverse_func=np.abs, check_inverse=False))
    check_refused(lambda: folded.log_predictive_density(X, y), ValueError, "does not lead back to y = -")
    ranks = transformed(
        response=y, transformer=QuantileTransformer(n_quantiles=60, output_distribution="normal")
    )
    check_refused(
        lambda: posterior_of(ranks).log_predictive_density(X, y),
        ValueError,
        "use intervals or quantiles, or a smooth",
    )
    assert np.mean(posterior_of(ranks).predict_interval(X)[:, 0] < y) > 0.8
    check_refused(
        lambda: posterior_of(ranks).log_predictive_density(X), ValueError, "y is None: give the observed"
    )


def test_a_transformed_normal_is_a_lognormal():
    # One row tells the closed form: given the draws, the density is a mixture of lognormals.
    found = posterior_of(
        transformed(
            BayesianLinearRegression(prior="laplace", random_state=0), func=np.log, inverse_func=np.exp
        )
    )
    draws = found.model.posterior_.draws
    eta = (draws["Intercept"][..., np.newaxis] + draws["coef"] @ X[:3].T).reshape(-1, 3)
    spread = draws["sigma"].reshape(-1, 1)
    each = stats.lognorm.pdf(POSITIVE[:3], spread, scale=np.exp(eta))
    np.testing.assert_allclose(
        found.log_predictive_density(X[:3], POSITIVE[:3]), np.log(each.mean(axis=0)), rtol=1e-8
    )
    assert isinstance(pd.DataFrame(found.summary().to_frame()), pd.DataFrame)

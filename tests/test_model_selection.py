"""PSIS-LOO against exact refits without each row and against ArviZ; the search among scikit-learn's tools."""

import doctest
import pickle
import warnings
from functools import cache

import arviz as az
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from bayesglm import BayesianLinearRegression, HalfNormal, Laplace, Normal, StudentT, model_selection
from bayesglm.metrics import CRPSScorer, IntervalScorer, LogDensityScorer
from bayesglm.model_selection import LooSearch, loo
from tests.linear_data import FRAME, X, check_refused, with_, y

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Few draws: importance weights have to be tamer than with many.
    pytest.mark.filterwarnings("ignore:PSIS-LOO is not reliable"),
]

ROWS, RESPONSE = X[:40], y[:40]
#: Priors that owe nothing to the data: those with autoscale change when a row is left out.
FIXED = {
    "intercept_prior": Normal(0, 5),
    "center": False,
    "sigma_prior": HalfNormal(2.0),
}
QUICK = BayesianLinearRegression(draws=50, random_state=0)
GRID = {"prior_scale": [0.001, 0.3, 3.0]}


@cache
def left_out(prior_scale):
    """Log density of each row under the model of all others, free of Monte Carlo error."""
    found = []
    for i in range(len(ROWS)):
        model = BayesianLinearRegression(prior=Normal(0, prior_scale), draws=50, random_state=0, **FIXED)
        model.fit(np.delete(ROWS, i, 0), np.delete(RESPONSE, i))
        found.append(model.log_predictive_density(ROWS[i : i + 1], RESPONSE[i : i + 1])[0])
    return np.array(found)


@cache
def quick_search():
    return LooSearch(QUICK, GRID).fit(X, y)


# -- loo -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior_scale", [0.5, 5.0])
def test_loo_is_what_refits_without_each_row_give(prior_scale):
    prior = Normal(0, prior_scale)
    results = [
        loo(
            BayesianLinearRegression(prior=prior, random_state=seed, **FIXED).fit(ROWS, RESPONSE),
            ROWS,
            RESPONSE,
        )
        for seed in range(8)
    ]
    expected = left_out(prior_scale)
    found = np.array([result.elpd_i for result in results])
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    z = (found.mean(axis=0) - expected) / error
    assert (
        np.mean(np.abs(z) < 3.5) > 0.9
    )  # Student's t with 7 degrees of freedom; smoothed weights have some bias
    # The most influential row has a log density of -4.3 and a standard deviation of 0.04.
    np.testing.assert_allclose(found.mean(axis=0), expected, atol=0.04)
    totals = found.sum(axis=1)
    assert abs(totals.mean() - expected.sum()) < 4.0 * totals.std(ddof=1) / np.sqrt(len(totals)) + 0.01
    result = results[0]
    assert result.n_bad == 0
    assert result.elpd == pytest.approx(result.elpd_i.sum(), rel=1e-13)
    assert result.se == pytest.approx(np.sqrt(40) * np.std(expected, ddof=1), rel=0.02)
    # In-sample density minus left-out density.
    model = BayesianLinearRegression(prior=prior, random_state=0, **FIXED).fit(ROWS, RESPONSE)
    inside = model.log_predictive_density(ROWS, RESPONSE).sum()
    assert result.p == pytest.approx(inside - expected.sum(), abs=0.1)
    assert result.mean == pytest.approx(result.elpd / 40)


@pytest.mark.parametrize("prior", [None, Laplace(0, 1)], ids=["exact", "draws"])
def test_loo_is_arvizs(prior):
    model = BayesianLinearRegression(prior=prior, random_state=0).fit(X, y)
    found = az.loo(model.to_arviz(X, y), pointwise=True)
    result = loo(model, X, y)
    # Names as in ArviZ 1.x, or as in 0.x.
    elpd, p, elpd_i = (getattr(found, name) for name in names_of(found))
    assert result.elpd == pytest.approx(float(elpd), rel=1e-12)
    assert result.p == pytest.approx(float(p), rel=1e-9)
    np.testing.assert_allclose(result.elpd_i, np.asarray(elpd_i), rtol=1e-12)
    np.testing.assert_allclose(result.pareto_k, np.asarray(found.pareto_k), rtol=1e-8, atol=1e-10)
    # Their standard errors divide by n (0.x) or n - 1.
    assert float(found.se) == pytest.approx(result.se, rel=1.01 / len(y))


def names_of(found):
    return ("elpd", "p", "elpd_i") if hasattr(found, "elpd_i") else ("elpd_loo", "p_loo", "loo_i")


def test_loo_takes_formulas_pipelines_and_searches():
    expected = loo(clone(QUICK).fit(X, y), X, y)
    formula = BayesianLinearRegression("y ~ a + b + c", draws=50, random_state=0).fit(FRAME)
    np.testing.assert_allclose(loo(formula, FRAME).elpd_i, expected.elpd_i, rtol=1e-8)
    scaled = StandardScaler().fit_transform(X)
    within = loo(clone(QUICK).fit(scaled, y), scaled, y)
    pipeline = make_pipeline(StandardScaler(), clone(QUICK)).fit(X, y)
    np.testing.assert_array_equal(loo(pipeline, X, y).elpd_i, within.elpd_i)
    np.testing.assert_array_equal(loo(quick_search(), X, y).elpd_i, quick_search().best_loo_.elpd_i)


def test_loo_of_a_transformed_response_is_that_of_the_response():
    for transformer in (StandardScaler(), PowerTransformer()):
        transformed = TransformedTargetRegressor(clone(QUICK), transformer=transformer).fit(X, y)
        seen = transformed.transformer_.transform(y[:, np.newaxis])[:, 0]
        result, inner = loo(transformed, X, y), loo(transformed.regressor_, X, seen)
        step = 1e-6
        ends = [transformed.transformer_.transform(y[:, np.newaxis] + s)[:, 0] for s in (-step, step)]
        jacobian = np.log((ends[1] - ends[0]) / (2 * step))
        np.testing.assert_allclose(result.elpd_i, inner.elpd_i + jacobian, atol=1e-7)
        np.testing.assert_array_equal(result.pareto_k, inner.pareto_k)
        assert result.p == pytest.approx(inner.p, abs=1e-9)
    # So that transformations of y can be compared.
    positive = np.exp(y / 3.0)
    model = TransformedTargetRegressor(clone(QUICK), func=np.log, inverse_func=np.exp)
    grid = [{"func": [np.log], "inverse_func": [np.exp]}, {"func": [None], "inverse_func": [None]}]
    search = LooSearch(model, grid).fit(X, positive)
    assert search.best_params_["func"] is np.log
    assert search.results_["elpd_diff"][1] < -20
    np.testing.assert_array_equal(
        search.predict_interval(X[:5]), np.exp(search.best_estimator_.regressor_.predict_interval(X[:5]))
    )


def test_rows_with_missing_values_are_left_out_and_keep_their_numbers():
    frame = FRAME.assign(a=with_(FRAME["a"], 3, np.nan))
    with pytest.warns(UserWarning, match="missing"):
        model = BayesianLinearRegression("y ~ a + b + c", draws=50, random_state=0).fit(frame)
    weights = np.ones(60)
    for given in (None, weights, with_(weights, 3, 1e6)):
        result = loo(model, frame, sample_weight=given)
        assert result.rows.tolist() == [i for i in range(60) if i != 3]
        assert result.n_rows == 59
        assert result.elpd == pytest.approx(result.elpd_i.sum(), rel=1e-13)


def test_a_weight_counts_rows_that_are_left_out_one_at_a_time():
    weights = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weights)
    model = clone(QUICK).fit(X, y, weights)
    found = loo(model, X, y, sample_weight=weights)
    expected = loo(model, X[rows], y[rows])
    for name in ("elpd", "se", "p", "n_rows", "mean"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-10), name


def test_influential_rows_are_told_in_one_sentence():
    far = with_(y, 17, 60.0)
    model = BayesianLinearRegression(random_state=0, prior=Normal(0, 100), sigma_prior=HalfNormal(0.5)).fit(
        X, far
    )
    with pytest.warns(
        UserWarning, match="PSIS-LOO is not reliable, since .* of 60 rows .*row 17's.*log_density_scorer"
    ) as seen:
        result = loo(model, X, far)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert result.n_bad >= 1
    assert np.argmax(result.pareto_k) == 17
    assert f"{result.n_bad} of 60 rows above 0.7: not reliable" in str(result)
    with pytest.warns(
        UserWarning, match="not reliable for 1 of 1 candidates, the best among them, with up to"
    ):
        LooSearch(model, {"draws": [1000]}).fit(X, far)


def test_a_result_prints_well():
    model = BayesianLinearRegression(random_state=0).fit(X, y)
    lines = str(loo(model, X, y)).splitlines()
    assert lines[0] == "leave-one-out cross-validation (PSIS-LOO) of 60 rows"
    assert [line.split()[0] for line in lines[1:]] == ["elpd", "p", "largest"]
    assert lines[3].endswith("all k at most 0.7: reliable")
    with pytest.raises(AttributeError, match="cannot assign"):
        loo(model, X, y).elpd = 0.0


def test_what_loo_cannot_do_is_refused():
    check_refused(
        lambda: loo(LinearRegression().fit(X, y), X, y), TypeError, "loo needs to_arviz, which LinearRegr"
    )
    check_refused(lambda: loo(clone(QUICK).fit(X, y), X), ValueError, "y is None")
    with pytest.raises(NotFittedError):
        loo(clone(QUICK), X, y)


# -- the search ------------------------------------------------------------------------------------------


def test_search_finds_the_best_of_exact_refits():
    scales = [0.01, 0.5, 5.0]
    candidates = [Normal(0, scale) for scale in scales]
    search = LooSearch(BayesianLinearRegression(random_state=0, **FIXED), {"prior": candidates}).fit(
        ROWS, RESPONSE
    )
    expected = np.array([left_out(scale) for scale in scales])
    found = search.results_
    np.testing.assert_allclose(found["elpd"], expected.sum(axis=1), atol=0.15)
    np.testing.assert_allclose(found["mean_elpd"], expected.mean(axis=1), atol=0.004)
    best = int(np.argmax(expected.sum(axis=1)))
    assert search.best_index_ == best
    differences = expected - expected[best]
    np.testing.assert_allclose(found["elpd_diff"], differences.sum(axis=1), atol=0.2)
    np.testing.assert_allclose(found["se_diff"], np.sqrt(40) * differences.std(axis=1, ddof=1), rtol=0.05)
    assert found["rank"].tolist() == [3, *np.argsort(np.argsort(-expected.sum(axis=1)))[1:] + 1]


def test_search_agrees_with_as_many_folds_as_rows():
    grid = {"prior_scale": [0.003, 0.03, 0.1, 2.0]}
    model = BayesianLinearRegression(random_state=0)
    by_loo = LooSearch(model, grid).fit(X, y)
    by_folds = GridSearchCV(model, grid, scoring=LogDensityScorer(), cv=LeaveOneOut()).fit(X, y)
    assert by_loo.best_params_ == by_folds.best_params_
    np.testing.assert_array_equal(by_loo.results_["rank"], by_folds.cv_results_["rank_test_score"])
    # The folds scale their priors anew, by sd(y) and sd(x) of the rows they have.
    np.testing.assert_allclose(
        by_loo.results_["mean_elpd"], by_folds.cv_results_["mean_test_score"], atol=0.01
    )
    assert by_loo.best_score_ == pytest.approx(by_folds.best_score_, abs=0.01)


def test_results_are_those_of_each_candidate():
    search = quick_search()
    table = pd.DataFrame(search.results_)
    assert len(table) == 3
    assert table["param_prior_scale"].tolist() == GRID["prior_scale"]
    assert table["params"].tolist() == [{"prior_scale": scale} for scale in GRID["prior_scale"]]
    for i, scale in enumerate(GRID["prior_scale"]):
        result = loo(clone(QUICK).set_params(prior_scale=scale).fit(X, y), X, y)
        for name in ("elpd", "se", "p", "n_bad"):
            assert table[name][i] == getattr(result, name)
        assert table["max_pareto_k"][i] == result.pareto_k.max()
    best = search.best_index_
    assert table["rank"][best] == 1
    assert table["elpd_diff"][best] == table["se_diff"][best] == 0.0
    assert np.all(table["elpd_diff"] <= 0.0)
    np.testing.assert_allclose(table["elpd"] - table["elpd"][best], table["elpd_diff"], atol=1e-10)
    assert search.best_score_ == table["mean_elpd"][best] == search.best_loo_.mean
    assert search.best_params_ == table["params"][best]
    assert np.all(table["seconds"] > 0)


def test_the_best_estimator_is_at_hand():
    search = quick_search()
    model = clone(QUICK).set_params(**search.best_params_).fit(X, y)
    for method, args in {
        "predict": (X,),
        "predict_interval": (X, 0.5, "mean"),
        "predict_quantiles": (X, [0.2, 0.9]),
        "sample_predictive": (X, 7, "response", 3),
        "log_predictive_density": (X, y),
        "crps": (X, y),
        "score": (X, y),
    }.items():
        np.testing.assert_array_equal(
            getattr(search, method)(*args), getattr(model, method)(*args), err_msg=method
        )
    np.testing.assert_array_equal(search.predict(X, return_std=True), model.predict(X, return_std=True))
    assert search.score(X, y, np.arange(60)) == model.score(X, y, np.arange(60))
    assert str(search.summary(0.5)).splitlines()[3:] == str(model.summary(0.5)).splitlines()[3:]
    for found, expected in (
        (search.to_arviz(X, y), model.to_arviz(X, y)),
        (search.sample_posterior(3), model.sample_posterior(3)),
    ):
        np.testing.assert_array_equal(found["posterior"]["coef"], expected["posterior"]["coef"])
    assert search.n_features_in_ == 3
    assert not hasattr(search, "feature_names_in_")


def test_pipelines():
    pipeline = make_pipeline(StandardScaler(), make_pipeline("passthrough", clone(QUICK)))
    name = "pipeline__bayesianlinearregression__prior_scale"
    search = LooSearch(pipeline, {name: [0.001, 2.0]}).fit(X, y)
    assert search.best_params_ == {name: 2.0}
    model = clone(QUICK).set_params(prior_scale=2.0)
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(search.crps(X, y), model.fit(scaled, y).crps(scaled, y), rtol=1e-12)
    assert "prior_scale" not in str(search.summary())
    weights = np.arange(60) % 3
    search.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(search.predict(X), model.fit(scaled, y, weights).predict(scaled), rtol=1e-12)
    assert search.best_loo_.n_rows == weights.sum()
    expected = loo(search.best_estimator_, X, y, sample_weight=weights)
    assert search.results_["elpd"][1] == expected.elpd
    with sklearn.config_context(enable_metadata_routing=True):
        asking = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            clone(QUICK).set_fit_request(sample_weight=True),
        )
        routed = LooSearch(asking, {"bayesianlinearregression__prior_scale": [2.0]}).fit(
            X, y, sample_weight=weights
        )
    np.testing.assert_allclose(routed.predict(X), search.predict(X), rtol=1e-12)


def test_formulas():
    search = LooSearch(
        BayesianLinearRegression(draws=50, random_state=0), {"formula": ["y ~ a", "y ~ a + b", "y ~ C(g)"]}
    )
    search.set_params(estimator__formula="y ~ 1").fit(FRAME)
    assert search.best_params_ == {"formula": "y ~ a + b"}
    assert not search.__sklearn_tags__().target_tags.required
    assert list(search.feature_names_in_) == ["a", "b"]
    one_sided = LooSearch(BayesianLinearRegression("a + b + c", draws=50, random_state=0), GRID).fit(
        FRAME, FRAME["y"]
    )
    np.testing.assert_allclose(one_sided.results_["elpd"], quick_search().results_["elpd"], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*missing")
def test_what_cannot_be_compared_is_refused():
    model = BayesianLinearRegression(draws=50, random_state=0)
    other_scale = {"formula": ["y ~ a", "np.exp(y) ~ a"]}
    check_refused(
        lambda: LooSearch(model, other_scale).fit(FRAME), ValueError, "use different rows or responses"
    )
    frame = FRAME.assign(b=with_(FRAME["b"], 5, np.nan))
    other_rows = {"formula": ["y ~ a", "y ~ a + b"]}
    check_refused(
        lambda: LooSearch(model, other_rows).fit(frame), ValueError, "drop rows with missing values first"
    )


def test_a_grid_of_several_families():
    grid = [
        {"prior": [Normal(0, 1), StudentT(4, 0, 1)], "prior__scale": [0.01, 1.0]},
        {"prior": [Laplace(0, 1)]},
    ]
    search = LooSearch(QUICK, grid).fit(X, y)
    assert len(search.results_["params"]) == 5
    assert search.results_["param_prior__scale"].mask.tolist() == [False] * 4 + [True]
    assert search.best_params_.get("prior__scale") != 0.01
    assert grid[0]["prior"][0].scale == 1  # the grid's own objects are left alone


def test_processes_make_no_difference():
    alone = quick_search().results_
    together = LooSearch(QUICK, GRID, n_jobs=2).fit(X, y)
    for name in ("elpd", "se", "p", "elpd_diff", "se_diff", "max_pareto_k"):
        np.testing.assert_array_equal(together.results_[name], alone[name])
    np.testing.assert_array_equal(together.predict(X), quick_search().predict(X))


def test_only_the_best_so_far_is_kept():
    class Counted(BayesianLinearRegression):
        alive = 0
        most = 0

        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)
            self.counted_ = True
            return self

        def __del__(self):
            if hasattr(self, "counted_"):
                Counted.alive -= 1

    LooSearch(Counted(draws=20, random_state=0), {"prior_scale": np.geomspace(0.01, 10, 12)}).fit(X, y)
    assert Counted.most <= 5


# -- among scikit-learn's tools --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_check_estimator():
    search = LooSearch(BayesianLinearRegression(draws=50, random_state=0), {"prior_scale": [0.3, 3.0]})
    results = check_estimator(search, on_fail=None, on_skip=None)
    assert len(results) > 45
    assert {r["check_name"]: repr(r["exception"])[:300] for r in results if r["status"] == "failed"} == {}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}


def test_it_is_a_parameterised_regressor():
    search = LooSearch(QUICK, GRID, n_jobs=1)
    assert is_regressor(search)
    assert search.get_params()["estimator__draws"] == 50
    twin = clone(search).set_params(estimator__draws=20)
    assert (twin.estimator.draws, search.estimator.draws) == (20, 50)
    assert "LooSearch(estimator=BayesianLinearRegression" in repr(search)
    assert search._repr_html_()
    copy = pickle.loads(pickle.dumps(quick_search()))
    np.testing.assert_array_equal(copy.predict(X), quick_search().predict(X))
    with pytest.raises(NotFittedError):
        search.predict(X)
    with pytest.raises(NotFittedError):
        search.summary()
    assert not hasattr(LooSearch(LinearRegression(), {}), "predict_interval")
    assert hasattr(LooSearch(make_pipeline(StandardScaler(), QUICK), {}), "predict_interval")
    check_refused(lambda: LooSearch(LinearRegression(), {}).fit(X, y), TypeError, "loo needs to_arviz")
    check_refused(lambda: LooSearch(QUICK, {"width": [1]}).fit(X, y), ValueError, "Invalid parameter 'width'")


@pytest.mark.parametrize("scorer", [LogDensityScorer(), CRPSScorer(), IntervalScorer()], ids=repr)
def test_scorers_judge_it(scorer):
    search = quick_search()
    assert scorer(search, X, y) == scorer(search.best_estimator_, X, y)
    # The search is repeated within each fold.
    found = cross_val_score(LooSearch(QUICK, GRID), X, y, scoring=scorer, cv=2)
    halves = [(slice(30, 60), slice(0, 30)), (slice(0, 30), slice(30, 60))]
    expected = [scorer(LooSearch(QUICK, GRID).fit(X[a], y[a]), X[b], y[b]) for a, b in halves]
    np.testing.assert_array_equal(found, expected)


def test_weights_are_routed():
    weights = np.arange(60) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        search = LooSearch(QUICK, GRID).set_fit_request(sample_weight=True)
        found = cross_validate(
            search,
            X,
            y,
            cv=2,
            params={"sample_weight": weights},
            scoring=CRPSScorer().set_score_request(sample_weight=True),
        )["test_score"]
    model = LooSearch(QUICK, GRID).fit(X[30:], y[30:], weights[30:])
    assert found[0] == CRPSScorer()(model, X[:30], y[:30], weights[:30])


def test_the_docstrings_example_runs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attempted = doctest.testmod(model_selection)
    assert attempted.attempted == 6
    assert attempted.failed == 0

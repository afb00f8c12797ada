"""Searches over priors: of their scale, their family, both, and formulas; against loops written by hand."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, Gamma, Laplace, Normal, StudentT
from tests.flat_models import FLAT, QUICK, mixed_frame

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOLDS = KFold(3, shuffle=True, random_state=0)
STEP = "bayesianlinearregression__"


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X[:200], y[:200]


def loop(X, y, models):
    """Return the mean score of each model over the folds, fitted one by one."""
    scores = []
    for model in models:
        folds = [
            r2_score(y[test], clone(model).fit(X[train], y[train]).predict(X[test]))
            for train, test in FOLDS.split(X)
        ]
        scores.append(np.mean(folds))
    return np.array(scores)


def found(search):
    return search.cv_results_["mean_test_score"]


def test_prior_scale(diabetes):
    X, y = diabetes
    scales = [1e-4, 0.1, 2.5]
    search = GridSearchCV(QUICK, {"prior_scale": scales}, cv=FOLDS).fit(X, y)
    expected = loop(X, y, [clone(QUICK).set_params(prior_scale=scale) for scale in scales])
    np.testing.assert_allclose(found(search), expected, rtol=1e-12)
    best = scales[int(np.argmax(expected))]
    assert search.best_params_ == {"prior_scale": best}
    alone = clone(QUICK).set_params(prior_scale=best).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), alone.predict(X))
    assert search.best_estimator_.posterior_.draws["coef"].shape == (4, 20, 10)
    # The ends of the grid: no slopes at all, and least squares.
    assert abs(found(search)[0]) < 0.05
    assert found(search)[-1] == pytest.approx(
        cross_val_score(LinearRegression(), X, y, cv=FOLDS).mean(), abs=0.01
    )


def test_the_curve_of_ridge(diabetes):
    """Where sigma is known, the posterior mean is ridge regression with alpha = sigma²/scale²."""
    X, y = StandardScaler().fit_transform(diabetes[0]), diabetes[1]
    sigma = 55.0
    scales = np.array([1.0, 3.0, 10.0, 30.0, 1000.0])
    known = Gamma(1e8, sigma / 1e8)  # sd 0.0055
    ours = GridSearchCV(
        clone(QUICK).set_params(sigma_prior=known, intercept_prior="flat"),
        {"prior": [Normal(0, float(scale)) for scale in scales]},
        cv=FOLDS,
    ).fit(X, y)
    theirs = GridSearchCV(Ridge(), {"alpha": sigma**2 / scales**2}, cv=FOLDS).fit(X, y)
    np.testing.assert_allclose(found(ours), found(theirs), rtol=1e-5)
    assert ours.best_index_ == theirs.best_index_


def test_objects_families_and_scales_together(diabetes):
    X, y = diabetes
    families, scales = [Normal(), Laplace(), StudentT(4)], [5.0, 500.0]
    grid = {"prior": families, "prior__scale": scales}
    search = GridSearchCV(QUICK, grid, cv=FOLDS, error_score="raise").fit(X, y)
    models = [
        clone(QUICK).set_params(prior=clone(family).set_params(scale=scale))
        for family, scale in product(families, scales)
    ]
    np.testing.assert_allclose(found(search), loop(X, y, models), rtol=1e-12)
    assert len(np.unique(found(search))) == 6
    # The objects of the grid are nobody's: every candidate got a copy.
    assert [prior.scale for prior in families] == [1, 1, 1]
    assert search.best_estimator_.prior is not search.best_params_["prior"]
    assert search.best_estimator_.prior.scale == search.best_params_["prior__scale"]


def test_ways_to_write_a_scale_agree(diabetes):
    X, y = diabetes
    grid = [
        {"prior": [Normal(0, 500.0)]},
        {"prior": [Normal(0, 1)], "prior__scale": [500.0]},
        {"prior": [Normal(0, 1)], "prior_scale": [500.0]},
        {"prior": [{}], "prior_scale": [2.5]},
        {"prior": [None, "normal", Normal(0, 2.5, autoscale=True)]},
        {"prior": ["flat"]},
    ]
    search = GridSearchCV(QUICK, grid, cv=FOLDS, error_score="raise").fit(X, y)
    same = found(search)
    np.testing.assert_allclose(same[1:3], same[0], rtol=1e-12)
    np.testing.assert_allclose(same[3:6], same[4], rtol=1e-12)
    least_squares = cross_val_score(LinearRegression(), X, y, cv=FOLDS).mean()
    assert abs(same[4] - least_squares) < 0.02
    flat = GridSearchCV(FLAT, {"draws": [20]}, cv=FOLDS).fit(X, y)
    assert found(flat)[0] == pytest.approx(least_squares, rel=1e-8)


def test_inside_a_pipeline(diabetes):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), clone(QUICK).set_params(prior=Normal(0, 1)))
    families = [Normal(), StudentT(4)]
    grid = {f"{STEP}prior": families, f"{STEP}prior__scale": [1.0, 20.0], "standardscaler__with_mean": [True]}
    search = GridSearchCV(pipeline, grid, cv=FOLDS, error_score="raise").fit(X, y)
    models = [
        clone(pipeline).set_params(**{f"{STEP}prior": clone(family).set_params(scale=scale)})
        for family, scale in product(families, [1.0, 20.0])
    ]
    np.testing.assert_allclose(found(search), loop(X, y, models), rtol=1e-12)
    by_scale = GridSearchCV(pipeline, {f"{STEP}prior__scale": [1.0, 20.0]}, cv=FOLDS).fit(X, y)
    np.testing.assert_array_equal(found(by_scale), found(search)[:2])
    assert search.best_estimator_[-1].prior.scale == 20.0


def test_randomized_search(diabetes):
    X, y = diabetes
    search = RandomizedSearchCV(
        QUICK,
        {"prior": [Normal(), Laplace()], "prior__scale": loguniform(1.0, 1e3)},
        n_iter=4,
        cv=FOLDS,
        random_state=1,
        error_score="raise",
    ).fit(X, y)
    models = [
        clone(QUICK).set_params(prior=clone(params["prior"]).set_params(scale=params["prior__scale"]))
        for params in search.cv_results_["params"]
    ]
    assert {type(model.prior) for model in models} == {Normal, Laplace}
    np.testing.assert_allclose(found(search), loop(X, y, models), rtol=1e-12)


@pytest.mark.parametrize("resource", ["n_samples", "draws"])
@pytest.mark.parametrize("kind", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_halving_search(diabetes, kind, resource):
    X, y = diabetes
    scales = [1e-4, 1e-3, 0.05, 2.5]
    options = {"cv": FOLDS, "factor": 2, "random_state": 0, "error_score": "raise", "resource": resource}
    model = clone(QUICK)
    if resource == "draws":
        options |= {"max_resources": 64, "min_resources": 16}
        model.set_params(prior="laplace")  # with normal priors the draws do not matter to predictions
    else:
        options |= {"min_resources": 50}
    search = kind(model, {"prior_scale": scales}, **options).fit(X, y)
    used = [16, 32, 64] if resource == "draws" else [50, 100, 200]
    assert search.n_resources_ == used
    # What it scores in the last round is what a plain search finds of those that are left.
    last = search.cv_results_["iter"] == len(used) - 1
    left = [params["prior_scale"] for params in np.asarray(search.cv_results_["params"])[last]]
    if resource == "draws":
        model.set_params(draws=64)
    plain = GridSearchCV(model, {"prior_scale": left}, cv=FOLDS).fit(X, y)
    np.testing.assert_allclose(np.asarray(found(search))[last], found(plain), rtol=1e-9)
    assert search.best_params_["prior_scale"] >= 0.05
    assert search.best_estimator_.draws == (64 if resource == "draws" else 20)


def test_formula_estimators():
    frame = mixed_frame()
    X, y = frame.drop(columns="y"), frame["y"]
    model = BayesianLinearRegression(
        "standardize(a) + b + C(g)", prior=Normal(0, 1), draws=20, random_state=0
    )
    scales = [0.05, 0.5, 5.0]
    search = GridSearchCV(model, {"prior__scale": scales}, cv=FOLDS).fit(X, y)
    expected = []
    for scale in scales:
        candidate = clone(model).set_params(prior__scale=scale)
        expected.append(
            np.mean(
                [
                    candidate.fit(X.iloc[train], y.iloc[train]).score(X.iloc[test], y.iloc[test])
                    for train, test in FOLDS.split(X)
                ]
            )
        )
    np.testing.assert_allclose(found(search), expected, rtol=1e-12)
    # The formula itself is a parameter; a frame alone is enough for one with a left side.
    formulas = ["y ~ a", "y ~ a + b + C(g)", "y ~ C(g)"]
    search = GridSearchCV(model, {"formula": formulas}, cv=FOLDS).fit(frame)
    expected = [cross_val_score(clone(model).set_params(formula=text), X, y, cv=FOLDS) for text in formulas]
    np.testing.assert_allclose(found(search), np.mean(expected, axis=1), rtol=1e-12)
    assert search.best_params_ == {"formula": formulas[1]}
    assert search.best_estimator_.posterior_.features == ("C(g)[T.v]", "C(g)[T.w]", "a", "b")


def test_a_search_in_parallel_with_several_scores_and_its_pickle(diabetes):
    X, y = diabetes
    search = GridSearchCV(
        QUICK,
        {"prior": [Normal(0, 10.0), Laplace(0, 500.0)]},
        cv=FOLDS,
        scoring=["r2", "neg_mean_squared_error"],
        refit="r2",
        n_jobs=2,
    ).fit(X, y)
    alone = GridSearchCV(QUICK, {"prior": [Normal(0, 10.0), Laplace(0, 500.0)]}, cv=FOLDS).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_r2"], found(alone))
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), alone.predict(X))


def test_a_bad_grid_value_says_so(diabetes):
    X, y = diabetes
    for grid, error, message in (
        ({"prior_scale": [-1.0]}, ValueError, "prior_scale must be positive and finite; got -1"),
        (
            {"prior_scale": ["x"]},
            TypeError,
            "positive number, 'learn', 'learn by term' or None; got 'x'",
        ),
        ({"prior": [Normal()], "prior__scale": [0.0]}, ValueError, "scale"),
        ({"prior": [Normal()], "prior__df": [4]}, ValueError, "Normal has no parameter 'df'"),
    ):
        with pytest.raises(error, match=message):
            GridSearchCV(QUICK, grid, error_score="raise", cv=3).fit(X, y)
    search = GridSearchCV(QUICK, {"prior_scale": [-1.0, 2.5]}, cv=3)
    with (
        pytest.warns(FitFailedWarning, match="prior_scale must be positive and finite; got -1.0"),
        pytest.warns(UserWarning, match="scores are non-finite"),
    ):
        search.fit(X, y)
    assert np.isnan(found(search)[0])
    assert search.best_params_ == {"prior_scale": 2.5}


def test_a_search_with_few_draws_says_nothing_in_vain():
    """Batches of few draws, of which fewer are effective than are wanted, give way to NUTS, which has enough."""
    columns = load_breast_cancer().data[:, :8]
    X, y = StandardScaler().fit_transform(columns), load_breast_cancer().target
    model = BayesianLogisticRegression(draws=200, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        search = RFECV(model, cv=3, min_features_to_select=7).fit(X, y)
    assert search.estimator_.posterior_.how == "nuts"

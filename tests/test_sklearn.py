"""The estimator among scikit-learn's tools: its own checks, pipelines, searches, metadata routing, meta-estimators."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import RFE
from sklearn.impute import IterativeImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import bayesglm
from bayesglm import BayesianLinearRegression, Laplace, Normal, StudentT

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:(?i)the data are fitted"),
    pytest.mark.filterwarnings("ignore:(?i).*sd.y. = 0"),
]

QUICK = BayesianLinearRegression(draws=20, random_state=0)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"])
    frame["g"] = list("uvw") * 40
    frame["y"] = 1.0 + 2.0 * frame["a"] + (frame["g"] == "u") + rng.normal(size=120)
    return frame


# -- scikit-learn's checks -------------------------------------------------------------------------------

#: Every estimator of the package, found by its name in the package, and what it is checked with besides defaults.
ESTIMATORS = {
    name: kind
    for name, kind in vars(bayesglm).items()
    if isinstance(kind, type) and issubclass(kind, BaseEstimator)
}
VARIANTS = {
    "defaults": {},
    "no intercept": {"fit_intercept": False},
    "positive": {"positive": True, "draws": 50},
    "Laplace prior": {"prior": "laplace", "draws": 50},
    "Student-t prior": {"prior": StudentT(4, 0, 2.5), "draws": 50},
    "nearly flat prior": {"prior": Normal(0, 100.0), "sigma_prior": "half_cauchy"},
    "not centred": {"center": False, "intercept_prior": Normal(0, 10)},
    "two chains": {"chains": 2},
    "prior_scale": {"prior_scale": 1.0, "n_jobs": 1},
    "mapping": {"prior": {}, "draws": 50},
    "precision weights": {"weights_type": "precision", "draws": 50},
    "flat prior": {"prior": "flat", "draws": 50},
}
#: What no estimator can do: a weight of two is no two rows if weights are precisions, and 15 rows of 30 columns
#: (that check's data) do not determine the coefficients under a flat prior, which is then an error.
EQUIVALENCE = {
    f"check_sample_weight_equivalence_on_{kind}_data": "the parameter asks for what the check excludes"
    for kind in ("dense", "sparse")
}
IMPOSSIBLE = {"precision weights": EQUIVALENCE, "flat prior": EQUIVALENCE}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_check_estimator(kind, variant):
    expected = IMPOSSIBLE.get(variant, {})
    results = check_estimator(
        kind(**VARIANTS[variant]), expected_failed_checks=expected, on_fail=None, on_skip=None
    )
    assert len(results) > 50
    failed = {r["check_name"]: repr(r["exception"])[:500] for r in results if r["status"] == "failed"}
    assert failed == {}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == expected.keys()
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}


def test_what_it_says_it_is():
    tags = QUICK.__sklearn_tags__()
    assert is_regressor(QUICK)
    assert tags.input_tags.sparse
    assert not BayesianLinearRegression("x").__sklearn_tags__().input_tags.sparse
    assert tags.target_tags.multi_output
    assert tags.target_tags.required
    assert not tags.non_deterministic
    assert not BayesianLinearRegression("y ~ x").__sklearn_tags__().target_tags.required
    assert BayesianLinearRegression("x").__sklearn_tags__().target_tags.required
    assert BayesianLinearRegression("~ x").__sklearn_tags__().target_tags.required


def test_parameters_round_trip_and_nest():
    model = BayesianLinearRegression(prior=StudentT(4, 0, 2), sigma_prior="half_normal")
    params = model.get_params()
    assert params["prior__scale"] == 2
    assert params["prior__df"] == 4
    model.set_params(prior__scale=3.0, draws=7)
    assert model.prior.scale == 3.0
    twin = clone(model)
    assert twin.prior is not model.prior
    assert twin.get_params()["prior__scale"] == 3.0
    assert "StudentT" in repr(model)
    with pytest.raises(ValueError, match="Invalid parameter 'prior_width'"):
        model.set_params(prior_width=1)


# -- pipelines and searches ------------------------------------------------------------------------------


def test_in_a_pipeline(diabetes):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), QUICK).fit(X, y)
    mean, sd = pipeline.predict(X, return_std=True)
    np.testing.assert_allclose(mean, pipeline.predict(X))
    assert sd.shape == (442,)
    assert pipeline.score(X, y) == pytest.approx(LinearRegression().fit(X, y).score(X, y), abs=0.01)
    assert pipeline[-1].predict_interval(pipeline[:-1].transform(X)).shape == (442, 2)


def test_return_std_with_metadata_routing(diabetes):
    X, y = diabetes
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), clone(QUICK)).fit(X, y)
        mean, sd = pipeline.predict(X, return_std=True)
        assert mean.shape == sd.shape == (442,)
        assert pipeline.predict(X).shape == (442,)


@pytest.mark.skipif(sklearn.__version__ < "1.8", reason="Pipeline.score asks for another request before 1.8")
def test_weights_with_metadata_routing(diabetes):
    X, y = diabetes
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipeline.fit(X, y, sample_weight=weights)
        scores = cross_validate(pipeline, X, y, params={"sample_weight": weights}, cv=3)["test_score"]
    expected = clone(QUICK).fit(StandardScaler().fit_transform(X), y, weights)
    np.testing.assert_allclose(pipeline[-1].coef_, expected.coef_, rtol=1e-9)
    assert np.all(np.isfinite(scores))


def test_weights_through_a_pipeline_without_routing(diabetes):
    X, y = diabetes
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    pipeline = Pipeline([("scale", StandardScaler()), ("model", clone(QUICK))])
    pipeline.fit(X, y, model__sample_weight=weights)
    assert pipeline["model"].posterior_.weight == weights.sum()


def test_grid_search_over_prior_scale(diabetes):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), QUICK)
    search = GridSearchCV(pipeline, {"bayesianlinearregression__prior_scale": [1e-4, 0.1, 2.5]}).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["bayesianlinearregression__prior_scale"] > 1e-4
    assert scores[0] < 0.1 < 0.4 < scores[-1]
    assert search.predict(X).shape == (442,)


def test_grid_search_over_priors_and_their_parameters(diabetes):
    X, y = diabetes[0][:100], diabetes[1][:100]
    grid = [
        {"prior": [None, "flat", Normal(0, 500), Laplace(0, 500)]},
        {"prior": [Normal(0, 1), Laplace(0, 1)], "prior__scale": [0.5, 500.0]},
        {"prior": [Normal(0, 1)], "prior_scale": [0.5, 500.0]},
    ]
    search = GridSearchCV(QUICK, grid, cv=3, error_score="raise").fit(X, y)
    scores = dict(
        zip(map(str, search.cv_results_["params"]), search.cv_results_["mean_test_score"], strict=True)
    )
    assert len(scores) == 10
    by_object = clone(QUICK).set_params(prior=Normal(0, 500))
    expected = np.mean(cross_val_score(by_object, X, y, cv=3))
    assert scores[str({"prior": Normal(0, 1), "prior__scale": 500.0})] == pytest.approx(expected)
    assert scores[str({"prior": Normal(0, 1), "prior_scale": 500.0})] == pytest.approx(expected)


def test_randomized_search(diabetes):
    from scipy.stats import loguniform

    X, y = diabetes
    search = RandomizedSearchCV(
        QUICK, {"prior_scale": loguniform(1e-2, 1e2)}, n_iter=3, cv=3, random_state=0
    ).fit(X, y)
    assert search.best_score_ > 0.4


def test_a_bad_grid_value_says_so(diabetes):
    X, y = diabetes
    with pytest.raises(ValueError, match="prior_scale must be positive and finite; got -1"):
        GridSearchCV(QUICK, {"prior_scale": [-1.0]}, error_score="raise", cv=3).fit(X, y)
    with pytest.raises(TypeError, match="prior_scale must be a positive number or None; got 'x'"):
        GridSearchCV(QUICK, {"prior_scale": ["x"]}, error_score="raise", cv=3).fit(X, y)


def test_a_frame_as_predictors_of_formula_estimators(frame):
    X, y = frame.drop(columns="y"), frame["y"]
    model = BayesianLinearRegression("a + b + C(g)", draws=20, random_state=0)
    scores = cross_val_score(model, X, y)
    assert scores.mean() > 0.6
    by_hand = make_pipeline(
        ColumnTransformer([("g", OneHotEncoder(drop="first"), ["g"])], remainder="passthrough"),
        LinearRegression(),
    )
    np.testing.assert_allclose(scores, cross_val_score(by_hand, X, y), atol=0.01)
    # A two-sided formula takes the y that cross-validation hands it.
    np.testing.assert_allclose(
        cross_val_score(clone(model).set_params(formula="y ~ a + b + C(g)"), X, y), scores
    )
    search = GridSearchCV(model, {"prior_scale": [0.01, 2.5]}, cv=KFold(3)).fit(X, y)
    assert search.best_params_ == {"prior_scale": 2.5}
    search = GridSearchCV(
        model, {"formula": ["a", "a + C(g)", "b"]}, cv=KFold(3, shuffle=True, random_state=0)
    )
    assert search.fit(X, y).best_params_ == {"formula": "a + C(g)"}
    np.testing.assert_allclose(
        cross_val_predict(model, X, y, cv=KFold(3)), cross_val_predict(by_hand, X, y, cv=KFold(3)), atol=0.1
    )


def test_a_two_sided_formula_with_nothing_but_a_frame(frame):
    model = BayesianLinearRegression("y ~ a + C(g)", draws=20, random_state=0)
    scores = cross_val_score(model, frame, cv=KFold(4))
    np.testing.assert_allclose(scores, cross_val_score(model, frame, frame["y"], cv=KFold(4)))


def test_a_formula_after_a_transformer_that_gives_frames(frame):
    pipeline = make_pipeline(
        ColumnTransformer(
            [("scale", StandardScaler(), ["a", "b"])],
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        BayesianLinearRegression("a + C(g)", draws=20, random_state=0),
    )
    X, y = frame.drop(columns="y"), frame["y"]
    assert pipeline.fit(X, y).predict(X).shape == (120,)
    assert np.isfinite(cross_val_score(pipeline, X, y)).all()


def test_transforms_are_learnt_anew_in_each_fold(frame):
    X, y = frame.drop(columns="y"), frame["y"]
    formula = BayesianLinearRegression("standardize(a)", prior=Normal(0, 0.3), draws=20)
    arrays = make_pipeline(StandardScaler(), BayesianLinearRegression(prior=Normal(0, 0.3), draws=20))
    np.testing.assert_allclose(
        cross_val_score(formula, X, y), cross_val_score(arrays, X[["a"]], y), rtol=1e-9
    )


# -- meta-estimators -------------------------------------------------------------------------------------


def test_transformed_target(diabetes, frame):
    X, y = diabetes
    model = TransformedTargetRegressor(clone(QUICK), func=np.log, inverse_func=np.exp).fit(X, y)
    np.testing.assert_allclose(model.predict(X), np.exp(clone(QUICK).fit(X, np.log(y)).predict(X)))
    by_formula = TransformedTargetRegressor(
        BayesianLinearRegression("a + C(g)", draws=20), transformer=StandardScaler(), check_inverse=False
    ).fit(frame, frame["y"])
    assert by_formula.predict(frame).shape == (120,)


def test_meta_estimators(diabetes):
    X, y = diabetes[0][:150], diabetes[1][:150]
    assert MultiOutputRegressor(QUICK).fit(X, np.c_[y, -y]).predict(X).shape == (150, 2)
    assert BaggingRegressor(QUICK, n_estimators=3, random_state=0).fit(X, y).predict(X).shape == (150,)
    stack = StackingRegressor([("ours", QUICK), ("ridge", Ridge())], final_estimator=clone(QUICK), cv=3).fit(
        X, y
    )
    assert stack.score(X, y) > 0.3
    assert RFE(QUICK, n_features_to_select=3).fit(X, y).support_.sum() == 3
    assert permutation_importance(
        clone(QUICK).fit(X, y), X, y, n_repeats=2, random_state=0
    ).importances.shape == (10, 2)
    assert learning_curve(QUICK, X, y, train_sizes=[0.3, 1.0], cv=3)[2].shape == (2, 3)


def test_imputation_draws_from_the_predictive_distribution(diabetes):
    X = diabetes[0][:150].copy()
    X[::7, 2] = np.nan
    imputer = IterativeImputer(QUICK, sample_posterior=True, max_iter=2, random_state=0)
    filled = imputer.fit_transform(X)
    assert np.isfinite(filled).all()
    assert len(np.unique(filled[::7, 2])) == len(filled[::7])


def test_ensembles_seed_their_members_differently(diabetes):
    X, y = diabetes[0][:100], diabetes[1][:100]
    members = BaggingRegressor(QUICK, n_estimators=2, bootstrap=False, random_state=0).fit(X, y).estimators_
    assert members[0].random_state != members[1].random_state
    np.testing.assert_allclose(members[0].coef_, members[1].coef_, rtol=1e-9)


def test_polars(frame):
    polars = pytest.importorskip("polars")
    theirs = polars.DataFrame(frame.to_dict("list"))
    by_columns = clone(QUICK).fit(theirs[["a", "b"]], theirs["y"])
    np.testing.assert_array_equal(by_columns.coef_, clone(QUICK).fit(frame[["a", "b"]], frame["y"]).coef_)
    if sklearn.__version__ >= "1.9":  # before, scikit-learn does not read the names of this polars
        assert list(by_columns.feature_names_in_) == ["a", "b"]
    by_formula = BayesianLinearRegression("y ~ a + C(g)", draws=20, random_state=0)
    np.testing.assert_allclose(by_formula.fit(theirs).predict(theirs), by_formula.fit(frame).predict(frame))

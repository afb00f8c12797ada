"""Ensembles, chains, imputation, selection and inspection: what they do to least squares they do to flat priors."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.impute import IterativeImputer
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    KFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    validation_curve,
)
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bayesglm import BayesianLinearRegression
from tests.flat_models import FLAT, QUICK, mixed_frame

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLOSE = {"rtol": 1e-7, "atol": 1e-7}
FORMULA = clone(FLAT).set_params(formula="a + b + C(g)")


class SeededLeastSquares(LinearRegression):
    """LinearRegression that takes a seed as we do, so that ensembles draw the same rows for both."""

    def __init__(self, random_state=None):
        super().__init__()
        self.random_state = random_state


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def xy():
    frame = mixed_frame()
    return frame.drop(columns="y"), frame["y"]


# -- ensembles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BaggingRegressor, AdaBoostRegressor])
@pytest.mark.parametrize("weighted", [False, True])
def test_ensembles_of_least_squares(diabetes, kind, weighted):
    X, y = diabetes
    weights = np.random.default_rng(0).integers(1, 4, len(y)) if weighted else None
    found = []
    for member in (clone(FLAT), SeededLeastSquares()):
        found.append(kind(member, n_estimators=5, random_state=0).fit(X, y, sample_weight=weights).predict(X))
    np.testing.assert_allclose(found[0], found[1], **CLOSE)


def test_ensembles_seed_their_members_differently(diabetes):
    members = (
        BaggingRegressor(QUICK, n_estimators=2, bootstrap=False, random_state=0).fit(*diabetes).estimators_
    )
    assert members[0].random_state != members[1].random_state
    assert not np.array_equal(members[0].posterior_.draws["coef"], members[1].posterior_.draws["coef"])
    np.testing.assert_allclose(members[0].coef_, members[1].coef_, rtol=1e-9)


def test_voting_is_the_mean_of_predictions(diabetes):
    X, y = diabetes
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    vote = VotingRegressor([("ours", QUICK), ("ridge", Ridge())], weights=[1, 3])
    vote.fit(X, y, sample_weight=weights)
    expected = (clone(QUICK).fit(X, y, weights).predict(X) + 3 * Ridge().fit(X, y, weights).predict(X)) / 4
    np.testing.assert_allclose(vote.predict(X), expected, rtol=1e-9)


def test_stacking_learns_from_predictions_of_the_folds(diabetes, xy):
    X, y = diabetes
    folds = KFold(3)
    stack = StackingRegressor([("ours", QUICK), ("ridge", Ridge())], final_estimator=clone(FLAT), cv=folds)
    stack.fit(X, y)
    inside = np.column_stack([cross_val_predict(model, X, y, cv=folds) for model in (QUICK, Ridge())])
    outside = np.column_stack([clone(model).fit(X, y).predict(X) for model in (QUICK, Ridge())])
    expected = LinearRegression().fit(inside, y)
    np.testing.assert_allclose(stack.predict(X), expected.predict(outside), rtol=1e-6)
    mean, sd = stack.predict(X, return_std=True)
    expected_sd = clone(FLAT).fit(inside, y).predict(outside, return_std=True)[1]
    np.testing.assert_allclose(mean, stack.predict(X), rtol=1e-12)
    np.testing.assert_allclose(sd, expected_sd, rtol=1e-6)
    # Formula estimators take the frame, the last one what they say of it.
    by_formula = StackingRegressor(
        [("all", FORMULA), ("one", clone(FORMULA).set_params(formula="a"))],
        final_estimator=LinearRegression(),
        cv=folds,
    ).fit(*xy)
    inside = np.column_stack([cross_val_predict(model, *xy, cv=folds) for _, model in by_formula.estimators])
    np.testing.assert_allclose(by_formula.final_estimator_.coef_, LinearRegression().fit(inside, xy[1]).coef_)


# -- several responses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"prior": "flat"}, {"prior_scale": 0.5}, {"fit_intercept": False}])
def test_several_responses_are_as_many_estimators(diabetes, params):
    X, y = diabetes
    several = np.column_stack([y, np.sqrt(y), -y])
    model = clone(QUICK).set_params(**params)
    native = clone(model).fit(X, several)
    wrapped = MultiOutputRegressor(model).fit(X, several)
    np.testing.assert_allclose(native.predict(X), wrapped.predict(X), rtol=1e-9)
    sds = [part.predict(X, return_std=True)[1] for part in wrapped.estimators_]
    np.testing.assert_allclose(native.predict(X, return_std=True)[1], np.column_stack(sds), rtol=1e-9)
    np.testing.assert_allclose(native.coef_, [part.coef_ for part in wrapped.estimators_], rtol=1e-7)


def test_several_responses_of_a_formula(xy):
    X, y = xy
    several = np.column_stack([y, y**2])
    native = clone(FORMULA).fit(X, several).predict(X)
    apart = [clone(FORMULA).fit(X, several[:, j]).predict(X) for j in range(2)]
    np.testing.assert_allclose(native, np.column_stack(apart), rtol=1e-9)


def test_chains_of_responses(diabetes):
    X, y = diabetes
    several = np.column_stack([y, np.sqrt(y), X[:, 0] + np.log(y)])
    ours = RegressorChain(FLAT, order=[2, 0, 1], cv=3).fit(X, several).predict(X)
    theirs = RegressorChain(LinearRegression(), order=[2, 0, 1], cv=3).fit(X, several).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


# -- imputation ------------------------------------------------------------------------------------------


def test_imputation_draws_from_the_predictive_distribution():
    X = load_diabetes().data.copy()
    missing = np.zeros(len(X), dtype=bool)
    missing[::2] = True
    X[missing, 2] = np.nan
    others = np.delete(X, 2, axis=1)
    model = clone(QUICK).fit(others[~missing], X[~missing, 2])
    mean, sd = model.predict(others[missing], return_std=True)
    imputer = IterativeImputer(clone(QUICK), sample_posterior=True, max_iter=1, random_state=0)
    filled = imputer.fit_transform(X)
    np.testing.assert_array_equal(filled[~missing], X[~missing])
    z = (filled[missing, 2] - mean) / sd
    assert stats.kstest(z, "norm").pvalue > 0.01
    # Without sampling it is the mean.
    by_mean = IterativeImputer(clone(QUICK), max_iter=1, random_state=0).fit_transform(X)
    np.testing.assert_allclose(by_mean[missing, 2], mean, rtol=1e-6, atol=1e-9)


def test_imputation_of_several_columns(diabetes):
    X = diabetes[0].copy()
    X[::7, 2] = np.nan
    X[::5, 8] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two rounds are too few to converge, for both
        ours = IterativeImputer(clone(FLAT), max_iter=2, random_state=0).fit_transform(X)
        theirs = IterativeImputer(LinearRegression(), max_iter=2, random_state=0).fit_transform(X)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


# -- selection -------------------------------------------------------------------------------------------


def test_selection_of_predictors(diabetes):
    X, y = StandardScaler().fit_transform(diabetes[0]), diabetes[1]
    for select in (
        lambda model: RFE(model, n_features_to_select=4),
        lambda model: RFECV(model, cv=3),
        lambda model: SequentialFeatureSelector(model, n_features_to_select=3, cv=3),
        lambda model: SequentialFeatureSelector(model, n_features_to_select=8, direction="backward", cv=3),
        lambda model: SelectFromModel(model, threshold="1.1*mean"),
        lambda model: SelectFromModel(model, max_features=2, threshold=-np.inf),
    ):
        ours, theirs = select(clone(FLAT)).fit(X, y), select(LinearRegression()).fit(X, y)
        np.testing.assert_array_equal(ours.get_support(), theirs.get_support())
        assert 0 < ours.get_support().sum() < 10
    ours = make_pipeline(SelectFromModel(FLAT), FLAT)
    theirs = make_pipeline(SelectFromModel(LinearRegression()), LinearRegression())
    np.testing.assert_allclose(cross_val_score(ours, X, y), cross_val_score(theirs, X, y), **CLOSE)


# -- inspection ------------------------------------------------------------------------------------------


def test_permutation_importance(diabetes, xy):
    X, y = diabetes
    options = {"n_repeats": 3, "random_state": 0}
    ours = permutation_importance(clone(FLAT).fit(X, y), X, y, **options).importances
    theirs = permutation_importance(LinearRegression().fit(X, y), X, y, **options).importances
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    # Of a formula estimator: the columns of the frame, of which it does not use all.
    model = clone(FLAT).set_params(formula="a + C(g)").fit(*xy)
    found = permutation_importance(model, *xy, **options).importances
    encoder = ColumnTransformer([("g", OneHotEncoder(drop="first"), ["g"]), ("a", "passthrough", ["a"])])
    by_hand = make_pipeline(encoder, LinearRegression()).fit(*xy)
    expected = permutation_importance(by_hand, *xy, **options).importances
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert np.all(found[1] == 0.0)
    assert np.all(found[[0, 2]] > 0.0)


def test_partial_dependence(diabetes, xy):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, y = diabetes
    model, least_squares = clone(FLAT).fit(X, y), LinearRegression().fit(X, y)
    shown = PartialDependenceDisplay.from_estimator(model, X, [2, (2, 8)], grid_resolution=5)
    expected = partial_dependence(least_squares, X, [2], grid_resolution=5)
    np.testing.assert_allclose(shown.pd_results[0]["average"], expected["average"], **CLOSE)
    grid = shown.pd_results[0]["grid_values"][0]
    np.testing.assert_allclose(np.diff(shown.pd_results[0]["average"][0]), np.diff(grid) * model.coef_[2])
    assert shown.lines_[0, 0].get_xdata().shape == (5,)
    # A formula estimator, with a number that is transformed and a factor.
    by_formula = clone(FLAT).set_params(formula="np.exp(a) + b + C(g)").fit(*xy)
    shown = PartialDependenceDisplay.from_estimator(
        by_formula, xy[0], ["a", "g"], categorical_features=["g"], kind=["both", "average"], grid_resolution=5
    )
    features, coef = by_formula.posterior_.features, by_formula.coef_
    curve, levels = shown.pd_results
    slope = coef[features.index("np.exp(a)")]
    grid = np.exp(np.asarray(curve["grid_values"][0], dtype=float))
    np.testing.assert_allclose(np.diff(curve["average"][0]), np.diff(grid) * slope, rtol=1e-6)
    np.testing.assert_allclose(np.diff(curve["individual"][0], axis=1), np.diff(curve["average"])[[0] * 120])
    np.testing.assert_allclose(
        levels["average"][0] - levels["average"][0][0],
        [0.0, coef[features.index("C(g)[T.v]")], coef[features.index("C(g)[T.w]")]],
        rtol=1e-6,
        atol=1e-9,
    )
    matplotlib.pyplot.close("all")


def test_learning_and_validation_curves(diabetes, xy):
    X, y = diabetes
    options = {"train_sizes": [0.3, 1.0], "cv": 3}
    for ours, theirs in zip(
        learning_curve(FLAT, X, y, **options),
        learning_curve(LinearRegression(), X, y, **options),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    scales = [0.01, 2.5]
    _, scores = validation_curve(QUICK, X, y, param_name="prior_scale", param_range=scales, cv=3)
    expected = [cross_val_score(clone(QUICK).set_params(prior_scale=scale), X, y, cv=3) for scale in scales]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    model = BayesianLinearRegression("standardize(a) + b + C(g)", draws=20, random_state=0)
    _, _, scores = learning_curve(model, *xy, train_sizes=[1.0], cv=KFold(3))
    np.testing.assert_allclose(scores[0], cross_val_score(model, *xy, cv=KFold(3)), rtol=1e-12)

"""Pipelines, column transformers and cross-validation, with arrays and formulas, against what is known of them."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, SplineTransformer, StandardScaler

from bayesglm import BayesianLinearRegression, Normal
from tests.flat_models import FLAT, QUICK, mixed_frame

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Between our least squares and LAPACK's.
CLOSE = {"rtol": 1e-8, "atol": 1e-8}
FOLDS = KFold(4, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def frame():
    return mixed_frame()


@pytest.fixture(scope="module")
def xy(frame):
    return frame.drop(columns="y"), frame["y"]


def dummies():
    """Return what a formula does to a, b and C(g), as a transformer of scikit-learn."""
    return ColumnTransformer([("g", OneHotEncoder(drop="first"), ["g"])], remainder="passthrough")


# -- pipelines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler()],
        [PolynomialFeatures(2, include_bias=False), StandardScaler()],
        [SplineTransformer(4, include_bias=False)],
        [make_union(StandardScaler(), PolynomialFeatures(2, include_bias=False, interaction_only=True))],
        ["passthrough", StandardScaler()],
    ],
    ids=lambda steps: "-".join(getattr(s, "steps", type(s).__name__) for s in steps),
)
def test_a_pipeline_is_least_squares_under_flat_priors(diabetes, steps):
    X, y = diabetes[0][:, 2:6], diabetes[1]
    # The union holds its columns twice, so it is left to a prior that is nearly flat.
    twice = type(steps[0]).__name__ == "FeatureUnion"
    model = clone(QUICK).set_params(prior=Normal(0, 1e6)) if twice else clone(FLAT)
    ours = make_pipeline(*map(_clone_step, steps), model).fit(X, y)
    theirs = make_pipeline(*map(_clone_step, steps), LinearRegression()).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5 if twice else 1e-8)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-6)


def _clone_step(step):
    return step if isinstance(step, str) else clone(step)


def test_return_std_and_intervals_behind_a_transformer(diabetes):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), clone(QUICK)).fit(X[:300], y[:300])
    scaler = StandardScaler().fit(X[:300])
    model = clone(QUICK).fit(scaler.transform(X[:300]), y[:300])
    rows = scaler.transform(X[300:])
    for ours, expected in zip(
        pipeline.predict(X[300:], return_std=True), model.predict(rows, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(
        pipeline[-1].predict_interval(pipeline[:-1].transform(X[300:])), model.predict_interval(rows)
    )


def test_a_pipeline_with_a_cache(diabetes, tmp_path):
    X, y = diabetes
    cached = Pipeline([("scale", StandardScaler()), ("model", clone(FLAT))], memory=str(tmp_path))
    for _ in range(2):
        np.testing.assert_allclose(
            cached.fit(X, y).predict(X), LinearRegression().fit(X, y).predict(X), **CLOSE
        )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_column_transformer_that_gives_frames_to_arrays(xy, library):
    if library == "polars":
        pytest.importorskip("polars")
        if sklearn.__version__ < "1.9":
            pytest.skip("scikit-learn before 1.9 does not know this polars")
    transformer = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(drop="first", sparse_output=False), ["g"])
    ).set_output(transform=library)
    ours = make_pipeline(clone(transformer), clone(FLAT)).fit(*xy)
    theirs = make_pipeline(clone(transformer).set_output(transform="default"), LinearRegression()).fit(*xy)
    np.testing.assert_allclose(ours.predict(xy[0]), theirs.predict(xy[0]), **CLOSE)
    np.testing.assert_allclose(ours[-1].coef_, theirs[-1].coef_, **CLOSE)
    if (
        library == "pandas" or sklearn.__version__ >= "1.9"
    ):  # before, scikit-learn reads no names of this polars
        names = list(transformer.fit(xy[0]).get_feature_names_out())
        assert list(ours[-1].feature_names_in_) == names
        assert list(ours[-1].posterior_.features) == names
        assert "onehotencoder__g_w" in str(ours[-1].summary())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_column_transformer_that_gives_frames_to_a_formula(xy, library):
    if library == "polars" and sklearn.__version__ < "1.9":
        pytest.skip("scikit-learn before 1.9 does not know this polars")
    X = xy[0] if library == "pandas" else pytest.importorskip("polars").DataFrame(xy[0].to_dict("list"))
    design = pd.get_dummies(xy[0], drop_first=True, dtype=float)
    design["v:a"], design["w:a"] = design["g_v"] * design["a"], design["g_w"] * design["a"]
    expected = LinearRegression().fit(design, xy[1]).predict(design)
    short = ColumnTransformer(
        [("scale", StandardScaler(), ["a", "b"])], remainder="passthrough", verbose_feature_names_out=False
    )
    prefixed = ColumnTransformer([("num", StandardScaler(), ["a", "b"]), ("cat", "passthrough", ["g"])])
    for transformer, formula in ((short, "a * C(g) + b"), (prefixed, "num__a * C(cat__g) + num__b")):
        transformer.set_output(transform=library)
        pipeline = make_pipeline(transformer, clone(FLAT).set_params(formula=formula)).fit(X, xy[1])
        np.testing.assert_allclose(pipeline.predict(X), expected, **CLOSE)


def test_an_imputer_before_a_formula(xy):
    X, y = xy[0].copy(), xy[1]
    X.loc[::7, "a"] = np.nan
    numbers = ColumnTransformer(
        [("fill", SimpleImputer(), ["a"])], remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    ours = make_pipeline(numbers, clone(FLAT).set_params(formula="a + b + C(g)"))
    theirs = make_pipeline(clone(numbers), dummies(), LinearRegression())
    np.testing.assert_allclose(cross_val_score(ours, X, y), cross_val_score(theirs, X, y), **CLOSE)


def test_a_sparse_encoder_feeds_arrays(xy):
    encoder = make_column_transformer(
        (OneHotEncoder(drop="first"), ["g"]), ("passthrough", ["a", "b"]), sparse_threshold=1.0
    )
    pipeline = make_pipeline(encoder, clone(FLAT)).fit(*xy)
    between = pipeline[:-1].transform(xy[0])
    assert sparse.issparse(between)
    np.testing.assert_allclose(pipeline[-1].coef_, LinearRegression().fit(between, xy[1]).coef_, **CLOSE)
    dense = clone(FLAT).fit(between.toarray(), xy[1])
    np.testing.assert_array_equal(pipeline[-1].posterior_.draws["coef"], dense.posterior_.draws["coef"])
    for mine, theirs in zip(
        pipeline.predict(xy[0], return_std=True),
        dense.predict(between.toarray(), return_std=True),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_html(xy):
    pipeline = make_pipeline(StandardScaler(), BayesianLinearRegression("a + C(g)", prior=Normal(0, 3)))
    html = pipeline._repr_html_()
    assert "BayesianLinearRegression" in html
    assert "a + C(g)" in html
    assert "Normal(loc=0, scale=3)" in html
    pipeline.set_params(standardscaler="passthrough").fit(*xy)
    assert "BayesianLinearRegression" in pipeline._repr_html_()


# -- a transformed response ------------------------------------------------------------------------------


def test_transformed_target(diabetes, xy):
    X, y = diabetes
    for options in (
        {"func": np.log, "inverse_func": np.exp},
        {"transformer": StandardScaler()},
    ):
        ours = TransformedTargetRegressor(clone(FLAT), **options).fit(X, y).predict(X)
        theirs = TransformedTargetRegressor(LinearRegression(), **options).fit(X, y).predict(X)
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    several = np.c_[y, y[::-1]]
    ours = TransformedTargetRegressor(clone(FLAT), transformer=StandardScaler()).fit(X, several)
    assert ours.regressor_.coef_.shape == (2, 10)
    np.testing.assert_allclose(
        ours.predict(X), LinearRegression().fit(X, several).predict(X), rtol=1e-8, atol=1e-6
    )
    by_formula = clone(FLAT).set_params(formula="a + b + C(g)")
    for model in (by_formula, clone(by_formula).set_params(formula="y ~ a + b + C(g)")):
        ours = cross_val_predict(TransformedTargetRegressor(model, transformer=StandardScaler()), *xy)
        theirs = cross_val_predict(make_pipeline(dummies(), LinearRegression()), *xy)
        np.testing.assert_allclose(ours, theirs, **CLOSE)


# -- cross-validation ------------------------------------------------------------------------------------


def test_cross_validation_is_that_of_least_squares(diabetes):
    X, y = diabetes
    np.testing.assert_allclose(
        cross_val_score(FLAT, X, y), cross_val_score(LinearRegression(), X, y), **CLOSE
    )
    np.testing.assert_allclose(
        cross_val_predict(FLAT, X, y, cv=FOLDS),
        cross_val_predict(LinearRegression(), X, y, cv=FOLDS),
        **CLOSE,
    )
    options = {
        "cv": FOLDS,
        "scoring": ["r2", "neg_mean_absolute_error"],
        "return_train_score": True,
        "return_estimator": True,
        "return_indices": True,
    }
    ours, theirs = cross_validate(FLAT, X, y, **options), cross_validate(LinearRegression(), X, y, **options)
    for name in ("test_r2", "train_r2", "test_neg_mean_absolute_error", "train_neg_mean_absolute_error"):
        np.testing.assert_allclose(ours[name], theirs[name], **CLOSE)
    for model, least_squares, train in zip(
        ours["estimator"], theirs["estimator"], ours["indices"]["train"], strict=True
    ):
        np.testing.assert_allclose(model.coef_, least_squares.coef_, rtol=1e-6)
        again = clone(FLAT).fit(X[train], y[train])
        np.testing.assert_array_equal(model.posterior_.draws["sigma"], again.posterior_.draws["sigma"])


def test_frames_and_series_and_several_responses(xy):
    X, y = xy[0][["a", "b"]], xy[1]
    expected = cross_val_score(LinearRegression(), X, y)
    for response in (y, y.to_frame(), y.to_numpy(), y.tolist()):
        np.testing.assert_allclose(cross_val_score(FLAT, X, response), expected, **CLOSE)
    several = pd.DataFrame({"first": y, "second": y**2})
    found = cross_val_predict(FLAT, X, several)
    assert found.shape == (120, 2)
    np.testing.assert_allclose(found, cross_val_predict(LinearRegression(), X, several), **CLOSE)
    np.testing.assert_allclose(
        cross_val_score(FLAT, X, several), cross_val_score(LinearRegression(), X, several), **CLOSE
    )
    by_formula = clone(FLAT).set_params(formula="a + b")
    np.testing.assert_allclose(cross_val_predict(by_formula, X, several), found, **CLOSE)
    assert by_formula.fit(X, several).posterior_.responses == ("first", "second")


# -- formulas in folds -----------------------------------------------------------------------------------


def test_a_formula_is_a_pipeline_of_encoders(xy):
    model = clone(FLAT).set_params(formula="a + b + C(g)")
    by_hand = make_pipeline(dummies(), LinearRegression())
    expected = cross_val_score(by_hand, *xy)
    np.testing.assert_allclose(cross_val_score(model, *xy), expected, **CLOSE)
    # A two-sided formula takes the y that cross-validation hands it, or from the frame if it is handed none.
    model.set_params(formula="y ~ a + b + C(g)")
    np.testing.assert_allclose(cross_val_score(model, *xy), expected, **CLOSE)
    np.testing.assert_allclose(cross_val_score(model, xy[0].assign(y=xy[1])), expected, **CLOSE)
    np.testing.assert_allclose(
        cross_val_predict(model, *xy, cv=FOLDS), cross_val_predict(by_hand, *xy, cv=FOLDS), **CLOSE
    )


def test_what_a_formula_learns_it_learns_in_the_fold(xy):
    X, y = xy
    model = BayesianLinearRegression(
        "cr(a, df=4) + standardize(b) + C(g)", prior=Normal(0, 0.5), draws=20, random_state=0
    )
    found = cross_val_predict(model, X, y, cv=FOLDS)
    by_hand = np.empty(len(y))
    for train, test in FOLDS.split(X):
        fold = clone(model).fit(X.iloc[train], y.iloc[train])
        by_hand[test] = fold.predict(X.iloc[test])
    np.testing.assert_array_equal(found, by_hand)
    # Every fold learnt something of its own.
    fits = cross_validate(model, X, y, cv=FOLDS, return_estimator=True)["estimator"]
    rows = np.array([fit._design.transform(X.iloc[:1])[0] for fit in fits])
    assert np.all(np.ptp(rows[:, 2:], axis=0) > 1e-4)


def test_a_formula_leaks_nothing_from_the_test_rows(xy):
    X, y = xy[0].copy(), xy[1]
    # An outlier that is a test row once moves the mean and scale of the column a lot.
    X.loc[3, "a"] = 60.0
    prior = {"prior": Normal(0, 0.3), "draws": 20, "random_state": 0}
    formula = BayesianLinearRegression("standardize(a, ddof=0)", **prior)
    pipeline = make_pipeline(StandardScaler(), BayesianLinearRegression(**prior))
    scores = cross_val_score(formula, X, y, cv=FOLDS)
    np.testing.assert_allclose(scores, cross_val_score(pipeline, X[["a"]], y, cv=FOLDS), rtol=1e-9)
    leaked = cross_val_score(
        BayesianLinearRegression(**prior), StandardScaler().fit_transform(X[["a"]]), y, cv=FOLDS
    )
    assert np.max(np.abs(scores - leaked)) > 0.01


def test_levels_that_a_fold_has_not_seen(xy):
    X, y = xy[0].copy(), xy[1]
    X.loc[5, "g"] = "rare"
    model = BayesianLinearRegression("a + C(g)", draws=20, random_state=0)
    with pytest.raises(ValueError, match="'rare'"):
        cross_val_score(model, X, y, error_score="raise")
    # Levels that the data frame declares are known in every fold, and have their prior where they have no rows.
    declared = X.assign(g=pd.Categorical(X["g"]))
    found = cross_val_predict(model, declared, y)
    assert np.all(np.isfinite(found))
    named = clone(model).set_params(formula="a + C(g, levels=['rare', 'u', 'v', 'w'])")
    np.testing.assert_allclose(cross_val_predict(named, X, y), found, rtol=1e-9)


def test_polars_frames_in_folds(frame, xy):
    polars = pytest.importorskip("polars")
    theirs = polars.DataFrame(frame.to_dict("list"))
    model = BayesianLinearRegression("y ~ standardize(a) + C(g)", draws=20, random_state=0)
    for arguments in ([theirs], [theirs.drop("y"), theirs["y"]]):
        scores = cross_val_score(model, *arguments, cv=FOLDS)
        np.testing.assert_allclose(scores, cross_val_score(model, *xy, cv=FOLDS), rtol=1e-12)
    np.testing.assert_allclose(
        cross_val_predict(FLAT, theirs[["a", "b"]], theirs["y"]),
        cross_val_predict(LinearRegression(), frame[["a", "b"]], frame["y"]),
        **CLOSE,
    )
    np.testing.assert_array_equal(model.fit(theirs).predict(theirs), model.fit(frame).predict(frame))
    by_columns = clone(QUICK).fit(theirs[["a", "b"]], theirs["y"])
    np.testing.assert_array_equal(by_columns.coef_, clone(QUICK).fit(frame[["a", "b"]], frame["y"]).coef_)
    if sklearn.__version__ >= "1.9":  # before, scikit-learn does not read the names of this polars
        assert list(by_columns.feature_names_in_) == ["a", "b"]

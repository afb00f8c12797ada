"""With a formula the features are the columns that its right side reads, and tools of scikit-learn's live with that."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    load,
)

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = {"draws": 20, "chains": 2, "random_state": 0, "progressbar": False}
RNG = np.random.default_rng(0)
N = 60
FRAME = pd.DataFrame({name: RNG.normal(size=N) for name in ("unused", "x", "odd name", "z", "y")}).assign(
    g=RNG.choice(list("abc"), N),
    k=RNG.poisson(2.0, N),
    c=RNG.choice(["no", "yes"], N),
    t=RNG.uniform(1, 2, N),
)
FORMULA = "{} ~ np.log(t) + g:x + x + Q('odd name')"
FEATURES = ["t", "g", "x", "odd name"]
MODELS = [
    (BayesianLinearRegression, "y"),
    (BayesianPoissonRegressor, "k"),
    (BayesianLogisticRegression, "c"),
    (BayesianGLM, "np.exp(y)"),
]


@pytest.mark.parametrize(("kind", "response"), MODELS)
def test_features_are_what_the_formula_reads(kind, response, tmp_path):
    model = kind(FORMULA.format(response), **SETTINGS).fit(FRAME)
    model.save(tmp_path / "model")
    other = kind(FORMULA.format(response), **SETTINGS).fit(FRAME[FRAME.columns[::-1]])
    for one in (model, other, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert list(one.feature_names_in_) == FEATURES
        assert one.feature_names_in_.dtype == object
        assert one.n_features_in_ == len(FEATURES)
        # Frames with just these columns, more of them, or in another order are all the same.
        for frame in (FRAME[FEATURES], FRAME, FRAME[FRAME.columns[::-1]], dict(FRAME)):
            np.testing.assert_array_equal(one.predict(frame), one.predict(FRAME))
        with pytest.raises(ValueError, match="needs the column 't'"):
            one.predict(FRAME.drop(columns="t"))


def test_columns_that_rows_bring_are_no_features():
    model = BayesianPoissonRegressor("k ~ x", **SETTINGS).fit(FRAME, exposure="t")
    assert list(model.feature_names_in_) == ["x"]
    assert model.predict(FRAME[["x", "t"]]).shape == (N,)


@pytest.mark.parametrize("formula", ["y ~ 1", "~ 1"])
def test_none(formula):
    model = BayesianLinearRegression(formula, **SETTINGS).fit(FRAME, FRAME["y"])
    assert model.n_features_in_ == 0
    assert model.feature_names_in_.shape == (0,)


def test_more_rows_and_other_formulas():
    model = BayesianLinearRegression("y ~ x", **SETTINGS).fit(FRAME)
    model.partial_fit(FRAME[["y", "z", "x"]])
    assert list(model.feature_names_in_) == ["x"]
    assert list(model.set_params(formula="y ~ z + g").fit(FRAME).feature_names_in_) == ["z", "g"]
    with pytest.raises(ValueError, match="nope"):
        model.set_params(formula="y ~ nope").fit(FRAME)
    assert list(model.feature_names_in_) == ["z", "g"]
    arrays = model.set_params(formula=None).fit(FRAME[["x", "z"]].to_numpy(), FRAME["y"])
    assert not hasattr(arrays, "feature_names_in_")


def test_files_of_before_name_the_whole_frame():
    model = load(Path(__file__).parent / "pickles" / "e0c50a6" / "splines.bayesglm")
    assert list(model.feature_names_in_) == ["a", "t", "g", "b", "c"]
    assert model.n_features_in_ == 5


def test_compositions():
    X, y = FRAME.drop(columns=["y"]), FRAME["y"]
    plain = BayesianLinearRegression("~ x + g", **SETTINGS)
    scale = ColumnTransformer(
        [("scale", StandardScaler(), ["x", "z"])], remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    pipeline = make_pipeline(scale, plain).fit(X, y)
    assert list(pipeline.feature_names_in_) == list(X.columns)
    assert list(pipeline[-1].feature_names_in_) == ["x", "g"]
    for model in (
        pipeline,
        StackingRegressor([("a", plain), ("b", pipeline)], cv=2),
        VotingRegressor([("a", plain), ("b", pipeline)]),
        GridSearchCV(plain, {"prior_scale": [1.0, 2.0]}, cv=2),
    ):
        model.fit(X, y)
        np.testing.assert_array_equal(model.predict(X[X.columns[::-1]]), model.predict(X))
        assert permutation_importance(model, X, y, n_repeats=1).importances.shape == (X.shape[1], 1)
        assert partial_dependence(model, X, ["x"])["average"].shape[0] == 1
    search = GridSearchCV(plain, {"prior_scale": [1.0, 2.0]}, cv=2).fit(X, y)
    assert list(search.feature_names_in_) == ["x", "g"]
    classes = FixedThresholdClassifier(BayesianLogisticRegression("~ x", **SETTINGS)).fit(X, FRAME["c"])
    assert list(classes.feature_names_in_) == ["x"]
    assert set(classes.predict(X)) <= {"no", "yes"}

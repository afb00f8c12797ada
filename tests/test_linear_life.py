"""The life of an estimator: before fit, refitting, failures, what it imports."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import bayesglm
from bayesglm import BayesianLinearRegression, Normal
from tests.linear_data import FEW, FRAME, X, same, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = Path(bayesglm.__file__).parents[1]


@pytest.fixture
def data():
    return X, y


@pytest.fixture
def frame():
    return FRAME.copy()


BEFORE_FIT = [
    lambda m, X: m.predict(X),
    lambda m, X: m.predict_interval(X),
    lambda m, X: m.predict_quantiles(X, [0.5]),
    lambda m, X: m.sample_predictive(X),
    lambda m, X: m.log_predictive_density(X, X[:, 0]),
    lambda m, X: m.score(X, X[:, 0]),
    lambda m, X: m.sample_posterior(),
    lambda m, X: m.to_arviz(X, X[:, 0]),
    lambda m, X: m.summary(),
]


@pytest.mark.parametrize("call", BEFORE_FIT)
def test_before_fit(data, call):
    for model in (BayesianLinearRegression(), BayesianLinearRegression("y ~ a")):
        with pytest.raises(NotFittedError, match=r"not fitted yet"):
            call(model, data[0])


def test_fit_returns_self_and_changes_no_parameter(data):
    prior = {"x0": Normal(0, 1)}
    model = BayesianLinearRegression(prior=prior, **FEW)
    params = model.get_params()
    assert model.fit(*data) is model
    assert model.get_params() == params
    assert model.prior is prior
    public = {name for name in vars(model) if name not in params}
    assert all(name.endswith("_") or name.startswith("_") for name in public)


def test_fit_does_not_touch_the_data(data):
    X, y = (values.copy() for values in data)
    X.flags.writeable = y.flags.writeable = False
    weights = np.ones(60)
    weights.flags.writeable = False
    BayesianLinearRegression(**FEW).fit(X, y, weights).to_arviz(X, y)
    np.testing.assert_array_equal(X, data[0])


def test_refitting(data, frame):
    X, y = data
    model = BayesianLinearRegression(**FEW).fit(frame[list("abc")], y)
    model.set_params(prior="laplace", draws=30).fit(X[:, :2], y)
    fresh = BayesianLinearRegression(prior="laplace", draws=30, random_state=0).fit(X[:, :2], y)
    assert same(model, fresh)
    assert vars(model).keys() == vars(fresh).keys()
    assert model.n_features_in_ == 2
    model.set_params(formula="y ~ a + C(g)").fit(frame)
    assert model.predict(frame).shape == (60,)
    model.set_params(formula=None).fit(X, y)
    assert vars(model).keys() == vars(fresh).keys()
    assert model.predict(X).shape == (60,)


def test_changing_a_parameter_after_fit_does_not_change_the_fit(frame):
    model = BayesianLinearRegression("y ~ a", **FEW).fit(frame)
    expected, table = model.predict(frame), str(model.summary())
    model.set_params(formula="y ~ a + b", prior="flat", chains=2, draws=7)
    np.testing.assert_array_equal(model.predict(frame), expected)
    assert str(model.summary()) == table
    assert model.sample_posterior(5)["posterior"]["sigma"].shape == (4, 5)


BAD_REFITS = [
    ({"draws": 0}, None),
    ({"prior": "norml"}, None),
    ({"prior_scale": -1}, None),
    ({"formula": "y ~ typo"}, None),
    ({"formula": "y ~ a + (1|g)"}, None),
    ({"random_state": "x"}, None),
    ({}, "NaN"),
    ({"prior": "flat"}, "collinear"),
    ({}, "short"),
]


@pytest.mark.parametrize(("change", "trouble"), BAD_REFITS)
@pytest.mark.parametrize("formula", [None, "y ~ a + b"])
def test_a_failed_refit_leaves_everything_as_it_was(frame, formula, change, trouble):
    model = BayesianLinearRegression(formula, **FEW)
    model.fit(frame if formula else frame[["a", "b"]], frame["y"])
    X, y = frame[["a", "b", "c"]].copy(), frame["y"].copy()
    if trouble == "NaN":
        y[3] = np.nan
    elif trouble == "collinear":
        X = X.assign(b=X["a"])
    elif trouble == "short":
        y = y[:-1]
    model.set_params(**change)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError)):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert model.predict(frame[["a", "b"]]).shape == (60,)


def test_an_array_fit_imports_nothing_heavy_that_scikit_learn_does_not():
    code = """
import sys, numpy as np
from sklearn.linear_model import LinearRegression
LinearRegression().fit(np.eye(5), np.arange(5.0)).predict(np.eye(5))
before = set(sys.modules)
from bayesglm import BayesianLinearRegression
model = BayesianLinearRegression(random_state=0, draws=10).fit(np.eye(5), np.arange(5.0))
model.predict(np.eye(5), return_std=True), model.predict_interval(np.eye(5)), str(model.summary())
print(sorted({"arviz", "xarray", "matplotlib", "pandas", "patsy"} & (set(sys.modules) - before)))
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["bayesglm.linear", "bayesglm.base"])
def test_docstring_examples(name):
    import doctest

    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0

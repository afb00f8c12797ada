"""Predictors far from 0: lines are computed from centred ones, whatever X comes in, and never draw by draw."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import bayesglm
from bayesglm import BayesianLinearRegression
from bayesglm.prediction import DrawSource

rng = np.random.default_rng(7)
# Of so few bits that the shift takes nothing away: shifted data have the posterior of those that are not.
NEAR = np.round(rng.normal(size=(60, 3)) * 64.0) / 64.0
y = 1.0 + NEAR @ [1.0, 0.25, -0.5] + rng.normal(size=60)
SHIFT = np.array([2.0**40, 0.0, -(2.0**38)])
FAR = NEAR + SHIFT


def fitted(X, y=y, *args, **settings):
    settings = {"draws": 100, "random_state": 0, "progressbar": False, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few draws
        return BayesianLinearRegression(*args, **settings).fit(X, y)


# Intercepts of draws are rounded to 1e-4 each, and the mean of x to as much: 1000 times more than what is lost else.
@pytest.mark.parametrize(("prior", "tolerance"), [("normal", 1e-12), ("laplace", 3e-4)])
def test_lines_are_those_of_predictors_near_zero(prior, tolerance):
    settings = {} if prior == "normal" else {"prior": prior}
    near, far = fitted(NEAR, **settings), fitted(FAR, **settings)
    gap = far.predict(FAR) - near.predict(NEAR)
    assert np.abs(gap).max() < tolerance
    # What is common to all rows apart, they agree to rounding: the uncentred sums do not.
    assert np.ptp(gap) < 1e-13
    assert np.ptp(FAR @ far.coef_ + far.intercept_ - near.predict(NEAR)) > 1e-5


@pytest.mark.parametrize("prior", ["normal", "laplace"])
def test_a_line_is_the_mean_of_the_predictive_distribution(prior):
    model = fitted(FAR, **({} if prior == "normal" else {"prior": prior}))
    part = model.posterior_
    lines = [
        part.exact.moments(FAR)[0]
        if part.exact
        else DrawSource(*part.flat()).components(FAR, "mean")[1].mean(axis=1)
    ]
    assert np.abs(model.predict(FAR) - lines[0]).max() < (1e-12 if part.exact else 1e-4)


def test_no_line_is_computed_draw_by_draw(monkeypatch):
    model = fitted(FAR, prior="laplace")

    def refuse(*_):
        raise AssertionError("a million rows would take minutes")

    monkeypatch.setattr(DrawSource, "components", refuse)
    assert np.isfinite(model.predict(FAR)).all()


@pytest.mark.parametrize("prior", ["normal", "laplace"])
def test_every_container(prior, tmp_path):
    settings = {} if prior == "normal" else {"prior": prior}
    model = fitted(FAR, **settings)
    line = model.predict(FAR)

    def same(found):
        assert found.shape == line.shape
        assert np.abs(found - line).max() < 1e-13

    same(model.predict(sparse.csr_array(FAR)))
    same(np.concatenate([model.predict(row[np.newaxis]) for row in FAR]))
    same(pickle.loads(pickle.dumps(model)).predict(FAR))
    model.save(tmp_path / "model")
    same(bayesglm.load(tmp_path / "model").predict(FAR))
    same(make_pipeline(FunctionTransformer(), model).predict(FAR))
    frame = pd.DataFrame(FAR.copy(), columns=list("abc"))
    by_formula = fitted(frame, y, "a + b + c", **settings)
    frame.loc[3, "b"] = np.nan
    found = by_formula.predict(frame)
    assert np.isnan(found[3])
    found[3] = line[3]
    same(found)


def test_several_responses_get_the_lines_of_each():
    both = fitted(FAR, np.column_stack([y, 1e3 * y - 5.0]))
    line = fitted(NEAR).predict(NEAR)
    found = both.predict(FAR)
    assert found.shape == (60, 2)
    assert np.abs(found[:, 0] - line).max() < 1e-12
    assert np.abs(found[:, 1] - (1e3 * line - 5.0)).max() < 1e-9


def test_models_that_knew_nothing_of_it_predict_as_they_did():
    model = fitted(FAR)
    del model._level
    assert np.array_equal(model.predict(FAR), FAR @ model.coef_ + model.intercept_)

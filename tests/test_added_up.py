"""A warning where columns add up to a constant beside an intercept, and none where that does no harm."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from bayesglm import (
    BayesianGammaRegressor,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Normal,
)

RNG = np.random.default_rng(0)
N = 300
FRAME = pd.DataFrame(
    {"x": RNG.normal(size=N), "g": RNG.choice(list("abc"), N), "h": RNG.choice(list("uv"), N)}
)
Y = 150.0 + FRAME["x"].to_numpy() + 3.0 * RNG.normal(size=N)
LEVELS = pd.get_dummies(FRAME["g"], dtype=float)
ALL = pd.concat([LEVELS[["a"]], FRAME[["x"]], LEVELS[["b", "c"]]], axis=1)  # not side by side
QUICK = {"draws": 200, "random_state": 0}
RESPONSES = {
    BayesianLinearRegression: Y,
    BayesianRobustRegression: Y,
    BayesianPoissonRegressor: RNG.poisson(np.exp(1.0 + 0.3 * FRAME["x"])),
    BayesianGammaRegressor: np.exp(Y / 100.0),
    BayesianLogisticRegression: np.where(Y > 150.0, "above", "below"),
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def told(model, X, y, **more):
    """What a fit says of columns that add up."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **more)
    return [str(w.message) for w in caught if "every row" in str(w.message)]


@pytest.mark.parametrize("kind", RESPONSES)
def test_every_estimator_names_the_columns_and_the_remedy(kind):
    (text,) = told(kind(**QUICK), ALL, RESPONSES[kind])
    assert text.startswith(
        "Columns 'a', 'b', 'c' add up to 1 in every row and so say the same as the intercept"
    )
    assert "leave one out, as OneHotEncoder(drop='first')" in text
    assert text.endswith("fit_intercept=False.")
    assert text.count(". ") == 0
    assert told(kind(**QUICK), ALL.drop(columns="b"), RESPONSES[kind]) == []
    assert told(kind(fit_intercept=False, **QUICK), ALL, RESPONSES[kind]) == []


@pytest.mark.parametrize("kind", RESPONSES)
def test_numbers_are_as_without_the_warning(kind, monkeypatch):
    home = "bayesglm.base" if kind is BayesianLinearRegression else "bayesglm.family_base"
    told_of = kind(**QUICK)
    assert told(told_of, ALL, RESPONSES[kind])
    monkeypatch.setattr(f"{home}.added_up", lambda *_: [])
    silent = kind(**QUICK)
    assert told(silent, ALL, RESPONSES[kind]) == []
    np.testing.assert_array_equal(told_of.posterior_.stacked(), silent.posterior_.stacked())


@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianPoissonRegressor])
def test_pipelines_of_scikit_learn(kind):
    def encoded(drop):
        columns = make_column_transformer((OneHotEncoder(drop=drop), ["g", "h"]), remainder="passthrough")
        return make_pipeline(columns, kind(**QUICK))

    (text,) = told(encoded(None), FRAME, RESPONSES[kind])
    assert text.startswith("Columns 'x0', 'x1', 'x2' add up to 1 in every row (and 1 more sets")
    assert told(encoded("first"), FRAME, RESPONSES[kind]) == []
    spline = make_pipeline(SplineTransformer(), kind(**QUICK))
    assert len(told(spline, FRAME[["x"]], RESPONSES[kind])) == 1
    spline.set_params(splinetransformer__include_bias=False)
    assert told(spline, FRAME[["x"]], RESPONSES[kind]) == []


@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianPoissonRegressor])
def test_other_kinds_of_rows(kind):
    y = RESPONSES[kind]
    (text,) = told(kind(**QUICK), FRAME[["x"]].assign(const=2.0), y)
    assert text.startswith("Column 'const' is 2 in every row and so says the same as the intercept")
    assert "leave it out" in text
    assert len(told(kind(**QUICK), sparse.csr_array(ALL.to_numpy()), y)) == 1
    assert len(told(kind("0 + x + a + b + c", **QUICK), ALL.assign(y=y), y)) == 0
    assert len(told(kind("x + a + b + c", **QUICK), ALL.assign(y=y), y)) == 1
    assert told(kind("x + C(g)", **QUICK), FRAME, y) == []


@pytest.mark.parametrize(
    "harmless",
    [
        {"prior": Normal(0.0, 0.1)},
        {"prior": "horseshoe"},
    ],
    ids=str,
)
def test_priors_that_hold_the_intercept_are_no_cause_for_a_word(harmless):
    assert told(BayesianLinearRegression(**harmless, **QUICK), ALL, Y) == []


def test_columns_far_from_zero_are_no_cause_for_a_word():
    years = FRAME[["x"]].assign(year=RNG.integers(1990, 2020, N), money=1e6 + 1e3 * RNG.normal(size=N))
    for kind, y in RESPONSES.items():
        assert told(kind(**QUICK), years, y) == []
    scaled = make_pipeline(StandardScaler(), BayesianLinearRegression(**QUICK))
    assert told(scaled, ALL, Y) == []


def test_rows_in_batches_and_fits_merged():
    first, second = (BayesianLinearRegression(**QUICK) for _ in range(2))
    with pytest.warns(UserWarning, match=r"^Columns 'a', 'b', 'c' add up to 1 in every row"):
        first.partial_fit(ALL[:150], Y[:150]).partial_fit(ALL[150:], Y[150:])
    with pytest.warns(UserWarning, match=r"^Columns 'a', 'b', 'c' add up to 1"):
        second.fit(ALL[:150], Y[:150])
    with pytest.warns(UserWarning, match=r"^Columns 'a', 'b', 'c' add up to 1"):
        second.merge(first)
    both = told(BayesianLinearRegression(**QUICK), ALL, np.c_[Y, -Y])
    assert len(both) == 1, "once, not for each response"

"""Any likelihood on extreme data: the posterior that importance sampling finds, finite outputs, or one clear error."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianGLM
from bayesglm.families import StudentT
from tests.acceptance.family_extreme_cases import CASES, RESPONSES, Oracle, Z
from tests.acceptance.importance import assert_moments, moments


def fitted(case, **settings):
    family = StudentT(df=4.0) if case.family == "student_t" else case.family
    model = BayesianGLM(family=family, random_state=0, **{"draws": 10_000, **case.settings, **settings})
    rows = pd.DataFrame(index=range(len(case.y))) if case.x is None else case.x.reshape(len(case.y), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=UserWarning)
        model.fit(rows, case.y, **case.row)
    return model, rows


@pytest.mark.parametrize("name", CASES)
def test_posterior(name):
    case = CASES[name]
    # Two kinds are slow to walk in, or slow to be found.
    heavy = case.family in ("laplace", "inverse_gaussian") and "difference" in Oracle(case).names
    draws = 25_000 if heavy else 15_000 if case.family == "inverse_gaussian" else 10_000
    model, _ = fitted(case, draws=draws)
    oracle = Oracle(case)
    truth = moments(oracle.log_density, len(oracle.names), 500_000 if heavy else 100_000)
    assert_moments(oracle.draws(model.posterior_), truth, oracle.names)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_outputs(name):
    case = CASES[name]
    model, rows = fitted(case, draws=250)
    row = {key: value for key, value in case.row.items() if key != "sample_weight"}
    # Where a mean has a heavy tail it can be infinite: every finite draw of it would be a statement of its own.
    for output in (
        model.predict_interval(rows, **row),
        model.predict_quantiles(rows, [0.3, 0.7], **row),
        model.log_predictive_density(rows, case.y, **row),
        model.sample_predictive(rows, draws=20, random_state=0, **row),
        model.predict(rows, **row),
        model.summary().to_frame().select_dtypes("number").to_numpy(),
    ):
        assert not np.isnan(output).any()
    assert np.isfinite(model.log_predictive_density(rows, case.y, **row)).all()


@pytest.mark.parametrize(
    ("family", "row", "settings", "message"),
    [
        (
            "poisson",
            {"offset": 800.0},
            {"fit_intercept": False},
            "The likelihood is no number where all coeff",
        ),
        ("binomial", {"trials": 1e300}, {}, "trials must be at most 2\\^53"),
        ("poisson", {"sample_weight": np.full(12, 1e200)}, {}, "sample_weight sums to"),
    ],
)
def test_errors(family, row, settings, message):
    y = RESPONSES["poisson"]
    with pytest.raises(ValueError, match=message):
        BayesianGLM(family=family, draws=20, **settings).fit(Z[:, np.newaxis], y, **row)


EXACT = "y is fitted to rounding error"


@pytest.mark.parametrize(("family", "value"), [("gamma", 3.0), ("inverse_gaussian", 3.0), ("beta", 0.25)])
@pytest.mark.parametrize("n", [1, 5, 12])
@pytest.mark.filterwarnings("ignore:'.*effective sample size:sklearn.exceptions.ConvergenceWarning")
def test_a_precision_without_bound_is_warned_of(family, value, n):
    """Constant y: the posterior of the shape is improper, and numbers' resolution bounds it; that of one row is not."""
    model = BayesianGLM(family=family, draws=100, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(Z[:n, np.newaxis], np.full(n, value))
    assert [EXACT in str(one.message) for one in caught].count(True) == (n > 1)
    if n > 1:
        np.testing.assert_allclose(model.predict(Z[:n, np.newaxis]), value, rtol=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "student_t", "laplace"])
def test_numbers_whose_squares_are_no_doubles_are_refused(family):
    for factor in (1e-300, 1e300):
        with pytest.raises(ValueError, match="y holds numbers so large"):
            BayesianGLM(family=family, draws=20).fit(Z[:, np.newaxis], factor * RESPONSES["gaussian"])
    with pytest.raises(ValueError, match="X or y holds numbers so large"):
        BayesianGLM(family=family, draws=20).fit(1e200 * Z[:, np.newaxis], RESPONSES["gaussian"])

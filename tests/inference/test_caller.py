"""Warnings point at the line of the user who called, however deep in the package they arise."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression

FRAME = pd.DataFrame({"x": [1.0, 2.0, np.nan, 4.0, 5.0, 7.0], "y": [1.0, 2.5, 3.0, 4.0, 5.0, 5.5]})
FEW = {"draws": 20, "random_state": 0}


def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return BayesianLinearRegression("y ~ x", **FEW).fit(FRAME)


CALLS = {
    "missing values, few draws": lambda: BayesianLinearRegression("y ~ x", **FEW).fit(FRAME),
    "empty power": lambda: BayesianLinearRegression("y ~ x**2", **FEW).fit(FRAME),
    "company": lambda: BayesianLinearRegression("y ~ I(x - np.mean(x))", **FEW).fit(FRAME),
    "constant y": lambda: BayesianLinearRegression(**FEW).fit(FRAME[["y"]], np.ones(6)),
    "more rows": lambda: fitted().partial_fit(FRAME),
    "merged": lambda: fitted().merge(fitted()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_warnings_point_at_the_caller(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert caught
    for warning in caught:
        assert warning.filename == __file__, str(warning.message)
        assert warning.lineno == call.__code__.co_firstlineno

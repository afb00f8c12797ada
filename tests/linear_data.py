"""One small regression and its fits, which the tests of the estimator share."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression

_rng = np.random.default_rng(0)
X = _rng.normal(size=(60, 3))
y = 1.0 + X @ [2.0, -1.0, 0.5] + 0.5 * _rng.normal(size=60)
FRAME = pd.DataFrame(X, columns=list("abc")).assign(y=y, g=list("uvw") * 20)

#: Settings of a fit whose draws do not matter.
FEW = {"draws": 100, "random_state": 0}


@cache
def exact_fit():
    """A fit whose moments are known without Monte Carlo error."""
    return BayesianLinearRegression(random_state=0).fit(X, y)


@cache
def sampled_fit():
    """A fit whose posterior is known from its draws only."""
    return BayesianLinearRegression(prior="laplace", random_state=0).fit(X, y)


def same(a, b):
    """Whether two fitted estimators hold the same numbers."""
    return (
        np.array_equal(a.coef_, b.coef_)
        and a.intercept_ == b.intercept_
        and a.sigma_ == b.sigma_
        and all(np.array_equal(a.posterior_.draws[k], b.posterior_.draws[k]) for k in a.posterior_.draws)
    )


def fit(X=X, y=y, sample_weight=None, formula=None, **params):
    """Fit with few draws and everything else as it should be, unless said."""
    return BayesianLinearRegression(formula, **{"draws": 20, "random_state": 0, **params}).fit(
        X, y, sample_weight
    )


def by_formula(formula, frame=FRAME, y=None, **params):
    """Fit a formula to the frame."""
    return fit(frame, y, formula=formula, **params)


def with_(values, where, value):
    """Copy the array with one entry replaced."""
    values = np.array(values, dtype=float)
    values[where] = value
    return values


def check_refused(call, error, message):
    """See that `call` raises `error` with a message that matches, and nobody else's kind of error."""
    with pytest.raises(error, match=message) as caught:
        call()
    assert caught.type.__module__.startswith(("builtins", "sklearn.")), f"{caught.type} is NumPy's own error"

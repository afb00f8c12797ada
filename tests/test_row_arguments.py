"""What rows bring besides predictors: whatever is no real number is refused in one sentence, nothing is lost."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianGLM

X = np.random.default_rng(0).normal(size=(6, 1))
Y = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 1.0])
SETTINGS = {"draws": 20, "chains": 1, "random_state": 0}
FAMILY = {"offset": "poisson", "exposure": "poisson", "trials": "binomial", "standard_error": "gaussian"}
WRONG = {
    "complex": (np.full(6, 5.0 + 1.0j), TypeError, "must be real numbers.*complex128"),
    "complex without an imaginary part": (np.full(6, 5.0 + 0.0j), TypeError, "must be real numbers"),
    "complex, one": (5.0 + 1.0j, TypeError, "must be real numbers.*complex"),
    "huge integers": ([10**400] * 6, ValueError, "integer too large for a double"),
    "a huge integer": (10**400, ValueError, "integer too large for a double"),
    "dates": (np.full(6, "2020-01-01", dtype="datetime64[D]"), TypeError, "must be real numbers"),
    "durations": (np.full(6, 5, dtype="timedelta64[D]"), TypeError, "must be real numbers"),
    "text": (["a"] * 6, TypeError, "must be real numbers"),
    "ragged": ([[1.0], [1.0, 2.0]] * 3, TypeError, "must be real numbers"),
    "infinite": (np.inf, ValueError, "is infinite in row 0"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", FAMILY)
def test_what_is_no_real_number_is_refused_at_fit_and_after_it(name, wrong):
    value, error, message = WRONG[wrong]
    model = BayesianGLM(family=FAMILY[name], **SETTINGS)
    with pytest.raises(error, match=f"^{name} .*{message}"):
        model.fit(X, Y, **{name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, Y, trials=5.0) if name == "trials" else model.fit(X, Y)
    for predict in (model.predict, model.predict_interval, model.sample_predictive):
        with pytest.raises(error, match=f"^{name} .*{message}"):
            predict(X, **{name: value})


@pytest.mark.parametrize("wrong", ["complex", "huge integers", "text", "durations"])
def test_so_are_the_columns_that_they_name(wrong):
    value, error, message = WRONG[wrong]
    more = (
        pd.Series(value, dtype=object) if wrong == "huge integers" else value
    )  # pandas 2.2 tries to convert it
    frame = pd.DataFrame({"x": X[:, 0], "y": Y, "more": more})
    model = BayesianGLM("y ~ x", family="poisson", **SETTINGS)
    with pytest.raises(error, match=f"^offset .*{message}"):
        model.fit(frame, offset="more")

"""Estimators of all kinds, fitted to few rows and drawn briefly, for tests of what is saved of them."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
from scipy import sparse

from bayesglm import BayesianLinearRegression, Cauchy, Flat, Gamma, Laplace, Normal, StudentT


def make_frame(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=list("abc"))
    frame["g"] = rng.choice(list("uvw"), rows)
    frame["y"] = 1.0 + 2.0 * frame["a"] - frame["b"] + (frame["g"] == "u") + rng.normal(size=rows)
    frame["z"] = frame["b"] + rng.normal(size=rows)
    return frame


FRAME = make_frame()
ARRAY, COLUMNS = FRAME[["a", "b", "c"]].to_numpy(), FRAME[["a", "b", "c"]]
Y, BOTH = FRAME["y"].to_numpy(), FRAME[["y", "z"]]
WEIGHTS = np.random.default_rng(5).uniform(0.5, 3.0, len(FRAME))
FORMULA = "y ~ standardize(a) + bs(b, df=4) + C(g, Sum) + np.exp(c)"

#: Parameters, X, y and weights.
CASES = {
    "arrays": ({}, ARRAY, Y, None),
    "frame": ({"random_state": np.int64(3), "prior_scale": np.float64(1.5)}, COLUMNS, FRAME["y"], None),
    "laplace": ({"prior": "laplace"}, ARRAY, Y, None),
    "learnt map": ({"prior": Laplace(0, 1e-3), "tune": 80}, ARRAY, Y, None),
    "positive": ({"positive": True, "n_jobs": 1}, ARRAY, Y, None),
    "mapping": (
        {"prior": {"a": StudentT(3, 0, [2.0]), "c": Cauchy(1, 2)}, "sigma_prior": Gamma(2.0, 1.0)},
        COLUMNS,
        Y,
        None,
    ),
    "flat": ({"prior": Flat(), "intercept_prior": Normal(1, 2), "center": False}, ARRAY, Y, None),
    "two responses": ({}, COLUMNS, BOTH, None),
    "two responses, laplace": ({"prior": "laplace", "fit_intercept": False}, ARRAY, BOTH.to_numpy(), None),
    "one column of responses": ({}, ARRAY, Y[:, np.newaxis], None),
    "sparse": ({}, sparse.csr_array(np.where(ARRAY > 0, ARRAY, 0.0)), Y, None),
    "frequencies": ({}, ARRAY, Y, WEIGHTS),
    "precisions": ({"weights_type": "precision", "prior": Normal(0.5, 1)}, ARRAY, Y, WEIGHTS),
    "no intercept": ({"fit_intercept": False}, ARRAY, Y, None),
    "more columns than rows": ({}, np.random.default_rng(1).normal(size=(8, 12)), Y[:8], None),
    "collinear": ({}, np.column_stack([ARRAY, ARRAY[:, 0] + ARRAY[:, 1]]), Y, None),
    "exact fit": ({}, ARRAY, ARRAY @ [1.0, 2.0, 3.0], None),
    "one row": ({"sigma_prior": "half_normal"}, ARRAY[:1], Y[:1], None),
    "intercept alone": ({}, COLUMNS[[]], Y, None),
    "generator": ({"random_state": np.random.default_rng(4)}, ARRAY, Y, None),
    "formula": ({"formula": FORMULA}, FRAME, None, None),
    "formula, student": ({"formula": "~ a*g", "prior": "student_t"}, FRAME, Y, None),
    "formula, responses": ({"formula": "~ a + g", "prior": {"g": Normal(0, 3)}}, FRAME, BOTH, None),
    "formula, namespace": (
        {
            "formula": "y ~ floor(a) + I(b * unit)",
            "formula_namespace": {"floor": np.floor, "unit": 2.0},
        },
        FRAME,
        None,
        None,
    ),
    "formula, intercept": ({"formula": "y ~ 1"}, FRAME, None, None),
}


@cache
def fitted(name):
    params, X, y, weights = CASES[name]
    params = {"draws": 30, "chains": 2, "random_state": 0, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return BayesianLinearRegression(**params).fit(X, y, weights)


def rows_of(name, n=7):
    """New rows for the model of that name."""
    X = CASES[name][1]
    return X.iloc[:n] if hasattr(X, "iloc") else X[:n]

"""Bad data and formulas at fit, case by case: what the message says is wrong, where, and what to do."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from bayesglm import (
    Flat,
)
from tests.linear_data import FRAME, X, by_formula, check_refused, fit, with_, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ABC = FRAME[["a", "b", "c"]]
WEIGHTS = np.ones(60)
only_in_the_caller = X[:, 0]


ARRAYS = {
    "NaN in X": (
        lambda: fit(with_(X, (7, 1), np.nan)),
        ValueError,
        r"X contains NaN in column 'x1', row 7.*(drop|impute)",
    ),
    "NaN in a frame": (lambda: fit(ABC.mask(ABC > 2)), ValueError, r"X contains NaN in column 'b', row 26"),
    "inf in X": (
        lambda: fit(with_(X, (59, 2), -np.inf)),
        ValueError,
        r"X contains inf.* in column 'x2', row 59",
    ),
    "NaN in nullable column": (
        lambda: fit(ABC.assign(b=pd.array([1, None] * 30, dtype="Int64"))),
        ValueError,
        r"X contains NaN in column 'b', row 1",
    ),
    "None in object column": (
        lambda: fit(ABC.assign(b=[1.0, None] * 30)),
        ValueError,
        r"NaN in column 'b', row 1",
    ),
    "NaN in y": (lambda: fit(y=with_(y, 3, np.nan)), ValueError, r"^y contains NaN in row 3; drop"),
    "inf in y": (lambda: fit(y=with_(y, 3, np.inf)), ValueError, r"y contains inf"),
    "None in y": (lambda: fit(y=[None, *y[1:]]), ValueError, r"y contains NaN in row 0"),
    "squares overflow": (
        lambda: fit(1e200 * X),
        ValueError,
        r"so large or small that their squares overflow; divide",
    ),
    "squares of y overflow": (
        lambda: fit(y=1e200 * y),
        ValueError,
        r"so large or small that their squares overflow; divide",
    ),
    "text column": (lambda: fit(FRAME[["a", "g"]]), ValueError, r"column 'g' holds text.*formula.*C\(g\)"),
    "category column": (
        lambda: fit(FRAME[["a", "g"]].astype({"g": "category"})),
        ValueError,
        r"column 'g' holds text.*formula.*C\(g\)",
    ),
    "text array": (lambda: fit(np.array([["a", "b"]] * 60)), ValueError, r"strings.*Convert"),
    "text among objects": (lambda: fit(np.array([[1, "b"]] * 60, dtype=object)), ValueError, r"'b'"),
    "dates": (
        lambda: fit(ABC.assign(d=pd.date_range("2020", periods=60))),
        (ValueError, TypeError),
        r"column 'd'",
    ),
    "durations": (
        lambda: fit(ABC.assign(d=pd.to_timedelta(np.arange(60), "D"))),
        (ValueError, TypeError),
        r"column 'd'",
    ),
    "sparse y": (
        lambda: fit(y=scipy.sparse.csr_array(y[:, None])),
        TypeError,
        r"y is sparse.*pass y\.toarray\(\)",
    ),
    "sparse with NaN": (
        lambda: fit(scipy.sparse.csr_array(with_(X, (7, 1), np.nan))),
        ValueError,
        r"X contains NaN in column 'x1', row 7",
    ),
    "one-dimensional": (lambda: fit(X[:, 0]), ValueError, r"X has shape \(\d+,\), .*Reshape your data"),
    "series": (lambda: fit(FRAME["a"]), ValueError, r"2-dimensional container.*Series"),
    "three dimensions": (lambda: fit(X[:, :, None]), ValueError, r"dim 3"),
    "nothing": (lambda: fit(None), ValueError, r"X has shape \(\), but rows and columns"),
    "no rows": (lambda: fit(X[:0], y[:0]), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\).*minimum of 1"),
    "no columns": (
        lambda: fit(X[:, :0]),
        ValueError,
        r"0 feature\(s\) \(shape=\(60, 0\)\).*minimum of 1.*'y ~ 1'",
    ),
    "lengths": (lambda: fit(X, y[:-1]), ValueError, r"inconsistent numbers of samples: \[60, 59\]"),
    "no y": (lambda: fit(X, None), ValueError, r"requires y to be passed, but the target y is None"),
    "no response in two dimensions": (
        lambda: fit(y=np.zeros((60, 0))),
        ValueError,
        r"y has shape \(60, 0\): give at least one response",
    ),
    "three dimensions of y": (lambda: fit(y=np.zeros((60, 2, 2))), ValueError, r"dim 3"),
    "text response": (lambda: fit(y=["a"] * 60), ValueError, r"'a'"),
    # priors that say nothing
    "constant column": (
        lambda: fit(np.c_[X, np.full(60, 0.1)], prior="flat"),
        ValueError,
        r"column 'x3' is constant.*flat prior.*leave.*out.*Normal",
    ),
    "duplicate column": (
        lambda: fit(np.c_[X, 2 * X[:, 0]], prior="flat"),
        ValueError,
        r"columns 'x0', 'x3' are collinear.*flat prior.*leave columns out.*Normal",
    ),
    "duplicate column of a frame": (
        lambda: fit(ABC.assign(b=ABC["a"] * 2), prior=Flat()),
        ValueError,
        r"columns 'a', 'b' are collinear",
    ),
    "sum of columns": (
        lambda: fit(np.c_[X, X.sum(axis=1)], prior="flat"),
        ValueError,
        r"'x0', 'x1', 'x2', 'x3'",
    ),
    "duplicate column, both flat, others not": (
        lambda: fit(ABC.assign(d=2 * ABC["a"]), prior={"a": "flat", "d": "flat"}),
        ValueError,
        r"columns 'a', 'd' are collinear",
    ),
    "duplicate column, both flat, others Laplace": (
        lambda: fit(
            ABC.assign(d=2 * ABC["a"]), prior={"a": "flat", "d": "flat", "b": "laplace", "c": "laplace"}
        ),
        ValueError,
        r"columns 'a', 'd' are collinear",
    ),
    "too few rows": (
        lambda: fit(X[:3], y[:3], prior="flat", intercept_prior="flat"),
        ValueError,
        r"3 rows cannot determine 4 coefficients.*flat prior.*Normal",
    ),
    "no residuals": (
        lambda: fit(X[:3, :1], y[:3], prior="flat", intercept_prior="flat", sigma_prior="flat"),
        ValueError,
        r"sigma_prior=Flat\(\).*proper.*HalfNormal",
    ),
    # weights
    "negative weight": (
        lambda: fit(sample_weight=with_(WEIGHTS, 3, -1)),
        ValueError,
        r"sample_weight must not be negative; got -1 in row 3",
    ),
    "all weights zero": (
        lambda: fit(sample_weight=0 * WEIGHTS),
        ValueError,
        r"(?i)weight.*zero|zero.*weight",
    ),
    "too few weights": (lambda: fit(sample_weight=WEIGHTS[:-1]), ValueError, r"sample_weight.*\(59,\).*60"),
    "NaN weight": (lambda: fit(sample_weight=with_(WEIGHTS, 3, np.nan)), ValueError, r"sample_weight.*NaN"),
    "two-dimensional weights": (
        lambda: fit(sample_weight=np.ones((60, 2))),
        ValueError,
        r"(?i)weights must be 1D",
    ),
    "text weights": (lambda: fit(sample_weight="a"), (ValueError, TypeError), r"weight|'a'"),
    "weights whose sums overflow": (
        lambda: fit(sample_weight=1e300 * WEIGHTS),
        ValueError,
        r"sample_weight|weights",
    ),
    "too few weights for a formula": (
        lambda: by_formula("y ~ a", sample_weight=WEIGHTS[:-1]),
        ValueError,
        r"sample_weight.*\(59,\).*60",
    ),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("call", "error", "message"), ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays(call, error, message):
    check_refused(call, error, message)


FORMULAS = {
    "unknown variable": (
        "y ~ a + typo",
        ValueError,
        r"'typo' is not a column of the frame.*formula_namespace",
    ),
    "misspelt variable": ("y ~ A", ValueError, r"'A' is not a column.*did you mean 'a'\?"),
    "unknown response": ("Y ~ a", ValueError, r"response 'Y'.*is not a column.*did you mean 'y'"),
    "caller's variable": (
        "y ~ only_in_the_caller",
        ValueError,
        r"'only_in_the_caller' is not a column.*calling code are never read",
    ),
    "caller's variable in a function": (
        "y ~ np.log(only_in_the_caller)",
        ValueError,
        r"'only_in_the_caller' is not",
    ),
    "unknown function": ("y ~ foo(a)", ValueError, r"no function 'foo'.*formula_namespace"),
    "unknown numpy function": ("y ~ np.foo(a)", ValueError, r"no function np\.foo"),
    "group effect": (
        "y ~ a + (1|g)",
        ValueError,
        r"group effects such as \(1\|g\) are not supported yet; use C\(g\)",
    ),
    "group slope": ("y ~ (a|g)", ValueError, r"group effects such as \(1\|g\)"),
    "unfinished": ("y ~ a + ", ValueError, r"formula 'y ~ a \+ ' cannot be read"),
    "two tildes": ("y ~~ a", ValueError, r"cannot be read: ~ can only be used once"),
    "equals sign": ("y = a", ValueError, r"the sides are joined by '~'; write 'y ~ a'"),
    "comma": ("y ~ a, b", ValueError, r"cannot be read.*joined by '\+'"),
    "dot": ("y ~ .", ValueError, r"'\.'.*not supported; name them"),
    "empty": ("", ValueError, r"formula is empty; write for example"),
    "blank": ("  ", ValueError, r"formula is empty; write for example"),
    "tilde only": ("~", ValueError, r"formula '~'"),
    "no response": ("a + b", ValueError, r"no response: write 'y ~ \.\.\.'.*or pass y"),
    "two responses": ("y + a ~ b", ValueError, r"one response"),
    "text response": ("g ~ a", ValueError, r"response 'g' must be one column of numbers"),
    "all missing": (
        "y ~ np.log(a - 100)",
        ValueError,
        r"none of the 60 rows can be used.*'np\.log\(a - 100\)'",
    ),
    "infinite": ("y ~ np.exp(1000 * a)", ValueError, r"term 'np\.exp\(1000 \* a\)' is infinite.*row \d+"),
    "escape": ("y ~ __import__('os').system('true')", ValueError, r"may not use '__import__'"),
    "module of the caller": ("y ~ np.load(re)", ValueError, r"formula"),
}


@pytest.mark.parametrize(("formula", "error", "message"), FORMULAS.values(), ids=FORMULAS.keys())
def test_formulas(formula, error, message):
    assert re  # a module that the formula must not see
    check_refused(lambda: by_formula(formula), error, message)


FRAMES = {
    "array": (lambda: by_formula("y ~ a", X), TypeError, r"formula models need a data frame.*got ndarray"),
    "series": (lambda: by_formula("y ~ a", FRAME["a"]), TypeError, r"need a data frame.*got Series"),
    "None": (lambda: by_formula("y ~ a", None), TypeError, r"need a data frame.*got NoneType"),
    "no rows": (lambda: by_formula("y ~ a", FRAME[:0]), ValueError, r"no rows.*at least one"),
    "y too short": (
        lambda: by_formula("a", FRAME, y[:-1]),
        ValueError,
        r"y has 59 values but the frame has 60 rows",
    ),
    "y with NaN": (
        lambda: by_formula("a", FRAME, with_(y, 4, np.nan)),
        ValueError,
        r"y is missing \(NaN\) in row 4",
    ),
    "y of text": (
        lambda: by_formula("a", FRAME, ["a"] * 60),
        ValueError,
        r"'y' must be one column of numbers",
    ),
    "y in three dimensions": (
        lambda: by_formula("a", FRAME, np.zeros((60, 2, 2))),
        ValueError,
        r"y must be one column or several, one a response, got shape \(60, 2, 2\)",
    ),
    "second response missing": (
        lambda: by_formula("a", FRAME, np.c_[y, with_(y, 4, np.nan)]),
        ValueError,
        r"y1 is missing \(NaN\) in row 4",
    ),
    "y beside a computed one": (
        lambda: by_formula("np.exp(y) ~ a", FRAME, y),
        ValueError,
        r"y was passed, but the left side of formula 'np\.exp\(y\) ~ a' is more than a name; leave out",
    ),
    "infinite column": (
        lambda: by_formula("y ~ a", FRAME.assign(a=with_(X[:, 0], 3, np.inf))),
        ValueError,
        r"'a' is infinite.*row 3",
    ),
    "all missing": (
        lambda: by_formula("y ~ a", FRAME.assign(a=np.nan)),
        ValueError,
        r"none of the 60 rows can be used \(missing values in 'a'\)",
    ),
    "misspelt term in priors": (
        lambda: by_formula("y ~ a + C(g)", prior={"C(gg)": "flat"}),
        ValueError,
        r"^prior\['C\(gg\)'\]: no column or term of that name; did you mean 'C\(g\)'\?",
    ),
    "misspelt column in priors": (
        lambda: fit(ABC, prior={"aa": "flat"}),
        ValueError,
        r"^prior\['aa'\]: no column or term of that name; did you mean 'a'\?",
    ),
    "collinear": (
        lambda: by_formula("y ~ a + I(2 * a)", prior="flat"),
        ValueError,
        r"'a', 'I\(2 \* a\)' are collinear",
    ),
    "namespace": (
        lambda: by_formula("y ~ a", formula_namespace=3),
        TypeError,
        r"formula_namespace must be a mapping from names",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), FRAMES.values(), ids=FRAMES.keys())
def test_frames(call, error, message):
    check_refused(call, error, message)

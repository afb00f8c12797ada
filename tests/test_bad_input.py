"""Bad input, case by case, with the message that the user reads: what is wrong, where, and what to do."""

import decimal
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from bayesglm import (
    BayesianLinearRegression,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Normal,
    StudentT,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = 1.0 + X @ [2.0, -1.0, 0.5] + 0.5 * rng.normal(size=60)
FRAME = pd.DataFrame(X, columns=list("abc")).assign(y=y, g=list("uvw") * 20)
ABC = FRAME[["a", "b", "c"]]
WEIGHTS = np.ones(60)
only_in_the_caller = X[:, 0]


def with_(values, where, value):
    """A copy of the array with one entry replaced."""
    values = np.array(values, dtype=float)
    values[where] = value
    return values


def fit(X=X, y=y, sample_weight=None, formula=None, **params):
    return BayesianLinearRegression(formula, **{"draws": 20, "random_state": 0, **params}).fit(X, y, sample_weight)


def by_formula(formula, frame=FRAME, y=None, **params):
    return fit(frame, y, formula=formula, **params)


def check(call, error, message):
    """See that `call` raises `error` with a message in one piece that matches."""
    with pytest.raises(error, match=message) as caught:
        call()
    text = str(caught.value)
    assert caught.type.__module__ == "builtins", f"{caught.type} is no plain ValueError or TypeError"
    assert text.count("\n") == 0 or "Expected 2D" in text or "feature names" in text  # scikit-learn's own


PARAMETERS = [
    # the prior of the coefficients
    ({"prior_scale": -1}, ValueError, r"^prior_scale must be positive and finite; got -1"),
    ({"prior_scale": 0}, ValueError, r"^prior_scale must be positive"),
    ({"prior_scale": np.nan}, ValueError, r"^prior_scale must be positive"),
    ({"prior_scale": np.inf}, ValueError, r"^prior_scale must be positive and finite"),
    ({"prior_scale": "big"}, TypeError, r"^prior_scale must be a positive number or None; got 'big'"),
    ({"prior_scale": "learn"}, ValueError, r"^prior_scale='learn' is not there yet; give a positive number"),
    ({"prior_scale": True}, TypeError, r"^prior_scale must be a positive number"),
    ({"prior_scale": [1.0, 2.0]}, TypeError, r"^prior_scale must be a positive number"),
    ({"prior": Normal}, TypeError, r"^prior must be a prior, not its class: write Normal\(\)"),
    ({"prior": "norml"}, ValueError, r"^prior='norml' is not the name of a prior; did you mean 'normal'\?"),
    ({"prior": "zzz"}, ValueError, r"^prior='zzz' is not the name of a prior; known are flat, normal,"),
    ({"prior": 3}, TypeError, r"^prior must be a prior such as Normal\(0, 1\), its name or None; got 3"),
    ({"prior": [Normal()]}, TypeError, r"^prior must be a prior"),
    ({"prior": {"x9": Normal()}}, ValueError, r"^prior\['x9'\]: no column or term of that name; .*'x0'"),
    ({"prior": {"x1": 2.0}}, TypeError, r"^prior\['x1'\] must be a prior such as"),
    ({"prior": {"x1": "laplce"}}, ValueError, r"^prior\['x1'\]='laplce'.*did you mean 'laplace'"),
    ({"prior": {"Intercept": Normal()}}, ValueError, r"intercept_prior"),
    ({"prior": {0: Normal()}}, ValueError, r"^prior\[0\]: no column"),
    ({"prior": Normal(0, -1)}, ValueError, r"^prior: scale must be positive; got -1"),
    ({"prior": Normal(0, 0)}, ValueError, r"^prior: scale must be positive; got 0"),
    ({"prior": Normal(np.nan, 1)}, ValueError, r"^prior: loc must be a finite number; got nan"),
    ({"prior": Normal(0, "a")}, (ValueError, TypeError), r"^prior: scale must be a finite number; got 'a'"),
    ({"prior": Normal(0, [1, 2])}, ValueError, r"^prior: scale has shape \(2,\), but there are 3 coefficients"),
    ({"prior": Normal(0, 1, autoscale="x")}, (ValueError, TypeError), r"^prior: autoscale must be True or False"),
    ({"prior": StudentT(0, 0, 1)}, ValueError, r"^prior: df must be a positive"),
    ({"prior": "flat", "prior_scale": 1.0}, ValueError, r"^prior_scale has no meaning for prior=Flat\(\)"),
    ({"prior": {"x0": Normal(0, -2)}}, ValueError, r"^prior\['x0'\]: scale must be positive"),
    # the others
    ({"sigma_prior": Normal(0, 1)}, ValueError, r"^sigma_prior must be a prior on the positive numbers.*HalfNormal"),
    ({"sigma_prior": HalfNormal}, TypeError, r"^sigma_prior must be a prior, not its class: write HalfNormal"),
    ({"sigma_prior": 1.0}, TypeError, r"^sigma_prior must be a prior such as Half"),
    ({"sigma_prior": Gamma(-1, 1)}, ValueError, r"^sigma_prior: shape must be a positive"),
    ({"sigma_prior": InverseGamma(1, 0)}, ValueError, r"^sigma_prior: scale must be"),
    ({"sigma_prior": HalfCauchy(-1)}, ValueError, r"^sigma_prior: scale must be"),
    ({"intercept_prior": HalfNormal(1)}, ValueError, r"^intercept_prior must be a prior on the real line.*Normal"),
    ({"intercept_prior": 5}, TypeError, r"^intercept_prior must be a prior such as Normal"),
    ({"intercept_prior": "norml"}, ValueError, r"^intercept_prior='norml'.*did you mean 'normal'"),
    # the sampler
    ({"draws": 0}, ValueError, r"^draws must be at least 1; got 0"),
    ({"draws": 1.5}, TypeError, r"^draws must be an int of at least 1; got 1\.5"),
    ({"draws": None}, TypeError, r"^draws must be an int"),
    ({"draws": True}, TypeError, r"^draws must be an int"),
    ({"draws": "many"}, TypeError, r"^draws must be an int"),
    ({"draws": 10**9}, ValueError, r"^draws=1000000000 with chains=4.* GiB; ask for at most \d{4,} draws"),
    ({"chains": 0}, ValueError, r"^chains must be at least 1; got 0"),
    ({"chains": "4"}, TypeError, r"^chains must be an int"),
    ({"chains": 10**9}, ValueError, r"chains=1000000000.* GiB; ask for .*fewer chains|chains must be at most"),
    ({"tune": -1}, ValueError, r"^tune must be at least 0; got -1"),
    ({"tune": 1.5}, TypeError, r"^tune must be an int of at least 0"),
    ({"tune": 10**12}, ValueError, r"tune=1000000000000|^tune must be at most"),
    ({"target_accept": 1}, ValueError, r"^target_accept must be between 0 and 1; got 1"),
    ({"target_accept": 0.0}, ValueError, r"^target_accept must be between 0 and 1"),
    ({"target_accept": np.nan}, ValueError, r"^target_accept must be between 0 and 1"),
    ({"target_accept": "x"}, TypeError, r"^target_accept must be a number between 0 and 1"),
    ({"max_treedepth": 0}, ValueError, r"^max_treedepth must be at least 1"),
    ({"max_treedepth": 40}, ValueError, r"^max_treedepth must be at most 20"),
    ({"n_jobs": 0}, ValueError, r"^n_jobs must not be 0; give the number of threads, -1 .*, or None"),
    ({"n_jobs": "all"}, TypeError, r"^n_jobs must be an int( or None|, |;)"),
    ({"n_jobs": 1.5}, TypeError, r"^n_jobs must be an int"),
    ({"random_state": "x"}, (ValueError, TypeError), r"^random_state must be None, a non-negative int, .*; got 'x'"),
    ({"random_state": -1}, ValueError, r"^random_state must be None, a non-negative int"),
    ({"progressbar": "yes"}, TypeError, r"^progressbar must be True, False or None|^progressbar must be True or False"),
    ({"center": "yes"}, TypeError, r"^center must be True or False"),
    ({"positive": 1}, TypeError, r"^positive must be True or False"),
    ({"fit_intercept": "no"}, TypeError, r"^fit_intercept must be True or False"),
    ({"formula": 3}, TypeError, r"^formula must be a string such as 'y ~ x"),
]


@pytest.mark.parametrize(("params", "error", "message"), PARAMETERS, ids=[str(p[0])[:60] for p in PARAMETERS])
def test_parameters(params, error, message):
    check(lambda: fit(**params), error, message)


@pytest.mark.parametrize("params", [p[0] for p in PARAMETERS if "formula" not in p[0]], ids=str)
def test_parameters_are_checked_at_fit_not_before(params):
    repr(BayesianLinearRegression(**params))
    BayesianLinearRegression().set_params(**params)


ARRAYS = {
    "NaN in X": (lambda: fit(with_(X, (7, 1), np.nan)), ValueError, r"X contains NaN in column 'x1', row 7.*(drop|impute)"),
    "NaN in a frame": (lambda: fit(ABC.mask(ABC > 2)), ValueError, r"X contains NaN in column 'b', row 26"),
    "inf in X": (lambda: fit(with_(X, (59, 2), -np.inf)), ValueError, r"X contains inf.* in column 'x2', row 59"),
    "NaN in nullable column": (
        lambda: fit(ABC.assign(b=pd.array([1, None] * 30, dtype="Int64"))),
        ValueError,
        r"X contains NaN in column 'b', row 1",
    ),
    "None in object column": (lambda: fit(ABC.assign(b=[1.0, None] * 30)), ValueError, r"NaN in column 'b', row 1"),
    "NaN in y": (lambda: fit(y=with_(y, 3, np.nan)), ValueError, r"y contains NaN( in row 3)?"),
    "inf in y": (lambda: fit(y=with_(y, 3, np.inf)), ValueError, r"y contains inf"),
    "None in y": (lambda: fit(y=[None, *y[1:]]), ValueError, r"y contains NaN in row 0"),
    "squares overflow": (lambda: fit(1e200 * X), ValueError, r"so large that their squares overflow; divide"),
    "squares of y overflow": (lambda: fit(y=1e200 * y), ValueError, r"so large that their squares overflow; divide"),
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
    "sparse": (lambda: fit(scipy.sparse.csr_array(X)), TypeError, r"[Ss]parse.*dense data is required.*toarray"),
    "one-dimensional": (lambda: fit(X[:, 0]), ValueError, r"(?s)Expected 2D array, got 1D.*Reshape"),
    "series": (lambda: fit(FRAME["a"]), ValueError, r"2-dimensional container.*Series"),
    "three dimensions": (lambda: fit(X[:, :, None]), ValueError, r"dim 3"),
    "nothing": (lambda: fit(None), ValueError, r"Expected 2D array"),
    "no rows": (lambda: fit(X[:0], y[:0]), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\).*minimum of 1"),
    "no columns": (lambda: fit(X[:, :0]), ValueError, r"0 feature\(s\) \(shape=\(60, 0\)\).*minimum of 1.*'y ~ 1'"),
    "lengths": (lambda: fit(X, y[:-1]), ValueError, r"inconsistent numbers of samples: \[60, 59\]"),
    "no y": (lambda: fit(X, None), ValueError, r"requires y to be passed, but the target y is None"),
    "two responses": (lambda: fit(y=np.c_[y, y]), ValueError, r"y should be a 1d array, got an array of shape \(60, 2\)"),
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
        r"columns 'x0', 'x3' are collinear.*flat prior.*leave one out.*Normal",
    ),
    "duplicate column of a frame": (
        lambda: fit(ABC.assign(b=ABC["a"] * 2), prior=Flat()),
        ValueError,
        r"columns 'a', 'b' are collinear",
    ),
    "sum of columns": (lambda: fit(np.c_[X, X.sum(axis=1)], prior="flat"), ValueError, r"'x0', 'x1', 'x2', 'x3'"),
    "duplicate column, both flat, others not": (
        lambda: fit(ABC.assign(d=2 * ABC["a"]), prior={"a": "flat", "d": "flat"}),
        ValueError,
        r"columns 'a', 'd' are collinear",
    ),
    "duplicate column, both flat, others Laplace": (
        lambda: fit(ABC.assign(d=2 * ABC["a"]), prior={"a": "flat", "d": "flat", "b": "laplace", "c": "laplace"}),
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
    "all weights zero": (lambda: fit(sample_weight=0 * WEIGHTS), ValueError, r"(?i)weight.*zero|zero.*weight"),
    "too few weights": (lambda: fit(sample_weight=WEIGHTS[:-1]), ValueError, r"sample_weight.*\(59,\).*60"),
    "NaN weight": (lambda: fit(sample_weight=with_(WEIGHTS, 3, np.nan)), ValueError, r"sample_weight.*NaN"),
    "two-dimensional weights": (lambda: fit(sample_weight=np.ones((60, 2))), ValueError, r"(?i)weights must be 1D"),
    "text weights": (lambda: fit(sample_weight="a"), (ValueError, TypeError), r"weight|'a'"),
    "weights whose sums overflow": (lambda: fit(sample_weight=1e300 * WEIGHTS), ValueError, r"sample_weight|weights"),
    "too few weights for a formula": (
        lambda: by_formula("y ~ a", sample_weight=WEIGHTS[:-1]),
        ValueError,
        r"sample_weight.*\(59,\).*60",
    ),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("call", "error", "message"), ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays(call, error, message):
    check(call, error, message)


FORMULAS = {
    "unknown variable": ("y ~ a + typo", ValueError, r"'typo' is not a column of the frame.*formula_namespace"),
    "misspelt variable": ("y ~ A", ValueError, r"'A' is not a column.*did you mean 'a'\?"),
    "unknown response": ("Y ~ a", ValueError, r"response 'Y'.*is not a column.*did you mean 'y'"),
    "caller's variable": (
        "y ~ only_in_the_caller",
        ValueError,
        r"'only_in_the_caller' is not a column.*calling code are never read",
    ),
    "caller's variable in a function": ("y ~ np.log(only_in_the_caller)", ValueError, r"'only_in_the_caller' is not"),
    "unknown function": ("y ~ foo(a)", ValueError, r"no function 'foo'.*formula_namespace"),
    "unknown numpy function": ("y ~ np.foo(a)", ValueError, r"no function np\.foo"),
    "group effect": ("y ~ a + (1|g)", ValueError, r"group effects such as \(1\|g\) are not supported yet; use C\(g\)"),
    "group slope": ("y ~ (a|g)", ValueError, r"group effects such as \(1\|g\)"),
    "unfinished": ("y ~ a + ", ValueError, r"formula 'y ~ a \+ ' cannot be read"),
    "two tildes": ("y ~~ a", ValueError, r"cannot be read: ~ can only be used once"),
    "equals sign": ("y = a", ValueError, r"cannot be read.*sides by '~'"),
    "comma": ("y ~ a, b", ValueError, r"cannot be read.*joined by '\+'"),
    "dot": ("y ~ .", ValueError, r"'\.'.*not supported; name them"),
    "empty": ("", ValueError, r"formula is empty; write for example"),
    "blank": ("  ", ValueError, r"formula is empty; write for example"),
    "tilde only": ("~", ValueError, r"formula '~'"),
    "no response": ("a + b", ValueError, r"no response: write 'y ~ \.\.\.'.*or pass y"),
    "two responses": ("y + a ~ b", ValueError, r"one response"),
    "text response": ("g ~ a", ValueError, r"response 'g' must be one column of numbers"),
    "all missing": ("y ~ np.log(a - 100)", ValueError, r"none of the 60 rows can be used.*'np\.log\(a - 100\)'"),
    "infinite": ("y ~ np.exp(1000 * a)", ValueError, r"term 'np\.exp\(1000 \* a\)' is infinite.*row \d+"),
    "escape": ("y ~ __import__('os').system('true')", ValueError, r"may not use '__import__'"),
    "module of the caller": ("y ~ np.load(re)", ValueError, r"formula"),
}


@pytest.mark.parametrize(("formula", "error", "message"), FORMULAS.values(), ids=FORMULAS.keys())
def test_formulas(formula, error, message):
    assert re  # a module that the formula must not see
    check(lambda: by_formula(formula), error, message)


FRAMES = {
    "array": (lambda: by_formula("y ~ a", X), TypeError, r"formula models need a data frame.*got ndarray"),
    "series": (lambda: by_formula("y ~ a", FRAME["a"]), TypeError, r"need a data frame.*got Series"),
    "None": (lambda: by_formula("y ~ a", None), TypeError, r"need a data frame.*got NoneType"),
    "no rows": (lambda: by_formula("y ~ a", FRAME[:0]), ValueError, r"no rows.*at least one"),
    "y too short": (lambda: by_formula("a", FRAME, y[:-1]), ValueError, r"y has 59 values but the frame has 60 rows"),
    "y with NaN": (lambda: by_formula("a", FRAME, with_(y, 4, np.nan)), ValueError, r"y is missing \(NaN\) in row 4"),
    "y of text": (lambda: by_formula("a", FRAME, ["a"] * 60), ValueError, r"'y' must be one column of numbers"),
    "y twice": (lambda: by_formula("a", FRAME, np.c_[y, y]), ValueError, r"y must have one dimension.*\(60, 2\)"),
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
    "collinear": (lambda: by_formula("y ~ a + I(2 * a)", prior="flat"), ValueError, r"'a', 'I\(2 \* a\)' are collinear"),
    "namespace": (
        lambda: by_formula("y ~ a", formula_namespace=3),
        TypeError,
        r"formula_namespace must be a mapping from names",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), FRAMES.values(), ids=FRAMES.keys())
def test_frames(call, error, message):
    check(call, error, message)


@pytest.fixture(scope="module")
def models():
    return {
        "arrays": fit(),
        "frame": fit(ABC),
        "formula": by_formula("y ~ a + C(g) + np.exp(b)"),
        "flat": fit(prior="flat"),
    }


AFTER_FIT = {
    "columns": ("arrays", lambda m: m.predict(X[:, :2]), ValueError, r"X has 2 features, but .* expecting 3"),
    "one row as 1-d": ("arrays", lambda m: m.predict(X[0]), ValueError, r"(?s)Expected 2D array.*reshape"),
    "NaN": ("arrays", lambda m: m.predict(with_(X, (2, 1), np.nan)), ValueError, r"X contains NaN"),
    "inf": ("arrays", lambda m: m.predict_interval(with_(X, (2, 1), np.inf)), ValueError, r"X contains inf"),
    "text": ("arrays", lambda m: m.predict([["a"] * 3]), ValueError, r"'a'"),
    "sparse": ("arrays", lambda m: m.predict(scipy.sparse.csr_array(X)), TypeError, r"(?i)sparse.*dense"),
    "reordered columns": ("frame", lambda m: m.predict(ABC[["b", "a", "c"]]), ValueError, r"same order"),
    "missing column": ("frame", lambda m: m.predict(ABC[["a", "b"]]), ValueError, r"(?s)now missing:\n- c"),
    "other column": ("frame", lambda m: m.predict(ABC.rename(columns={"a": "A"})), ValueError, r"unseen at fit time:\n- A"),
    "formula: missing column": (
        "formula",
        lambda m: m.predict(FRAME[["a", "g"]]),
        ValueError,
        r"needs the column 'b', which the frame does not have",
    ),
    "formula: unknown level": (
        "formula",
        lambda m: m.predict(FRAME.assign(g="z")),
        ValueError,
        r"'g' has the unknown level 'z', first in row 0; its levels are 'u', 'v', 'w'",
    ),
    "formula: text for numbers": (
        "formula",
        lambda m: m.predict(FRAME.assign(a="1")),
        ValueError,
        r"column 'a' held numbers at fit and now holds text; convert",
    ),
    "formula: array": ("formula", lambda m: m.predict(X), TypeError, r"need a data frame.*got ndarray"),
    "formula: row as series": ("formula", lambda m: m.predict(FRAME.iloc[0]), TypeError, r"need a data frame.*got Series"),
    "formula: overflow": ("formula", lambda m: m.predict(FRAME.assign(b=1e4)), ValueError, r"'np\.exp\(b\)' is infinite.*row 0"),
    "formula: no rows": ("formula", lambda m: m.predict(FRAME[:0]), ValueError, r"no rows"),
    "formula: no response": (
        "formula",
        lambda m: m.log_predictive_density(FRAME.drop(columns="y")),
        ValueError,
        r"needs the column 'y'",
    ),
    "coverage": ("arrays", lambda m: m.predict_interval(X, 95), ValueError, r"^coverage must .*between 0 and 1.*got 95"),
    "coverage of a wrong kind": ("arrays", lambda m: m.predict_interval(X, "x"), (ValueError, TypeError), r"^coverage"),
    "coverage of the summary": ("arrays", lambda m: m.summary(90), ValueError, r"^coverage must be between 0 and 1; got 90"),
    "q": ("arrays", lambda m: m.predict_quantiles(X, 2), ValueError, r"^q must lie between 0 and 1, got 2"),
    "q of a wrong kind": ("arrays", lambda m: m.predict_quantiles(X, "x"), (ValueError, TypeError), r"^q must be a number"),
    "kind": ("arrays", lambda m: m.predict_interval(X, kind="line"), ValueError, r'^kind must be "response" or "mean"'),
    "draws": ("arrays", lambda m: m.sample_predictive(X, 0), ValueError, r"^draws must be .*positive.*got 0"),
    "draws of a wrong kind": ("arrays", lambda m: m.sample_predictive(X, 1.5), (ValueError, TypeError), r"^draws must be"),
    "draws beyond memory": ("arrays", lambda m: m.sample_predictive(X, 10**12), ValueError, r"^draws=1000000000000"),
    "seed": ("arrays", lambda m: m.sample_predictive(X, random_state="x"), ValueError, r"^random_state must be"),
    "no y": ("arrays", lambda m: m.log_predictive_density(X), ValueError, r"^y is None: give the observed"),
    "score without y": ("arrays", lambda m: m.score(X), ValueError, r"^y is None"),
    "y too short": ("arrays", lambda m: m.log_predictive_density(X, y[:3]), ValueError, r"^y has 3 entries, but X has 60 rows"),
    "y of another shape": (
        "arrays",
        lambda m: m.log_predictive_density(X, y.reshape(30, 2)),
        ValueError,
        r"^y .*\(30, 2\)|^y .*one dimension|^y has 30",
    ),
    "y of text": ("arrays", lambda m: m.to_arviz(X, ["a"] * 60), (ValueError, TypeError), r"\by\b.*(number|text)"),
    "more draws": ("arrays", lambda m: m.sample_posterior(0), ValueError, r"^draws must be at least 1"),
    "more draws of a wrong kind": ("arrays", lambda m: m.sample_posterior(1.5), TypeError, r"^draws must be an int"),
    "too many more draws": ("arrays", lambda m: m.sample_posterior(10**9), ValueError, r"^draws=1000000000 .* GiB"),
    "seed without draws": ("arrays", lambda m: m.sample_posterior(random_state=1), ValueError, r"^random_state is for new draws"),
    "prior of a wrong kind": ("arrays", lambda m: m.to_arviz(X, y, prior="yes"), TypeError, r"^prior must be True or False"),
    "draws of a flat prior": ("flat", lambda m: m.to_arviz(X, y, prior=True), ValueError, r"Flat\(\).*proper prior"),
}


@pytest.mark.parametrize(("model", "call", "error", "message"), AFTER_FIT.values(), ids=AFTER_FIT.keys())
def test_after_fit(models, model, call, error, message):
    check(lambda: call(models[model]), error, message)


def test_one_draw_and_one_chain_work():
    for params in ({"draws": 1}, {"chains": 1}, {"tune": 0}, {"draws": 1, "chains": 1, "tune": 0, "prior": "laplace"}):
        model = fit(**params)
        chains, draws = params.get("chains", 4), params.get("draws", 20)
        assert model.posterior_.draws["coef"].shape == (chains, draws, 3)
        assert len(str(model.summary())) > 100


def test_numbers_of_unusual_types():
    assert fit(y=[decimal.Decimal(str(v)) for v in y]).coef_ == pytest.approx(fit().coef_)
    assert fit(prior_scale=np.float32(2.0), draws=np.int64(20)).coef_.shape == (3,)
    assert fit(sample_weight=[1] * 60).coef_ == pytest.approx(fit().coef_)
    assert fit(sample_weight=pd.Series(WEIGHTS)).coef_ == pytest.approx(fit().coef_)


def test_draws_beyond_memory_are_refused_before_anything_is_allocated():
    import tracemalloc

    tracemalloc.start()
    try:
        check(lambda: fit(draws=10**9), ValueError, r"GiB")
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()

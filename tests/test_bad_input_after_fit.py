"""Bad input after a fit, case by case: other columns, unknown levels, arguments out of range."""

import numpy as np
import pytest
import scipy.sparse

from tests.linear_data import FRAME, X, by_formula, check_refused, fit, with_, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ABC = FRAME[["a", "b", "c"]]


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
    "one row as 1-d": ("arrays", lambda m: m.predict(X[0]), ValueError, r"X has shape \(3,\), .*reshape"),
    "NaN": ("arrays", lambda m: m.predict(with_(X, (2, 1), np.nan)), ValueError, r"X contains NaN"),
    "inf": ("arrays", lambda m: m.predict_interval(with_(X, (2, 1), np.inf)), ValueError, r"X contains inf"),
    "text": ("arrays", lambda m: m.predict([["a"] * 3]), ValueError, r"'a'"),
    "sparse": (
        "arrays",
        lambda m: m.predict(scipy.sparse.csr_array(with_(X, (2, 1), np.inf))),
        ValueError,
        r"X contains inf.*'x1', row 2",
    ),
    "reordered columns": ("frame", lambda m: m.predict(ABC[["b", "a", "c"]]), ValueError, r"same order"),
    "missing column": ("frame", lambda m: m.predict(ABC[["a", "b"]]), ValueError, r"(?s)now missing:\n- c"),
    "other column": (
        "frame",
        lambda m: m.predict(ABC.rename(columns={"a": "A"})),
        ValueError,
        r"unseen at fit time:\n- A",
    ),
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
    "formula: row as series": (
        "formula",
        lambda m: m.predict(FRAME.iloc[0]),
        TypeError,
        r"need a data frame.*got Series",
    ),
    "formula: overflow": (
        "formula",
        lambda m: m.predict(FRAME.assign(b=1e4)),
        ValueError,
        r"'np\.exp\(b\)' is infinite.*row 0",
    ),
    "formula: no rows": ("formula", lambda m: m.predict(FRAME[:0]), ValueError, r"no rows"),
    "formula: no response": (
        "formula",
        lambda m: m.log_predictive_density(FRAME.drop(columns="y")),
        ValueError,
        r"needs the column 'y'",
    ),
    "coverage": (
        "arrays",
        lambda m: m.predict_interval(X, 95),
        ValueError,
        r"^coverage must .*between 0 and 1.*got 95",
    ),
    "coverage of a wrong kind": (
        "arrays",
        lambda m: m.predict_interval(X, "x"),
        (ValueError, TypeError),
        r"^coverage",
    ),
    "coverage of the summary": (
        "arrays",
        lambda m: m.summary(90),
        ValueError,
        r"^coverage must be between 0 and 1; got 90",
    ),
    "q": ("arrays", lambda m: m.predict_quantiles(X, 2), ValueError, r"^q must lie between 0 and 1, got 2"),
    "q of a wrong kind": (
        "arrays",
        lambda m: m.predict_quantiles(X, "x"),
        (ValueError, TypeError),
        r"^q must be a number",
    ),
    "kind": (
        "arrays",
        lambda m: m.predict_interval(X, kind="line"),
        ValueError,
        r'^kind must be "response" or "mean"',
    ),
    "draws": ("arrays", lambda m: m.sample_predictive(X, 0), ValueError, r"^draws must be at least 1; got 0"),
    "draws of a wrong kind": (
        "arrays",
        lambda m: m.sample_predictive(X, 1.5),
        (ValueError, TypeError),
        r"^draws must be",
    ),
    "draws beyond memory": (
        "arrays",
        lambda m: m.sample_predictive(X, 10**12),
        ValueError,
        r"^draws=1000000000000",
    ),
    "seed": (
        "arrays",
        lambda m: m.sample_predictive(X, random_state="x"),
        ValueError,
        r"^random_state must be",
    ),
    "no y": ("arrays", lambda m: m.log_predictive_density(X), ValueError, r"^y is None: give the observed"),
    "score without y": ("arrays", lambda m: m.score(X), ValueError, r"^y is None|y_true"),
    "y too short": (
        "arrays",
        lambda m: m.log_predictive_density(X, y[:3]),
        ValueError,
        r"^y has shape \(3,\), but X has 60 rows",
    ),
    "y of another shape": (
        "arrays",
        lambda m: m.log_predictive_density(X, y.reshape(30, 2)),
        ValueError,
        r"^y .*\(30, 2\)|^y .*one dimension|^y has 30",
    ),
    "y of text": (
        "arrays",
        lambda m: m.to_arviz(X, ["a"] * 60),
        (ValueError, TypeError),
        r"\by\b.*(number|text)",
    ),
    "more draws": ("arrays", lambda m: m.sample_posterior(0), ValueError, r"^draws must be at least 1"),
    "more draws of a wrong kind": (
        "arrays",
        lambda m: m.sample_posterior(1.5),
        TypeError,
        r"^draws must be an int",
    ),
    "too many more draws": (
        "arrays",
        lambda m: m.sample_posterior(10**9),
        ValueError,
        r"^draws=1000000000 .* GiB",
    ),
    "seed without draws": (
        "arrays",
        lambda m: m.sample_posterior(random_state=1),
        ValueError,
        r"^random_state is for new draws",
    ),
    "prior of a wrong kind": (
        "arrays",
        lambda m: m.to_arviz(X, y, prior="yes"),
        TypeError,
        r"^prior must be True or False",
    ),
    "draws of a flat prior": (
        "flat",
        lambda m: m.to_arviz(X, y, prior=True),
        ValueError,
        r"^The prior of coef is flat.*proper prior",
    ),
}


@pytest.mark.parametrize(("model", "call", "error", "message"), AFTER_FIT.values(), ids=AFTER_FIT.keys())
def test_after_fit(models, model, call, error, message):
    check_refused(lambda: call(models[model]), error, message)

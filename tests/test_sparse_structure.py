"""Sparse X whose arrays contradict one another: refused in one sentence by whatever takes X, never followed."""

import numpy as np
import pytest
from scipy import sparse

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)
from bayesglm.metrics import coverage_scorer, crps_scorer
from bayesglm.sparse_structure import check_structure
from tests.sparse_data import random_sparse

pytestmark = pytest.mark.filterwarnings("ignore")
N, P = 40, 3
X = random_sparse((N, P), 0.6, 0)
Y = (np.arange(N) % 2).astype(float)
SETTINGS = {"draws": 10, "tune": 10, "chains": 1, "random_state": 0, "progressbar": False}
SENTENCE = r"^X is a damaged sparse matrix \([A-Z]+\): .*; make it anew from its rows and columns\.$"


def changed(kind, name, change, matrix=False):
    """A sparse array (or matrix) of a format, in which one of its arrays is another."""
    new = X.asformat(kind)
    new = getattr(sparse, f"{kind}_matrix")(new) if matrix else new.copy()
    value = change(getattr(new, name))
    if name in ("row", "col") and hasattr(new, "coords"):  # of SciPy 1.13 and later
        new.coords = (value, new.col) if name == "row" else (new.row, value)
    else:
        setattr(new, name, value)
    return new


def with_(at, value):
    def change(values):
        values = values.copy()
        values[at] = value
        return values

    return change


#: Kind, the array that is changed, and how.
DEFECTS = [
    *(
        (kind, "indptr", change)
        for kind in ("csr", "csc", "bsr")
        for change in (
            with_(2, 10**6),
            with_(2, -1),
            with_(0, 1),
            with_(-1, 10**6),
            lambda a: a[:-1],
            lambda a: np.append(a, a[-1]),
            lambda a: a[:0],
            lambda a: a.astype(float),
            lambda a: a.reshape(1, -1),
        )
    ),
    *(
        (kind, "indices", change)
        for kind in ("csr", "csc", "bsr")
        for change in (
            with_(3, 77),
            with_(3, -1),
            with_(0, 2**31 - 1),
            with_(-1, -(2**31)),
            lambda a: a[:-1],
            lambda a: np.append(a, 0),
            lambda a: a.astype(float),
            lambda a: a.astype(np.int64) + 2**40,
        )
    ),
    *((kind, "data", lambda a: a[:5]) for kind in ("csr", "csc", "bsr", "coo")),
    *((kind, "data", lambda a: a.reshape(*a.shape, 1)) for kind in ("csr", "csc", "coo")),
    ("coo", "row", with_(3, N)),
    ("coo", "row", with_(3, -1)),
    ("coo", "row", lambda a: a[:-1]),
    ("coo", "col", with_(0, P)),
    ("coo", "col", with_(0, 2**31 - 1)),
    ("dia", "offsets", lambda a: a[:-1]),
    ("dia", "offsets", lambda a: np.append(a, 99)),
    ("dia", "offsets", lambda a: np.full_like(a, 1)),
    ("lil", "rows", with_(2, [0, 1, 77])),
    ("lil", "rows", with_(2, [0, 1, 2, 0, 1, 2])),
    ("lil", "data", with_(2, [1.0] * 500)),
    ("lil", "data", lambda a: a[:-1]),
    ("lil", "rows", with_(2, 5)),
]
IDS = [f"{kind} {name} {i}" for i, (kind, name, _) in enumerate(DEFECTS)]


@pytest.fixture(scope="module")
def fitted():
    return BayesianLinearRegression(**SETTINGS).fit(X, Y)


@pytest.mark.parametrize("matrix", [False, True], ids=["array", "matrix"])
@pytest.mark.parametrize(("kind", "name", "change"), DEFECTS, ids=IDS)
def test_every_defect_of_every_format(kind, name, change, matrix, fitted):
    damaged = changed(kind, name, change, matrix)
    with pytest.raises(ValueError, match=SENTENCE):
        fitted.predict(damaged)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match=SENTENCE):
        fitted.fit(damaged, Y)
    assert vars(fitted) == before


def test_a_dict_of_keys_is_checked_by_scipy(fitted):
    damaged = X.todok()
    damaged._dict[(0, 99)] = 1.0
    with pytest.raises(ValueError, match=r"^X or y cannot be read as numbers: .*99.*\.$"):
        fitted.predict(damaged)


def test_one_dimension(fitted):
    with pytest.raises(ValueError, match="a sparse X has two dimensions"):
        fitted.predict(sparse.coo_array(np.ones(3)))


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "coo", "dia", "lil", "dok"])
@pytest.mark.parametrize("matrix", [False, True], ids=["array", "matrix"])
def test_what_belongs_together_is_taken(kind, matrix, fitted):
    good = getattr(sparse, f"{kind}_matrix")(X) if matrix else X.asformat(kind)
    np.testing.assert_allclose(fitted.predict(good), fitted.predict(X.toarray()), rtol=1e-12)
    empty = getattr(sparse, f"{kind}_array")((4, P))
    np.testing.assert_allclose(fitted.predict(empty), np.full(4, fitted.intercept_))
    assert check_structure(X.toarray()) is not None


def test_duplicates_and_room_at_the_end_are_no_defects(fitted):
    """SciPy allows both: entries of a place are summed, and arrays may be longer than indptr says."""
    rows = sparse.csr_array((np.ones(4), [2, 0, 0, 1], [0, 3, 3, 4]), shape=(3, P))
    rows.has_canonical_format = True  # as it may still say after indices were changed
    np.testing.assert_allclose(fitted.predict(rows), fitted.predict(rows.toarray()), rtol=1e-12)
    new = BayesianLinearRegression(**SETTINGS)
    dense = new.fit(rows.toarray(), Y[:3]).coef_
    np.testing.assert_array_equal(new.fit(rows, Y[:3]).coef_, dense)
    rows.indices, rows.data = np.append(rows.indices, [99]), np.append(rows.data, [7.0])
    with pytest.raises(ValueError, match="indices holds 99 at 4"):  # nobody can tell that it is not meant
        fitted.predict(rows)


MODELS = [
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    BayesianNegativeBinomialRegressor,
    BayesianRobustRegression,
    BayesianGLM,
]
CALLS = {
    "fit": lambda m, S: m.fit(S, Y),
    "partial_fit": lambda m, S: m.partial_fit(S, Y),
    "predict": lambda m, S: m.predict(S),
    "predict with std": lambda m, S: m.predict(S, return_std=True),
    "predict_interval": lambda m, S: m.predict_interval(S),
    "predict_quantiles": lambda m, S: m.predict_quantiles(S, [0.5]),
    "predict_proba": lambda m, S: m.predict_proba(S),
    "predict_log_proba": lambda m, S: m.predict_log_proba(S),
    "decision_function": lambda m, S: m.decision_function(S),
    "sample_predictive": lambda m, S: m.sample_predictive(S, draws=3),
    "log_predictive_density": lambda m, S: m.log_predictive_density(S, Y),
    "crps": lambda m, S: m.crps(S, Y),
    "score": lambda m, S: m.score(S, Y),
    "to_arviz": lambda m, S: m.to_arviz(S, Y),
    "loo": lambda m, S: m.loo(S, Y),
    "a scorer of densities": lambda m, S: crps_scorer(m, S, Y),
    "a scorer of intervals": lambda m, S: coverage_scorer(m, S, Y),
}


@pytest.mark.parametrize("kind", MODELS)
def test_every_method_of_every_estimator(kind):
    model = kind(**SETTINGS, **({"family": "poisson"} if kind is BayesianGLM else {})).fit(X, Y)
    damaged = changed("csr", "indptr", with_(2, 10**6))
    asked = 0
    for name, call in CALLS.items():
        if hasattr(model, "predict_proba") and (name == "predict with std" or name.startswith("a scorer of")):
            continue
        if name.startswith("a scorer") or hasattr(model, name.split()[0]):
            with pytest.raises(ValueError, match=SENTENCE):
                call(model, damaged)
            asked += 1
    assert asked >= 9

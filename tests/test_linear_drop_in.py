"""What LinearRegression does, BayesianLinearRegression does under nearly flat priors: same numbers, same words."""

import re
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import optimize, sparse
from scipy.special import gammaln
from sklearn.linear_model import LinearRegression
from sklearn.utils._testing import create_memmap_backed_data

from bayesglm import BayesianLinearRegression, Flat, HalfNormal, Normal
from tests.sparse_data import random_sparse

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The data are fitted to rounding error:UserWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 3.0, -1.0, 0.5], size=(80, 4))
y = 2.0 + X @ [1.5, -2.0, 0.7, 3.0] + RNG.normal(size=80)
WEIGHTS = RNG.exponential(size=80) + 0.05
NEARLY_FLAT = {"prior": Normal(0, 1e6), "intercept_prior": Normal(0, 1e6), "sigma_prior": HalfNormal(1e4)}
FLAT = {"prior": Flat(), "intercept_prior": Flat(), "sigma_prior": Flat()}


def nearly_flat(**params):
    return BayesianLinearRegression(**{**NEARLY_FLAT, "draws": 20, "random_state": 0, **params})


def flat(**params):
    return BayesianLinearRegression(**{**FLAT, "draws": 20, "random_state": 0, **params})


def both(X, y, weights=None, **params):
    """Fit ours and scikit-learn's."""
    return nearly_flat(**params).fit(X, y, weights), LinearRegression(**params).fit(X, y, weights)


def check_alike(ours, theirs, X, y, rtol=1e-9):
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=rtol, atol=rtol)
    assert np.shape(ours.coef_) == np.shape(theirs.coef_)
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=max(rtol, 1e-9))
    assert ours.rank_ == theirs.rank_
    assert ours.n_features_in_ == theirs.n_features_in_


# -- the fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_least_squares(fit_intercept, weights):
    check_alike(*both(X, y, weights, fit_intercept=fit_intercept), X, y)


@pytest.mark.filterwarnings("ignore:There is a single row")
@pytest.mark.parametrize("p", [1, 3])
def test_one_sample(p):
    X, y = np.full((1, p), 2.0), np.array([3.0])
    ours, theirs = both(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    # One row bounds sigma by its prior only, and beside that of 1e4 the intercept's of 1e6 is not quite flat.
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=2e-4)
    assert ours.rank_ == theirs.rank_ == 0


def test_the_textbook_line():
    for slope, level in ((1.0, 0.0), (0.5, 2.0)):
        x = np.array([[1.0], [2.0], [4.0]])
        with pytest.warns(UserWarning, match="rounding"):
            model = BayesianLinearRegression(draws=20, random_state=0).fit(x, slope * x[:, 0] + level)
        np.testing.assert_allclose([*model.coef_, model.intercept_], [slope, level], atol=1e-9)
        np.testing.assert_allclose(model.predict(x), slope * x[:, 0] + level, rtol=1e-12)


def test_without_an_intercept_there_is_none():
    model = nearly_flat(fit_intercept=False).fit(X, y)
    assert model.intercept_ == 0.0
    assert "Intercept" not in model.posterior_.draws
    np.testing.assert_allclose(model.predict(np.zeros((2, 4))), [0.0, 0.0])


def test_positive_coefficients_that_the_bound_does_not_touch():
    coef = np.array([2.0, 1.0, 3.0, 1.5])
    y = 1.0 + X @ coef + 0.3 * np.random.default_rng(1).normal(size=80)
    model = nearly_flat(positive=True, draws=1000).fit(X, y)
    theirs = LinearRegression(positive=True).fit(X, y)
    error = model.posterior_.diagnostics.mcse_mean
    np.testing.assert_array_less(np.abs(model.coef_ - theirs.coef_), 4.5 * error[1:-1])
    assert abs(model.intercept_ - theirs.intercept_) < 4.5 * error[0]
    without = nearly_flat(positive=True, draws=1000, fit_intercept=False).fit(X, y)
    found = optimize.nnls(X, y)[0]
    assert np.all(found > 0.5)
    np.testing.assert_array_less(
        np.abs(without.coef_ - found), 4.5 * without.posterior_.diagnostics.mcse_mean[:-1]
    )


def test_positive_coefficients_that_it_does():
    y = 2.0 + X @ [1.5, -2.0, 0.7, 3.0]
    model = nearly_flat(positive=True, draws=200).fit(X, y + RNG.normal(size=80))
    assert np.all(model.coef_ > 0.0)
    assert np.all(model.posterior_.draws["coef"] > 0.0)


# -- weights ----------------------------------------------------------------------------------------------


def weighted_solution(X, y, w):
    """Coefficients (intercept first), inverse of the weighted Gram matrix and weighted residual squares."""
    D = np.column_stack([np.ones(len(y)), X])
    inverse = np.linalg.inv((D.T * w) @ D)
    coef = inverse @ (D.T @ (w * y))
    return coef, inverse, float(w @ (y - D @ coef) ** 2)


@pytest.mark.parametrize("kind", ["frequency", "precision"])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_weights_against_closed_forms(kind, scale):
    # Flat in coefficients and sigma, N observations, k coefficients, S weighted residual squares: integrating the
    # coefficients out leaves sigma^-(N-k) exp(-S/(2 sigma^2)), so that S/sigma^2 is chi-square with nu = N-k-1
    # degrees of freedom and the coefficients have covariance E[sigma^2] (X'WX)^-1, E[sigma^2] = S/(nu-2).
    # Frequencies: N is the sum of weights. Precisions: N is the number of rows, as in R's lm, whose residual
    # standard error is sqrt(S/(N-k)).
    w = scale * WEIGHTS
    coef, inverse, squares = weighted_solution(X, y, w)
    nu = (w.sum() if kind == "frequency" else len(y)) - 5 - 1
    model = flat(weights_type=kind).fit(X, y, w)
    np.testing.assert_allclose([model.intercept_, *model.coef_], coef, rtol=1e-10)
    exact = model.posterior_.exact
    expected = np.sqrt(squares / (nu - 2) * np.diag(inverse))
    np.testing.assert_allclose([exact.sd["Intercept"], *exact.sd["coef"]], expected, rtol=1e-8)
    mean = np.sqrt(squares / 2) * np.exp(gammaln((nu - 1) / 2) - gammaln(nu / 2))
    assert model.sigma_ == pytest.approx(mean, rel=1e-8)
    assert exact.sd["sigma"] == pytest.approx(np.sqrt(squares / (nu - 2) - mean**2), rel=1e-7)
    if kind == "precision":
        residual_standard_error = np.sqrt(squares / (len(y) - 5))
        second_moment = exact.sd["sigma"] ** 2 + model.sigma_**2
        assert second_moment * (nu - 2) / (nu + 1) == pytest.approx(residual_standard_error**2, rel=1e-8)


def test_coefficients_are_the_same_whatever_weights_mean():
    found = [flat(weights_type=kind).fit(X, y, WEIGHTS) for kind in ("frequency", "precision")]
    np.testing.assert_allclose(found[0].coef_, found[1].coef_, rtol=1e-12)
    theirs = LinearRegression().fit(X, y, WEIGHTS)
    np.testing.assert_allclose(found[1].coef_, theirs.coef_, rtol=1e-10)
    assert found[0].score(X, y, WEIGHTS) == pytest.approx(theirs.score(X, y, WEIGHTS), rel=1e-12)


def test_one_weight_for_all():
    np.testing.assert_allclose(
        nearly_flat().fit(X, y, 3.0).coef_, LinearRegression().fit(X, y).coef_, rtol=1e-9
    )


# -- what describes the fit -------------------------------------------------------------------------------


DESIGNS = {  # with the ranks that they have with and without an intercept
    "tall": (X, 4, 4),
    "wide": (RNG.normal(size=(6, 9)), 5, 6),
    "rank-deficient": (np.column_stack([X, X[:, 0] - X[:, 2], np.ones(80)]), 4, 5),
    "square": (RNG.normal(size=(5, 5)), 4, 5),
    "offset": (X + 1e6, 4, 4),
    "scales": (X * [1e-5, 1e5, 1.0, 1.0], 4, 4),
    "one column": (X[:, :1], 1, 1),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_rank_and_singular_values(name, fit_intercept, weighted):
    X, *ranks = DESIGNS[name]
    y, w = np.random.default_rng(2).normal(size=len(X)), WEIGHTS[: len(X)] if weighted else None
    model = BayesianLinearRegression(draws=20, random_state=0, fit_intercept=fit_intercept).fit(X, y, w)
    theirs = LinearRegression(fit_intercept=fit_intercept).fit(X, y, w)
    root = np.ones(len(X)) if w is None else np.sqrt(w)
    centred = X - np.average(X, axis=0, weights=w) if fit_intercept else X
    expected = np.linalg.svd(root[:, np.newaxis] * centred, compute_uv=False)
    tolerance = {"rtol": 1e-9, "atol": 1e-13 * expected[0] + 1e-15 * np.abs(X).max() * np.sqrt(len(X))}
    np.testing.assert_allclose(model.singular_, expected, **tolerance)
    np.testing.assert_allclose(model.singular_, theirs.singular_, **tolerance)
    assert model.rank_ == ranks[0 if fit_intercept else 1]
    if name in ("tall", "one column"):  # theirs depends on the units, and may count what is but rounding
        assert model.rank_ == theirs.rank_


def test_rank_and_singular_values_of_sparse_rows():
    rows = random_sparse((50, 5), 0.4, 3)
    model = nearly_flat().fit(sparse.csr_array(rows), y[:50])
    dense = rows.toarray()
    expected = np.linalg.svd(dense - dense.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(model.singular_, expected, rtol=1e-12)
    assert model.rank_ == 5


# -- names ------------------------------------------------------------------------------------------------


NAMED = pd.DataFrame(X, columns=["one", "two", "three", "four"])


def test_names_of_features():
    model = nearly_flat().fit(NAMED, y)
    assert model.feature_names_in_.dtype == object
    np.testing.assert_array_equal(model.feature_names_in_, NAMED.columns)
    assert model.posterior_.features == tuple(NAMED.columns)
    model.fit(pl.from_pandas(NAMED), y)
    np.testing.assert_array_equal(model.feature_names_in_, NAMED.columns)
    for unnamed in (X, pd.DataFrame(X)):
        model.fit(unnamed, y)
        assert not hasattr(model, "feature_names_in_")
        assert model.n_features_in_ == 4


MISMATCHES = {
    "other names": (NAMED, NAMED.rename(columns={"two": "zwei"})),
    "another order": (NAMED, NAMED[["two", "one", "three", "four"]]),
    "one missing": (NAMED, NAMED[["one", "two", "three"]]),
    "one more": (NAMED, NAMED.assign(five=1.0)),
    "fewer columns": (X, X[:, :3]),
    "more columns": (X, np.c_[X, X]),
    "no names at predict": (NAMED, X),
    "no names at fit": (X, NAMED),
    "sparse, fewer columns": (sparse.csr_array(X), sparse.csr_array(X[:, :3])),
}


@pytest.mark.parametrize("name", MISMATCHES)
@pytest.mark.parametrize("method", ["predict", "score", "predict_interval"])
def test_names_that_do_not_match_are_told_in_scikit_learns_words(name, method):
    at_fit, at_predict = MISMATCHES[name]

    def told(model, method):
        more = (y,) if method == "score" else ()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                getattr(model, method)(at_predict, *more)
            except (ValueError, TypeError) as error:
                return type(error), str(error).replace("BayesianLinearRegression", "LinearRegression")
        return [(each.category, str(each.message).replace("Bayesian", "")) for each in caught]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = nearly_flat().fit(at_fit, y), LinearRegression().fit(at_fit, y)
    expected = told(theirs, "score" if method == "score" else "predict")
    assert expected
    assert told(ours, method) == expected


# -- what comes in ----------------------------------------------------------------------------------------


class ArrayLike:
    """An array that can only be asked for its numbers."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)


COUNTS = np.random.default_rng(4).integers(0, 9, size=(80, 4))
INPUTS = {
    "float32": lambda: (X.astype(np.float32), y.astype(np.float32)),
    "int64": lambda: (COUNTS, y),
    "uint8": lambda: (COUNTS.astype(np.uint8), y),
    "bool": lambda: (COUNTS > 4, y),
    "integer response": lambda: (X, np.round(y).astype(int)),
    "boolean response": lambda: (X, y > 0),
    "lists": lambda: (X.tolist(), y.tolist()),
    "array-likes": lambda: (ArrayLike(X), ArrayLike(y)),
    "pandas": lambda: (NAMED, pd.Series(y, name="y")),
    "pandas, integers and booleans": lambda: (
        pd.DataFrame({"a": COUNTS[:, 0], "b": COUNTS[:, 1] > 3, "c": X[:, 0]}),
        pd.Series(y),
    ),
    "polars": lambda: (pl.from_pandas(NAMED), pl.Series(y)),
    "Fortran order": lambda: (np.asfortranarray(X), y),
    "not contiguous": lambda: (np.repeat(X, 2, axis=1)[:, ::2], np.repeat(y, 2)[::2]),
    "memory-mapped": lambda: create_memmap_backed_data([X, y]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name):
    given = INPUTS[name]()
    check_alike(*both(*given), *given, rtol=2e-4 if name == "float32" else 1e-9)


SPARSE = random_sparse((80, 6), 0.3, 5, "coo")
with_int64 = SPARSE.tocsr()
with_int64.indices, with_int64.indptr = (
    with_int64.indices.astype(np.int64),
    with_int64.indptr.astype(np.int64),
)
backwards = SPARSE.tocsr()
for start, stop in zip(backwards.indptr[:-1], backwards.indptr[1:], strict=True):
    backwards.indices[start:stop] = backwards.indices[start:stop][::-1]
    backwards.data[start:stop] = backwards.data[start:stop][::-1]
backwards.has_sorted_indices = False
SPARSE_INPUTS = {
    **{kind: getattr(sparse, kind)(SPARSE) for kind in ("csr_array", "csc_array", "coo_array", "lil_array")},
    **{
        kind: getattr(sparse, kind)(SPARSE)
        for kind in ("csr_matrix", "csc_matrix", "coo_matrix", "dok_matrix")
    },
    "int64 indices": with_int64,
    "unsorted indices": backwards,
    "duplicates": sparse.coo_array(
        (np.r_[SPARSE.data / 4, SPARSE.data * 3 / 4], (np.tile(SPARSE.row, 2), np.tile(SPARSE.col, 2))),
        shape=SPARSE.shape,
    ),
    "float32": SPARSE.astype(np.float32).tocsr(),
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", SPARSE_INPUTS)
def test_sparse_is_dense(name, fit_intercept, weights):
    rows, dense = SPARSE_INPUTS[name], SPARSE.toarray()
    ours, theirs = both(dense, y, weights, fit_intercept=fit_intercept)
    model = nearly_flat(fit_intercept=fit_intercept).fit(rows, y, weights)
    rtol = 1e-5 if name == "float32" else 1e-9
    check_alike(model, theirs, dense, y, rtol)
    for method, args in (("predict", ()), ("predict_interval", ()), ("predict_quantiles", ([0.2],))):
        expected = getattr(ours, method)(dense, *args)
        np.testing.assert_allclose(getattr(model, method)(rows, *args), expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(
        model.predict(rows, return_std=True)[1], ours.predict(dense, return_std=True)[1], rtol
    )
    np.testing.assert_allclose(
        model.log_predictive_density(rows, y), ours.log_predictive_density(dense, y), rtol
    )
    np.testing.assert_allclose(model.crps(rows, y), ours.crps(dense, y), rtol, 1e-6)
    assert model.sample_predictive(rows, 5).shape == (5, 80)
    assert model.score(rows, y) == pytest.approx(theirs.score(dense, y), rel=1e-6)


def test_sparse_rows_are_never_dense_all_at_once():
    shape, dense_bytes = (100_000, 200), 100_000 * 200 * 8
    rng = np.random.default_rng(6)
    rows = random_sparse(shape, 1e-3, 6)
    response = rows @ rng.normal(size=shape[1]) + rng.normal(size=shape[0])
    model = BayesianLinearRegression(draws=20, chains=1, random_state=0)
    calls = {
        "fit": lambda: model.fit(rows, response),
        "predict": lambda: model.predict(rows, return_std=True),
        "density": lambda: model.log_predictive_density(rows[:4_000], response[:4_000]),
        "interval": lambda: model.predict_interval(rows[:2_000]),
        "draws": lambda: model.sample_predictive(rows[:20_000], 20),
    }
    for name, call in calls.items():
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < dense_bytes / 8, f"{name}: {peak / 2**20:.0f} MiB"


@pytest.mark.parametrize(
    "make", [np.copy, np.asfortranarray, lambda X: X.astype(np.float32), sparse.csr_array]
)
@pytest.mark.parametrize("copy_X", [True, False])
def test_nothing_is_written_to(make, copy_X):
    rows, response, w = make(X), y.copy(), WEIGHTS.copy()
    arrays = [response, w, *([rows.data, rows.indices, rows.indptr] if sparse.issparse(rows) else [rows])]
    before = [values.tobytes() for values in arrays]
    for _ in range(2):  # as it is, and where writing to it is an error
        model = nearly_flat(copy_X=copy_X).fit(rows, response, w)
        model.predict(rows, return_std=True)
        model.log_predictive_density(rows, response)
        model.score(rows, response, w)
        assert [values.tobytes() for values in arrays] == before
        for values in arrays:
            values.flags.writeable = False


def test_parameters_of_linear_regression_are_taken():
    theirs = LinearRegression().get_params()
    model = nearly_flat(**theirs)
    assert {name: model.get_params()[name] for name in theirs} == theirs
    expected = nearly_flat().fit(X, y).coef_
    for change in ({"tol": 1e-3}, {"tol": 10}, {"copy_X": False}, {"n_jobs": 2}, {"n_jobs": -1}):
        np.testing.assert_array_equal(nearly_flat(**change).fit(X, y).coef_, expected)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (X, y[:-1]),
        (X[0], y),
        (X[:0], y[:0]),
        (X[:, :, np.newaxis], y),
        (X + 1j, y),
        (X, np.c_[y, y][:, :, np.newaxis]),
    ],
)
def test_what_linear_regression_refuses_is_refused(X, y):
    with pytest.raises(ValueError, match=r".") as theirs:
        LinearRegression().fit(X, y)
    words = re.escape(str(theirs.value).split(".")[0].split(":")[0][:30])
    if words.startswith("Expected"):  # they print the whole array
        words = "rows and columns are wanted"
    with pytest.raises(ValueError, match=words):
        nearly_flat().fit(X, y)

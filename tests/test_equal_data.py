"""Equal data give equal draws, bit for bit: order, repeats, weights, layout, type, container, threads, memory."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from bayesglm import BayesianLinearRegression
from bayesglm.inference import canonical

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # More rows of p > n, counted, than columns: they can be fitted exactly.
    pytest.mark.filterwarnings("ignore:The data are fitted to rounding error:UserWarning"),
]

PRIORS = {
    "default": {},
    "laplace": {"prior": "laplace"},
    "student_t": {"prior": "student_t"},
    "positive": {"positive": True, "max_treedepth": 5},
    "no intercept": {"fit_intercept": False},
}
SHAPES = {"n > p": (40, 3), "p > n": (12, 20)}


def data(shape, seed=0):
    """Sixteenths, which float32 and text hold without rounding."""
    n, p = SHAPES[shape]
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(n, p)) * 16) / 16
    X[rng.random(X.shape) < 0.3] = 0.0
    y = np.round((1.0 + X @ rng.exponential(size=p) + rng.normal(size=n)) * 16) / 16
    return X, y


def fit(X, y, weights=None, **params):
    return BayesianLinearRegression(**{"draws": 30, "random_state": 0, **params}).fit(X, y, weights)


def assert_same(found, expected):
    """See that all numbers of two fits are equal, all draws included."""
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert np.array_equal(found.intercept_, expected.intercept_)
    assert np.array_equal(found.sigma_, expected.sigma_)
    for group in ("draws", "stats"):
        ours, theirs = getattr(found.posterior_, group), getattr(expected.posterior_, group)
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for ours, theirs in zip(found.posterior_.parts, expected.posterior_.parts, strict=True):
        assert (ours.exact is None) == (theirs.exact is None)
        if ours.exact is not None:
            np.testing.assert_array_equal(ours.exact.sd["coef"], theirs.exact.sd["coef"])
    assert found.rank_ == expected.rank_


every_prior = pytest.mark.parametrize("prior", PRIORS)
every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_prior
@every_shape
def test_the_order_of_rows(shape, prior):
    X, y = data(shape)
    expected = fit(X, y, **PRIORS[prior])
    rng = np.random.default_rng(1)
    for order in (slice(None, None, -1), rng.permutation(len(y)), rng.permutation(len(y))):
        assert_same(fit(X[order], y[order], **PRIORS[prior]), expected)


@every_prior
@every_shape
def test_repeated_rows_weights_and_absent_rows(shape, prior):
    X, y = data(shape)
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 5, size=len(y))
    expected = fit(X, y, counts, **PRIORS[prior])
    repeated = np.repeat(np.arange(len(y)), counts)
    assert_same(fit(X[repeated], y[repeated], **PRIORS[prior]), expected)
    repeated = rng.permutation(repeated)
    assert_same(fit(X[repeated], y[repeated], **PRIORS[prior]), expected)
    assert_same(fit(X[repeated], y[repeated], np.ones(len(repeated)), **PRIORS[prior]), expected)
    kept = counts > 0
    assert_same(fit(X[kept], y[kept], counts[kept], **PRIORS[prior]), expected)
    # What stands in a row without weight does not matter, and weights can be split.
    X, y = np.r_[X, 1e3 * X[:5]], np.r_[y, -1e3 * y[:5]]
    X, y, counts = np.r_[X, X[:7]], np.r_[y, y[:7]], np.r_[counts, np.zeros(5), np.zeros(7)]
    counts[-7:], counts[:7] = counts[:7] / 4, counts[:7] * 3 / 4
    assert_same(fit(X, y, counts, **PRIORS[prior]), expected)


def on_disk(values, tmp_path, name):
    path = tmp_path / f"{name}.npy"
    np.save(path, values)
    return np.load(path, mmap_mode="r")


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def unaligned(values):
    """The same numbers beginning eight bytes before a multiple of 64."""
    raw = np.empty(values.nbytes + 128, np.uint8)
    start = (-raw.ctypes.data) % 64 + 56
    found = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    found[...] = values
    return found


CONTAINERS = {
    "F order": lambda X, y, _: (np.asfortranarray(X), y),
    "float32": lambda X, y, _: (X.astype(np.float32), y.astype(np.float32)),
    "float16": lambda X, y, _: (X.astype(np.float16), y),
    "longdouble": lambda X, y, _: (X.astype(np.longdouble), y.astype(np.longdouble)),
    "big endian": lambda X, y, _: (X.astype(">f8"), y.astype(">f8")),
    "lists": lambda X, y, _: (X.tolist(), y.tolist()),
    "tuples": lambda X, y, _: (tuple(map(tuple, X)), tuple(y)),
    "objects": lambda X, y, _: (X.astype(object), y),
    "every other row and column": lambda X, y, _: (np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3], np.repeat(y, 2)[::2]),
    "backwards in memory": lambda X, y, _: (X[::-1, ::-1].copy()[::-1, ::-1], y[::-1].copy()[::-1]),
    "a column of a table": lambda X, y, _: ((table := np.c_[X, y])[:, :-1], table[:, -1]),
    "memory-mapped": lambda X, y, path: (on_disk(X, path, "X"), on_disk(y, path, "y")),
    "read-only": lambda X, y, _: (read_only(X), read_only(y)),
    "another alignment": lambda X, y, _: (unaligned(X), unaligned(y)),
    "zeros of the other sign": lambda X, y, _: (np.where(X == 0.0, -0.0, X), np.where(y == 0.0, -0.0, y)),
    "csr matrix": lambda X, y, _: (sparse.csr_matrix(X), y),
    "csr array": lambda X, y, _: (sparse.csr_array(X), y),
    "csc": lambda X, y, _: (sparse.csc_array(X), y),
    "coo": lambda X, y, _: (sparse.coo_array(X), y),
    "csr of float32": lambda X, y, _: (sparse.csr_array(X.astype(np.float32)), y),
    "pandas": lambda X, y, _: (pd.DataFrame(X), pd.Series(y)),
    "pandas with names": lambda X, y, _: (pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]), pd.Series(y)),
    "pandas with an index of its own": lambda X, y, _: (pd.DataFrame(X, index=np.arange(len(X))[::-1]), pd.Series(y)),
    "pandas extension type": lambda X, y, _: (pd.DataFrame(X).astype("Float64"), pd.Series(y).astype("Float64")),
    "polars": lambda X, y, _: (pl.DataFrame(X), pl.Series(y)),
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("prior", ["default", "laplace"])
@every_shape
def test_containers_and_layouts(tmp_path, shape, prior, container):
    X, y = data(shape)
    given = CONTAINERS[container](X, y, tmp_path)
    assert_same(fit(*given, **PRIORS[prior]), fit(X, y, **PRIORS[prior]))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, bool])
@every_shape
def test_integers(shape, dtype):
    X, y = data(shape)
    X, y = (np.abs(X) * 16).astype(dtype), (np.abs(y) * 4).astype(np.int16)
    assert_same(fit(X, y), fit(X.astype(float), y.astype(float)))
    assert_same(fit(sparse.csr_array(X), y), fit(X.astype(float), y.astype(float)))


WEIGHTS = {
    "list": list,
    "tuple": tuple,
    "pandas": pd.Series,
    "polars": pl.Series,
    "float32": lambda counts: counts.astype(np.float32),
    "backwards in memory": lambda counts: counts[::-1].copy()[::-1],
    "read-only": read_only,
}


@pytest.mark.parametrize("container", WEIGHTS)
def test_weights_in_any_container(container):
    X, y = data("n > p")
    counts = np.random.default_rng(3).integers(0, 4, size=len(y))
    assert_same(fit(X, y, WEIGHTS[container](counts)), fit(X, y, counts.astype(float)))


@every_prior
@every_shape
def test_the_number_of_threads(shape, prior):
    X, y = data(shape)
    expected = fit(X, y, n_jobs=1, **PRIORS[prior])
    for n_jobs in (2, 4, -1):
        assert_same(fit(X, y, n_jobs=n_jobs, **PRIORS[prior]), expected)


@pytest.mark.parametrize("prior", ["default", "laplace", "positive"])
@every_shape
def test_where_arrays_lie_in_memory(shape, prior):
    X, y = data(shape)
    expected = fit(X, y, **PRIORS[prior])
    rng = np.random.default_rng(4)
    held = []
    for _ in range(60 if prior == "default" else 20):
        # Blocks of odd sizes, some freed again, so that everything that a fit allocates comes to lie elsewhere.
        held += [np.empty(size, np.uint8) for size in rng.integers(1, 3000, size=50)]
        held = [block for block in held if rng.random() < 0.7]
        assert_same(fit(X, y, **PRIORS[prior]), expected)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("weights_type", ["frequency", "precision"])
@every_shape
def test_several_responses_and_precisions(shape, weights_type, k):
    X, y = data(shape)
    Y = np.column_stack([np.roll(y, shift) for shift in range(k)])
    weights = np.random.default_rng(5).exponential(size=len(y))
    expected = fit(X, Y, weights, weights_type=weights_type)
    order = np.random.default_rng(6).permutation(len(y))
    for rows in (X, np.asfortranarray(X), sparse.csc_array(X)):
        assert_same(fit(rows[order], Y[order], weights[order], weights_type=weights_type), expected)


def test_formula_and_array():
    X, y = data("n > p")
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=y)
    expected = fit(X, y)
    shuffled = frame.sample(frac=1.0, random_state=0)
    assert_same(fit(frame, None, formula="y ~ a + b + c"), expected)
    assert_same(fit(shuffled, None, formula="y ~ a + b + c"), expected)
    assert_same(fit(pl.from_pandas(frame), None, formula="y ~ a + b + c"), expected)


@pytest.mark.parametrize("prior", ["default", "no intercept"])
@every_shape
def test_data_too_large_to_sort_agree_to_rounding(monkeypatch, shape, prior):
    monkeypatch.setattr(canonical, "LARGEST", 0)
    X, y = data(shape)
    rng = np.random.default_rng(7)
    counts = rng.integers(0, 4, size=len(y))
    repeated = rng.permutation(np.repeat(np.arange(len(y)), counts))
    expected = fit(X, y, counts, **PRIORS[prior])
    sd = expected.posterior_.exact.sd
    for found in (
        fit(X[repeated], y[repeated], **PRIORS[prior]),
        fit(sparse.csr_array(X[repeated]), y[repeated], **PRIORS[prior]),
        fit(np.asfortranarray(X[::-1]), y[::-1], counts[::-1], **PRIORS[prior]),
    ):
        np.testing.assert_array_less(np.abs(found.coef_ - expected.coef_), 1e-9 * sd["coef"])
        assert found.intercept_ == pytest.approx(expected.intercept_, abs=1e-9)
        assert found.sigma_ == pytest.approx(expected.sigma_, rel=1e-9)
        np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9)
        np.testing.assert_allclose(found.posterior_.exact.sd["coef"], sd["coef"], rtol=1e-9)

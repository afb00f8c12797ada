"""Rows in canonical order: nothing is lost, and equal data become the same arrays to the last bit."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from bayesglm.inference import canonical
from bayesglm.inference.canonical import canonical_rows

LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "every other row of a larger array": lambda X: np.repeat(X, 2, axis=0)[::2],
    "backwards in memory": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "float32": lambda X: X.astype(np.float32),
    "csr": sparse.csr_array,
    "csr matrix": sparse.csr_matrix,
    "csr with zeros stored": lambda X: with_zeros_stored(X),
    "csr, unsorted, int64": lambda X: unsorted(X),
    "csr with every entry in two parts": lambda X: in_two_parts(X),
}


def with_zeros_stored(X):
    rows, columns = (index.ravel() for index in np.indices(X.shape))
    return sparse.csr_array((np.ravel(X), (rows, columns)), shape=X.shape)


def unsorted(X):
    found = sparse.csr_array(X)
    for row in range(X.shape[0]):
        here = slice(found.indptr[row], found.indptr[row + 1])
        found.indices[here], found.data[here] = found.indices[here][::-1], found.data[here][::-1]
    found.has_sorted_indices = False
    found.indices, found.indptr = found.indices.astype(np.int64), found.indptr.astype(np.int64)
    return found


def in_two_parts(X):
    """Entries that are quarters, each stored as two halves."""
    once = sparse.csr_array(X)
    return sparse.csr_array(
        (np.repeat(once.data / 2, 2), np.repeat(once.indices, 2), 2 * once.indptr), shape=X.shape
    )


def data(n=60, p=3, k=1, seed=0):
    """Small quarters, many rows equal, zeros of both signs."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, size=(n, p)) / 4.0
    Y = rng.integers(-1, 2, size=(n, k)) / 4.0
    X[rng.random(X.shape) < 0.2] = -0.0
    Y[rng.random(Y.shape) < 0.2] = -0.0
    return X, Y


def slow(X, Y, weights):
    """Which rows there are and how much each weighs, by exact sums in a dictionary."""
    X = X.toarray() if sparse.issparse(X) else np.asarray(X, np.float64)
    found = {}
    for i in range(len(Y)):
        weight = Fraction(1 if weights is None else float(weights[i]))
        if weight:
            row = tuple(map(float, X[i])), tuple(map(float, Y[i]))
            found[row] = found.get(row, 0) + weight
    return found


def bits(found):
    X, Y, weights = found
    X = X.toarray() if sparse.issparse(X) else X
    return X.tobytes(), Y.tobytes(), (np.ones(len(Y)) if weights is None else weights).tobytes()


def weights_of(kind, n):
    rng = np.random.default_rng(5)
    return {
        None: None,
        "counts": rng.integers(0, 4, size=n).astype(float),
        "real": rng.exponential(size=n) * (rng.random(n) < 0.8),
    }[kind]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weighted", [None, "counts", "real"])
@pytest.mark.parametrize(("n", "p", "k"), [(60, 3, 1), (5, 1, 2), (40, 0, 1), (1, 4, 1), (300, 2, 3)])
def test_rows_and_their_weights_are_kept(n, p, k, weighted, layout):
    X, Y = data(n, p, k)
    weights = weights_of(weighted, n)
    if weights is not None:
        weights[0] = 2.0
    given = LAYOUTS[layout](X)
    rows, responses, summed = canonical_rows(given, Y, weights)
    assert rows.dtype == responses.dtype == np.float64
    assert sparse.issparse(rows) == sparse.issparse(given)
    assert rows.shape == (len(responses), p)
    assert responses.shape == (len(responses), k)
    dense = rows.toarray() if sparse.issparse(rows) else rows
    assert not np.signbit(dense[dense == 0.0]).any()
    assert not np.signbit(responses[responses == 0.0]).any()
    found, expected = slow(rows, responses, summed), slow(X, Y, weights)
    assert found.keys() == expected.keys()
    assert len(responses) == len(expected), "equal rows are merged"
    for row, weight in expected.items():
        assert float(found[row]) == pytest.approx(float(weight), rel=1e-15)
    if weighted == "counts":
        assert found == expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weighted", [None, "counts", "real"])
def test_equal_data_become_the_same_to_the_last_bit(weighted, layout):
    X, Y = data(80, 4, 2)
    weights = weights_of(weighted, 80)
    expected = bits(canonical_rows(X, Y, weights))
    rng = np.random.default_rng(1)
    for _ in range(5):
        order = rng.permutation(80)
        again = canonical_rows(
            LAYOUTS[layout](X[order]), Y[order], None if weights is None else weights[order]
        )
        assert bits(again) == expected


@pytest.mark.parametrize("layout", ["C", "csr"])
def test_counts_are_repeated_rows_and_zero_is_absence(layout):
    X, Y = data(50)
    X += np.random.default_rng(2).normal(size=X.shape)  # rows that differ
    counts = np.random.default_rng(3).integers(0, 4, size=50)
    repeated = np.random.default_rng(4).permutation(np.repeat(np.arange(50), counts))
    change = LAYOUTS[layout]
    weighted = canonical_rows(change(X), Y, counts.astype(float))
    assert bits(canonical_rows(change(X[repeated]), Y[repeated], None)) == bits(weighted)
    assert bits(canonical_rows(change(X[counts > 0]), Y[counts > 0], counts[counts > 0] * 1.0)) == bits(
        weighted
    )
    assert len(weighted[1]) == np.count_nonzero(counts)


def test_weights_are_given_back_only_where_they_say_something():
    X, Y = np.random.default_rng(0).normal(size=(30, 3)), np.zeros((30, 1))
    assert canonical_rows(X, Y, None)[2] is None
    np.testing.assert_array_equal(canonical_rows(X, Y, np.ones(30))[2], np.ones(30))
    np.testing.assert_array_equal(
        np.sort(canonical_rows(np.r_[X, X[:1]], np.zeros((31, 1)), None)[2])[-2:], [1, 2]
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weighted", [None, "counts"])
def test_nothing_given_is_changed(layout, weighted):
    X, Y = data()
    given, weights = LAYOUTS[layout](X), weights_of(weighted, 60)
    arrays = [Y, *([weights] if weighted else [])]
    arrays += [given.data, given.indices, given.indptr] if sparse.issparse(given) else [given]
    before = [values.copy() for values in arrays]
    for values in arrays:
        values.flags.writeable = False
    canonical_rows(given, Y, weights)
    for values, expected in zip(arrays, before, strict=True):
        assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", ["C", "csr"])
@pytest.mark.parametrize("weighted", [None, "counts", "real"])
@pytest.mark.parametrize("hashes", ["all equal", "of two kinds"])
def test_rows_that_collide_are_not_merged_unless_equal(monkeypatch, layout, weighted, hashes):
    def by_rows(values, first):
        kinds = np.zeros(len(values), np.uint64)
        if hashes == "of two kinds" and first == 0:
            kinds += (values[:, 0] > 0).astype(np.uint64)
        return kinds

    def by_sparse_rows(data, indices, starts):
        size = (len(starts) - 1, int(indices.max()) + 1)
        return by_rows(sparse.csr_array((data, indices, starts), shape=size).toarray(), 0)

    monkeypatch.setattr(canonical, "hash_rows", by_rows)
    monkeypatch.setattr(canonical, "hash_sparse_rows", by_sparse_rows)
    X, Y = data(n=200)
    weights = weights_of(weighted, 200)
    found = canonical_rows(LAYOUTS[layout](X), Y, weights)
    kept, expected = slow(*found), slow(X, Y, weights)
    assert kept.keys() == expected.keys()
    for row, weight in expected.items():
        assert float(kept[row]) == pytest.approx(float(weight), rel=1e-14)

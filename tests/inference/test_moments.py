"""Moments of rows, read once or in parts and merged, against extended precision and NIST's certified values."""

import dataclasses
import functools

import mpmath as mp
import numpy as np
import pytest
from scipy import sparse

from bayesglm.inference import canonical, moments
from bayesglm.inference.moments import gather, merge
from bayesglm.inference.sufficient import summaries
from tests.acceptance import nist
from tests.acceptance.test_nist import digits

pytestmark = pytest.mark.filterwarnings("error")


def select(moments, response):
    """Return the moments of one of the responses."""
    p = len(moments.factor)
    chosen = np.append(np.arange(p), p + response)
    columns = {name: getattr(moments, name)[chosen] for name in ("mean", "spread", "unit", "remainder")}
    return dataclasses.replace(
        moments, **columns, rotated=moments.rotated[:, [response]], rss=moments.rss[[response]]
    )


def reference(X, Y, weights=None):
    """Weight, means, spreads and correlations of (X, Y), of zero for constant columns, in extended precision."""
    table = np.column_stack([X, Y]).astype(np.longdouble)
    w = np.ones(len(table), np.longdouble) if weights is None else np.asarray(weights, np.longdouble)
    # Differences of doubles of like size are exact in long doubles: an offset costs nothing.
    origin = table[np.argmax(w > 0)]
    moved = (table - origin) / unit_of(table)
    offset = w @ moved / w.sum()
    centred = moved - offset
    variance = w @ centred**2 / w.sum()
    spread = np.sqrt(variance)
    safe = np.where(spread > 0, spread, 1)
    correlation = (centred / safe).T @ ((centred / safe) * w[:, np.newaxis]) / w.sum()
    mean = origin + offset * unit_of(table)
    return (
        float(w.sum()),
        mean.astype(float),
        (spread * unit_of(table)).astype(float),
        correlation.astype(float),
    )


def unit_of(table):
    """Powers of two that keep squares within range."""
    largest = np.abs(table).max(axis=0)
    return np.where(
        largest > 0, 2.0 ** np.floor(np.log2(np.where(largest > 0, largest, 1)).astype(float)), 1.0
    )


def correlations(found):
    """Correlations of (X, Y) from their moments; among responses the variances only."""
    p = len(found.factor)
    rows = np.hstack([found.factor, found.rotated])
    rows = rows * np.where(found.spread > 0, found.unit / np.where(found.spread > 0, found.spread, 1), 0.0)
    product = rows.T @ rows / found.weight
    left = found.rss * (found.unit[p:] / np.where(found.spread[p:] > 0, found.spread[p:], np.inf)) ** 2
    product[range(p, len(product)), range(p, len(product))] += left / found.weight
    return product


def check(found, X, Y, weights=None, tolerance=1e-12):
    p = X.shape[1]
    weight, mean, spread, correlation = reference(X, Y, weights)
    assert found.weight == pytest.approx(weight, rel=1e-14)
    assert found.n_rows == (len(X) if weights is None else np.count_nonzero(weights))
    np.testing.assert_array_less(np.abs(found.mean - mean), 1e-13 * spread + 3e-16 * np.abs(mean) + 1e-300)
    np.testing.assert_array_equal(found.spread == 0.0, spread == 0.0)
    np.testing.assert_allclose(found.spread, spread, rtol=tolerance)
    product = correlations(found)
    # Nothing is kept of how responses go together: they are fitted one by one.
    known = np.ones_like(product, dtype=bool)
    known[p:, p:] = np.eye(len(product) - p, dtype=bool)
    np.testing.assert_allclose(product[known], correlation[known], rtol=0, atol=tolerance)
    assert np.all(np.tril(found.factor, -1) == 0.0)
    assert np.all(found.rss >= 0.0)


def make(kind, n=400, p=4, k=1, seed=0):
    """X, Y and weights of some kind."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    Y = X @ rng.normal(size=(p, k)) + 0.3 + rng.normal(size=(n, k))
    weights = None
    match kind:
        case "offsets":
            X, Y = X + 1e9 * np.array([1, -1, 0, 0.5]), Y + 1e9
        case "tiny":
            X, Y = X * 1e-150, Y * 1e-150
        case "huge":
            X, Y = X * 1e150, Y * 1e150
        case "scales":
            X, Y = X * [1e-150, 1e150, 1.0, 1e-8], Y * 1e5
        case "constant":
            X[:, 1], X[:, 3] = 0.1, 0.0
        case "constant response":
            Y[:, 0] = 0.7
        case "dummies":
            X = (rng.random((n, p)) < 0.1).astype(float)
        case "frequencies":
            weights = rng.integers(0, 5, size=n).astype(float)
        case "weights":
            weights = rng.exponential(size=n) * (rng.random(n) < 0.7)
        case "collinear":
            X[:, 3] = X[:, 0] - X[:, 1]
        case "the same responses":
            Y = np.hstack([Y[:, :1]] * 3)
        case "exact response":
            Y[:, 0] = X @ [1.0, 2.0, -1.0, 0.5]
        case "integers":
            X = rng.integers(-3, 4, size=(n, p)).astype(float)
        case "sorted":
            X[:, 0] = np.sort(X[:, 0])
    return X, Y, weights


KINDS = [
    "plain", "offsets", "tiny", "huge", "scales", "constant", "constant response", "dummies", "frequencies",
    "weights", "collinear", "the same responses", "exact response", "integers", "sorted",
]  # fmt: skip


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_one_pass(kind, k):
    X, Y, weights = make(kind, k=k)
    check(gather(X, Y, weights), X, Y, weights)


@pytest.mark.parametrize("n", [400, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_rows(kind, n):
    X, Y, weights = make(kind, n=n, k=2)
    if weights is not None:
        weights[0] = 1.0
    X[np.random.default_rng(1).random(X.shape) < 0.7] = 0.0
    for change in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        found = gather(change(X), Y, weights)
        expected = gather(X, Y, weights)
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@pytest.mark.parametrize("kind", ["plain", "weights", "offsets", "constant"])
def test_data_too_large_for_canonical_order(monkeypatch, kind):
    monkeypatch.setattr(canonical, "LARGEST", 0)
    monkeypatch.setattr(moments, "BLOCK_BYTES", 4096)
    X, Y, weights = make(kind, n=3000, k=2)
    for rows in (X, sparse.csr_array(X), sparse.csc_array(X), np.asfortranarray(X)):
        check(gather(rows, Y, weights), X, Y, weights)


def splits(n, seed):
    """Ways to divide n rows: halves, unequal parts, a few rows, one by one."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    return {
        "halves": np.array_split(np.arange(n), 2),
        "unequal": np.split(order, np.sort(rng.choice(np.arange(1, n), 4, replace=False))),
        "fewer rows than columns": np.array_split(order, n // 3),
        "one by one": np.array_split(order, n),
    }


def merged(X, Y, weights, parts):
    found = [
        gather(X[rows], Y[rows], None if weights is None else weights[rows])
        for rows in parts
        if weights is None or weights[rows].any()
    ]
    return functools.reduce(merge, found)


@pytest.mark.parametrize("split", ["halves", "unequal", "fewer rows than columns", "one by one"])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_make_the_whole(kind, split):
    for seed in range(3):
        X, Y, weights = make(kind, n=90, k=2, seed=seed)
        check(merged(X, Y, weights, splits(90, seed)[split]), X, Y, weights)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 + 0.1, -7e-5, 1e150 / 3, 0.0])
@pytest.mark.parametrize("split", ["halves", "unequal", "one by one"])
def test_a_constant_column_stays_constant(value, split):
    rng = np.random.default_rng(0)
    X, Y, w = (
        np.c_[rng.normal(size=90), np.full(90, value)],
        np.full((90, 1), value),
        rng.exponential(size=90),
    )
    for weights in (None, w):
        found = merged(X, Y, weights, splits(90, 1)[split])
        np.testing.assert_array_equal(found.spread[1:], 0.0)
        np.testing.assert_allclose(found.mean[1:], value, rtol=1e-15)
        assert found.rss[0] == 0.0
        np.testing.assert_array_equal(found.factor[:, 1], 0.0)


def test_columns_constant_in_each_part_or_in_one_only():
    rng = np.random.default_rng(2)
    for offset in (0.0, 1e9):
        X = rng.normal(size=(60, 3)) + offset
        X[:20, 0], X[20:45, 0], X[45:, 0] = offset + 0.25, offset + 3.0, offset - 1.0
        X[:20, 1] = offset
        Y = X[:, [2]] - offset + rng.normal(size=(60, 1))
        check(merged(X, Y, None, np.split(np.arange(60), [20, 45])), X, Y)


@pytest.mark.parametrize("kind", ["plain", "offsets", "scales", "weights", "collinear", "exact response"])
def test_merging_is_associative_and_commutative(kind):
    X, Y, weights = make(kind, n=90, k=2)
    a, b, c = (
        gather(X[rows], Y[rows], None if weights is None else weights[rows])
        for rows in splits(90, 3)["halves"][:1] + np.array_split(np.arange(45, 90), 2)
    )
    for found in (merge(merge(a, b), c), merge(a, merge(b, c)), merge(merge(c, a), b)):
        check(found, X, Y, weights)


def test_far_apart_parts():
    """A time stamp: every part is narrow, and all of them lie apart."""
    rng = np.random.default_rng(4)
    x = 1.7e9 + np.repeat(np.arange(6.0), 15) * 1e6 + rng.random(90)
    X, Y = np.c_[x, rng.normal(size=90)], rng.normal(size=(90, 1)) + 1e-6 * (x[:, np.newaxis] - 1.7e9)
    check(merged(X, Y, None, np.array_split(np.arange(90), 6)), X, Y)


def test_heavy_and_light_parts():
    rng = np.random.default_rng(5)
    X, Y = rng.normal(size=(60, 2)), rng.normal(size=(60, 1))
    weights = np.where(np.arange(60) < 30, 1e-9, 1e3)
    check(merged(X, Y, weights, np.array_split(np.arange(60), 4)), X, Y, weights)


def test_one_of_several_responses():
    X, Y, weights = make("weights", k=3)
    together = gather(X, Y, weights)
    for j in range(3):
        check(select(together, j), X, Y[:, [j]], weights)
        assert select(together, j).rss.shape == (1,)


@pytest.mark.parametrize("p", [0, 1])
def test_few_or_no_columns(p):
    rng = np.random.default_rng(6)
    X, Y = rng.normal(size=(30, p)), rng.normal(size=(30, 2)) + 5.0
    check(gather(X, Y), X, Y)
    check(merged(X, Y, None, np.array_split(np.arange(30), 30)), X, Y)


@pytest.mark.parametrize("problem", [p for p in nist.PROBLEMS if p is not nist.FILIP], ids=lambda p: p.name)
def test_nist_problems_in_three_parts_keep_their_digits(monkeypatch, problem):
    X, Y = problem.X, problem.target[:, np.newaxis]

    def reached(found):
        summary = summaries(found, intercept=problem.intercept)[0]
        coef = summary.least_squares * (summary.y_unit / summary.x_unit)
        # In many digits, so that what is lost in the intercept is lost by the summary.
        with mp.workdps(nist.DIGITS):
            level = mp.mpf(summary.y_mean) - sum(
                mp.mpf(b) * mp.mpf(m) for b, m in zip(coef, summary.x_mean, strict=True)
            )
        return digits([*([level] if problem.intercept else []), *coef], problem.estimates)

    # In the one canonical order the whole may be lucky; in others it is as good as its rows are conditioned.
    orders = [np.random.default_rng(seed).permutation(len(X)) for seed in range(10)]
    with monkeypatch.context() as patch:
        patch.setattr(canonical, "LARGEST", 0)
        whole = min(reached(gather(X[order], Y[order])) for order in orders)
    assert min(reached(merged(X, Y, None, np.array_split(order, 3))) for order in orders) >= whole - 1.0

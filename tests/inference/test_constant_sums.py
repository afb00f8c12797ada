"""Columns that add up to a constant are found where they stand, and nothing else is."""

import numpy as np
import pytest
from scipy import sparse

from bayesglm.inference.constant_sums import constant_sums_of, constant_sums_of_rows
from bayesglm.inference.moments import gather
from bayesglm.inference.sufficient import summaries

RNG = np.random.default_rng(0)
N = 400


def one_hot(levels, n=N):
    return np.eye(levels)[np.r_[np.arange(levels), RNG.integers(levels, size=n - levels)]]


def by_summary(X):
    (summary,) = summaries(gather(X, RNG.normal(size=(len(X), 1)), None, n_threads=1), intercept=True)
    return constant_sums_of(summary)


WAYS = {
    "summary": by_summary,
    "rows": constant_sums_of_rows,
    "float32": lambda X: constant_sums_of_rows(X.astype(np.float32)),
    "sparse": lambda X: constant_sums_of_rows(sparse.csr_array(X)),
}
OTHERS = RNG.normal(size=(N, 3)) * [1.0, 1e-3, 1e4] + [0.0, 5.0, 2e3]


def sets(found):
    return [columns.tolist() for columns in found]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([OTHERS], []),
        ([one_hot(3)], [[0, 1, 2]]),
        ([OTHERS, one_hot(2), one_hot(4)], [[3, 4], [5, 6, 7, 8]]),
        ([one_hot(3)[:, 1:], OTHERS], []),
        ([np.ones((N, 1)), OTHERS], [[0]]),
        ([OTHERS, np.zeros((N, 1))], []),
        ([OTHERS, OTHERS[:, :1]], []),  # collinear, but no constant
        ([OTHERS[:, :1], -OTHERS[:, :1]], []),  # adds up to 0, which leaves the intercept alone
    ],
    ids=["nothing", "levels", "two factors", "one level left out", "ones", "zeros", "twice", "opposites"],
)
def test_sets_side_by_side(way, columns, expected):
    assert sets(WAYS[way](np.hstack(columns))) == expected


@pytest.mark.parametrize("way", ["summary", "rows", "sparse"])
@pytest.mark.parametrize("seed", range(5))
def test_sets_anywhere(way, seed):
    X = np.hstack([one_hot(3), OTHERS, one_hot(4), RNG.dirichlet(np.ones(3), N) * 100.0])
    order = np.random.default_rng(seed).permutation(X.shape[1])
    groups = np.array([1, 1, 1, 0, 0, 0, 2, 2, 2, 2, 3, 3, 3])[order]
    expected = sorted(np.flatnonzero(groups == g).tolist() for g in (1, 2, 3))
    found = WAYS[way](X[:, order])
    # A factor that happens to stand side by side is enough of an answer.
    assert sets(found)
    assert all(columns in expected for columns in sets(found))
    if not any(np.ptp(columns) == len(columns) - 1 for columns in expected):
        assert sorted(sets(found)) == expected


@pytest.mark.parametrize("way", ["summary", "rows"])
def test_rows_that_do_not_suffice_say_nothing(way):
    X = RNG.normal(size=(30, 60)) + 3.0
    assert sets(WAYS[way](X)) == []
    levels = np.hstack([X[:, :40], one_hot(3, 30), X[:, 40:]])
    assert sets(WAYS[way](levels)) == [[40, 41, 42]]
    assert sets(WAYS[way](levels[:2])) == []


def test_a_row_that_the_first_look_misses_counts():
    X = np.hstack([one_hot(3, 20_000), RNG.normal(size=(20_000, 2))])
    assert sets(constant_sums_of_rows(X)) == [[0, 1, 2]]
    X[7, 1] += 1.0
    assert sets(constant_sums_of_rows(X)) == []
    assert sets(constant_sums_of_rows(sparse.csr_array(X))) == []


def test_very_many_columns():
    X = sparse.csr_array(np.hstack([one_hot(5, 3000), RNG.normal(size=(3000, 600)), one_hot(400, 3000)]))
    assert sets(constant_sums_of_rows(X)) == [list(range(5)), list(range(605, 1005))]


def test_shares_that_rounding_touches():
    shares = np.round(RNG.dirichlet(np.ones(6), N), 3)
    assert sets(constant_sums_of_rows(shares)) == [], "rounded to three digits they no longer add up"
    assert sets(constant_sums_of_rows(RNG.dirichlet(np.ones(6), N) * 1e7)) == [list(range(6))]

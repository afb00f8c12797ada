"""Rows in an order of their own, equal ones merged: equal data become equal sums, to the last bit.

Floating-point sums depend on the order of their terms. That is of no consequence for means, but a chain is
chaotic: it follows a difference in the last digit wherever it leads. So before small data are summed their
rows are sorted by a hash of what they hold, and rows that hold the same are merged into one with the sum of
their weights. Then it does not matter in which order rows came, whether a row was repeated or given a weight,
or whether X was dense, sparse, float32 or laid out by columns. For larger data see
`bayesglm.inference.settled`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from bayesglm.kernel.hashes import hash_rows, hash_sparse_rows

#: Data of at most this many numbers, in at most so many rows, are brought into canonical order. Beyond it sorting
#: costs too much of a fit (at 100,000 x 20 14 ms beside 26; tests/performance/linear.py prints it).
LARGEST, MOST_ROWS = 1 << 20, 1 << 15


def canonical_rows(
    X: Any, Y: np.ndarray, weights: np.ndarray | None
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Sort rows by what they hold, merge equal ones and drop those without weight.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n, p)
        Any real dtype and layout; not changed.
    Y : ndarray of shape (n, k)
    weights : ndarray of shape (n,), optional

    Returns
    -------
    X : ndarray of float64 or CSR array, shape (m, p)
    Y : ndarray of shape (m, k)
    weights : ndarray of shape (m,) or None
        None if none were given and all rows differ.
    """
    if weights is not None and not np.all(weights != 0.0):
        kept = np.flatnonzero(weights)
        rows = X.tocsr() if sparse.issparse(X) else X  # not every sparse format has rows to take
        X, Y, weights = rows[kept], Y[kept], weights[kept]
    Y = np.ascontiguousarray(Y, dtype=np.float64)
    hashes = hash_rows(Y, X.shape[1])
    if sparse.issparse(X):
        X = _plain(X)
        hashes += hash_sparse_rows(X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64))
    else:
        X = np.ascontiguousarray(X, dtype=np.float64)
        hashes += hash_rows(X, 0)
    # Among equal rows by weight, so that their sum does not depend on the order either.
    order = np.argsort(hashes) if weights is None else np.lexsort((weights, hashes))
    hashes, X, Y = hashes[order], X[order], Y[order]
    if not sparse.issparse(X):
        X += 0.0  # makes -0.0, which equals 0.0 and has another sign, the same
    Y += 0.0
    weights = None if weights is None else weights[order]
    again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
    again = again[_equal(X, again) & np.all(Y[again] == Y[again - 1], axis=1)]
    if not again.size:
        return X, Y, weights
    starts = np.delete(np.arange(len(Y)), again)
    summed = np.add.reduceat(np.ones(len(Y)) if weights is None else weights, starts)
    return X[starts], Y[starts], summed


def canonical_classes(X: Any, y: np.ndarray, weights: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Return the classes in an order that depends on their rows and not on their numbers.

    Parameters
    ----------
    X : ndarray or sparse array of shape (n, p)
    y : ndarray of shape (n,)
        Numbers of classes.
    weights : ndarray of shape (n,), optional
    n_classes : int

    Returns
    -------
    ndarray of int, shape (n_classes,)
        Classes by the sum of their rows' hashes, so that the largest ones tend to come last.
    """
    if sparse.issparse(X):
        X = _plain(X)
        hashes = hash_sparse_rows(X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64))
    else:
        hashes = hash_rows(np.ascontiguousarray(X, dtype=np.float64), 0)
    shares = (hashes >> np.uint64(12)).astype(np.float64) * 2.0**-52
    sums = np.bincount(y.astype(np.intp), shares if weights is None else weights * shares, n_classes)
    return np.argsort(sums, kind="stable")


def _equal(X: Any, rows: np.ndarray) -> np.ndarray:
    """Whether each of the given rows equals the one before it: two different rows may have the same hash."""
    if not rows.size:
        return np.zeros(0, dtype=bool)
    if sparse.issparse(X):
        return np.asarray((X[rows] != X[rows - 1]).sum(axis=1)).ravel() == 0
    return np.asarray(np.all(X[rows] == X[rows - 1], axis=1))


def _plain(X: Any) -> Any:
    """Return a CSR array of doubles in which every entry occurs once and none is zero."""
    X = sparse.csr_array(X, dtype=np.float64, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X

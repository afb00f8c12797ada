"""Columns that add up to the same number in every row: beside an intercept only priors tell them apart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from bayesglm.inference.sufficient import Summary

#: What may be left of a sum that does not vary: of its columns' variation, and of their size, which rounds them.
NOTHING, ROUNDED = 1e-9, 1e-14
#: In fewer rows anything is constant.
FEWEST_ROWS = 3
#: Sets of columns that do not stand side by side are looked for among no more columns than this.
MOST_ANYWHERE = 300
#: Rows that are looked at first, besides two for each column, and the most numbers in them.
FIRST_ROWS, FIRST_NUMBERS = 200, 20_000_000


def constant_sums(centred: np.ndarray, mean: np.ndarray, n_rows: int) -> list[np.ndarray]:
    """Return sets of columns whose sum is the same number, other than 0, in every row.

    Columns side by side, such as the levels of a factor or the basis of a spline, are found whatever else there is;
    others only where there are more rows than directions in which columns vary.

    Parameters
    ----------
    centred : ndarray of shape (k, p)
        Rows less their mean, or others with the same cross-products.
    mean : ndarray of shape (p,)
    n_rows : int
        How many rows the cross-products are of.

    Returns
    -------
    list of ndarray of int
        Positions in ascending order; no column is in two of the sets.
    """
    if n_rows < FEWEST_ROWS:
        return []
    found = _true(_side_by_side(centred), centred, mean)
    if not found and len(mean) <= MOST_ANYWHERE:
        found = _true(_anywhere(centred, n_rows), centred, mean)
    return sorted(found, key=lambda columns: int(columns[0]))


def constant_sums_of(summary: Summary) -> list[np.ndarray]:
    """Return `constant_sums` of what a summary knows of the rows."""
    return constant_sums(summary.factor * summary.x_unit, summary.x_mean, summary.n_rows)


def constant_sums_of_rows(X: Any) -> list[np.ndarray]:
    """Return `constant_sums` of the rows of a dense or sparse X, of shape (n, p)."""
    n, p = X.shape
    few = min(n, 2 * p + FIRST_ROWS, max(2, FIRST_NUMBERS // max(p, 1)))
    first = X[np.linspace(0, n - 1, few).astype(np.intp)]
    first = np.asarray(first.toarray() if hasattr(first, "toarray") else first, dtype=np.float64)
    mean = first.mean(axis=0)
    found = constant_sums(first - mean, mean, few)
    if few == n:
        return found
    kept = []
    for columns in found:
        sums = np.asarray(X[:, columns].sum(axis=1), dtype=np.float64).ravel()
        total = float(mean[columns].sum())
        if np.abs(sums - total).max() <= NOTHING * abs(total):
            kept.append(columns)
    return kept


def _side_by_side(centred: np.ndarray) -> Iterable[np.ndarray]:
    """Return blocks that may be constant: cumulative sums of the columns are behind them what they were before."""
    sums = np.zeros((len(centred), centred.shape[1] + 1))
    np.cumsum(centred, axis=1, out=sums[:, 1:])
    # One number stands for each column of sums; where two are equal, the sums are asked themselves.
    shadow = np.random.default_rng(0).normal(size=len(sums)) @ sums
    order = np.argsort(shadow, kind="stable")
    apart = np.diff(shadow[order]) > NOTHING * np.abs(shadow).max(initial=0.0)
    for equal in np.split(order, np.flatnonzero(apart) + 1):
        for first, last in pairwise(sorted(equal)):
            yield np.arange(first, last)


def _anywhere(centred: np.ndarray, n_rows: int) -> Iterable[np.ndarray]:
    """Return sets that may be constant: indicators among the directions in which the columns do not vary."""
    size = np.linalg.norm(centred, axis=0)
    size[size == 0.0] = 1.0
    _, singular, right = np.linalg.svd(centred / size, full_matrices=True)
    rank = int(np.sum(singular > NOTHING * singular.max(initial=0.0)))
    if rank >= n_rows - 1:  # for want of rows
        return
    null = right[rank:] / size
    for i in range(len(null)):
        # Each column that a row stands for is left in that row alone, which parts sets without common columns.
        row = null[i] / null[i, np.argmax(np.abs(null[i]))]
        null -= null[:, [np.argmax(np.abs(null[i]))]] * row
        null[i] = row
    for row in null:
        columns = np.flatnonzero(np.abs(row) > 1e-6 * np.abs(row).max())
        if np.ptp(row[columns]) < 1e-6 * np.abs(row).max():
            yield columns


def _true(candidates: Iterable[np.ndarray], centred: np.ndarray, mean: np.ndarray) -> list[np.ndarray]:
    """Return the sets whose sums are constant and not 0, of sets with common columns the first."""
    found: list[np.ndarray] = []
    taken: set[int] = set()
    for columns in candidates:
        part = centred[:, columns]
        size = float(np.abs(mean[columns]).sum())
        rounding = NOTHING * np.linalg.norm(part) + ROUNDED * np.sqrt(len(centred)) * size
        constant = np.linalg.norm(part.sum(axis=1)) <= rounding
        if constant and abs(mean[columns].sum()) > NOTHING * size and taken.isdisjoint(columns.tolist()):
            found.append(columns)
            taken.update(columns.tolist())
    return found

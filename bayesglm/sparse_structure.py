"""Sparse X: index arrays that fit the shape and one another, looked at before compiled code follows them.

SciPy checks them when a matrix is made and not again, so that one whose arrays were changed since, or read from a
damaged file, makes SciPy's and our compiled code read and write wherever they point.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from scipy import sparse


def check_structure(X: Any) -> Any:
    """Refuse a sparse matrix that contradicts itself.

    The cost is a pass over the index arrays: a fraction of what a product with the matrix takes.

    Parameters
    ----------
    X : object
        Anything; only sparse matrices and arrays are looked at, of any of SciPy's formats.

    Returns
    -------
    object
        The same, or if it is in lists of lists the CSR matrix of it.

    Raises
    ------
    ValueError
        With what does not fit, and where.
    """
    if not sparse.issparse(X):
        return X
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}, but a sparse X has two dimensions: rows and columns.")
    rows, columns = X.shape
    if X.format in ("csr", "csc"):
        major, minor = (rows, columns) if X.format == "csr" else (columns, rows)
        _check_dimensions(X, 1)
        _check_compressed(X, major, minor)
    elif X.format == "bsr":
        _check_dimensions(X, 3)
        height, width = X.data.shape[1:]
        if min(height, width) < 1 or rows % height or columns % width:
            _refuse(X, f"its blocks of {height} x {width} do not fill its shape {X.shape}")
        _check_compressed(X, rows // height, columns // width)
    elif X.format == "coo":
        _check_dimensions(X, 1)
        for axis, (indices, size) in enumerate(zip((X.row, X.col), X.shape, strict=True)):
            name = ("row", "col")[axis]
            _check_integers(X, indices, name)
            if len(indices) != len(X.data):
                _refuse(X, f"{name} has {len(indices)} entries, and data {len(X.data)}")
            _check_range(X, indices, size, name)
    elif X.format == "dia":
        _check_dimensions(X, 2)
        _check_integers(X, X.offsets, "offsets")
        if len(X.offsets) != len(X.data) or len(np.unique(X.offsets)) != len(X.offsets):
            _refuse(X, f"there must be a different offset for each of the {len(X.data)} diagonals in data")
    elif X.format == "lil":
        return check_structure(_flattened(X))
    return X  # the keys of a DOK are checked by SciPy, when it makes a COO of them


def _check_dimensions(X: Any, wanted: int) -> None:
    if not isinstance(X.data, np.ndarray) or X.data.ndim != wanted:
        _refuse(X, f"data must be an array of {wanted} dimension{'s' * (wanted > 1)}")


def _check_integers(X: Any, indices: Any, name: str) -> None:
    if not isinstance(indices, np.ndarray) or indices.ndim != 1 or indices.dtype.kind not in "iu":
        _refuse(X, f"{name} must be a one-dimensional array of whole numbers")


def _check_compressed(X: Any, major: int, minor: int) -> None:
    indptr, indices = X.indptr, X.indices
    _check_integers(X, indptr, "indptr")
    _check_integers(X, indices, "indices")
    if len(indptr) != major + 1:
        _refuse(X, f"indptr has {len(indptr)} entries, and must have {major + 1}")
    if len(indices) != len(X.data):
        _refuse(X, f"indices has {len(indices)} entries, and data {len(X.data)}")
    falling = indptr[1:] < indptr[:-1]
    if indptr[0] != 0 or falling.any():
        at = int(falling.argmax()) if indptr[0] == 0 else 0
        _refuse(X, f"indptr must begin at 0 and not fall, got {indptr[at]} and {indptr[at + 1]} at {at}")
    if indptr[-1] > len(indices):
        _refuse(X, f"indptr ends at {indptr[-1]}, but indices has {len(indices)} entries")
    _check_range(X, indices, minor, "indices")


def _check_range(X: Any, indices: np.ndarray, size: int, name: str) -> None:
    # As unsigned numbers, negative ones are the largest: one pass for both ends.
    unsigned = indices.view(np.dtype(f"u{indices.dtype.itemsize}")) if indices.dtype.isnative else indices
    if len(indices) and (int(unsigned.max()) >= size or int(unsigned.min()) < 0):
        at = int(np.argmax((indices < 0) | (indices >= size)))
        _refuse(X, f"{name} holds {indices[at]} at {at}, and must lie between 0 and {size - 1}")


def _flattened(X: Any) -> Any:
    """The CSR matrix of lists of lists, if these belong together."""
    for name, lists in (("rows", X.rows), ("data", X.data)):
        if not isinstance(lists, np.ndarray) or lists.shape != (X.shape[0],):
            _refuse(X, f"{name} must hold a list for each row")
    try:
        if [*map(len, X.rows)] != [*map(len, X.data)]:
            _refuse(X, "rows and data must hold lists of the same length")
        return X.tocsr()
    except (TypeError, OverflowError):
        _refuse(X, "rows and data must hold lists of numbers")


def _refuse(X: Any, reason: str) -> NoReturn:
    raise ValueError(
        f"X is a damaged sparse matrix ({X.format.upper()}): {reason}; make it anew from its rows and columns."
    )

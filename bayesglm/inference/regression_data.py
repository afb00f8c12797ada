"""The rows of a regression as the general route keeps them: standardised predictors, response, what else a row has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from bayesglm.inference import canonical
from bayesglm.kernel.design import Design, make_design
from bayesglm.kernel.family import Family

#: So many columns, filled so little, are kept as sparse ones: an entry costs them some ten times as much.
WIDE, FILLED = 20, 0.08
#: Rows read at a time.
_BLOCK = 4096


@dataclass(frozen=True)
class RegressionData:
    """Rows that the likelihood is summed over at every step, in standardised units.

    Predictors enter as (x - x_mean)/x_unit, without an intercept as x/x_unit. Where the linear predictor is in the
    units of y itself, y enters as y - y_mean, so that it keeps its digits however far from zero it lies.

    Attributes
    ----------
    design : Design
        The predictors of rows with a positive weight.
    family : Family
    y : ndarray of shape (n,)
        Less ``y_mean``.
    weights, extra, offset : ndarray of shape (n,) or None
        Weights; numbers of trials or standard errors; what is added to the linear predictors.
    intercept : bool
    n_rows : int
        Rows with a positive weight.
    weight : float
        Sum of the weights.
    x_mean, x_sd, x_unit : ndarray of shape (p,)
        Weighted means (0 without an intercept) and standard deviations, 0 for a constant column.
    y_mean : float
    level : float or ndarray of shape (n_predictors,)
        Linear predictor of a model without predictors, on the user's scale.
    spread : float
        Standard deviation of y where the linear predictor is in its units, else 1.
    aux_start : dict of float
    """

    design: Design
    family: Family
    y: np.ndarray
    weights: np.ndarray | None
    extra: np.ndarray | None
    offset: np.ndarray | None
    intercept: bool
    n_rows: int
    weight: float
    x_mean: np.ndarray
    x_sd: np.ndarray
    x_unit: np.ndarray
    y_mean: float
    level: Any
    spread: float
    aux_start: dict[str, float]

    #: Coefficients and auxiliary parameters are in units of 1.
    y_unit = 1.0
    sigma_unit = 1.0


def regression_data(
    X: Any,
    y: np.ndarray,
    family: Family,
    *,
    weights: np.ndarray | None = None,
    extra: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    intercept: bool = True,
    dtype: Any = np.float64,
) -> RegressionData:
    """Read the rows once: check the response, standardise the predictors, find where to start.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, p)
        Finite.
    y : ndarray of shape (n,)
    family : Family
    weights, extra, offset : ndarray of shape (n,), optional
    intercept : bool, default=True
    dtype : float64 or float32, default=float64
        How a dense design is kept.

    Returns
    -------
    RegressionData

    Raises
    ------
    ValueError
        If the response is none that the family can have.
    FloatingPointError
        If squares of the predictors overflow.
    """
    family.check()
    family.check_response(y, extra)
    n_rows = len(y) if weights is None else int(np.count_nonzero(weights))
    X, y, weights, extra, offset = _settled_rows(X, y, weights, extra, offset)
    if weights is not None and np.all(weights == 1.0):
        weights = None
    if _mostly_zeros(X):
        X = sparse.csr_array(X)
    mean, sd, size = _columns(X, weights)
    if not np.all(np.isfinite(size)):
        raise FloatingPointError("squares of the predictors are beyond the range of doubles")
    center = mean if intercept else np.zeros(len(mean))
    unit = np.where(sd > 0.0, sd, 1.0) if intercept else np.where(size > 0.0, size, 1.0)
    level, aux_start = family.start(y, weight=weights, extra=extra, offset=offset)
    identity = family.link == "identity"
    y_mean = float(level) if identity and intercept else 0.0
    return RegressionData(
        design=make_design(X, center, unit, dtype),
        family=family,
        y=y - y_mean if y_mean else y,
        weights=weights,
        extra=extra,
        offset=offset,
        intercept=intercept,
        n_rows=n_rows,
        weight=float(len(y) if weights is None else weights.sum()),
        x_mean=center,
        x_sd=sd,
        x_unit=unit,
        y_mean=y_mean,
        level=level,
        spread=_sd(y, weights) if identity else 1.0,
        aux_start=aux_start,
    )


def _mostly_zeros(X: Any) -> bool:
    """Whether dense rows cost more than sparse ones: the dummies of a factor with many levels."""
    if hasattr(X, "toarray") or X.shape[1] < WIDE:
        return False
    return bool(np.count_nonzero(X) < FILLED * X.size)


def _settled_rows(
    X: Any,
    y: np.ndarray,
    weights: np.ndarray | None,
    extra: np.ndarray | None,
    offset: np.ndarray | None,
) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Drop rows without weight; bring small data into canonical order, equal rows merged, and dense."""
    size = X.shape[0] * (X.shape[1] + 1)
    if size > canonical.LARGEST or X.shape[0] > canonical.MOST_ROWS:
        if weights is not None and not np.all(weights > 0.0):
            kept = np.flatnonzero(weights > 0.0)
            X, y, weights = X[kept], y[kept], weights[kept]
            extra, offset = (None if a is None else a[kept] for a in (extra, offset))
        return X, y, weights, extra, offset
    # Sums over sparse rows and over dense ones round differently, and chains follow the last digit.
    dense = X.toarray() if hasattr(X, "toarray") else X
    columns = [a for a in (y, extra, offset) if a is not None]
    X, joined, weights = canonical.canonical_rows(dense, np.column_stack(columns), weights)
    found = iter(np.ascontiguousarray(joined.T))
    y = next(found)
    extra, offset = (None if a is None else next(found) for a in (extra, offset))
    return X, y, weights, extra, offset


def _sd(y: np.ndarray, weights: np.ndarray | None) -> float:
    mean = np.average(y, weights=weights)
    return float(np.sqrt(np.average((y - mean) ** 2, weights=weights)))


def _columns(X: Any, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted means, standard deviations and root mean squares of the columns.

    A standard deviation that rounding alone would give to a constant column is 0.
    """
    n, p = X.shape
    total = float(n if weights is None else weights.sum())
    w = np.ones(n) if weights is None else weights
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.asarray(w @ X).ravel() / total
    square = np.zeros(p)
    if hasattr(X, "toarray"):
        # Deviations of the entries that are there, and of those that are not, from the mean.
        columns = X.tocsc()
        for j in range(p):
            here = slice(columns.indptr[j], columns.indptr[j + 1])
            own = w[columns.indices[here]]
            with np.errstate(over="ignore", invalid="ignore"):
                square[j] = own @ (columns.data[here] - mean[j]) ** 2
                square[j] += max(total - own.sum(), 0.0) * mean[j] ** 2
    else:
        for first in range(0, n, _BLOCK):
            with np.errstate(over="ignore", invalid="ignore"):
                rows = X[first : first + _BLOCK] - mean
                rows *= rows
                square += w[first : first + _BLOCK] @ rows
    sd = np.sqrt(square / total)
    size = np.hypot(sd, mean)
    return mean, np.where(sd > 1e-13 * np.abs(mean), sd, 0.0), size

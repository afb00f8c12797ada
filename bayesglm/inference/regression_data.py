"""The rows of a regression as the general route keeps them: standardised predictors, response, what else a row has."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from bayesglm.inference import canonical
from bayesglm.inference.caller import stack_level
from bayesglm.kernel.design import Design, make_design
from bayesglm.kernel.family import Family

#: So many columns, filled so little, are kept as sparse ones: an entry costs them some ten times as much.
WIDE, FILLED = 20, 0.08
#: Logarithm of a shape or precision that only data without noise have: a relative noise of 1e-7.
LARGEST_LOG_SHAPE = 32.0
#: Rows read at a time.
_BLOCK = 4096


@dataclass(frozen=True)
class RegressionData:
    """Rows that the likelihood is summed over at every step, in standardised units.

    Predictors enter as (x - x_mean)/x_unit, without an intercept as x/x_unit. Where the linear predictor is in the
    units of y itself, y enters as (y - y_mean - offset)/y_unit, so that it keeps its digits however far from zero it
    lies. Positive numbers with a log link enter in units of about their mean, whose logarithm is part of y_mean.
    Offsets enter less their mean, which is part of y_mean too. Units are powers of two: they cost no digits.

    Attributes
    ----------
    design : Design
        The predictors of rows with a positive weight.
    family : Family
    y : ndarray of shape (n,)
        In its unit.
    weights, extra, offset : ndarray of shape (n,) or None
        Weights; numbers of trials or standard errors in the unit of y; what is added to the linear predictors.
    intercept : bool
    n_rows : int
        Rows with a positive weight.
    weight : float
        Sum of the weights.
    x_mean, x_sd, x_unit : ndarray of shape (p,)
        Weighted means (0 without an intercept) and standard deviations, 0 for a constant column.
    y_mean, y_unit : float
        An intercept in the user's units is y_mean + y_unit times one in these.
    level : float or ndarray of shape (n_predictors,)
        Linear predictor of a model without predictors, on the user's scale.
    spread : float
        Standard deviation of y where the linear predictor is in its units, else 1.
    aux_start : dict of float
        In the units of `aux_units`.
    aux_units : dict of float
        Units of the auxiliary parameters that have one: that of y.
    response_unit : float
        What y was divided by.
    response_mean : float
        What was taken from y before.
    classes : ndarray of int or None
        Of a response that is one of several classes: which class each number in ``y`` stands for. Numbers here follow
        from the rows of a class, so that another order of labels is the same model with the same draws.
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
    y_unit: float
    aux_units: dict[str, float]
    response_unit: float
    response_mean: float
    classes: np.ndarray | None = None

    @property
    def observed(self) -> np.ndarray:
        """The response in the user's units, less the offset where that was taken from it."""
        return self.y * self.response_unit + self.response_mean

    def warn_of_exact_fit(self, mode: np.ndarray, converged: bool) -> None:
        """Warn of a mode at which only the resolution of numbers keeps a shape or precision from growing.

        Parameters
        ----------
        mode : ndarray of shape (dim,)
            Its last entries are logarithms of the auxiliary parameters.
        converged : bool
            Whether it is the mode, or only as far as the climb came.
        """
        names = self.family.aux
        largest = LARGEST_LOG_SHAPE if converged else 0.5 * LARGEST_LOG_SHAPE
        for name, value in zip(names, mode[len(mode) - len(names) :], strict=True):
            if name in ("shape", "precision") and value > largest:
                warnings.warn(self.exact_fit(name), ConvergenceWarning, stacklevel=stack_level())

    def exact_fit(self, name: str) -> str:
        """Say that nothing but the resolution of numbers bounds a shape or precision."""
        return (
            f"{name}: y is fitted to rounding error, as where it is constant or rows are repeated, and nothing keeps "
            f"the {name} from growing without bound; give it a prior that does, such as Exponential(1)."
        )


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
    classes = None
    if family.n_predictors > 1:
        classes = canonical.canonical_classes(X, y, weights, family.n_predictors)
        y = np.argsort(classes).astype(np.float64)[y.astype(np.intp)]
    X, y, weights, extra, offset = _settled_rows(X, y, weights, extra, offset)
    if weights is not None and np.all(weights == 1.0):
        weights = None
    if _mostly_zeros(X):
        X = sparse.csr_array(X)
    mean, sd, size = _columns(X, weights)
    center = mean if intercept else np.zeros(len(mean))
    unit = np.where(sd > 0.0, sd, 1.0) if intercept else np.where(size > 0.0, size, 1.0)
    identity = family.link == "identity"
    # With an intercept the mean of the offsets is part of it; a difference of large numbers is all that counts.
    shift = 0.0
    if offset is not None and intercept:
        with np.errstate(over="ignore", invalid="ignore"):
            shift = _mean(offset, weights)
            offset = offset - shift
        offset = offset if offset.any() else None
    y_unit = response_unit = 1.0
    response_mean = 0.0
    spread = 1.0
    if identity:
        spread = _sd(y, weights)
        y_unit = response_unit = _power_of_two(spread)
        if offset is not None:
            _refuse_far_offsets(offset, y_unit)
        response_mean = _mean(y, weights) if intercept else 0.0
    elif family.any_unit:
        response_unit = _power_of_two(_mean(y, weights))
        log_unit = float(np.log(response_unit))
        if intercept:
            shift -= log_unit
        elif log_unit:
            offset = (0.0 if offset is None else offset) - np.full(len(y), log_unit)
    if response_mean or response_unit != 1.0:
        y = (y - response_mean) / response_unit
    if y_unit != 1.0:
        extra, offset = (None if a is None else a / y_unit for a in (extra, offset))
    level, aux_start = family.in_unit(response_unit).start(y, weight=weights, extra=extra, offset=offset)
    if identity and intercept:
        # What is left of the level: of medians, and of means whose sum was rounded.
        y = y - float(level)
        response_mean += y_unit * float(level)
        level = 0.0
    return RegressionData(
        design=make_design(X, center, unit, dtype),
        family=family,
        y=y,
        weights=weights,
        extra=extra,
        offset=offset,
        intercept=intercept,
        n_rows=n_rows,
        weight=float(len(y) if weights is None else weights.sum()),
        x_mean=center,
        x_sd=sd,
        x_unit=unit,
        y_mean=response_mean - shift,
        level=response_mean - shift + y_unit * np.asarray(level)[()],
        spread=spread,
        aux_start=aux_start,
        y_unit=y_unit,
        aux_units=dict.fromkeys(family.in_units_of_y, response_unit),
        response_unit=response_unit,
        response_mean=response_mean,
        classes=classes,
    )


def _refuse_far_offsets(offset: np.ndarray, y_unit: float) -> None:
    """Refuse offsets so far from y that squares of what is between them overflow."""
    with np.errstate(over="ignore"):
        far = ~(np.abs(offset / y_unit) < 1e100)
    if far.any():
        raise ValueError(
            f"offset holds {offset[far][0]:.3g} (or such a distance from its mean), more than 1e100 times the spread "
            "of y, to which it is added: check the units of both."
        )


def _power_of_two(size: float) -> float:
    """Return the power of two next to a positive number, and 1 for 0."""
    if not np.isfinite(size):
        raise ValueError("y holds numbers so large that their sum overflows: divide it by a constant.")
    return 1.0 if size == 0.0 else float(np.ldexp(1.0, round(np.log2(size))))


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the weighted mean; of equal numbers exactly, and of large ones with little spread nearly so."""
    return float(values[0] + np.average(values - values[0], weights=weights))


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
    gaps = y - _mean(y, weights)
    top = float(np.abs(gaps).max())
    if not np.isfinite(top) or (top and not 1e-290 < top < 1e290):
        raise ValueError(
            "y holds numbers so large, or differing by so little, that their squares are no doubles: rescale it by a "
            "constant."
        )
    return top * float(np.sqrt(np.average((gaps / top) ** 2, weights=weights))) if top else 0.0


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
    if not np.isfinite(size).all():
        raise FloatingPointError("squares of the predictors are beyond the range of doubles")
    exact = np.zeros(p, dtype=bool)
    if not hasattr(X, "toarray"):
        # Far from zero the mean has lost digits that deviations need: again, from the first row on.
        far = np.flatnonzero(np.abs(mean) > 1e3 * sd).tolist()
        for j in far:
            gaps = X[:, j] - X[0, j]
            middle = float(w @ gaps) / total
            mean[j], sd[j] = X[0, j] + middle, np.sqrt(float(w @ (gaps - middle) ** 2) / total)
            exact[j] = True
    least = np.where(exact, 4.0 * np.finfo(np.float64).eps, 1e-13)
    return mean, np.where(sd > least * np.abs(mean), sd, 0.0), size

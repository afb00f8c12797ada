"""What a row may bring besides predictors and response: offset, exposure, trials, standard error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm.formula_names import list_names
from bayesglm.inference.prior_set import PriorSet
from bayesglm.kernel.family import Family
from bayesglm.validation import refuse_masked

#: In the order of the arguments of `fit` and of the methods that predict.
ROW_ARGUMENTS = ("offset", "exposure", "trials", "standard_error")

#: Beyond it not every whole number is a double.
MOST_TRIALS = 2.0**53


def named_columns(given: Mapping[str, Any], X: Any, design: Any) -> dict[str, Any]:
    """Return row arguments in which a name has become the column of X that it names.

    Parameters
    ----------
    given : mapping of str to array, str or None
    X : data frame or mapping of columns
    design : FormulaDesign or None
        None: there is no formula, and names mean nothing.

    Raises
    ------
    ValueError
        If there is no such column, or no formula.
    """
    found = dict(given)
    for name, value in given.items():
        if not isinstance(value, str):
            continue
        if design is None:
            raise ValueError(
                f"{name}={value!r} names a column, which needs a formula (without one all columns are predictors): "
                f"give the numbers themselves, {name}=X[{value!r}], and leave that column out of X."
            )
        columns = [str(column) for column in (X.columns if hasattr(X, "columns") else X)]
        if value not in columns:
            near = difflib.get_close_matches(value, columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {list_names(columns)}."
            raise ValueError(f"{name}={value!r}: no column of that name; {hint}")
        found[name] = _as_numbers(X[value], name)
    return found


def row_arguments(
    family: Family,
    n: int,
    *,
    offset: Any = None,
    exposure: Any = None,
    trials: Any = None,
    standard_error: Any = None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Check what rows bring, and return it as the kernel takes it.

    Parameters
    ----------
    family : Family
    n : int
        Number of rows.
    offset, exposure, trials, standard_error : array-like of shape (n,) or float, optional
        NaN stands for what is missing and is let through.

    Returns
    -------
    offset : ndarray of shape (n,) or None
        Logarithms of exposures included.
    extra : ndarray of shape (n,) or None
        Trials or standard errors, whichever the family knows.

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the argument and the row.
    """
    kind = type(family).__name__
    if exposure is not None and not family.takes_exposure:
        raise ValueError(
            f"exposure has no meaning for the {kind} family: give an offset, or a family of counts."
        )
    for name, value in (("trials", trials), ("standard_error", standard_error)):
        if value is not None and family.extra != name:
            owner = "binomial" if name == "trials" else "gaussian"
            raise ValueError(
                f"{name} has no meaning for the {kind} family, only for the {owner} one: leave it out."
            )
    total = None if offset is None else _numbers(offset, "offset", n)
    if exposure is not None:
        amounts = _numbers(exposure, "exposure", n)
        wrong = np.flatnonzero(amounts <= 0.0)
        if wrong.size:
            raise ValueError(f"exposure must be positive; got {amounts[wrong[0]]:g} in row {wrong[0]}.")
        total = np.log(amounts) + (0.0 if total is None else total)
    extra = None
    if trials is not None:
        extra = _numbers(trials, "trials", n)
        wrong = np.flatnonzero((extra < 0.0) | (extra != np.floor(extra)))
        wrong = wrong[~np.isnan(extra[wrong])]
        if wrong.size:
            raise ValueError(
                f"trials must be whole numbers, 0 or more; got {extra[wrong[0]]:g} in row {wrong[0]}."
            )
        if np.any(extra > MOST_TRIALS):
            row = int(np.argmax(extra > MOST_TRIALS))
            raise ValueError(
                f"trials must be at most 2^53, beyond which not all whole numbers are doubles; row {row} has "
                f"{extra[row]:g}."
            )
    if standard_error is not None:
        extra = _numbers(standard_error, "standard_error", n)
        wrong = np.flatnonzero(extra < 0.0)
        if wrong.size:
            raise ValueError(
                f"standard_error must not be negative; got {extra[wrong[0]]:g} in row {wrong[0]}."
            )
    return total, extra


def refuse_lost_trials(family: Family, observed: np.ndarray, extra: np.ndarray | None) -> None:
    """Refuse numbers of successes above one where no trials are given: nothing could be said of them."""
    if family.extra != "trials" or extra is not None:
        return
    wrong = np.flatnonzero(observed > 1.0)
    if wrong.size:
        raise ValueError(
            f"trials is missing: without it every row has one trial, but y has {observed[wrong[0]]:g} successes in "
            f"row {wrong[0]}; give the number of trials of every row."
        )


def refuse_offset_of_all(priors: PriorSet, offset: np.ndarray | None) -> None:
    """Refuse an offset of classes none of which is the reference: added to all of them it changes nothing."""
    if offset is not None and priors.sums_to_zero:
        raise ValueError(
            "offset: with more than two classes it is added to the log odds against a reference class, and this model "
            "has none: name one of the classes by reference=..., and fit again."
        )


def refuse_missing(given: Mapping[str, Any], kept: np.ndarray | None) -> None:
    """Refuse NaN in what was brought to a fit; ``kept`` are the rows that are used, None: all."""
    for name, value in given.items():
        if value is None:
            continue
        missing = np.isnan(_as_numbers(value, name)).reshape(-1)
        if kept is not None and len(missing) == len(kept):
            missing = missing & kept
        if missing.any():
            raise ValueError(f"{name} is missing (NaN) in row {int(np.argmax(missing))}: drop such rows.")


def _numbers(value: Any, name: str, n: int) -> np.ndarray:
    """Return n numbers; infinities are refused."""
    refuse_masked(value, name)
    found = _as_numbers(value, name)
    if found.ndim == 0:
        found = np.full(n, float(found))
    if found.shape not in ((n,), (n, 1)):
        raise ValueError(f"{name} has shape {found.shape}, but there are {n} rows: give one number for each.")
    found = np.ascontiguousarray(found.reshape(n))
    if np.any(np.isinf(found)):
        raise ValueError(f"{name} is infinite in row {int(np.argmax(np.isinf(found)))}.")
    return found


def _as_numbers(value: Any, name: str) -> np.ndarray:
    """Return doubles, of any shape; what would lose its meaning on the way is refused."""
    try:
        given = np.asarray(value)
        if given.dtype.kind in "cmM":
            raise TypeError("complex numbers and times have no place on the real line")
        return np.asarray(given, dtype=np.float64)
    except OverflowError:
        raise ValueError(
            f"{name} holds an integer too large for a double: divide it by a constant."
        ) from None
    except (TypeError, ValueError):
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be real numbers, one for each row; got {kind}.") from None

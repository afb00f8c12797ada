"""What may come in: parameters of the estimators, arrays and weights, each refused in one sentence."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, validate_data

from bayesglm.inference.sampling import TUNE_UNKNOWN_SCALE, Settings
from bayesglm.inference.sufficient import Summary
from bayesglm.parallel import thread_count
from bayesglm.sparse_structure import check_structure

#: Sums of weights beyond this are refused: log densities of that size leave no digits to tell sigma by.
MAX_WEIGHT = 1e15
MIN_WEIGHT = 1e-12
#: What a chain holds besides its draws, in doubles: itself, its seed, its generator, its target's memory.
CHAIN_NUMBERS = 1000.0


def check_int(value: Any, name: str, minimum: int) -> int:
    """Return ``value`` if it is an int of at least ``minimum``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Integral, np.integer)):
        raise TypeError(f"{name} must be an int of at least {minimum}; got {value!r}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value!r}.")
    number = int(value)
    if number >= 1 << 63:
        raise ValueError(f"{name} must be less than 2**63; got a number of {number.bit_length()} bits.")
    return number


def check_fraction(value: Any, name: str) -> float:
    """Return ``value`` if it is a number strictly between 0 and 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number between 0 and 1; got {value!r}.")
    number: Any = value
    if not 0.0 < number < 1.0:
        raise ValueError(f"{name} must be between 0 and 1; got {value!r}.")
    return float(number)


def check_bool(value: Any, name: str) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}.")
    return bool(value)


def check_settings(estimator: Any) -> Settings:
    """Return the sampler's settings from the estimator's parameters, all of them checked."""
    chains = check_int(estimator.chains, "chains", 1)
    if estimator.progressbar is not None:
        check_bool(estimator.progressbar, "progressbar")
    check_bool(estimator.center, "center")
    check_bool(estimator.positive, "positive")
    max_treedepth = check_int(estimator.max_treedepth, "max_treedepth", 1)
    if max_treedepth > 20:
        raise ValueError(f"max_treedepth must be at most 20 (a million steps); got {max_treedepth}.")
    return Settings(
        chains=chains,
        draws=check_int(estimator.draws, "draws", 1),
        tune=None if estimator.tune is None else check_int(estimator.tune, "tune", 0),
        target_accept=check_fraction(estimator.target_accept, "target_accept"),
        max_treedepth=max_treedepth,
        n_threads=thread_count(estimator.n_jobs, chains),
        progressbar=estimator.progressbar,
    )


def check_memory(numbers: float, what: str, remedy: str) -> None:
    """Refuse what this machine's memory does not hold, before it is allocated.

    Parameters
    ----------
    numbers : float
        Doubles that will be alive at the same time.
    what, remedy : str
        For the message: what needs them, and what to ask for instead.
    """
    limit = _memory() // 2
    if 8.0 * numbers > limit:
        raise ValueError(
            f"{what} needs {8.0 * numbers / 2**30:.0f} GiB; {remedy} (half of this machine's memory is "
            f"{limit / 2**30:.0f} GiB)."
        )


def check_draws(draws: int, tune: int | None, chains: int, parameters: int) -> None:
    """Refuse more draws than memory holds; about four copies of them are alive while a fit ends.

    Warm-up is held as well; ``tune=None`` is as much as routes take by themselves. A chain takes some memory even
    before its first draw.
    """
    warm_up = TUNE_UNKNOWN_SCALE if tune is None else tune
    what = f"draws={draws} with chains={chains}, {parameters} parameters" + (
        f" and tune={tune}" if tune else ""
    )
    each = chains * (4.0 * parameters + 30.0)
    fixed = chains * CHAIN_NUMBERS
    most = (_memory() / 16.0 - fixed) / each - warm_up
    remedy = (
        f"at most {most:.0f} draws" if most >= 100.0 else "fewer chains" if chains > 100 else "less warm-up"
    )
    check_memory(each * (draws + warm_up) + fixed, what, f"ask for {remedy}")


def check_predictive(
    draws: int | None, posterior: int, rows: int, each: float = 1.0, chosen: float = 0.0
) -> None:
    """Refuse predictive draws that memory does not hold.

    Parameters
    ----------
    draws : int or None
        As asked for; None: as many as there are in the posterior.
    posterior, rows : int
        Draws of the posterior, and rows to predict.
    each : float, default=1
        Numbers for each draw of a row.
    chosen : float, default=0
        Numbers that are copied of each posterior draw that is used.
    """
    number = posterior if draws is None else check_int(draws, "draws", 1)
    what = f"draws={number} of {rows} rows"
    check_memory(number * (3.0 * rows * each + chosen + 1.0), what, "ask for fewer at a time")


def _memory() -> int:
    """Return the physical memory in bytes; 16 GiB where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 34


def check_choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of the strings in ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}; got {value!r}.")
    return value


def check_arrays(estimator: Any, X: Any, y: Any, reset: bool = True) -> tuple[Any, np.ndarray]:
    """Return X (n, p) and y (n,) or (n, k), X in its own dtype and memory, not yet searched for NaN.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator, or with ``reset=False`` compares X with
    them. A sparse X becomes CSR.
    """
    X = check_structure(X)
    _refuse_text(X)
    refuse_masked(X, "X")
    refuse_masked(y, "y")
    if _is_frame_without_columns(X):
        X = np.empty(X.shape)
    elif getattr(X, "ndim", 0) == 2 and X.shape[1] == 0:
        raise ValueError(
            f"X has 0 feature(s) (shape={X.shape}) while a minimum of 1 is required; for an intercept alone "
            "use the formula 'y ~ 1' or a data frame without columns."
        )
    if sparse.issparse(y):
        raise TypeError("y is sparse, but responses are read as an array: pass y.toarray().")
    if getattr(y, "ndim", 0) == 2 and y.shape[1] == 0:
        raise ValueError(f"y has shape {y.shape}: give at least one response.")
    if y is not None and np.asarray(y).dtype.kind in "OUSTf":
        numbers = as_numbers(y)
        raise_not_finite(None, numbers, ())
        if np.asarray(y).dtype.kind == "T":  # which scikit-learn does not know
            y = numbers
    X, y = _validated(
        estimator,
        X,
        y,
        reset=reset,
        accept_sparse="csr",
        dtype="numeric",
        ensure_all_finite=False,
        ensure_min_features=0,
        y_numeric=True,
        multi_output=True,
    )
    if X.dtype.kind == "O":
        try:
            X = X.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"X must hold numbers, so encode it first: {error}.") from None
    return X, np.ascontiguousarray(as_numbers(y))


def _validated(estimator: Any, *data: Any, **options: Any) -> Any:
    """Return what scikit-learn's validation makes of the data; what others raise inside it is put in one sentence."""
    try:
        return validate_data(estimator, *data, **options)
    except Exception as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        theirs = last is not None and last.tb_frame.f_globals.get("__name__", "").startswith("sklearn")
        if theirs and "Expected 2D array" in str(error):
            # scikit-learn prints all of it; its own checks look for the second sentence.
            raise ValueError(
                f"X has shape {np.shape(data[0])}, but rows and columns are wanted. Reshape your data: "
                "X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row."
            ) from None
        if theirs and isinstance(error, (ValueError, TypeError)):
            raise
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(f"X or y cannot be read as numbers: {reason or type(error).__name__}.") from None


def check_response(y: Any, n: int, k: int) -> np.ndarray:
    """Return the k responses that belong to n rows, as floats of shape (n, k); NaN is let through."""
    observed = as_numbers(y)
    if observed.shape not in ((n,), (n, 1)) if k == 1 else observed.shape != (n, k):
        wanted = "one number a row" if k == 1 else f"{k} numbers a row, one a response"
        raise ValueError(f"y has shape {observed.shape}, but X has {n} rows: give {wanted}.")
    return observed.reshape(n, k)


def response_names(y: Any, Y: np.ndarray, before: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return what the responses are called: by their frame or series, or else y, or y0, y1, ...

    Those of the rows before, if given, keep their names, and must not be called otherwise.
    """
    usual = ("y",) if Y.ndim == 1 else tuple(f"y{j}" for j in range(Y.shape[1]))
    given: list[Any] = [getattr(y, "name", None)] if Y.ndim == 1 else list(getattr(y, "columns", ()))
    named = len(given) == len(usual) and all(isinstance(name, str) and name for name in given)
    names = tuple(given) if named else usual
    if before is None:
        return names
    if len(names) == len(before) and names != before and usual not in (names, before):
        raise ValueError(
            f"y holds {', '.join(map(repr, names))}, but the rows before {', '.join(map(repr, before))}: give the "
            "same responses in the same order."
        )
    return before


def as_numbers(y: Any) -> np.ndarray:
    """Return responses as floats; NaN is let through."""
    try:
        if is_complex(y):
            raise ValueError("complex numbers have no order")
        return np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"y must hold numbers, so encode it first: {error}.") from None


def check_rows(estimator: Any, X: Any) -> Any:
    """Return X (n, p) for prediction, finite and with the columns of `fit`; a sparse X as CSR."""
    # What scikit-learn's validation does for the plainest of arrays takes longer than to predict a row.
    if (
        type(X) is np.ndarray
        and X.dtype == np.float64
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and "feature_names_in_" not in estimator.__dict__
        and math.isfinite(_total(X))
    ):
        return X
    X = check_structure(X)
    _refuse_text(X)
    refuse_masked(X, "X")
    if _is_frame_without_columns(X):
        X = np.empty(X.shape)
    rows = _validated(
        estimator,
        X,
        reset=False,
        accept_sparse="csr",
        dtype=np.float64,
        ensure_min_features=0,
        ensure_all_finite=False,
    )
    if not math.isfinite(_total(rows)):
        names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(rows.shape[1])])
        raise_not_finite(rows, np.zeros(0), tuple(names), overflow=False)
    return rows


def _total(X: Any) -> float:
    """Return the sum of all entries: not finite where one of them is not (or where they overflow)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float((X.data if sparse.issparse(X) else X).sum())


def check_weights(sample_weight: Any, n: int, weights_type: str = "frequency") -> np.ndarray | None:
    """Return the weights as an array of shape (n,), or None."""
    if sample_weight is None:
        return None
    refuse_masked(sample_weight, "sample_weight")
    if is_complex(sample_weight):
        raise TypeError("sample_weight must be real numbers; got complex ones.")
    try:
        weights = _check_sample_weight(sample_weight, np.empty((n, 1)), dtype=np.float64)
    except OverflowError:
        raise ValueError("sample_weight holds an integer beyond what a double holds.") from None
    except TypeError as error:
        raise TypeError(f"sample_weight must hold numbers, one for each row: {error}") from None
    if not np.all(np.isfinite(weights)):
        raise ValueError(
            f"sample_weight holds NaN or infinity in row {int(np.argmin(np.isfinite(weights)))}."
        )
    if np.any(weights < 0.0):
        raise ValueError(
            f"sample_weight must not be negative; got {weights.min():.4g} in row {int(np.argmin(weights))}."
        )
    if not np.any(weights > 0.0):
        raise ValueError("sample_weight is zero for every row: at least one weight must not be zero.")
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not MIN_WEIGHT <= total <= MAX_WEIGHT:
        meaning = "count equal rows" if weights_type == "frequency" else "are relative to a noise of sigma"
        raise ValueError(
            f"sample_weight sums to {total:.3g}, but weights {meaning}: rescale them so that they sum to the "
            "number of observations."
        )
    return weights


def raise_not_finite(X: Any, y: np.ndarray, columns: tuple[str, ...], overflow: bool = True) -> None:
    """Say which value of X or y is not finite or, if none is and X is given, that squares overflow."""
    for start in range(0, 0 if X is None else X.shape[0], 65536):
        block = X[start : start + 65536]
        if sparse.issparse(block):
            entries = block.tocoo()
            bad = np.flatnonzero(~np.isfinite(entries.data))
            found = [(entries.row[i], entries.col[i], entries.data[i]) for i in bad[:1]]
        else:
            block = np.asarray(block, dtype=np.float64)
            found = [
                (row, column, block[row, column]) for row, column in np.argwhere(~np.isfinite(block))[:1]
            ]
        for row, column, value in found:
            kind = "NaN" if np.isnan(value) else "infinity (inf)"
            raise ValueError(
                f"X contains {kind} in column {columns[column]!r}, row {start + row}; drop or impute such rows, or "
                "use a formula, which leaves rows with missing values out."
            )
    y = np.atleast_1d(y)
    bad = ~np.isfinite(y)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        kind = "NaN" if np.isnan(y[row]).any() else "infinity (inf)"
        raise ValueError(f"y contains {kind} in row {row}; drop such rows.")
    if X is not None and overflow:
        raise ValueError(
            "X or y holds numbers so large or small that their squares overflow; divide them by a constant."
        )


def raise_out_of_range(response: str, column: str | None) -> NoReturn:
    """Say which response, or which column beside it, has squares that are no doubles."""
    if column is None:
        raise ValueError(
            f"{response} holds numbers so large or small that their squares overflow; divide y by a constant."
        )
    raise ValueError(
        f"{response} and column {column!r} hold numbers so large or small that their squares overflow; divide them by "
        "a constant, since the squares of the coefficient do."
    )


def is_complex(values: Any) -> bool:
    """Whether there are complex numbers, whose imaginary part NumPy would drop."""
    try:
        return bool(np.iscomplexobj(values))
    except (ValueError, TypeError):  # no array at all
        return False


def refuse_masked(values: Any, name: str) -> None:
    """Refuse an array with masked entries, which NumPy would read as whatever is under the mask."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        row = int(np.argwhere(np.ma.getmaskarray(values))[0][0])
        raise ValueError(f"{name} is masked in row {row}: drop such rows, or fill them in by filled().")


def _is_frame_without_columns(X: Any) -> bool:
    """Whether X is a data frame with rows and no columns: a model of the intercept alone."""
    return getattr(X, "columns", None) is not None and len(X.columns) == 0 and X.shape[0] > 0


def _refuse_text(X: Any) -> None:
    """Say which column of a data frame holds text, instead of that some string is no float."""
    if isinstance(X, np.ndarray) and X.dtype.kind in "TVmM":
        raise ValueError(f"X has the dtype {X.dtype}, which holds no numbers: convert it first.")
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or getattr(X, "columns", None) is None:
        return
    seen: set[Any] = set()
    for name in X.columns:
        if name in seen:
            raise ValueError(f"X has more than one column {name!r}: rename them, or leave all but one out.")
        seen.add(name)
    for i, (name, dtype) in enumerate(zip(X.columns, dtypes, strict=True)):
        kind = str(dtype).lower()
        text = kind.startswith(("str", "category", "categorical", "enum", "utf8"))
        if kind == "object":
            first = X.iloc[:1000, i]
            text = any(isinstance(value, str) for value in first)
            strange = [value for value in first if np.ndim(value) or isinstance(value, (set, dict))]
            if strange:
                raise ValueError(
                    f"column {name!r} holds objects of type {type(strange[0]).__name__}: give one number a row."
                )
        if kind.startswith(("datetime", "timedelta", "date", "duration", "time", "period")):
            raise ValueError(
                f"column {name!r} holds dates or durations: convert it to a number first, such as days since a start."
            )
        if text:
            raise ValueError(
                f"column {name!r} holds text, so X cannot be used as numbers: encode it, or use a formula, "
                f"such as 'y ~ C({name})'."
            )


def constant_response(summary: Summary, exact_fit: bool) -> str:
    """Say what a response without spread means for priors and sigma."""
    what = "There is a single row" if summary.n_rows == 1 else "y is constant"
    text = f"{what}, so sd(y) = 0, and priors with autoscale use a scale of 1 instead"
    if exact_fit:
        text += "; the data are fitted to rounding error, and sigma is no more than that"
    elif summary.n_rows == 1:
        text += "; sigma is known from its prior only"
    return text + "."


def not_identified(summary: Summary, names: tuple[str, ...], columns: np.ndarray) -> str:
    """Say which columns a flat prior leaves undetermined."""
    shown = ", ".join(repr(names[i]) for i in columns[:8]) + (", ..." if len(columns) > 8 else "")
    needed = summary.intercept + len(names)
    if summary.n_rows < needed:
        rows = "1 sample" if summary.n_rows == 1 else f"{summary.n_rows} rows"
        reason = f"{rows} cannot determine {needed} coefficients"
    elif len(columns) == 1:
        reason = f"column {shown} is constant"
    else:
        reason = f"columns {shown} are collinear"
    return (
        f"prior: {reason}, and a flat prior does not help: leave columns out, or give them a proper prior such as "
        "Normal(0, 1)."
    )

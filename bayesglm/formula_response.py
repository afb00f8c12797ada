"""The response of a formula model: on the formula's left side, or passed as an array of one column or several."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bayesglm.formula_columns import Values, read_array
from bayesglm.formula_language import Parsed
from bayesglm.formula_names import suggest


def check_response_given(parsed: Parsed, y: Any, names: Collection[str] | None = None) -> None:
    """See that there is one response, on the left side or in `y`; `names` are the columns that the frame has."""
    bare = parsed.bare_response
    if y is None and parsed.left is None:
        raise ValueError(
            f"formula {parsed.text!r} has no response: write 'y ~ ...' with the column that is the response, "
            "or pass y"
        )
    if y is not None and parsed.left is not None and bare is None:
        raise ValueError(
            f"y was passed, but the left side of formula {parsed.text!r} is more than a name; leave out one "
            "of the two"
        )
    if y is None and bare is not None and names is not None and bare not in names:
        raise ValueError(
            f"the response {bare!r} of formula {parsed.text!r} is not a column of the frame "
            f"({suggest(bare, names)}); add it, or pass y"
        )


def given_response(y: Any, n_rows: int) -> np.ndarray:
    """The response or responses passed as an array, shape (n_rows,) or (n_rows, k)."""
    shape = np.shape(y)
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise ValueError(f"y must be one column or several, one a response, got shape {shape}")
    if shape[0] != n_rows:
        raise ValueError(f"y has {shape[0]} values but the frame has {n_rows} rows")
    if len(shape) == 1:
        return _complete_response("y", y)
    columns = getattr(y, "columns", None)
    if columns is None:
        y, columns = dict(enumerate(np.asarray(y).T)), range(shape[1])
    names = [name if isinstance(name, str) else f"y{name}" for name in columns]
    found = [_complete_response(name, y[column]) for name, column in zip(names, columns, strict=True)]
    return np.column_stack(found)


def _complete_response(name: str, y: Any) -> np.ndarray:
    found = read_array(name, y)
    values = numbers_of_response(name, found)
    if found.missing.any():
        raise ValueError(
            f"{name} is missing (NaN) in row {int(np.argmax(found.missing))}; drop such rows from y and the frame"
        )
    return values


def numbers_of_response(name: str, found: Values) -> np.ndarray:
    """The response as floats, NaN where it is missing."""
    if found.kind != "number":
        raise _no_number(name)
    values: np.ndarray = found.values.astype(np.float64)
    values[found.missing] = np.nan
    return values


def check_computed_response(info: Any, name: str) -> None:
    """See that what patsy made of the left side is one column of numbers."""
    (known,) = info.factor_infos.values()
    if known.type != "numerical" or known.num_columns != 1:
        raise _no_number(name)


def _no_number(name: str) -> ValueError:
    return ValueError(
        f"the response {name!r} must be one column of numbers, not booleans, text, categories or several "
        "columns; convert it first, for example to 0 and 1"
    )

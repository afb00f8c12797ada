"""The response of a formula model: on the formula's left side, or passed as an array of one column or several."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bayesglm.formula_columns import Values, read_array
from bayesglm.formula_language import Parsed, column_named_by, parse, syntax_tree, walk
from bayesglm.formula_names import list_names, suggest


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


def columns_passed(y: Any, given: np.ndarray, found: Mapping[str, Values]) -> list[str]:
    """Columns of the frame that were passed as the response: of the same name, and with the same numbers.

    Parameters
    ----------
    y : array-like
        What was passed; only a pandas or polars Series or DataFrame has names.
    given : ndarray of float64, shape (n_rows,) or (n_rows, k)
        Its numbers.
    found : mapping from str to Values
        The columns that the formula reads.
    """
    names = y.columns if hasattr(y, "columns") else [y.name] if hasattr(y, "name") else []
    pairs = zip(names, given.reshape(len(given), -1).T, strict=bool(len(names)))
    return [name for name, values in pairs if name in found and np.array_equal(found[name].values, values)]


def refuse_response_on_the_right(parsed: Parsed, responses: Sequence[str], reads: Collection[str]) -> None:
    """Refuse a formula that explains the response by itself.

    A response that is computed of several columns, as a difference from a first measurement is, may be explained by
    some of them, and by all of them only without noise.

    Parameters
    ----------
    parsed : Parsed
    responses : sequence of str
        The columns that the response is computed of.
    reads : collection of str
        The columns that the right side reads.
    """
    if not responses or not set(responses) <= set(reads):
        return
    terms = [
        term
        for term in parsed.right
        if any(_reads(factor.code, responses, parsed.text) for factor in term.factors)
    ]
    name = responses[0] if parsed.left is None else parsed.response
    raise ValueError(
        f"formula {parsed.text!r}: the response {name!r} stands on the right side too, in "
        f"{list_names([term.name() for term in terms])}, where it explains itself; leave it out there"
    )


def refuse_labels_on_the_right(formula: str, frame: Any, y: Any) -> None:
    """Refuse a formula that explains labels by themselves, if they were passed under the name of their column."""
    name, names = getattr(y, "name", None), getattr(frame, "columns", frame)
    if not isinstance(name, str) or name not in names:
        return
    if np.array_equal(np.asarray(frame[name], dtype=object), np.asarray(y, dtype=object)):
        parsed = parse(formula, again=True)
        refuse_response_on_the_right(
            parsed, [name], [name] * any(_reads(c, [name], formula) for c in parsed.right_codes)
        )


def _reads(code: str, names: Collection[str], formula: str) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Call) and column_named_by(node) in names
        for node, _ in walk(syntax_tree(code, formula))
    )


def given_response(y: Any, n_rows: int, booleans: bool = False) -> np.ndarray:
    """The response or responses passed as an array, shape (n_rows,) or (n_rows, k)."""
    shape = np.shape(y)
    if len(shape) not in (1, 2) or shape[-1] == 0:
        raise ValueError(f"y must be one column or several, one a response, got shape {shape}")
    if shape[0] != n_rows:
        raise ValueError(f"y has {shape[0]} values but the frame has {n_rows} rows")
    if len(shape) == 1:
        return _complete_response("y", y, booleans)
    columns = getattr(y, "columns", None)
    if columns is None:
        y, columns = dict(enumerate(np.asarray(y).T)), range(shape[1])
    names = [name if isinstance(name, str) else f"y{name}" for name in columns]
    found = [
        _complete_response(name, y[column], booleans) for name, column in zip(names, columns, strict=True)
    ]
    return np.column_stack(found)


def _complete_response(name: str, y: Any, booleans: bool) -> np.ndarray:
    found = read_array(name, y)
    values = numbers_of_response(name, found, booleans)
    if found.missing.any():
        raise ValueError(
            f"{name} is missing (NaN) in row {int(np.argmax(found.missing))}; drop such rows from y and the frame"
        )
    return values


def numbers_of_response(name: str, found: Values, booleans: bool) -> np.ndarray:
    """The response as floats, NaN where it is missing; if `booleans`, those are 0 and 1."""
    if found.kind != "number" and not (booleans and found.kind == "bool"):
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
        "columns; convert it first, for example to 0 and 1, or use BayesianLogisticRegression"
    )

"""Columns of a data frame made ready for patsy: kinds, missing values and levels, at predict as at fit."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm.formula_names import Use, list_names, suggest


@dataclass(frozen=True)
class Column:
    """What is remembered of one column of the training frame."""

    use: Use
    #: "number", "bool", "text" (strings that the formula computes with) or "levels" (a factor)
    kind: str
    #: the levels of a factor in their order, else None
    levels: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Values:
    """One column as found in a frame: what it holds, and where nothing."""

    kind: str
    #: ndarray, or pandas.Categorical of "levels" and of "text"
    values: Any
    missing: np.ndarray

    def at(self, rows: np.ndarray) -> Any:
        """The values in `rows` (positions that increase), without a copy where that is all of them."""
        return self.values if len(rows) == len(self.values) else self.values[rows]


class Frame:
    """A pandas or polars data frame, or a dict of columns, seen as pandas Series without their index.

    Only columns asked for are touched, so the others may hold anything.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or mapping from names to one-dimensional array-likes

    Raises
    ------
    TypeError
        If `frame` is something else.
    """

    def __init__(self, frame: Any):
        import pandas as pd

        polars = sys.modules.get("polars")  # a polars frame exists only where polars was imported
        known = (pd.DataFrame, Mapping) if polars is None else (pd.DataFrame, Mapping, polars.DataFrame)
        if not isinstance(frame, known):
            raise TypeError(
                "formula models need a data frame (pandas, polars or a dict of columns), got "
                f"{type(frame).__name__}; name an array's columns by pandas.DataFrame(X, columns=[...]), and "
                'a transformer\'s by set_output(transform="pandas")'
            )
        self.frame = frame
        self.names = list(frame) if isinstance(frame, Mapping) else list(frame.columns)
        self.n_rows = -1  # set by measure

    def measure(self, wanted: Collection[str]) -> None:
        """Set `n_rows`; ValueError if it is 0, or not the same for all `wanted` columns of a dict."""
        if not isinstance(self.frame, Mapping):
            self.n_rows = len(self.frame)
        elif wanted:
            lengths = {name: _length(name, self.frame[name]) for name in wanted}
            first, self.n_rows = next(iter(lengths.items()))
            for name, length in lengths.items():
                if length != self.n_rows:
                    raise ValueError(
                        f"column {name!r} has {length} rows but column {first!r} has {self.n_rows}"
                    )
        else:
            sized = (c for c in self.frame.values() if hasattr(c, "__len__") and not isinstance(c, str))
            self.n_rows = next((len(column) for column in sized), 0)
        if self.n_rows == 0:
            raise ValueError("the data frame has no rows; a formula model needs at least one")

    def read(self, name: str) -> Values:
        """Find out what a column holds; ValueError if that is nothing a formula can use."""
        column = self.frame[name]
        if getattr(column, "ndim", 1) == 2 and not isinstance(self.frame, Mapping):
            raise ValueError(
                f"column {name!r} occurs {column.shape[1]} times in the frame; rename or drop all but one"
            )
        return _classify(name, _as_series(name, column))


def read_columns(frame: Frame, uses: Collection[Use], formula: str) -> tuple[dict[str, Values], np.ndarray]:
    """Read the columns that a formula uses.

    Parameters
    ----------
    frame : Frame
    uses : collection of Use
    formula : str
        The whole formula, for messages.

    Returns
    -------
    found : dict from names to Values
    complete : ndarray of bool, shape (n_rows,)
        Rows in which no column is missing, but for columns whose missing values the formula itself handles.

    Raises
    ------
    ValueError
        If a column is not there or holds nothing that a formula can use, or the frame has no rows.
    """
    for use in uses:
        if use.name not in frame.names:
            raise ValueError(
                f"formula {formula!r} needs the column {use.name!r}, which the frame does not have "
                f"({suggest(use.name, frame.names)})"
            )
    frame.measure([use.name for use in uses])
    found = {use.name: frame.read(use.name) for use in uses}
    complete = np.ones(frame.n_rows, dtype=bool)
    for use in uses:
        if not use.lenient:
            complete &= ~found[use.name].missing
    return found, complete


def remember(use: Use, found: Values, rows: np.ndarray) -> Column:
    """Fix a column's kind, and its levels if it is a factor, from its values in `rows` (positions)."""
    if found.kind == "levels":
        return Column(use, "levels", tuple(found.values.categories))
    levels: tuple[Any, ...] | None = None
    if use.alone and found.kind == "text":
        values = found.at(rows)
        held = np.flatnonzero(np.bincount(values.codes, minlength=len(values.categories)))
        levels = tuple(sorted(str(level) for level in values.categories[held]))
    elif use.alone and use.whole and found.kind == "number":  # C(x)
        levels = tuple(np.unique(found.at(rows)))
    if levels is not None and len(levels) > max(_MANY, 0.9 * len(rows)):
        raise ValueError(  # before patsy makes about as many columns as there are rows
            f"column {use.name!r} has {len(levels)} different values in {len(rows)} rows, too many for a "
            "factor; convert it to numbers, or leave it out"
        )
    return Column(use, "levels", levels) if found.kind == "text" and levels else Column(use, found.kind)


def ready(column: Column, found: Values, rows: np.ndarray) -> Any:
    """Make the values in `rows` what they were at fit.

    Parameters
    ----------
    column : Column
        What is remembered.
    found : Values
        The whole column of the frame at hand.
    rows : ndarray of int
        Positions of the rows wanted.

    Returns
    -------
    pandas.Series or ndarray, shape (len(rows),)
        An array, which is faster, of numbers whose use is plain; it cannot be written to, since it may be
        the frame's own.

    Raises
    ------
    ValueError
        If the column has another kind than at fit, or a level that it did not have.
    """
    import pandas as pd

    name, kind, values = column.use.name, found.kind, found.at(rows)
    numeric = kind in ("number", "bool")
    if kind == "levels" and column.kind == "levels" and tuple(values.categories) == column.levels:
        return pd.Series(values)
    if column.kind == "levels" and (column.use.alone or kind in ("text", "levels")):
        levels = list(column.levels or ())
        codes = _codes(values, levels)
        unknown = np.flatnonzero((codes < 0) & ~found.missing[rows])
        if len(unknown) and column.use.alone:
            raise unknown_level(name, values[unknown], rows[unknown[0]], levels)
        if len(unknown):  # inside an expression such as g == "a" any value will do
            levels += sorted(set(values[unknown]), key=str)
            codes = _codes(values, levels)
        return pd.Series(pd.Categorical.from_codes(codes, categories=levels))
    if column.kind == "text" and kind in ("text", "levels"):
        return pd.Series(np.asarray(values, dtype=object), dtype=object)
    if column.kind == kind == "number" and column.use.plain:
        if column.use.lenient:  # only then may rows be wanted that are missing
            values = np.where(found.missing[rows], np.nan, values)
        values = values.astype(np.float64, copy=False).view()
        values.flags.writeable = False
        return values
    if column.kind == "number" and numeric:
        integers = np.issubdtype(values.dtype, np.integer) and column.use.whole
        missing = found.missing[rows]  # only where the formula handles missing values itself
        values = values.astype(np.int64 if integers and not missing.any() else np.float64)
        if missing.any():
            values[missing] = np.nan
        # Patsy looks at numbers in C() one by one, and at categories not at all.
        return pd.Series(pd.Categorical(values) if column.use.boxed else values)
    if column.kind == "bool" and numeric and np.isin(values, (0, 1)).all():
        return pd.Series(values.astype(bool))
    was, now = _WORDS[column.kind], _WORDS[kind]
    raise ValueError(f"column {name!r} held {was} at fit and now holds {now}; convert it to {was}")


def _codes(values: Any, levels: list[Any]) -> np.ndarray:
    """The position of each value among `levels`; -1 where it is none of them or missing."""
    import pandas as pd

    if not isinstance(values, pd.Categorical):
        codes: np.ndarray = pd.Index(levels, dtype=object).get_indexer(np.asarray(values, dtype=object))
        return codes
    known = {level: code for code, level in enumerate(levels)}
    # Code -1, a missing value, looks up the last.
    return np.array([known.get(level, -1) for level in values.categories] + [-1], dtype=np.intp)[values.codes]


def unknown_level(factor: str, values: Collection[Any], row: int, levels: Collection[Any]) -> ValueError:
    """Describe levels that a factor did not have at fit; `row` is the position of the first."""
    unknown = list(dict.fromkeys(_plain(value) for value in values))
    return ValueError(
        f"factor {factor!r} has the unknown level{'s' * (len(unknown) > 1)} {list_names(unknown)}, first in "
        f"row {row}; its levels are {list_names([_plain(level) for level in levels])}"
    )


def kind_of(values: Any) -> str:
    """The kind of a column that `ready` has made: "text" of levels too, "bool" or "number"."""
    kind = getattr(values.dtype, "kind", "O")
    return "bool" if kind == "b" else "number" if kind in "iuf" else "text"


def read_array(name: str, values: Any) -> Values:
    """Read an array-like that is no column of a frame, such as a response given by itself."""
    return _classify(name, _as_series(name, values))


# A factor may have as many levels as it likes up to this number; above it, most levels must occur twice.
_MANY = 100
_LARGEST = np.iinfo(np.int64).max
_WORDS = {"number": "numbers", "bool": "booleans", "text": "text", "levels": "categories"}


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, which print as people write them."""
    return value.item() if isinstance(value, np.generic) else value


def _length(name: Any, column: Any) -> int:
    shape = np.shape(column) if not hasattr(column, "shape") else column.shape
    if len(shape) != 1:
        raise ValueError(f"column {name!r} must be one-dimensional, got {len(shape)} dimensions")
    return int(shape[0])


def _as_series(name: str, column: Any) -> Any:
    """A pandas Series of the column's values, counted from 0."""
    import pandas as pd

    polars = sys.modules.get("polars")
    if polars is None or not isinstance(column, polars.Series):
        return pd.Series(column).reset_index(drop=True)
    dtype = column.dtype
    if dtype.is_temporal():
        raise _dates(name)
    if isinstance(dtype, polars.Enum):
        return pd.Series(pd.Categorical(column.to_list(), categories=dtype.categories.to_list()))
    if dtype.is_integer() and column.null_count():
        return pd.Series(column.to_list(), dtype="Int64")
    if dtype.is_numeric():
        return pd.Series((column.cast(polars.Float64) if dtype.is_decimal() else column).to_numpy())
    return pd.Series(column.to_list(), dtype=object)


def _classify(name: str, series: Any) -> Values:
    """Sort a column into one of the four kinds by its dtype, or by what it holds if that is ``object``."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return Values("levels", series.array, series.array.codes < 0)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "string":
        arrow = getattr(series.dtype, "storage", None) == "pyarrow"
        codes, found = pd.factorize(series if arrow else series.to_numpy(dtype=object))
        categories = pd.Index(np.asarray(found, dtype=object), dtype=object)
        return Values("text", pd.Categorical.from_codes(codes, categories=categories), codes < 0)
    if series.dtype == np.float64:
        numbers = series.to_numpy()
        return Values("number", numbers, np.isnan(numbers))
    missing = series.isna().to_numpy(dtype=bool)
    if kind == "boolean":
        return Values("bool", series.mask(missing, False).to_numpy(dtype=bool), missing)
    if kind == "integer":
        integers = series.mask(missing, 0)  # rows that are missing are never read
        if integers.min() >= -_LARGEST and integers.max() <= _LARGEST:
            return Values("number", integers.to_numpy(dtype=np.int64), missing)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Values("number", numbers, np.isnan(numbers))
    if kind == "complex":
        raise ValueError(f"column {name!r} holds complex numbers; use its real part or its absolute value")
    if kind.startswith(("date", "time", "period")):
        raise _dates(name)
    held = sorted({type(value).__name__ for value in series[~missing]})
    raise ValueError(
        f"column {name!r} holds objects of type {list_names(held)}; convert it to numbers, or to strings "
        "for a factor"
    )


def _dates(name: str) -> ValueError:
    return ValueError(
        f"column {name!r} holds dates or times, which a formula cannot use; convert it to a number first, "
        "for example to the days since the first date"
    )

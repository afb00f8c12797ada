"""What a formula may ask for: splines and contrasts that can be computed, columns that fit into memory.

The code of a formula says little of this before it is evaluated (``df=n`` may be anything), so it is judged while patsy
learns the factors: a spline's arguments when it is called, a factor's columns and levels when its value is known, and
all columns together before patsy makes the first contrast.
"""

import contextlib
import inspect
import math
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from bayesglm.validation import check_memory

#: FITPACK's limit: beyond, it writes over memory that is not its own.
HIGHEST_DEGREE = 5
# Arrays of rows x columns, and of columns x columns, that are alive at the same time in a fit.
_BY_ROWS, _BY_COLUMNS = 3, 8
# A count that no memory serves; counting on would take all time.
_ENDLESS = 1 << 40


class UnreasonableError(ValueError):
    """What a formula may not ask for, in words for whoever wrote it."""


@dataclass(frozen=True)
class Size:
    """How many columns a factor brings: numbers, or levels beside an intercept."""

    columns: int
    levels: bool = False


def count_columns(terms: Iterable[Collection[Any]], sizes: Mapping[Any, Size], most: int = _ENDLESS) -> int:
    """Count the columns of a model matrix, redundant levels left out as patsy does.

    Parameters
    ----------
    terms : iterable of collections
        For each term its factors.
    sizes : mapping
        The size of each factor.
    most : int
        Where counting may end.

    Returns
    -------
    int
        With the intercept's column where there is one, that is an empty term; or some number above `most`.
    """
    total, seen = 0, set()
    for factors in terms:
        levels = [factor for factor in factors if sizes[factor].levels]
        numbers = frozenset(factors) - frozenset(levels)
        width = math.prod(sizes[factor].columns for factor in numbers)
        if len(levels) > 40 or width << len(levels) > most:  # two levels at least, each
            return most + 1
        # Of each subset of the factors with levels there are as many columns as no smaller one has explained.
        parts = [(frozenset[Any](), width)]
        for factor in levels:
            parts += [(chosen | {factor}, found * sizes[factor].columns) for chosen, found in parts]
        for chosen, found in parts:
            if (numbers, chosen) not in seen:
                seen.add((numbers, chosen))
                total += found
        if total > most:
            return total
    return total


def check_matrix(columns: int, rows: int) -> None:
    """Raise `UnreasonableError` if a matrix of that shape, and what is made of it, does not fit into memory."""
    numbers = float(_BY_ROWS * rows * columns)
    _check_numbers(
        numbers, f"a matrix of {rows:,} x {columns:,}", "pass fewer rows at a time, or leave terms out"
    )


def _check_numbers(numbers: float, what: str, remedy: str) -> None:
    try:
        check_memory(numbers, what, remedy)
    except ValueError as error:
        raise UnreasonableError(str(error).rstrip(".")) from None


# -- factors while they are learnt ----------------------------------------------------------------------------


@dataclass
class Measure:
    """The factors of a formula while patsy learns them, judged before it makes columns of them.

    Parameters
    ----------
    termlists : list of lists of patsy.Term
    rows : int
    most : int, optional
        The most columns there may be; None: as many as memory holds.
    """

    termlists: list[list[Any]]
    rows: int
    most: int | None = None
    sizes: dict[Any, Size] = field(default_factory=dict)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """See the values of the factors, which patsy asks for when it has to know their columns and levels."""
        factors = [factor for terms in self.termlists for term in terms for factor in term.factors]
        for factor in factors:
            factor.eval = self._seen(factor, type(factor).eval)
        try:
            yield
        finally:
            for factor in factors:
                vars(factor).pop("eval", None)

    def _seen(self, factor: Any, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def seen(state: Any, data: Any) -> Any:
            value = evaluate(factor, state, data)
            self.sizes[factor] = size_of(value, textwrap.shorten(factor.name(), 80, placeholder=" ..."))
            if len(self.sizes) == len(
                {f for terms in self.termlists for term in terms for f in term.factors}
            ):
                self._judge()
            return value

        return seen

    def _judge(self) -> None:
        most = _ENDLESS if self.most is None else self.most
        columns = sum(count_columns([t.factors for t in terms], self.sizes, most) for terms in self.termlists)
        if self.most is not None and columns > self.most:
            raise UnreasonableError(too_many(self.most))
        what = f"a fit of {columns:,} columns and {self.rows:,} rows"
        numbers = float(_BY_ROWS * self.rows * columns + _BY_COLUMNS * columns**2)
        _check_numbers(numbers, what, "leave terms out, or ask for fewer levels or knots")


def too_many(most: int) -> str:
    """Say that strict mode takes no more columns."""
    return f"it asks for more than {most:,} columns, the most in strict mode; leave terms out, or ask for fewer knots"


def size_of(value: Any, name: str) -> Size:
    """Measure the value of a factor.

    Parameters
    ----------
    value : array-like or patsy's box of one
    name : str
        The factor, for messages.

    Raises
    ------
    UnreasonableError
        If it has a level twice, or scores by which no polynomial can be told from another.
    """
    contrast, levels, data = None, None, value
    if type(value).__name__ == "_CategoricalBox":
        contrast, levels, data = value.contrast, value.levels, value.data
    if levels is not None:
        levels = list(levels)
        twice = [level for i, level in enumerate(levels) if level in levels[:i]] if _repeated(levels) else []
        if twice:
            raise UnreasonableError(f"levels= of {name!r} holds {twice[0]!r} twice; name each level once")
        count = len(levels)
    else:
        found = _levels_in(data)
        if found is None:
            shape = np.shape(data)
            return Size(shape[1] if len(shape) > 1 else 1)
        count = found
    scores = getattr(contrast, "scores", None)
    if type(contrast).__name__ == "Poly" and scores is not None:
        _check_scores(scores, name)
    columns = max(count - 1, 1)
    if isinstance(contrast, list | tuple | np.ndarray):
        shape = np.shape(contrast)
        columns = shape[1] if len(shape) > 1 else 1
    return Size(columns, levels=True)


def _repeated(levels: list[Any]) -> bool:
    try:
        return len(set(levels)) < len(levels)
    except TypeError:  # patsy says that levels must have a hash
        return False


def _levels_in(data: Any) -> int | None:
    """How many levels there are in data that patsy takes for a factor; None of numbers."""
    import pandas as pd

    dtype = getattr(data, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return len(dtype.categories)
    values = np.asarray(data)
    if values.dtype.kind in "iufc":
        return None
    if values.dtype.kind == "b":
        return 2
    try:
        return len(pd.unique(values.reshape(-1).astype(object)))
    except TypeError:  # without a hash, which patsy refuses
        return 2


def _check_scores(scores: Any, name: str) -> None:
    values = np.asarray(scores, dtype=float).reshape(-1)
    if not np.isfinite(values).all() or len(np.unique(values)) < len(values):
        raise UnreasonableError(
            f"the scores of Poly in {name!r} must be different finite numbers, one for each level"
        )


# -- splines --------------------------------------------------------------------------------------------------


def guarded(transform: Any) -> Any:
    """Return a transform of patsy's so that its arguments are judged first; what is no spline comes back as it is."""
    for kind in type(transform).__mro__:
        if kind.__module__.startswith("patsy.") and kind.__name__ in _SPLINES:
            return _Guarded(transform, kind.__name__)
    return transform


class _Guarded:
    """A spline of patsy's behind a judge of its arguments."""

    def __init__(self, spline: Any, kind: str):
        self._spline, self._kind = spline, kind

    def memorize_chunk(self, *args: Any, **options: Any) -> None:
        _SPLINES[self._kind](self._spline.memorize_chunk, args, options)
        self._spline.memorize_chunk(*args, **options)

    def transform(self, *args: Any, **options: Any) -> Any:
        knots = getattr(self._spline, "_all_knots", None)
        if self._kind == "TE":
            _check_tensor(self._spline.transform, args, options)
        elif knots is not None and args:
            _check_spline_memory(len(knots), _rows(args[0]))
        return self._spline.transform(*args, **options)


def _rows(values: Any) -> int:
    shape = np.shape(values)
    return int(shape[0]) if shape else 1


def _check_spline_memory(columns: float, rows: int) -> None:
    numbers = float(_BY_ROWS * rows * columns + _BY_COLUMNS * columns**2)
    _check_numbers(numbers, f"a spline of {columns:,.0f} columns for {rows:,} rows", "ask for fewer knots")


def _check_spline(kind: str, call: Callable[..., Any], args: Any, options: Any) -> None:
    name = kind.lower()
    try:
        given = inspect.signature(call).bind(*args, **options).arguments
    except TypeError:
        return  # which patsy says better
    degree = given.get("degree", 3)
    if not (isinstance(degree, Real | np.number) and degree in range(HIGHEST_DEGREE + 1)):
        raise UnreasonableError(
            f"degree of {name}() must be a whole number from 0 to {HIGHEST_DEGREE}, got {str(degree)[:40]}"
        )
    for word in ("knots", "lower_bound", "upper_bound", "constraints"):
        value = given.get(word)
        if value is not None and not isinstance(value, str) and not _finite(value):
            raise UnreasonableError(f"{word} of {name}() must be finite numbers, got {str(value)[:40]}")
    df, knots = given.get("df"), given.get("knots")
    asked = 0 if knots is None else np.size(knots)
    if isinstance(df, Real | np.number):
        if not math.isfinite(float(df)):
            raise UnreasonableError(f"df of {name}() must be a whole number, got {df}")
        asked = max(asked, int(float(df)))
    _check_spline_memory(asked, _rows(given["x"]))


def _finite(values: Any) -> bool:
    try:
        return bool(np.isfinite(np.asarray(values, dtype=float)).all())
    except (TypeError, ValueError):
        return False


def _check_tensor(call: Callable[..., Any], args: Any, options: Any) -> None:
    constraints = options.get("constraints")
    if constraints is not None and not isinstance(constraints, str) and not _finite(constraints):
        raise UnreasonableError(f"constraints of te() must be finite numbers, got {str(constraints)[:40]}")
    shapes = [np.shape(value) for value in args]
    columns = math.prod(shape[1] for shape in shapes if len(shape) > 1)
    rows = max((_rows(value) for value in args), default=0)
    numbers = float(_BY_ROWS * rows * columns + (0 if constraints is None else _BY_COLUMNS * columns**2))
    _check_numbers(numbers, f"te() of {columns:,} columns for {rows:,} rows", "ask for fewer knots")


_Check = Callable[[Callable[..., Any], Any, Any], None]
_SPLINES: Mapping[str, _Check] = {
    "BS": lambda *call: _check_spline("BS", *call),
    "CR": lambda *call: _check_spline("CR", *call),
    "CC": lambda *call: _check_spline("CC", *call),
    "TE": _check_tensor,
}

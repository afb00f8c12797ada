"""The patsy bridge: a formula and a data frame become arrays and names; remembered, picklable, safe."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesglm.formula_columns import Column, Frame, read_columns, ready, remember
from bayesglm.formula_evaluation import calling, check_abscissae, evaluate, learn_factors, refuse_infinite
from bayesglm.formula_language import parse
from bayesglm.formula_masks import check_masks
from bayesglm.formula_names import Use, check_namespace, list_names, survey
from bayesglm.formula_response import (
    check_computed_response,
    check_response_given,
    columns_passed,
    given_response,
    numbers_of_response,
    refuse_response_on_the_right,
)
from bayesglm.formula_splines import as_written, centred, refuse_constants
from bayesglm.formula_state import dumps, loads, outside
from bayesglm.formula_strict import MOST_COLUMNS, MOST_TERMS, check_length, check_strict
from bayesglm.inference.caller import stack_level

# Leaving out rows can make others impossible to compute (what is left of a column may be constant, and then
# standardize() divides by zero); so many times the factors are learnt anew on the rows that remain.
_MOST_PASSES = 4
_REMEDY = "formula_strict=False takes more, of formulas that you trust"


@dataclass(frozen=True)
class FormulaData:
    """The arrays that a formula makes of a training frame.

    Attributes
    ----------
    X : ndarray of float64, shape (n_kept, p)
        The design matrix without the intercept's column.
    y : ndarray of float64, shape (n_kept,) or (n_kept, k)
        The response, or several that were passed as an array.
    kept : ndarray of bool, shape (n_rows,)
        Rows of the frame that are in `X` and `y`; in the others something is missing.
    """

    X: np.ndarray
    y: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True, eq=False)
class FormulaDesign:
    """A formula with what it has learnt from a training frame: factor levels, spline knots, means.

    Made by `learn`. Holds no training data; works with `pickle`, `joblib`, `cloudpickle` and `copy`, and then
    gives the same numbers in another process.

    Attributes
    ----------
    formula : str
        The formula as written.
    columns : tuple of str
        Patsy's names of the columns of the design matrix, without the intercept.
    terms : dict from str to list of int
        For each of patsy's terms, the positions of its columns among `columns`.
    intercept : bool
        Whether the model has an intercept.
    response : str
        Name of the response; ``"y"`` if the formula has no left side.
    has_response : bool
        Whether the formula has a left side.
    variables : tuple of str
        The columns of the frame that the right side reads.
    """

    formula: str
    columns: tuple[str, ...]
    terms: dict[str, list[int]]
    intercept: bool
    response: str
    has_response: bool
    variables: tuple[str, ...]
    # patsy's DesignInfo of each side; None for a right side without factors, and for a left side that is
    # nothing but a column, which is read without patsy.
    _right: Any = field(repr=False)
    _left: Any = field(repr=False)
    _right_columns: tuple[Column, ...] = field(repr=False)
    _left_columns: tuple[Column, ...] = field(repr=False)
    _helpers: dict[str, Any] = field(repr=False)

    @classmethod
    def learn(
        cls,
        formula: str,
        frame: Any,
        y: Any = None,
        *,
        namespace: Mapping[str, Any] | None = None,
        intercept: bool = True,
        strict: bool = False,
        booleans: bool = False,
    ) -> tuple["FormulaDesign", FormulaData]:
        """Apply a formula to a training frame.

        Parameters
        ----------
        formula : str
            For example ``"y ~ x + C(g)"``; the left side may be left out when `y` is given.
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
            Only columns that the formula names are read.
        y : array-like, shape (n_rows,) or (n_rows, k), optional
            The response or responses, used as they are, in place of the formula's left side.
        namespace : mapping from str to object, optional
            Functions and constants that the formula may use besides the frame's columns, patsy's builtins and
            ``np``. The caller's variables are never looked at.
        intercept : bool, default True
            ``False`` removes the intercept as ``- 1`` in the formula does.
        strict : bool, default False
            Take nothing but what `bayesglm.formula_strict` lists, for formulas of strangers.
        booleans : bool, default False
            Take a response of booleans, as 0 and 1; on the left side a column's name only.

        Returns
        -------
        FormulaDesign
        FormulaData
            Without the rows in which something is missing. The factors have learnt from the other rows only.

        Raises
        ------
        TypeError
            If `formula` is no string, `frame` no data frame or `namespace` no mapping.
        ValueError
            If the formula cannot be read or computed, or the data cannot serve. Rows are counted from 0.

        Warns
        -----
        UserWarning
            If rows are dropped, or if a term depends on which rows are evaluated together.
        """
        if strict:
            check_length(formula, _REMEDY)
        parsed = parse(formula, intercept, most_terms=MOST_TERMS if strict else None)
        namespace = check_namespace(namespace)
        source = Frame(frame)
        check_response_given(parsed, y, source.names)

        # A left side that is a bare column is read without patsy; where y is given, it is not read at all.
        bare = parsed.bare_response
        right_codes, left_codes = parsed.right_codes, parsed.left_codes if y is None else []
        right = survey(right_codes, formula, source.names, namespace)
        both = survey(right_codes + left_codes, formula, source.names, namespace)
        found, complete = read_columns(source, both.uses.values(), formula)
        kinds = {name: values.kind for name, values in found.items()}
        check_masks(right_codes + left_codes, formula, kinds, both.helpers)
        if strict:
            sides = [[factor.code for factor in term.factors] for term in parsed.right] + [left_codes]
            check_strict(sides, formula, kinds, both.helpers, _REMEDY)
        check_abscissae(right_codes + left_codes, found, both.helpers, formula)
        given = None
        if y is not None:
            given = given_response(y, source.n_rows, booleans)
        elif bare is not None:
            given = numbers_of_response(bare, found[bare], booleans)
        responses = (
            [bare] if bare is not None else list(survey(left_codes, formula, source.names, namespace).uses)
        )
        if y is not None and given is not None:
            responses += columns_passed(y, given, {name: found[name] for name in right.uses})
        refuse_response_on_the_right(parsed, responses, tuple(right.uses))

        dropped = _Dropped(formula, {name: values.missing for name, values in found.items()}, complete)
        right_terms = centred(parsed.right, kinds, formula)
        termlists = [right_terms] if given is not None else [right_terms, [parsed.left_term]]
        uses = right.uses if given is not None else both.uses
        rows = np.flatnonzero(complete)
        run, most = calling(interruptible=strict), MOST_COLUMNS if strict else None
        for _ in range(_MOST_PASSES):
            if not len(rows):
                raise dropped.everything()
            columns = {name: remember(both.uses[name], found[name], rows) for name in uses}
            data = {name: ready(column, found[name], rows) for name, column in columns.items()}
            infos = run(learn_factors, termlists, data, both.helpers, formula, len(rows), most)
            infos[0] = as_written(infos[0], parsed.right)
            if given is None:
                check_computed_response(infos[1], parsed.response)
            matrices, lost = run(evaluate, infos, data, rows, formula)
            if not lost:
                break
            rows = rows[~dropped.add(lost)]
        else:
            raise dropped.everything()

        left_columns: tuple[Column, ...]
        if bare is not None:
            use = Use(bare, alone=True, whole=False, lenient=False)
            left_columns = (Column(use, "bool" if booleans else "number"),)
        else:
            left_columns = tuple(columns[name] for name in responses if given is None)
        names, terms = layout(infos[0])
        design = cls(
            formula=formula,
            columns=names,
            terms=terms,
            intercept=any(not term.factors for term in parsed.right),
            response=parsed.response,
            has_response=parsed.left is not None,
            variables=tuple(right.uses),
            _right=infos[0] if right_codes else None,
            _left=infos[1] if given is None else None,
            _right_columns=tuple(columns[name] for name in right.uses),
            _left_columns=left_columns,
            _helpers=both.helpers,
        )
        X = design._without_intercept(matrices[0], rows)
        if design.intercept:
            refuse_constants(X, terms, formula)
        response = np.ascontiguousarray(matrices[1][:, 0] if given is None else given[rows])
        refuse_infinite(
            response.reshape(len(rows), -1), rows, [f"response {parsed.response!r}"] * response.size
        )
        dropped.warn()
        if not right.rowwise:
            design._warn_of_company(
                X[-1], {name: ready(columns[name], found[name], rows[-1:]) for name in data}
            )
        kept = np.zeros(source.n_rows, dtype=bool)
        kept[rows] = True
        return design, FormulaData(X, response, kept)

    def transform(self, frame: Any) -> np.ndarray:
        """Evaluate the right side of the formula on new rows.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns

        Returns
        -------
        ndarray of float64, shape (n_rows, p)
            Every row in its place; NaN throughout a row that cannot be computed for something missing in it.

        Raises
        ------
        TypeError
            If `frame` is no data frame.
        ValueError
            If a column is not there or of another kind than at fit, a factor has a level that it did not have
            at fit, or a term is infinite.
        """
        matrix, rows, n_rows = self._evaluated(frame, self._right, self._right_columns)
        known = self._without_intercept(matrix, rows)
        if len(rows) == n_rows:
            return known
        X = np.full((n_rows, len(self.columns)), np.nan)
        X[rows] = known
        return X

    def check_strict(self, remedy: str) -> None:
        """Raise ValueError if the formula is none that strict mode takes; `remedy` says how to switch that off."""
        parsed = parse(self.formula, again=True)
        sides = [[factor.code for factor in term.factors] for term in parsed.right]
        sides += [] if parsed.left is None else [[parsed.left.code]]
        kinds = self._kinds()
        if parsed.bare_response is not None:
            kinds.setdefault(parsed.bare_response, "number")
        check_strict(sides, self.formula, kinds, self._helpers, remedy, most=None)

    def _kinds(self) -> dict[str, str]:
        return {column.use.name: column.kind for column in (*self._right_columns, *self._left_columns)}

    def response_of(self, frame: Any) -> np.ndarray:
        """Evaluate the left side of the formula on a frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns

        Returns
        -------
        ndarray of float64, shape (n_rows,)
            NaN where it is missing.

        Raises
        ------
        TypeError
            If `frame` is no data frame.
        ValueError
            If the formula has no left side, or the frame cannot serve.
        """
        if not self.has_response:
            raise ValueError(f"formula {self.formula!r} has no response on its left side; pass y")
        if self._left is None:
            use, booleans = self._left_columns[0].use, self._left_columns[0].kind == "bool"
            found, complete = read_columns(Frame(frame), [use], self.formula)
            y, rows = numbers_of_response(use.name, found[use.name], booleans), np.flatnonzero(complete)
        else:
            matrix, rows, n_rows = self._evaluated(frame, self._left, self._left_columns)
            y = np.full(n_rows, np.nan)
            y[rows] = matrix[:, 0]
        refuse_infinite(y[rows, None], rows, [f"response {self.response!r}"])
        return y

    def more(self, frame: Any, y: Any = None) -> FormulaData:
        """Evaluate both sides on further training rows, without learning anything from them.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or dict of columns
        y : array-like, shape (n_rows,) or (n_rows, k), optional
            The response or responses, in place of the formula's left side.

        Returns
        -------
        FormulaData
            Without the rows in which something is missing.

        Raises
        ------
        TypeError, ValueError
            As `transform` and `response_of`.

        Warns
        -----
        UserWarning
            If rows are dropped.
        """
        check_response_given(parse(self.formula, again=True), y)
        X = self.transform(frame)
        response = self.response_of(frame) if y is None else given_response(y, len(X))
        kept = np.isfinite(X).all(axis=1) & np.isfinite(response.reshape(len(X), -1)).all(axis=1)
        if not kept.any():
            raise ValueError(
                f"formula {self.formula!r}: none of the {len(X)} rows can be used, since something is missing in "
                "each; fill in the values"
            )
        if not kept.all():
            warnings.warn(
                f"formula {self.formula!r}: dropped {int(np.sum(~kept))} of {len(kept)} rows with missing values",
                UserWarning,
                stacklevel=stack_level(),
            )
        return FormulaData(X[kept], response[kept], kept)

    def _evaluated(
        self, frame: Any, info: Any, columns: Collection[Column]
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """The matrix of one side on the rows that can be computed, their positions, and the number of all."""
        source = Frame(frame)
        found, complete = read_columns(source, [column.use for column in columns], self.formula)
        rows = np.flatnonzero(complete)
        if info is None or not len(rows):
            return np.empty((len(rows), int(self.intercept) + len(self.columns))), rows, source.n_rows
        data = {column.use.name: ready(column, found[column.use.name], rows) for column in columns}
        (matrix,), lost = evaluate([info], data, rows, self.formula)
        if lost:
            good = ~np.any(list(lost.values()), axis=0)
            matrix, rows = matrix[good], rows[good]
        return matrix, rows, source.n_rows

    def _without_intercept(self, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
        X = np.ascontiguousarray(matrix[:, int(self.intercept) :])  # patsy puts the intercept first
        refuse_infinite(X, rows, [f"term {name!r}" for name, places in self.terms.items() for _ in places])
        return X

    def _warn_of_company(self, row: np.ndarray, alone: Mapping[str, Any]) -> None:
        """Warn if the last row by itself is another than among the rest, as with x - np.mean(x).

        The predictions then depend on which rows are asked for together, which nobody means.
        """
        try:
            (matrix,), _ = evaluate([self._right], alone, np.zeros(1, dtype=int), self.formula)
            same = np.isclose(matrix[0, int(self.intercept) :], row, rtol=1e-6, atol=1e-9)
        except ValueError:
            same = np.zeros(len(row), dtype=bool)
        names = [name for name, places in self.terms.items() if not same[places].all()]
        if names:
            warnings.warn(
                f"formula {self.formula!r}: {list_names(names)} in a row depends on the other rows, so that "
                "predictions depend on which rows are passed together; center(), standardize() and scale() "
                "remember the training data instead",
                UserWarning,
                stacklevel=stack_level(),
            )

    def __getstate__(self) -> dict[str, Any]:
        functions = outside(self._helpers)
        learnt = {name: value for name, value in self.__dict__.items() if name != "_helpers"}
        constants = {name: value for name, value in self._helpers.items() if name not in functions}
        return {"functions": functions, "learnt": dumps((learnt, constants), functions)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        learnt, constants = loads(state["learnt"], state["functions"])
        self.__dict__.update(learnt, _helpers={**constants, **state["functions"]})
        # Earlier versions computed x^2, and masks of numbers, bit by bit.
        if set(self.formula) & set("^|&<>") or self.formula.count("~") > 1:
            parsed = parse(self.formula, again=True)
            check_masks(parsed.right_codes + parsed.left_codes, self.formula, self._kinds(), self._helpers)


class _Dropped:
    """Counts the rows left out at fit and says why."""

    def __init__(self, formula: str, missing: Mapping[str, np.ndarray], complete: np.ndarray):
        self.formula, self.n_rows, self.n_dropped = formula, len(complete), int(np.sum(~complete))
        self.columns = [name for name, mask in missing.items() if (mask & ~complete).any()]
        self.terms: list[str] = []

    def add(self, lost: Mapping[str, np.ndarray]) -> np.ndarray:
        """Note rows in which factors came out as NaN; return the union of their masks."""
        self.terms += [name for name in lost if name not in self.terms]
        union: np.ndarray = np.any(list(lost.values()), axis=0)
        self.n_dropped += int(union.sum())
        return union

    def _reasons(self) -> str:
        reasons = [f"missing values in {list_names(self.columns)}"] if self.columns else []
        reasons += [f"not a number in term {list_names(self.terms)}"] if self.terms else []
        return ", and ".join(reasons)

    def everything(self) -> ValueError:
        return ValueError(
            f"formula {self.formula!r}: none of the {self.n_rows} rows can be used ({self._reasons()}); fill "
            "in the values, or leave those columns out of the formula"
        )

    def warn(self) -> None:
        if self.n_dropped:
            warnings.warn(
                f"formula {self.formula!r}: dropped {self.n_dropped} of {self.n_rows} rows "
                f"({self._reasons()})",
                UserWarning,
                stacklevel=stack_level(),
            )


def layout(info: Any) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Names of a DesignInfo's columns, and each term's positions among them, without the intercept."""
    terms: dict[str, list[int]] = {}
    end = 0
    for term, parts in info.term_codings.items():
        if term.factors:
            start, end = end, end + sum(part.num_columns for part in parts)
            terms[term.name()] = list(range(start, end))
    return tuple(info.column_names[len(info.column_names) - end :]), terms

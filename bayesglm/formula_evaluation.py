"""Run patsy over prepared columns, dropping no row, and say in one sentence what goes wrong."""

import ast
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bayesglm.formula_errors import find_unknown_level, in_our_words, shortened
from bayesglm.formula_language import syntax_tree, walk
from bayesglm.formula_limits import Measure, check_matrix
from bayesglm.formula_names import list_names
from bayesglm.formula_state import environment
from bayesglm.inference.threads import in_threads


class KeepRows:
    """A policy on missing values for patsy that drops no row, and notes in which rows a factor has no value.

    Attributes
    ----------
    lost : dict from str to ndarray of bool, shape (n_rows,)
        By the factors' code; only factors that have rows without a value.
    """

    def __init__(self) -> None:
        self.lost: dict[str, np.ndarray] = {}

    # The names are patsy's.
    def is_categorical_NA(self, value: Any) -> bool:  # noqa: N802
        """Whether one value of a factor is none."""
        if isinstance(value, str | int):
            return False
        if isinstance(value, float | np.floating):
            return bool(value != value)
        return value is None or type(value).__name__ in ("NAType", "NaTType")

    def is_numerical_NA(self, values: Any) -> np.ndarray:  # noqa: N802
        """Rows in which a number is none."""
        values = np.asarray(values)
        if np.iscomplexobj(values):
            raise TypeError("a term is complex; use its real part or its absolute value")
        missing: np.ndarray = np.isnan(values[:, 0]) if values.shape[1] == 1 else np.isnan(values).any(axis=1)
        return missing

    def handle_NA(  # noqa: N802
        self, values: list[np.ndarray], masks: list[np.ndarray], origins: list[Any]
    ) -> list[np.ndarray]:
        """Note the rows, and give missing levels (code -1) any other, so that patsy goes on."""
        for origin, mask in zip(origins, masks, strict=True):
            if mask.any():
                self.lost[origin.relevant_code()] = mask
        # Patsy looks the codes up once a column: faster in the integers that NumPy indexes with.
        return [np.maximum(value, 0).astype(np.intp) if value.ndim == 1 else value for value in values]


class _Coding:
    """Stands in for the environment of a factor whose levels are known: its values come out as codes.

    Patsy is quick with pandas' categories, but looks at the values one by one where they are wrapped in
    ``C()``, or are anything else.
    """

    def __init__(self, environment: Any, levels: tuple[Any, ...]):
        self._environment, self._levels = environment, levels

    def eval(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate code as the environment does; what cannot be coded is left for patsy to refuse."""
        import pandas as pd

        value = self._environment.eval(*args, **kwargs)
        data = value
        if type(value).__name__ == "_CategoricalBox":
            if value.levels is not None and tuple(value.levels) != self._levels:
                return value
            data = value.data
        dtype = getattr(data, "dtype", None)
        if isinstance(dtype, pd.CategoricalDtype) and tuple(dtype.categories) == self._levels:
            return data
        if dtype is None or dtype.kind == "b" or np.ndim(data) != 1:
            return value
        values, levels = np.asarray(data, dtype=object), pd.Index(self._levels, dtype=object)
        try:
            codes = levels.get_indexer(values)
        except (TypeError, pd.errors.InvalidIndexError):  # values without hash, levels given twice
            return value
        policy = KeepRows()
        if not all(policy.is_categorical_NA(unknown) for unknown in values[codes < 0]):
            return value
        return pd.Categorical.from_codes(codes, categories=levels)


def _coding(info: Any) -> Any:
    """A DesignInfo like `info`, whose factors with levels are evaluated to codes."""
    from patsy import DesignInfo
    from patsy.design_info import FactorInfo

    known = dict(info.factor_infos)
    for factor, one in known.items():
        if one.type == "categorical":
            state = {**one.state, "eval_env": _Coding(one.state["eval_env"], one.categories)}
            known[factor] = FactorInfo(factor, "categorical", state, categories=one.categories)
    return DesignInfo(info.column_names, known, info.term_codings)


def learn_factors(
    termlists: list[list[Any]],
    data: Mapping[str, Any],
    helpers: Mapping[str, Any],
    formula: str,
    rows: int,
    most: int | None = None,
) -> list[Any]:
    """Let patsy learn what the factors of each side are: kinds, levels, knots.

    Parameters
    ----------
    termlists : list of lists of patsy.Term
        The terms of the right side, and if it is to be computed of the left.
    data : mapping from str to pandas.Series
        The columns, without missing values.
    helpers : mapping from str to object
        The user's functions and constants.
    formula : str
        The whole formula, for messages.
    rows : int
        How many rows there are.
    most : int, optional
        The most columns there may be; None: as many as memory holds.

    Returns
    -------
    list of patsy.DesignInfo

    Raises
    ------
    ValueError
        If a factor cannot be computed or has a single level, or the columns are too many.
    """
    from patsy.build import design_matrix_builders

    with in_our_words(formula, data), Measure(termlists, rows, most).watching():
        infos: list[Any] = design_matrix_builders(
            termlists, lambda: iter([data]), environment(helpers), KeepRows()
        )
    for known in infos[0].factor_infos.values():
        if known.type == "categorical" and len(known.categories) < 2:
            raise ValueError(
                f"factor {known.factor.name()!r} has only the level {list_names(known.categories)} in the "
                "rows used, so that it has no effect to estimate; leave it out of the formula"
            )
    return infos


def evaluate(
    infos: Sequence[Any], data: Mapping[str, Any], rows: np.ndarray, formula: str
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Compute the matrix of each side.

    Parameters
    ----------
    infos : sequence of patsy.DesignInfo
    data : mapping from str to pandas.Series
    rows : ndarray of int
        Positions of the rows of `data` in the user's frame, for messages.
    formula : str
        The whole formula, for messages.

    Returns
    -------
    matrices : list of ndarray, shape (len(rows), number of columns)
        With the intercept's column, if there is one, first.
    lost : dict from str to ndarray of bool, shape (len(rows),)
        For each factor without a value in some rows, which those are.

    Raises
    ------
    ValueError
        If a factor cannot be computed, or meets a level that it does not know.
    """
    from patsy.build import build_design_matrices

    policy = KeepRows()
    computed = [i for i, info in enumerate(infos) if info.factor_infos]
    ones = [0 if info.factor_infos else len(rows) for info in infos]  # a right side without factors
    matrices = [np.ones((n, len(info.column_names))) for n, info in zip(ones, infos, strict=True)]
    if computed:
        with in_our_words(
            formula, data, lambda: find_unknown_level(infos, data, rows, policy.is_categorical_NA)
        ):
            check_matrix(sum(len(infos[i].column_names) for i in computed), len(rows))
            built = build_design_matrices([_coding(infos[i]) for i in computed], data, NA_action=policy)
        for i, matrix in zip(computed, built, strict=True):
            matrices[i] = np.asarray(matrix)
            if len(matrix) != len(rows):
                names = [factor.name() for factor in infos[i].factor_infos]
                raise ValueError(
                    f"formula {formula!r}: {list_names(names)} must have one value a row, got "
                    f"{len(matrix)} for {len(rows)} rows"
                )
    return matrices, policy.lost


def calling(interruptible: bool) -> Callable[..., Any]:
    """Return what calls a function: as usual, or so that Ctrl-C ends it within NumPy's calls too.

    The latter takes a thread, in which only code that is known may run.
    """

    def call(function: Callable[..., Any], *args: Any) -> Any:
        return in_threads([functools.partial(function, *args)], 1)[0] if interruptible else function(*args)

    return call


def check_abscissae(
    codes: Collection[str], columns: Collection[str], helpers: Mapping[str, Any], formula: str
) -> None:
    """Refuse what np.interp() makes nonsense of without a word: abscissae that fall.

    Those that depend on columns of the frame are not looked at.

    Parameters
    ----------
    codes : collection of str
        The code of each factor, which has been judged.
    columns : collection of str
        Names of the columns that the formula reads.
    helpers : mapping from str to object
        The user's functions and constants.
    formula : str
        The whole formula, for messages.
    """
    for code in (code for code in codes if "interp" in code):
        for node, _ in walk(syntax_tree(code, formula)):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "np.interp"):
                continue
            given = dict(zip(("x", "xp", "fp", "left", "right", "period"), node.args, strict=False))
            given |= {str(keyword.arg): keyword.value for keyword in node.keywords}
            abscissae = given.get("xp")
            names = () if abscissae is None else ast.walk(abscissae)
            if (
                abscissae is None
                or "period" in given  # which sorts them
                or any(isinstance(part, ast.Name) and part.id in columns for part in names)
            ):
                continue
            text = ast.unparse(abscissae)
            with in_our_words(formula, {}):
                values = np.asarray(environment(helpers).eval(text), dtype=float)
            if not (np.diff(values) >= 0.0).all():
                raise ValueError(
                    f"formula {shortened(formula)}: xp={shortened(text)} of np.interp() must not fall; sort it, and "
                    "fp with it"
                )


def refuse_infinite(X: np.ndarray, rows: np.ndarray, names: Sequence[str]) -> None:
    """Raise ValueError if a value is not finite, with the name of its column and its row.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    rows : ndarray of int, shape (n,)
        Positions of the rows in the user's frame.
    names : sequence of str, length p
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    finite = np.isfinite(X)
    if not finite.all():  # a sum may also be too large
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{names[column]} is infinite or not a number in row {rows[row]}; look for a logarithm of zero, "
            "a division by zero or an overflow"
        )

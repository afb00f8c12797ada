"""A learnt formula as plain data, and back without evaluating anything of what the data say.

The data hold no code but the formula's own text. It is read and judged again when they are loaded, exactly as
at fit, and patsy's factors are made from it; the data only fill in what those have learnt. So a file can make
a model do no more than its formula could, written by whoever loads the file.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayesglm.formula import FormulaDesign, layout
from bayesglm.formula_columns import Column
from bayesglm.formula_language import Parsed, parse
from bayesglm.formula_masks import check_masks
from bayesglm.formula_names import Use, check_namespace, survey
from bayesglm.formula_state import environment
from bayesglm.formula_transforms import describe, restore
from bayesglm.plain_data import encode, fields, is_numeric, numbers, texts

_KINDS = ("number", "bool", "text", "levels")
_REMEDY = "pickle the model instead, or compute that column before the fit"


def to_data(design: FormulaDesign) -> dict[str, Any]:
    """Turn a learnt formula into plain data.

    Parameters
    ----------
    design : FormulaDesign

    Returns
    -------
    dict
        What `bayesglm.archive.write` takes; `from_data` makes the same design of it.

    Raises
    ------
    ValueError
        If the formula uses what cannot be data: a function of `formula_namespace` that is not one of NumPy's,
        or levels that are neither text nor numbers nor booleans.
    """
    formula = design.formula
    data = {
        "formula": formula,
        "intercept": design.intercept,
        "helpers": {name: describe_helper(name, value, formula) for name, value in design._helpers.items()},
        "right_columns": [_column_data(column, formula) for column in design._right_columns],
        "left_columns": [_column_data(column, formula) for column in design._left_columns],
        "right": None if design._right is None else _side_data(design._right, formula),
        "left": None if design._left is None else _side_data(design._left, formula),
    }
    from_data(data)  # what could not be loaded is not saved
    return data


def learnt_the_same(first: FormulaDesign, second: FormulaDesign) -> bool:
    """Whether two formulas are one and learnt the same, so that they make the same matrix of the same rows.

    Raises
    ------
    ValueError
        If that cannot be told, since a transform of the user's remembers something.
    """
    if (first.formula, first.intercept) != (second.formula, second.intercept):
        return False
    if first._right_columns != second._right_columns or first._helpers.keys() != second._helpers.keys():
        return False
    # Arrays have no single answer to ==, and functions no other than identity.
    if not all(np.array_equal(value, second._helpers[name]) for name, value in first._helpers.items()):
        return False
    if first._right is None or second._right is None:
        return first._right is second._right
    trees, arrays = zip(
        *(encode(_side_data(design._right, first.formula)) for design in (first, second)), strict=True
    )
    return trees[0] == trees[1] and all(
        np.array_equal(values, arrays[1].get(name)) for name, values in arrays[0].items()
    )


def from_data(data: Any) -> FormulaDesign:
    """Make a learnt formula of plain data, evaluating nothing.

    Parameters
    ----------
    data : object
        What `to_data` returned, or whatever else was in a file.

    Returns
    -------
    FormulaDesign

    Raises
    ------
    ValueError
        If `data` is anything but a learnt formula, or the formula uses what formulas may not.
    """
    formula, intercept, helpers, right_columns, left_columns, right, left = fields(
        data,
        "the saved formula",
        formula=str,
        intercept=bool,
        helpers=dict,
        right_columns=list,
        left_columns=list,
        right=(dict, type(None)),
        left=(dict, type(None)),
    )
    parsed = _parsed(formula, intercept)
    namespace = check_namespace(
        {name: restore_helper(name, value, formula) for name, value in helpers.items()}
    )
    columns = [_column(value, formula) for value in right_columns]
    responses = [_column(value, formula) for value in left_columns]
    right_codes = parsed.right_codes
    columns, found = _judged(right_codes, columns, formula, namespace)
    left_terms: list[Any] = []
    if parsed.left is not None and parsed.bare_response is None:
        left_terms = [parsed.left_term]
        responses, helpers_of_left = _judged([parsed.left.code], responses, formula, namespace)
        found |= helpers_of_left
    else:
        expected = [] if parsed.left is None else [parsed.bare_response]
        if [column.use.name for column in responses] != expected:
            raise _damaged(formula, "its response is another column than the one on the left side")
    check_masks(
        parsed.right_codes + parsed.left_codes,
        formula,
        {c.use.name: c.kind for c in (*columns, *responses)},
        namespace,
    )
    if found != set(namespace):
        raise _damaged(formula, f"it does not use {next(iter(set(namespace) - found))!r}")
    right_info = _side(right, parsed.right if right_codes else [], namespace, formula)
    left_info = _side(left, left_terms, namespace, formula)
    if left_info is not None and [known.num_columns for known in left_info.factor_infos.values()] != [1]:
        raise _damaged(formula, "its response is not one column of numbers")
    names, terms = ((), {}) if right_info is None else layout(right_info)
    return FormulaDesign(
        formula=formula,
        columns=names,
        terms=terms,
        intercept=intercept,
        response=parsed.response,
        has_response=parsed.left is not None,
        variables=tuple(column.use.name for column in columns),
        _right=right_info,
        _left=left_info,
        _right_columns=tuple(columns),
        _left_columns=tuple(responses),
        _helpers=dict(namespace),
    )


def _parsed(formula: str, intercept: bool) -> Parsed:
    parsed = parse(formula, intercept, again=True)
    if intercept != any(not term.factors for term in parsed.right):
        raise _damaged(formula, "it has no intercept")
    return parsed


def _judged(
    codes: Collection[str], columns: Sequence[Column], formula: str, namespace: Mapping[str, Any]
) -> tuple[list[Column], set[str]]:
    """Judge the code of one side; return its columns, knowing how they may be read, and the user's names."""
    names = [column.use.name for column in columns]
    found = survey(codes, formula, names, namespace)
    if list(found.uses) != names:
        raise _damaged(formula, "its columns are not those that it reads")
    known = zip(columns, found.uses.values(), strict=True)
    columns = [replace(c, use=replace(c.use, plain=use.plain, boxed=use.boxed)) for c, use in known]
    return columns, set(found.helpers)


# -- the user's constants and functions ------------------------------------------------------------------


def describe_helper(name: str, value: Any, formula: str) -> dict[str, Any]:
    """Turn an entry of a formula's namespace into plain data.

    Parameters
    ----------
    name : str
    value : object
    formula : str
        For messages.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it is neither data nor one of NumPy's functions that formulas may use.
    """
    if callable(value):
        function = getattr(value, "__name__", None)
        if _numpy_function(function) is value:
            return {"kind": "numpy", "value": function}
        raise ValueError(
            f"formula {formula!r} uses the function {name!r} of formula_namespace, which no file without code "
            f"can hold; {_REMEDY}"
        )
    try:
        encode(value)
    except ValueError:
        raise ValueError(
            f"formula {formula!r} uses {name!r} of formula_namespace, an object of type "
            f"{type(value).__name__} that cannot be saved as data; give numbers, texts, or lists or numeric "
            "arrays of them, or pickle the model instead"
        ) from None
    return {"kind": "value", "value": value}


def restore_helper(name: str, data: Any, formula: str) -> Any:
    """Undo `describe_helper`; ValueError if `data` are nothing that it returns."""
    kind, value = fields(data, f"{name!r} of the saved formula", kind=str, value=object)
    if kind == "value":
        return value
    function = _numpy_function(value) if kind == "numpy" else None
    if function is None:
        raise _damaged(formula, f"{name!r} is no function of np that formulas may use")
    return function


def _numpy_function(name: Any) -> Callable[..., Any] | None:
    """The function of np by that name, if formulas may use it."""
    if not isinstance(name, str) or not name.isidentifier():
        return None
    try:
        survey([f"np.{name}(x)"], f"np.{name}(x)", ["x"], {})
    except ValueError:
        return None
    found = vars(np).get(name)
    return found if callable(found) else None


# -- columns -----------------------------------------------------------------------------------------------


def _column_data(column: Column, formula: str) -> dict[str, Any]:
    use = column.use
    return {
        "name": use.name,
        "alone": use.alone,
        "whole": use.whole,
        "lenient": use.lenient,
        "kind": column.kind,
        "levels": None if column.levels is None else _level_data(column.levels, use.name, formula),
    }


def _column(data: Any, formula: str) -> Column:
    name, alone, whole, lenient, kind, levels = fields(
        data,
        "a column of the saved formula",
        name=str,
        alone=bool,
        whole=bool,
        lenient=bool,
        kind=str,
        levels=(list, type(None)),
    )
    if kind not in _KINDS or (kind == "levels") != (levels is not None):
        raise _damaged(formula, f"the column {name!r} is of no known kind")
    if levels is not None:
        _check_levels(levels, name, formula)
    return Column(Use(name, alone, whole, lenient), kind, None if levels is None else tuple(levels))


def _level_data(levels: Collection[Any], name: str, formula: str) -> list[Any]:
    plain = [str(level) if isinstance(level, str) else level for level in levels]  # NumPy has its own str
    _check_levels(plain, name, formula)
    return plain


def _check_levels(levels: Collection[Any], name: str, formula: str) -> None:
    for level in levels:
        plain = isinstance(level, np.generic) and is_numeric(level.dtype)
        if not plain and type(level) not in (str, int, float, bool):
            raise ValueError(
                f"formula {formula!r}: the factor {name!r} has levels of type {type(level).__name__}, which "
                "cannot be saved as data; convert the column to text or numbers before the fit, or pickle "
                "the model instead"
            )
    if len(set(levels)) != len(levels):
        raise _damaged(formula, f"the factor {name!r} has a level twice")


# -- patsy's DesignInfo of one side ------------------------------------------------------------------------


def _side_data(info: Any, formula: str) -> dict[str, Any]:
    return {
        "names": list(info.column_names),
        "factors": {factor.code: _factor_data(known, formula) for factor, known in info.factor_infos.items()},
        "terms": [
            {
                "factors": [factor.code for factor in term.factors],
                "parts": [_part_data(part, formula) for part in parts],
            }
            for term, parts in info.term_codings.items()
        ],
    }


def _factor_data(known: Any, formula: str) -> dict[str, Any]:
    code, levels = known.factor.code, known.categories
    try:
        transforms = [describe(transform) for transform in known.state["transforms"].values()]
    except ValueError as error:
        raise ValueError(f"formula {formula!r}: term {code!r} cannot be saved: {error}; {_REMEDY}") from None
    return {
        "columns": known.num_columns,
        "levels": None if levels is None else _level_data(levels, code, formula),
        "transforms": transforms,
    }


def _part_data(part: Any, formula: str) -> dict[str, Any]:
    return {
        "factors": [factor.code for factor in part.factors],
        "contrasts": {
            factor.code: {"matrix": contrast.matrix, "suffixes": list(contrast.column_suffixes)}
            for factor, contrast in part.contrast_matrices.items()
        },
    }


def _side(data: Any, termlist: Sequence[Any], namespace: Mapping[str, Any], formula: str) -> Any:
    """A DesignInfo of a side with the given terms, with what `data` say that its factors have learnt."""
    if (data is None) != (not termlist):
        raise _damaged(formula, "one side of it is missing")
    if data is None:
        return None
    from patsy import DesignInfo, Term

    names, factors, terms = fields(
        data, f"a side of formula {formula!r}", names=list, factors=dict, terms=list
    )
    by_code = {factor.code: factor for term in termlist for factor in term.factors}
    if factors.keys() != by_code.keys():
        raise _damaged(formula, "what it has learnt is of other terms than it has")
    infos = {factor: _factor(factors[code], factor, namespace, formula) for code, factor in by_code.items()}
    waiting, codings = {term: term for term in termlist}, OrderedDict()
    for value in terms:  # in the order of the columns; patsy compares terms by their factors
        codes, parts = fields(value, f"a term of formula {formula!r}", factors=list, parts=list)
        term = waiting.pop(Term(_factors(codes, by_code, formula)), None)
        if term is None or [factor.code for factor in term.factors] != codes:
            raise _damaged(formula, "its terms are others")
        codings[term] = [_part(part, term, infos, formula) for part in parts]
    if waiting:
        raise _damaged(formula, "a term of it is missing")
    first = next(iter(codings))
    if any(not term.factors and (term is not first or len(codings[term]) != 1) for term in codings):
        raise _damaged(formula, "its intercept is not the first column")
    try:
        return DesignInfo(texts(names, f"the columns of formula {formula!r}"), infos, codings)
    except Exception as error:  # patsy's checks are assertions in part
        raise _damaged(formula, f"its columns do not fit together ({error})") from None


def _factors(codes: Sequence[Any], by_code: Mapping[str, Any], formula: str) -> list[Any]:
    for code in codes:
        if not isinstance(code, str) or code not in by_code or codes.count(code) > 1:
            raise _damaged(formula, f"it has no {str(code)[:40]!r} there, or not twice")
    return [by_code[code] for code in codes]


def _factor(data: Any, factor: Any, namespace: Mapping[str, Any], formula: str) -> Any:
    """Let patsy prepare a factor as at fit, which evaluates nothing, and fill in what it had learnt."""
    from patsy import FactorInfo

    where = f"term {factor.code!r} of formula {formula!r}"
    columns, levels, transforms = fields(
        data, where, columns=(int, type(None)), levels=(list, type(None)), transforms=list
    )
    if (columns is None) == (levels is None) or (columns is not None and columns < 0):
        raise ValueError(f"{where} must have either columns or levels")
    _check_levels(levels or [], factor.code, formula)
    state: dict[str, Any] = {}
    try:
        factor.memorize_passes_needed(state, environment(namespace))
    except Exception as error:
        raise ValueError(f"{where} cannot be read: {error}") from None
    made = list(state["transforms"].values())
    if len(made) != len(transforms):
        raise ValueError(f"{where} must have the state of {len(made)} transforms, got {len(transforms)}")
    for transform, learnt in zip(made, transforms, strict=True):
        restore(transform, learnt, where)
    kind = "numerical" if levels is None else "categorical"
    return FactorInfo(factor, kind, state, columns, levels)


def _part(data: Any, term: Any, infos: Mapping[Any, Any], formula: str) -> Any:
    from patsy import ContrastMatrix, SubtermInfo

    where = f"term {term.name()!r} of formula {formula!r}"
    codes, contrasts = fields(data, where, factors=list, contrasts=dict)
    by_code = {factor.code: factor for factor in term.factors}
    factors, matrices, width = _factors(codes, by_code, formula), {}, 1
    for factor in factors:
        columns = infos[factor].num_columns
        if columns is None:
            matrix, suffixes = fields(contrasts.get(factor.code), where, matrix=np.ndarray, suffixes=list)
            columns = numbers(matrix, f"the contrasts of {where}", 2).shape[1]
            if len(texts(suffixes, f"the names of the contrasts of {where}")) != columns:
                raise ValueError(f"the contrasts of {where} must have a name for every column")
            matrices[factor] = ContrastMatrix(matrix, suffixes)
        width *= columns
    if len(matrices) != len(contrasts):
        raise ValueError(f"{where} must have contrasts for its categorical factors only")
    return SubtermInfo(factors, matrices, width)


def _damaged(formula: str, what: str) -> ValueError:
    return ValueError(f"the saved formula {formula!r} is damaged: {what}")

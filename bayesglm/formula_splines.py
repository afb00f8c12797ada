"""Splines in a formula: `cr`, `cc` and `te` are centred where the model has a constant without them.

patsy's bases of these sum to one, so that beside an intercept their coefficients are not determined: only sums with
it are. mgcv and brms take the constant out, by the constraint that the curve's mean over the training rows is zero.
patsy can do the same if it is asked, so it is asked here where nobody says otherwise. What it has learnt is kept in
its own objects, and a formula that was learnt without the constraint goes on without it.
"""

import ast
import functools
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bayesglm.formula_language import column_named_by, is_call_of, syntax_tree, walk
from bayesglm.formula_masks import is_condition
from bayesglm.formula_remedies import of_call

_CURVES = ("cr", "cc")
# Positional arguments before the constraints.
_BEFORE_CONSTRAINTS = 5


def centred(terms: Sequence[Any], kinds: Mapping[str, str], formula: str) -> list[Any]:
    """The terms of a right side for patsy to learn from, with splines centred where the constant is there already.

    The constant is there if the model has an intercept, or a factor without one, and for a spline times a number if
    that number has a term of its own; the first spline of a model without a constant stays whole.

    Parameters
    ----------
    terms : sequence of patsy.Term
    kinds : mapping from str to str
        The kind of each column that the formula reads, as in `bayesglm.formula_columns.Column`.
    formula : str
        The whole formula, for messages.

    Returns
    -------
    list of patsy.Term
        With the names and codes of `terms`. `as_written` undoes it when patsy has learnt.

    Raises
    ------
    ValueError
        If `te` is given columns, or constraints are asked for that leave the constant in.
    """
    from patsy import Term

    trees = {factor: syntax_tree(factor.code, formula) for term in terms for factor in term.factors}
    for tree in trees.values():
        _refuse_columns(tree, formula)
    splines = {factor: tree for factor, tree in trees.items() if any(map(_whole, _calls(tree)))}
    if not splines:
        return list(terms)
    levels = {factor for factor, tree in trees.items() if _is_categorical(tree, kinds)}
    spanned = {frozenset(t.factors) - levels for t in terms if not splines.keys() & set(t.factors)}
    wanted: dict[Any, Any] = {}
    for term in terms:
        whole = splines.keys() & set(term.factors) - wanted.keys()
        rest = frozenset(term.factors) - levels - whole
        if whole and rest in spanned:
            for factor in whole:
                wanted[factor] = _factor_class()(factor, _centre(splines[factor], formula))
        elif whole:
            spanned.add(rest)
    return [Term([wanted.get(factor, factor) for factor in term.factors]) for term in terms]


def as_written(info: Any, terms: Sequence[Any]) -> Any:
    """A DesignInfo that has learnt from `centred` terms, of the terms as they were written."""
    from patsy import DesignInfo, SubtermInfo
    from patsy.design_info import FactorInfo

    plain = {factor: factor for term in terms for factor in term.factors}
    infos = {
        plain[factor]: FactorInfo(plain[factor], known.type, known.state, known.num_columns, known.categories)
        for factor, known in info.factor_infos.items()
    }
    written = {term: term for term in terms}
    codings = OrderedDict(
        (
            written[term],
            [
                SubtermInfo(
                    [plain[factor] for factor in part.factors],
                    {plain[factor]: matrix for factor, matrix in part.contrast_matrices.items()},
                    part.num_columns,
                )
                for part in parts
            ],
        )
        for term, parts in info.term_codings.items()
    )
    return DesignInfo(info.column_names, infos, codings)


def refuse_constants(X: np.ndarray, terms: Mapping[str, Collection[int]], formula: str) -> None:
    """Refuse splines with constraints of the user's that leave the constant in, beside an intercept.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        The columns of the right side without the intercept, which the model has.
    terms : mapping from str to collection of int
        For each term of the formula the positions of its columns.
    formula : str
        The whole formula, for messages.
    """
    for name, places in terms.items():
        tree = _tree(name)
        call = tree if isinstance(tree, ast.Call) and _is_spline(tree) else None
        if call is None or not isinstance(_constraints(call), ast.expr) or len(X) <= len(places):
            continue
        basis = X[:, list(places)]
        left = 1.0 - basis @ np.linalg.lstsq(basis, np.ones(len(X)), rcond=None)[0]
        if np.abs(left).max() < 1e-9:
            _refuse_constant(call, formula)


def _tree(code: str) -> ast.AST | None:
    try:
        return ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError):  # an interaction
        return None


@functools.cache
def _factor_class() -> type:
    from patsy import EvalFactor

    class CentredFactor(EvalFactor):
        """A factor under its own name that learns by other code."""

        def __init__(self, written: Any, code: str):
            super().__init__(written.code, written.origin)
            self._learns_by = code

        def memorize_passes_needed(self, state: dict[str, Any], eval_env: Any) -> int:
            passes: int = EvalFactor(self._learns_by).memorize_passes_needed(state, eval_env)
            return passes

    return CentredFactor


def _calls(tree: ast.AST) -> list[ast.Call]:
    """The splines in a factor's code, without those that te() joins."""
    found: list[ast.Call] = []
    for node, above in walk(tree):
        inside = any(isinstance(a, ast.Call) and is_call_of(a, "te") for a in above)
        if isinstance(node, ast.Call) and _is_spline(node) and not inside:
            found.append(node)
    return found


def _is_spline(call: ast.Call) -> bool:
    return any(is_call_of(call, name) for name in (*_CURVES, "te"))


def _constraints(call: ast.Call) -> ast.expr | None:
    """What is given as the constraints of a spline; None if nothing is."""
    if not is_call_of(call, "te") and len(call.args) > _BEFORE_CONSTRAINTS:
        return call.args[_BEFORE_CONSTRAINTS]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "constraints"), None)


def _whole(call: ast.Call) -> bool:
    """Whether the basis that a call makes holds the constant, as far as its text says."""
    given = _constraints(call) if _is_spline(call) else None
    if any(keyword.arg is None for keyword in call.keywords):
        return False  # **options, of which nothing is known
    if given is not None and not (isinstance(given, ast.Constant) and given.value is None):
        return False
    if is_call_of(call, "te"):
        return bool(call.args) and all(isinstance(a, ast.Call) and _whole(a) for a in call.args)
    if is_call_of(call, "bs"):
        kept = [k.value for k in call.keywords if k.arg == "include_intercept"]
        return bool(kept) and isinstance(kept[0], ast.Constant) and bool(kept[0].value)
    return _is_spline(call)


def _centre(tree: ast.AST, formula: str) -> str:
    """The code of a factor in which every spline that holds the constant is centred."""
    tree = ast.parse(ast.unparse(tree), mode="eval").body
    for call in _calls(tree):
        if not _whole(call):
            continue
        if _constraints(call) is not None:
            _refuse_constant(call, formula)
        call.keywords.append(ast.keyword("constraints", ast.Constant("center")))
    return ast.unparse(tree)


def _refuse_constant(call: ast.Call, formula: str) -> None:
    raise ValueError(
        f"formula {formula!r}: {ast.unparse(call)!r} holds a constant, which the model has without it, so that their "
        "coefficients are not determined; leave its constraints out and it is centred, or begin the right side with 0 +"
    )


def _refuse_columns(tree: ast.AST, formula: str) -> None:
    """Refuse mgcv's te(x, z), which patsy takes for the product of the columns."""
    for node, _ in walk(tree):
        if not isinstance(node, ast.Call) or not is_call_of(node, "te"):
            continue
        if node.args and all(column_named_by(argument) is not None for argument in node.args):
            raise ValueError(f"formula {formula!r}: te() joins splines, not columns; {of_call(node)}")


def _is_categorical(tree: ast.AST, kinds: Mapping[str, str]) -> bool:
    """Whether patsy makes levels of a factor: of text, categories and booleans, and of C(...)."""
    name = column_named_by(tree)
    if name is not None:
        return kinds.get(name) in ("text", "levels", "bool")
    if isinstance(tree, ast.Call) and is_call_of(tree, "C"):
        return True
    return isinstance(tree, ast.expr) and is_condition(tree, kinds, {})

"""Operators on bits in a formula's code: ``|``, ``&`` and ``~`` join conditions, and nothing else.

Python gives them, and ``^``, to whole numbers too, bit by bit: what a user of R means as a power is an exclusive
or there, without a word. So they are taken where every operand is known to be a condition, whatever else the
columns hold; powers written as ``^`` are refused where formulas are read, in `bayesglm.formula_language`.
"""

import ast
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import numpy as np

from bayesglm.formula_language import column_named_by, is_call_of, syntax_tree, walk

_JOINS = (ast.BitAnd, ast.BitOr)
# Functions of NumPy's and methods of pandas' that answer yes or no.
_CONDITIONS = (
    "bool_ equal greater greater_equal isclose isfinite isin isinf isnan isneginf isposinf less less_equal logical_and "
    "logical_not logical_or logical_xor not_equal signbit"
)
_METHODS = (
    "between contains duplicated endswith eq fullmatch ge gt isalnum isalpha isdecimal isdigit isin islower isna "
    "isnull isnumeric isspace istitle isupper le lt match ne notna notnull startswith"
)


def check_masks(
    codes: Collection[str], formula: str, kinds: Mapping[str, str], namespace: Mapping[str, Any]
) -> None:
    """Refuse ``|``, ``&`` and ``~`` on anything but conditions. Nothing is evaluated.

    Parameters
    ----------
    codes : collection of str
        The code of each factor.
    formula : str
        The whole formula, for messages.
    kinds : mapping from str to str
        The kind of each column that the formula reads, as in `bayesglm.formula_columns.Column`.
    namespace : mapping
        The user's functions and constants.

    Raises
    ------
    ValueError
        With the operand that is no condition, and how to make it one.
    """
    for code in codes:
        if not set(code) & set("|&~"):
            continue
        for node, _ in walk(syntax_tree(code, formula)):
            for operand in _operands(node):
                if not is_condition(operand, kinds, namespace):
                    _refuse(node, operand, formula)


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _JOINS):
        return [node.left, node.right]
    return [node.operand] if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert) else []


def is_condition(node: ast.expr, kinds: Mapping[str, str], namespace: Mapping[str, Any]) -> bool:
    """Whether an expression is true or false in every row, as far as its text and the columns' kinds say."""
    if isinstance(node, ast.Compare):
        return True
    name = column_named_by(node)
    if name is not None and name in kinds:
        return kinds[name] == "bool"
    if isinstance(node, ast.Name):
        value = namespace.get(node.id)
        return np.asarray(value).dtype.kind == "b"
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    if isinstance(node, ast.Call):
        if is_call_of(node, "I") and len(node.args) == 1:
            return is_condition(node.args[0], kinds, namespace)
        if isinstance(node.func, ast.Attribute):
            ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "np"
            return node.func.attr in (_CONDITIONS if ours else _METHODS).split()
        return is_call_of(node, "bool")
    # Of conditions joined by these operators the operands are judged by themselves.
    return bool(_operands(node))


def _refuse(node: ast.AST, operand: ast.expr, formula: str) -> NoReturn:
    sign = "~"
    if isinstance(node, ast.BinOp):
        sign = "|" if isinstance(node.op, ast.BitOr) else "&"
    piece, found = ast.unparse(node), ast.unparse(operand)
    if isinstance(operand, ast.Constant):  # x > 1 & z < 2 is x > (1 & z) < 2
        remedy = "put each comparison in parentheses, as in (x > 1) & (z < 2)"
    elif sign == "~":
        remedy = f"write {found} == 0, or -{found} for the negative number"
    else:
        remedy = f"write ({found} != 0), or put comparisons in parentheses, as in (x > 1) {sign} (z < 2)"
    raise ValueError(
        f"formula {formula!r}: {sign!r} joins conditions, and {found!r} in {piece!r} is not known to be one; {remedy}"
    )

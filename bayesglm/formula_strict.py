"""Strict mode: the code in a formula may only be what is listed here, so that a stranger's formula is harmless.

Where `formula_names` refuses what is known to be dangerous, this refuses everything but columns, numbers, texts where
they belong, operators, and calls of known functions with known arguments. Every expression is given a kind (numbers
of the rows, one number, text, ...), by which also what would take all memory or time is seen before it is evaluated:
text that is multiplied, powers of whole numbers without end, digits and columns by the billion.
"""

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from bayesglm.formula_language import syntax_tree
from bayesglm.formula_limits import HIGHEST_DEGREE
from bayesglm.formula_vocabulary import (
    ANY_ROWS,
    CASTS,
    CODING,
    CONSTANTS,
    CONTRASTS,
    CUBIC,
    LIST,
    NONE,
    NUMBER,
    NUMERIC,
    OTHERS,
    PATSY,
    ROWS,
    SPLINES,
    TEXT,
    TEXT_ROWS,
    UFUNCS,
    VALUES,
    Parameters,
)
from bayesglm.plain_data import is_numeric

#: Longest formula in strict mode, in characters.
LONGEST = 20_000
#: Most columns that a formula may ask for, all terms together.
MOST_COLUMNS = 2000
# Most that one spline may have.
_MOST_KNOTS = 1000
#: Most terms that a formula may be expanded to by a bound that counts some of them twice.
MOST_TERMS = 2 * MOST_COLUMNS
# Digits that a double has before and after its point; NumPy counts up to what is asked for.
_MOST_DECIMALS = 330
# Python's compiler goes deeper; nobody does.
_DEEPEST = 60

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_SIGNS: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@dataclass(frozen=True)
class _Value:
    """What is known of an expression before it is evaluated."""

    kind: int
    #: of one of Python's numbers what it is, None if unknown; NumPy's have no more than 64 bits
    number: Any = None
    #: how many columns it has, or how long a list is, as far as the text says
    width: int = 1
    #: of a list of lists how long these are
    inner: int = 1


def check_length(formula: str, remedy: str) -> None:
    """Raise ValueError if a formula is too long to be looked at in strict mode; other types pass."""
    if isinstance(formula, str) and len(formula) > LONGEST:
        raise ValueError(
            f"formula {formula[:60]!r}... has {len(formula):,} characters, and strict mode reads {LONGEST:,}; {remedy}"
        )


def check_strict(
    terms: Collection[Collection[str]],
    formula: str,
    kinds: Mapping[str, str] | None,
    namespace: Mapping[str, Any],
    remedy: str,
    most: int | None = MOST_COLUMNS,
) -> None:
    """Refuse all code in a formula that is not listed in this module. Nothing is evaluated.

    Parameters
    ----------
    terms : collection of collections of str
        For each term the code of its factors.
    formula : str
        The whole formula, for messages.
    kinds : mapping from str to str, optional
        The kind of each column that the formula reads, as in `bayesglm.formula_columns.Column`. None if there are no
        data yet: then every name that is not otherwise known counts as a column of numbers.
    namespace : mapping
        The user's functions and constants. Functions may only be NumPy's that are listed here; constants data.
    remedy : str
        How to switch strict mode off, for messages.
    most : int, optional
        The most columns that the text may ask for (levels come with the data). None: of a fitted formula, whose
        columns are there.

    Raises
    ------
    ValueError
        With the piece that is refused, and why.
    """
    check_length(formula, remedy)
    judge = _Strict(formula, kinds, namespace, remedy)
    columns = 0
    for codes in terms:
        width = 1
        for code in codes:
            try:
                width *= judge.read(syntax_tree(code, formula))
            except RecursionError:
                judge.refuse(code, "it is nested too deeply")
        columns += width
        if most is not None and columns > most:
            judge.refuse(":".join(codes), f"all terms together may ask for {most:,} columns")


class _Strict:
    """Gives every expression of a formula's code a kind, and refuses those that have none."""

    def __init__(
        self, formula: str, kinds: Mapping[str, str] | None, namespace: Mapping[str, Any], remedy: str
    ):
        self.formula, self.kinds, self.namespace, self.remedy = formula, kinds, namespace, remedy
        self.depth = 0

    def read(self, tree: ast.AST) -> int:
        """Judge the code of one factor; return how many columns it asks for."""
        value = self._value(tree)
        if value.kind not in ANY_ROWS:
            self.refuse(tree, "a term must have a value for each row")
        return value.width

    def refuse(self, piece: ast.AST | str, reason: str) -> NoReturn:
        """Raise the ValueError that says what is refused and why."""
        if not isinstance(piece, str):
            try:
                piece = ast.unparse(piece)
            except (RecursionError, ValueError):  # deep trees, numbers too long to be written
                piece = type(piece).__name__
        piece = piece if len(piece) <= 80 else f"{piece[:77]}..."
        raise ValueError(
            f"formula {self.formula!r} may not use {piece!r} in strict mode: {reason}; {self.remedy}"
        )

    def _value(self, node: ast.AST) -> _Value:
        read = _READERS.get(type(node))
        if read is None:
            self.refuse(node, f"only {_ALLOWED} are open to it")
        self.depth += 1
        if self.depth > _DEEPEST:
            self.refuse(node, "it is nested too deeply")
        value = read(self, node)
        self.depth -= 1
        return value

    def _number(self, node: ast.AST, number: Any) -> _Value:
        """A number, unless it is one of Python's that arrays cannot hold, with which they compute without end."""
        if isinstance(number, int) and not -(2**63) <= number < 2**63:
            self.refuse(node, "whole numbers have 64 bits; write a larger one as 1e30")
        if number is not None and not isinstance(number, int | float):
            self.refuse(node, "numbers are real")
        return _Value(NUMBER, number)

    def _constant(self, node: ast.Constant) -> _Value:
        value = node.value
        if value is None:
            return _Value(NONE)
        if isinstance(value, str):
            return _Value(TEXT)
        if isinstance(value, int | float):
            return self._number(node, value)
        self.refuse(node, "constants are real numbers and texts")

    def _name(self, node: ast.Name) -> _Value:
        name = node.id
        if self.kinds is not None and name in self.kinds:
            return self._column(name)
        if name.startswith("__"):
            self.refuse(name, "such names are closed to it")
        if name in self.namespace:
            return self._helper(node, self.namespace[name])
        if name in CONTRASTS:
            return _Value(CODING)
        if self.kinds is not None or name == "np" or name in PATSY or name == "te":
            self.refuse(name, "it is neither a column nor a constant")
        return _Value(ROWS)

    def _column(self, name: str) -> _Value:
        kinds = self.kinds or {}
        return _Value(TEXT_ROWS if kinds.get(name) in ("text", "levels") else ROWS)

    def _helper(self, node: ast.Name, value: Any) -> _Value:
        """An entry of the user's namespace that is no function: plain data, whose operators are Python's own."""
        if value is None:
            return _Value(NONE)
        if type(value) in (bool, int, float):
            return self._number(node, value)
        if isinstance(value, np.generic) and is_numeric(value.dtype):
            return _Value(NUMBER)
        if type(value) in (str, np.str_):
            return _Value(TEXT)
        if type(value) is np.ndarray and is_numeric(value.dtype):
            width, inner = (*value.shape, 1, 1)[:2]
            return _Value(LIST, width=width, inner=inner)
        if type(value) in (list, tuple) and all(type(v) in (bool, int, float, str) for v in value):
            return _Value(LIST, width=len(value))
        self.refuse(node, "entries of formula_namespace may be numbers, texts, lists of them, numeric arrays")

    def _attribute(self, node: ast.Attribute) -> _Value:
        if self._of_np(node) not in CONSTANTS:
            self.refuse(node, "attributes are closed to it, but for constants and known functions of np")
        return self._number(node, getattr(np, node.attr))

    def _of_np(self, node: ast.AST) -> str:
        """The name of a member of np, "" for other attributes."""
        if not (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
        ):
            return ""
        if "np" in self.namespace or (self.kinds is not None and "np" in self.kinds):
            self.refuse(node, "a column is called 'np'; rename it")
        return node.attr

    def _list(self, node: ast.List | ast.Tuple) -> _Value:
        items = [self._value(item) for item in node.elts]
        if not {NUMBER, TEXT, LIST}.issuperset(item.kind for item in items):
            self.refuse(node, "lists hold numbers and texts")
        inner = max((item.width for item in items if item.kind == LIST), default=1)
        return _Value(LIST, width=len(items), inner=inner)

    def _sign(self, node: ast.UnaryOp) -> _Value:
        sign = _SIGNS.get(type(node.op))
        value = self._value(node.operand)
        if sign is None or value.kind not in NUMERIC:
            self.refuse(node, "the signs + - ~ go with numbers only")
        if value.number is None:
            return value
        if isinstance(node.op, ast.Invert):
            self.refuse(node, "~ goes with columns only")
        return self._number(node, sign(value.number))

    def _operation(self, node: ast.BinOp) -> _Value:
        # A sum of many summands is a tree as deep as it is long, on its left.
        chain: list[ast.BinOp] = []
        inner: ast.AST = node
        while isinstance(inner, ast.BinOp):
            chain.append(inner)
            inner = inner.left
        left = self._value(inner)
        for one in chain[::-1]:
            left = self._joined(one, left, self._value(one.right))
        return left

    def _joined(self, node: ast.BinOp, left: _Value, right: _Value) -> _Value:
        join = _OPERATORS.get(type(node.op))
        if join is None:
            self.refuse(node, "operators are + - * / // % ** & | and comparisons")
        if left.kind not in NUMERIC or right.kind not in NUMERIC:
            self.refuse(node, "operators go with numbers only")
        if ROWS in (left.kind, right.kind):
            return _Value(ROWS, width=max(left.width, right.width))
        if left.number is None or right.number is None:  # NumPy's, of 64 bits
            return _Value(NUMBER)
        if isinstance(node.op, ast.Pow) and (abs(right.number) > 1000 or abs(left.number) > 1e6):
            self.refuse(node, "write such a number out")
        try:
            return self._number(node, join(left.number, right.number))
        except (ArithmeticError, TypeError):
            self.refuse(node, "it is no number")

    def _comparison(self, node: ast.Compare) -> _Value:
        kinds = [self._value(side).kind for side in (node.left, *node.comparators)]
        if not all(isinstance(op, _COMPARISONS) for op in node.ops) or not VALUES.issuperset(kinds):
            self.refuse(node, "comparisons are == != < <= > >= of columns, numbers and texts")
        return _Value(NUMBER if ANY_ROWS.isdisjoint(kinds) else ROWS)

    def _call(self, node: ast.Call) -> _Value:
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            self.refuse(node, "arguments are written one by one")
        if any(keyword.arg is None for keyword in node.keywords):
            self.refuse(node, "arguments are written one by one")
        of_np = self._of_np(node.func)
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name in PATSY:
                return self._patsy_call(node, name)
            if name == "te":
                return self._tensor(node)
            if name in self.namespace:  # before Python's own
                of_np = _known(self.namespace[name])
                if not of_np:
                    self.refuse(
                        node, f"the function {name!r} of formula_namespace is not one of the known ones of np"
                    )
            elif name == "abs":
                of_np = "abs"
        if of_np in UFUNCS or of_np in CASTS:
            arguments = getattr(np, of_np).nin if of_np in UFUNCS else 1
            return self._np_call(node, {f"{i}": NUMERIC for i in range(arguments)} | {"*": frozenset()})
        if of_np in OTHERS:
            return self._np_call(node, OTHERS[of_np])
        self.refuse(
            node.func, "it is none of the known functions, which are patsy's and np's of one value a row"
        )

    def _arguments(self, node: ast.Call, known: Parameters) -> dict[str, _Value]:
        """The arguments by name, each of a kind that its parameter may be."""
        names = list(known)
        positional = names[: names.index("*")] if "*" in names else names
        if len(node.args) > len(positional):
            self.refuse(node, f"it takes {len(positional)} arguments by position")
        given: list[tuple[str, ast.AST]] = list(zip(positional, node.args, strict=False))
        for keyword in node.keywords:
            name = str(keyword.arg)
            if name not in known or name == "*" or name.isdigit():
                self.refuse(node, f"the argument {name!r} is closed to it")
            given.append((name, keyword.value))
        found = {}
        for name, argument in given:
            found[name] = self._value(argument)
            if found[name].kind not in known[name]:
                self.refuse(argument, "no such argument is open there")
        return found

    def _np_call(self, node: ast.Call, known: Parameters) -> _Value:
        given = self._arguments(node, known)
        decimals = given.get("decimals", _Value(NUMBER, 0))
        if decimals.number is None or not abs(decimals.number) <= _MOST_DECIMALS:
            self.refuse(node, f"decimals is a number from -{_MOST_DECIMALS} to {_MOST_DECIMALS}")
        values = given.values()
        kinds = {value.kind for value in values}
        if "element" in known:  # np.isin
            return _Value(ROWS)
        if TEXT in kinds or TEXT_ROWS in kinds:
            return _Value(TEXT_ROWS)
        if ROWS not in kinds:
            return _Value(NUMBER)
        return _Value(ROWS, width=max(value.width for value in values if value.kind == ROWS))

    def _patsy_call(self, node: ast.Call, name: str) -> _Value:
        known = self._arguments(node, PATSY[name])
        if name in CONTRASTS:
            return _Value(CODING)
        if name == "Q":
            # Which column it is was judged in `formula_names`, if there are any.
            return self._column(str(getattr([*node.args, *[k.value for k in node.keywords]][0], "value", "")))
        if name in SPLINES:
            return _Value(ROWS, width=self._spline_columns(node, known))
        data = known.get("x", known.get("data", _Value(ROWS)))
        if name != "C":
            return _Value(data.kind, width=data.width)
        levels, contrast = known.get("levels", _Value(LIST)), known.get("contrast", _Value(CODING))
        return _Value(TEXT_ROWS, width=max(data.width, levels.width - 1, contrast.inner))

    def _spline_columns(self, node: ast.Call, known: Mapping[str, _Value]) -> int:
        columns = known["knots"].width if "knots" in known else 0
        for word, most in (("df", _MOST_KNOTS), ("degree", HIGHEST_DEGREE)):
            value = known.get(word, _Value(NONE))
            if value.kind == NUMBER and not (value.number is not None and 0 <= value.number <= most):
                self.refuse(node, f"{word} is a number from 0 to {most}")
            columns = max(columns, math.ceil(value.number or 0))
        return columns

    def _tensor(self, node: ast.Call) -> _Value:
        width = 1
        for argument in node.args:
            value = self._value(argument)
            if value.kind != ROWS:
                self.refuse(argument, "te() joins splines")
            width *= value.width
        rest = ast.Call(func=node.func, args=[], keywords=node.keywords)
        self._arguments(rest, {"constraints": CUBIC["constraints"]})
        return _Value(ROWS, width=width)


_ALLOWED = "columns, numbers, texts as arguments, operators and calls of known functions"
_READERS: Mapping[type[ast.AST], Callable[[_Strict, Any], _Value]] = {
    ast.Constant: _Strict._constant,
    ast.Name: _Strict._name,
    ast.Attribute: _Strict._attribute,
    ast.List: _Strict._list,
    ast.Tuple: _Strict._list,
    ast.UnaryOp: _Strict._sign,
    ast.BinOp: _Strict._operation,
    ast.Compare: _Strict._comparison,
    ast.Call: _Strict._call,
}


def _known(function: Any) -> str:
    """The name of a function of np's that is listed here; "" for any other object."""
    names: Sequence[str] = [*UFUNCS, *CASTS, *OTHERS]
    return next((name for name in names if vars(np)[name] is function), "")

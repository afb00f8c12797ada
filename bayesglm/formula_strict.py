"""Strict mode: the code in a formula may only be what is listed here, so that a stranger's formula is harmless.

Where `formula_names` refuses what is known to be dangerous, this refuses everything but columns, numbers, texts where
they belong, operators, and calls of known functions with known arguments. Every expression is given a kind (numbers
of the rows, one number, text, ...), by which also what would take all memory or time is seen before it is evaluated:
text that is multiplied, powers of whole numbers without end, splines with a billion columns.
"""

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from bayesglm.formula_language import syntax_tree
from bayesglm.plain_data import is_numeric

#: Longest formula in strict mode, in characters.
LONGEST = 20_000
# Most columns that the splines of one term may have together, and most that a spline may be asked for.
_MOST_COLUMNS = 10_000
_MOST_KNOTS = 1000
# Python's compiler goes deeper; nobody does.
_DEEPEST = 60

#: What an expression is: one value a row, a number or a text by itself, text a row, a list, None, a contrast.
_ROWS, _NUMBER, _TEXT, _TEXT_ROWS, _LIST, _NONE, _CODING = range(7)
_NUMERIC = frozenset((_ROWS, _NUMBER))
_SCALAR = frozenset((_NUMBER, _NONE))
_ANY_ROWS = frozenset((_ROWS, _TEXT_ROWS))
_VALUES = frozenset((_ROWS, _TEXT_ROWS, _NUMBER, _TEXT))
_LISTS = frozenset((_LIST, _NONE))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: NumPy's functions that compute each value by itself, with as many arguments as they have inputs.
UFUNCS = _words(
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or ceil cbrt cos cosh "
    "deg2rad degrees divide equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod greater "
    "greater_equal heaviside hypot invert isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp "
    "logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal "
    "positive power rad2deg radians reciprocal remainder rint sign signbit sin sinh sqrt square subtract tan tanh "
    "true_divide trunc"
)
#: Types of NumPy's that convert numbers.
CASTS = _words("bool_ float32 float64 int32 int64")
#: Constants of NumPy's.
CONSTANTS = _words("e euler_gamma inf nan pi")
_Parameters = Mapping[str, frozenset[int]]
# Other functions: what each parameter may be, in order; those after "*" only by name.
_OTHERS: Mapping[str, _Parameters] = {
    "around": {"a": _NUMERIC, "decimals": _SCALAR},
    "clip": {"a": _NUMERIC, "a_min": _NUMERIC | {_NONE}, "a_max": _NUMERIC | {_NONE}, "*": frozenset()}
    | {"min": _NUMERIC | {_NONE}, "max": _NUMERIC | {_NONE}},
    "interp": {"x": _NUMERIC, "xp": frozenset((_LIST,)), "fp": frozenset((_LIST,))}
    | {"left": _SCALAR, "right": _SCALAR, "period": _SCALAR},
    "isin": {"element": _ANY_ROWS, "test_elements": frozenset((_LIST,)), "*": frozenset(), "invert": _SCALAR},
    "nan_to_num": {"x": _NUMERIC, "*": frozenset(), "nan": _SCALAR, "posinf": _SCALAR, "neginf": _SCALAR},
    "round": {"a": _NUMERIC, "decimals": _SCALAR},
    "where": {"condition": _NUMERIC, "x": _VALUES, "y": _VALUES},
}
_REFERENCE = frozenset((_NUMBER, _TEXT, _NONE))
_SPLINE: _Parameters = {"x": frozenset((_ROWS,)), "df": _SCALAR, "knots": _LISTS}
_BOUNDS: _Parameters = {"lower_bound": _SCALAR, "upper_bound": _SCALAR}
_CUBIC = {**_SPLINE, **_BOUNDS, "constraints": _LISTS | {_TEXT}}
_SCALE: _Parameters = {"x": frozenset((_ROWS,)), "center": _SCALAR, "rescale": _SCALAR, "ddof": _SCALAR}
_PATSY: Mapping[str, _Parameters] = {
    "I": {"x": _ANY_ROWS},
    "Q": {"name": frozenset((_TEXT,))},
    "C": {"data": _ANY_ROWS, "contrast": _LISTS | {_CODING}, "levels": _LISTS},
    "Treatment": {"reference": _REFERENCE},
    "Sum": {"omit": _REFERENCE},
    "Poly": {"scores": _LISTS},
    "Helmert": {},
    "Diff": {},
    "center": {"x": frozenset((_ROWS,))},
    "standardize": _SCALE,
    "scale": _SCALE,
    "bs": {**_SPLINE, "degree": _SCALAR, "include_intercept": _SCALAR, **_BOUNDS},
    "cr": _CUBIC,
    "cc": _CUBIC,
}
_CONTRASTS = _words("Treatment Sum Poly Helmert Diff")
_SPLINES = _words("bs cr cc")
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
    ast.BitXor: operator.xor,
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

    Raises
    ------
    ValueError
        With the piece that is refused, and why.
    """
    check_length(formula, remedy)
    judge = _Strict(formula, kinds, namespace, remedy)
    for codes in terms:
        width = 1
        for code in codes:
            try:
                width *= judge.read(syntax_tree(code, formula))
            except RecursionError:
                judge.refuse(code, "it is nested too deeply")
        if width > _MOST_COLUMNS:
            judge.refuse(
                ":".join(codes), f"a term may not ask for more than {_MOST_COLUMNS:,} columns of splines"
            )


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
        if value.kind not in _ANY_ROWS:
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
        return _Value(_NUMBER, number)

    def _constant(self, node: ast.Constant) -> _Value:
        value = node.value
        if value is None:
            return _Value(_NONE)
        if isinstance(value, str):
            return _Value(_TEXT)
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
        if name in _CONTRASTS:
            return _Value(_CODING)
        if self.kinds is not None or name == "np" or name in _PATSY or name == "te":
            self.refuse(name, "it is neither a column nor a constant")
        return _Value(_ROWS)

    def _column(self, name: str) -> _Value:
        kinds = self.kinds or {}
        return _Value(_TEXT_ROWS if kinds.get(name) in ("text", "levels") else _ROWS)

    def _helper(self, node: ast.Name, value: Any) -> _Value:
        """An entry of the user's namespace that is no function: plain data, whose operators are Python's own."""
        if value is None:
            return _Value(_NONE)
        if type(value) in (bool, int, float):
            return self._number(node, value)
        if isinstance(value, np.generic) and is_numeric(value.dtype):
            return _Value(_NUMBER)
        if type(value) in (str, np.str_):
            return _Value(_TEXT)
        if type(value) is np.ndarray and is_numeric(value.dtype):
            return _Value(_LIST, width=len(value) if value.ndim else 1)
        if type(value) in (list, tuple) and all(type(v) in (bool, int, float, str) for v in value):
            return _Value(_LIST, width=len(value))
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
        for item in node.elts:
            if self._value(item).kind not in (_NUMBER, _TEXT, _LIST):
                self.refuse(node, "lists hold numbers and texts")
        return _Value(_LIST, width=len(node.elts))

    def _sign(self, node: ast.UnaryOp) -> _Value:
        sign = _SIGNS.get(type(node.op))
        value = self._value(node.operand)
        if sign is None or value.kind not in _NUMERIC:
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
            self.refuse(node, "operators are + - * / // % ** & | ^ and comparisons")
        if left.kind not in _NUMERIC or right.kind not in _NUMERIC:
            self.refuse(node, "operators go with numbers only")
        if _ROWS in (left.kind, right.kind):
            return _Value(_ROWS, width=max(left.width, right.width))
        if left.number is None or right.number is None:  # NumPy's, of 64 bits
            return _Value(_NUMBER)
        if isinstance(node.op, ast.Pow) and (abs(right.number) > 1000 or abs(left.number) > 1e6):
            self.refuse(node, "write such a number out")
        try:
            return self._number(node, join(left.number, right.number))
        except (ArithmeticError, TypeError):
            self.refuse(node, "it is no number")

    def _comparison(self, node: ast.Compare) -> _Value:
        kinds = [self._value(side).kind for side in (node.left, *node.comparators)]
        if not all(isinstance(op, _COMPARISONS) for op in node.ops) or not _VALUES.issuperset(kinds):
            self.refuse(node, "comparisons are == != < <= > >= of columns, numbers and texts")
        return _Value(_NUMBER if _ANY_ROWS.isdisjoint(kinds) else _ROWS)

    def _call(self, node: ast.Call) -> _Value:
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            self.refuse(node, "arguments are written one by one")
        if any(keyword.arg is None for keyword in node.keywords):
            self.refuse(node, "arguments are written one by one")
        of_np = self._of_np(node.func)
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name in _PATSY:
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
            return self._np_call(node, {f"{i}": _NUMERIC for i in range(arguments)} | {"*": frozenset()})
        if of_np in _OTHERS:
            return self._np_call(node, _OTHERS[of_np])
        self.refuse(
            node.func, "it is none of the known functions, which are patsy's and np's of one value a row"
        )

    def _arguments(self, node: ast.Call, known: _Parameters) -> dict[str, _Value]:
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

    def _np_call(self, node: ast.Call, known: _Parameters) -> _Value:
        values = self._arguments(node, known).values()
        kinds = {value.kind for value in values}
        if "element" in known:  # np.isin
            return _Value(_ROWS)
        if _TEXT in kinds or _TEXT_ROWS in kinds:
            return _Value(_TEXT_ROWS)
        if _ROWS not in kinds:
            return _Value(_NUMBER)
        return _Value(_ROWS, width=max(value.width for value in values if value.kind == _ROWS))

    def _patsy_call(self, node: ast.Call, name: str) -> _Value:
        known = self._arguments(node, _PATSY[name])
        if name in _CONTRASTS:
            return _Value(_CODING)
        if name == "Q":
            # Which column it is was judged in `formula_names`, if there are any.
            return self._column(str(getattr([*node.args, *[k.value for k in node.keywords]][0], "value", "")))
        if name in _SPLINES:
            return _Value(_ROWS, width=self._spline_columns(node, known))
        data = known.get("x", known.get("data", _Value(_ROWS)))
        return _Value(_TEXT_ROWS if name == "C" else data.kind, width=data.width)

    def _spline_columns(self, node: ast.Call, known: Mapping[str, _Value]) -> int:
        columns = known["knots"].width if "knots" in known else 0
        for word in ("df", "degree"):
            value = known.get(word, _Value(_NONE))
            if value.kind == _NUMBER and not (value.number is not None and 0 <= value.number <= _MOST_KNOTS):
                self.refuse(node, f"{word} is a number from 0 to {_MOST_KNOTS}")
            columns = max(columns, math.ceil(value.number or 0))
        return columns + 4

    def _tensor(self, node: ast.Call) -> _Value:
        width = 1
        for argument in node.args:
            value = self._value(argument)
            if value.kind != _ROWS:
                self.refuse(argument, "te() joins splines")
            width *= value.width
        if width > _MOST_COLUMNS:
            self.refuse(node, f"a term may not ask for more than {_MOST_COLUMNS:,} columns of splines")
        rest = ast.Call(func=node.func, args=[], keywords=node.keywords)
        self._arguments(rest, {"constraints": _CUBIC["constraints"]})
        return _Value(_ROWS, width=width)


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
    names: Sequence[str] = [*UFUNCS, *CASTS, *_OTHERS]
    return next((name for name in names if vars(np)[name] is function), "")

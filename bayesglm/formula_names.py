"""Judge the Python code in a formula before it is evaluated, and find the columns and functions that it uses.

patsy hands the code to ``eval``. Here it is judged on its syntax tree first: every name must be a column, a
builtin of patsy, an entry of the user's namespace, ``np`` or one of a few harmless builtins of Python; no
name or attribute may begin with an underscore; and what reads or writes files is refused. That closes the
doors one goes through by accident or in passing; it is no sandbox for hostile authors.
"""

import ast
import builtins
import difflib
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from bayesglm.formula_language import column_named_by, is_call_of, syntax_tree, walk
from bayesglm.formula_remedies import of_call, of_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Python's own builtins that a formula may use.
PYTHON_BUILTINS = _words("abs bool dict float int len list max min pow range round set sorted str sum tuple")

_REFUSED_SYNTAX = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.NamedExpr,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.JoinedStr,
)
# Methods that write files, run strings as code or as names of methods, or reach raw memory. What begins with
# `to_` is refused too, but for one.
_REFUSED_METHODS = _words(
    "agg aggregate apply ctypes dump dumps eval format format_map hist pipe plot query tofile transform"
)
_REFUSED_NUMPY_PREFIXES = ("from", "get", "load", "save", "show")
_REFUSED_NUMPY = _words(
    "apply_along_axis apply_over_axes bmat copyto genfromtxt info nested_iters printoptions set_printoptions "
    "setbufsize seterr seterrcall test"
)
# Inside these calls a missing value is a value like any other.
_LENIENT_CALLS = _words("fillna isfinite isna isnan isnull nan_to_num notna notnull")
# Functions of patsy that take numbers: integers may become floats under them, which do not overflow.
_NUMERIC_BUILTINS = _words("I bs cc center cr scale standardize te")
_BIT_OPERATORS = (ast.BitAnd, ast.BitOr)


@dataclass(frozen=True)
class Use:
    """How a formula uses one column of the frame."""

    name: str
    #: only ever a factor of its own, ``g`` or ``C(g)``, so that its levels can be remembered with the column
    alone: bool
    #: integers stay integers (names of levels, look-ups)
    whole: bool
    #: only ever where a missing value is handled by the formula itself, as in ``np.isnan(x)``
    lenient: bool
    # The rest is for speed only, and unknown to models pickled before it was there.
    #: only ever under operators, NumPy's ufuncs and I(), which serve arrays as well as a pandas Series
    plain: bool = field(default=False, compare=False)
    #: only ever as ``C(x)``
    boxed: bool = field(default=False, compare=False)


@dataclass
class Survey:
    """What the code of some factors refers to."""

    uses: dict[str, Use] = field(default_factory=dict)
    #: objects of the user's namespace, by name
    helpers: dict[str, Any] = field(default_factory=dict)
    #: whether every function is known to treat each row by itself
    rowwise: bool = True


def survey(
    codes: Collection[str], formula: str, columns: Collection[str], namespace: Mapping[str, Any]
) -> Survey:
    """Judge the Python code of factors and find the columns and objects that it uses.

    Parameters
    ----------
    codes : collection of str
        The code of each factor.
    formula : str
        The whole formula, for messages.
    columns : collection of str
        Names of the frame's columns; they come before all other names.
    namespace : mapping
        The user's own functions and constants.

    Returns
    -------
    Survey

    Raises
    ------
    ValueError
        If the code uses a name that is not known, or one that a formula may not use.
    """
    judge = _Judge(formula, columns, namespace)
    for code in codes:
        judge.read(code)
    return judge.found


def check_namespace(namespace: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the user's namespace, ``{}`` for None, after a check of its type and names.

    Raises
    ------
    TypeError
        If it is no mapping from names to objects.
    ValueError
        If it redefines ``np`` or a builtin of patsy.
    """
    if namespace is None:
        return {}
    if not isinstance(namespace, Mapping) or not all(isinstance(name, str) for name in namespace):
        raise TypeError("formula_namespace must be a mapping from names to functions or constants")
    for name in namespace:
        if name == "np" or name in _patsy_names():
            raise ValueError(f"formula_namespace may not redefine {name!r}; give that entry another name")
    return namespace


def suggest(name: str, known: Collection[str]) -> str:
    """Words for a message: the known names closest to `name`, or a list of them."""
    known = [str(other) for other in known]
    close = [other for other in known if other.lower() == name.lower()]
    close += [other for other in difflib.get_close_matches(name, known, n=3) if other not in close]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"its columns are {list_names(known)}" if known else "it has no columns"


def list_names(names: Collection[Any], most: int = 8) -> str:
    """Write names into a message: quoted, and at most `most` of them."""
    shown = ", ".join(repr(name) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


class _Judge:
    """Walks the syntax trees of factors; collects what they use and refuses what they may not."""

    def __init__(self, formula: str, columns: Collection[str], namespace: Mapping[str, Any]):
        self.formula, self.columns, self.namespace = formula, columns, namespace
        self.found = Survey()

    def read(self, code: str) -> None:
        self.uses_columns = False
        for node, above in walk(syntax_tree(code, self.formula)):
            if isinstance(node, _REFUSED_SYNTAX):
                self._refuse(ast.unparse(node), "give a named function in formula_namespace instead")
            elif isinstance(node, ast.Attribute):
                self._attribute(node)
            elif isinstance(node, ast.Subscript):
                self.found.rowwise = False
            elif isinstance(node, ast.Name):
                self._name(node, above)
            elif isinstance(node, ast.Call) and is_call_of(node, "Q"):
                name = column_named_by(node)
                if name is None:
                    self._refuse(ast.unparse(node), 'write one quoted column name, Q("my column")')
                if name not in self.columns:
                    self._unknown(name)
                self._use(name, node, above)
        if not self.uses_columns:
            raise ValueError(
                f"formula {self.formula!r}: {code!r} uses no column of the frame, so that it has no value "
                "for each row"
            )

    def _name(self, node: ast.Name, above: tuple[ast.AST, ...]) -> None:
        name, parent = node.id, above[-1] if above else None
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        called = call is not None
        if name == "np" and isinstance(parent, ast.Attribute):
            return  # judged with its attribute
        if name in self.columns and not called:
            self._use(name, node, above)
        elif name.startswith("_"):
            self._refuse(name, "names that begin with an underscore are for columns only")
        elif name in self.namespace:
            self.found.helpers[name] = self.namespace[name]
            self.found.rowwise &= not called
        elif name in _patsy_names():
            pass
        elif name in PYTHON_BUILTINS:
            self.found.rowwise &= not called or name == "abs"
        elif name == "np":
            self._refuse(name, "write np and a function of it, as in np.log(x)")
        elif hasattr(builtins, name):
            self._refuse(name, "that builtin of Python is not open to formulas")
        elif call is not None:
            self._unknown_function(call)
        else:
            whole = next((a for a in reversed(above) if isinstance(a, ast.Attribute)), None)
            dotted = ast.unparse(whole) if whole is not None else name
            self._unknown(dotted if dotted in self.columns or of_name(dotted) else name)

    def _attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        if name.startswith("_"):
            self._refuse(ast.unparse(node), "attributes that begin with an underscore are closed to formulas")
        if not (isinstance(node.value, ast.Name) and node.value.id == "np"):
            if name in _REFUSED_METHODS or (name.startswith("to_") and name != "to_numpy"):
                self._refuse(ast.unparse(node), "that method is closed to formulas")
            self.found.rowwise = False
            return
        if name in _REFUSED_NUMPY or name.startswith(_REFUSED_NUMPY_PREFIXES):
            self._refuse(f"np.{name}", "of np only functions that compute are open to formulas")
        member = vars(np).get(name)  # getattr would import what NumPy imports on demand
        if member is None and name in dir(np) and name != "newaxis":
            self._refuse(f"np.{name}", "of np only functions that compute are open to formulas")
        if member is None and name != "newaxis":
            near = difflib.get_close_matches(name, dir(np), n=1)
            hint = f"; did you mean np.{near[0]}?" if near else ""
            raise ValueError(f"formula {self.formula!r}: there is no function np.{name}{hint}")
        number_type = isinstance(member, type) and issubclass(member, np.generic | bool)
        if isinstance(member, types.ModuleType | type) and not number_type:
            self._refuse(f"np.{name}", "of np only functions that compute are open to formulas")
        self.found.rowwise &= isinstance(member, np.ufunc | float)

    def _use(self, name: str, node: ast.AST, above: tuple[ast.AST, ...]) -> None:
        self.uses_columns = True
        calls = [a for a in above if isinstance(a, ast.Call)]
        alone, boxed = not above, False
        if len(above) == 1 and calls and is_call_of(calls[0], "C"):
            # With levels given by the formula the column's own do not count.
            given = len(calls[0].args) > 2 or any(word.arg == "levels" for word in calls[0].keywords)
            alone = boxed = calls[0].args[:1] == [node] and not given
        whole = any(
            isinstance(a, ast.Subscript)
            or (isinstance(a, ast.BinOp) and isinstance(a.op, _BIT_OPERATORS))
            or (
                isinstance(a, ast.Call)
                and isinstance(a.func, ast.Name)
                and a.func.id not in _NUMERIC_BUILTINS
            )
            for a in above
        )
        lenient = any(isinstance(c.func, ast.Attribute) and c.func.attr in _LENIENT_CALLS for c in calls)
        plain = all(isinstance(a, ast.BinOp | ast.UnaryOp | ast.Compare) or _is_elementwise(a) for a in above)
        first = Use(name, alone=True, whole=False, lenient=True, plain=True, boxed=True)
        before = self.found.uses.get(name, first)
        self.found.uses[name] = Use(
            name,
            alone=before.alone and alone,
            whole=before.whole or whole,
            lenient=before.lenient and lenient,
            plain=before.plain and plain and not whole,
            boxed=before.boxed and boxed,
        )

    def _refuse(self, piece: str, reason: str) -> NoReturn:
        raise ValueError(f"formula {self.formula!r} may not use {piece!r}: {reason}")

    def _unknown(self, name: str) -> NoReturn:
        if name in self.columns:
            raise ValueError(f"formula {self.formula!r}: write the column {name!r} as Q({name!r})")
        remedy = of_name(name)
        if remedy is not None:
            raise ValueError(f"formula {self.formula!r}: {name!r} is not a column of the frame; {remedy}")
        hint = suggest(name, self.columns)
        raise ValueError(
            f"formula {self.formula!r}: {name!r} is not a column of the frame ({hint}), and variables of the "
            "calling code are never read; add it to the frame or to formula_namespace"
        )

    def _unknown_function(self, call: ast.Call) -> NoReturn:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        hint = of_call(call)
        if hint is None:
            near = difflib.get_close_matches(name, [*_patsy_names(), *self.namespace], n=1)
            hint = f"did you mean {near[0]}(...)?" if near else "pass it in formula_namespace"
        raise ValueError(f"formula {self.formula!r}: there is no function {name!r}; {hint}")


def _is_elementwise(node: ast.AST) -> bool:
    """Whether this is a call of I() or of one of NumPy's ufuncs."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "np"
        return ours and isinstance(vars(np).get(node.func.attr), np.ufunc)
    return is_call_of(node, "I")


def _patsy_names() -> Collection[str]:
    from patsy import builtins as patsy_builtins

    return patsy_builtins.__all__

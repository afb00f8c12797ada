"""What goes wrong while a formula is computed, in one sentence: which term, why, and what to write.

Python, NumPy and pandas speak of their own operations there, and of objects that nobody wrote. So their words are not
passed on (tracebacks hold them, as the cause); what the code does with which columns says more. A user's own functions
and patsy keep theirs.
"""

import ast
import contextlib
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bayesglm.formula_columns import kind_of, unknown_level
from bayesglm.formula_language import column_named_by, walk
from bayesglm.formula_limits import UnreasonableError
from bayesglm.formula_names import list_names

_LIBRARIES = ("numpy", "pandas", "patsy", "scipy", "bayesglm")


@contextlib.contextmanager
def in_our_words(
    formula: str, data: Mapping[str, Any], unknown: Callable[[], ValueError | None] = lambda: None
) -> Iterator[None]:
    """Turn what is raised while patsy computes into one sentence.

    NumPy's warnings are silent meanwhile: NaN and infinity are reported with the name of their term.

    Parameters
    ----------
    formula : str
    data : mapping from str to pandas.Series or ndarray
        The columns that are computed with.
    unknown : callable
        Finds the level that patsy stumbled over, if it was one.
    """
    from patsy import PatsyError

    try:
        with np.errstate(all="ignore"):
            yield
    except MemoryError:
        raise
    except Exception as error:  # contrasts and splines raise errors of many kinds
        cause = error.__cause__ if isinstance(error, PatsyError) else error
        if isinstance(cause, UnreasonableError):
            raise ValueError(f"formula {shortened(formula)}: {cause}") from None
        code = _code_of(error)
        where = "a term" if code is None else f"term {code!r}"
        if isinstance(cause, NotImplementedError) and "outermost knots" in str(cause):
            raise ValueError(
                f"formula {formula!r}: {where} meets values outside the range of its knots, where bs() is "
                "not defined; use cr(), which goes on as a straight line, or give bs() a wider lower_bound "
                "and upper_bound"
            ) from None
        found = unknown() if isinstance(error, PatsyError) and "level" in str(error) else None
        if found is not None:
            raise found from None
        said = str(getattr(error, "message", ""))  # of patsy's, which quote the formula besides
        reason = _first_line(said) if cause is None else _reason(cause, code, data)
        raise ValueError(f"formula {formula!r}: {where} cannot be computed: {reason}") from cause


def find_unknown_level(
    infos: Collection[Any], data: Mapping[str, Any], rows: np.ndarray, is_none: Callable[[Any], bool]
) -> ValueError | None:
    """Find the level that no factor of some DesignInfos knows, and its row, by evaluating the factors once more."""
    for known in (known for info in infos for known in info.factor_infos.values()):
        if known.type != "categorical":
            continue
        values = known.factor.eval(known.state, data)
        values = list(values.data if type(values).__name__ == "_CategoricalBox" else values)
        levels = set(known.categories)
        unknown = [i for i, value in enumerate(values) if value not in levels and not is_none(value)]
        if unknown:
            found = [values[i] for i in unknown]
            return unknown_level(known.factor.name(), found, rows[unknown[0]], known.categories)
    return None


def shortened(formula: str) -> str:
    """A formula for a message, with its end left out if it is long."""
    return repr(formula) if len(formula) <= 200 else f"{formula[:197]!r}..."


def _code_of(error: BaseException) -> str | None:
    """The code of the factor in which something was raised, if it was in one."""
    from patsy import EvalFactor

    origin = getattr(error, "origin", None)
    if origin is not None:
        code: str = origin.relevant_code()
        return code
    for frame, _ in traceback.walk_tb(error.__traceback__):
        factor = frame.f_locals.get("self")
        if isinstance(factor, EvalFactor):
            name: str = factor.name()
            return name
    return None


def _reason(cause: BaseException, code: str | None, data: Mapping[str, Any]) -> str:
    """Why a factor cannot be computed."""
    frames = [frame for frame, _ in traceback.walk_tb(cause.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame in frames]
    for frame, module in zip(frames, modules, strict=True):
        if module not in _LIBRARIES and frame.f_code.co_filename != "<formula>":
            return f"{frame.f_code.co_name}() raised {type(cause).__name__}: {_first_line(str(cause))}"
    if modules and modules[-1] == "bayesglm" and frames[-1].f_code.co_filename != "<formula>":
        return _first_line(str(cause))
    if any(frame.f_code.co_name == "_get_natural_f" for frame in frames):
        return "cr() needs three knots at least; give it df=3 or more, or df=2 or more beside an intercept"
    if modules and modules[-1] == "patsy" and isinstance(cause, ValueError) and "dtype" not in str(cause):
        return _first_line(str(cause))
    return _of_code(code, data)


def _of_code(code: str | None, data: Mapping[str, Any]) -> str:
    """Why Python cannot evaluate the code of a factor, as far as it and its columns say."""
    tree = _tree(code)
    nodes = [node for node, _ in walk(tree)] if tree is not None else []
    named = [column_named_by(node) for node in nodes]
    kinds = {name: kind_of(data[name]) for name in named if name in data and name is not None}
    for node in nodes:
        chained = isinstance(node, ast.Compare) and len(node.ops) > 1
        if chained or isinstance(node, ast.BoolOp | ast.IfExp):
            return "conditions on columns are joined by & and |, each in parentheses, as in (x > 1) & (z < 2)"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"the opposite of a condition is written ~({ast.unparse(node.operand)})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            function = vars(np).get(node.func.attr) if ast.unparse(node.func.value) == "np" else None
            if isinstance(function, np.ufunc) and len(node.args) != function.nin:
                wanted = f"{function.nin} argument{'s' * (function.nin > 1)}"
                return f"np.{node.func.attr}() takes {wanted}, not {len(node.args)}"
    texts = [name for name, kind in kinds.items() if kind == "text"]
    if texts:
        return (
            f"it computes with {list_names(texts)}, which holds text; compare it, as in ({texts[0]} == 'a'), or write "
            f"C({texts[0]}) for its levels"
        )
    truths = [name for name, kind in kinds.items() if kind == "bool"]
    if truths:
        return f"it computes with {list_names(truths)}, which holds booleans; write 1*{truths[0]} for numbers"
    looked_up = [node for node in nodes if isinstance(node, ast.Subscript)]
    if looked_up:
        return f"{ast.unparse(looked_up[0])!r} is nothing that is there; a condition is written (g == 'a')"
    return "its functions do not take the arguments that it gives them; look at their kinds and number"


def _tree(code: str | None) -> ast.AST | None:
    try:
        return None if code is None else ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]

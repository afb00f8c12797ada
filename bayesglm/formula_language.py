"""Read a formula: its sides, its terms, and what of other languages it holds that patsy does not have."""

import ast
import io
import math
import tokenize
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bayesglm import formula_remedies
from bayesglm.inference.caller import stack_level

# Python's compiler gives up not much later; a sum of this many columns inside I() is still read.
_DEEPEST = 1000
# Nobody writes a longer one; reading it takes seconds.
_LONGEST = 200_000
# Products of two terms that patsy may form while it expands a formula: a few seconds, and more columns than data serve.
_MOST_PRODUCTS = 1_000_000
# And terms that come of it, by a bound that counts some of them twice.
_MOST_TERMS = 10_000


@dataclass(frozen=True)
class Parsed:
    """A formula taken apart: patsy's terms of the right side and the one factor of the left."""

    text: str
    right: list[Any]
    left: Any | None

    @property
    def right_codes(self) -> list[str]:
        """The code of every factor of the right side."""
        return [factor.code for term in self.right for factor in term.factors]

    @property
    def left_codes(self) -> list[str]:
        """The code of the left side, if there is one."""
        return [] if self.left is None else [self.left.code]

    @property
    def response(self) -> str:
        """Name of the response: the column's own, else the left side as code; ``"y"`` if there is none."""
        if self.left is None:
            return "y"
        return self.bare_response or self.left.code

    @property
    def left_term(self) -> Any:
        """The left side as a term of patsy's."""
        from patsy import Term

        return Term([self.left])

    @property
    def bare_response(self) -> str | None:
        """The column that is the left side, if that is no more than a name."""
        if self.left is None:
            return None
        return column_named_by(syntax_tree(self.left.code, self.text))


class TooManyTermsError(ValueError):
    """What a formula is refused with whose products and powers make too many terms."""


def parse(formula: str, intercept: bool = True, again: bool = False, most_terms: int | None = None) -> Parsed:
    """Take a formula apart, without evaluating anything.

    Parameters
    ----------
    formula : str
        Patsy's language; a left side is optional.
    intercept : bool, default True
        ``False`` removes the intercept as ``- 1`` in the formula does.
    again : bool, default False
        Whether it has been read before, so that what it warns of has been said.
    most_terms : int, optional
        The most terms that it may be expanded to, as far as that can be told before; None: 10,000.

    Returns
    -------
    Parsed

    Raises
    ------
    TypeError
        If `formula` is not a string.
    ValueError
        If it cannot be read, has several responses, or uses syntax of R that patsy does not have.
    """
    from patsy import INTERCEPT, ModelDesc, PatsyError
    from patsy.parse_formula import parse_formula

    if not isinstance(formula, str):
        raise TypeError(f"formula must be a string such as 'y ~ x + C(g)', got {type(formula).__name__}")
    if not formula.strip():
        raise ValueError(
            "the formula is empty; write for example 'y ~ x + C(g)', or 'y ~ 1' for an intercept only"
        )
    if len(formula) > _LONGEST:
        raise ValueError(
            f"formula {formula[:60]!r}... has {len(formula):,} characters, more than the {_LONGEST:,} that are read"
        )
    try:
        tree = parse_formula(formula)
        terms, _, products = _expansion(tree)
        most = _MOST_TERMS if most_terms is None else most_terms
        wide = terms > most or products > min(_MOST_PRODUCTS, 100 * most)
    except PatsyError as error:
        raise _unreadable(error, formula) from None
    except Exception:  # patsy's tokenizer stumbles over a few characters with an AssertionError and the like
        raise _no_code(formula) from None
    if wide:
        raise TooManyTermsError(
            f"formula {formula!r} has too many terms: its products and powers of sums make more than can be estimated; "
            "lower the power, or write out the terms that matter"
        )
    try:
        description = ModelDesc.from_formula(tree)
    except PatsyError as error:
        raise _unreadable(error, formula) from None
    except Exception:  # a RecursionError, and what patsy asserts
        raise _no_code(formula) from None
    right, left = description.rhs_termlist, description.lhs_termlist
    response = left[0].name() if left else ""
    for side, terms in (("left", left), ("right", right)):
        for factor in (factor for term in terms for factor in term.factors):
            _refuse_other_letters(factor.code, formula)
            _refuse_foreign_syntax(factor.code, formula, side == "left", response)
    if len(left) > 1 or (left and len(left[0].factors) != 1):
        raise ValueError(
            f"formula {formula!r} must have one response on its left side, a column or an expression; several "
            "are passed as y, a formula without a left side given, as in fit(df, df[['a', 'b']]), and a sum is "
            "written I(a + b)"
        )
    if not again:
        _warn_of_empty_powers(tree, formula)
    if not intercept:
        right = [term for term in right if term != INTERCEPT]
    return Parsed(formula, right, left[0].factors[0] if left else None)


def _unreadable(error: Any, formula: str) -> ValueError:
    remedy = formula_remedies.of_text(formula)
    if remedy is not None:
        return ValueError(f"formula {formula!r}: {remedy}")
    where = f" at {error.origin.relevant_code()!r}" if error.origin is not None else ""
    numbers = error.message.startswith(("numbers", "intercept term", "Unary minus"))
    hint = "; arithmetic with columns is written I(2*x)" if numbers else ""
    return ValueError(f"formula {formula!r} cannot be read: {error.message}{where}{hint}")


def _no_code(formula: str) -> ValueError:
    remedy = formula_remedies.of_text(formula)
    if remedy is not None:
        return ValueError(f"formula {formula!r}: {remedy}")
    return ValueError(
        f"formula {formula!r} cannot be read: it is too deeply nested, or holds what is no code"
    )


def _expansion(tree: Any) -> tuple[int, frozenset[str], int]:
    """At most how many terms patsy makes of a node, their factors, and how many products it forms for that."""
    if not tree.args:
        factors = frozenset([tree.token.extra]) if tree.type == "PYTHON_EXPR" else frozenset()
        return len(factors), factors, 0
    terms, factors, products = _expansion(tree.args[0])
    if len(tree.args) == 1:
        return terms, factors, products
    if tree.type == "**":
        power = getattr(tree.args[1].token, "extra", None)
        wanted = int(power) if isinstance(power, str) and power.isdecimal() and len(power) < 10 else terms
        most = 2 ** min(len(factors), 60)
        found, last = terms, terms
        for _ in range(1, min(wanted, terms)):
            products += terms * last
            if products > _MOST_PRODUCTS:
                break
            last = min(terms * last, most)
            found += last
        distinct = (
            sum(math.comb(terms, i) for i in range(1, min(wanted, terms) + 1)) if terms < 1000 else most
        )
        return min(found, most, distinct), factors, products
    others, more, further = _expansion(tree.args[1])
    factors, products = factors | more, products + further
    if tree.type in ("*", ":"):
        products += terms * others
        found = terms * others + (terms + others if tree.type == "*" else 0)
    else:
        found = terms + others
    return min(found, 2 ** min(len(factors), 60)), factors, products


def _refuse_other_letters(code: str, formula: str) -> None:
    """Refuse names in letters that Python takes for others, as it does full-width ones; patsy does not."""
    if code.isascii():
        return
    try:
        names = [
            t.string for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type == tokenize.NAME
        ]
    except (tokenize.TokenError, SyntaxError):
        return  # no Python, which is said elsewhere
    for name in names:
        plain = unicodedata.normalize("NFKC", name)
        if plain != name:
            raise ValueError(
                f"formula {formula!r}: Python reads the name {name!r} as {plain!r}; write it so, or Q({name!r}) if a "
                "column is called that"
            )


def _warn_of_empty_powers(tree: Any, formula: str) -> None:
    """Say that x**2 is x: a power is one of sums of terms, as in (a + b)**2."""
    if tree.type == "**" and tree.args[0].type == "PYTHON_EXPR":
        code = tree.args[0].token.extra
        warnings.warn(
            f"formula {formula!r}: the power of a single term is the term itself; write I({code}**2) for the "
            "square",
            UserWarning,
            stacklevel=stack_level(),
        )
    for node in tree.args:
        _warn_of_empty_powers(node, formula)


def _refuse_foreign_syntax(code: str, formula: str, on_the_left: bool, response: str) -> None:
    """Say what is not there of the languages of R and lme4, which people bring with them."""
    if code.strip() == "." or code.replace(" ", "").startswith(".^"):
        raise ValueError(
            f"formula {formula!r}: '.' for all other columns is not supported; name them, as in 'y ~ a + b'"
        )
    bars = code.replace(" ", "").partition("||")
    if bars[1] and bars[2].isidentifier():  # no Python, so the syntax tree cannot tell
        raise ValueError(
            f"formula {formula!r}: {formula_remedies.of_bar(ast.Name(bars[2]), False, response)}"
        )
    tree = syntax_tree(code, formula)
    for node, above in walk(tree):
        if len(above) > _DEEPEST:
            raise _too_deep(formula)
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, ast.BitXor | ast.LShift | ast.RShift):
            raise ValueError(f"formula {formula!r}: {_of_bits(node, tree)}")
        called = any(isinstance(a, ast.Call) for a in above)
        if isinstance(node.op, ast.BitOr) and not called:  # inside a call it joins conditions
            left = ast.unparse(node.left)
            raise ValueError(f"formula {formula!r}: {formula_remedies.of_bar(node.right, on_the_left, left)}")


def _of_bits(node: ast.BinOp, tree: ast.AST) -> str:
    """The sentence for an operator that works on the bits of whole numbers, where something else is meant."""
    left, right = ast.unparse(node.left), ast.unparse(node.right)
    if not isinstance(node.op, ast.BitXor):
        sign, other = ("<<", "*") if isinstance(node.op, ast.LShift) else (">>", "//")
        return f"{sign!r} is not supported; write I({left} {other} 2**{right})"
    if isinstance(node.left, ast.Compare) and isinstance(node.right, ast.Compare):
        return f"'^' is not supported; write ({left}) != ({right}) for one of two conditions but not both"
    whole = ast.unparse(tree).replace(" ^ ", "**")
    return f"'^' is not supported; write a power of numbers as {whole if isinstance(tree, ast.Call) else f'I({whole})'}"


def walk(tree: ast.AST) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node of a tree in the order of the code, with the nodes above it, outermost first."""
    waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while waiting:
        node, above = waiting.pop()
        yield node, above
        waiting += [(child, (*above, node)) for child in ast.iter_child_nodes(node)][::-1]


def syntax_tree(code: str, formula: str) -> ast.AST:
    """Parse the Python code of a factor; ValueError if it is none."""
    try:
        tree = ast.parse(code, mode="eval").body
        if isinstance(tree, ast.Tuple):
            raise ValueError("a comma where a sum is meant")
        return tree
    except (RecursionError, MemoryError):
        raise _too_deep(formula) from None
    except (SyntaxError, ValueError):
        remedy = formula_remedies.of_text(formula)
        if remedy is not None:
            raise ValueError(f"formula {formula!r}: {remedy}") from None
        raise ValueError(
            f"formula {formula!r} cannot be read: {code!r} is no Python expression; terms are joined by '+', "
            "sides by '~', and a column whose name is no Python name is written Q(\"my column\")"
        ) from None


def column_named_by(node: ast.AST) -> str | None:
    """The column that ``x`` or ``Q("x")`` names; None for other code."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and is_call_of(node, "Q") and len(node.args) == 1 and not node.keywords:
        name = getattr(node.args[0], "value", None)
        return name if isinstance(name, str) else None
    return None


def is_call_of(node: ast.Call, name: str) -> bool:
    """Whether a call is ``name(...)``."""
    return isinstance(node.func, ast.Name) and node.func.id == name


def _too_deep(formula: str) -> ValueError:
    return ValueError(f"formula {formula!r} is nested too deeply; compute that column beforehand")

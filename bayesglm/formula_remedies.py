"""What people bring to a formula from R, mgcv, brms, lme4, rms and bambi, and what to type here instead.

One sentence each: how it is written here, or that it does not exist. Nothing of this is looked at unless a formula
cannot be read, or names a function or a column that is not there.
"""

import ast
import re
from collections.abc import Callable, Mapping

import numpy as np

_GROUPS = "group effects are not supported yet; use C({x}) for one coefficient a level"
_BEFOREHAND = "compute that column before the fit, and name it here"
_NO_ERRORS = (
    "errors that depend on one another do not exist here; the response one step before can be a column"
)
_NO_PROCESS = "Gaussian processes do not exist here; a smooth curve is cr({x}, df=4)"
_NO_DISTRIBUTION = (
    "further formulas, of sigma or of nonlinear parameters, do not exist here; write the one of the mean"
)
_TRIALS = "write '{x} ~ ...' and give fit(df, trials={trials}), with BayesianGLM(family='binomial')"
_SEVERAL = (
    "several responses are passed as y, as in fit(df, df[['a', 'b']]), and the formula has no left side"
)
_NOT_CENSORED = "censored responses do not exist here"
_NOT_TRUNCATED = "truncated responses do not exist here"


# -- functions ---------------------------------------------------------------------------------------------


def of_call(call: ast.Call) -> str | None:
    """The sentence for a call of a function that is not there by that name; None if it is of no language known."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    known = _CALLS.get(name)
    if callable(known):
        return known(call)
    if known is not None:
        return known.format(x=_argument(call, 0, "x"), z=_argument(call, 1, "z"), all=_arguments(call))
    if name and name in vars(np):
        return f"write np.{name}({_arguments(call) or '...'})"
    return None


def _argument(call: ast.Call, position: int, otherwise: str, *words: str) -> str:
    """The code of an argument by position or by one of some names."""
    if len(call.args) > position:
        return ast.unparse(call.args[position])
    found = [keyword.value for keyword in call.keywords if keyword.arg in words]
    return ast.unparse(found[0]) if found else otherwise


def _arguments(call: ast.Call) -> str:
    return ", ".join(ast.unparse(argument) for argument in (*call.args, *call.keywords))


def _number(code: str, otherwise: int) -> int:
    return int(code) if code.isdecimal() and len(code) < 4 else otherwise


def _bare(call: ast.Call) -> list[str]:
    return [argument.id for argument in call.args if isinstance(argument, ast.Name)]


def _quoted(code: str) -> str:
    """A column's name as an argument of `fit`; other code as a column to be computed."""
    return repr(code) if code.isidentifier() else code


def _poly(call: ast.Call) -> str:
    x = _argument(call, 0, "x")
    degree = min(_number(_argument(call, 1, "2", "degree"), 2), 6)
    return f"write {' + '.join([x] + [f'I({x}**{power})' for power in range(2, max(degree, 2) + 1)])}"


def _offset(call: ast.Call) -> str:
    inner = call.args[0] if call.args else None
    others = "which all estimators but BayesianLinearRegression take"
    if (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Name | ast.Attribute)
        and len(inner.args) == 1
    ):
        function = inner.func.id if isinstance(inner.func, ast.Name) else inner.func.attr
        if function == "log":
            amount = _quoted(ast.unparse(inner.args[0]))
            return f"leave it out here and give fit(df, exposure={amount}) for counts, which takes the logarithm itself"
    code = "pop" if inner is None else ast.unparse(inner)
    return f"leave it out here and give fit(df, offset={_quoted(code)}), {others}"


def _cbind(call: ast.Call) -> str:
    if len(call.args) != 2:
        return _SEVERAL
    x, rest = ast.unparse(call.args[0]), call.args[1]
    trials = f"df['{x}'] + df['{ast.unparse(rest)}']"
    if isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Sub) and ast.unparse(rest.right) == x:
        trials = _quoted(ast.unparse(rest.left))
    return f"{_TRIALS.format(x=x, trials=trials)}; {_SEVERAL}"


def _trials(call: ast.Call) -> str:
    return _TRIALS.format(x=_argument(call, 0, "s"), trials=_quoted(_argument(call, 1, "n")))


def _relevel(call: ast.Call) -> str:
    return f"write C({_argument(call, 0, 'g')}, Treatment({_argument(call, 1, repr('level'), 'ref')}))"


def _factor(call: ast.Call) -> str:
    levels = [keyword.value for keyword in call.keywords if keyword.arg == "levels"]
    given = f", levels=[{_arguments(levels[0])}]" if levels and isinstance(levels[0], ast.Call) else ""
    return f"write C({_argument(call, 0, 'g')}{given})"


def _log(call: ast.Call) -> str:
    x, base = _argument(call, 0, "x"), _argument(call, 1, "", "base")
    if base in ("2", "10"):
        return f"write np.log{base}({x})"
    return f"write np.log({x}) / np.log({base})" if base else f"write np.log({x})"


def _smooth(call: ast.Call) -> str:
    """mgcv's and brms' s(), t2(), ti() and te(), and gam's lo()."""
    kind, k, by = (_argument(call, 99, "", word) for word in ("bs", "k", "by"))
    names = [ast.unparse(argument) for argument in call.args] or ["x"]
    if kind.strip("'\"") in ("re", "fs", "mrf"):
        return _GROUPS.format(x=names[0])
    if len(names) > 1:
        return f"write te({', '.join(f'cr({name}, df=3)' for name in names)})"
    name = "cc" if kind.strip("'\"") in ("cc", "cp") else "cr"
    term = f"{name}({names[0]}, df={max(_number(k, 5) - 1, 2)})"
    return f"write {f'{by} + {term}:{by}' if by else term}, where df, the number of columns, is chosen, not estimated"


def _natural(call: ast.Call) -> str:
    return f"write cr({_argument(call, 0, 'x')}, df={_argument(call, 1, '4', 'df')})"


def _restricted(call: ast.Call) -> str:
    return (
        f"write cr({_argument(call, 0, 'x')}, df={max(_number(_argument(call, 1, '5', 'parms'), 5) - 1, 2)})"
    )


def _vector(call: ast.Call) -> str:
    return f"a list is written [{_arguments(call)}], and {_SEVERAL}"


_Sentence = str | Callable[[ast.Call], str]


def _each(names: str, sentence: _Sentence) -> dict[str, _Sentence]:
    return dict.fromkeys(names.split(), sentence)


_CALLS: Mapping[str, _Sentence] = {
    **_each("poly pol", _poly),
    **_each("offset", _offset),
    **_each("cbind", _cbind),
    **_each("mvbind", _SEVERAL),
    **_each("p prop proportion", _trials),
    **_each("c", _vector),
    **_each("factor as_factor fct dummy catg", _factor),
    **_each("ordered scored", "write C({x}), or C({x}, Poly) for R's polynomial contrasts"),
    **_each("relevel fct_relevel", _relevel),
    **_each("interaction", "write {x}:{z}, or {x}*{z} with the main effects"),
    **_each("binary", "write I({x} == {z})"),
    **_each("ifelse if_else", "write np.where({all})"),
    **_each("case_when", "write np.select([conditions], [values])"),
    **_each(
        "cut cut2 findInterval ntile quantcut",
        "cut the column before the fit, as pandas.cut does, and name it here",
    ),
    **_each("lag lead shift diff rank cumsum paste nchar substr grepl scores", _BEFOREHAND),
    **_each("mean median", "center({x}) takes off the mean of the training rows and remembers it"),
    **_each(
        "sd var zscore",
        "standardize({x}) takes off the mean of the training rows, divides by their sd and remembers both",
    ),
    **_each("log", _log),
    **_each("pmin", "write np.minimum({all})"),
    **_each("pmax", "write np.maximum({all})"),
    **_each("ceiling", "write np.ceil({x})"),
    **_each("logit qlogis", "write np.log({x} / (1 - {x}))"),
    **_each("plogis expit invlogit inv_logit", "write I(1 / (1 + np.exp(-{x})))"),
    **_each("exp_ identity", "write {x}"),
    **_each("s lo loess t2 ti te", _smooth),
    **_each("ns nsk", _natural),
    **_each("rcs", _restricted),
    **_each("ps pb pspline mSpline iSpline", "write bs({x}, df=4)"),
    **_each("gp hsgp", _NO_PROCESS),
    **_each("mo", "monotonic effects do not exist here; C({x}, Diff) has one coefficient for each step"),
    **_each("me", "predictors measured with error do not exist here"),
    **_each("mi", "missing values are not estimated here: rows in which something is missing are left out"),
    **_each("ar ma arma arima cosy unstr car sar fcor corAR1", _NO_ERRORS),
    **_each("cs", "ordinal responses do not exist here"),
    **_each("gr mm strata cluster frailty random re", _GROUPS),
    **_each("bf lf nlf nl mvbf brmsformula", _NO_DISTRIBUTION),
    **_each("weights weighted", "give fit(df, sample_weight=df['w']), and leave it out here"),
    **_each(
        "trials", "give fit(df, trials={x!r}), with BayesianGLM(family='binomial'), and leave it out here"
    ),
    **_each(
        "se", "give fit(df, standard_error={x!r}), with BayesianGLM(family='gaussian'), and leave it out here"
    ),
    **_each("rate exposure", "give fit(df, exposure={x!r}), for counts, and leave it out here"),
    **_each("cens censored", _NOT_CENSORED),
    **_each("trunc truncated", _NOT_TRUNCATED),
    **_each("Surv", "models of survival times do not exist here"),
}


# -- names -------------------------------------------------------------------------------------------------

_NAMES: Mapping[str, str] = {
    "TRUE": "write True",
    "FALSE": "write False",
    "NULL": "write None",
    "NA": "write np.nan",
    "NaN": "write np.nan",
    "Inf": "write np.inf",
    "pi": "write np.pi",
    "contr.treatment": "write Treatment, as in C(g, Treatment('level'))",
    "contr.sum": "write Sum, as in C(g, Sum)",
    "contr.helmert": "write Helmert, as in C(g, Helmert)",
    "contr.poly": "write Poly, as in C(g, Poly)",
    "contr.sdif": "write Diff, as in C(g, Diff)",
}


def of_name(name: str) -> str | None:
    """The sentence for a name that is no column, such as R's TRUE; None if it is none known."""
    return _NAMES.get(name)


# -- what stands behind a bar ------------------------------------------------------------------------------


def of_bar(right: ast.AST, on_the_left: bool, response: str) -> str:
    """The sentence for ``... | right`` outside of a call: group effects, or brms' additions to the response."""
    code = ast.unparse(right)
    if not on_the_left:
        return f"group effects such as (1|{code}) are not supported yet; use C({code}) for one coefficient a level"
    name = right.func.id if isinstance(right, ast.Call) and isinstance(right.func, ast.Name) else ""
    x = _quoted(_argument(right, 0, "n")) if isinstance(right, ast.Call) else "n"
    start = f"write '{response} ~ ...'"
    return {
        "trials": f"{start} and give fit(df, trials={x}), with BayesianGLM(family='binomial')",
        "weights": f"{start} and give fit(df, sample_weight=df[{x}])",
        "se": f"{start} and give fit(df, standard_error={x}), with BayesianGLM(family='gaussian')",
        "rate": f"{start} and give fit(df, exposure={x})",
        "cens": _NOT_CENSORED,
        "trunc": _NOT_TRUNCATED,
        "mi": f"{start}, since rows whose response is missing are left out by themselves",
        "subset": f"{start} and give fit those rows of the frame",
    }.get(name, f"{start}: nothing stands behind a bar on the left side")


# -- text that is no formula -------------------------------------------------------------------------------

# Searches take time that grows with the square of a text; what people type by hand is shorter.
_LONGEST = 2000
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")
_OPTION = re.compile(r",\s*(data|family|weights|offset|subset|prior|method|link)\s*=")
_OPTIONS = {
    "data": "the frame goes to fit(df)",
    "family": "the family is the estimator, or an argument of BayesianGLM",
    "weights": "weights go to fit(df, sample_weight=w)",
    "offset": "an offset goes to fit(df, offset='pop')",
    "subset": "rows are chosen before, as in fit(df[df['x'] > 0])",
}
_R_CALL = re.compile(r"\b(as|is)\.(\w+)\s*\(([^()]*)")
_R_CALLS = {
    "as.factor": "write C({x})",
    "as.ordered": "write C({x}), or C({x}, Poly) for R's polynomial contrasts",
    "as.numeric": "a column of numbers enters as it is; convert others before the fit",
    "as.double": "a column of numbers enters as it is; convert others before the fit",
    "as.integer": "write np.floor({x})",
    "as.logical": "write I({x} != 0)",
    "as.character": "write C({x})",
    "is.na": "write np.isnan({x})",
    "is.finite": "write np.isfinite({x})",
}


def of_text(formula: str) -> str | None:
    """The sentence for a formula that is no code; None if there is nothing in it that is known from elsewhere."""
    if len(formula) > _LONGEST:
        return None
    text = _STRINGS.sub(lambda found: "s" * len(found[0]), formula)
    for sign, remedy in _SIGNS:
        found = re.search(sign, text)
        if found:
            piece = [formula[slice(*found.span(i))].strip() for i in range(len(found.groups()) + 1)]
            return remedy(piece, formula)
    return None


def _r_call(piece: list[str], formula: str) -> str:
    name = f"{piece[1]}.{piece[2]}"
    sentence = _R_CALLS.get(name, "compute that column before the fit, and name it here")
    return f"there is no function {name!r}; {sentence.format(x=piece[3] or 'x')}"


def _options(piece: list[str], formula: str) -> str:
    where = _OPTIONS.get(piece[1], "that is an argument of the estimator")
    return f"{piece[1] + '='!r} is no part of a formula: {where}"


_SIGNS: list[tuple[str, Callable[[list[str], str], str]]] = [
    (r"`([^`]*)`", lambda piece, formula: f"backticks are not supported; write Q({piece[1]!r})"),
    (
        r"(\w+)\$(\w+)",
        lambda piece, formula: f"columns are named by themselves; write {piece[2]} for {piece[0]}",
    ),
    (
        r"(\w+):::?(\w+)\s*\(",
        lambda piece, formula: f"{piece[1]!r} is no package here; leave it away, as in {piece[2]}(...)",
    ),
    (_R_CALL.pattern, _r_call),
    (_OPTION.pattern, _options),
    (
        r"([\w.]+)\s*%in%\s*([\w.]*)",
        lambda piece, formula: (
            f"'%in%' is not supported; write {piece[1]}:{piece[2] or 'g'} for terms, "
            f"or np.isin({piece[1]}, ['a', 'b']) for membership"
        ),
    ),
    (
        r"%\*%|%o%",
        lambda piece, formula: f"{piece[0]!r} is not supported; write a:b for the product of two columns",
    ),
    (r"%/%", lambda piece, formula: "'%/%' is not supported; write //, as in I(x // 2)"),
    (r"%%", lambda piece, formula: "'%%' is not supported; write %, as in I(x % 2)"),
    (r"%>%|\|>", lambda piece, formula: f"{piece[0]!r} is not supported; write the call, as in np.log(x)"),
    (
        r"\b(bf|brmsformula|mvbf|lf|nlf)\s*\(",
        lambda piece, formula: f"there is no function {piece[1]!r}; {_NO_DISTRIBUTION}",
    ),
    (
        r"\^",
        lambda piece, formula: (
            f"'^' is not supported; write {formula.replace('^', '**')!r} for the terms' interactions, "
            "I(x**2) for a power of numbers"
        ),
    ),
    (r"^[^~(]*,[^~]*~", lambda piece, formula: _SEVERAL),
    (r"&&", lambda piece, formula: "'&&' is not supported; write I((x > 1) & (z < 2))"),
    (
        r"[<>=]=?[^|]*\|\|",
        lambda piece, formula: "'||' is not supported; write I((x > 1) | (z < 2))",
    ),
    (
        r"\|\|\s*([\w.]+)",
        lambda piece, formula: of_bar(ast.Name(piece[1]), False, ""),
    ),
    (
        r"\)\s*[|&]\s*\(|[<>=]=?[^()|&]*\)\s*[|&]|[|&]\s*\([^()|&]*[<>=]",
        lambda piece, formula: "conditions are joined inside I(), as in I((x > 1) | (z < 2))",
    ),
    (r"!\s*([A-Za-z_.][\w.]*)", lambda piece, formula: f"'!' is not supported; write I({piece[1]} == 0)"),
    (
        r"^([^~=<>!]*[^~=<>!(,\s])\s*=\s*([^~=]+)$",
        lambda piece, formula: f"the sides are joined by '~'; write '{piece[1]} ~ {piece[2]}'",
    ),
]

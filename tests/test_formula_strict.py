"""Strict mode: formulas of strangers, refused with the piece named before anything is evaluated, or harmless."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from bayesglm import BayesianLinearRegression, BayesianPoissonRegressor
from bayesglm.formula import FormulaDesign
from bayesglm.formula_language import parse
from bayesglm.formula_state import _environment_class
from bayesglm.model_file import ESTIMATORS
from tests.formula_cases import FORMULAS, FRAME, NAMESPACE, NEW

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = {"draws": 30, "tune": 30, "chains": 2, "random_state": 0, "progressbar": False}
#: Ordinary formulas that one of strict mode's rules keeps out.
KEPT_OUT = ("y ~ standardize(np.column_stack([x, z]))",)


def learn(formula, frame=FRAME, namespace=None, strict=True):
    y = None if formula.partition("~")[0].strip() and "~" in formula else frame["y"]
    return FormulaDesign.learn(formula, frame, y, namespace=namespace, strict=strict)


@pytest.mark.parametrize("formula", [formula for formula in FORMULAS if formula not in KEPT_OUT])
def test_ordinary_formulas_give_the_same_bits(formula):
    (first, data), (second, same) = (learn(formula, namespace=NAMESPACE, strict=s) for s in (False, True))
    np.testing.assert_array_equal(data.X, same.X, strict=True)
    np.testing.assert_array_equal(data.y, same.y, strict=True)
    assert (first.columns, first.terms) == (second.columns, second.terms)
    np.testing.assert_array_equal(first.transform(NEW), second.transform(NEW), strict=True)


@pytest.mark.parametrize(
    "term",
    [
        "np.clip(x, 0, 1)",
        "np.clip(x, a_min=None, a_max=1)",
        "np.where((x > 1) & (z < 1) | ~(k == 2), x, np.pi)",
        "np.round(x, 1) + np.around(z, decimals=2)",
        "np.interp(x, [0, 1, 2], (0, 5.5, 6))",
        "np.isin(g, ['a', 'b']) + np.isin(k, [1, 2], invert=True)",
        "np.nan_to_num(gaps, nan=-1)",
        "np.log1p(np.hypot(x, z)) + np.power(x, 2) + I(2 ** x + x ** -1.5)",
        "I(x * (10 ** 6) / 3.6e6 % 7 // 0.1)",
        "I((g == 'a') * x)",
        "I(0 < x)",
        "C(k, levels=[1, 2, 3, 4])",
        "I(x * True)",
        "I(" + "+".join(["x"] * 400) + ")",
        "Q('odd name')",
        "np.exp2(abs(x))",
        "np.float64(k)",
    ],
)
def test_other_ordinary_terms(term):
    first, second = learn(f"y ~ {term}"), learn(f"y ~ {term}", strict=False)
    np.testing.assert_array_equal(first[1].X, second[1].X, strict=True)


@pytest.mark.parametrize("model", [BayesianLinearRegression, BayesianPoissonRegressor])
def test_fits_and_life_of_an_estimator(model):
    formula = "k ~ center(x) + C(g, Sum) + np.log(z)"
    loose = model(formula, **SETTINGS).fit(FRAME)
    strict = clone(model(formula, formula_strict=True, **SETTINGS)).fit(FRAME)
    assert strict.get_params()["formula_strict"] is True
    for one in (strict, copy.deepcopy(strict), pickle.loads(pickle.dumps(strict))):
        np.testing.assert_array_equal(one.predict(NEW), loose.predict(NEW), strict=True)
    with pytest.raises(ValueError, match=r"may not use 'x.clip'.*formula_strict=False takes more"):
        strict.set_params(formula="k ~ x.clip(0)").fit(FRAME)
    np.testing.assert_array_equal(strict.predict(NEW), loose.predict(NEW))  # as it was
    with pytest.raises((ValueError, TypeError), match="formula_strict must be"):
        strict.set_params(formula_strict="yes").fit(FRAME)


def test_every_estimator_has_it():
    for kind in ESTIMATORS.values():
        assert kind().get_params()["formula_strict"] is False


#: Expressions that reach for more than data: everything known of leaving Python's sandboxes.
ESCAPES = [
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "x.__class__.__mro__[1]",
    "''.__class__.__base__",
    "[].__class__",
    "(1).__class__",
    "I.__globals__['np']",
    "I.__globals__",
    "Q.__code__",
    "np.__loader__",
    "np.__builtins__",
    "np.log.__class__.__call__(x)",
    "I(x).__init__.__globals__",
    "x._mgr",
    "x.values",
    "x.values.ctypes.data",
    "x.to_csv('f')",
    "x.to_pickle('f')",
    "x.apply(abs)",
    "x.map(abs)",
    "x.pipe(abs)",
    "x.str.encode('a')",
    "x.attrs.update",
    "g.str.repeat(1000000000)",
    "np.load('f')",
    "np.lib",
    "np.lib.format.open_memmap('f')",
    "np.ctypeslib",
    "np.ctypeslib.load_library('f', '.')",
    "np.f2py",
    "np.f2py.compile('f')",
    "np.testing",
    "np.testing.runstring('1', {})",
    "np.distutils",
    "np.save('f', x)",
    "np.fromfile('f')",
    "np.memmap('f')",
    "np.frompyfunc(abs, 1, 1)(x)",
    "np.vectorize(abs)(x)",
    "np.apply_along_axis(abs, 0, x)",
    "np.add.at(x, 0, 1)",
    "np.add.outer(x, x)",
    "np.log.reduce(x)",
    "np.ones(1000000000000)",
    "np.zeros(1000000000000)",
    "np.arange(1000000000000)",
    "np.full(1000000000000, x)",
    "np.tile(x, 1000000000)",
    "np.repeat(x, 1000000000)",
    "np.outer(x, x)",
    "np.kron(x, x)",
    "np.lib.stride_tricks.as_strided(x)",
    "np.random.seed(1)",
    "np.linalg.inv(x)",
    "np.setbufsize(1)",
    "np.seterrcall(abs)",
    "np.log(x, x)",
    "np.log(x, out=x)",
    "np.log(x, where=x > 1)",
    "np.log(x, dtype=object)",
    "np.clip(x, 0, 1, x)",
    "np.log(*[x])",
    "np.log(**{'x': x})",
    "getattr(x, 'values')",
    "setattr(x, 'a', 1)",
    "vars(x)",
    "dir(x)",
    "type(x)",
    "type('a', (), {})(x)",
    "object()",
    "super()",
    "globals()",
    "locals()",
    "eval('x')",
    "exec('x')",
    "compile('x', '', 'eval')",
    "__import__('os').system('true')",
    "__builtins__",
    "__name__",
    "open('f')",
    "input()",
    "print(x)",
    "breakpoint()",
    "exit()",
    "help(x)",
    "memoryview(x)",
    "pow(9, 999999999)",
    "range(1000000000000)",
    "list(range(1000000000000))",
    "sum(x)",
    "max(x, 1)",
    "sorted(x)",
    "str(x)",
    "bytes(1000000000000)",
    "'{0.__class__}'.format(x)",
    "'{0.__class__}'.format_map({'0': x})",
    "str.format('{0.__class__}', x)",
    "f'{x}'",
    "f'{x.__class__}'",
    "'%1000000000d' % x",
    "'a' * 1000000000",
    "'a' + 'b'",
    "[1] * 1000000000",
    "(1,) * 1000000000",
    "lambda: x",
    "(lambda v: v)(x)",
    "[v for v in x]",
    "{v for v in x}",
    "{v: v for v in x}",
    "sum(v for v in x)",
    "(w := x)",
    "x if x else x",
    "x and x",
    "x or x",
    "not x",
    "x is x",
    "x in [1]",
    "x[0]",
    "x[::-1]",
    "[x][0]",
    "{'a': x}",
    "{x}",
    "x @ x",
    "x << 1000000000",
    "1 << 1000000000",
    "b'a'",
    "1j * x",
    "...",
    "None",
    "x * 9**9**9",
    "x * (9**9**9**9)",
    "x * 999999**999",
    "x * 99999999999999999999",
    "x * (9000000000000000000 * 9000000000000000000)",
    "np.square(9000000000000000000 * 9) ** x",
    "g * 1000000000",
    "I(g) * 1000000000",
    "np.where(x > 1, g, h) * 1000000000",
    "np.where(x > 1, 'a', 'b') * 1000000000",
    "cat * 2",
    "Q('g') * 1000000000",
    "C(g) + 1",
    "bs(x, df=1000000000)",
    "bs(x, 1000000000)",
    "bs(x, df=5, degree=1000000000)",
    "bs(x, df=k)",
    "cr(x, df=1000000000)",
    "cc(x, df=10 * 1000)",
    "te(cr(x, df=900), cr(z, df=900))",
    "te(*[x, z])",
    "te(x, y=1)",
    "bs(x, df=900):bs(z, df=900)",
    "C(g, x)",
    "C(g, Treatment('a').__class__)",
    "C(g, abs)",
    "ContrastMatrix([[1], [2], [3]], ['a'])",
    "C(g, ContrastMatrix([[1], [2], [3]], ['a']))",
    "Q('x').__class__",
    "Q(\"x').__class__('\")",
    "Q(Q('x'))",
    "Q(np.load('f'))",
    "Q(name='x', more=1)",
    "center(x).__class__",
    "center(x, x)",
    "_patsy_stobj0__center__.transform(x)",
    "I(I)",
    "I(np)",
    "I(center)",
    "I(Q)",
    "np",
    "(yield x)",
    "(await x)",
    "\uff58.__class__",
    "x.\uff3f\uff3fclass\uff3f\uff3f",
    "\uff4e\uff50.load('f')",
    "\uff43\uff45\uff4e\uff54\uff45\uff52(x)",
    "np.\U0001d425\U0001d428\U0001d41a\U0001d41d('f')",
    "ge\u200btattr(x, 'a')",
    "x.\u005f\u005fclass__",
    "@x",
    "x; import os",
    "import os",
    "x = 1",
    "del x",
    "assert x",
    "return x",
    "x\x00",
    "Q('x\x00')",
    "`x`",
    "`import os`",
    "$x",
    "x!",
    "x # comment\n+ __import__('os')",
    "x\n__import__('os')",
    "\\\nx.__class__",
    "'\\x5f\\x5fclass__'",
    "'unclosed",
    '"""unclosed',
    "I(" * 150 + "x" + ")" * 150,
    "I(" + "(" * 3000 + "x" + ")" * 3000 + ")",
    "I(" + "-" * 3000 + "x)",
    "I(" + "[" * 100 + "x" + "]" * 100 + ")",
    "I(" + "x**" * 90 + "x)",
    "(x + z + k + y + f + gaps + g + h + b + cat + number + half + yes + Q('odd name'))**14"
    + ":(I(x)+I(z)+I(k)+I(f))**4" * 3,
    "*".join(f"I(x+{i})" for i in range(40)),
    "Q('" + "x" * 30_000 + "')",
    "+".join(["I(x)"] * 90_000),
]


@pytest.fixture
def nothing_runs(monkeypatch):
    """patsy's environment, in which all code of formulas is evaluated, refuses to do so."""

    def evaluate(*args, **options):
        raise AssertionError("code of the formula was evaluated")

    monkeypatch.setattr(_environment_class(), "eval", evaluate)
    for name in ("load", "save", "fromfile", "vectorize"):
        monkeypatch.setattr(np, name, evaluate)


@pytest.mark.parametrize("code", ESCAPES, ids=range(len(ESCAPES)))
def test_attacks(code, nothing_runs):
    outer = [
        f"y ~ {code}",
        f"{code} ~ x",
        f"y ~ I(x * ({code}))",
        f"y ~ x + center({code})",
        f"y ~ C(g, {code})",
    ]
    for formula in outer:
        with pytest.raises(ValueError, match="formula") as caught:
            learn(formula)
        assert "\n" not in str(caught.value)[len(formula) :].replace(repr(formula), "")


@pytest.mark.parametrize(
    ("formula", "piece"),
    [
        ("y ~ I(x.clip(0))", "'x.clip'"),
        ("y ~ np.cumsum(x)", "'np.cumsum'"),
        ("y ~ I(x if True else z)", "'x if True else z'"),
        ("y ~ I(x.iloc)", "'x.iloc'"),
        ("y ~ I(g * 2)", r"'g \* 2'"),
        ("y ~ np.log(x, out=z)", r"'np.log\(x, out=z\)'"),
        ("y ~ bs(x, df=5000)", r"'bs\(x, df=5000\)'"),
        ("y ~ g:I(x[0])", r"'x\[0\]'"),
        ("y ~ I(9**9**9 * x)", r"'9 \*\* 9 \*\* 9'|'9 \*\* 9'"),
    ],
)
def test_the_piece_is_named(formula, piece):
    with pytest.raises(ValueError, match=f"may not use ({piece}) in strict mode: .*; formula_strict=False"):
        learn(formula)


def test_functions_of_the_namespace():
    """A name stands for a known function of NumPy's, or is refused; the user's own is never called."""

    def log(x):
        raise AssertionError("called")

    for namespace in (
        {"log": log},
        {"abs": log},
        {"log": np.load},
        {"log": type},
        {"log": np.vectorize(log)},
    ):
        (name,) = namespace
        with pytest.raises(
            ValueError, match=rf"function '{name}' of formula_namespace is not one of the known"
        ):
            learn(f"y ~ {name}(x)", namespace=namespace)
    _, data = learn("y ~ log(x) + lift(x, 2)", namespace={"log": np.log, "lift": np.power})
    np.testing.assert_array_equal(data.X, np.column_stack([np.log(FRAME.x), FRAME.x**2]))


class Evil:
    def __radd__(self, other):
        raise AssertionError("called")

    __add__ = __mul__ = __rmul__ = __call__ = __radd__


@pytest.mark.parametrize(
    "value",
    [Evil(), np.array([Evil()]), [Evil()], 10**30, "a", [1] * 3, np.ones(3), np, FRAME, {"a": 1}, 1j, None],
    ids=repr,
)
def test_constants_of_the_namespace(value):
    with pytest.raises(ValueError, match="in strict mode"):
        learn("y ~ I(x + value)", namespace={"value": value})
    for formula in ("y ~ value", "y ~ bs(x, df=value)"):
        if formula.endswith("value") or value is not None:  # df=None is patsy's default
            with pytest.raises(ValueError, match="formula"):
                learn(formula, namespace={"value": value})


def test_columns_that_hide_names():
    frame = FRAME.assign(np=FRAME.x, center=FRAME.z, I=FRAME.z)
    with pytest.raises(ValueError, match="a column is called 'np'"):
        learn("y ~ np + np.round(x)", frame)
    with pytest.raises(ValueError, match="a column is called 'np'"):
        learn("y ~ Q('np') + np.log(x)", frame)
    _, data = learn("y ~ center(x) + I(x**2)", frame)
    np.testing.assert_allclose(data.X, np.column_stack([FRAME.x - FRAME.x.mean(), FRAME.x**2]))


@pytest.mark.parametrize(
    "formula",
    [
        "*".join("abcdefghijklmnopqrstuvwxyz"),
        f"({'+'.join('abcdefghijklmnopqrstuvwxyz')})**26",
        f"({'+'.join('abcdefghijklmnopqrstuvwxyz')})**999999999999999",
        f"({'+'.join(f'a{i}' for i in range(250))})**3",
        ":".join([f"({'+'.join('abcdef')})", *(f"(a{i}+b{i}+c{i}+d{i})" for i in range(12))]),
        f"y ~ x + ({'+'.join('abcdefghijklmnopqrstuvwxyz')})**20 - x",
    ],
)
def test_expansions_without_end(formula):
    """Refused whether strict or not, since no machine has room for that many terms."""
    with pytest.raises(ValueError, match="has too many terms"):
        parse(formula)


def test_expansions_that_are_ordinary():
    names = "+".join(f"a{i}" for i in range(60))
    assert len(parse(f"y ~ ({names})**2").right) == 1 + 60 + 60 * 59 // 2
    assert len(parse("y ~ a*b*c*d*e*f*g*h").right) == 2**8
    assert len(parse(f"y ~ ({names}):g/h - a1").right) == 62


def test_letters_that_python_takes_for_others():
    """patsy looks for `center` in the text and would not find it, so that nothing would be remembered."""
    for strict in (True, False):
        with pytest.raises(ValueError, match=r"Python reads the name .* as 'center'; write it so"):
            learn("y ~ \uff43\uff45\uff4e\uff54\uff45\uff52(x)", strict=strict)
    frame = FRAME.assign(**{"\ufb01": FRAME.x, "\u00e9t\u00e9": FRAME.z})
    _, data = learn("y ~ Q('\ufb01') + \u00e9t\u00e9", frame)
    np.testing.assert_array_equal(data.X, FRAME[["x", "z"]])


@pytest.mark.parametrize("strict", [True, False])
def test_numpy_is_not_asked_for_what_it_imports_on_demand(strict, monkeypatch):
    """Names in formulas import nothing: `np.f2py` would be a module that compiles."""

    def imported(name):
        raise AssertionError(f"{name} is imported")

    monkeypatch.setattr(np, "__getattr__", imported)
    for name in ("f2py", "testing", "ctypeslib", "matlib", "nothing"):
        if name in vars(np):
            monkeypatch.delattr(np, name)
        for code in (f"np.{name}", f"np.{name}(x)", f"np.{name}.{name}(x)", f"{name}(x)", f"{name}.x", name):
            with pytest.raises(ValueError, match=f"np.{name}|{name}"):
                learn(f"y ~ {code}", strict=strict)

"""What a formula may say: syntax errors, names, and attempts to get at more than data."""

import builtins
import types

import numpy as np
import pandas as pd
import pytest

from bayesglm.formula import FormulaDesign

FRAME = pd.DataFrame(
    {"y": [1.0, 2.0, 4.0], "x": [1.0, 3.0, 2.0], "g": ["a", "b", "a"], "my y": [3.0, 2.0, 1.0]}
)
secret = np.ones(3)  # a variable of the calling code


def learn(formula, frame=FRAME, **options):
    return FormulaDesign.learn(formula, frame, **options)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "the formula is empty"),
        ("y ~", "formula 'y ~' cannot be read: expected a noun"),
        ("y ~ x +", "cannot be read: expected a noun, .* at '\\+'"),
        ("y ~ x ~ g", "cannot be read: ~ can only be used once"),
        ("y ~ np.log(x", "cannot be read: unclosed bracket .* at 'np.log\\(x'"),
        ("y ~ 'x", "cannot be read: error tokenizing"),
        ("y ~ \\x", "cannot be read: "),
        ("y ~ x g", "'x g' is no Python expression"),
        ("y ~ x, g", "'x, g' is no Python expression"),
        ("y ~ my y", 'written Q\\("my column"\\)'),
        ("y ~ 2*x", "numbers besides '0' and '1' .* written I\\(2\\*x\\)"),
        ("y ~ -x", "written I\\(2\\*x\\)"),
        ("y ~ .", "'.' for all other columns is not supported; name them"),
        ("y ~ . - x", "'.' for all other columns is not supported"),
        ("y ~ (1|g)", "group effects such as \\(1\\|g\\) are not supported yet; use C\\(g\\)"),
        ("y ~ x + (1 + x | g)", "group effects such as \\(1\\|g\\) are not supported yet; use C\\(g\\)"),
        ("y ~ (1||g)", "group effects such as \\(1\\|g\\) are not supported yet; use C\\(g\\)"),
        ("y ~ x|g", "group effects"),
        ("y ~ x^2", "'\\^' is not supported; write a power of numbers as I\\(x\\*\\*2\\)"),
        ("y ~ X", "'X' is not a column of the frame \\(did you mean 'x'\\?\\)"),
        ("y ~ nope", "'nope' is not a column of the frame \\(its columns are 'y', 'x', 'g', 'my y'\\)"),
        ("y ~ secret", "'secret' is not a column .* variables of the calling code are never read"),
        ("y ~ x + secret", "'secret' is not a column"),
        ("y ~ I(x * secret)", "'secret' is not a column"),
        ("y ~ learn(x)", "there is no function 'learn'; pass it in formula_namespace"),
        ("y ~ Q('nope')", "'nope' is not a column"),
        ("y ~ Q(x)", "write one quoted column name"),
        ("y ~ my.y", "'my' is not a column"),
        ("y ~ log(x)", "there is no function 'log'; write np.log"),
        ("y ~ centre(x)", "there is no function 'centre'; did you mean center"),
        ("y ~ np.lgo(x)", "there is no function np.lgo; did you mean np.log\\?"),
        ("y ~ np", "'np': write np and a function of it"),
        ("y ~ I(1)", "'I\\(1\\)' uses no column of the frame"),
        ("y ~ C", "'C' uses no column"),
        ("y ~ np.mean(x)", "'np.mean\\(x\\)' must have one value a row, got 1 for 3 rows"),
        ("y ~ x + sum(x)", "term 'sum\\(x\\)' cannot be computed: Number of rows mismatch"),
        ("y ~ I(1j * x)", "complex; use its real part"),
        ("y ~ C(g, Treatment('q'))", "'q' not found"),
        (f"y ~ I({'+'.join(['x'] * 2000)})", "nested too deeply"),
        ("y ~ bs(x)", "must specify either df or knots"),
    ],
)
def test_errors_are_one_sentence(formula, message):
    with pytest.raises(ValueError, match=message) as caught:
        learn(formula)
    assert "\n" not in str(caught.value)
    assert formula in str(caught.value) or repr(formula)[1:-1] in str(caught.value) or not formula


def test_arguments_of_the_wrong_kind():
    for formula in (3, None, ["y ~ x"]):
        with pytest.raises(TypeError, match="formula must be a string"):
            learn(formula)
    with pytest.raises(TypeError, match=r"formula_namespace must be a mapping"):
        learn("y ~ x", namespace=[np.log])
    for name in ("np", "C", "bs"):
        with pytest.raises(ValueError, match=f"may not redefine '{name}'"):
            learn("y ~ x", namespace={name: abs})


def test_dotted_and_hidden_columns():
    frame = FRAME.assign(**{"w.kg": [1.0, 2.0, 4.0], "_merge": [0.0, 1.0, 0.0], "id": [3.0, 1.0, 1.0]})
    with pytest.raises(ValueError, match=r"write the column 'w.kg' as Q\('w.kg'\)"):
        learn("y ~ w.kg", frame)
    _, data = learn("y ~ Q('w.kg') + _merge + id", frame)  # columns come first, whatever their names
    np.testing.assert_array_equal(data.X, frame[["w.kg", "_merge", "id"]])


def test_order_of_names():
    """Columns, then patsy's builtins, then np and the namespace."""
    frame = {"y": [1.0, 2.0, 4.0], "scale": [1.0, 2.0, 3.0], "half": [5.0, 6.0, 7.0]}
    namespace = {"half": lambda x: x / 2, "offset": 10.0}
    design, data = learn("y ~ half(scale) + half + I(scale + offset)", frame, namespace=namespace)
    np.testing.assert_array_equal(data.X, [[0.5, 5, 11], [1, 6, 12], [1.5, 7, 13]])
    assert design.variables == ("scale", "half")
    frame = {"y": [1.0, 2.0, 4.0], "C": [1.0, 2.0, 3.0], "k": [1, 2, 1]}
    design, data = learn("y ~ C + C(k)", frame)
    np.testing.assert_array_equal(data.X, [[0, 1], [1, 2], [0, 3]])
    np.testing.assert_array_equal(design.transform(frame), data.X)


@pytest.mark.parametrize(
    "code",
    [
        "I(__import__('os').getpid() * x)",
        "I(eval('1') * x)",
        "I(exec('1') or x)",
        "I(open('file').read() and x)",
        "I(compile('1', '', 'eval') and x)",
        "I(getattr(x, 'values'))",
        "I(globals() and x)",
        "I(vars(x) and x)",
        "I(breakpoint() or x)",
        "I(print(x) or x)",
        "I(x.__class__.__base__.__subclasses__() and x)",
        "x.__class__",
        "x._values",
        "I(np.log.__class__ and x)",
        "I.__globals__['x']",
        "I(Q.__globals__ and x)",
        "I(''.__class__.__mro__ and x)",
        "I('{0.__class__}'.format(x) and x)",
        "I(str.format('{0.__class__}', x) and x)",
        "I(f'{x}' and x)",
        "I((w := x))",
        "I([v for v in x])",
        "I((lambda v: v)(x))",
        "I(np.load('file') * x)",
        "I(np.save('file', x) or x)",
        "I(np.savetxt('file', x) or x)",
        "I(np.fromfile('file') * x)",
        "I(np.genfromtxt('file') * x)",
        "I(np.memmap('file') * x)",
        "I(np.lib.format and x)",
        "I(np.ctypeslib and x)",
        "I(np.random.normal() * x)",
        "I(np.vectorize(x))",
        "I(np.bmat('x'))",
        "I([np][0].load('file'))",
        "I(x.tofile('file') or x)",
        "I(x.to_csv('file') or x)",
        "I(x.to_pickle('file') or x)",
        "I(x.values.dump('file') or x)",
        "I(x.apply('to_csv'))",
        "I(x.agg('to_pickle'))",
        "I(x.pipe(abs))",
        "I(x.values.ctypes.data * x)",
        "I(_patsy_stobj0__center__ * x)",
    ],
)
def test_code_that_is_refused(code, monkeypatch):
    def forbidden(*args, **options):
        raise AssertionError("the code was run")

    for name in ("open", "breakpoint", "input"):
        monkeypatch.setattr(builtins, name, forbidden)
    for formula in (f"y ~ {code}", f"{code} ~ x", f"y ~ x + center({code})"):
        with pytest.raises(ValueError, match="may not use"):
            learn(formula)


def test_names_resolve_in_a_closed_environment_even_if_the_judge_fails():
    from bayesglm.formula_state import environment

    closed = environment({"half": 0.5}).subset(["half", "np"])
    assert closed.eval("np.sqrt(abs(half - 4.5))") == 2.0
    for code in ("__import__('os')", "open", "eval", "secret", "pd"):
        with pytest.raises(NameError):
            closed.eval(code)


def test_code_that_is_allowed():
    namespace = {"ufuncs": types.SimpleNamespace(half=lambda x: x / 2), "half": lambda x: x / 2}
    terms = {
        "abs(x)": [1, 3, 2],
        "np.maximum(x, 2)": [2, 3, 2],
        "np.clip(x, a_min=0, a_max=max(1, 2))": [1, 2, 2],
        "np.where((x > 1) & (x < 3), np.pi, np.float64(0))": [0, 0, np.pi],
        "np.select([x > 2, x > 1], [5, 4], default=np.nan_to_num(np.nan))": [0, 5, 4],
        "np.interp(x, [0, 4], [0, 8])": [2, 6, 4],
        "x.clip(lower=2)": [2, 3, 2],
        "x.to_numpy()": [1, 3, 2],
        "x.astype(int)": [1, 3, 2],
        "np.isin(g, ['a']).astype(float)": [1, 0, 1],
        "g.str.len()": [1, 1, 1],
        "g.map({'a': 1.5, 'b': 2.5})": [1.5, 2.5, 1.5],
        "half(x)": [0.5, 1.5, 1],
        "ufuncs.half(x)": [0.5, 1.5, 1],
        "pow(x, 2)": [1, 9, 4],
        "I(-x if True else x)": [-1, -3, -2],
        "np.add.reduce([x, x])": [2, 6, 4],
    }
    terms["I(" + "+".join(["x"] * 400) + ")"] = [400, 1200, 800]
    for term, expected in terms.items():
        design, data = learn(f"y ~ {term}", namespace=namespace)
        np.testing.assert_array_equal(data.X[:, 0], expected, err_msg=term)
        np.testing.assert_array_equal(design.transform(FRAME), data.X, err_msg=term)

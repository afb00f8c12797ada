"""What goes wrong while a formula is computed is said of its term and columns, not in NumPy's and pandas' words."""

import re
import traceback

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianLinearRegression
from bayesglm.formula import FormulaDesign

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=40),
        "x": RNG.uniform(0.1, 2, 40),
        "z": RNG.integers(0, 5, 40),
        "g": RNG.choice(list("abc"), 40),
        "cat": pd.Categorical(RNG.choice(list("pq"), 40)),
        "b": RNG.random(40) > 0.5,
    }
)
#: Words that nobody types into a formula.
LEAKED = re.compile(
    r"Error|dtype|ufunc|Series|DataFrame|ndarray|operand|instances of|__|a\.any|concatenate|broadcast|callable|loop of"
)


def refused(formula, frame=FRAME, **options):
    with pytest.raises(ValueError, match="formula ") as caught:
        FormulaDesign.learn(formula, frame, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text, caught.value


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("np.log(g)", "it computes with 'g', which holds text; compare it, as in (g == 'a'), or write C(g)"),
        ("np.log(cat)", "it computes with 'cat', which holds text"),
        ("I(g + 1)", "it computes with 'g', which holds text"),
        ("I(g > 1)", "it computes with 'g', which holds text"),
        ("I(x * g)", "it computes with 'g', which holds text"),
        ("I(Q('g') - 1)", "it computes with 'g', which holds text"),
        ("center(g)", "it computes with 'g', which holds text"),
        ("standardize(g)", "it computes with 'g', which holds text"),
        ("bs(g, df=4)", "it computes with 'g', which holds text"),
        ("cr(g, df=4)", "it computes with 'g', which holds text"),
        ("cc(cat, df=4)", "it computes with 'cat', which holds text"),
        ("I(b - b)", "it computes with 'b', which holds booleans; write 1*b for numbers"),
        ("I(x > 1 and z < 2)", "joined by & and |, each in parentheses, as in (x > 1) & (z < 2)"),
        ("I(x > 1 or z < 2)", "joined by & and |"),
        ("I(0 < x < 1)", "joined by & and |"),
        ("I(x if b else z)", "joined by & and |"),
        ("I(not b)", "the opposite of a condition is written ~(b)"),
        ("np.log(x, z)", "np.log() takes 1 argument, not 2"),
        ("np.hypot(x)", "np.hypot() takes 2 arguments, not 1"),
        ("x.clip(lower='a')", "its functions do not take the arguments"),
        ("np.clip(x, 1, 2, 3, 4, 5)", "its functions do not take the arguments"),
        ("I(x['a'])", "\"x['a']\" is nothing that is there"),
        ("I(x * 'a')", "its functions do not take the arguments"),
        ("C(g, Treatment('q'))", "specified level 'q' not found"),
        ("bs(x)", "must specify either df or knots"),
        (
            "cr(x, df=1)",
            "cr() needs three knots at least; give it df=3 or more, or df=2 or more beside an intercept",
        ),
        ("I(1j * x)", "a term is complex; use its real part"),
    ],
)
def test_why_a_term_cannot_be_computed(term, sentence):
    text, error = refused(f"y ~ x + {term}")
    assert sentence in text
    said = text.replace(repr(f"y ~ x + {term}"), "")
    assert not LEAKED.search(said), said
    assert re.search(r"term '|term \"|a term", said)
    if "complex" not in text and "level" not in text:  # for whoever wants to know what Python said
        assert error.__cause__ is not None
        assert "".join(traceback.format_exception(error)).count("Traceback") > 1


def test_the_left_side():
    text, _ = refused("np.log(g) ~ x")
    assert "term 'np.log(g)' cannot be computed: it computes with 'g', which holds text" in text


def test_predictions():
    model = BayesianLinearRegression("y ~ I(x / z2)", draws=20, chains=2).fit(FRAME.assign(z2=1 + FRAME["z"]))
    with pytest.raises(ValueError, match="column 'z2' held numbers at fit and now holds text"):
        model.predict(FRAME.assign(z2="a"))


def test_functions_of_the_users_own_keep_their_words():
    def strange(x):
        raise RuntimeError("no such thing\nas this")

    def careless(x):
        return np.log(x, x, x, x)

    text, _ = refused("y ~ strange(x)", namespace={"strange": strange})
    assert text.endswith("term 'strange(x)' cannot be computed: strange() raised RuntimeError: no such thing")
    text, _ = refused("y ~ z + careless(x)", namespace={"careless": careless})
    assert "careless() raised TypeError: " in text

"""Spellings of R, brms, mgcv, lme4, rms and bambi: each is answered by what to type here, in one sentence."""

import warnings

import numpy as np
import pandas as pd
import pytest

from bayesglm import BayesianGLM, BayesianLinearRegression, BayesianPoissonRegressor, load
from bayesglm.formula import FormulaDesign
from bayesglm.formula_remedies import of_text

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 60
RNG = np.random.default_rng(4)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(0.1, 0.9, N),
        "z": RNG.integers(1, 8, N),
        "pop": RNG.uniform(1, 5, N),
        "n": RNG.integers(5, 9, N),
        "a": RNG.integers(0, 4, N),
        "g": RNG.choice(list("abc"), N),
        "h": RNG.choice(list("uv"), N),
        "flag": RNG.random(N) > 0.5,
        "my x": RNG.normal(size=N),
    }
)

#: What is typed, what the answer holds, and a term of the answer that then works.
TERMS = [
    ("poly(x, 2)", "write x + I(x**2)", "x + I(x**2)"),
    ("poly(x, 3, raw = TRUE)", "write x + I(x**2) + I(x**3)", "x + I(x**2) + I(x**3)"),
    ("poly(x, degree=4)", "I(x**4)", "I(x**4)"),
    ("(x + pop)^2", "write 'y ~ (x + pop)**2'", "(x + pop)**2"),
    ("x^2", "I(x**2)", "I(x**2)"),
    ("x:pop^2", "I(pop**2)", "x:I(pop**2)"),
    ("I(x^2)", "I(x**2)", "I(x**2)"),
    ("offset(pop)", "fit(df, offset='pop')", None),
    ("x + offset(log(pop))", "fit(df, exposure='pop')", None),
    ("weights(pop)", "fit(df, sample_weight=df['w'])", None),
    ("trials(n)", "fit(df, trials='n')", None),
    ("relevel(g, ref = 'b')", "write C(g, Treatment('b'))", "C(g, Treatment('b'))"),
    ("relevel(g, 'b')", "write C(g, Treatment('b'))", None),
    ("factor(g)", "write C(g)", "C(g)"),
    (
        "factor(g, levels = c('c', 'b', 'a'))",
        "write C(g, levels=['c', 'b', 'a'])",
        "C(g, levels=['c', 'b', 'a'])",
    ),
    ("as.factor(g)", "'as.factor'; write C(g)", "C(g)"),
    ("as.numeric(z)", "enters as it is", "z"),
    ("as.integer(x)", "write np.floor(x)", "np.floor(x*3)"),
    ("is.na(x)", "write np.isnan(x)", None),
    ("ordered(g)", "C(g, Poly)", "C(g, Poly)"),
    ("C(g, contr.sum)", "write Sum, as in C(g, Sum)", "C(g, Sum)"),
    ("interaction(g, h)", "write g:h, or g*h", "g:h"),
    ("x %in% g", "write x:g", "x:g"),
    ("x %*% z", "write a:b", "x:z"),
    ("I(z %% 2)", "write %, as in I(x % 2)", "I(z % 2)"),
    ("I(z %/% 2)", "write //", "I(z // 2)"),
    ("ifelse(x > 1, 1, 0)", "write np.where(x > 1, 1, 0)", "np.where(x > 0.5, 1, 0)"),
    ("log(x)", "write np.log(x)", "np.log(x)"),
    ("log(x, 2)", "write np.log2(x)", "np.log2(x)"),
    ("log(x, base=3)", "write np.log(x) / np.log(3)", "I(np.log(x) / np.log(3))"),
    ("log10(x) + log2(x)", "write np.log10(x)", "np.log10(x)"),
    ("exp(x)", "write np.exp(x)", "np.exp(x)"),
    ("sqrt(x)", "write np.sqrt(x)", "np.sqrt(x)"),
    ("pmin(x, 1)", "write np.minimum(x, 1)", "np.minimum(x, 0.5)"),
    ("logit(x)", "write np.log(x / (1 - x))", "np.log(x / (1 - x))"),
    ("plogis(x)", "write I(1 / (1 + np.exp(-x)))", "I(1 / (1 + np.exp(-x)))"),
    ("I(x - mean(x))", "center(x)", "center(x)"),
    ("I(x / sd(x))", "standardize(x)", "standardize(x)"),
    ("cut(x, 3)", "before the fit", None),
    ("lag(x)", "before the fit", None),
    ("ns(x, 3)", "write cr(x, df=3)", "cr(x, df=3)"),
    ("ns(x, df = 3)", "write cr(x, df=3)", None),
    ("splines::ns(x, 3)", "'splines' is no package here", None),
    ("rcs(x, 4)", "write cr(x, df=3)", None),
    ("s(x)", "write cr(x, df=4)", "cr(x, df=4)"),
    ("s(x, k=6)", "write cr(x, df=5)", None),
    ("s(x, bs='cc')", "write cc(x, df=4)", "cc(x, df=4)"),
    ("s(x, by=g)", "write g + cr(x, df=4):g", "g + cr(x, df=4):g"),
    ("s(g, bs='re')", "group effects are not supported yet; use C(g)", "C(g)"),
    ("s(x, pop)", "write te(cr(x, df=3), cr(pop, df=3))", "te(cr(x, df=3), cr(pop, df=3))"),
    ("t2(x, pop)", "write te(cr(x, df=3), cr(pop, df=3))", None),
    ("lo(x)", "write cr(x, df=4)", None),
    ("mo(z)", "monotonic effects do not exist here; C(z, Diff)", "C(z, Diff)"),
    ("me(x, 1)", "measured with error do not exist here", None),
    ("mi(x)", "rows in which something is missing are left out", None),
    ("gp(x)", "Gaussian processes do not exist here", None),
    ("ar(z, p=1)", "errors that depend on one another do not exist here", None),
    ("cs(x)", "ordinal responses do not exist here", None),
    ("strata(g)", "use C(g)", None),
    ("Surv(x, flag)", "models of survival times do not exist here", None),
    ("(1|g)", "group effects such as (1|g) are not supported yet; use C(g)", None),
    ("(1 + x | g)", "group effects such as (1|g) are not supported yet", None),
    ("(1 + x || g)", "group effects such as (1|g) are not supported yet", None),
    ("(1 || g/h)", "group effects such as (1|g) are not supported yet", None),
    (".", "'.' for all other columns is not supported", None),
    (".^2", "'.' for all other columns is not supported", None),
    ("`my x`", "write Q('my x')", "Q('my x')"),
    ("df$x", "write x for df$x", "x"),
    ("I(x * TRUE)", "write True", "I(x * True)"),
    ("I(pi * x)", "write np.pi", "I(np.pi * x)"),
    ("!flag", "write I(flag == 0)", "I(flag == 0)"),
    ("I(x > 1 && z < 2)", "write I((x > 1) & (z < 2))", None),
    ("I(x > 1 || z < 2)", "write I((x > 1) | (z < 2))", None),
    ("(x > 1) | (z < 2)", "inside I(), as in I((x > 1) | (z < 2))", "I((x > 0.5) | (z < 2))"),
    ("x, data = df", "the frame goes to fit(df)", None),
    ("x, family = poisson", "BayesianGLM", None),
    ("x, weights = pop", "fit(df, sample_weight=w)", None),
]
LEFT = [
    ("y | cens(flag)", "censored responses do not exist here"),
    ("y|trunc(0)", "truncated responses do not exist here"),
    ("y | trunc(lb = 0)", "truncated responses do not exist here"),
    ("a | trials(n)", "write 'a ~ ...' and give fit(df, trials='n'), with BayesianGLM(family='binomial')"),
    ("a | trials(10)", "fit(df, trials=10)"),
    ("y | weights(pop)", "write 'y ~ ...' and give fit(df, sample_weight=df['pop'])"),
    ("y | weights(pop) + cens(flag)", "fit(df, sample_weight=df['pop'])"),
    ("y | se(pop)", "fit(df, standard_error='pop')"),
    ("a | rate(pop)", "fit(df, exposure='pop')"),
    ("y | mi()", "left out by themselves"),
    ("y | subset(flag)", "fit those rows"),
    ("y | vint(n)", "nothing stands behind a bar"),
    ("cbind(a, n)", "fit(df, trials=df['a'] + df['n'])"),
    ("cbind(a, n - a)", "write 'a ~ ...' and give fit(df, trials='n')"),
    ("mvbind(a, n)", "several responses are passed as y"),
    ("c(a, n)", "several responses are passed as y"),
    ("a, n", "several responses are passed as y"),
    ("p(a, n)", "fit(df, trials='n')"),
    ("Surv(pop, flag)", "survival times do not exist here"),
    ("censored(y, flag)", "censored responses do not exist here"),
    ("`my y`", "write Q('my y')"),
    ("y^2", "I(y**2)"),
]


def answer(formula, frame=FRAME):
    with pytest.raises(ValueError, match="formula ") as caught:
        FormulaDesign.learn(formula, frame)
    text = str(caught.value)
    assert text.startswith(f"formula {formula!r}: ")
    assert "\n" not in text
    assert "namespace" not in text
    return text


@pytest.mark.parametrize(("term", "sentence", "works"), TERMS, ids=[term for term, _, _ in TERMS])
def test_terms(term, sentence, works):
    assert sentence in answer(f"y ~ {term}")
    if works is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            design, data = FormulaDesign.learn(f"y ~ {works}", FRAME)
        assert design.columns
        np.testing.assert_array_equal(design.transform(FRAME), data.X)


@pytest.mark.parametrize(("left", "sentence"), LEFT, ids=[left for left, _ in LEFT])
def test_left_sides(left, sentence):
    assert sentence in answer(f"{left} ~ x")


def test_sides_joined_by_something_else():
    assert answer("y = x + z").endswith("the sides are joined by '~'; write 'y ~ x + z'")


@pytest.mark.parametrize(
    "formula", ["y ~ x - 1", "y ~ x + 0", "y ~ 0 + x", "y ~ -1 + x", "y~x+g-1", "y ~ scale(x)"]
)
def test_what_is_the_same_in_r(formula):
    design, _ = FormulaDesign.learn(formula, FRAME)
    assert design.intercept == ("scale" in formula)


def test_names_of_the_users_own_come_first():
    """A function of the namespace and a column are what they are, whatever R calls so."""
    frame = FRAME.assign(TRUE=FRAME.x, s=FRAME["pop"])
    namespace = {"poly": lambda x, power: x**power, "offset": np.log}
    _, data = FormulaDesign.learn("y ~ poly(x, 2) + offset(pop) + TRUE + s", frame, namespace=namespace)
    np.testing.assert_array_equal(
        data.X, np.column_stack([frame.x**2, np.log(frame["pop"]), frame.x, frame.s])
    )
    with pytest.raises(
        ValueError, match="cannot be read: unclosed bracket"
    ):  # what stands in texts is no code
        FormulaDesign.learn("y ~ Q('x$y ^ `z`') + I(x +", FRAME)


def test_the_remedies_work():
    settings = {"draws": 20, "chains": 2, "random_state": 0}
    frame = FRAME.assign(k=RNG.poisson(FRAME["pop"]), w=1.0)
    BayesianPoissonRegressor("k ~ x", **settings).fit(frame, offset="pop")
    BayesianPoissonRegressor("k ~ x", **settings).fit(frame, exposure="pop")
    BayesianPoissonRegressor("k ~ x", **settings).fit(frame, sample_weight=frame["w"])
    BayesianGLM("a ~ x", family="binomial", **settings).fit(frame, trials="n")
    BayesianGLM("a ~ x", family="binomial", **settings).fit(frame, trials=frame["a"] + frame["n"])
    BayesianGLM("y ~ x", family="gaussian", **settings).fit(frame, standard_error="pop")
    BayesianLinearRegression("~ x", **settings).fit(frame, frame[["a", "n"]])


def test_long_texts_are_not_searched():
    """Searching takes time that grows with the square of the length: minutes, of what a stranger may send."""
    assert "backticks" in of_text("y ~ `x`" + "<" * 1000)
    assert of_text("y ~ `x`" + "<" * 90_000) is None


# -- families ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "sentence"),
    [
        ("multinomial", "it is BayesianLogisticRegression"),
        ("categorical", "it is BayesianLogisticRegression"),
        ("cumulative", "ordinal responses do not exist here"),
        ("zero_inflated_poisson", "zero inflation and hurdles do not exist here"),
        ("hurdle_poisson", "zero inflation and hurdles do not exist here"),
        ("negbinomial", "write 'negative_binomial'"),
        ("student", "write 'student_t'"),
        ("weibull", "models of survival times do not exist here"),
        ("tweedie", "it does not exist here"),
        ("quasipoisson", "quasi-likelihoods do not exist here"),
        ("Poisson", "did you mean 'poisson'"),
    ],
)
def test_families_of_other_packages(family, sentence):
    with pytest.raises(ValueError, match=f"family='{family}' is not the name of a family; {sentence}"):
        BayesianGLM("a ~ x", family=family).fit(FRAME)


@pytest.mark.parametrize("formula", ["flag ~ x", "~ x"])
@pytest.mark.parametrize("kind", ["bool", "boolean", "object"])
def test_booleans_are_a_bernoulli_response(formula, kind, tmp_path):
    settings = {"family": "bernoulli", "draws": 30, "chains": 2, "random_state": 0}
    frame = FRAME.assign(flag=FRAME["flag"].astype(kind))
    model = BayesianGLM(formula, **settings).fit(frame, None if formula[0] == "f" else frame["flag"])
    numbers = BayesianGLM("flag ~ x", **settings).fit(FRAME.assign(flag=FRAME["flag"].astype(int)))
    np.testing.assert_array_equal(model.coef_, numbers.coef_)
    model.save(tmp_path / "model")
    if formula[0] == "f":
        for one in (model, load(tmp_path / "model")):
            for given in (frame, FRAME.assign(flag=FRAME["flag"].astype(float))):
                assert one.score(given) == numbers.score(given)
    with pytest.raises(
        ValueError, match=r"must be one column of numbers, not booleans.*BayesianLogisticRegression"
    ):
        BayesianPoissonRegressor("flag ~ x").fit(frame)

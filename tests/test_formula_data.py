"""A learnt formula saved as data gives the same bits; what cannot be data is refused by its name."""

import functools
import warnings

import numpy as np
import pandas as pd
import patsy
import pytest
import scipy.special

from bayesglm.formula import FormulaDesign
from bayesglm.formula_data import to_data
from bayesglm.formula_transforms import describe, restore
from tests.formula_cases import FORMULAS, FRAME, NAMESPACE, NEW, N, asked_to_centre, by_file, learn


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_same_bits(formula, tmp_path):
    design, data = learn(formula)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = by_file(design, tmp_path)
    for name in ("formula", "columns", "terms", "intercept", "response", "has_response", "variables"):
        assert getattr(again, name) == getattr(design, name)
    kept = data.kept
    assert again.transform(FRAME[kept]).tobytes() == data.X.tobytes()
    assert repr(again._right_columns) == repr(design._right_columns)
    assert repr(again._left_columns) == repr(design._left_columns)
    for frame in (NEW, NEW.iloc[:1], NEW.iloc[[3, 3]]):
        assert again.transform(frame).tobytes() == design.transform(frame).tobytes()
        if design.has_response:
            assert again.response_of(frame).tobytes() == design.response_of(frame).tobytes()
    twice = by_file(again, tmp_path)
    assert twice.transform(NEW).tobytes() == design.transform(NEW).tobytes()


@pytest.mark.parametrize("formula", [f for f in FORMULAS if f.startswith("y ~") and "gaps" not in f])
def test_the_same_as_patsy_itself(formula, tmp_path):
    """New rows as patsy makes them of the design that it learnt, without anything of ours."""
    again = by_file(learn(formula)[0], tmp_path)
    names = patsy.EvalEnvironment([{"np": np, **NAMESPACE}])
    theirs = patsy.dmatrix(asked_to_centre(formula).partition("~")[2], FRAME, eval_env=names).design_info
    theirs = np.asarray(patsy.build_design_matrices([theirs], NEW)[0])
    np.testing.assert_array_equal(again.transform(NEW), theirs[:, int(again.intercept) :])


def test_without_intercept(tmp_path):
    design, _ = learn("y ~ x + g", intercept=False)
    again = by_file(design, tmp_path)
    assert not again.intercept
    assert again.transform(NEW).tobytes() == design.transform(NEW).tobytes()
    assert again.columns == design.columns == ("g[a]", "g[b]", "g[c]", "x")


def test_errors_are_as_before(tmp_path):
    design, _ = learn("y ~ C(g, Sum) + bs(x, df=4) + cat")
    again = by_file(design, tmp_path)
    for change in ({"g": "zz"}, {"x": 99.0}, {"cat": "zz"}):
        messages = []
        for one in (design, again):
            with pytest.raises(ValueError, match=r"formula|factor") as caught:
                one.transform(NEW.assign(**change))
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_wide_floats_are_exact():
    """What patsy sums in the widest float comes back to its last bit; checked by integer arithmetic."""
    transform = patsy.state.Standardize()
    transform.memorize_chunk(np.random.default_rng(3).normal(size=(50, 4)) * 10.0 ** np.arange(0, 80, 20))
    state = describe(transform)
    again = patsy.state.Standardize()
    restore(again, state, "it")
    for name in ("current_mean", "current_M2"):
        before, after = getattr(transform, name), getattr(again, name)
        assert before.dtype == after.dtype == np.longdouble
        assert [value.as_integer_ratio() for value in before] == [v.as_integer_ratio() for v in after]
        parts = state[name].astype(object)
        assert parts.shape == (3, 4)


def test_small_and_without_the_training_data():
    rng = np.random.default_rng(0)
    n = 5000
    big = pd.DataFrame({name: rng.uniform(1, 2, n) for name in "yxz"} | {"g": rng.choice(list("abcd"), n)})
    design, _ = learn("y ~ standardize(x) + bs(z, df=6) + te(cr(z, df=4), cc(x, df=4)) + C(g, Sum):x", big)

    def sizes(value):
        if isinstance(value, dict | list):
            return sum(sizes(item) for item in (value.values() if isinstance(value, dict) else value))
        return getattr(value, "size", 1)

    assert sizes(to_data(design)) < 200


# -- what cannot be data -----------------------------------------------------------------------------------


class Largest:
    def memorize_chunk(self, x):
        self.largest = np.max(x)

    def memorize_finish(self):
        pass

    def transform(self, x):
        return x / self.largest


class Thirds:
    def code_with_intercept(self, levels):
        return patsy.ContrastMatrix(np.eye(len(levels)), list(levels))

    def code_without_intercept(self, levels):
        return patsy.ContrastMatrix(np.eye(len(levels))[:, 1:] / 3, [f"[{level}]" for level in levels[1:]])


def log(x):
    """A function that has the name of one of NumPy's."""
    return x - 1


@pytest.mark.parametrize(
    ("formula", "value", "match"),
    [
        (
            "y ~ thing(x)",
            lambda x: 2 * x,
            r"the function 'thing' of formula_namespace.*pickle.*before the fit",
        ),
        ("y ~ thing(x)", patsy.stateful_transform(Largest), "the function 'thing'"),
        ("y ~ thing(x)", np.vectorize(abs), "the function 'thing'"),
        ("y ~ thing(x)", functools.partial(np.add, 1), "the function 'thing'"),
        ("y ~ thing(x)", log, "the function 'thing'"),
        ("y ~ thing(x)", abs, "the function 'thing'"),
        ("y ~ thing(x)", scipy.special.expit, "the function 'thing'"),
        ("thing(y) ~ x", lambda y: y, "the function 'thing'"),
        ("y ~ C(g, thing)", Thirds, "the function 'thing'"),
        ("y ~ C(g, thing)", Thirds(), "'thing' of formula_namespace, an object of type Thirds"),
        ("y ~ I(x * thing['a'])", pd.Series({"a": 1.0}), "an object of type Series"),
        ("y ~ C(g, levels=thing)", np.array(["a", "b", "c"], dtype=object), "an object of type ndarray"),
    ],
)
def test_functions_and_objects_are_refused_by_name(formula, value, match):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design, _ = FormulaDesign.learn(formula, FRAME, namespace={"thing": value})
    with pytest.raises(ValueError, match=match):
        to_data(design)


@pytest.mark.parametrize(
    ("categories", "kind"),
    [
        (pd.cut(FRAME["x"], 3), "Interval"),
        (pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02"] * (N // 2))), "Timestamp"),
        (pd.Categorical([(1, 2), (3, 4)] * (N // 2)), "tuple"),
    ],
)
def test_levels_that_are_no_data(categories, kind):
    design, _ = learn("y ~ odd", FRAME.assign(odd=categories))
    with pytest.raises(ValueError, match=f"factor 'odd' has levels of type {kind}.*convert the column"):
        to_data(design)


def test_only_patsys_own_transforms():
    with pytest.raises(ValueError, match="'Largest' is not one of patsy's"):
        describe(Largest())
    imposter = type("Center", (), {})()
    with pytest.raises(ValueError, match="'Center' is not one of patsy's"):
        describe(imposter)
    with pytest.raises(ValueError, match="it is not one of patsy's"):
        restore(imposter, {"transform": "Center"}, "it")

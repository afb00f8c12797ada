"""The patsy bridge as a whole: against patsy itself, from fit to predict, with missing values."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import patsy
import pytest

from bayesglm.formula import FormulaDesign
from tests.formula_cases import CENTRE, asked_to_centre

N = 80


@pytest.fixture
def frame():
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "x": rng.uniform(0.1, 2, N),
            "z": rng.uniform(0.1, 2, N),
            "g": rng.choice(list("abc"), N),
            "k": rng.integers(0, 3, N),
            "b": rng.random(N) > 0.5,
            "my y": rng.normal(size=N),
            "cat": pd.Categorical(rng.choice(["u", "v"], N), categories=["w", "v", "u"]),
        },
        index=rng.permutation(N) + 1000,  # nothing may depend on the index
    )


def learn(formula, frame, y=None, **options):
    """Learn with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return FormulaDesign.learn(formula, frame, y, **options)


def test_a_formula_cannot_write_into_the_frame(frame):
    before = frame.copy(deep=True)
    with pytest.raises(
        ValueError, match=r"term 'np.log\(x, z\)' cannot be computed: np.log\(\) takes 1 argument, not 2"
    ):
        learn("y ~ z + np.log(x, z)", frame)
    pd.testing.assert_frame_equal(frame, before)


def test_missing_integers_that_the_formula_handles(frame):
    frame["k"] = frame["k"].astype("Int64")
    frame.iloc[[3, 8], frame.columns.get_loc("k")] = pd.NA
    design, data = learn("y ~ np.isnan(k)", frame)
    np.testing.assert_array_equal(data.X[:, 0], np.isin(np.arange(N), [3, 8]))
    np.testing.assert_array_equal(design.transform(frame), data.X)


def decade(x):
    return (x // 10).astype(int)


FORMULAS = [
    "y ~ x",
    "y ~ x + np.log(z) + C(g)",
    "y ~ x*g",
    "y ~ g/x",
    "y ~ (x + z + g)**2",
    "y ~ x:z - 1",
    "y ~ 0 + g",
    "y ~ 0 + g + k:g",
    "y ~ g:cat",
    "y ~ cat:x + b",
    "y ~ I(x + z) + I(x**2)",
    "y ~ Q('my y')",
    "Q('my y') ~ x",
    "np.log(x) ~ z",
    "center(x) ~ standardize(z)",
    "y ~ C(g, Treatment('b')):b",
    "y ~ C(g, Treatment(reference='c'))",
    "y ~ C(g, Sum)",
    "y ~ C(g, Poly)",
    "y ~ C(g, Helmert)",
    "y ~ C(k, Diff)",
    "y ~ C(g, levels=['c', 'b', 'a'])",
    "y ~ C(k % 2)",
    "y ~ C(k) + x",
    "y ~ k + C(k)",
    "y ~ C(x > 1) + C(b)",
    "y ~ C(cat, levels=['v', 'u', 'w'])",
    "y ~ np.maximum(x, -z) + np.hypot(x, k):C(k, Sum) + I(k // 2)",
    "y ~ center(x) + standardize(z) + scale(x)",
    "y ~ bs(x, df=4)",
    "y ~ bs(x, knots=[0.5, 1.0], degree=2, include_intercept=True)",
    "y ~ cr(x, df=4)",
    "y ~ cc(x, df=4)",
    "y ~ te(cr(x, df=3), cc(z, df=3))",
    "y ~ bs(center(np.log(x)), df=5) + center(np.sqrt(z))",
    "y ~ np.where(g == 'a', 1, 0) + abs(x)",
    "y ~ I((x > 1) | (z < 1))",
    "y ~ x +\n   z",
    "y ~ 1",
    "y ~ 0",
    "y ~ x - x - 1",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_equals_patsy_and_itself_at_predict(formula, frame):
    left, right = patsy.dmatrices(asked_to_centre(formula.replace("\n", " ")), frame)
    names = [name.replace(CENTRE, "") for name in right.design_info.column_names]
    first = int("Intercept" in names)
    design, data = learn(formula, frame)

    assert design.columns == tuple(names[first:])
    assert design.intercept == bool(first)
    np.testing.assert_array_equal(data.X, np.asarray(right)[:, first:])
    np.testing.assert_array_equal(data.y, np.asarray(left)[:, 0])
    assert type(data.X) is np.ndarray
    assert data.X.dtype == data.y.dtype == np.float64
    assert data.X.flags.c_contiguous
    assert data.kept.all()
    slices = right.design_info.term_name_slices
    expected = {
        term.replace(CENTRE, ""): [i - first for i in range(N)[places]]
        for term, places in slices.items()
        if term != "Intercept"
    }
    assert design.terms == expected

    np.testing.assert_array_equal(design.transform(frame), data.X)
    np.testing.assert_array_equal(design.transform(frame.iloc[::-2]), data.X[::-2])
    # BLAS, in the constraint of a spline, rounds a product of one row in another way than one of many.
    np.testing.assert_allclose(design.transform(frame.iloc[[5]]), data.X[[5]], rtol=1e-14)
    np.testing.assert_array_equal(design.response_of(frame), data.y)
    for again in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design)):
        np.testing.assert_array_equal(again.transform(frame), data.X)
        np.testing.assert_array_equal(again.response_of(frame), data.y)


def test_names(frame):
    design, _ = learn("np.log(x) ~ C(g):z + Q('my y')", frame)
    assert design.formula == "np.log(x) ~ C(g):z + Q('my y')"
    assert design.response == "np.log(x)"
    assert design.has_response
    assert design.variables == ("g", "z", "my y")
    design, _ = learn("Q('my y') ~ x", frame)
    assert design.response == "my y"
    design, _ = learn("~ x", frame, frame["y"])
    assert (design.response, design.has_response) == ("y", False)
    with pytest.raises(ValueError, match="no response"):
        design.response_of(frame)


@pytest.mark.parametrize("formula", ["y ~ x + g", "y ~ g", "y ~ x", "y ~ 1", "y ~ 0 + g"])
def test_intercept_false_is_minus_one(formula, frame):
    design, data = learn(formula, frame, intercept=False)
    other, expected = learn(formula + " - 1", frame)
    assert design.columns == other.columns
    assert not design.intercept
    np.testing.assert_array_equal(data.X, expected.X)


def test_response_given(frame):
    target = np.arange(N) * 1.0
    for y in (
        target,
        list(target),
        pd.Series(target, index=frame.index[::-1]),
        target.astype(np.int32),
        target[:, None],
    ):
        for formula in ("x + g", "~ x + g", "y ~ x + g", "Q('my y') ~ x + g"):
            _, data = learn(formula, frame[["x", "g"]], y)
            np.testing.assert_array_equal(data.y, target[:, None] if np.ndim(y) == 2 else target)
    # The left side then names a column for scoring, which need not be there at fit.
    design, _ = learn("y ~ x", frame[["x"]], target)
    np.testing.assert_array_equal(design.response_of(frame), frame["y"])


@pytest.mark.parametrize(
    ("formula", "y", "message"),
    [
        ("x", None, "has no response: write 'y ~ ...'"),
        ("np.log(y) ~ x", np.zeros(N), "left side of formula 'np.log\\(y\\) ~ x' is more than a name"),
        ("x", np.zeros(N - 1), f"y has {N - 1} values but the frame has {N} rows"),
        ("x", np.zeros((N, 2, 2)), f"shape \\({N}, 2, 2\\)"),
        ("x", np.r_[0.0, 1.0, np.nan, np.zeros(N - 4), np.nan], "y is missing \\(NaN\\) in row 2;"),
        ("x", np.r_[0.0, np.inf, np.zeros(N - 2)], "response 'y' is infinite or not a number in row 1"),
        ("x", ["a"] * N, "response 'y' must be one column of numbers"),
        ("x", np.zeros(N, dtype=bool), "response 'y' must be one column of numbers"),
        ("b ~ x", None, "response 'b' must be one column of numbers"),
        ("g ~ x", None, "response 'g' must be one column of numbers"),
        ("cat ~ x", None, "response 'cat' must be one column of numbers"),
        ("I(b) ~ x", None, "response 'I\\(b\\)' must be one column of numbers"),
        ("np.column_stack([y, z]) ~ x", None, "must be one column of numbers"),
        ("y + z ~ x", None, "several are passed as y"),
        ("y:z ~ x", None, "several are passed as y"),
        (
            "Y ~ x",
            None,
            "response 'Y' of formula 'Y ~ x' is not a column of the frame \\(did you mean 'y'\\?\\)",
        ),
        ("np.log(y - y) ~ x", None, "response 'np.log\\(y - y\\)' is infinite or not a number in row 0"),
    ],
)
def test_bad_responses(formula, y, message, frame):
    with pytest.raises(ValueError, match=message):
        learn(formula, frame, y)


def test_rows_with_missing_values_are_dropped_with_one_warning(frame):
    frame.iloc[3, frame.columns.get_loc("x")] = np.nan
    frame.iloc[[3, 5], frame.columns.get_loc("g")] = None
    frame.iloc[7, frame.columns.get_loc("y")] = np.nan
    frame.iloc[9, frame.columns.get_loc("z")] = np.nan  # not in the formula
    with pytest.warns(
        UserWarning, match=r"dropped 3 of 80 rows \(missing values in 'x', 'g', 'y'\)$"
    ) as caught:
        design, data = FormulaDesign.learn("y ~ center(x) + C(g) + bs(x, df=4)", frame)
    assert len(caught) == 1
    np.testing.assert_array_equal(np.flatnonzero(~data.kept), [3, 5, 7])
    assert np.isfinite(data.X).all()
    # The factors learn from the kept rows alone: the fit is that of the frame without the others.
    _, clean = learn("y ~ center(x) + C(g) + bs(x, df=4)", frame[data.kept])
    np.testing.assert_array_equal(data.X, clean.X)
    np.testing.assert_array_equal(data.y, clean.y)

    X = design.transform(frame)
    assert X.shape == (N, len(design.columns))
    np.testing.assert_array_equal(np.isnan(X).all(axis=1), np.isin(np.arange(N), [3, 5]))
    np.testing.assert_array_equal(X[data.kept], data.X)
    assert np.isnan(design.response_of(frame)[7])
    assert np.isnan(design.transform(frame.iloc[[3]])).all()


def test_terms_that_are_no_number_are_named_and_relearnt(frame):
    frame["z"] -= 1.0
    bad = np.array(frame["z"] < 0)
    frame.iloc[0, frame.columns.get_loc("x")] = np.nan
    bad[0] = True
    with pytest.warns(
        UserWarning, match=f"dropped {bad.sum()} of 80 rows \\(missing values in 'x', and not a number in"
    ):
        design, data = FormulaDesign.learn("y ~ np.log(z) + standardize(x) + g", frame)
    np.testing.assert_array_equal(data.kept, ~bad)
    _, clean = learn("y ~ np.log(z) + standardize(x) + g", frame[~bad])
    np.testing.assert_array_equal(data.X, clean.X)
    np.testing.assert_array_equal(np.isnan(design.transform(frame)).all(axis=1), bad)
    with pytest.warns(UserWarning, match="not a number in term 'np.log\\(z\\)'"):
        design, data = FormulaDesign.learn("np.log(z) ~ x", frame)
    np.testing.assert_array_equal(np.isnan(design.response_of(frame)), (frame["z"] < 0))


def test_missing_values_that_the_formula_handles_itself(frame):
    frame.iloc[4, frame.columns.get_loc("x")] = np.nan
    design, data = learn("y ~ np.isnan(x) + np.nan_to_num(x)", frame)
    assert data.kept.all()
    np.testing.assert_array_equal(data.X[4], [1.0, 0.0])
    np.testing.assert_array_equal(design.transform(frame.iloc[[4]]), [[1.0, 0.0]])
    design, data = learn("y ~ x.fillna(-1)", frame)
    assert data.X[4] == -1
    with pytest.warns(UserWarning, match="dropped 1 of 80"):  # a comparison would silently be False
        FormulaDesign.learn("y ~ I(x > 1)", frame)


def test_nothing_left(frame):
    frame["x"] = np.nan
    with pytest.raises(ValueError, match=r"none of the 80 rows can be used \(missing values in 'x'\)"):
        learn("y ~ x", frame)
    with pytest.raises(ValueError, match="not a number in term 'standardize\\(z-z\\)'"):
        learn("y ~ standardize(z-z)", frame)


def test_infinity_is_an_error_at_fit_and_predict(frame):
    frame.iloc[6, frame.columns.get_loc("x")] = 0.0
    with pytest.raises(ValueError, match=r"term 'np.log\(x\)' is infinite or not a number in row 6"):
        learn("y ~ z + np.log(x)", frame)
    design, _ = learn("y ~ z + np.log(x)", frame.drop(index=frame.index[6]))
    frame.iloc[2, frame.columns.get_loc("z")] = np.nan  # rows count in the frame, not among the complete
    with pytest.raises(ValueError, match=r"term 'np.log\(x\)' is infinite or not a number in row 6"):
        design.transform(frame)


def test_levels_of_a_categorical_are_kept(frame):
    design, data = learn("y ~ cat", frame)
    assert design.columns == ("cat[T.v]", "cat[T.u]")
    design, data = learn("y ~ 0 + cat", frame)
    assert not data.X[:, 0].any()
    new = pd.DataFrame({"cat": ["u", "w", None]})  # text, and categories in another order, are all the same
    expected = [[0, 0, 1], [1, 0, 0], [np.nan] * 3]
    np.testing.assert_array_equal(design.transform(new), expected)
    np.testing.assert_array_equal(design.transform(new.astype("category")), expected)


@pytest.mark.parametrize(
    "formula", ["y ~ g", "y ~ C(g)", "y ~ C(g, Sum)", "y ~ x:g", "y ~ C(g, levels=['c', 'a', 'b'])"]
)
def test_unknown_level(formula, frame):
    design, _ = learn(formula, frame)
    new = pd.DataFrame({"g": ["a", None, "zz", "b", "yy"], "x": 1.0})
    for g in (new["g"], new["g"].astype("category")):
        with pytest.raises(
            ValueError, match=r"level.* 'zz', 'yy', first in row 2; its levels are '.', '.', '.'"
        ):
            design.transform(new.assign(g=g))


def test_unknown_level_of_computed_factors(frame):
    design, _ = learn("y ~ C(k) + C(g.str.upper())", frame)
    with pytest.raises(
        ValueError, match=r"factor 'C\(k\)' has the unknown level 9, first in row 1; its levels are 0, 1, 2"
    ):
        design.transform({"k": [0, 9], "g": ["a", "b"]})
    with pytest.raises(
        ValueError, match=r"factor 'C\(g.str.upper\(\)\)' has the unknown level 'Q', first in row 0"
    ):
        design.transform({"k": [0, 1], "g": ["q", "b"]})
    with pytest.raises(ValueError, match="unknown level 'c'"):
        learn("y ~ C(g, levels=['a', 'b'])", frame)


def test_levels_in_an_expression_are_free(frame):
    for column in ("g", "cat"):
        design, _ = learn(f"y ~ I({column} == 'u')", frame)
        np.testing.assert_array_equal(design.transform({column: ["u", "new"]}), [[1], [0]])


def test_factor_with_one_level(frame):
    frame["g"] = "a"
    for formula in ("y ~ g", "y ~ 0 + C(g)", "y ~ C(g, Sum)"):
        with pytest.raises(ValueError, match="has only the level 'a'"):
            learn(formula, frame)
    frame["id"] = [f"id{i}" for i in range(N)]
    many = pd.concat([frame, frame.assign(id=frame["id"] + "x")])
    with pytest.raises(
        ValueError, match="column 'id' has 160 different values in 160 rows, too many for a factor"
    ):
        learn("y ~ id", many)
    with pytest.raises(ValueError, match="column 'my y' has"):
        learn("y ~ C(Q('my y'))", pd.concat([frame, frame.assign(**{"my y": frame["my y"] + 9})]))


def test_splines_outside_the_training_range(frame):
    design, _ = learn("y ~ z + bs(x, df=4)", frame)
    with pytest.raises(
        ValueError,
        match=r"term 'bs\(x, df=4\)' meets values outside.*use cr\(\).*lower_bound and upper_bound",
    ):
        design.transform({"x": [1.0, 50.0], "z": [1.0, 1.0]})
    design, _ = learn("y ~ cr(x, df=4) + bs(z, df=4, lower_bound=-9, upper_bound=99)", frame)
    assert np.isfinite(design.transform({"x": [-3.0, 50.0], "z": [-3.0, 50.0]})).all()


def test_missing_column_at_predict_never_comes_from_the_caller(frame):
    design, _ = learn("y ~ x + z", frame)
    x = z = np.ones(3)
    with pytest.raises(
        ValueError, match=r"needs the column 'z', which the frame does not have .*did you mean 'Z'"
    ):
        design.transform({"x": x, "Z": z})
    design, _ = learn("y ~ x + half(z)", frame, namespace={"half": np.sqrt, "x": 3.0})
    with pytest.raises(
        ValueError, match="needs the column 'x'"
    ):  # nor from the namespace, if the frame had it
        design.transform({"z": z})


def test_a_term_that_depends_on_the_other_rows_is_told(frame):
    for term in (
        "I(x - np.mean(x))",
        "I(x - x.mean())",
        "np.cumsum(x)",
        "rank(x)",
        "np.gradient(x)",
    ):
        with pytest.warns(UserWarning, match="depends on the other rows"):
            FormulaDesign.learn(f"y ~ {term} + z", frame, namespace={"rank": lambda x: x.rank()})
    learn("y ~ np.where(x > 1, x, 1) + np.clip(z, 0, 1) + decade(k)", frame, namespace={"decade": decade})
    with pytest.warns(UserWarning, match=r"write I\(x\*\*2\) for the square"):
        FormulaDesign.learn("y ~ x + x**2", frame)

"""Data frames of all kinds under a formula: pandas, polars, dicts; dtypes, nullable and odd columns."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from bayesglm.formula import FormulaDesign


def learn(formula, frame, y=None, **options):
    return FormulaDesign.learn(formula, frame, y, **options)


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize("frame", [np.ones((4, 2)), [[1.0, 2.0]], pd.Series([1.0]), None, "y"])
def test_what_is_no_frame(frame):
    with pytest.raises(TypeError, match=r"formula models need a data frame .* got "):
        learn("y ~ x", frame)
    design, _ = learn("y ~ x", {"y": [1.0, 2], "x": [1.0, 2]})
    for method in (design.transform, design.response_of):
        with pytest.raises(TypeError, match="formula models need a data frame"):
            method(frame)


def test_empty_frames():
    design, _ = learn("y ~ x", {"y": [1.0, 2], "x": [1.0, 2]})
    for frame in (pd.DataFrame({"y": [], "x": []}), {"y": [], "x": []}):
        with pytest.raises(ValueError, match="the data frame has no rows"):
            learn("y ~ x", frame)
        with pytest.raises(ValueError, match="the data frame has no rows"):
            design.transform(frame)
    with pytest.raises(ValueError, match="no rows"):
        learn("y ~ 1", {}, np.ones(3))


def test_one_row_and_no_columns():
    _, data = learn("y ~ x", {"y": [1.0], "x": [2.0]})
    np.testing.assert_array_equal(data.X, [[2.0]])
    design, data = learn("y ~ 1", pd.DataFrame({"y": [1.0, 2, 3]}))
    assert (design.columns, design.terms, design.variables, design.intercept) == ((), {}, (), True)
    assert data.X.shape == (3, 0)
    assert design.transform(pd.DataFrame(index=range(5))).shape == (5, 0)
    assert design.transform({"meta": "text", "w": [1, 2]}).shape == (2, 0)
    design, data = learn("~ 0", pd.DataFrame(index=range(3)), [1.0, 2, 3])
    assert (design.intercept, data.X.shape) == (False, (3, 0))


def test_only_the_columns_used_are_touched():
    class Bomb:
        def __array__(self, *args, **options):
            raise AssertionError("touched")

        def __len__(self):
            raise AssertionError("touched")

    frame = {"bomb": Bomb(), "matrix": np.ones((7, 7)), "y": [1.0, 2.0], "x": (3, 4), "text": "no column"}
    design, data = learn("y ~ x", frame)
    np.testing.assert_array_equal(design.transform(frame), [[3], [4]])
    weird = pd.DataFrame({"y": [1.0, 2], "x": [3, 4]})
    weird["when"] = pd.to_datetime(["2020", "2021"])
    weird["objects"] = objects({}, [1])
    weird[("a", 1)] = 1j
    np.testing.assert_array_equal(learn("y ~ x", weird)[1].X, data.X)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 5, 2], dtype=np.float32),
        np.array([1, 5, 2], dtype=np.float16),
        np.array([1, 5, 2], dtype=np.int8),
        np.array([1, 5, 2], dtype=np.uint64),
        pd.array([1, 5, 2], dtype="Int64"),
        pd.array([1, 5, 2], dtype="Float32"),
        objects(1, 5, 2),
        objects(1.0, np.int8(5), np.float32(2)),
        objects(*map(decimal.Decimal, "152")),
        [1, 5, 2],
        range(1, 6, 2),
        pd.Series([1, 5, 2], index=[2, 1, 0]),
        pd.arrays.SparseArray([1.0, 5.0, 2.0]),
    ],
)
def test_numbers(values):
    expected = np.asarray(values, dtype=np.float64)
    frame = {"y": values, "x": values}
    design, data = learn("y ~ x + I(-x) + I(x**30)", frame)  # no integer overflows or wraps around
    np.testing.assert_allclose(data.X, np.column_stack([expected, -expected, expected**30]), rtol=1e-15)
    np.testing.assert_array_equal(data.y, expected)
    np.testing.assert_array_equal(design.transform({"x": expected}), data.X)
    np.testing.assert_array_equal(learn("x", {"x": expected}, values)[1].y, expected)


def test_missing_in_every_guise():
    good = {
        "i": [1, 2, 1, 2],
        "f": [0.5, 1.5, 2.5, 0.5],
        "b": [True, False, True, True],
        "s": ["u", "v", "v", "u"],
    }
    good["y"] = [1.0, 2.0, 3.0, 4.0]
    formula = "y ~ i + C(i) + f + b + s"
    design, expected = learn(formula, good)
    gap = {name: [*values[:2], None, *values[2:]] for name, values in good.items()}
    for name, dtypes in {
        "i": ["Int64", "Int8", "float", object],
        "f": ["Float64", "float", object],
        "b": ["boolean", object],
        "s": ["string", "str", "category", object],
        "y": ["Float64", "Int64", object],
    }.items():
        for dtype in dtypes:
            frame = pd.DataFrame({other: [*v[:2], v[0], *v[2:]] for other, v in good.items()})
            frame[name] = pd.Series(objects(*gap[name]), dtype=dtype)
            with pytest.warns(UserWarning, match=f"dropped 1 of 5 rows \\(missing values in '{name}'\\)"):
                other, data = learn(formula, frame)
            np.testing.assert_array_equal(data.X, expected.X, err_msg=f"{name} {dtype}")
            np.testing.assert_array_equal(data.y, expected.y)
            names = [c.replace("2.0", "2") for c in other.columns]  # floats name their levels as floats
            assert tuple(names) == design.columns
            assert ("2.0" in "".join(other.columns)) == (name == "i" and dtype == "float")
            if name != "y":
                X = design.transform(frame)
                assert np.isnan(X[2]).all()
                np.testing.assert_array_equal(X[data.kept], expected.X)
            nothing = frame.iloc[[2]]
            assert np.isnan(design.transform(nothing)).all() or name == "y"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.to_datetime(["2020", "2021"]), "dates or times.*convert it to a number"),
        (np.array(["2020", "2021"], dtype="M8[D]"), "dates or times"),
        (pd.to_timedelta([1, 2]), "dates or times"),
        (pd.period_range("2020", periods=2), "dates or times"),
        (objects(datetime.date(2020, 1, 1), None), "dates or times"),
        ([1j, 2.0], "complex numbers"),
        (objects(1, "a"), "objects of type 'int', 'str'"),
        (objects({}, []), "objects of type 'dict', 'list'"),
        (np.ones((2, 2)), "must be one-dimensional"),
        (3.0, "must be one-dimensional"),
        (
            [1.0, 2.0, 3.0],
            "column 'x' has 3 rows but column 'y' has 2|column 'y' has 2 rows but column 'x' has 3",
        ),
    ],
)
def test_columns_that_cannot_serve(values, message):
    for formula in ("y ~ x", "y ~ C(x)", "x ~ y"):
        with pytest.raises(ValueError, match="column 'x'.*" + message if "|" not in message else message):
            learn(formula, {"y": [1.0, 2.0], "x": values})


def test_column_twice():
    frame = pd.DataFrame(np.ones((3, 3)), columns=["y", "x", "x"])
    with pytest.raises(ValueError, match="column 'x' occurs 2 times in the frame"):
        learn("y ~ x", frame)


def test_text_and_categories():
    text = ["b", "a", "c", "a"]
    expected = [[1, 0], [0, 0], [0, 1], [0, 0]]
    for values in (
        text,
        np.array(text),
        objects(*text),
        pd.Series(text, dtype="string"),
        pd.Series(text, dtype=object),
        pd.Categorical(text),
    ):
        design, data = learn("y ~ g", {"y": [1.0, 2, 3, 4], "g": values})
        assert design.columns == ("g[T.b]", "g[T.c]")
        np.testing.assert_array_equal(data.X, expected)
        for other in (
            pd.Categorical(text, categories=["c", "b", "a", "unused"]),
            pd.Series(text, dtype="string"),
            text,
        ):
            np.testing.assert_array_equal(design.transform({"g": other}), expected)
    cut = pd.cut(pd.Series([1.0, 4.0, 9.0, 1.5]), [0, 2, 5, 10])
    design, data = learn("y ~ w", {"y": [1.0, 2, 3, 4], "w": cut})
    np.testing.assert_array_equal(data.X, [[0, 0], [1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(design.transform({"w": cut[::-1]}), data.X[::-1])
    numbers = pd.Categorical([3, 1, 1, 3])
    design, data = learn("y ~ k", {"y": [1.0, 2, 3, 4], "k": numbers})
    assert design.columns == ("k[T.3]",)
    np.testing.assert_array_equal(design.transform({"k": [3.0, 1.0]}), [[1], [0]])


def test_the_kind_of_a_column_is_remembered():
    frame = {"y": [1.0, 2, 3], "x": [1.0, 2, 3], "g": ["a", "b", "a"], "b": [True, False, True]}
    design, data = learn("y ~ x + I(g == 'a') + b", frame)
    np.testing.assert_array_equal(
        design.transform({**frame, "b": [1, 0, 1], "x": objects(1, 2.0, 3)}), data.X
    )
    for name, values, message in [
        ("x", ["1", "2", "3"], "column 'x' held numbers at fit and now holds text; convert it to numbers"),
        ("x", pd.Categorical([1, 2, 3]), "held numbers at fit and now holds categories"),
        ("g", [1, 2, 3], "column 'g' held text at fit and now holds numbers"),
        ("b", ["a", "b", "b"], "column 'b' held booleans at fit and now holds text"),
        ("b", [0, 1, 2], "column 'b' held booleans at fit and now holds numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            design.transform({**frame, name: values})


def test_polars():
    pl = pytest.importorskip("polars")
    columns = {
        "y": [1.0, None, 3.0, 4.0, 5.0],
        "x": [1, 2, 3, None, 5],
        "f": [0.5, 1.5, 2.5, 0.5, float("nan")],
        "b": [True, False, True, True, False],
        "s": ["u", "v", "v", "u", "v"],
    }
    frame = pl.DataFrame(columns, strict=False).with_columns(
        pl.col("s").cast(pl.Categorical).alias("c"),
        pl.Series("e", columns["s"], dtype=pl.Enum(["w", "v", "u"])),
        pl.col("x").cast(pl.Decimal(10, 2)).alias("d"),
        pl.lit(None).alias("nothing"),
        pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 5)).alias("when"),
        pl.col("x").reshape((5, 1)).alias("nested"),
    )
    formula = "y ~ x + C(x) + np.log(f) + b + s + c + e + d"
    with pytest.warns(UserWarning, match=r"dropped 3 of 5 rows \(missing values in 'x', 'f', 'd', 'y'\)"):
        design, data = learn(formula, frame)
    assert design.columns == (
        "C(x)[T.3]",
        "b[T.True]",
        "s[T.v]",
        "c[T.v]",
        "e[T.v]",
        "e[T.u]",
        "x",
        "np.log(f)",
        "d",
    )
    expected = [[0, 1, 0, 0, 0, 1, 1, np.log(0.5), 1], [1, 1, 1, 1, 1, 0, 3, np.log(2.5), 3]]
    np.testing.assert_array_equal(data.X, expected)
    np.testing.assert_array_equal(data.kept, [True, False, True, False, False])
    with pytest.raises(ValueError, match=r"'C\(x\)' has the unknown level 2, first in row 1"):
        design.transform(frame)
    X = design.transform(frame.with_columns(x=pl.Series([1, 1, 3, None, 3])))
    np.testing.assert_array_equal(np.isnan(X).all(axis=1), [False, False, False, True, True])
    np.testing.assert_array_equal(X[[0, 2]], data.X)
    np.testing.assert_array_equal(design.response_of(frame), [1, np.nan, 3, 4, 5])
    # A model fitted on one kind of frame predicts from another.
    np.testing.assert_array_equal(design.transform(frame.select(design.variables)[[0, 2]].to_dict()), data.X)
    np.testing.assert_array_equal(
        learn("x", {"x": frame["b"].cast(pl.Int8)}, frame["f"].fill_nan(1.0))[1].X.ravel(), [1, 0, 1, 1, 0]
    )
    with pytest.raises(ValueError, match="column 'when' holds dates or times"):
        learn("y ~ when", frame)
    with pytest.raises(ValueError, match="column 'nested' holds objects"):
        learn("y ~ nested", frame)
    with pytest.raises(ValueError, match="none of the 5 rows can be used"):
        learn("y ~ nothing", frame)
    with pytest.raises(ValueError, match="no rows"):
        learn("y ~ x", frame.clear())
    with pytest.raises(TypeError, match="got LazyFrame"):
        learn("y ~ x", frame.lazy())

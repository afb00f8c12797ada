"""What claims to be a saved formula and is none is refused in one sentence, and none of its code is run."""

import contextlib
import copy
import sys

import numpy as np
import pytest

from bayesglm.formula_data import from_data
from tests.formula_cases import NEW, by_file, learn, tree


def changed(data, *path_and_value):
    """A copy with one entry replaced."""
    data = copy.deepcopy(data)
    *path, last, value = path_and_value
    inner = data
    for step in path:
        inner = inner[step]
    inner[last] = value
    return data


def renamed(value, old, new):
    """A copy with one text replaced by another wherever it is."""
    if isinstance(value, dict):
        return {renamed(key, old, new): renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, old, new) for item in value]
    return new if isinstance(value, str) and value == old else value


def refused(data, match="formula"):
    with pytest.raises(ValueError, match=match) as caught:
        from_data(data)
    assert "\n" not in str(caught.value)


EVIL = [
    "__import__('os').abort()",
    "x.__class__",
    "np.load(x)",
    "x.to_pickle('f')",
    "(lambda: x)()",
    "open(x)",
    "x.eval('1')",
    "other(x)",
    "_patsy_stobj0__center__.transform(x)",
]


@pytest.mark.parametrize("code", EVIL)
def test_code_that_formulas_may_not_use(code):
    data = tree("y ~ x")
    refused(changed(data, "formula", f"y ~ {code}"))
    refused(changed(data, "formula", f"{code} ~ x"))
    refused(changed(data, "formula", f"y ~ x + {code}"))
    # The same in every place that could be taken for code, the formula being innocent.
    for key in ("factors", "terms"):
        refused(changed(data, "right", key, renamed(data["right"][key], "x", code)))
    both = changed(data, "right", "factors", code, data["right"]["factors"]["x"])
    refused(both, "of other terms")


def test_nothing_is_evaluated(tmp_path):
    """Python announces every piece of code that it runs."""
    formula = (
        "np.log(y) ~ center(x) + te(cr(x, df=3), bs(z, df=4)) + C(g, Treatment('b')) + floor(z) + I(k+1)"
    )
    design, _ = learn(formula)
    by_file(design, tmp_path).transform(NEW)  # imports everything
    seen, watching = [], [True]

    def note(event, arguments):
        if watching[0] and event in ("exec", "import", "pickle.find_class", "marshal.loads"):
            seen.append((event, arguments))

    sys.addaudithook(note)
    again = by_file(design, tmp_path)
    assert seen == []
    again.transform(NEW)
    watching[0] = False
    assert any(event == "exec" for event, _ in seen), "the hook sees what predict evaluates"


@pytest.mark.parametrize(
    "change",
    [
        ("formula", 3),
        ("formula", ""),
        ("formula", "y ~ x +"),
        ("formula", "y ~ x + z"),
        ("formula", "y ~ g + x + bs(x, df=4)"),
        ("formula", "y ~ g"),
        ("formula", "y ~ g + center(z)"),
        ("formula", "z ~ g + center(x)"),
        ("formula", "g + center(x)"),
        ("formula", "np.log(y) ~ g + center(x)"),
        ("formula", "y ~ 0 + g + center(x)"),
        ("formula", "y ~ " + "(" * 5000 + "x" + ")" * 5000),
        ("formula", "y ~ center(x):g"),
        ("intercept", False),
        ("intercept", 1),
        ("helpers", []),
        ("helpers", {"unused": {"kind": "value", "value": 1}}),
        ("helpers", {"np": {"kind": "value", "value": 1}}),
        ("helpers", {"center": {"kind": "numpy", "value": "load"}}),
        ("right_columns", []),
        ("right_columns", [None]),
        ("right_columns", 0, "name", "z"),
        ("right_columns", 0, "kind", "object"),
        ("right_columns", 0, "levels", None),
        ("right_columns", 0, "levels", ["a", "a"]),
        ("right_columns", 0, "levels", ["a", ["b"]]),
        ("right_columns", 0, "levels", ["a", np.zeros(2)]),
        ("right_columns", 1, "levels", ["a"]),
        ("right_columns", 1, "alone", 1),
        ("left_columns", []),
        ("left_columns", 0, "name", "x"),
        ("right", None),
        ("left", {"names": [], "factors": {}, "terms": []}),
        ("right", "names", ["Intercept", "g[T.b]", "g[T.c]"]),
        ("right", "names", ["Intercept", "g[T.b]", "g[T.c]", "a", "b"]),
        ("right", "names", ["a", "a", "b", "c"]),
        ("right", "names", [1, 2, 3, 4]),
        ("right", "factors", {}),
        ("right", "factors", "g", {}),
        ("right", "factors", "g", "levels", None),
        ("right", "factors", "g", "levels", ["a", "b"]),
        ("right", "factors", "g", "columns", 1),
        ("right", "factors", "center(x)", "columns", 2),
        ("right", "factors", "center(x)", "columns", -1),
        ("right", "factors", "center(x)", "columns", 10**18),
        ("right", "factors", "center(x)", "columns", None),
        ("right", "factors", "center(x)", "transforms", []),
        ("right", "factors", "g", "transforms", [{"transform": "Center"}]),
        ("right", "factors", "center(x)", "transforms", 0, "transform", "Standardize"),
        ("right", "factors", "center(x)", "transforms", 0, "transform", "os.system"),
        ("right", "factors", "center(x)", "transforms", 0, "transform", ["Center"]),
        ("right", "factors", "center(x)", "transforms", 0, "transform", None),
        ("right", "factors", "center(x)", "transforms", 0, "_count", 0),
        ("right", "factors", "center(x)", "transforms", 0, "_count", 1.5),
        ("right", "factors", "center(x)", "transforms", 0, "_sum", None),
        ("right", "factors", "center(x)", "transforms", 0, "_sum", np.zeros(1)),
        ("right", "factors", "center(x)", "transforms", 0, "_sum", np.zeros((3, 0))),
        ("right", "factors", "center(x)", "transforms", 0, "_sum", np.full((3, 1), np.nan)),
        ("right", "factors", "center(x)", "transforms", 0, "_sum", np.zeros((3, 1), dtype=object)),
        ("right", "factors", "center(x)", "transforms", 0, "transform_", 1),
        ("right", "factors", "center(x)", "transforms", 0, "transform", "__class__"),
        ("right", "terms", []),
        ("right", "terms", 0, "factors", ["g"]),
        ("right", "terms", 0, "parts", []),
        ("right", "terms", 1, "factors", ["center(x)"]),
        ("right", "terms", 1, "factors", ["g", "g"]),
        ("right", "terms", 1, "factors", [["g"]]),
        ("right", "terms", 1, "parts", 0, "factors", ["center(x)"]),
        ("right", "terms", 1, "parts", 0, "factors", ["g", "g"]),
        ("right", "terms", 1, "parts", 0, "factors", []),
        ("right", "terms", 1, "parts", 0, "contrasts", {}),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "matrix", np.zeros((2, 2))),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "matrix", np.zeros((3, 3))),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "matrix", np.full((3, 2), np.inf)),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "matrix", np.zeros(3)),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "matrix", [[0.0]]),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "suffixes", ["a"]),
        ("right", "terms", 1, "parts", 0, "contrasts", "g", "suffixes", [1, 2]),
        ("right", "terms", 2, "parts", 0, "contrasts", {"g": {}}),
    ],
    ids=lambda change: "-".join(map(str, change))[:60],
)
def test_crafted_data(change):
    refused(changed(tree("y ~ g + center(x)"), *change))


def test_crafted_order():
    data = tree("y ~ g + center(x)")
    data["right"]["terms"] = data["right"]["terms"][::-1]
    refused(data, "intercept is not the first")


@pytest.mark.parametrize(
    ("formula", "code", "change"),
    [
        ("bs(x, df=5)", "BS", {"_degree": 6}),
        ("bs(x, df=5)", "BS", {"_degree": -1}),
        ("bs(x, df=5)", "BS", {"_degree": True}),
        ("bs(x, df=5)", "BS", {"_all_knots": np.arange(7.0)}),
        ("bs(x, df=5)", "BS", {"_all_knots": np.arange(9.0)[::-1]}),
        ("bs(x, df=5)", "BS", {"_all_knots": np.zeros((3, 3))}),
        ("bs(x, df=5)", "BS", {"_tmp": {}}),
        ("cr(x, df=4)", "CR", {"_all_knots": np.zeros(4)}),
        ("cr(x, df=4)", "CR", {"_all_knots": np.zeros(1)}),
        ("cr(x, df=4)", "CR", {"_constraints": np.ones((1, 3))}),
        ("cr(x, df=4)", "CR", {"_constraints": np.ones((5, 4))}),
        ("cr(x, df=4)", "CR", {"_cyclic": True}),
        ("cc(x, df=4)", "CC", {"_constraints": np.ones((1, 4))}),
        ("cc(x, df=4)", "CC", {"_constraints": np.full((1, 5), np.nan)}),
        ("cc(x, df=4)", "CC", {"transform": "CR"}),
        ("te(I(x), I(z))", "TE", {"_constraints": np.ones(4)}),
        ("te(I(x), I(z))", "TE", {"_constraints": np.ones((0, 4))}),
        ("standardize(x)", "Standardize", {"current_n": 0}),
        ("standardize(x)", "Standardize", {"current_M2": np.zeros((3, 2))}),
        ("standardize(x)", "Standardize", {"current_mean": np.zeros((2, 1))}),
        ("standardize(x)", "Standardize", {"current_mean": np.zeros((3, 1), np.float32)}),
    ],
)
def test_crafted_transforms(formula, code, change):
    data = tree(f"y ~ {formula}")
    (state,) = data["right"]["factors"][formula]["transforms"]
    assert state["transform"] == code
    state.update(change)
    refused(data)


def test_crafted_response():
    data = tree("np.log(y) ~ x")
    factor = data["left"]["factors"]["np.log(y)"]
    refused(changed(data, "left", None), "one side of it is missing")
    factor["columns"] = 2
    data["left"]["names"] = ["a", "b"]
    refused(data, "response is not one column")


@pytest.mark.parametrize(
    "name", ["load", "fromfile", "os", "lib", "ndarray", "__class__", "linalg.norm", "nope", 3, None]
)
def test_functions_of_numpy_that_formulas_may_not_use(name):
    data = tree("y ~ floor(x)")
    assert data["helpers"] == {"floor": {"kind": "numpy", "value": "floor"}}
    refused(changed(data, "helpers", "floor", "value", name), "'floor' is no function of np")


def test_other_things_than_a_formula():
    for data in (None, [], {}, "y ~ x", {"formula": "y ~ x"}):
        refused(data, "the saved formula")


VALUES = [
    None,
    True,
    0,
    -1,
    3,
    10**30,
    0.5,
    float("nan"),
    "",
    "x",
    "center",
    "levels",
    [],
    {},
    ["a"],
    ["a", "b"],
]
ARRAYS = [
    np.zeros(0),
    np.zeros(3),
    np.ones((3, 1)),
    np.full((3, 2), 2),
    np.arange(8.0),
    np.full((1, 4), 1e300),
]


def places(value, path=()):
    """The paths to all entries."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def test_random_damage():
    """Whatever is replaced by whatever: it is refused, or what is loaded predicts or says why it cannot."""
    rng = np.random.default_rng(5)
    sound = tree(
        "np.log(y) ~ C(g, Sum):center(x) + bs(z, df=4) + te(cr(x, df=3), cc(z, df=3)) + floor(z) + cat"
    )
    paths = list(places(sound))
    pool = [*VALUES, *ARRAYS]
    loaded = 0
    for _ in range(600):
        path = paths[rng.integers(len(paths))]
        data = changed(sound, *path, pool[rng.integers(len(pool))])
        try:
            design = from_data(data)
        except ValueError:
            continue
        loaded += 1
        with contextlib.suppress(ValueError):
            assert design.transform(NEW).shape == (len(NEW), len(design.columns))
            design.response_of(NEW)
    assert 0 < loaded < 200

"""Plain data come back as they were, types included; anything else is refused, in both directions."""

import json
import math
from decimal import Decimal

import numpy as np
import pytest

from bayesglm.plain_data import decode, encode, fields, numbers, texts

EXTREME = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, -2.5e-17]
INTEGERS = [0, -1, 2**53 + 1, -(2**63), 2**128 - 1, 2**4095]
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
TREES = {
    "leaves": [
        None,
        True,
        False,
        "",
        "text",
        "\u00e9 \u20ac \U0001f600 \ud800 \x00 \\ \" '",
        *EXTREME,
        *INTEGERS,
    ],
    "containers": {"a": [], "b": {}, "c": (), "d": [[1, (2, {"e": (None,)})]], "": {"": ""}},
    "names that look special": {"$array": 1, "b": {"$tuple": [1], "$": {"$dict": {"$float": "nan"}}}},
    "scalars": [np.float64(0.1), np.float32(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True)],
}


def by_json(tree):
    text, arrays = encode(tree)
    return decode(json.loads(json.dumps(text, allow_nan=False)), arrays)


def same(a, b):
    """Equal to the last bit, of the same type, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return repr(a) == repr(b)


def test_the_comparison_tells_types_and_signs_apart():
    assert not same(1, True)
    assert not same(0.0, -0.0)
    assert not same((1,), [1])
    assert not same(np.float64(1), 1.0)
    assert not same(np.zeros(2), np.zeros(2, np.float32))
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_trees_come_back(tree):
    assert same(by_json(tree), tree)


def test_what_is_not_finite():
    back = by_json([math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("-inf")])
    assert math.isnan(back[0])
    assert back[1:3] == [math.inf, -math.inf]
    assert np.isnan(back[3])
    assert isinstance(back[3], np.float32)
    assert back[4] == -np.inf
    assert isinstance(back[4], np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_all_shapes(dtype):
    rng = np.random.default_rng(0)
    for shape in [(), (1,), (0,), (3, 0, 2), (4, 5), (2, 3, 4)]:
        array = (rng.normal(size=shape) * 50).astype(dtype)
        assert same(by_json({"a": [array]}), {"a": [array]})
        swapped = array.astype(array.dtype.newbyteorder(">"))
        np.testing.assert_array_equal(by_json(swapped), array)


def test_text_of_numpy_becomes_pythons():
    assert same(by_json([np.str_("a"), {np.str_("b"): 1}]), ["a", {"b": 1}])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "object"),
        (np.array(["a"]), "dtype <U1"),
        (np.array([object()]), "dtype object"),
        (np.array([1j]), "dtype complex128"),
        (np.zeros(2, "M8[s]"), "dtype datetime64"),
        (np.zeros(2, [("a", float)]), r"dtype \[\('a'"),
        (np.zeros(2, np.longdouble) if np.dtype(np.longdouble).itemsize > 8 else np.array([1j]), "dtype"),
        (np.ma.masked_array([1.0]), "MaskedArray"),
        (1j, "complex"),
        (Decimal(1), "Decimal"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (2**5000, "int"),
        (print, "builtin_function_or_method"),
    ],
)
def test_anything_else_is_refused_with_its_place(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        encode({"outer": [0, {"inner": value}]})
    assert "data['outer'][1]['inner']" in str(caught.value)


def test_keys_are_text():
    with pytest.raises(ValueError, match=r"data\['a'\] has the key 1"):
        encode({"a": {1: 2}})


def test_circles_and_depth():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested too deeply"):
        encode(circle)
    deep = {}
    for _ in range(50):
        deep = {"$": deep}
    assert same(by_json(deep), deep)


@pytest.mark.parametrize(
    "json",
    [
        {"$unknown": 1},
        {"$float": "nan", "other": 1},
        {"$float": "1.0"},
        {"$float": 1.0},
        {"$scalar": ["float64", "1.0"]},
        {"$scalar": ["float64", 1]},
        {"$scalar": ["float16", 0.1]},
        {"$scalar": ["int8", 300]},
        {"$scalar": ["int8", True]},
        {"$scalar": ["object", 1]},
        {"$scalar": [["float64"], 1.0]},
        {"$scalar": ["float64"]},
        {"$scalar": {"float64": 1.0}},
        {"$tuple": {"a": 1}},
        {"$dict": {"a": 1}},
        {"$dict": [1]},
        {"$array": "array-0"},
        {"$array": ["array-0"]},
        2**5000,
        float("inf"),
    ],
    ids=str,
)
def test_crafted_json_is_refused(json):
    for place in (json, [json], {"a": {"$tuple": [json]}}):
        with pytest.raises(ValueError, match="it "):
            decode(place, {})


def test_arrays_are_used_once():
    arrays = {"array-0": np.zeros(2)}
    with pytest.raises(ValueError, match="used elsewhere"):
        decode([{"$array": "array-0"}, {"$array": "array-0"}], arrays)
    with pytest.raises(ValueError, match="'array-0' belongs nowhere"):
        decode([], arrays)
    assert list(arrays) == ["array-0"]


def test_depth_of_what_is_read():
    deep = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(deep, {})


def test_fields():
    data = {"a": 1, "b": None, "c": [2]}
    assert fields(data, "it", c=object, a=int, b=(str, type(None))) == [[2], 1, None]
    for bad, message in [
        ([], "it must be a dict, got list"),
        ({"a": 1, "b": None}, "it lacks 'c'"),
        ({**data, "d": 1}, "it has the unknown entry 'd'"),
        ({**data, "a": True}, "'a' of it must be int, got bool"),
        ({**data, "b": 1}, "'b' of it must be str or NoneType, got int"),
    ]:
        with pytest.raises(ValueError, match=message):
            fields(bad, "it", a=int, b=(str, type(None)), c=object)


def test_numbers_and_texts():
    np.testing.assert_array_equal(numbers(np.arange(3), "it", 1), [0, 1, 2])
    assert texts(["a", "b"], "it") == ["a", "b"]
    for bad in ([1.0], np.zeros((2, 2)), np.array([True]), np.array([np.nan]), None):
        with pytest.raises(ValueError, match="it must be"):
            numbers(bad, "it", 1)
    for bad in ("ab", ["a", 1], ["a", "a"], None):
        with pytest.raises(ValueError, match="it must be"):
            texts(bad, "it")

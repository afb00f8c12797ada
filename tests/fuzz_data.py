"""What hypothesis feeds the estimators with: arrays, frames, responses, weights and what rows bring, good and odd.

Sizes, kinds and oddities are hypothesis's choices, which shrink; the numbers themselves come from a seed that it
draws, which is quicker than to draw them one by one.
"""

import array
import decimal
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from scipy import sparse

SEEDS = st.integers(0, 2**32 - 1)
SPICES = [np.nan, np.inf, -np.inf, 1e308, -1e200, 5e-324, 1e-310, 1e160, 2.0**53, 0.0, -0.0]
DTYPES = [
    *("float64", "float32", "float16", "longdouble", "int8", "int16", "int32", "int64", "uint8", "uint16"),
    *("uint32", "uint64", "bool", ">f8", ">i4", "object"),
]
ODD_DTYPES = [
    "complex128",
    "complex64",
    "U5",
    "S3",
    "datetime64[D]",
    "timedelta64[s]",
    "V8",
    "structured",
    "T",
]
SPARSE = [
    *(sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array),
    *(sparse.bsr_array, sparse.dia_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix),
]


class HasArray:
    """An object that NumPy can make an array of."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    def __repr__(self) -> str:
        return f"HasArray({self.values!r})"


@st.composite
def numbers(draw: Any, shape: tuple[int, ...], spice: bool = True) -> np.ndarray:
    """Doubles of the shape: of any kind and scale, perhaps with something odd among them."""
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(
        st.sampled_from(["normal"] * 4 + ["whole", "binary", "constant", "repeated", "skewed", "shifted"])
    )
    values = {
        "normal": lambda: rng.normal(size=shape),
        "whole": lambda: rng.integers(-5, 6, size=shape).astype(float),
        "binary": lambda: rng.integers(0, 2, size=shape).astype(float),
        "constant": lambda: np.full(shape, rng.normal()),
        "repeated": lambda: rng.choice(rng.normal(size=2), size=shape),
        "skewed": lambda: np.exp(3.0 * rng.normal(size=shape)),
        "shifted": lambda: 1e6 + rng.normal(size=shape),
    }[kind]()
    if draw(st.integers(0, 5)) == 0:
        values = values * 10.0 ** draw(st.integers(-320, 300))
    if spice and values.size and draw(st.integers(0, 3)) == 0:
        for _ in range(draw(st.integers(1, 2))):
            values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(SPICES))
    return values


def cast(values: np.ndarray, dtype: str, rng: np.random.Generator) -> Any:
    """Return the numbers in another dtype, as far as it can hold them."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dtype == "structured":
            return np.array([(v, 1) for v in values.reshape(-1)], dtype=[("a", "f8"), ("b", "i4")])
        if dtype.startswith("complex"):
            return values.astype(dtype) + 1j * rng.integers(0, 2)
        if dtype == "V8":
            return np.ascontiguousarray(values).view("V8")
        if dtype == "T":
            return values.astype("U9").astype(np.dtypes.StringDType())
        if dtype[0] in "dt" or dtype.startswith(("int", "uint", ">i")):
            whole = np.nan_to_num(np.clip(values, -100.0, 100.0))
            return (np.abs(whole) if dtype.startswith("u") else whole).astype("int64").astype(dtype)
        return values.astype(dtype)


def _strided(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 2, axis=0)[::2]


def _read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.setflags(write=False)
    return values


def _ragged(values: np.ndarray) -> Any:
    rows = values.tolist()
    return [
        *rows[:-1],
        [rows[-1]] if rows and not isinstance(rows[-1], list) else (rows[-1] if rows else [])[:-1],
    ]


CONTAINERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda values: values[::-1],
    "backwards": lambda values: values[..., ::-1],
    "read-only": _read_only,
    "list": lambda values: values.tolist(),
    "tuple": lambda values: tuple(values.tolist()),
    "list of arrays": list,
    "has array": HasArray,
    "frame": lambda values: pd.DataFrame(values) if values.ndim == 2 else pd.Series(values),
}
ODD_CONTAINERS = {
    "masked": lambda values: np.ma.masked_array(
        values, mask=np.arange(values.size).reshape(values.shape) == 1
    ),
    "matrix": lambda values: np.asmatrix(values) if values.ndim < 3 else values,
    "ragged": _ragged,
    "generator": lambda values: (row for row in values),
    "iterator": lambda values: iter(values.tolist()),
    "set": lambda values: set(np.asarray(values).reshape(-1).tolist()),
    "string": lambda values: str(values)[:40],
    "memoryview": lambda values: memoryview(np.ascontiguousarray(values)),
    "array.array": lambda values: array.array("d", np.nan_to_num(np.real(values).astype(float)).reshape(-1)),
    "decimals": lambda values: [decimal.Decimal("1.5")] * len(values),
    "None": lambda values: None,
    "number": lambda values: 3.0,
    "dict": lambda values: {"a": values},
    "scalar": lambda values: np.float64(1.0),
    "deep": lambda values: values[..., np.newaxis],
    "flat": lambda values: values.reshape(-1),
    "column": lambda values: values[:, np.newaxis] if values.ndim == 1 else values[:, :1],
    "transposed": lambda values: values.T,
    "one short": lambda values: values[:-1],
    "one column short": lambda values: values[..., :-1],
    "type": lambda values: type(values),
    "sparse": lambda values: sparse.csr_array(
        np.nan_to_num(np.real(values).reshape(len(values), -1).astype(float))
    ),
    "polars": lambda values: pl.Series(np.asarray(values).reshape(-1)),
}


@st.composite
def contained(draw: Any, values: np.ndarray, odd: bool) -> Any:
    """The numbers in a dtype and a container; both such that models take them, unless odd."""
    rng = np.random.default_rng(0)
    odd_dtype = odd and draw(st.booleans())
    dtype = (
        draw(st.sampled_from(ODD_DTYPES)) if odd_dtype else draw(st.sampled_from(["float64"] * 5 + DTYPES))
    )
    values = cast(values, dtype, rng)
    if odd and not odd_dtype:
        name = draw(st.sampled_from(list(ODD_CONTAINERS)))
        try:
            return ODD_CONTAINERS[name](values)
        except (ValueError, TypeError):  # such numbers do not go into such a container
            return None
    name = draw(st.sampled_from(["C"] * 4 + list(CONTAINERS)))
    try:
        return CONTAINERS[name](values)
    except (ValueError, TypeError):
        return values


@st.composite
def designs(draw: Any, odd: bool, n: int | None = None) -> tuple[Any, int]:
    """X of two dimensions in any container, and its number of rows."""
    if n is None:
        n = draw(st.sampled_from([1, 2, 3, 5, 8, 8, 13, 13, 30, 30])) if not odd else draw(st.integers(0, 12))
    p = draw(st.sampled_from([1, 1, 2, 2, 3, 5])) if not odd else draw(st.integers(0, 4))
    values = draw(numbers((n, p), spice=odd))
    if p > 1 and draw(st.integers(0, 5)) == 0:
        values[:, -1] = values[:, 0]  # a duplicated column
    if draw(st.integers(0, 5)) == 0 and (odd or np.isfinite(values).all()):
        with np.errstate(over="ignore"):
            values = np.where(np.abs(values) < 1.0, 0.0, values)
        return draw(st.sampled_from(SPARSE))(values), n
    return draw(contained(values, odd)), n


RESPONSES = ["real", "counts", "positive", "share", "binary", "labels", "three", "several"]


def response(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """A response of n rows of the kind."""
    return {
        "real": lambda: rng.normal(size=n) * 10.0 ** rng.integers(-3, 4),
        "counts": lambda: rng.poisson(10.0 ** rng.uniform(-1, 2), size=n),
        "positive": lambda: rng.gamma(2.0, size=n) + 1e-6,
        "share": lambda: np.clip(rng.beta(2.0, 2.0, size=n), 1e-6, 1.0 - 1e-6),
        "binary": lambda: np.arange(n) % 2 if n < 3 else rng.permutation(np.arange(n) % 2),
        "labels": lambda: np.array(["no", "yes"])[rng.permutation(np.arange(n) % 2)],
        "three": lambda: rng.permutation(np.arange(n) % 3),
        "several": lambda: rng.normal(size=(n, 2)),
    }[kind]()


@st.composite
def responses(draw: Any, kind: str, n: int, odd: bool) -> Any:
    """A response of the kind as somebody would hand it over, or something odd."""
    values = response(kind, n, np.random.default_rng(draw(SEEDS)))
    if not odd:
        if values.dtype.kind == "U":
            return draw(st.sampled_from([lambda v: v, list, pd.Series, lambda v: v.astype(object)]))(values)
        return draw(st.sampled_from([lambda v: v, list, lambda v: v.astype(float), _read_only]))(values)
    way = draw(st.integers(0, 4))
    if way == 0:
        return response(draw(st.sampled_from(RESPONSES)), n, np.random.default_rng(draw(SEEDS)))
    if way == 1:
        return response(kind, draw(st.integers(0, n + 2)), np.random.default_rng(draw(SEEDS)))
    if way == 2:
        return draw(numbers(draw(st.sampled_from([(n,), (n, 1), (n, 2), (n, 0), (n, 2, 2), ()]))))
    if way == 3:
        labels = [
            ["a", None, "b"],
            [1, "a", 2.5],
            [None],
            [np.nan, 1.0],
            [True, False],
            [b"a", b"b"],
            [(1,), (2,)],
        ]
        chosen = draw(st.sampled_from(labels))
        return [chosen[i % len(chosen)] for i in range(n)]
    return draw(contained(values if values.dtype.kind != "U" else np.arange(n) % 2.0, odd=True))


@st.composite
def weights(draw: Any, n: int, odd: bool) -> Any:
    """Weights of the rows: None, equal, whole, real, some zero; or something odd."""
    rng = np.random.default_rng(draw(SEEDS))
    good = {
        "none": lambda: None,
        "ones": lambda: np.ones(n),
        "whole": lambda: rng.integers(1, 5, size=n),
        "some zero": lambda: np.where(np.arange(n) % 3 == 1, 0.0, 1.0),
        "real": lambda: rng.gamma(1.0, size=n) + 1e-3,
        "large": lambda: 1e6 * rng.gamma(1.0, size=n) + 1e-3,
        "small": lambda: 1e-6 * (rng.gamma(1.0, size=n) + 1e-3),
        "number": lambda: 2.0,
        "list": lambda: [1.5] * n,
    }
    if not odd:
        return good[draw(st.sampled_from(["none"] * 4 + list(good)))]()
    way = draw(st.integers(0, 3))
    if way == 0:
        found = good["real"]()
        if n:
            found[draw(st.integers(0, n - 1))] = draw(st.sampled_from([*SPICES, -1.0, -1e-300]))
        return found
    if way == 1:
        return draw(
            st.sampled_from([np.zeros(n), -np.ones(n), np.ones(n + 1), np.ones((n, 2)), 1e-300 * np.ones(n)])
        )
    if way == 2:
        return draw(scalars())
    return draw(contained(np.abs(draw(numbers((n,)))) + 1.0, odd=True))


@st.composite
def row_arguments(draw: Any, names: tuple[str, ...], n: int, odd: bool) -> dict[str, Any]:
    """What rows bring, of those that the family knows; or something odd."""
    rng = np.random.default_rng(draw(SEEDS))
    good = {
        "offset": lambda: rng.normal(size=n),
        "exposure": lambda: rng.uniform(0.5, 5.0, size=n),
        "trials": lambda: 200 + rng.integers(0, 9, size=n),
        "standard_error": lambda: rng.uniform(0.0, 1.0, size=n),
    }
    found = {name: good[name]() for name in names if name == "trials" or draw(st.booleans())}
    if odd:
        name = draw(st.sampled_from(list(good)))
        way = draw(st.integers(0, 2))
        found[name] = good[name]().astype(float)
        if way == 0 and n:
            found[name][draw(st.integers(0, n - 1))] = draw(st.sampled_from([*SPICES, -1.0, 0.5, 800.0]))
        elif way == 1:
            found[name] = draw(scalars())
        else:
            found[name] = draw(contained(found[name], odd=True))
    return found


def scalars() -> st.SearchStrategy[Any]:
    """Single objects that nobody expects, or only somewhere else."""
    return st.sampled_from(SCALARS)


def _function(x: Any) -> Any:
    return x


SCALARS = [
    *(None, 0, 1, 2, 3, -1, 0.5, 1.5, np.nan, np.inf, -np.inf, 1e-320, 1e308, 10**30, 10**400, True, False),
    *(
        "",
        "auto",
        "x" * 50,
        "normal",
        "flat",
        "learn",
        "learn by term",
        "a",
        "é\n",
        b"a",
        (),
        [],
        {},
        [1, 2],
        ["a"],
    ),
    *(
        np.float32(0.5),
        np.int8(3),
        np.array(1.0),
        np.array([1.0, 2.0]),
        np.array([]),
        np.zeros((2, 2)),
        1 + 2j,
    ),
    *(
        decimal.Decimal("0.5"),
        object,
        Ellipsis,
        _function,
        np.datetime64("2020"),
        pd.NA,
        pd.NaT,
        range(3),
        float,
    ),
    *(slice(1), {1, 2}, {"a": 1}, np.str_("b"), np.bool_(True), np.uint64(2**63), NotImplemented),
]

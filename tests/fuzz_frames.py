"""What hypothesis feeds the estimators with: frames of every kind, formulas from a grammar or nonsense."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st

from tests.fuzz_data import SEEDS, SPICES, numbers, response

NUMERIC = [
    "float64",
    "float32",
    "float16",
    "int64",
    "int8",
    "uint32",
    "bool",
    "Int64",
    "Float64",
    "boolean",
    "object",
]
NAMES = [
    ["a", "b", "c", "d"],
    ["x y", "1", "", "é"],
    [0, 1, 2, 3],
    ["a", "a", "b", "b"],
    ["a", 1, None, (1, 2)],
]


@st.composite
def frame_column(draw: Any, n: int, odd: bool) -> Any:
    """One column of a frame of predictors."""
    values = draw(numbers((n,), spice=odd))
    if not odd:
        dtype = draw(st.sampled_from(["float64"] * 4 + NUMERIC))
        whole = np.clip(np.nan_to_num(values), 0.0, 100.0).round()
        if dtype in ("boolean", "bool"):
            whole = np.minimum(whole, 1.0)
        values = values if dtype in ("float64", "Float64", "object") else whole
        return pd.Series(values).astype(dtype)
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return pd.Series(pd.Categorical(list("uvw" * n)[:n]))
    if kind == 1:
        return pd.Series(list("uvw" * n)[:n], dtype=draw(st.sampled_from(["object", "string", "str"])))
    if kind == 2:
        return pd.Series(
            [pd.NA if i % 3 == 1 else i for i in range(n)], dtype=draw(st.sampled_from(["Int64", "object"]))
        )
    if kind == 3:
        return pd.Series(pd.date_range("2020", periods=n))
    if kind == 4:
        return pd.Series(pd.to_timedelta(np.arange(n), "D"))
    if kind == 5:
        return pd.Series([[1, 2]] * n, dtype="object")
    if kind == 6:
        return pd.Series(values + 1j)
    if kind == 7:
        return pd.Series(pd.period_range("2020", periods=n, freq="D"))
    if kind == 8:
        return pd.Series(pd.arrays.SparseArray(np.nan_to_num(values)))
    return pd.Series([None if i % 4 == 1 else float(i) for i in range(n)], dtype="object")


@st.composite
def frames(draw: Any, odd: bool) -> tuple[Any, int]:
    """A frame of predictors, pandas or polars, and its number of rows."""
    n = draw(st.sampled_from([1, 3, 8, 13, 30])) if not odd else draw(st.integers(0, 9))
    p = draw(st.integers(1, 4)) if not odd else draw(st.integers(0, 4))
    odd_column = draw(st.integers(0, 4)) if odd else None
    columns = [draw(frame_column(n, odd=j == odd_column)) for j in range(p)]
    names = draw(st.sampled_from(NAMES[:2] if not odd else NAMES))[:p]
    if draw(st.integers(0, 3)) == 0:
        try:
            return pl.DataFrame(
                {str(name): pl.from_pandas(column) for name, column in zip(names, columns, strict=True)}
            ), n
        except Exception:  # polars has no such column
            pass
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n))
    frame.columns = pd.Index(names, dtype=object) if p else frame.columns
    if draw(st.integers(0, 3)) == 0:
        frame.index = draw(st.sampled_from([np.arange(n)[::-1], np.zeros(n), [f"r{i}" for i in range(n)]]))
    return frame, n


@st.composite
def formula_frames(draw: Any, kind: str, odd: bool) -> tuple[Any, int]:
    """A frame with the columns that formulas use, and its number of rows."""
    n = draw(st.sampled_from([4, 9, 16, 30])) if not odd else draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(SEEDS))
    y = response("real" if kind == "several" else kind, n, rng)
    frame = {
        "y": y,
        "a": rng.normal(size=n),
        "b": rng.normal(size=n) * 10.0 ** rng.integers(-3, 4),
        "n": rng.integers(0, 5, size=n),
        "g": rng.choice(list("uvw"), size=n).astype(object),
        "t": rng.integers(0, 2, size=n).astype(bool),
        "k": rng.integers(5, 9, size=n),
        "c": np.full(n, 2.0),
        "my column": rng.gamma(2.0, size=n),
    }
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["a", "b", "g", "my column"]))
        frame[name] = frame[name].copy()
        frame[name][rng.random(n) < 0.3] = None if name == "g" else np.nan
    if odd:
        name = draw(st.sampled_from(list(frame)))
        values = draw(frame_column(n, odd=True))
        frame[name] = values if draw(st.booleans()) else draw(numbers((n,)))
        if draw(st.integers(0, 4)) == 0:
            del frame[name]
    container = draw(st.sampled_from(["pandas"] * 4 + ["polars", "dict", "category", "index"]))
    if container == "dict":
        return {name: np.asarray(values) for name, values in frame.items()}, n
    if container == "polars":
        try:
            return pl.DataFrame({k: pl.from_pandas(pd.Series(v)) for k, v in frame.items()}), n
        except Exception:  # polars has no such column
            pass
    found = pd.DataFrame({k: pd.Series(v).reset_index(drop=True) for k, v in frame.items()})
    if container == "category" and "g" in found:
        found["g"] = found["g"].astype("category")
    if container == "index":
        found.index = found.index[::-1]
    return found, n


ATOMS = [
    *(
        "a",
        "b",
        "n",
        "g",
        "t",
        "C(g)",
        "C(n)",
        "I(a**2)",
        "np.exp(a)",
        "np.log(Q('my column'))",
        "center(a)",
        "scale(b)",
    ),
    *(
        "standardize(a)",
        "Q('my column')",
        "C(g, Sum)",
        "C(g, Treatment('u'))",
        "I(a * b)",
        "np.abs(a)",
        "I(a > 0)",
    ),
]
ODD_ATOMS = [
    *(
        "np.log(a)",
        "np.sqrt(b)",
        "I(1/n)",
        "I(1/(n-n))",
        "np.exp(1000*a)",
        "C(a)",
        "bs(a, df=4)",
        "cr(a, df=3)",
        "c",
        "np.sum(a)",
    ),
    *(
        "np.mean(a)",
        "zz",
        "np.foo(a)",
        "foo(a)",
        "C(g, levels=['u'])",
        "C(g, levels=['u','v','w','q'])",
        "I(g)",
        "I(g + 1)",
    ),
    *(
        "np.log(g)",
        "C(g, 3)",
        "C(g, Treatment('q'))",
        "Q('no')",
        "Q(a)",
        "a.mean()",
        "a.str.upper()",
        "g.str.upper()",
    ),
    *(
        "np.where(t, a, b)",
        "a[0]",
        "a[:2]",
        "np.array([1, 2])",
        "I([a])",
        "np.random.normal(size=5)",
        "len(a)",
        "max(a)",
    ),
    *(
        "round(a, 400)",
        "I(10**400*a)",
        "I(a/0)",
        "I(n//0)",
        "I(n % 0)",
        "I(2**a)",
        "I(n << 70)",
        "float(a)",
        "int(a)",
    ),
    *(
        "bs(a, df=1)",
        "bs(a, df=1e9)",
        "bs(a, knots=[9])",
        "cr(a, df=0)",
        "te(cr(a, df=3), cr(b, df=3))",
        "I(a@b)",
    ),
    *(
        "np.linalg.inv(a)",
        "np.zeros(10**12)",
        "I((a, b))",
        "I({a})",
        "I(a if t else b)",
        "np.fft",
        "I(None)",
        "I(y)",
        "y",
    ),
    *(
        "().__class__",
        "lambda: 1",
        "[a]",
        "{}",
        "''",
        "1",
        "0",
        "1e999",
        "a.shape",
        "a == b",
        "np.isnan(a)",
        "str(a)",
        "I(a",
    ),
    *(
        "C(t) ",
        "C(C(g))",
        "center(g)",
        "scale(c)",
        "standardize(c)",
        "np.clip(a, -1, 1)",
        "np.cumsum(a)",
        "np.c_[a, b]",
    ),
]
JOINTS = [" + "] * 6 + [":", "*", " - ", "/"]
LEFT = ["y ~ "] * 8 + ["", "~ "]
ODD_LEFT = [
    "y ~ ",
    "np.log(y) ~ ",
    "a ~ ",
    "g ~ ",
    "y + a ~ ",
    "Q('y') ~ ",
    "y ~ ~ ",
    "I(y/2) ~ ",
    "t ~ ",
    "1 ~ ",
    "C(y) ~ ",
]
SOUP = [
    *list("ayng ~+-*:/()[]{}^|.,'\"\\\n\t#=<>@!%&;`$_0129é∀\x00"),
    "np.",
    "C(",
    "I(",
    "~",
    "**",
    "�",
    "1e9",
    "%in%",
]


@st.composite
def formulas(draw: Any, odd: bool) -> str:
    """A formula: of sound terms, of odd terms, or damaged in a few characters."""
    atoms = st.sampled_from(ATOMS)
    way = draw(st.integers(0, 3)) if odd else -1
    terms = [draw(atoms) for _ in range(draw(st.integers(0 if odd else 1, 3)))]
    if way in (0, 1):
        terms.append(draw(st.sampled_from(ODD_ATOMS)))
    text = draw(st.sampled_from(ODD_LEFT if way == 2 else LEFT))
    for i, term in enumerate(terms):
        text += (draw(st.sampled_from(JOINTS)) if i else "") + term
    text += (
        draw(st.sampled_from([""] * 6 + [" - 1", " + 0", " + 1"]))
        if terms
        else draw(st.sampled_from(["1", "0", ""]))
    )
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("~ ", "~ (", 1) + ")**2" if "~ " in text else f"({text})**2"
    if way == 3:
        letters = list(text)
        for _ in range(draw(st.integers(1, 4))):
            place = draw(st.integers(0, len(letters)))
            letters[place : place + draw(st.integers(0, 2))] = [draw(st.sampled_from(SOUP))]
        text = "".join(letters)
    return text


def spoiled(frame: Any, rng: np.random.Generator) -> Any:
    """New rows for a formula: another order, an unknown level, a number that is missing or odd, a column less."""
    if not isinstance(frame, pd.DataFrame) or not len(frame):
        return frame
    way = rng.integers(5)
    found = frame.iloc[::-1].copy()
    name = str(rng.choice([*map(str, frame.columns), "zz"]))
    if name not in found.columns or way == 0:
        return found
    if way == 1:
        return found.drop(columns=name)
    column = found[name].astype(object)
    column.iloc[0] = [None, "q", 1, float(rng.choice(SPICES)), [1]][rng.integers(5)]
    found[name] = column
    return found

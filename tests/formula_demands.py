"""Formulas that ask for much, by chance: splines of any degree, huge levels, products, powers, scalars, contrasts."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd

from tests.fuzz_promises import expect, refusal

ROWS = 60
FRAME = pd.DataFrame(
    {
        "y": np.linspace(-1.0, 1.0, ROWS) ** 3,
        "x": np.linspace(0.0, 1.0, ROWS),
        "z": np.linspace(1.0, 2.0, ROWS) ** 2,
        "k": np.arange(ROWS) % 5,
        "j": np.arange(ROWS) % 4,
        "g": list("abc") * (ROWS // 3),
        "t": np.arange(ROWS) % 3 == 0,
        "many": [f"level {i % 40}" for i in range(ROWS)],
    }
)
NUMERIC, FACTORS = ("x", "z", "k", "j"), ("g", "t", "k", "j", "many")
COUNTS = [
    *(
        "1",
        "3",
        "7",
        "40",
        "300",
        "999",
        "1000",
        "1001",
        "2001",
        "10**6",
        "10**9",
        "2**62",
        "10**18*9",
        "1e300",
    ),
    *(
        "-1",
        "0",
        "2.5",
        "np.nan",
        "np.inf",
        "-np.inf",
        "True",
        "None",
        "np.int64(30)",
        "np.float64(1e9)",
        "k",
    ),
]
DEGREES = [
    *("0", "1", "3", "5", "6", "15", "19", "20", "21", "22", "25", "30", "100", "999", "10**9", "2.5", "-1"),
    *(
        "np.nan",
        "np.inf",
        "2*15",
        "np.int64(40)",
        "np.float64(21)",
        "True",
        "None",
        "k",
        "4.999999999999999999",
    ),
]
SCALARS = [
    *(
        "0",
        "1",
        "-1",
        "7",
        "-300",
        "300",
        "330",
        "-331",
        "10**9",
        "-2147483647",
        "2147483647",
        "2**31",
        "-(2**63)",
    ),
    *(
        "2**62",
        "1e308",
        "-1e308",
        "5e-324",
        "np.nan",
        "np.inf",
        "np.e",
        "True",
        "None",
        "np.int64(-400)",
        "9**9**9",
    ),
]
LENGTHS = [0, 1, 2, 3, 4, 5, 40, 300, 1500, 1999, 2003]


def sentence(error: Exception, formula: str) -> None:
    """Expect that a formula was refused by this package in one sentence, in which the formula may stand whole."""
    if len(str(error)) <= 1500:
        refusal(error)
    else:
        expect("\n" not in str(error) and len(str(error)) < 1500 + 3 * len(formula), f"no sentence: {error}")


class Source(Protocol):
    """Where choices come from: a random generator, or the bytes of a fuzzer."""

    def below(self, most: int) -> int:
        """A whole number from 0 to `most`, itself left out."""


class Chance:
    """A `Source` by numpy's generator."""

    def __init__(self, *seed: int):
        self.rng = np.random.default_rng(seed)

    def below(self, most: int) -> int:
        return int(self.rng.integers(most))


T = TypeVar("T")


def pick(source: Source, choices: Sequence[T]) -> T:
    return choices[source.below(len(choices))]


def numbers(source: Source) -> str:
    """A list of numbers: knots, scores, levels, abscissae."""
    n = pick(source, LENGTHS)
    kind = source.below(6)
    if kind == 0:
        items = [str(i) for i in range(n)]
    elif kind == 1:
        items = [f"{i / (n + 1):.4g}" for i in range(1, n + 1)]
    elif kind == 2:
        items = [str(-i) for i in range(n)]
    elif kind == 3:
        items = [f"'level {i}'" for i in range(n)]
    elif kind == 4:
        items = [
            pick(source, ["1", "0.5", "'a'", "'b'", "'c'", "np.nan", "True", "2"]) for _ in range(n % 12)
        ]
    else:
        items = ["0.5"] * n
    return f"[{', '.join(items)}]"


def matrix(source: Source) -> str:
    """A list of lists, as contrasts and constraints are."""
    rows, columns = pick(source, [0, 1, 3, 4, 5, 41]), pick(source, LENGTHS)
    item = pick(source, ["1", "0", "np.nan", "1e300", "-0.5"])
    row = f"[{', '.join([item] * columns)}]"
    return f"[{', '.join([row] * rows)}]"


def spline(source: Source, depth: int = 0) -> str:
    """A call of bs, cr, cc or te with arguments of any size."""
    name = pick(source, ["bs", "bs", "cr", "cc", "te"])
    constraints = pick(source, ["", "", ", constraints='center'", f", constraints={numbers(source)}"])
    if name == "te":
        if depth > 2:
            return "x"
        parts = [spline(source, depth + 1) for _ in range(1 + source.below(3))]
        return f"te({', '.join(parts)}{constraints})"
    given = [pick(source, ["x", "z", "k", "np.log(z)", "center(x)", "t", "g"])]
    if source.below(4):
        given.append(f"df={pick(source, COUNTS)}")
    if not source.below(3):
        given.append(f"knots={numbers(source)}")
    if name == "bs" and source.below(2):
        given.append(f"degree={pick(source, DEGREES)}")
    for word in ("lower_bound", "upper_bound"):
        if not source.below(5):
            given.append(f"{word}={pick(source, SCALARS)}")
    return f"{name}({', '.join(given)}{constraints if name != 'bs' else ''})"


def factor(source: Source) -> str:
    """A factor with levels or contrasts of any number."""
    data = pick(source, [*FACTORS, "np.round(z, 1)", "np.where(x > 0.5, 'a', 'b')", "x > 0.3", "k % 2"])
    given = [data]
    contrast = source.below(4)
    if contrast == 1:
        given.append(
            pick(source, ["Poly", "Sum", "Helmert", "Diff", "Treatment", "Treatment('a')", "Sum(2)"])
        )
    elif contrast == 2:
        given.append(f"Poly(scores={numbers(source)})")
    elif contrast == 3:
        given.append(matrix(source))
    if source.below(2):
        given.append(f"levels={numbers(source)}")
    return f"C({', '.join(given)})"


def scalar_call(source: Source) -> str:
    """A call with a scalar argument, or an operation with one."""
    x, number = pick(source, NUMERIC), pick(source, SCALARS)
    forms = [
        f"np.round({x}, {number})",
        f"np.around({x}, decimals={number})",
        f"np.power({x}, {number})",
        f"I({x} ** {number})",
        f"I(({number}) ** {x})",
        f"I({x} // {number})",
        f"I({x} % {number})",
        f"I({x} * {number} * {pick(source, SCALARS)})",
        f"np.clip({x}, {number}, {pick(source, SCALARS)})",
        f"np.interp({x}, {numbers(source)}, {numbers(source)})",
        f"np.interp({x}, [0, 1], [0, 1], period={number})",
        f"np.isin({x}, {numbers(source)})",
        f"np.nan_to_num({x}, nan={number})",
        f"np.float_power({x}, {number})",
        f"standardize({x}, ddof={number})",
        f"np.exp2({x} * {number})",
    ]
    return pick(source, forms)


def piece(source: Source) -> str:
    kinds: list[Callable[[Source], str]] = [spline, spline, factor, factor, scalar_call]
    if source.below(5) == 0:
        return pick(source, [*NUMERIC, *FACTORS])
    return pick(source, kinds)(source)


def demand(source: Source) -> str:
    """A formula of one to four pieces, or a power, product or sum of many."""
    kind = source.below(8)
    if kind == 0:
        names = [f"I(x + {i})" for i in range(pick(source, [2, 10, 20, 45, 60, 200, 800]))]
        text = f"({' + '.join(names)}) ** {pick(source, ['1', '2', '3', '5', '9', '99', '999999999'])}"
    elif kind == 1:
        text = " * ".join(f"C(k > {i})" for i in range(pick(source, [2, 5, 8, 14, 20])))
    elif kind == 2:
        text = ":".join(f"I(x > 0.{i})" for i in range(1, pick(source, [3, 6, 10, 13, 30, 60])))
    elif kind == 3:
        one = spline(source)
        text = " + ".join(f"I({one} + {i})" for i in range(pick(source, [1, 3, 30, 100])))
    else:
        text = piece(source)
        for _ in range(source.below(4)):
            text = f"{text}{pick(source, [' + ', ' + ', ':', ' * ', '/', ' - '])}{piece(source)}"
    return f"y ~ {text}"

"""Coverage-guided fuzzing of the formula reader: what atheris makes up is read in strict mode, as a stranger's formula.

    pip install atheris        (a wheel for Python 3.11)
    python -m tests.reliability.fuzz_formula --seconds 600 [--corpus DIRECTORY]

Three in ten ask for much: splines of any degree, huge levels, products, powers, scalars, contrasts
(`tests/formula_demands.py`, which `demanding_formulas.py` tries by chance). The fuzzer runs in a process of its own,
with 4 GiB: if that dies, the formula at which it did is printed, and another one goes on.

Each formula must give finite matrices, the same for the same rows, or a ValueError or TypeError of this package, raised
on purpose; within ten seconds, without a RuntimeWarning, and without any audit event of code that imports, opens or
starts something. Without strict mode a formula is code, and is only parsed. A failure is printed and the run goes on.
"""

from __future__ import annotations

import encodings.unicode_escape  # noqa: F401  (the parser reads some f-strings with it)
import mmap
import os
import resource
import sys
import time
import warnings
from collections import Counter
from typing import Any

import atheris

with atheris.instrument_imports(include=["bayesglm", "patsy"]):
    from bayesglm.formula import FormulaDesign
    from bayesglm.formula_language import parse

import numpy as np
import pandas as pd

from tests import formula_demands
from tests.audit import Witness, suspicious
from tests.fuzz_promises import expect, patience, place
from tests.reliability.atheris_options import options

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=12),
        "x": RNG.normal(size=12),
        "z": RNG.uniform(1.0, 2.0, 12),
        "k": np.arange(12) % 4,
        "g": np.array(list("abcabcabcabc")),
        "t": np.arange(12) % 3 == 0,
        "gaps": np.where(np.arange(12) == 5, np.nan, 1.0 * np.arange(12)),
        "odd name": RNG.normal(size=12),
        "j": np.arange(12) % 3,
        "many": [f"level {i % 8}" for i in range(12)],
    }
)
COLUMNS = ["x", "z", "k", "g", "t", "gaps", "y", "Q('odd name')", "nothing", "x", "x"]
NUMBERS = [
    "1",
    "0",
    "2.5",
    "-1",
    "1e300",
    "10**6",
    "1_0",
    "0x1F",
    "1j",
    "True",
    "None",
    "99999999999999999999",
]
TEXTS = ["'a'", '"b"', "'odd name'", "''", "f'{x}'", "b'a'", "'a' 'b'", "'''a'''"]
CALLS = [
    *("np.log", "np.exp", "np.clip", "np.where", "np.power", "np.interp", "np.isin", "np.round", "np.hypot"),
    *(
        "I",
        "Q",
        "C",
        "center",
        "standardize",
        "scale",
        "bs",
        "cr",
        "cc",
        "te",
        "Treatment",
        "Sum",
        "Poly",
        "Helmert",
    ),
    *(
        "Diff",
        "abs",
        "round",
        "eval",
        "exec",
        "open",
        "getattr",
        "__import__",
        "np.load",
        "np.f2py",
        "np.lib.format",
    ),
    *(
        "x.clip",
        "x.__class__",
        "np.__dict__.get",
        "type",
        "str",
        "len",
        "print",
        "vars",
        "globals",
        "pow",
        "map",
    ),
]
KEYWORDS = [
    "df",
    "knots",
    "degree",
    "levels",
    "a_min",
    "reference",
    "center",
    "invert",
    "decimals",
    "ddof",
    "out",
]
BETWEEN = [
    "+",
    "-",
    "*",
    "/",
    "**",
    "//",
    "%",
    "@",
    "&",
    "|",
    "^",
    "<",
    ">=",
    "==",
    " and ",
    " or ",
    " in ",
    ":",
    "<<",
]
TERMS = ["+", "-", "*", ":", "/", " + ", " - ", "**", "~", "|", ","]
DEEPEST = 6


def expression(data: Any, depth: int = 0) -> str:
    """Return an expression, of whatever meaning."""
    kind = data.ConsumeIntInRange(0, 15 if depth < DEEPEST else 4)
    if kind <= 2:
        return data.PickValueInList(COLUMNS)
    if kind == 3:
        return data.PickValueInList(NUMBERS)
    if kind == 4:
        return data.PickValueInList(TEXTS)
    if kind <= 8:
        return call(data, depth)
    if kind <= 10:
        return expression(data, depth + 1) + data.PickValueInList(BETWEEN) + expression(data, depth + 1)
    if kind == 11:
        return f"({expression(data, depth + 1)})"
    if kind == 12:
        items = ", ".join(expression(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3)))
        return data.PickValueInList(["[{}]", "({},)", "{{{}}}", "*[{}]"]).format(items)
    if kind == 13:
        return data.PickValueInList(
            ["-{}", "~{}", "not {}", "+{}", "lambda: {}", "(q := {})", "*{}", "await {}"]
        ).format(expression(data, depth + 1))
    if kind == 14:
        inner = expression(data, depth + 1)
        return data.PickValueInList(
            ["{}.real", "{}.__class__", "{}[0]", "{}[::2]", "{}.T", "{} if x else z"]
        ).format(inner)
    return data.ConsumeUnicodeNoSurrogates(data.ConsumeIntInRange(0, 8))


def call(data: Any, depth: int) -> str:
    """Return a call of something, with whatever arguments."""
    arguments = []
    for _ in range(data.ConsumeIntInRange(0, 3)):
        name = f"{data.PickValueInList(KEYWORDS)}=" if data.ConsumeIntInRange(0, 2) == 0 else ""
        arguments.append(name + expression(data, depth + 1))
    return f"{data.PickValueInList(CALLS)}({', '.join(arguments)})"


class Bytes:
    """The fuzzer's bytes as a source of choices."""

    def __init__(self, data: Any):
        self.data = data

    def below(self, most: int) -> int:
        return int(self.data.ConsumeIntInRange(0, most - 1))


def formula(data: Any) -> str:
    """Return a formula, or something that looks like one."""
    if data.ConsumeIntInRange(0, 9) < 3:
        return formula_demands.demand(Bytes(data))
    if data.ConsumeIntInRange(0, 7) == 0:
        return data.ConsumeUnicodeNoSurrogates(200)
    text = data.PickValueInList(["y ~ ", "y ~ ", "~ ", "", "np.log(z) ~ ", "y + x ~ ", "y~0+"])
    for i in range(data.ConsumeIntInRange(1, 5)):
        text += data.PickValueInList(TERMS) if i else ""
        text += f"({expression(data)})" if data.ConsumeIntInRange(0, 4) == 0 else expression(data)
    if data.ConsumeIntInRange(0, 5) == 0:
        at = data.ConsumeIntInRange(0, len(text))
        text = text[:at] + data.ConsumeUnicodeNoSurrogates(3) + text[at + data.ConsumeIntInRange(0, 3) :]
    return text[:300]  # messages repeat the formula


#: The formula that is being tried, for the process that waits.
CURRENT = mmap.mmap(-1, 1 << 17)
WITNESS = Witness()
COUNTS: Counter[str] = Counter()
SEEN: Counter[str] = Counter()


def learn(text: str) -> tuple[FormulaDesign, Any]:
    """Read a formula as `fit` does."""
    y = None if "~" in text and text.partition("~")[0].strip() else FRAME["y"]
    return FormulaDesign.learn(text, FRAME, y, namespace=None, strict=True)


def read(text: str) -> bool:
    """Read a formula, then rows with it, and return whether it was accepted; raise if anything was not as promised."""
    refused: BaseException | None = None
    with WITNESS.watch() as events:
        try:
            design, data = learn(text)
            again = design.transform(FRAME)
        except (ValueError, TypeError) as error:
            refused = error
    # patsy evaluates the code of each factor, which strict mode has judged.
    found = suspicious(events, "exec <formula> ")
    expect(not found, f"events {found[:3]}")
    if refused is not None:
        formula_demands.sentence(refused, text)
        return False
    expect(np.all(np.isfinite(data.X)), "a matrix holds what is not finite")
    expect(again.shape == (len(FRAME), data.X.shape[1]), "new rows have another width")
    kept = np.all(np.isfinite(again), axis=1)
    if text.rpartition("~")[0].strip() in (
        "",
        "y",
    ):  # a response that is missing, or none, drops rows as well
        expect(kept.sum() == len(data.X), "new rows have other missing values")
        expect(np.array_equal(again[kept], data.X), "the same rows give other numbers")
    return True


def test(raw: bytes) -> None:
    """Try one formula."""
    text = formula(atheris.FuzzedDataProvider(raw))
    tried = text.encode(errors="replace")[: len(CURRENT) - 1]
    CURRENT[: len(tried) + 1] = tried + b"\0"
    COUNTS["formulas"] += 1
    try:
        with patience(10), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            COUNTS["read"] += read(text)
            try:
                parse(text, True)
            except ValueError as error:
                formula_demands.sentence(error, text)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        key = f"{type(error).__name__} {place(error)}"
        SEEN[key] += 1
        if SEEN[key] <= 2:
            print(f"\nFINDING {key}\n  {text[:600]!r}\n  {error!s:.500}", flush=True)
    if COUNTS["formulas"] % 20_000 == 0:
        print(f"\n{dict(COUNTS)}, failures {dict(SEEN)}", flush=True)


def watched(arguments: list[str]) -> None:
    """Fuzz in children with a limit of memory; where one dies, say at which formula, and go on with another."""
    time_option = next(word for word in arguments if word.startswith("-max_total_time="))
    seed_option = next(word for word in arguments if word.startswith("-seed="))
    end, deaths = time.monotonic() + float(time_option.partition("=")[2]), 0
    while (left := end - time.monotonic()) > 1.0:
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            changed = {time_option: f"-max_total_time={left:.0f}", seed_option: f"{seed_option}{deaths}"}
            atheris.Setup([changed.get(word, word) for word in arguments], test)
            atheris.Fuzz()
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if not code:
            break
        deaths += 1
        text = CURRENT[: CURRENT.find(b"\0")].decode()
        print(f"\nFINDING the process died ({code}) at\n  {text!r:.2000}", flush=True)
    print(f"\n{deaths} deaths")


if __name__ == "__main__":
    # What is imported late is imported now.
    learn(
        "y ~ x + bs(z, df=4) + cr(x, df=3) + te(cr(x, 3), cc(z, 3)) + C(g, Poly) + np.log(z) + center(k) + gaps"
    )
    watched(options(__doc__, sys.argv))

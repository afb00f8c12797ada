"""Strict formulas that ask for much, each in a process with limits: refused in a sentence, or learnt in seconds.

    python -m tests.reliability.demanding_formulas --seconds 600 [--seed 0] [--first 0]

Splines of any degree and number of columns, levels and contrasts by the thousand, products, powers and sums of many
terms, scalars of any size, knots and abscissae that are none (`tests/formula_demands.py`). Each formula must be
refused in one sentence, or give finite matrices, the same for the same rows, within 10 s and 1 GiB beyond what is
loaded; what has few columns is also fitted. A death, a hang, a lack of memory or any other error is printed with its
formula.
"""

import argparse
import resource
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm import BayesianLinearRegression
from bayesglm.formula import FormulaDesign
from tests.formula_demands import FRAME, Chance, demand, sentence
from tests.fuzz_promises import expect, place
from tests.limited_child import limited

#: Processor time that a formula may take, in seconds, and memory beyond what the process has mapped, in GiB.
PATIENCE, ROOM = 10.0, 1.0
TOGETHER = 20
_FIT: dict[str, Any] = {"draws": 5, "chains": 1, "tune": 5, "random_state": 0, "progressbar": False}


def tried(formula: str) -> str:
    """Learn a formula: "refused", "learnt" or "fitted", or what is not as promised."""
    begun, outcome = time.process_time(), "learnt"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            try:
                design, data = FormulaDesign.learn(formula, FRAME, strict=True)
                again = design.transform(FRAME)
                expect(np.isfinite(data.X).all(), "a matrix holds what is not finite")
                kept = np.isfinite(again).all(axis=1)
                expect(np.array_equal(again[kept], data.X), "the same rows give other numbers")
                if data.X.shape[1] <= 20:
                    warnings.simplefilter("ignore")
                    BayesianLinearRegression(formula, formula_strict=True, **_FIT).fit(FRAME).predict(
                        FRAME[:3]
                    )
                    outcome = "fitted"
            except (ValueError, TypeError) as error:
                sentence(error, formula)
                outcome = "refused"
        seconds = time.process_time() - begun
        expect(seconds < PATIENCE, f"it takes {seconds:.1f} s")
    except BaseException as error:
        return f"FINDING: {place(error)}: {str(error)[-300:]}"
    return outcome


def mapped() -> float:
    """The address space of this process, in GiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize() / 2**30


@dataclass
class Attack:
    """Formulas by number, each from a seed of its own."""

    seed: int

    def formula(self, number: int) -> str:
        return demand(Chance(self.seed, number))

    def several(self, numbers: range) -> list[str]:
        """Try formulas in a child; in one for each if it does not end well."""
        limit = mapped() + ROOM
        found = limited(lambda: [tried(self.formula(number)) for number in numbers], 4.0 * PATIENCE, limit)
        if not found.end:
            return list(found.result)
        if len(numbers) == 1:
            return [f"FINDING: {found.end}"]
        return [one for number in numbers for one in self.several(range(number, number + 1))]


def attack(seed: int, first: int, seconds: float, most: int) -> Counter[str]:
    """Try formulas until the time is over or there are so many; print what is found."""
    one, counts, begun, number = Attack(seed), Counter[str](), time.monotonic(), first
    tried(
        "y ~ x + bs(z, df=4) + te(cr(x, df=3), cc(z, df=3)) + C(g, Poly)"
    )  # what is imported late is imported now
    while time.monotonic() - begun < seconds and number < first + most:
        numbers = range(number, min(number + TOGETHER, first + most))
        for i, outcome in zip(numbers, one.several(numbers), strict=True):
            counts[outcome.partition(":")[0]] += 1
            if outcome.startswith("FINDING"):
                formula = one.formula(i)
                shown = formula if len(formula) < 600 else f"{formula[:300]} ... {formula[-300:]}"
                print(f"\n{i} {outcome}\n  {shown}", flush=True)
        number = numbers[-1] + 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    counts = attack(options.seed, options.first, options.seconds, 10**9)
    print(f"\n{sum(counts.values())} formulas: {dict(counts)}")
    raise SystemExit(counts["FINDING"] > 0)


if __name__ == "__main__":
    main()

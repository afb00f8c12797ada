"""Fuzzing: random models, parameters, data and formulas; what was fitted, what was refused, and what broke.

    python -m tests.reliability.fuzz --cases 20000 --seed 1 --jobs 2

The cases are those of tests/test_fuzz.py with other seeds. A failure does not stop the run: failures are counted by
their exception and the line of the package that raised it, and the shortest case of each is printed. With ``--keep``
these cases are pickled into a directory as well. Figures are in docs/reliability.md.
"""

import argparse
import pickle
import re
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from joblib import Parallel, delayed

from tests.fuzz_checks import check
from tests.fuzz_models import GROUPS, Case, cases
from tests.fuzz_promises import HangError, place

#: Cases that hypothesis makes from one seed.
CHUNK = 125


@dataclass
class Tally:
    """What came of many cases."""

    fitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    later: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    shortest: dict[str, tuple[Case, str]] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0

    @property
    def total(self) -> int:
        return self.fitted + self.refused.total() + self.broken.total()

    def add(self, other: "Tally") -> None:
        self.fitted += other.fitted
        self.refused += other.refused
        self.later += other.later
        self.broken += other.broken
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        for key, (case, text) in other.shortest.items():
            if key not in self.shortest or len(repr(case)) < len(repr(self.shortest[key][0])):
                self.shortest[key] = case, text


def general(text: str) -> str:
    """Return a message without its numbers and names, so that equal refusals are counted together."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|[-+]?\d[\d.e+-]*", "#", " ".join(text.split()))[:100]


def run(group: str, number: int) -> Tally:
    """Try the cases of one seed."""
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=CHUNK,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(group))
    def one(case: Case) -> None:
        started = time.perf_counter()
        try:
            outcome = check(case)
        except (Exception, HangError) as error:
            key = place(error)
            tally.broken[key] += 1
            if key not in tally.shortest or len(repr(case)) < len(repr(tally.shortest[key][0])):
                tally.shortest[key] = case, "".join(traceback.format_exception(error)[-5:])
        else:
            tally.fitted += outcome.fitted
            if not outcome.fitted:
                tally.refused[general(outcome.refusal)] += 1
            tally.later.update(general(text) for text in outcome.later)
        took = time.perf_counter() - started
        tally.seconds += took
        tally.slowest = max(tally.slowest, took)

    one()
    return tally


def line(name: str, tally: Tally) -> str:
    share = 100.0 * tally.fitted / max(tally.total, 1)
    return (
        f"| {name} | {tally.total} | {tally.fitted} ({share:.0f} %) | {tally.refused.total()} | "
        f"{len(tally.refused)} | {tally.broken.total()} | {1e3 * tally.seconds / max(tally.total, 1):.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--keep", type=Path, help="directory for the pickled cases that broke something")
    options = parser.parse_args()
    groups = options.groups.split(",")
    each = -(-options.cases // (CHUNK * len(groups)))
    # The groups take turns, so that a run that is cut short has seen all of them.
    tasks = [(group, number) for number in range(each) for group in groups]
    found = Parallel(n_jobs=options.jobs, return_as="generator")(
        delayed(run)(group, 1_000_003 * options.seed + 1009 * GROUPS.index(group) + number)
        for group, number in tasks
    )
    tallies = {group: Tally() for group in groups}
    for (group, number), tally in zip(tasks, found, strict=True):
        tallies[group].add(tally)
        broken = dict(tally.broken) or ""
        text = f"{group} {number}: {tally.fitted} fitted, {tally.broken.total()} of {tally.total} broken {broken}"
        print(text, flush=True)
    everything = Tally()
    print("\n| group | cases | fitted | refused | different refusals | failures | ms a case |")
    print("|---|---|---|---|---|---|---|")
    for group, tally in tallies.items():
        print(line(group, tally))
        everything.add(tally)
    print(line("**all**", everything))
    print(f"\nThe slowest case took {everything.slowest:.1f} s.\n\nRefusals:")
    for text, times in everything.refused.most_common(30):
        print(f"{times:6d}  {text}")
    print("\nRefused of a model that was fitted:")
    for text, times in everything.later.most_common(20):
        print(f"{times:6d}  {text}")
    for i, (key, times) in enumerate(everything.broken.most_common()):
        case, text = everything.shortest[key]
        print(f"\n{times} times {key}\n{case!r}\n{text}")
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{i}.pickle").write_bytes(pickle.dumps(case))
    sys.exit(bool(everything.broken))


if __name__ == "__main__":
    main()

"""Press Ctrl-C at random moments of two hundred fits: how soon each stops, and that nothing is left behind.

python -m tests.reliability.interrupts [--runs 200] [--seed 0] [--only NAME]

A process for each kind of fit. It fits once undisturbed, then again and again with a real SIGINT at a random moment
(uniform over the time of the undisturbed fit), and measures the seconds from the signal to the KeyboardInterrupt. After
each the estimator must be what it was, or, if the signal came at the very end, what the whole fit makes of it; no
thread may go on; and a fit that is not disturbed must give the draws of the first one, bit for bit.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayesglm import (
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Horseshoe,
)

#: Seconds from the signal to the exception that are promised.
PROMISED = 0.2


def rows(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    return X, X.sum(axis=1) / np.sqrt(p) + rng.normal(size=n)


def linear(draws: int, n: int = 60, p: int = 3, **settings: Any) -> tuple[Any, Any, Any]:
    return BayesianLinearRegression(draws=draws, random_state=0, **settings), *rows(n, p)


def counts(n: int, p: int, **settings: Any) -> tuple[Any, Any, Any]:
    X, line = rows(n, p)
    y = np.random.default_rng(1).poisson(np.exp(0.3 * line))
    return BayesianPoissonRegressor(random_state=0, **settings), X, y


def classes(n: int, p: int, several: bool = False, **settings: Any) -> tuple[Any, Any, Any]:
    X, line = rows(n, p)
    y = np.digitize(line, [-1.0, 1.0]) if several else line > 0.0
    return BayesianLogisticRegression(random_state=0, **settings), X, y


def frame(n: int) -> tuple[Any, Any, Any]:
    X, y = rows(n, 3)
    table = pd.DataFrame(X, columns=list("abc")).assign(
        y=y, g=np.random.default_rng(1).choice(list("uvw"), n)
    )
    return BayesianLinearRegression("y ~ a * g + bs(b, df=6) + c", draws=50, random_state=0), table, None


CASES: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "linear": lambda: linear(30_000),
    "linear, one thread": lambda: linear(15_000, n_jobs=1),
    "linear, two threads": lambda: linear(20_000, n_jobs=2),
    "linear, warm-up": lambda: linear(10, tune=30_000),
    "linear, any prior": lambda: linear(10_000, prior="laplace"),
    "linear, positive": lambda: linear(10_000, positive=True),
    "linear, learned scale": lambda: linear(10_000, prior_scale="learn"),
    "linear, Horseshoe": lambda: linear(2_000, p=8, prior=Horseshoe(0.2)),
    "linear, reading 500,000 rows": lambda: linear(50, n=500_000, p=20),
    "linear, a formula of 100,000 rows": lambda: frame(100_000),
    "two classes, batches, 20,000 rows": lambda: classes(20_000, 10),
    "two classes, NUTS": lambda: classes(300, 5, sampler="nuts", draws=3_000),
    "three classes": lambda: classes(1_000, 4, several=True),
    "counts, batches, one thread": lambda: counts(3_000, 10, n_jobs=1),
    "counts, NUTS": lambda: counts(500, 5, sampler="nuts", draws=1_500),
    "counts, reading 300,000 rows": lambda: counts(300_000, 10, draws=10, chains=2),
    "outliers": lambda: (BayesianRobustRegression(draws=1_000, random_state=0), *rows(500, 5)),
}


def same(state: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether attributes are the very objects that they were."""
    return state.keys() == before.keys() and all(state[name] is before[name] for name in before)


def disturbed(name: str, runs: int, seed: int) -> None:
    """Fit one case, press Ctrl-C again and again, and print what was seen of each, a line each."""
    warnings.simplefilter("ignore")
    # A shell starts what runs in its background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(seed)
    model, X, y = CASES[name]()
    model.set_params(progressbar=False)
    begin = time.perf_counter()
    whole = model.fit(X, y).posterior_.draws["coef"]
    duration = time.perf_counter() - begin
    for i in range(runs):
        if i % 2:  # from an estimator that is fitted, and from one that is not
            model = type(model)(**model.get_params(deep=False))
        before, sent = dict(vars(model)), []

        def press(moment: float, sent: list[float] = sent) -> None:
            time.sleep(moment)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        pressing = threading.Thread(target=press, args=(rng.uniform(0.0, duration),))
        seen: dict[str, Any] = {"moment": None, "late": False}
        try:
            pressing.start()
            model.fit(X, y)
            seen["late"] = True
            pressing.join()
            time.sleep(0.01)
        except KeyboardInterrupt:
            seen["latency"] = time.perf_counter() - sent[0]
        pressing.join()
        seen["unchanged"] = same(vars(model), before)
        if not seen["unchanged"]:
            found = vars(model).get("posterior_")
            seen["whole"] = found is not None and np.array_equal(found.draws["coef"], whole)
        patience = time.perf_counter() + 2.0
        while any(t.name.startswith("bayesglm") for t in threading.enumerate()):
            if time.perf_counter() > patience:
                seen["threads"] = True
                break
            time.sleep(0.005)
        if i % 4 < 2 or i == runs - 1:  # a whole fit takes its time
            seen["repeats"] = bool(np.array_equal(model.fit(X, y).posterior_.draws["coef"], whole))
        print(json.dumps(seen), flush=True)


def check(name: str, runs: int, seed: int) -> list[float]:
    """Run one case in a process of its own; return the latencies, and raise if anything was not as promised."""
    command = [sys.executable, "-m", "tests.reliability.interrupts", "--child", name, "--runs", str(runs)]
    found = subprocess.run([*command, "--seed", str(seed)], capture_output=True, text=True, timeout=1800)
    if found.returncode or found.stderr:
        raise AssertionError(f"{name}: {found.stderr}")
    latencies = []
    for line in found.stdout.splitlines():
        seen = json.loads(line)
        if "latency" in seen:
            latencies.append(seen["latency"])
        intact = seen["unchanged"] or seen.get("whole")
        if not intact or seen.get("threads") or not seen.get("repeats", True):
            raise AssertionError(f"{name}: {seen}")
    if not latencies:
        raise AssertionError(f"{name}: no fit was interrupted")
    return latencies


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        disturbed(chosen.child, chosen.runs, chosen.seed)
        sys.exit()
    names = [chosen.only] if chosen.only else list(CASES)
    every: list[float] = []
    print("| fit | signals | median, ms | largest, ms |\n|---|---|---|---|")
    for i, name in enumerate(names):
        share = chosen.runs // len(names) + (i < chosen.runs % len(names))
        latencies = check(name, share, chosen.seed + i)
        every += latencies
        print(
            f"| {name} | {len(latencies)} | {1e3 * np.median(latencies):.0f} | {1e3 * max(latencies):.0f} |",
            flush=True,
        )
    slow = sum(latency > PROMISED for latency in every)
    print(f"| all | {len(every)} | {1e3 * np.median(every):.0f} | {1e3 * max(every):.0f} |")
    print(f"{slow} of {len(every)} took longer than {PROMISED} s; nothing was corrupt")
    sys.exit(slow > len(every) // 50)  # on a busy machine one in fifty may

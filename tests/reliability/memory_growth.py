"""Fit ten thousand times in one process and say how its memory grows.

python -m tests.reliability.memory_growth [--fits 10000] [--every 1000]

A round is ten fits and what is done with them: every route, formulas, fits that fail, fits in threads, files, pickles,
predictions, new draws. Prints the resident memory (RSS) as it goes, and in the end the slope of a line through it, in
bytes a fit, after a warm-up of a tenth of the fits, in which caches fill and the allocator takes its share.
"""

import argparse
import os
import pickle
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesglm
from bayesglm import (
    R2D2,
    BayesianGammaRegressor,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LINE = X.sum(axis=1)
Y = LINE + RNG.normal(size=60)
COUNTS = RNG.poisson(np.exp(0.3 * LINE))
CLASSES = np.where(Y > 0.0, "a", "b")
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(y=Y, g=RNG.choice(list("uvw"), 60))
QUICK: dict[str, Any] = {"draws": 50, "tune": 50, "chains": 2, "random_state": 0}


def fails(model: Any, *data: Any) -> None:
    """Fit what cannot be fitted."""
    try:
        model.fit(*data)
    except ValueError:
        return
    raise AssertionError("a fit that should have failed")


def one_round(directory: Path) -> int:
    """Fit every kind of model once and use it; return how many fits that was."""
    linear = BayesianLinearRegression(**QUICK).fit(X, Y)
    linear.predict(X, return_std=True)
    linear.predict_interval(X)
    linear.partial_fit(X[:20], Y[:20])
    linear.save(directory / "linear")
    bayesglm.load(directory / "linear").sample_predictive(X)
    BayesianLinearRegression(prior="laplace", **QUICK).fit(X, np.c_[Y, -Y])
    BayesianLinearRegression(prior_scale="learn", n_jobs=2, **QUICK).fit(X, Y)
    formula = BayesianLinearRegression("y ~ center(a) * g + bs(b, df=4)", **QUICK).fit(FRAME)
    pickle.loads(pickle.dumps(formula)).predict(FRAME)
    classes = BayesianLogisticRegression(**QUICK).fit(X, CLASSES)
    classes.predict_proba(X)
    classes.predict_quantiles(X, [0.1, 0.9])
    str(classes.summary())
    classes.save(directory / "classes")
    bayesglm.load(directory / "classes").predict(X)
    counts = BayesianPoissonRegressor(sampler="nuts", **QUICK).fit(X, COUNTS)
    counts.sample_posterior(20)
    BayesianGammaRegressor(prior=R2D2(0.4, 3.0), **QUICK).fit(X, np.exp(Y))
    BayesianRobustRegression(**QUICK).fit(X, Y).log_predictive_density(X, Y)
    fails(BayesianLinearRegression(prior="flat", **QUICK), np.c_[X, X[:, 0]], Y)
    fails(BayesianPoissonRegressor(**QUICK), X, -COUNTS - 1.0)
    return 10


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope(fits: np.ndarray, memory: np.ndarray) -> tuple[float, float]:
    """Return the slope of memory against fits and its standard error."""
    design = np.c_[np.ones(len(fits)), fits]
    found, rest, *_ = np.linalg.lstsq(design, memory, rcond=None)
    variance = rest[0] / (len(fits) - 2) * np.linalg.inv(design.T @ design)[1, 1]
    return float(found[1]), float(np.sqrt(variance))


def run(fits: int, every: int) -> tuple[float, float, float]:
    """Fit, print, and return the slope in bytes a fit, its error, and the growth in bytes after the warm-up."""
    warnings.simplefilter("ignore")
    done, seen = 0, []
    with tempfile.TemporaryDirectory() as directory:
        while done < fits:
            done += one_round(Path(directory))
            seen.append((done, resident()))
            if done % every == 0:
                print(f"{done:7d} fits  {seen[-1][1] / 2**20:8.2f} MiB", flush=True)
    table = np.array(seen, dtype=float)
    table = table[table[:, 0] > fits / 10]
    return *slope(*table.T), float(table[-1, 1] - table[0, 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1_000)
    chosen = parser.parse_args()
    found, error, growth = run(chosen.fits, chosen.every)
    print(f"{found:.1f} ± {error:.1f} bytes a fit; {growth / 2**20:+.2f} MiB after the warm-up")
    # The allocator takes memory by arenas of 1 MiB; a leak of an array of 500 numbers a fit is 4,000 bytes.
    if found - 4 * error > 2000.0 and growth > 4 * 2**20:
        sys.exit("memory grows with the fits")

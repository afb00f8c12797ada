"""Compare robust regressions whose posteriors have several modes with importance sampling.

python -m tests.reliability.robust_modes [--fits 40] [--rows 8 12 16 24 40] [--proposals 600000]

Rows on two lines, with a cluster of outliers, near two parallel lines and with Cauchy noise; of each kind and number of
rows some data sets. A line of the table is a data set: the oracle's P(sigma < sd(y)/4), P(df < 2.5) and the mean of the
slope, what fits with different seeds make of them, the differences in Monte Carlo standard errors of both, and how many
fits warned. All fits count. The first data set is the one that `random_state` 0 to 39 of an earlier version got wrong.
"""

import argparse
import sys
import time
import warnings

import numpy as np

from bayesglm import BayesianRobustRegression
from tests.oracles_robust import at_defaults, posterior
from tests.robust_data import KINDS, two_lines


def quantities(q: np.ndarray, unit: float) -> np.ndarray:
    """Return what is compared, of points (..., intercept at means, slopes, log sigma, log df)."""
    columns = q[:, -2] < np.log(unit / 4.0), q[:, -1] < np.log(2.5), q[:, 1]
    return np.column_stack(columns).astype(float)


def shares(q: np.ndarray) -> np.ndarray:
    """Return what was measured of the first data set: P(sigma < 1), P(df < 1.5), P(df < 2.5), P(coef > 2.5)."""
    columns = q[:, 2] < 0.0, q[:, 3] < np.log(1.5), q[:, 3] < np.log(2.5), q[:, 1] > 2.5
    return np.column_stack(columns).astype(float)


def compare(name: str, X: np.ndarray, y: np.ndarray, functions, fits: int, proposals: int) -> float:
    """Print a line for a data set; return the largest z-score."""
    truth, error, effective = posterior(at_defaults(X, y), functions, n=proposals)
    found, warned, by = [], 0, []
    begin = time.perf_counter()
    for seed in range(fits):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = BayesianRobustRegression(random_state=seed).fit(X, y)
        warned += bool(caught)
        by.append(model.posterior_.how)
        draws = model.posterior_.draws
        level = draws["Intercept"] + draws["coef"] @ X.mean(axis=0)
        columns = level, *np.moveaxis(draws["coef"], -1, 0), np.log(draws["sigma"]), np.log(draws["df"])
        found.append(functions(np.stack(columns, axis=-1).reshape(-1, len(columns))).mean(axis=0))
    seconds = (time.perf_counter() - begin) / fits
    values = np.array(found)
    spread = values.std(axis=0, ddof=1) / fits**0.5
    # What no fit and few proposals have seen has no spread: a Poisson count of its own size does for it.
    seen = np.sqrt(np.maximum(truth, 0.0) * (truth < 0.5) / (1000.0 * fits))
    z = (values.mean(axis=0) - truth) / np.sqrt(
        spread**2 + error**2 + np.where(spread > 0.0, 0.0, seen**2) + 1e-12
    )
    numbers = " | ".join(
        f"{t:.4f} ± {e:.4f}, {v:.4f}, {score:+.1f}"
        for t, e, v, score in zip(truth, error, values.mean(axis=0), z, strict=True)
    )
    print(
        f"| {name} | {numbers} | {warned} of {fits} | {by.count('batch')} | {seconds:.2f} s | {effective:.0f} |",
        flush=True,
    )
    return float(np.abs(z).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=40)
    parser.add_argument("--rows", type=int, nargs="*", default=[8, 12, 16, 24, 40])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1000, 1002, 1003])
    parser.add_argument("--proposals", type=int, default=600_000)
    options = parser.parse_args()
    X, y = two_lines(1001, 16)
    worst = [compare("two lines, 16 rows, seed 1001", X, y, shares, options.fits, options.proposals)]
    for kind, make in KINDS.items():
        for n in options.rows:
            for seed in options.seeds:
                X, y = make(seed, n)
                unit = float(y.std())

                def functions(q: np.ndarray, unit: float = unit) -> np.ndarray:
                    return quantities(q, unit)

                name = f"{kind}, {n} rows, seed {seed}"
                worst.append(compare(name, X, y, functions, options.fits, options.proposals))
    print(f"largest |z| of {len(worst)} data sets: {max(worst):.1f}")
    # Errors are those of the fits' own spread, so that |z| has the tails of Student's t: twelve fits or more.
    if max(worst) > 7.0:
        sys.exit("shares of modes are not those of the posterior")


if __name__ == "__main__":
    main()

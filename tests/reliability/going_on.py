"""Whether draws of runs that went on by themselves, at smaller steps, are right: pooled against quadrature.

python -m tests.reliability.going_on [--fits 200] [--jobs 2] [--first 0]

A run of NUTS that falls a little short goes on and keeps only what came after. If that hid a bias, shares of draws
below the true quantiles would be off by more than their Monte Carlo errors. Each fit has data of its own and is made to
go on; a second table is of those fits that go on unasked. A line a quantile: the mean z-score times the root of the
number of fits, which is N(0, 1) without a bias, and the mean square, which is 1.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import stats
from scipy.special import gammaln

from bayesglm import BayesianNegativeBinomialRegressor, BayesianPoissonRegressor, Flat, Normal
from bayesglm.inference import general_route
from bayesglm.inference.diagnostics import diagnose

LEVELS = 0.05, 0.5, 0.95
SETTINGS = {"sampler": "nuts", "n_jobs": 1, "progressbar": False}

Truth = dict[str, np.ndarray]


def quantiles(grid: np.ndarray, logs: np.ndarray, axis: int) -> np.ndarray:
    """Return the quantiles at `LEVELS` of one coordinate, given the log density on an even grid of both."""
    below = np.cumsum(np.exp(logs - logs.max()).sum(axis=axis))
    return np.interp(LEVELS, below / below[-1], grid + 0.5 * (grid[1] - grid[0]))


def rare_counts(rng: np.random.Generator) -> tuple[Any, np.ndarray, np.ndarray, Truth]:
    """Counts that are nearly all zero: a likelihood with a wall on one side and a slope on the other."""
    x = rng.normal(size=40)
    x -= x.mean()
    y = rng.poisson(np.exp(-2.5 + 0.5 * x)).astype(float)
    model = BayesianPoissonRegressor(prior=Normal(0.0, 1.0), intercept_prior=Normal(0.0, 3.0), **SETTINGS)
    level, slope = np.linspace(-20.0, 3.0, 601), np.linspace(-6.0, 6.0, 601)
    logs = y.sum() * level[:, np.newaxis] + (x @ y) * slope - 0.5 * slope**2
    logs = logs - level[:, np.newaxis] ** 2 / 18.0
    logs -= np.exp(level)[:, np.newaxis] * np.exp(np.outer(slope, x)).sum(axis=1)
    return (
        model,
        x[:, np.newaxis],
        y,
        {"Intercept": quantiles(level, logs, 1), "coef": quantiles(slope, logs, 0)},
    )


def no_overdispersion(rng: np.random.Generator) -> tuple[Any, np.ndarray, np.ndarray, Truth]:
    """Poisson counts taken for overdispersed: phi has a tail without end. The slope's prior holds it at zero."""
    x = rng.normal(size=60)
    x -= x.mean()
    y = rng.poisson(3.0, size=60).astype(float)
    model = BayesianNegativeBinomialRegressor(prior=Normal(0.0, 1e-3), intercept_prior=Flat(), **SETTINGS)
    level, log_phi = np.linspace(0.0, 2.2, 301), np.linspace(-4.0, 45.0, 1961)
    mu, phi = np.exp(level)[:, np.newaxis], np.exp(log_phi)
    logs = stats.invgamma.logpdf(phi, 0.4, scale=0.3) + log_phi + y.sum() * level[:, np.newaxis]
    logs = logs - (len(y) * phi + y.sum()) * np.log1p(mu / phi) - gammaln(y + 1.0).sum()
    for value in y:
        logs += np.log1p(np.arange(value)[:, np.newaxis] / phi).sum(axis=0)
    truth = {"Intercept": quantiles(level, logs, 1), "phi": np.exp(quantiles(log_phi, logs, 0))}
    return model, x[:, np.newaxis], y, truth


KINDS: dict[str, Callable[[np.random.Generator], tuple[Any, np.ndarray, np.ndarray, Truth]]] = {
    "rare counts": rare_counts,
    "no overdispersion": no_overdispersion,
}


@contextmanager
def counted(always: bool) -> Iterator[list[bool]]:
    """Note whether a run goes on; ``always``: make it do so."""
    found: list[bool] = []
    judge = general_route._falls_a_little_short

    def judge_and_note(*args: Any) -> bool:
        found.append(always or judge(*args))
        return found[-1]

    general_route._falls_a_little_short = judge_and_note
    try:
        yield found
    finally:
        general_route._falls_a_little_short = judge


def z_scores(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return z-scores of the shares of draws (chain, draw) below quantiles of `LEVELS`."""
    below = (draws < truth[:, np.newaxis, np.newaxis]).astype(float)
    size = np.minimum(diagnose(below, 1).ess_mean, below[0].size)
    levels = np.array(LEVELS)
    return (below.mean(axis=(1, 2)) - levels) / np.sqrt(levels * (1.0 - levels) / size)


def one(kind: str, seed: int, always: bool) -> tuple[bool, dict[str, np.ndarray]]:
    """Fit one data set; return whether the run went on and z-scores by name."""
    model, X, y, truth = KINDS[kind](np.random.default_rng([seed, len(kind)]))
    with warnings.catch_warnings(), counted(always) as went_on:
        warnings.simplefilter("ignore")
        draws = model.set_params(random_state=seed).fit(X, y).posterior_.draws
    found = {name: np.asarray(draws[name]).reshape(*np.shape(draws[name])[:2]) for name in truth}
    return any(went_on), {name: z_scores(found[name], truth[name]) for name in truth}


def pooled(scores: list[dict[str, np.ndarray]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the mean z-score times the root of the number of fits, and the mean square, by name."""
    every = {name: np.array([score[name] for score in scores]) for name in scores[0]}
    return {name: (z.sum(axis=0) / np.sqrt(len(z)), (z**2).mean(axis=0)) for name, z in every.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.fits)
    largest = 0.0
    for always in (True, False):
        print("made to go on" if always else "gone on unasked")
        for kind in KINDS:
            results = Parallel(n_jobs=options.jobs)(delayed(one)(kind, seed, always) for seed in seeds)
            scores = [z for went_on, z in results if went_on]
            print(f"  {kind}: {len(scores)} of {len(results)} fits")
            for name, (mean, square) in (pooled(scores) if scores else {}).items():
                for level, a, b in zip(LEVELS, mean, square, strict=True):
                    print(f"    {name:<10} {level:4.0%}  mean z {a:5.2f}  mean square {b:4.2f}")
                    largest = max(largest, abs(a))
    if largest > 4.0:
        sys.exit("draws of runs that went on are biased")


if __name__ == "__main__":
    # Under its own name, by which joblib's processes find what they are to do.
    from tests.reliability import going_on

    going_on.main()

"""Feed the sampler and the estimators what cannot be sampled well, and print what the user is told.

python -m tests.reliability.pathologies [--seeds 20] [--jobs 2] [--only NAME]

A line a pathology: how often, over seeds, it was refused, warned of, or sampled right after all (means and central
quantiles within five Monte Carlo errors of the truth, where that is known), and how often nothing was said.
"""

import argparse
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Cauchy,
    Flat,
    HalfNormal,
    Normal,
    StudentT,
    families,
)
from bayesglm.inference.diagnostics import diagnose, warning_texts
from bayesglm.inference.sampling import Settings, run, seed_sequence
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.reliability.densities import (
    banana,
    cauchy,
    cusp,
    flat_direction,
    funnel,
    half_gradient,
    hole,
    mixture_truth,
    needle,
    schools,
    step,
    two_normals,
    wall,
    wrong_gradient,
)
from tests.reliability.false_alarms import reason

#: Monte Carlo errors within which a share of draws counts as right.
CLOSE = 5.0


@dataclass(frozen=True)
class Outcome:
    """What a user was told, and whether draws were right: None if the truth is not known."""

    texts: list[str]
    refusal: str | None = None
    right: bool | None = None

    @property
    def word(self) -> str:
        if self.refusal is not None:
            return "refused"
        return "warned" if self.texts else "right" if self.right else "nothing said"


def is_right(draws: np.ndarray, quantiles: dict[float, float]) -> bool:
    """Whether shares of draws (chain, draw) below known quantiles are right, within Monte Carlo errors."""
    for level, value in quantiles.items():
        below = (draws < value).astype(float)
        size = diagnose(below[np.newaxis]).ess_mean[0]
        size = min(size, below.size) if np.isfinite(size) else len(draws)
        if abs(below.mean() - level) > CLOSE * np.sqrt(level * (1.0 - level) / size) + 0.5 / below.size:
            return False
    return True


def quartiles(dist: Any) -> dict[float, float]:
    return {level: float(dist.ppf(level)) for level in (0.1, 0.25, 0.5, 0.75, 0.9)}


# -- densities ------------------------------------------------------------------------------------------


def sampled(
    dim: int, density: Any, truth: dict[int, dict[float, float]] | None = None, **settings: Any
) -> Callable[[int], Outcome]:
    """Return what samples a density as the estimators do where the posterior's scale is not known."""

    def go(seed: int) -> Outcome:
        asked = Settings(n_threads=1, **settings)
        target = AffineTarget(PyTarget(dim, density), np.zeros(dim), np.eye(dim))
        with np.errstate(all="ignore"):
            found = run(target, asked, seed_sequence(seed), known_scale=False)
            draws = found.target.unwhiten(found.draws)
        texts = warning_texts(
            [f"q{i}" for i in range(dim)],
            diagnose(np.moveaxis(draws, -1, 0)),
            found.stats,
            n_chains=asked.chains,
            target_accept=asked.target_accept,
            max_treedepth=asked.max_treedepth,
        )
        right = all(is_right(draws[..., i], known) for i, known in truth.items()) if truth else None
        return Outcome(texts, None, right)

    return go


NORMAL = quartiles(stats.norm())
#: |q| has the distribution of the square of a gamma variable of shape 2.
CUSP = {0.1: -(stats.gamma.ppf(0.8, 2.0) ** 2), 0.5: 0.0, 0.75: stats.gamma.ppf(0.5, 2.0) ** 2}
_STEP = stats.norm.cdf(0.5) + 0.01 * stats.norm.sf(0.5)

# -- estimators -----------------------------------------------------------------------------------------


def fitted(
    model: Any,
    data: Callable[[np.random.Generator], tuple[Any, ...]],
    truth: Callable[[Any, Any, Any], bool] | None = None,
) -> Callable[[int], Outcome]:
    """Return what fits a model to data that are drawn anew for each seed."""

    def go(seed: int) -> Outcome:
        X, y = data(np.random.default_rng([7, seed]))
        own = type(model)(
            **{**model.get_params(deep=False), "random_state": seed, "n_jobs": 1, "progressbar": False}
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                own.fit(X, y)
            except ValueError as error:
                return Outcome([], str(error))
        right = None if truth is None else truth(own, X, y)
        return Outcome([str(w.message) for w in caught], None, right)

    return go


def separated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(100, 3))
    return X, (X[:, 0] > 0.3).astype(int)


def nearly_separated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A level of a factor has zeros only."""
    X = np.column_stack([rng.normal(size=100), np.arange(100) < 12])
    return X, (rng.random(100) < 0.5) * (X[:, 1] == 0)


def zeros(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(80, 2)), np.zeros(80)


def twins(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(100, 2))
    return x[:, [0, 1, 1]], x @ [1.0, 0.5] + rng.normal(size=100)


def twin_classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X, y = twins(rng)
    return X, (y > 0).astype(int)


def wide(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(20, 30))
    return X, X[:, 0] + rng.normal(size=20)


def wide_classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X, y = wide(rng)
    return X, (y > np.median(y)).astype(int)


def clusters(gap: float, n: int = 60, share: float = 0.5, p: int = 1) -> Any:
    """Responses in two clusters, of which X says nothing."""

    def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        where = np.where(np.arange(n) < share * n, -0.5 * gap, 0.5 * gap)
        return rng.normal(size=(n, p)), where + rng.normal(size=n)

    return data


def conflict(n: int) -> Any:
    """A slope of zero, known to 1/sqrt(n), and a prior that is sure of ten."""

    def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 1))
        return x, rng.normal(size=n)

    return data


def two_dispersions(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Half of the counts are of Poisson's distribution, half far more dispersed."""
    few, many = rng.poisson(5.0, 60), rng.poisson(5.0 * rng.gamma(0.15, 1 / 0.15, 60))
    return rng.normal(size=(120, 1)), np.concatenate([few, many]).astype(float)


def sparse_signal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(60, 40))
    return X, X[:, 0] + 0.5 * rng.normal(size=60)


def sparse_twins(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(60, 20))
    X = np.column_stack([x, x[:, 0] + 0.01 * rng.normal(size=60)])
    return X, 2.0 * x[:, 0] + 0.5 * rng.normal(size=60)


def plain_counts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(200, 3))
    return X, rng.poisson(np.exp(0.5 + X @ [0.3, -0.2, 0.0])).astype(float)


def against_the_wall(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(100, 1))
    return X, rng.poisson(np.exp(-0.3 * X[:, 0])).astype(float)


def straight_line(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(50, 2))
    return X, X @ [1.0, 2.0] + 0.3 * rng.normal(size=50)


def location_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with a grid of intercept and log sigma; the slope's prior holds it at zero."""
    mu, log_sigma = np.linspace(y.min() - 5, y.max() + 5, 1201)[:, np.newaxis], np.linspace(-3.0, 4.0, 161)
    sigma = np.exp(log_sigma)
    logs = -0.5 * (sigma / 3.0) ** 2 + log_sigma - len(y) * log_sigma
    logs = logs - sum(np.log1p(((value - mu) / sigma) ** 2) for value in y)
    weights = np.exp(logs - logs.max()).sum(axis=1)
    below = np.cumsum(weights) / weights.sum()
    known = {level: float(np.interp(level, below, mu[:, 0])) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["Intercept"]), known)


def counts_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare phi with a grid of intercept and log phi; the slope's prior holds it at zero."""
    mu = np.exp(np.linspace(-1.0, 5.0, 601))[:, np.newaxis]
    log_phi = np.linspace(-5.0, 6.0, 801)
    phi = np.exp(log_phi)
    logs = stats.invgamma.logpdf(phi, 0.4, scale=0.3) + log_phi
    values, times = np.unique(y, return_counts=True)
    logs = logs + sum(
        k * stats.nbinom.logpmf(v, phi, phi / (phi + mu)) for v, k in zip(values, times, strict=True)
    )
    below = np.cumsum(np.exp(logs - logs.max()).sum(axis=0))
    known = {level: float(np.interp(level, below / below[-1], phi)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["phi"]), known)


def positive_by_quadrature(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with quadrature: one positive coefficient, no intercept."""
    grid, x = np.linspace(0.0, 3.0, 20_001), X[:, 0]
    logs = (x @ y) * grid - np.exp(np.outer(grid, x)).sum(axis=1) - 0.5 * grid**2
    below = np.cumsum(np.exp(logs - logs.max()))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)


def slope_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with a grid of slope and log sigma; cells are narrow where the prior is."""
    x, far = X[:, 0], np.sinh(np.linspace(-14.0, 14.0, 8001)) * 1e-4
    grid = np.unique(np.concatenate([10.0 + far, np.linspace(-30.0, 30.0, 8001)]))
    log_sigma = np.linspace(-4.0, 4.0, 401)
    sigma = np.exp(log_sigma)[:, np.newaxis]
    rss = y @ y - 2 * (x @ y) * grid + (x @ x) * grid**2
    logs = -len(y) * log_sigma[:, np.newaxis] - 0.5 * rss / sigma**2 + log_sigma[:, np.newaxis]
    logs = logs - 0.5 * (sigma / 3.0) ** 2 + stats.cauchy(10.0, 1e-3).logpdf(grid)
    weights = np.exp(logs - logs.max()).sum(axis=0)
    area = 0.5 * (weights[1:] + weights[:-1]) * np.diff(grid)
    below = np.append(0.0, np.cumsum(area))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)


def slope_by_quadrature(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with quadrature: known sigma of 1, no intercept, t prior of scale 0.1 around ten."""
    x = X[:, 0]
    grid = np.linspace(-2.0, 12.0, 200_001)
    logs = -0.5 * (x @ x) * grid**2 + (x @ y) * grid + stats.t(2.0, 10.0, 0.05).logpdf(grid)
    below = np.cumsum(np.exp(logs - logs.max()))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)


@dataclass(frozen=True)
class Pathology:
    """What it is, what has to be reported, how to run it; ``may_pass``: right draws are an answer as well."""

    must: str
    go: Callable[[int], Outcome]
    may_pass: bool = False


_HELD = {"prior": Normal(0.0, 1e-3), "intercept_prior": Flat()}
_ROBUST = BayesianRobustRegression(df=1.0, sigma_prior=HalfNormal(3.0), **_HELD)
_POSITIVE = BayesianPoissonRegressor(positive=True, prior=HalfNormal(1.0), fit_intercept=False)
_SURE = BayesianLinearRegression(prior=Cauchy(10.0, 1e-3), sigma_prior=HalfNormal(3.0), fit_intercept=False)
_KNOWN_NOISE = BayesianGLM(
    family=families.Gaussian(sigma=1.0), prior=StudentT(2.0, 10.0, 0.05), fit_intercept=False
)

PATHOLOGIES = {
    "Neal's funnel, 10 dimensions": Pathology(
        "divergences, energy", sampled(10, funnel, {0: quartiles(stats.norm(0, 3))})
    ),
    "eight schools, centred": Pathology("divergences", sampled(10, schools)),
    "two normals 10 sd apart": Pathology(
        "R-hat", sampled(2, two_normals(10.0, 0.5), {0: mixture_truth(10, 0.5)})
    ),
    "two normals 10 sd apart, 9 : 1": Pathology(
        "R-hat", sampled(2, two_normals(10.0, 0.9), {0: mixture_truth(10, 0.9)})
    ),
    "two normals 5 sd apart, 2 : 1": Pathology(
        "R-hat or right", sampled(2, two_normals(5.0, 2 / 3), {0: mixture_truth(5, 2 / 3)}), True
    ),
    "a needle beside a normal": Pathology("R-hat", sampled(2, needle)),
    "Cauchy, 5 dimensions": Pathology(
        "tails or right", sampled(5, cauchy, {0: quartiles(stats.cauchy())}), True
    ),
    "banana": Pathology("ESS or right", sampled(2, banana, {0: quartiles(stats.norm(1, np.sqrt(10)))}), True),
    "hard wall": Pathology(
        "divergences or right", sampled(2, wall, {0: quartiles(stats.truncnorm(-0.3, np.inf))}), True
    ),
    "step by a factor of 100": Pathology(
        "divergences or right",
        sampled(
            2,
            step,
            {0: {0.25: float(stats.norm.ppf(0.25 * _STEP)), 0.75: float(stats.norm.ppf(0.75 * _STEP))}},
        ),
        True,
    ),
    "infinite cusp at the mode": Pathology("ESS or right", sampled(2, cusp, {0: CUSP}), True),
    "density that is NaN beyond 0.8": Pathology(
        "divergences or right", sampled(2, hole, {0: quartiles(stats.truncnorm(-np.inf, 0.8))}), True
    ),
    "improper direction": Pathology("R-hat, treedepth", sampled(2, flat_direction)),
    "gradient half of what it is": Pathology(
        "right", sampled(2, half_gradient, {0: NORMAL, 1: NORMAL}), True
    ),
    "gradient of the wrong sign": Pathology(
        "ESS or right",
        sampled(2, wrong_gradient, {0: NORMAL, 1: NORMAL}, draws=100, tune=50, max_treedepth=6),
        True,
    ),
    "draws=50, tune=10, a funnel": Pathology("ESS", sampled(10, funnel, draws=50, tune=10)),
    "logistic, flat, separated": Pathology(
        "refusal", fitted(BayesianLogisticRegression(prior="flat", intercept_prior="flat"), separated)
    ),
    "logistic, flat, a level of zeros": Pathology(
        "refusal", fitted(BayesianLogisticRegression(prior="flat", intercept_prior="flat"), nearly_separated)
    ),
    "logistic, flat, twin columns": Pathology(
        "refusal", fitted(BayesianLogisticRegression(prior="flat", intercept_prior="flat"), twin_classes)
    ),
    "logistic, flat, p > n": Pathology(
        "refusal", fitted(BayesianLogisticRegression(prior="flat", intercept_prior="flat"), wide_classes)
    ),
    "Poisson, flat, all zero": Pathology(
        "refusal", fitted(BayesianPoissonRegressor(prior="flat", intercept_prior="flat"), zeros)
    ),
    "linear, flat, twin columns": Pathology("refusal", fitted(BayesianLinearRegression(prior="flat"), twins)),
    "linear, flat, p > n": Pathology("refusal", fitted(BayesianLinearRegression(prior="flat"), wide)),
    "robust, df=1, two clusters far apart": Pathology(
        "R-hat or right", fitted(_ROBUST, clusters(40.0), location_by_grid), True
    ),
    "robust, df=1, two clusters 12 apart, 48 : 52": Pathology(
        "R-hat or right", fitted(_ROBUST, clusters(12.0, 100, 0.48), location_by_grid), True
    ),
    "robust, df=1, two clusters of 500": Pathology(
        "R-hat or right", fitted(_ROBUST, clusters(12.0, 1000, 0.499), location_by_grid), True
    ),
    "t prior sure of 10, data sure of 0": Pathology(
        "R-hat or right",
        fitted(_KNOWN_NOISE, conflict(3), slope_by_quadrature),
        True,
    ),
    "linear, Cauchy prior sure of 10, data of 0": Pathology(
        "R-hat or right",
        fitted(_SURE, conflict(5), slope_by_grid),
        True,
    ),
    "negative binomial, two dispersions": Pathology(
        "right", fitted(BayesianNegativeBinomialRegressor(**_HELD), two_dispersions, counts_by_grid), True
    ),
    "positive coefficients, data against": Pathology(
        "right",
        fitted(_POSITIVE, against_the_wall, positive_by_quadrature),
        True,
    ),
    "horseshoe, twin signals": Pathology(
        "R-hat or right", fitted(BayesianLinearRegression(prior="horseshoe"), sparse_twins), True
    ),
    "horseshoe, draws=100": Pathology(
        "ESS", fitted(BayesianLinearRegression(prior="horseshoe", draws=100), sparse_signal)
    ),
    "Poisson, NUTS, draws=50, tune=10": Pathology(
        "ESS", fitted(BayesianPoissonRegressor(draws=50, tune=10, sampler="nuts"), plain_counts)
    ),
    "robust, draws=50, tune=10": Pathology(
        "ESS", fitted(BayesianRobustRegression(draws=50, tune=10), straight_line)
    ),
    "linear, Laplace, draws=3": Pathology(
        "too few", fitted(BayesianLinearRegression(prior="laplace", draws=3), straight_line)
    ),
    "one chain, two clusters": Pathology(
        "one chain",
        fitted(
            BayesianRobustRegression(df=1.0, sigma_prior=HalfNormal(3.0), chains=1, **_HELD), clusters(40.0)
        ),
    ),
    "one chain, Laplace prior": Pathology(
        "one chain", fitted(BayesianLinearRegression(prior="laplace", chains=1), straight_line)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="run only pathologies whose name holds one of these, by |")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    print("| pathology | must be reported | refused | warned | right | nothing said | by |")
    print("|---|---|---|---|---|---|---|")
    for name, case in PATHOLOGIES.items():
        if not re.search(options.only, name):
            continue
        found = Parallel(n_jobs=options.jobs)(delayed(one)(name, seed) for seed in range(options.seeds))
        words = Counter(outcome.word for outcome in found)
        by: Counter[str] = Counter()
        for outcome in found:
            by.update({reason(text) for text in outcome.texts})
        said = ", ".join(f"{word} {times}" for word, times in by.most_common()) or "-"
        told = " | ".join(str(words[word]) for word in ("refused", "warned", "right", "nothing said"))
        print(f"| {name} | {case.must} | {told} | {said} |", flush=True)
        if options.show:
            for seed, outcome in enumerate(found):
                print(f"    {seed} {outcome}")


def one(name: str, seed: int) -> Outcome:
    return PATHOLOGIES[name].go(seed)


if __name__ == "__main__":
    main()

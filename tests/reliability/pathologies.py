"""Feed the sampler and the estimators what cannot be sampled well, and print what the user is told.

python -m tests.reliability.pathologies [--seeds 20] [--jobs 2] [--only NAME]

A line a pathology: how often, over seeds, it was refused, warned of, or sampled right after all (means and central
quantiles within five Monte Carlo errors of the truth, where that is known), and how often nothing was said.
"""

import argparse
import os
import re
import sys
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
from tests.reliability.pathological_data import (
    against_the_wall,
    clusters,
    conflict,
    counts_by_grid,
    is_right,
    location_by_grid,
    nearly_separated,
    plain_counts,
    positive_by_quadrature,
    quartiles,
    separated,
    slope_by_grid,
    slope_by_quadrature,
    sparse_signal,
    sparse_twins,
    straight_line,
    twin_classes,
    twins,
    two_dispersions,
    wide,
    wide_classes,
    zeros,
)


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

#: What some seeds let pass, as docs/reliability.md says: modes that no chain crosses.
UNNOTICED = {
    "two normals 10 sd apart",
    "two normals 10 sd apart, 9 : 1",
    "a needle beside a normal",
    "linear, Cauchy prior sure of 10, data of 0",
    "horseshoe, twin signals",
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
    silent = []
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
        if (case.must == "refusal" and words["refused"] < options.seeds) or (
            name not in UNNOTICED and words["nothing said"]
        ):
            silent.append(name)
        if options.show:
            for seed, outcome in enumerate(found):
                print(f"    {seed} {outcome}")
    if silent:
        sys.exit(f"nothing said: {', '.join(silent)}")


def one(name: str, seed: int) -> Outcome:
    return PATHOLOGIES[name].go(seed)


if __name__ == "__main__":
    main()

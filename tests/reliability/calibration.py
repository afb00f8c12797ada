"""Calibrate every family and every prior, and write docs/calibration.md with its pictures.

python -m tests.reliability.calibration [--simulations 1000] [--seed 1] [--jobs 2] [--only NAME] [--follow-up 4000]
    [--write docs]

Each line is one model at its own priors: `bayesglm.testing.simulation_based_calibration` of all its parameters and
its likelihood, `bayesglm.testing.predictive_coverage` of new observations. The page keeps its words; its tables and
pictures are written anew. Ends with an error if a p-value of all together, or of predictions, is below 0.0005.
"""

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bayesglm import (
    R2D2,
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    Cauchy,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    Horseshoe,
    InverseGamma,
    Laplace,
    Normal,
    StudentT,
    families,
)
from bayesglm.testing import Calibration, predictive_coverage, simulation_based_calibration

N = 40
RNG = np.random.default_rng(11)
X = RNG.normal(size=(N, 3)) @ np.array([[1.0, 0.6, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 10.0]]) + [
    1.0,
    0.0,
    50.0,
]
WIDE = np.random.default_rng(12).normal(size=(N, 8))
TRIALS = RNG.integers(1, 12, N).astype(float)
EXPOSURE = RNG.uniform(0.5, 4.0, N)
ERRORS = RNG.uniform(0.2, 1.5, N)
WEIGHTS = RNG.uniform(0.2, 5.0, N)
LINE = RNG.normal(size=N)  # a response that default priors are bound to
COUNTS = RNG.poisson(3.0, N).astype(float)
POSITIVE = RNG.gamma(2.0, 1.5, N)
YES_NO = (RNG.random(N) < 0.4).astype(float)
CLASSES = RNG.integers(0, 3, N)
SHARES = RNG.beta(2.0, 3.0, N)
MODERATE = {"prior": Normal(0, 0.5, autoscale=True), "intercept_prior": Normal(0, 0.5)}


@dataclass(frozen=True)
class Case:
    """A model with a response to bind its priors to, and what its rows bring."""

    model: Any
    y: np.ndarray = field(default_factory=lambda: LINE)
    X: np.ndarray = field(default_factory=lambda: X)
    rows: dict[str, Any] = field(default_factory=dict)


def linear(**settings: Any) -> BayesianLinearRegression:
    return BayesianLinearRegression(draws=500, **settings)


def glm(family: Any, **settings: Any) -> BayesianGLM:
    return BayesianGLM(family=family, draws=500, **{**MODERATE, **settings})


FAMILIES = {
    "Normal noise, known errors": Case(glm("gaussian"), rows={"standard_error": ERRORS}),
    "Student-t noise": Case(BayesianRobustRegression(draws=500)),
    "Student-t noise, 16 rows": Case(BayesianRobustRegression(draws=500), LINE[:16], X[:16]),
    "Student-t noise, 8 rows": Case(BayesianRobustRegression(draws=500), LINE[:8], X[:8]),
    "Student-t noise, df given": Case(glm(families.StudentT(df=3.0))),
    "Laplace noise": Case(glm("laplace")),
    "Bernoulli, logit, defaults": Case(BayesianLogisticRegression(draws=500), YES_NO),
    "Bernoulli, probit": Case(glm(families.Bernoulli("probit")), YES_NO),
    "Bernoulli, cloglog": Case(glm(families.Bernoulli("cloglog")), YES_NO),
    "three classes": Case(BayesianLogisticRegression(draws=500, prior=Normal(0, 1, autoscale=True)), CLASSES),
    "three classes, Laplace, a reference": Case(
        BayesianLogisticRegression(draws=500, prior=Laplace(0, 0.7, autoscale=True), reference=1), CLASSES
    ),
    "five classes": Case(
        BayesianLogisticRegression(
            draws=500, prior=Normal(0, 0.5, autoscale=True), intercept_prior=Normal(0, 0.5)
        ),
        np.random.default_rng(13).integers(0, 5, 3 * N),
        np.random.default_rng(14).normal(size=(3 * N, 3)) @ np.diag([1.0, 0.1, 10.0]) + [1.0, 0.0, 50.0],
    ),
    "binomial": Case(glm("binomial"), np.minimum(COUNTS, TRIALS), rows={"trials": TRIALS}),
    "Poisson, exposure": Case(
        BayesianPoissonRegressor(draws=500, **MODERATE), COUNTS, rows={"exposure": EXPOSURE}
    ),
    "negative binomial": Case(BayesianNegativeBinomialRegressor(draws=500, **MODERATE), COUNTS),
    "gamma": Case(BayesianGammaRegressor(draws=500, **MODERATE), POSITIVE),
    "inverse Gaussian": Case(glm("inverse_gaussian", aux_priors={"shape": Gamma(3, 1)}), POSITIVE),
    "beta": Case(glm("beta", aux_priors={"precision": Gamma(4, 0.2)}), SHARES),
}
PRIORS = {
    "defaults": Case(linear()),
    "Normal(0, 1), center=False": Case(
        linear(prior=Normal(0, 1), intercept_prior=Normal(0, 1), sigma_prior=HalfCauchy(1), center=False),
        X=WIDE,
    ),
    "precision weights": Case(linear(weights_type="precision"), rows={"sample_weight": WEIGHTS}),
    "StudentT": Case(linear(prior=StudentT(3, 0, 1), sigma_prior=Exponential(1))),
    "Cauchy": Case(linear(prior=Cauchy(0, 1), sigma_prior=InverseGamma(3, 2))),
    "Laplace": Case(linear(prior=Laplace(0, 1), sigma_prior=Gamma(2, 2))),
    "a prior a column": Case(linear(prior={"x0": Laplace(0, 1), "x2": Normal(0.1, 0.05)})),
    "positive": Case(linear(positive=True)),
    "prior_scale='learn'": Case(linear(prior_scale="learn"), X=WIDE),
    "Horseshoe": Case(linear(prior=Horseshoe(0.2)), X=WIDE),
    "R2D2": Case(linear(prior=R2D2(0.4, 3.0)), X=WIDE),
    "preset rstanarm": Case(linear(prior="rstanarm")),
    "preset bambi": Case(linear(prior="bambi")),
    "preset arm": Case(linear(prior="arm")),
    "Bernoulli, Cauchy": Case(
        BayesianLogisticRegression(draws=500, prior=Cauchy(0, 1, autoscale=True)), YES_NO
    ),
    "Bernoulli, Laplace": Case(
        BayesianLogisticRegression(draws=500, prior=Laplace(0, 1, autoscale=True)), YES_NO
    ),
    "Bernoulli, prior_scale='learn'": Case(
        BayesianLogisticRegression(draws=500, prior_scale="learn"), YES_NO, WIDE
    ),
    "Bernoulli, Horseshoe": Case(BayesianLogisticRegression(draws=500, prior=Horseshoe(0.2)), YES_NO, WIDE),
    "Poisson, positive": Case(
        BayesianPoissonRegressor(draws=500, prior=HalfNormal(0.3, autoscale=True), positive=True), COUNTS
    ),
    "Poisson, R2D2": Case(BayesianPoissonRegressor(draws=500, prior=R2D2(0.4, 3.0)), COUNTS, WIDE),
    "gamma, StudentT": Case(
        BayesianGammaRegressor(draws=500, prior=StudentT(4, 0, 0.5, autoscale=True)), POSITIVE
    ),
}
LEVELS = (0.5, 0.9)
#: A p-value that not one of the some hundred of a run should be below.
NEVER = 0.0005
#: A model whose p-value of all together is below this is simulated again where that is asked for.
SUSPECT = 0.2


def calibrate(case: Case, simulations: int, jobs: int, seed: int = 1) -> tuple[Calibration, float, str]:
    """Run one case; return its ranks, its smallest p-value and its line of the table without the name."""
    started = time.perf_counter()
    settings = {"n_simulations": simulations, "n_jobs": jobs, "random_state": seed}
    found = simulation_based_calibration(case.model, case.X, case.y, **settings, **case.rows)
    coverage, smallest = "- | - | -", found.p_value
    if "sample_weight" not in case.rows:
        new = predictive_coverage(case.model, case.X, case.y, levels=LEVELS, **settings, **case.rows)
        shares = " | ".join(f"{share:.3f}" for share in new.observed)
        coverage, smallest = f"{shares} | {new.p_value:.3f}", min(smallest, new.p_value)
    worst = found.names[int(found.p_values.argmin())]
    line = (
        f"{len(found.names)} | {found.p_value:.3f} | {found.p_values.min():.4f} ({worst}) | {coverage} | "
        f"{len(found.refused)} | {found.n_warned}"
    )
    print(f"    {time.perf_counter() - started:.0f} s", flush=True)
    return found, smallest, line


def follow_up(name: str, case: Case, found: Calibration, simulations: int, jobs: int, seed: int) -> str:
    """Rank so many simulations more, of another seed, and return what they say of the quantity that was worst."""
    settings = {"n_simulations": simulations, "n_jobs": jobs, "random_state": seed + 1}
    again = simulation_based_calibration(case.model, case.X, case.y, **settings, **case.rows)
    worst = int(found.p_values.argmin())
    return (
        f"| {name} | {found.names[worst]} | {found.p_values[worst]:.4f} | {len(again.ranks)} | "
        f"{again.p_values[worst]:.2f} | {again.p_value:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument(
        "--seed", type=int, default=1, help="another, to see whether a small p-value was chance"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="run only cases whose name holds one of these, by |")
    parser.add_argument(
        "--follow-up",
        type=int,
        default=0,
        help="simulations more of a model whose p, all together, is below 0.2",
    )
    parser.add_argument("--write", type=Path, help="directory of the page and its pictures, such as docs")
    options = parser.parse_args()
    tables, followed, off = [], [], []
    for title, cases in (("Families", FAMILIES), ("Priors", PRIORS)):
        lines, results = [], {}
        for name, case in cases.items():
            if re.search(options.only, name):
                results[name], smallest, line = calibrate(
                    case, options.simulations, options.jobs, options.seed
                )
                lines.append(f"| {name} | {line} |")
                print(lines[-1], flush=True)
                if options.follow_up and results[name].p_value < SUSPECT:
                    followed.append(
                        follow_up(name, case, results[name], options.follow_up, options.jobs, options.seed)
                    )
                    print(followed[-1], flush=True)
                if smallest < NEVER:
                    off.append(name)
        tables.append((title, lines))
        if options.write and results:
            draw(results, options.write / "img" / f"calibration_{title.lower()}.png")
    if options.write:
        write(tables, followed, options.write / "calibration.md")
    if off:
        sys.exit(f"not calibrated: {', '.join(off)}")


def draw(results: dict[str, Calibration], path: Path) -> None:
    """Draw of each case the quantity whose ranks are least uniform."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 4
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(13, 2.4 * rows), squeeze=False, layout="constrained")
    for ax in axes.flat[len(results) :]:
        ax.set_axis_off()
    for (name, found), ax in zip(results.items(), axes.flat, strict=False):
        worst = int(found.p_values.argmin())
        found.plot([found.names[worst]], axes=ax)
        ax.set_title(f"{name}: {found.names[worst]}", fontsize="small")
    figure.suptitle(
        "The worst of each model's quantities: by chance one panel in four leaves its band", fontsize="medium"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def write(tables: list[tuple[str, list[str]]], followed: list[str], path: Path) -> None:
    """Write the tables and pictures of the page in place of those that are there."""
    words = path.read_text().partition("\n## Families\n")[0].rstrip()
    parts = [words]
    for title, lines in tables:
        parts += [f"\n## {title}\n", HEADER, *lines]
        parts += [f"\n{CAPTION}", f"\n![{ALT}](img/calibration_{title.lower()}.png)"]
    if followed:
        parts += [f"\n## Followed up\n\n{FOLLOWED}", *followed]
    path.write_text("\n".join(parts) + "\n")


CAPTION = """\
Each panel shows the *worst* of its model's 5 to 12 quantities, the one with the smallest p-value. The grey band holds
all of one curve 95 times in 100; that the worst of six leaves it is nothing unusual, and happens by chance in one panel
of four (of twelve, in nearly every other)."""
FOLLOWED = """\
Whether a small p-value was chance, only simulations of another seed can tell. Every model above whose p-value of all
together is below 0.2 was simulated anew:

| model | worst quantity | its p above | simulations anew | its p in these | p, all together, in these |
|---|---|---|---|---|---|"""
ALT = "How far ranks are from uniform, for the worst quantity of each model"
HEADER = """\
| model | quantities | p, all together | smallest p (of) | 50 % | 90 % | p, predictive | not fitted | warned |
|---|---|---|---|---|---|---|---|---|"""

if __name__ == "__main__":
    main()

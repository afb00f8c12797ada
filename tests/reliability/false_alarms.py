"""Fit random models that nothing is wrong with, at the package's defaults, and count those that warn.

python -m tests.reliability.false_alarms [--fits 400] [--jobs 2] [--only NAME] [--first 0]

Each fit has its own data: 30 to 500 rows, 1 to 8 predictors that are correlated, whole numbers, skewed, zeros and ones
or the levels of a factor, in any units; moderate effects; weights in one of five. `--first` numbers the first fit of
each kind, so that a further run is of other data. Prints a line a kind and the bounds of the share of warnings that
hold with a confidence of 95 % (Clopper & Pearson 1934), and with `--show` every warning with what repeats it.
"""

import argparse
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import beta

from bayesglm import (
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
    HalfNormal,
    Normal,
    families,
)

#: What a warning is about, and how it is recognised.
REASONS = {
    "R-hat": "disagree about",
    "ESS": "effective sample size",
    "divergent": "divergent trajectory",
    "cut short": "max_treedepth=",
    "energy": "energy of chain",
    "exact mean": "standard errors from the exact one",
    "one chain": "single chain",
}
SEED = 20_260


@dataclass(frozen=True)
class Kind:
    """A kind of model: the estimator, its response given linear predictors, and how large they are.

    ``level`` and ``effect`` are the standard deviations of the intercept and of a predictor's effect per standard
    deviation; ``rows`` and ``columns`` the ranges of n and p.
    """

    model: Callable[..., Any]
    respond: Callable[[np.random.Generator, np.ndarray], Any]
    level: float
    effect: float
    settings: dict[str, Any]
    rows: tuple[int, int] = (30, 500)
    columns: tuple[int, int] = (1, 8)
    bring: Callable[[np.random.Generator, int], dict[str, np.ndarray]] | None = None
    factors: bool = False


def normal(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return eta + np.exp(rng.normal()) * rng.normal(size=len(eta))


def several(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return eta[:, np.newaxis] * [1.0, -0.3] + rng.normal(size=(len(eta), 2)) @ [[1.0, 0.5], [0.0, 2.0]]


def shifted(rng: np.random.Generator, eta: np.ndarray, *, standard_error: np.ndarray) -> np.ndarray:
    return eta + rng.normal(size=len(eta)) * np.hypot(standard_error, rng.uniform(0.0, 1.5))


def student(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return eta + np.exp(rng.normal()) * rng.standard_t(np.exp(rng.uniform(0.7, 3.5)), size=len(eta))


def double_exponential(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return eta + np.exp(rng.normal()) * rng.laplace(size=len(eta))


def yes_no(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)


def classes(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    scores = np.stack([np.zeros(len(eta)), eta, rng.normal() - 0.5 * eta]) + rng.gumbel(size=(3, len(eta)))
    return np.array(["a", "b", "c"])[scores.argmax(axis=0)]


def successes(rng: np.random.Generator, eta: np.ndarray, *, trials: np.ndarray) -> np.ndarray:
    return rng.binomial(trials.astype(int), 1.0 / (1.0 + np.exp(-eta))).astype(float)


def counts(
    rng: np.random.Generator, eta: np.ndarray, *, exposure: np.ndarray | float = 1.0, **_: Any
) -> np.ndarray:
    return rng.poisson(exposure * np.exp(eta + 1.0)).astype(float)


def overdispersed(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    phi = np.exp(rng.uniform(np.log(0.3), np.log(30.0)))
    return rng.poisson(np.exp(eta + 1.0) * rng.gamma(phi, 1.0 / phi, size=len(eta))).astype(float)


def amounts(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    shape = np.exp(rng.uniform(-0.5, 3.0))
    return np.exp(eta) * rng.gamma(shape, 1.0 / shape, size=len(eta)) + 1e-12


def waits(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    return rng.wald(np.exp(eta), np.exp(eta.mean() + rng.uniform(-0.5, 3.0)))


def shares(rng: np.random.Generator, eta: np.ndarray, **_: Any) -> np.ndarray:
    mean, precision = 1.0 / (1.0 + np.exp(-eta)), np.exp(rng.uniform(1.0, 4.0))
    return np.clip(rng.beta(mean * precision, (1.0 - mean) * precision), 1e-9, 1.0 - 1e-9)


def kind(
    model: Callable[..., Any],
    respond: Any,
    level: float,
    effect: float,
    *,
    other: Any = None,
    **settings: Any,
) -> Kind:
    return Kind(model, respond, level, effect, settings, **(other or {}))


LINEAR = BayesianLinearRegression
LOGISTIC = BayesianLogisticRegression
POISSON = BayesianPoissonRegressor
NEGATIVE_BINOMIAL = BayesianNegativeBinomialRegressor
ROBUST = BayesianRobustRegression
WIDE = {"columns": (4, 8)}
FACTORS = {"factors": True}
ERRORS = {"bring": lambda rng, n: {"standard_error": rng.uniform(0.1, 1.5, n)}}
TRIALS = {"bring": lambda rng, n: {"trials": rng.integers(1, 20, n).astype(float)}}
EXPOSURE = {"bring": lambda rng, n: {"exposure": rng.uniform(0.5, 5.0, n)}}
PLENTY = {"rows": (200, 500), "columns": (1, 4)}

KINDS = {
    "linear": kind(LINEAR, normal, 10, 1),
    "linear, formula with factors": kind(LINEAR, normal, 10, 1, other=FACTORS),
    "linear, two responses": kind(LINEAR, several, 10, 1),
    "linear, precisions": kind(LINEAR, normal, 10, 1, weights_type="precision"),
    "linear, flat": kind(LINEAR, normal, 10, 1, prior="flat", intercept_prior="flat"),
    "linear, t": kind(LINEAR, normal, 10, 1, prior="student_t"),
    "linear, Cauchy": kind(LINEAR, normal, 10, 1, prior="cauchy"),
    "linear, Laplace": kind(LINEAR, normal, 10, 1, prior="laplace"),
    "linear, positive": kind(LINEAR, normal, 10, 1, positive=True),
    "linear, learnt scale": kind(LINEAR, normal, 10, 1, prior_scale="learn"),
    "linear, a scale a term": kind(LINEAR, normal, 10, 1, other=FACTORS, prior_scale="learn by term"),
    "linear, horseshoe": kind(LINEAR, normal, 10, 1, other=WIDE, prior="horseshoe"),
    "linear, R2D2": kind(LINEAR, normal, 10, 1, other=WIDE, prior="r2d2"),
    "linear, rstanarm": kind(LINEAR, normal, 10, 1, prior="rstanarm"),
    "linear, arm": kind(LINEAR, normal, 10, 1, prior="arm"),
    "logistic": kind(LOGISTIC, yes_no, 1, 0.7),
    "logistic, flat": kind(LOGISTIC, yes_no, 0.5, 0.5, other=PLENTY, prior="flat", intercept_prior="flat"),
    "logistic, Cauchy": kind(LOGISTIC, yes_no, 1, 0.7, prior="cauchy"),
    "logistic, arm": kind(LOGISTIC, yes_no, 1, 0.7, prior="arm"),
    "logistic, Laplace": kind(LOGISTIC, yes_no, 1, 0.7, prior="laplace"),
    "logistic, learnt scale": kind(LOGISTIC, yes_no, 1, 0.7, prior_scale="learn"),
    "logistic, horseshoe": kind(LOGISTIC, yes_no, 1, 0.7, other=WIDE, prior="horseshoe"),
    "logistic, R2D2": kind(LOGISTIC, yes_no, 1, 0.7, other=WIDE, prior="r2d2"),
    "three classes": kind(LOGISTIC, classes, 1, 0.7),
    "probit": kind(BayesianGLM, yes_no, 1, 0.7, family="bernoulli", link="probit"),
    "cloglog": kind(BayesianGLM, yes_no, 1, 0.7, family="bernoulli", link="cloglog"),
    "binomial": kind(BayesianGLM, successes, 1, 0.7, other=TRIALS, family="binomial"),
    "Poisson": kind(POISSON, counts, 1, 0.4),
    "Poisson, exposure": kind(POISSON, counts, 1, 0.4, other=EXPOSURE),
    "Poisson, positive": kind(POISSON, counts, 1, 0.4, prior=HalfNormal(1.0, autoscale=True), positive=True),
    "Poisson, learnt scale": kind(POISSON, counts, 1, 0.4, prior_scale="learn"),
    "Poisson, R2D2": kind(POISSON, counts, 1, 0.4, other=WIDE, prior="r2d2"),
    "negative binomial": kind(NEGATIVE_BINOMIAL, overdispersed, 1, 0.4),
    "negative binomial of Poisson counts": kind(NEGATIVE_BINOMIAL, counts, 1, 0.4),
    "gamma": kind(BayesianGammaRegressor, amounts, 2, 0.5),
    "gamma, t": kind(BayesianGammaRegressor, amounts, 2, 0.5, prior="student_t"),
    "inverse Gaussian": kind(BayesianGLM, waits, 1, 0.4, family="inverse_gaussian"),
    "beta": kind(BayesianGLM, shares, 1, 0.5, family="beta"),
    "robust": kind(ROBUST, student, 10, 1),
    "robust, normal noise": kind(ROBUST, normal, 10, 1),
    "robust, df=4": kind(ROBUST, student, 10, 1, df=4.0),
    "robust, positive": kind(ROBUST, student, 10, 1, positive=True),
    "Laplace noise": kind(BayesianGLM, double_exponential, 10, 1, family="laplace"),
    "Gaussian GLM": kind(BayesianGLM, normal, 10, 1, family="gaussian"),
    "Gaussian GLM, known errors": kind(BayesianGLM, shifted, 1, 1, other=ERRORS, family="gaussian"),
    "Gaussian GLM, t with df=3": kind(
        BayesianGLM, student, 10, 1, family=families.StudentT(df=3.0), prior=Normal(0, 1, autoscale=True)
    ),
}


def predictors(rng: np.random.Generator, n: int, p: int) -> np.ndarray:
    """Return columns of every sort, correlated, none constant, in units from 0.01 to 100."""
    X = rng.normal(size=(n, p)) @ (np.eye(p) + rng.uniform(0.0, 0.6) * rng.normal(size=(p, p)))
    for j in range(p):
        sort = rng.integers(5)
        if sort == 0:
            X[:, j] = np.floor(2.0 * X[:, j])
        elif sort == 1:
            X[:, j] = X[:, j] > np.quantile(X[:, j], rng.uniform(0.15, 0.85))
        elif sort == 2:
            X[:, j] = np.exp(0.5 * X[:, j])
        else:
            X[:, j] = 10.0 ** rng.uniform(-2, 2) * (X[:, j] + 3.0 * rng.normal())
    if p >= 3 and rng.random() < 0.3:
        X[:, :2] = np.eye(3)[rng.permutation(np.arange(n) % 3)][:, :2]
    return X


def data(case: Kind, rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any], str | None]:
    """Return X, y, what the rows bring, and a formula if there is one."""
    n, p = int(rng.integers(*case.rows, endpoint=True)), int(rng.integers(*case.columns, endpoint=True))
    X = predictors(rng, n, p)
    effects = case.effect * rng.normal(size=p) / X.std(axis=0)
    if case.settings.get("positive"):
        effects = np.abs(effects)
    eta = case.level * rng.normal() + (X - X.mean(axis=0)) @ effects
    rows = case.bring(rng, n) if case.bring else {}
    formula = None
    if case.factors:
        level = rng.permutation(np.arange(n) % int(rng.integers(2, 6)))
        eta = eta + case.effect * rng.normal(size=6)[level]
    y = case.respond(rng, eta, **rows)
    while len(np.unique(y)) < (3 if case.respond is classes else 2):
        y = case.respond(rng, eta, **rows)
    if rng.random() < 0.2:
        rows["sample_weight"] = rng.integers(1, 4, n).astype(float)
    if case.factors:
        X = pd.DataFrame(X, columns=[f"x{j}" for j in range(p)]).assign(group=np.array(list("uvwxyz"))[level])
        X["y"] = y
        formula = "y ~ C(group) + " + " + ".join(f"x{j}" for j in range(p))
        y = None
    return X, y, rows, formula


def fit(name: str, number: int) -> tuple[str, int, list[str], str | None, float]:
    """Fit one model; return what it warned of, or the reason why it was refused."""
    case = KINDS[name]
    rng = np.random.default_rng([SEED, list(KINDS).index(name), number])
    X, y, rows, formula = data(case, rng)
    settings = dict(case.settings) if formula is None else {"formula": formula, **case.settings}
    model = case.model(**settings, n_jobs=1, random_state=number, progressbar=False)
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y, **rows)
        except ValueError as error:
            return name, number, [], str(error), time.perf_counter() - started
    return name, number, [str(w.message) for w in caught], None, time.perf_counter() - started


def reason(text: str) -> str:
    """Return what a warning is about."""
    return next((word for word, sign in REASONS.items() if re.search(sign, text)), text[:60])


def bounds(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Clopper & Pearson 1934)."""
    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    return low, 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))


def line(name: str, k: int, n: int, refused: int, about: Counter[str], seconds: float) -> str:
    low, high = bounds(k, n) if n else (0.0, 1.0)
    said = ", ".join(f"{word} {times}" for word, times in about.most_common()) or "-"
    return f"| {name} | {n} | {k} | {100 * low:.2f}-{100 * high:.2f} % | {said} | {refused} | {1000 * seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=200, help="of each kind")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="run only kinds whose name holds one of these, by |")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    print("| model | fits | warned | 95 % | about | not fitted | ms a fit |\n|---|---|---|---|---|---|---|")
    total, warned = 0, 0
    every: Counter[str] = Counter()
    for name in KINDS:
        if not re.search(options.only, name):
            continue
        numbers = range(options.first, options.first + options.fits)
        found = Parallel(n_jobs=options.jobs)(delayed(fit)(name, number) for number in numbers)
        done = [one for one in found if one[3] is None]
        about: Counter[str] = Counter()
        for _, number, texts, refusal, _ in found:
            about.update({reason(text) for text in texts})
            if options.show:
                for text in [*texts, *([] if refusal is None else [refusal])]:
                    print(f"    {name} {number}: {text}")
        k = sum(bool(one[2]) for one in done)
        seconds = float(np.mean([one[4] for one in found]))
        print(line(name, k, len(done), len(found) - len(done), about, seconds), flush=True)
        total, warned, every = total + len(done), warned + k, every + about
    print(line("**all**", warned, total, 0, every, 0.0))
    # The lower end of a one-sided interval of 99.9 %: more than one in two hundred is no chance.
    if warned and beta.ppf(0.001, warned, total - warned + 1) > 0.005:
        sys.exit("too many fits warned")


if __name__ == "__main__":
    main()

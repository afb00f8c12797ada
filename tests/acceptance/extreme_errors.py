"""How far a fit is off its oracle, in posterior standard deviations, and off a line that fits perfectly."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from mpmath import mp, mpf

from bayesglm import BayesianLinearRegression
from tests.acceptance.exact_posterior import ExactModel, ExactPosterior
from tests.acceptance.extreme_case import Case

EPS = float(np.finfo(float).eps)
#: Draws a chain: enough for means to be compared, and quick.
DRAWS = 200


def fit(case: Case, **settings) -> tuple[BayesianLinearRegression, list[str]]:
    """Return the fitted estimator and what it warned of."""
    settings = {"draws": DRAWS, "random_state": 0, "progressbar": False, **case.settings, **settings}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = BayesianLinearRegression(**settings)
        model.fit(case.X if case.given is None else case.given, case.y, case.weights)
    # So few draws are asked for that tails are known badly: that warning is right.
    return model, [str(w.message) for w in caught if "effective sample size" not in str(w.message)]


def oracle(case: Case) -> ExactPosterior:
    """Return the exact posterior."""
    return ExactPosterior(ExactModel(case.X, case.y, case.weights, **case.model))


def new_rows(case: Case) -> np.ndarray:
    """Return rows to predict: two of the data, and one beyond them."""
    used = case.X if case.weights is None else case.X[np.asarray(case.weights) > 0.0]
    first, second = used[0], used[min(1, len(used) - 1)]
    with np.errstate(over="ignore"):
        return np.array([first, second, first + 2.0 * (second - first)])


def errors(case: Case, model: BayesianLinearRegression, truth: ExactPosterior) -> dict[str, float]:
    """Return how far means are off in standard deviations, and standard deviations relatively.

    What a double, or a sum of doubles of the sizes at hand, rounds is taken off first: `coef_` is one number, and a
    prediction the sum of an intercept and products.
    """
    found = model.posterior_.exact
    off: dict[str, float] = {}
    means = truth.model.means[:-1]
    coef = truth.mean["coef"]

    def enter(name: str, value: float, mean: mpf, sd: mpf | None, rounded: mpf) -> None:
        gap = max(abs(mpf(float(value)) - mean) - 4 * mpf(EPS) * rounded, mpf(0))
        off[name] = float(gap / (abs(mean) if sd is None else sd)) if gap else 0.0

    for j, (m, s) in enumerate(zip(coef, truth.sd["coef"], strict=True)):
        enter(f"coef[{j}]", model.coef_[j], m, s, abs(m))
        enter(f"sd(coef[{j}])", found.sd["coef"][j], s, None, mpf(0))
    if "Intercept" in truth.mean:
        m, s = truth.mean["Intercept"], truth.sd["Intercept"]
        size = (
            abs(m)
            + abs(truth.model.means[-1])
            + mp.fsum(abs(a * b) for a, b in zip(means, coef, strict=True))
        )
        enter("Intercept", model.intercept_, m, s, size)
        enter("sd(Intercept)", found.sd["Intercept"], s, None, mpf(0))
    enter("sigma", model.sigma_, truth.mean["sigma"], truth.sd["sigma"], truth.mean["sigma"])
    enter("sd(sigma)", found.sd["sigma"], truth.sd["sigma"], None, mpf(0))
    rows = new_rows(case)
    given = rows
    if hasattr(case.given, "columns"):
        given = (
            type(case.given)(rows, columns=case.given.columns) if rows.size else case.given.iloc[[0, 0, 0]]
        )
    mean, sd = model.predict(given, return_std=True)
    for i, row in enumerate(rows):
        m, s = truth.predict(row)
        size = abs(truth.mean.get("Intercept", mpf(0))) + mp.fsum(
            abs(mpf(float(x)) * b) for x, b in zip(row, coef, strict=True)
        )
        enter(f"predict[{i}]", mean[i], m, s, size)
        enter(f"sd(predict[{i}])", sd[i], s, None, mpf(0))
    return {name: value if np.isfinite(value) else np.inf for name, value in off.items()}


def least_errors(case: Case, model: BayesianLinearRegression) -> dict[str, float]:
    """Return the errors against the posterior of the data, or of the data nearby if those are less."""
    found = errors(case, model, oracle(case))
    if case.nearby is None or max(found.values()) < case.tolerance:
        return found
    nearby = errors(case, model, oracle(replace(case, X=case.nearby)))
    return min(found, nearby, key=lambda off: max(off.values()))


def perfect_errors(case: Case, model: BayesianLinearRegression) -> dict[str, float]:
    """Return how far a perfect fit's line and sigma are off y and 0, in units of what rounding leaves of y."""
    used = np.ones(len(case.y), bool) if case.weights is None else np.asarray(case.weights) > 0.0
    X, y = case.X[used], case.y[used]
    with mp.workdps(50):
        rounding = max(
            abs(mpf(float(b)))
            + mp.fsum(abs(mpf(float(c)) * mpf(float(x))) for c, x in zip(model.coef_, row, strict=True))
            for b, row in zip(y, X, strict=True)
        )
    rounding = float(rounding) * EPS if rounding else EPS
    fitted = model.predict(X)
    sd = model.posterior_.exact.sd
    off = {
        "line": np.abs(fitted - y).max() / rounding,
        "sigma": model.sigma_ / rounding,
        "sd(sigma)": sd["sigma"] / rounding,
    }
    return {
        name: float(value) if np.isfinite(value) and value >= 0.0 else np.inf for name, value in off.items()
    }


def standard_scores(model: BayesianLinearRegression, truth: ExactPosterior) -> dict[str, float]:
    """Return how far the draws' means are off, in Monte Carlo standard errors."""
    posterior = model.posterior_
    means = [truth.mean[name] for name in ("Intercept",) if name in truth.mean]
    means = [*means, *truth.mean["coef"], truth.mean["sigma"]]
    found = {}
    draws = posterior.stacked()
    for name, values, mean, mcse in zip(
        posterior.names, draws, means, posterior.diagnostics.mcse_mean, strict=True
    ):
        rounding = 64.0 * EPS * float(np.abs(values).max())
        found[name] = float((mpf(float(values.mean())) - mean) / mp.hypot(mcse, rounding))
    return found

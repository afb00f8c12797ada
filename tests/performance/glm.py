"""What other likelihoods cost: whole posteriors beside scikit-learn's point estimates, one gradient beside BLAS.

Run ``python tests/performance/glm.py`` on a quiet machine; names of sections may be given to run only those. Times
are medians after a warm-up call, with the fastest in brackets. Aims are those of the issue that asked for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from threadpoolctl import threadpool_limits
from timing import milliseconds, run_sections, times
from workloads import regression

from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, BayesianPoissonRegressor
from bayesglm.families import Bernoulli, Poisson
from bayesglm.kernel.design import make_design
from bayesglm.kernel.regression import RegressionTarget


def rows(n: int, p: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictors, and a response of zeros and ones or counts."""
    X, _ = regression(n, p)
    rng = np.random.default_rng(1)
    eta = X @ rng.normal(scale=0.5 / np.sqrt(p), size=p)
    if kind == "logistic":
        return X, (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return X, rng.poisson(np.exp(eta)).astype(float)


def tell(name: str, model: Any, spent: np.ndarray, aim: str) -> None:
    """Print what a fit took and what its draws are worth."""
    found = model.posterior_
    print(
        f"{name}: {milliseconds(spent)}, aim {aim}; {found.how}, ESS bulk {found.diagnostics.ess_bulk.min():,.0f} "
        f"tail {found.diagnostics.ess_tail.min():,.0f}"
    )


def small() -> None:
    """4 x 1000 draws from a thousand rows, by batches and by NUTS."""
    for kind, p, estimator, aims in (
        ("logistic", 10, BayesianLogisticRegression, ("50 ms", "200 ms")),
        ("poisson", 5, BayesianPoissonRegressor, ("50 ms", "-")),
    ):
        X, y = rows(1_000, p, kind)
        for sampler, aim in zip(("auto", "nuts"), aims, strict=True):
            model = estimator(sampler=sampler, random_state=0)
            (spent,) = times([lambda: model.fit(X, y)], 15)  # noqa: B023 - called at once
            tell(f"{kind} 1,000 x {p}, sampler={sampler!r}", model, spent, aim)


def large() -> None:
    """A hundred thousand rows, beside the point estimate in the same run."""
    for kind, estimator, point in (
        ("logistic", BayesianLogisticRegression, LogisticRegression(C=6.25)),
        ("poisson", BayesianPoissonRegressor, PoissonRegressor(alpha=1e-6, solver="newton-cholesky")),
    ):
        X, y = rows(100_000, 20, kind)
        model = estimator(random_state=0)
        ours, theirs = times([lambda: model.fit(X, y), lambda: point.fit(X, y)], 3)  # noqa: B023
        tell(f"{kind} 100,000 x 20", model, ours, "2,500 ms")
        print(
            f"  {type(point).__name__}.fit {milliseconds(theirs)}: {np.median(ours) / np.median(theirs):.0f} times"
        )


def large_nuts() -> None:
    """The same by NUTS alone."""
    X, y = rows(100_000, 20, "logistic")
    model = BayesianLogisticRegression(sampler="nuts", random_state=0)
    (spent,) = times([lambda: model.fit(X, y)], 1)
    tell("logistic 100,000 x 20, sampler='nuts'", model, spent, "20,000 ms")


def million() -> None:
    """A million rows and fifty columns."""
    X, y = rows(1_000_000, 50, "logistic")
    model, point = BayesianLogisticRegression(random_state=0), LogisticRegression(C=6.25)
    ours, theirs = times([lambda: model.fit(X, y), lambda: point.fit(X, y)], 1)
    tell("logistic 1,000,000 x 50", model, ours, "20,000 ms")
    print(f"  LogisticRegression.fit {milliseconds(theirs)}")


def gradient() -> None:
    """One gradient over the two products with X that it contains, one thread."""
    X, y = rows(100_000, 20, "logistic")
    coef, residual = np.zeros(20), np.zeros(100_000)
    with threadpool_limits(1):
        for family in (Bernoulli(), Poisson()):
            for dtype in (np.float64, np.float32):
                target = RegressionTarget(make_design(X, dtype=dtype), family, y)
                q = np.full(target.dim, 0.01)
                ours, blas = times([lambda: target(q), lambda: (X @ coef, X.T @ residual)], 51)  # noqa: B023
                ratio = np.median(ours) / np.median(blas)
                print(
                    f"gradient, {type(family).__name__}, {np.dtype(dtype).name}: {milliseconds(ours)} over X@b + X.T@r "
                    f"{milliseconds(blas)}: {ratio:.2f}, aim 1.0"
                )


def horseshoe() -> None:
    """Ten signals among two hundred predictors."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 200))
    y = X[:, :10] @ rng.normal(scale=2.0, size=10) + rng.normal(size=500)
    model = BayesianLinearRegression(prior="horseshoe", random_state=0)
    (spent,) = times([lambda: model.fit(X, y)], 1)
    found = model.posterior_
    print(
        f"horseshoe 500 x 200: {milliseconds(spent)}, aim 20,000 ms; {found.n_divergences} divergences, "
        f"R-hat {found.diagnostics.rhat.max():.4f}"
    )


def learned() -> None:
    """A learned scale, collapsed to two dimensions."""
    X, y = regression(1_000, 50)
    model = BayesianLinearRegression(prior_scale="learn", random_state=0)
    (spent,) = times([lambda: model.fit(X, y)], 7)
    tell("normal, prior_scale='learn', 1,000 x 50", model, spent, "-")


def dummies() -> None:
    """A factor of five hundred levels."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 500, 5_000)
    X = (group[:, np.newaxis] == np.arange(1, 500)).astype(float)
    y = rng.poisson(np.exp(rng.normal(size=500)[group]))
    model = BayesianPoissonRegressor(random_state=0)
    (spent,) = times([lambda: model.fit(X, y)], 1)
    tell("poisson 5,000 x 499 dummies", model, spent, "-")


if __name__ == "__main__":
    run_sections([small, large, gradient, learned, horseshoe, large_nuts, million, dummies])

"""Regressions of 500 rows (or so) and many columns: seconds, steps of a trajectory and R-hat, by columns or by model.

python -m tests.performance.many_columns [100 200 400 700 2000]        logistic regression, default priors, 200 draws
python -m tests.performance.many_columns --models [--only NAME]     models and priors, 100 draws each

A model that has not ended after ``--limit`` seconds (300) is stopped as by Ctrl-C.
"""

import argparse
import signal
import time
import warnings
from typing import Any

import numpy as np

from bayesglm import (
    R2D2,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    Horseshoe,
    StudentT,
)

#: By name: what responses are, class, parameters.
MODELS: dict[str, tuple[str, type, dict[str, Any]]] = {
    "linear": ("real", BayesianLinearRegression, {}),
    "linear, learned scale": ("real", BayesianLinearRegression, {"prior_scale": "learn"}),
    "linear, Student t": ("real", BayesianLinearRegression, {"prior": StudentT(4, 0, 1)}),
    "linear, Laplace": ("real", BayesianLinearRegression, {"prior": "laplace"}),
    "linear, horseshoe": ("real", BayesianLinearRegression, {"prior": Horseshoe()}),
    "linear, R2D2": ("real", BayesianLinearRegression, {"prior": R2D2()}),
    "linear, positive": ("real", BayesianLinearRegression, {"positive": True}),
    "logistic": ("binary", BayesianLogisticRegression, {}),
    "logistic, three classes": ("classes", BayesianLogisticRegression, {}),
    "logistic, learned scale": ("binary", BayesianLogisticRegression, {"prior_scale": "learn"}),
    "logistic, Student t": ("binary", BayesianLogisticRegression, {"prior": StudentT(4, 0, 1)}),
    "logistic, Laplace": ("binary", BayesianLogisticRegression, {"prior": "laplace"}),
    "logistic, horseshoe": ("binary", BayesianLogisticRegression, {"prior": Horseshoe()}),
    "logistic, R2D2": ("binary", BayesianLogisticRegression, {"prior": R2D2()}),
    "logistic, positive": ("binary", BayesianLogisticRegression, {"positive": True}),
    "Poisson": ("counts", BayesianGLM, {"family": "poisson"}),
    "negative binomial": ("counts", BayesianGLM, {"family": "negative_binomial"}),
}


def data(kind: str, p: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose first columns have an effect, and responses of a kind."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    eta = X[:, 0] - X[:, 1]
    if kind == "binary":
        return X, (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    if kind == "classes":
        return X, np.digitize(eta + rng.logistic(size=n), [-1.0, 1.0])
    return X, rng.poisson(np.exp(0.5 * eta)).astype(float) if kind == "counts" else eta + rng.normal(size=n)


def measure(label: str, model: Any, X: np.ndarray, y: np.ndarray) -> None:
    """Fit, and print what it took."""
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so few draws
            part = model.fit(X, y).posterior_
    except KeyboardInterrupt:
        print(f"{label:26s}  stopped after {time.perf_counter() - begin:.0f} s", flush=True)
        return
    seconds, rhat = time.perf_counter() - begin, part.diagnostics.rhat.max()
    steps = part.stats["n_steps"].mean()
    print(f"{label:26s}  {seconds:6.1f} s  {steps:5.0f} steps  R-hat {rhat:.2f}  {part.how}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, default=[100, 200, 400, 700, 2000])
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--only", default="", help="models whose names hold this")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--draws", type=int, default=100, help="of each model")
    parser.add_argument("--tune", type=int, help="default: as many as it needs")
    parser.add_argument("--limit", type=int, default=300)
    arguments = parser.parse_args()
    common = {"random_state": 0, "progressbar": False}
    if not arguments.models:
        for p in arguments.numbers:
            measure(f"{p} columns", BayesianLogisticRegression(draws=200, **common), *data("binary", p))
        return
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for name, (kind, estimator, params) in MODELS.items():
        if arguments.only not in name:
            continue
        signal.alarm(arguments.limit)
        model = estimator(draws=arguments.draws, tune=arguments.tune, **params, **common)
        measure(name, model, *data(kind, arguments.columns, arguments.rows))
        signal.alarm(0)


if __name__ == "__main__":
    main()

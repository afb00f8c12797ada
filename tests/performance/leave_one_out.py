"""Time and memory of leave-one-out for data of size, and how far it is from ArviZ's; run on request.

    python -m tests.performance.leave_one_out [counts] [line] [classes] [against_arviz]

Without names all but `against_arviz`, which needs minutes and 5 GB. Data are simulated, 20,190 rows with three
predictors, as many as the counts of doctor visits of the RAND health insurance experiment have.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np

from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, BayesianNegativeBinomialRegressor
from bayesglm.model_selection import loo
from tests.performance.timing import in_fresh_process

N_ROWS = 20_190


def fitted(kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a model of simulated data, fitted, and the data."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 3))
    line = 0.5 + X @ [0.3, -0.2, 0.1]
    if kind == "counts":
        y = rng.poisson(rng.gamma(0.7, size=N_ROWS) / 0.7 * np.exp(line))
        return BayesianNegativeBinomialRegressor(random_state=0).fit(X, y), X, y
    if kind == "classes":
        y = (rng.random(N_ROWS) < 1.0 / (1.0 + np.exp(-line))).astype(int)
        return BayesianLogisticRegression(random_state=0).fit(X, y), X, y
    y = line + rng.normal(size=N_ROWS)
    return BayesianLinearRegression(random_state=0).fit(X, y), X, y


def measure(kind: str) -> None:
    """Print the seconds of `loo`, those of all processors, and by how much memory grew."""
    model, X, y = fitted(kind)
    loo(model, X[:100], y[:100])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_all = time.perf_counter(), time.process_time()
    loo(model, X, y)
    seconds, all_seconds = time.perf_counter() - start, time.process_time() - start_all
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
    print(
        f"{kind:8} {seconds:6.2f} s, of all processors {all_seconds:6.2f} s, {grown:6.1f} MB more than after fit"
    )


def against_arviz() -> None:
    """Print ArviZ's seconds for the counts, and the largest differences."""
    import arviz as az

    model, X, y = fitted("counts")
    ours = loo(model, X, y)
    start = time.perf_counter()
    theirs = az.loo(model.to_arviz(X, y), pointwise=True)
    shares = theirs.elpd_i if hasattr(theirs, "elpd_i") else theirs.loo_i
    print(
        f"ArviZ {time.perf_counter() - start:.1f} s; largest difference of elpd "
        f"{np.abs(np.asarray(shares) - ours.elpd_i).max():.1e}, of k "
        f"{np.abs(np.asarray(theirs.pareto_k) - ours.pareto_k).max():.1e}"
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or ["counts", "line", "classes"]:
        if name == "against_arviz":
            against_arviz()
        else:
            # Of a process by itself, since memory is that of the largest moment so far.
            print(
                in_fresh_process(
                    f"from tests.performance import leave_one_out as it; it.measure({name!r})"
                ).strip()
            )

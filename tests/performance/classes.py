"""Logistic regressions of many classes at the defaults: seconds, seconds of the processor, steps, effective draws.

python -m tests.performance.classes [--rows 442] [--columns 10] [5 20 40]
"""

import argparse
import time
import warnings

import numpy as np

from bayesglm import BayesianLogisticRegression


def data(n: int, p: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and classes, each of which occurs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    scores = X @ (0.5 * rng.normal(size=(p, n_classes))) + rng.gumbel(size=(n, n_classes))
    y = scores.argmax(axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("classes", nargs="*", type=int, default=[5, 20, 40])
    parser.add_argument("--rows", type=int, default=442)
    parser.add_argument("--columns", type=int, default=10)
    options = parser.parse_args()
    for n_classes in options.classes:
        X, y = data(options.rows, options.columns, n_classes)
        wall, used = time.perf_counter(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = BayesianLogisticRegression(random_state=0).fit(X, y)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        posterior = model.posterior_
        ess, rhat = posterior.diagnostics.ess_bulk.min(), posterior.diagnostics.rhat.max()
        print(
            f"{n_classes:3d} classes  {wall:6.1f} s  {used:6.1f} s of the processor  {posterior.how:5s}  "
            f"{posterior.stats['n_steps'].mean():5.1f} steps  ESS {ess:6.0f}  R-hat {rhat:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

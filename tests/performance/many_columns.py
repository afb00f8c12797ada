"""Logistic regressions of 500 rows and more and more columns: seconds and steps of a trajectory.

python -m tests.performance.many_columns [100 200 400]

NUTS learns no covariance beyond 200 dimensions, and trajectories grow: the script shows by how much.
"""

import sys
import time
import warnings

import numpy as np

from bayesglm import BayesianLogisticRegression


def main() -> None:
    for p in [int(word) for word in sys.argv[1:]] or [100, 200, 400]:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(500, p))
        y = (rng.random(500) < 1.0 / (1.0 + np.exp(-X[:, 0]))).astype(float)
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so few draws
            model = BayesianLogisticRegression(draws=200, random_state=0, progressbar=False).fit(X, y)
        seconds, part = time.perf_counter() - begin, model.posterior_
        print(
            f"{p:5d} columns  {seconds:6.1f} s  {part.stats['n_steps'].mean():5.0f} steps  {part.how}",
            flush=True,
        )


if __name__ == "__main__":
    main()

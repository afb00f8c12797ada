"""What linear regression costs: fits, effective draws and memory, beside scikit-learn in the same run.

Run ``python tests/performance/linear.py`` on a quiet machine; names of sections may be given to run only
those. Times are medians after a warm-up call, with the fastest in brackets; ratios are of medians taken
alternately.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from joblib import cpu_count
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from timing import in_fresh_process, milliseconds, run_sections, times
from workloads import autoregressive, regression, tutorial

from bayesglm import BayesianLinearRegression, HalfCauchy, Normal
from bayesglm.inference import canonical
from bayesglm.inference.canonical import canonical_rows
from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.moments import gather
from bayesglm.inference.sufficient import summarize

TUTORIAL: dict[str, Any] = {
    "prior": Normal(0, 20),
    "intercept_prior": Normal(0, 20),
    "center": False,
    "sigma_prior": HalfCauchy(10),
    "draws": 3000,
}


def tutorial_model() -> None:
    """The tutorial's model: 4 chains of 3,000 draws."""
    X, y = tutorial()
    model = BayesianLinearRegression(random_state=0, **TUTORIAL)
    (spent,) = times([lambda: model.fit(X, y)], 41)
    ess = model.posterior_.diagnostics.ess_bulk.min()
    print(f"tutorial, 4 x 3000 draws: fit {milliseconds(spent)}, aim 18")
    print(
        f"  bulk ESS of the worst parameter {ess:,.0f}: {ess / np.median(spent):,.0f} per second, aim 900,000"
    )


def small_fits() -> None:
    """Fits of 4 x 1000 draws at the defaults."""
    for name, (X, y), aim in [
        ("1,000 x 10", regression(1_000, 10), 15),
        ("10,000 x 50, AR(0.95)", autoregressive(10_000, 50, 0.95), 40),
    ]:
        model = BayesianLinearRegression(random_state=0)
        (spent,) = times([lambda: model.fit(X, y)], 21)  # noqa: B023 - called at once
        worst = model.posterior_.diagnostics
        print(
            f"{name}: fit {milliseconds(spent)}, aim {aim}; bulk ESS {worst.ess_bulk.min():,.0f}, "
            f"tail ESS {worst.ess_tail.min():,.0f}"
        )


def against_point_estimates() -> None:
    """Whole posteriors against scikit-learn's point estimates."""
    for n, p, repeats, aims in [(100_000, 20, 15, (0.7, None)), (1_000_000, 50, 5, (0.2, 1.0))]:
        X, y = regression(n, p)
        calls = [
            lambda: BayesianLinearRegression(random_state=0).fit(X, y),  # noqa: B023
            lambda: LinearRegression().fit(X, y),  # noqa: B023
            lambda: Ridge().fit(X, y),  # noqa: B023
        ]
        ours, least_squares, ridge = times(calls, repeats)
        print(f"{n:,} x {p}: fit {milliseconds(ours)}")
        for name, theirs, aim in [("LinearRegression", least_squares, aims[0]), ("Ridge", ridge, aims[1])]:
            ratio = np.median(ours) / np.median(theirs)
            print(f"  {name} {milliseconds(theirs)}: ratio {ratio:.2f}" + (f", aim {aim}" if aim else ""))


def data_pass() -> None:
    """The pass over the data, against a bare product of the same matrix with as many threads."""
    X, y = regression(1_000_000, 50)
    bare, ours = times([lambda: X.T @ X, lambda: summarize(X, y, n_threads=cpu_count())], 9)
    ratio = np.median(ours) / np.median(bare)
    print(f"1,000,000 x 50: pass over the data {milliseconds(ours)}, X.T @ X {milliseconds(bare)}")
    print(f"  ratio {ratio:.2f}, aim 1.5")


def canonical_order() -> None:
    """Bringing rows into canonical order, against the pass over them that follows."""
    for n, p in [(1_000, 10), (10_000, 50), (100_000, 20)]:
        X, y = regression(n, p)
        Y = y[:, np.newaxis]
        rows = canonical_rows(X, Y, None)
        largest, canonical.LARGEST = canonical.LARGEST, 0
        ordering, reading = times([lambda: canonical_rows(X, Y, None), lambda: gather(*rows)], 15)  # noqa: B023
        canonical.LARGEST = largest
        used = "" if X.size + n <= largest and n <= canonical.MOST_ROWS else ", not done for so many"
        print(f"{n:,} x {p}: canonical order {milliseconds(ordering)}{used}, pass {milliseconds(reading)}")


def flat_in_rows() -> None:
    """Time of sampling alone, whatever the number of rows."""
    models = [BayesianLinearRegression(random_state=0) for _ in range(3)]
    data = [regression(n, 20) for n in (10_000, 100_000, 1_000_000)]
    times([lambda: [model.fit(*d) for model, d in zip(models, data, strict=True)]], 1)
    spent = np.empty((3, 15))
    for r in range(spent.shape[1]):
        for i, (model, d) in enumerate(zip(models, data, strict=True)):
            spent[i, r] = model.fit(*d).posterior_.seconds
    middle = np.median(spent, axis=1)
    for (X, _), seconds in zip(data, spent, strict=True):
        print(f"{len(X):,} x 20: sampling {milliseconds(seconds)}")
    print(f"  largest over smallest {middle.max() / middle.min():.2f}, aim 1.2")


def diagnostics() -> None:
    """Convergence diagnostics against the sampling they judge, on one thread each."""
    model = BayesianLinearRegression(random_state=0, n_jobs=1).fit(*autoregressive(10_000, 50, 0.95))
    stacked, route, settings = model.posterior_.stacked(), model._routes[0], model.posterior_.settings
    judging, sampling = times([lambda: diagnose(stacked), lambda: route.more(1000, settings)], 15)
    print(f"p = 50, 4 x 1000 draws: diagnostics {milliseconds(judging)}, sampling {milliseconds(sampling)}")


def memory() -> None:
    """Peak memory of a fit beyond the data, in a process of its own."""
    code = (
        "import sys, tracemalloc; sys.path.insert(0, 'tests/performance')\n"
        "from bayesglm import BayesianLinearRegression\n"
        "from workloads import regression\n"
        "BayesianLinearRegression().fit(*regression(1000, 50))\n"
        "X, y = regression(1_000_000, 50)\n"
        "tracemalloc.start()\n"
        "BayesianLinearRegression().fit(X, y)\n"
        "print(tracemalloc.get_traced_memory()[1] / 2**20)"
    )
    print(f"1,000,000 x 50 (400 MB): {float(in_fresh_process(code)):.0f} MB beyond the data, aim 100")


def grid_search() -> None:
    """A hundred fits: 20 prior scales in 5 folds on diabetes."""
    X, y = load_diabetes(return_X_y=True)
    search = GridSearchCV(
        BayesianLinearRegression(random_state=0), {"prior_scale": np.logspace(-3, 1, 20)}, cv=5, n_jobs=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (spent,) = times([lambda: search.fit(X, y)], 3)
    print(f"GridSearchCV, 20 prior scales x 5 folds on diabetes: {np.median(spent):.2f} s, aim 2.5")


def start_up() -> None:
    """Import, and a fresh process from import to the tutorial's draws."""
    code = (
        "import time; import sklearn.linear_model; start = time.perf_counter(); import bayesglm\n"
        "print(time.perf_counter() - start)"
    )
    own = sorted(float(in_fresh_process(code)) for _ in range(7))[3]
    print(f"import bayesglm after sklearn.linear_model: {own:.3f} s, aim 0.1")
    fresh = (
        "import numpy as np; from bayesglm import BayesianLinearRegression, Normal, HalfCauchy\n"
        "x = np.linspace(0, 1, 200); y = 1 + 2 * x + np.random.default_rng(0).normal(0, 0.5, 200)\n"
        "BayesianLinearRegression(prior=Normal(0, 20), intercept_prior=Normal(0, 20), center=False,\n"
        "    sigma_prior=HalfCauchy(10), draws=3000, random_state=0).fit(x[:, None], y); print(0)"
    )
    for name, script, aim in [
        ("scikit-learn's import alone", "import sklearn.linear_model; print(0)", None),
        ("import to the tutorial's draws", fresh, 1.7),
    ]:
        spent = []
        for _ in range(7):
            start = time.perf_counter()
            in_fresh_process(script)
            spent.append(time.perf_counter() - start)
        print(f"fresh process, {name}: {np.median(spent):.2f} s" + (f", aim {aim}" if aim else ""))


SECTIONS = [
    tutorial_model,
    small_fits,
    against_point_estimates,
    data_pass,
    canonical_order,
    flat_in_rows,
    diagnostics,
    memory,
    grid_search,
    start_up,
]

if __name__ == "__main__":
    run_sections(SECTIONS)

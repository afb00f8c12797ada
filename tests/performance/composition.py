"""What the estimator costs inside scikit-learn's machinery, beside scikit-learn and patsy in the same run.

Run ``python tests/performance/composition.py`` on a quiet machine; names of sections may be given to run
only those. Times are medians after a warm-up call, with the fastest in brackets; ratios are of medians taken
alternately.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from patsy import build_design_matrices, dmatrices
from sklearn.datasets import load_diabetes
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator
from timing import in_fresh_process, milliseconds, run_sections, times
from workloads import groups, regression

from bayesglm import BayesianLinearRegression

MIXED = "y ~ x + np.log(z) + C(g) + x:h"
NUMBERS = "y ~ x + np.log(z) + w"


def all_checks() -> None:
    """scikit-learn's checks of an estimator, at the defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A check that fails or is skipped takes its time all the same, and is named below.
        run: dict[str, Any] = {"on_fail": None, "on_skip": None}
        ours, ridge = times(
            [
                lambda: check_estimator(BayesianLinearRegression(), **run),
                lambda: check_estimator(BayesianRidge(), **run),
            ],
            3,
        )
        found = check_estimator(BayesianLinearRegression(), **run)
    print(f"check_estimator: {np.median(ours):.2f} s, aim 8; BayesianRidge {np.median(ridge):.2f} s")
    not_passed = [check["check_name"] for check in found if check["status"] != "passed"]
    print(f"  {len(found)} checks; not passed: {', '.join(not_passed) or 'none'}")


def grid_search() -> None:
    """A hundred fits on diabetes: 20 values of a parameter in 5 folds."""
    X, y = load_diabetes(return_X_y=True)
    searches = [
        GridSearchCV(model, {name: np.logspace(-3, 1, 20)}, cv=5, n_jobs=1)
        for model, name in [
            (BayesianLinearRegression(random_state=0), "prior_scale"),
            (BayesianRidge(), "lambda_init"),
        ]
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, ridge = times([lambda: searches[0].fit(X, y), lambda: searches[1].fit(X, y)], 5)
    ratio = np.median(ours) / np.median(ridge)
    print(f"GridSearchCV, 20 values x 5 folds on diabetes: prior_scale {milliseconds(ours)}")
    print(f"  lambda_init of BayesianRidge {milliseconds(ridge)}: ratio {ratio:.1f}")


def formulas() -> None:
    """Cross-validation of formula models on 100,000 rows, against what patsy alone takes for the same frames."""
    for formula, kind in [(MIXED, "object"), (MIXED, "str"), (MIXED, "category"), (NUMBERS, "object")]:
        frame = groups(100_000, kind)
        folds = [(frame.iloc[train], frame.iloc[test]) for train, test in KFold(5).split(frame)]
        model = BayesianLinearRegression(formula, random_state=0)

        def patsy_alone() -> None:
            for train, test in folds:  # noqa: B023 - called at once
                y, X = dmatrices(formula, train)  # noqa: B023
                build_design_matrices([y.design_info, X.design_info], test)

        whole, alone, one_fit = times(
            [
                lambda: cross_val_score(model, frame, cv=KFold(5)),  # noqa: B023
                patsy_alone,
                lambda: model.fit(folds[0][0]),  # noqa: B023
            ],
            5,
        )
        share = 1.0 - np.median(alone) / np.median(whole)
        print(f"{formula}, 100,000 rows, factors as {kind}: cross_val_score {milliseconds(whole)}")
        shown = f"{share:.0%}" if share > 0.0 else "nothing, patsy alone takes longer"
        print(f"  patsy alone {milliseconds(alone)}: our share {shown}, aim 20 %")
        print(f"  one fit {milliseconds(one_fit)}, of which sampling {1e3 * model.posterior_.seconds:.1f} ms")


def one_row() -> None:
    """Prediction of a single row, with and without a formula."""
    X, y = regression(1_000, 10)
    models: list[Any] = [BayesianLinearRegression(random_state=0).fit(X, y), LinearRegression().fit(X, y)]
    row = X[:1]
    calls = [lambda: models[0].predict(row), lambda: models[1].predict(row)]
    calls.append(lambda: models[0].predict(row, return_std=True))
    ours, linear, with_std = (1e6 * np.median(spent) for spent in times(calls, 2_000))
    print(f"predict, one row: {ours:.0f} µs, aim 100; LinearRegression {linear:.0f} µs")
    print(f"  with return_std {with_std:.0f} µs")
    frame = groups(1_000, "category")
    model = BayesianLinearRegression(MIXED, random_state=0).fit(frame)
    (spent,) = times([lambda: model.predict(frame.iloc[:1])], 200)
    print(f"  with the formula {MIXED}: {1e6 * np.median(spent):.0f} µs")


def many_rows() -> None:
    """Prediction of 1,000,000 rows of 20 predictors, and the memory that it takes."""
    X, y = regression(1_000_000, 20)
    model = BayesianLinearRegression(random_state=0).fit(X[:10_000], y[:10_000])
    linear = LinearRegression().fit(X[:10_000], y[:10_000])
    ours, theirs, with_std = times(
        [lambda: model.predict(X), lambda: linear.predict(X), lambda: model.predict(X, return_std=True)], 7
    )
    ratio = np.median(ours) / np.median(theirs)
    print(f"predict, 1,000,000 x 20: mean {milliseconds(ours)}, with return_std {milliseconds(with_std)}")
    print(f"  LinearRegression {milliseconds(theirs)}: ratio of the means {ratio:.2f}, aim 2")
    code = (
        "import sys, tracemalloc; sys.path.insert(0, 'tests/performance')\n"
        "from bayesglm import BayesianLinearRegression\n"
        "from workloads import regression\n"
        "X, y = regression(1_000_000, 20)\n"
        "model = BayesianLinearRegression().fit(X[:10_000], y[:10_000])\n"
        "for return_std in (False, True):\n"
        "    for n in (250_000, 1_000_000):\n"
        "        tracemalloc.start()\n"
        "        model.predict(X[:n], return_std=return_std)\n"
        "        print(tracemalloc.get_traced_memory()[1] / 2**20)\n"
        "        tracemalloc.stop()\n"
    )
    peaks = [float(line) for line in in_fresh_process(code).split()]
    for what, (some, all_rows), answer in [("mean", peaks[:2], 8), ("with return_std", peaks[2:], 15)]:
        print(
            f"  peak beyond the data (153 MB), {what}: {all_rows:.0f} MB, of which {answer} MB are the answer "
            f"(a quarter of the rows: {some:.0f} MB)"
        )


SECTIONS = [all_checks, grid_search, formulas, one_row, many_rows]

if __name__ == "__main__":
    run_sections(SECTIONS)

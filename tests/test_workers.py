"""Fits in worker processes, however they are started, and in threads of joblib: the same draws everywhere."""

import multiprocessing
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import bayesglm
from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, BayesianPoissonRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*fork.*:DeprecationWarning"
)

ROOT = Path(bayesglm.__file__).parents[1]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
LINE = X.sum(axis=1)
DATA = {
    "linear": (BayesianLinearRegression, LINE + RNG.normal(size=80)),
    "classes": (BayesianLogisticRegression, LINE > 0.3),
    "counts": (BayesianPoissonRegressor, RNG.poisson(np.exp(0.3 * LINE))),
}


def fit(name, n_jobs=None):
    kind, y = DATA[name]
    model = kind(draws=50, tune=50, chains=4, random_state=0, n_jobs=n_jobs)
    return model.fit(X, y).posterior_.draws["coef"]


@cache
def expected(name):
    return fit(name, 1)


METHODS = [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]

# A script of its own, since a spawned worker imports its parent's main module. The parent has fitted, with threads
# and with BLAS's, before it starts the workers.
SCRIPT = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from tests.test_workers import DATA, fit
if __name__ == "__main__":
    here = [fit(name, 2) for name in DATA]
    a = np.random.default_rng(0).normal(size=(300, 300))
    a @ a
    with multiprocessing.get_context(sys.argv[1]).Pool(1 + (sys.argv[1] == "fork")) as pool:
        jobs = [(name, n_jobs) for n_jobs in (None, 2) for name in DATA]
        there = pool.starmap_async(fit, jobs).get(timeout=300)
    assert all(np.array_equal(a, b) for a, b in zip(here * 2, there, strict=True))
    assert all(np.array_equal(a, fit(name)) for a, name in zip(here, DATA, strict=True))
    print("same")
"""


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_a_parent_that_has_fitted(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    found = subprocess.run(
        [sys.executable, str(script), method],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert found.stdout.strip() == "same", found.stderr


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_backends_of_joblib(backend):
    jobs = [(name, n_jobs) for name in DATA for n_jobs in (None, 2)]
    found = Parallel(n_jobs=2, backend=backend)(delayed(fit)(*job) for job in jobs)
    for (name, _), draws in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(draws, expected(name))


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, -2, -100, 10**6, np.int32(2), np.uint8(3)])
@pytest.mark.parametrize("name", DATA)
def test_n_jobs_of_every_kind(name, n_jobs):
    np.testing.assert_array_equal(fit(name, n_jobs), expected(name))


@pytest.mark.parametrize("n_jobs", [0, True, False, 2.0, np.float64(1.0), "2", "all", [2], np.array([1, 2])])
@pytest.mark.parametrize("name", DATA)
def test_n_jobs_of_no_kind(name, n_jobs):
    with pytest.raises((TypeError, ValueError), match=r"^n_jobs must"):
        fit(name, n_jobs)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("name", DATA)
def test_workers_that_start_threads(name, backend):
    kind, y = DATA[name]
    model = kind(draws=20, tune=50, random_state=0, n_jobs=2)
    alone = cross_val_score(clone(model).set_params(n_jobs=1), X, y, cv=3)
    with joblib.parallel_backend(backend, n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(model, X, y, cv=3, n_jobs=2), alone)

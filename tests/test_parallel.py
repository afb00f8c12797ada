"""Threads: how many a fit takes, and that results do not depend on it."""

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib import Parallel, cpu_count, delayed
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesglm
from bayesglm import BayesianLinearRegression
from bayesglm.parallel import one_blas_thread, thread_count

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROOT = Path(bayesglm.__file__).parents[1]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, X.sum(axis=1) + rng.normal(size=60)


def test_counts():
    assert thread_count(None, 4) == min(4, cpu_count())
    assert thread_count(None, 1) == 1
    assert thread_count(1, 4) == 1
    assert thread_count(3, 4) == 3
    assert thread_count(100, 4) == 4
    assert thread_count(np.int64(2), 4) == 2
    assert thread_count(-1, 10_000) == cpu_count()
    assert thread_count(-2, 10_000) == max(1, cpu_count() - 1)
    assert thread_count(-10_000, 4) == 1


@pytest.mark.parametrize(
    ("n_jobs", "error"),
    [(0, ValueError), ("all", TypeError), (1.5, TypeError), (True, TypeError), ([2], TypeError)],
)
def test_what_is_no_number_of_threads(n_jobs, error):
    with pytest.raises(error, match=r"^n_jobs must"):
        thread_count(n_jobs, 4)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_one_thread_inside_a_joblib_worker_unless_asked(backend):
    found = Parallel(n_jobs=2, backend=backend)(
        delayed(thread_count)(n_jobs, 4) for n_jobs in (None, None, 2)
    )
    assert found == [1, 1, 2]


def test_a_single_joblib_job_is_no_worker():
    found = Parallel(n_jobs=1)(delayed(thread_count)(None, 4) for _ in range(2))
    assert found == [min(4, cpu_count())] * 2


def test_threads_are_left_again_after_joblib():
    Parallel(n_jobs=2, backend="threading")(delayed(thread_count)(None, 4) for _ in range(2))
    assert thread_count(None, 4) == min(4, cpu_count())


@pytest.mark.parametrize("prior", [None, "laplace"])
def test_results_do_not_depend_on_the_number_of_threads(data, prior):
    fits = [
        BayesianLinearRegression(prior=prior, draws=100, random_state=5, n_jobs=n_jobs).fit(*data)
        for n_jobs in (1, 2, 4, -1, None)
    ]
    for fit in fits[1:]:
        for name, values in fits[0].posterior_.draws.items():
            np.testing.assert_array_equal(fit.posterior_.draws[name], values)
        for name, values in fits[0].posterior_.stats.items():
            np.testing.assert_array_equal(fit.posterior_.stats[name], values)
        np.testing.assert_array_equal(fit.predict(data[0]), fits[0].predict(data[0]))


def test_the_data_pass_does_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300_000, 8)) + 1e3
    y = X.sum(axis=1) + rng.normal(size=len(X))
    one, two = (BayesianLinearRegression(draws=10, random_state=0, n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.posterior_.draws["coef"], two.posterior_.draws["coef"])
    assert one.intercept_ == two.intercept_


def test_chains_do_not_depend_on_how_many_there_are(data):
    four, two = (BayesianLinearRegression(chains=n, draws=50, random_state=0).fit(*data) for n in (4, 2))
    np.testing.assert_array_equal(four.posterior_.draws["coef"][:2], two.posterior_.draws["coef"])


def test_n_jobs_threads_run_the_chains(data, monkeypatch):
    seen = set()
    import bayesglm.inference.sampling as sampling

    original = sampling._in_threads

    def watched(work, *args):
        def note(i):
            seen.add(threading.current_thread().name)
            work(i)

        return original(note, *args)

    monkeypatch.setattr(sampling, "_in_threads", watched)
    BayesianLinearRegression(draws=5_000, n_jobs=1, random_state=0).fit(*data)
    assert len(seen) == 1


def fit_in_worker(data, backend):
    fits = Parallel(n_jobs=2, backend=backend)(
        delayed(BayesianLinearRegression(draws=50, random_state=s).fit)(*data) for s in range(3)
    )
    return [fit.posterior_.draws["coef"] for fit in fits]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_in_workers_give_the_same_draws(data, backend):
    expected = [
        BayesianLinearRegression(draws=50, random_state=s).fit(*data).posterior_.draws["coef"]
        for s in range(3)
    ]
    for mine, theirs in zip(fit_in_worker(data, backend), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_model_selection_in_parallel(data, backend):
    X, y = data
    model = BayesianLinearRegression(draws=20, random_state=0)
    alone = cross_val_score(model, X, y)
    with joblib.parallel_backend(backend, n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(model, X, y, n_jobs=2), alone)
        search = GridSearchCV(model, {"prior_scale": [0.01, 2.5]}, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"prior_scale": 2.5}


def test_fits_in_several_threads_of_the_user(data):
    expected = BayesianLinearRegression(draws=200, random_state=0).fit(*data).posterior_.draws["coef"]
    results = [None] * 4

    def work(i):
        results[i] = BayesianLinearRegression(draws=200, random_state=0).fit(*data).posterior_.draws["coef"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for found in results:
        np.testing.assert_array_equal(found, expected)


def test_blas_threads_are_put_back(data):
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads():
        return [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]

    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before
    BayesianLinearRegression(draws=20).fit(*data)
    assert blas_threads() == before
    with pytest.raises(ValueError, match="prior"):
        BayesianLinearRegression(prior="norml").fit(*data)
    assert blas_threads() == before


@pytest.mark.parametrize("limited", [False, True])
def test_two_threads_of_the_user_leave_blas_as_they_found_it(limited):
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads():
        return {p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}

    entered, second_is_in, left, done = (threading.Event() for _ in range(4))
    seen = []

    def first_in_and_out():
        with one_blas_thread():
            seen.append(blas_threads())
            entered.set()
            second_is_in.wait(10)
        left.set()
        done.wait(10)  # a thread that has ended would give up its limits in any case

    # With a limit set by the main thread, threadpoolctl would not listen to the other one.
    limit = threadpoolctl.threadpool_limits(2, user_api="blas") if limited else nullcontext()
    with limit:
        before = blas_threads()
        thread = threading.Thread(target=first_in_and_out)
        thread.start()
        assert entered.wait(10)
        with one_blas_thread():
            second_is_in.set()
            assert left.wait(10)
            seen.append(blas_threads())
        seen.append(blas_threads())
        done.set()
        thread.join(10)
    assert seen == [{1}, {1}, before]


def test_a_limit_of_somebody_else_is_left_to_them():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def blas_threads():
        return {p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        ours = one_blas_thread()
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            ours.__enter__()
        ours.__exit__(None, None, None)
        assert blas_threads() == {2}


# -- inside somebody else's workers ----------------------------------------------------------------------


def threads_of_a_fit(data, params):
    """Fit and return the most chains that ran at a time, and how many threads BLAS had meanwhile."""
    import threadpoolctl

    import bayesglm.inference.sampling as sampling
    from bayesglm.inference.threads import in_threads

    names, blas = set(), set()

    def watched(calls, n_threads, **options):
        def note(call):
            names.add(threading.current_thread().name)
            time.sleep(0.1)  # so that no thread takes two chains while another is idle
            blas.update(p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas")
            return call()

        return in_threads([partial(note, call) for call in calls], n_threads, **options)

    with LOCK:  # one fit at a time, since what is patched is shared by the threads of a process
        sampling.in_threads = watched
        try:
            BayesianLinearRegression(draws=20, random_state=0, **params).fit(*data)
        finally:
            sampling.in_threads = in_threads
    return len(names), blas


LOCK = threading.Lock()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_fit_in_a_worker_takes_one_thread_unless_asked(data, backend):
    pytest.importorskip("threadpoolctl")
    asked = [{}, {"n_jobs": 2}, {"n_jobs": 1}, {"prior": "laplace", "n_jobs": 3}]
    found = Parallel(n_jobs=2, backend=backend)(delayed(threads_of_a_fit)(data, params) for params in asked)
    assert [n_threads for n_threads, _ in found] == [1, 2, 1, 3]
    assert all(blas == {1} for _, blas in found)


def test_a_fit_outside_of_workers_takes_the_processors(data):
    pytest.importorskip("threadpoolctl")
    n_threads, blas = threads_of_a_fit(data, {})
    assert n_threads == min(4, cpu_count())
    assert blas == {1}


class Watched(BayesianLinearRegression):
    """Keeps what its fit was given to work with."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.n_threads_ = self.posterior_.settings.n_threads
        return self


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 1), (2, 2)])
def test_searches_in_parallel_pass_it_on(data, backend, n_jobs, expected):
    X, y = data
    model = Watched(draws=20, random_state=0, n_jobs=n_jobs)
    with joblib.parallel_backend(backend, n_jobs=2):
        fits = cross_validate(make_pipeline(StandardScaler(), model), X, y, return_estimator=True, n_jobs=2)
        members = BaggingRegressor(model, n_estimators=3, n_jobs=2).fit(X, y).estimators_
        columns = MultiOutputRegressor(model, n_jobs=2).fit(X, np.c_[y, -y]).estimators_
    assert {fit[-1].n_threads_ for fit in fits["estimator"]} == {expected}
    assert {fit.n_threads_ for fit in members} == {expected}
    assert {fit.n_threads_ for fit in columns} == {expected}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fit_works_in_a_forked_child_after_a_fit():
    code = """
import os, warnings, numpy as np
warnings.simplefilter("ignore")
from bayesglm import BayesianLinearRegression
X = np.random.default_rng(0).normal(size=(60, 3)); y = X.sum(axis=1)
y[0] += 1
here = BayesianLinearRegression(draws=50, random_state=0).fit(X, y).posterior_.draws["coef"].sum()
pid = os.fork()
if pid == 0:
    there = BayesianLinearRegression(draws=50, random_state=0).fit(X, y).posterior_.draws["coef"].sum()
    os._exit(0 if here == there else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "0"

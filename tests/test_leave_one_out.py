"""Leave-one-out in blocks of rows: for every kind of model what ArviZ says, in little memory, stopped by Ctrl-C."""

import io
import re
import signal
import subprocess
import sys
import tracemalloc
from contextlib import redirect_stderr

import arviz as az
import numpy as np
import pandas as pd
import pytest

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    leave_one_out,
)
from bayesglm.inference import progress
from bayesglm.model_selection import LooSearch, loo
from tests.linear_data import FRAME, X, check_refused, with_, y

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:PSIS-LOO is not reliable"),
    pytest.mark.filterwarnings("ignore:Estimated shape parameter"),
    pytest.mark.filterwarnings("ignore:.*missing value"),
]

COUNTS = np.random.default_rng(1).poisson(np.exp(0.3 * X[:, 0] + 0.8))
YEARS = np.random.default_rng(2).uniform(0.5, 3.0, 60)
LABELS = np.array(["u", "v", "w"])[np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.5])]
TRIALS = np.full(60, 12)
SUCCESSES = np.minimum(COUNTS, 12)
FEW = {"draws": 200, "random_state": 0}


def arvizs(data):
    """Return elpd_i and shapes by ArviZ."""
    found = az.loo(data, pointwise=True)
    shares = found.elpd_i if hasattr(found, "elpd_i") else found.loo_i
    return np.asarray(shares, dtype=float), np.asarray(found.pareto_k, dtype=float)


def check(result, data):
    elpd_i, pareto_k = arvizs(data)
    # Several responses are left out one by one.
    wide = (len(elpd_i), -1)
    np.testing.assert_allclose(result.elpd_i, elpd_i.reshape(wide).sum(axis=1), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(result.pareto_k, pareto_k.reshape(wide).max(axis=1), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("model", "response", "row_arguments"),
    [
        (BayesianLinearRegression(**FEW), y, {}),
        (BayesianLinearRegression(**FEW, chains=1), y, {}),
        (BayesianLinearRegression(**FEW), np.c_[y, y[::-1]], {}),
        (BayesianLinearRegression(**FEW, prior="horseshoe"), y, {}),
        (BayesianPoissonRegressor(**FEW), COUNTS, {"exposure": YEARS}),
        (BayesianNegativeBinomialRegressor(**FEW), COUNTS, {}),
        (BayesianNegativeBinomialRegressor(**FEW), 1000 * COUNTS, {"offset": YEARS}),
        (BayesianLogisticRegression(**FEW), LABELS == "v", {}),
        (BayesianLogisticRegression(**FEW), LABELS, {}),
        (BayesianGLM(family="binomial", **FEW), SUCCESSES, {"trials": TRIALS}),
        (BayesianGLM(family="binomial", link="probit", **FEW), SUCCESSES, {"trials": TRIALS}),
        (BayesianGLM(family="gaussian", **FEW), y, {"standard_error": YEARS}),
        (BayesianGLM(family="student_t", **FEW), y, {}),
        (BayesianGLM(family="gamma", **FEW), np.exp(y / 4), {}),
        (BayesianGLM(family="inverse_gaussian", **FEW), np.exp(y / 4), {}),
        (BayesianGLM(family="beta", **FEW), 1 / (1 + np.exp(-y / 4)), {}),
    ],
    ids=lambda value: repr(value)[:60] if hasattr(value, "fit") else "",
)
def test_every_model_has_arvizs_numbers(model, response, row_arguments):
    model.fit(X, response, **row_arguments)
    check(loo(model, X, response, **row_arguments), model.to_arviz(X, response, **row_arguments))


def test_sparse_rows_and_columns_of_a_frame():
    from scipy import sparse

    model = BayesianPoissonRegressor(**FEW).fit(sparse.csr_array(X), COUNTS)
    check(loo(model, sparse.csr_array(X), COUNTS), model.to_arviz(X, COUNTS))
    frame = FRAME.assign(n=COUNTS, years=YEARS)
    frame.loc[4, "a"] = np.nan
    model = BayesianPoissonRegressor("n ~ a + C(g)", **FEW).fit(frame, exposure="years")
    result = loo(model, frame)
    assert result.rows.tolist() == [i for i in range(60) if i != 4]
    check(result, model.to_arviz(frame))


def test_pieces_and_threads_make_no_difference(monkeypatch):
    model = BayesianPoissonRegressor(**FEW).fit(X, COUNTS)
    whole = loo(model, X, COUNTS)
    monkeypatch.setattr(leave_one_out, "ROWS_A_PIECE", 7)
    for n_jobs in (1, 3):
        pieces = loo(model.set_params(n_jobs=n_jobs), X, COUNTS)
        np.testing.assert_allclose(pieces.elpd_i, whole.elpd_i, rtol=1e-12)
        np.testing.assert_allclose(pieces.pareto_k, whole.pareto_k, rtol=1e-9)


def test_weights_that_are_precisions_say_how_noisy_a_row_is():
    precisions = np.linspace(0.2, 4.0, 60)
    precisions[5] = 0.0
    model = BayesianLinearRegression(weights_type="precision", **FEW).fit(X, y, precisions)
    result = loo(model, X, y, sample_weight=precisions)
    check(result, model.to_arviz(X, y, sample_weight=precisions))
    assert result.n_rows == 59
    assert 5 not in result.rows
    assert result.elpd == pytest.approx(result.elpd_i.sum(), rel=1e-13)
    # Rows that count differently are not to be compared.
    grid = {"weights_type": ["precision", "frequency"]}
    check_refused(
        lambda: LooSearch(BayesianLinearRegression(**FEW), grid).fit(X, y, precisions),
        ValueError,
        "use different rows or responses",
    )


def test_arviz_compares_results():
    models = {"all": X, "one": X[:, :1]}
    fitted = {name: BayesianLinearRegression(**FEW).fit(rows, y) for name, rows in models.items()}
    results = {name: loo(fitted[name], rows, y) for name, rows in models.items()}
    found = az.compare({name: result.to_arviz() for name, result in results.items()})
    expected = az.compare({name: fitted[name].to_arviz(rows, y) for name, rows in models.items()})
    assert list(found.index) == list(expected.index) == ["all", "one"]
    for column in ("elpd_diff", "weight", "p_loo" if "p_loo" in found else "p"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-6, atol=1e-6)
    weights = np.arange(60) % 3
    result = loo(fitted["all"], X, y, sample_weight=weights)
    exported = result.to_arviz()
    shares = exported.elpd_i if hasattr(exported, "elpd_i") else exported.loo_i
    assert float(shares.sum()) == pytest.approx(result.elpd)
    assert shares["obs"].values.tolist() == np.repeat(np.arange(60), weights).tolist()
    half = loo(fitted["all"], X, y, sample_weight=weights / 2)
    check_refused(half.to_arviz, ValueError, "row 1 has a weight that is no whole number")


def test_what_there_is_too_little_of_is_refused():
    model = BayesianLinearRegression("y ~ a", **FEW).fit(FRAME)
    check_refused(lambda: loo(model, FRAME.assign(a=np.nan)), ValueError, "loo has no row to leave out")
    alone = BayesianLinearRegression(draws=1, chains=1, random_state=0).fit(X, y)
    check_refused(lambda: loo(alone, X, y), ValueError, "PSIS-LOO of 1 draws has too short a tail")
    check_refused(
        lambda: loo(model, FRAME, exposure=YEARS), TypeError, "exposure has no meaning for BayesianLinearRegr"
    )
    check_refused(lambda: loo(model, FRAME, years=YEARS), TypeError, "loo has no argument 'years'")
    counts = BayesianPoissonRegressor(**FEW).fit(X, COUNTS)
    check_refused(lambda: loo(counts, X, COUNTS, trials=TRIALS), ValueError, "trials has no meaning")


def test_an_impossible_row_is_not_a_number():
    model = BayesianPoissonRegressor(**FEW).fit(X, COUNTS)
    result = loo(model, X, with_(COUNTS, 3, -1.0))
    assert np.flatnonzero(np.isnan(result.elpd_i)).tolist() == [3]
    assert result.n_bad >= 1
    assert np.isnan(result.elpd)


def test_memory_does_not_grow_with_rows_times_draws():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6000, 2))
    counts = rng.poisson(2.0, size=6000)
    model = BayesianPoissonRegressor(random_state=0).fit(rows, counts)
    tracemalloc.start()
    loo(model, rows, counts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # of which the log densities alone would take 192 million bytes


BAR = r"{} \[[#.]+\] +\d+ %, [^,]*$"


def seen(shown, monkeypatch, work):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    stream = io.StringIO()
    with redirect_stderr(stream):
        work(shown)
    return stream.getvalue()


def test_a_bar_shows_what_is_done_where_somebody_is_watching(monkeypatch):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(3000, 1)))
    counts = rng.poisson(2.0, size=3000)
    model = BayesianPoissonRegressor(random_state=0, n_jobs=1).fit(rows, counts)
    leave = lambda shown: loo(model.set_params(progressbar=shown), rows, counts)  # noqa: E731
    pieces = seen(None, monkeypatch, leave).split("\r")
    assert any(re.match(BAR.format("leave-one-out"), piece.rstrip()) for piece in pieces)
    assert pieces[-2].strip() == pieces[-1] == ""
    assert seen(False, monkeypatch, leave) == ""

    def search(shown):
        quick = BayesianLinearRegression(draws=20, random_state=0, progressbar=shown)
        LooSearch(quick, {"prior_scale": [0.1, 1.0, 2.0]}).fit(X, y)

    assert "candidates [########" in seen(None, monkeypatch, search)
    assert seen(False, monkeypatch, search) == ""


CHILD = """
import os, signal, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from bayesglm import BayesianPoissonRegressor
from bayesglm.model_selection import loo
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(1000, 2)), rng.poisson(2.0, size=1000)
model = BayesianPoissonRegressor(random_state=0).fit(X, y)
X, y = np.tile(X, (300, 1)), np.tile(y, 300)
sent = []
def press():
    time.sleep(0.5)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
try:
    loo(model, X, y)
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_ends_it():
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=120)
    assert run.stderr == ""
    assert float(run.stdout) < 2.0  # 0.05 s where nothing else runs

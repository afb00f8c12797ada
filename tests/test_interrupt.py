"""Ctrl-C: a real signal in a process of its own, at several moments; fast, and the estimator is then as before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import bayesglm

#: Seconds from the signal to the exception that api.md promises.
PROMISED = 0.2

# Prints the latency in seconds, whether the estimator is unchanged, and whether it can be used afterwards.
CHILD = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from bayesglm import BayesianLinearRegression, BayesianLogisticRegression

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin by ignoring it

case, moment, fitted = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "fitted"
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = X.sum(axis=1) + rng.normal(size=60)
kind = BayesianLinearRegression
if case.startswith("classes"):
    kind, y = BayesianLogisticRegression, (y > 0.0) * 1.0
big, big_y = X, y
if case == "data pass":
    big = rng.normal(size=(1_500_000, 20))
    big_y = big.sum(axis=1)
elif case == "diagnostics":
    big = rng.normal(size=(60, 30))
    big_y = big.sum(axis=1) + rng.normal(size=60)
elif case == "second data pass":
    big = rng.normal(size=(800_000, 20))
    big[:, 1] = big[:, 0] + 1e-7 * big[:, 1]
    big_y = big.sum(axis=1) + rng.normal(size=len(big))
elif case in ("classes, batches", "classes, reading"):
    big = rng.normal(size=(1_000_000 if "reading" in case else 200_000, 20))
    big_y = (rng.random(len(big)) < 0.5) * 1.0
settings = {
    "classes, batches": {"draws": 20_000},
    "classes, NUTS": {"draws": 1_000_000, "sampler": "nuts"},
    "classes, reading": {"draws": 10},
    "sampling": {"draws": 3_000_000},
    "sampling in one thread": {"draws": 3_000_000, "n_jobs": 1},
    "sampling, any prior": {"draws": 1_000_000, "prior": "laplace"},
    "sampling, positive": {"draws": 1_000_000, "positive": True},
    "warm-up": {"tune": 2_000_000, "draws": 10},
    "warm-up, any prior": {"tune": 2_000_000, "draws": 10, "prior": "cauchy"},
    "data pass": {"draws": 10},
    "second data pass": {"draws": 10},
    "diagnostics": {"draws": 150_000},
}[case]

model = kind(random_state=0, draws=20)
if fitted:
    model.fit(X, y)
model.set_params(**settings)
before = dict(vars(model))
sent = []

def press():
    time.sleep(moment)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

pressing = threading.Thread(target=press)
if case == "diagnostics":
    import bayesglm.inference.route as route
    diagnose = route.diagnose
    def slow(*args, **kwargs):
        pressing.start()
        return diagnose(*args, **kwargs)
    route.diagnose = slow
else:
    pressing.start()
result = {"interrupted": False}
try:
    model.fit(big, big_y)
except KeyboardInterrupt:
    result["interrupted"] = True
    result["latency"] = time.perf_counter() - sent[0]
    after = vars(model)
    result["unchanged"] = after.keys() == before.keys() and all(after[k] is before[k] for k in before)
    patience = time.perf_counter() + 1.0  # a piece of the diagnostics is finished, but not waited for
    while True:
        result["threads"] = sum(t.name.startswith("bayesglm") for t in threading.enumerate())
        if not result["threads"] or time.perf_counter() > patience:
            break
        time.sleep(0.01)
    if case == "diagnostics":
        route.diagnose = diagnose
    try:
        if fitted:
            model.predict(X)
        fresh = kind(random_state=0, draws=20, **{
            k: v for k, v in settings.items() if k not in ("draws", "tune")}).fit(X, y)
        model.set_params(**{**settings, "draws": 20, "tune": None}).fit(X, y)
        result["usable"] = bool(np.array_equal(model.posterior_.draws["coef"], fresh.posterior_.draws["coef"]))
    except Exception as error:
        result["usable"] = repr(error)
print(json.dumps(result))
"""

CASES = [
    ("sampling", 0.02, "fitted"),
    ("sampling", 0.4, "new"),
    ("sampling in one thread", 0.2, "fitted"),
    ("sampling, any prior", 0.4, "fitted"),
    ("sampling, positive", 0.3, "new"),
    ("warm-up", 0.1, "fitted"),
    ("warm-up, any prior", 0.3, "fitted"),
    ("data pass", 0.05, "fitted"),
    ("second data pass", 0.2, "new"),
    ("diagnostics", 0.1, "fitted"),
    ("classes, batches", 1.0, "fitted"),
    ("classes, NUTS", 0.5, "new"),
    ("classes, reading", 0.4, "fitted"),
]


def interrupt(case, moment, fitted):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, case, str(moment), fitted],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(bayesglm.__file__).parents[1],
    )
    assert child.stdout, child.stderr
    result = json.loads(child.stdout)
    assert not result["interrupted"] or child.stderr == ""
    return result


@pytest.mark.parametrize(("case", "moment", "fitted"), CASES, ids=[f"{c[0]} after {c[1]} s" for c in CASES])
def test_ctrl_c(case, moment, fitted):
    latencies = []
    for _ in range(6):  # the best of six: other processes may hold the processors
        result = interrupt(case, moment, fitted)
        if not result["interrupted"]:  # a fast machine was through before the signal came
            moment *= 0.5
            continue
        assert result["unchanged"], "the estimator is not as before fit"
        assert result["usable"] is True
        assert result["threads"] == 0
        latencies.append(result["latency"])
        if latencies[-1] < PROMISED:
            break
    assert latencies, "the fit was always over before the signal came"
    assert min(latencies) < PROMISED

"""More than memory holds, asked for on purpose: refused before it is allocated, the size named, for every estimator."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse

import bayesglm.validation
from bayesglm import (
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)
from bayesglm.testing import predictive_coverage, simulation_based_calibration

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X.sum(axis=1) + RNG.normal(size=40)
COUNTS = RNG.poisson(3.0, 40)
QUICK = {"draws": 50, "chains": 2, "random_state": 0}
MODELS = {
    "linear": (BayesianLinearRegression(**QUICK), Y),
    "linear, any prior": (BayesianLinearRegression(prior="laplace", **QUICK), Y),
    "linear, two responses": (BayesianLinearRegression(**QUICK), np.c_[Y, -Y]),
    "any likelihood": (BayesianGLM(family="poisson", **QUICK), COUNTS),
    "two classes": (BayesianLogisticRegression(**QUICK), Y > 0.0),
    "three classes": (BayesianLogisticRegression(**QUICK), RNG.choice(list("abc"), 40)),
    "counts": (BayesianPoissonRegressor(**QUICK), COUNTS),
    "spread counts": (BayesianNegativeBinomialRegressor(**QUICK), COUNTS),
    "positive": (BayesianGammaRegressor(**QUICK), np.exp(Y)),
    "outliers": (BayesianRobustRegression(**QUICK), Y),
}
#: Parameters of a fit that no memory holds.
PARAMETERS = [
    {"draws": 10**9},
    {"draws": 10**15},
    {"chains": 10**6},
    {"chains": 10**9, "draws": 1, "tune": 0},
    {"tune": 10**12},
    {"chains": 3000, "draws": 30_000},
]
#: What a fitted model can be asked for.
REQUESTS = {
    "new draws": lambda m: m.sample_posterior(10**10),
    "predictive draws": lambda m: m.sample_predictive(X, 10**9),
    "predictive draws of one row": lambda m: m.sample_predictive(X[:1], 10**12),
    "lines": lambda m: m.sample_predictive(X, 10**9, kind="mean"),
    "predictive draws of many rows": lambda m: m.sample_predictive(MANY),
    "everything for ArviZ": lambda m: m.to_arviz(MANY, np.resize(m.y, (MANY.shape[0], *m.y.shape[1:]))),
}
#: 300,000 rows of which nothing is stored; with 100 draws a quarter of a GiB each time.
MANY = sparse.csr_array((300_000, 3))


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name: model.fit(X, y) for name, (model, y) in MODELS.items()}
    for name, (_, y) in MODELS.items():
        found[name].y = y
    return found


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    """Let the machine have half a GiB, wherever the tests run."""
    monkeypatch.setattr(bayesglm.validation, "_memory", lambda: 1 << 29)


def refused(call, message=r"needs [\d.e+]+ GiB; (ask for|give)"):
    """Check that a call is refused with the size named and without taking memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20, f"{peak / 2**20:.0f} MiB were taken first"


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_fits_that_no_memory_holds(name, parameters):
    model, y = MODELS[name]
    model = type(model)(**{**model.get_params(), **parameters})
    refused(lambda: model.fit(X, y))
    assert not hasattr(model, "posterior_")


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("name", MODELS)
def test_requests_that_no_memory_holds(fitted, name, request_):
    model = fitted[name]
    refused(lambda: REQUESTS[request_](model))
    model.predict(X)


@pytest.mark.parametrize("check", [simulation_based_calibration, predictive_coverage])
@pytest.mark.parametrize("name", ["linear", "counts", "two classes"])
def test_simulations_that_no_memory_holds(name, check):
    model, y = MODELS[name]
    refused(
        lambda: check(model, X, y, n_simulations=10**12),
        r"^n_simulations=10{12} needs \d+ GiB; ask for fewer",
    )


@pytest.mark.parametrize("parameter", ["draws", "chains", "tune"])
@pytest.mark.parametrize("name", ["linear", "counts"])
def test_numbers_beyond_those_of_the_machine(name, parameter):
    model, y = MODELS[name]
    model = type(model)(**{**model.get_params(), parameter: 10**400})
    refused(lambda: model.fit(X, y), rf"^{parameter} must be less than 2\*\*63")


def test_what_is_proposed_is_accepted():
    model = BayesianLinearRegression(chains=2, draws=10**9, random_state=0)
    with pytest.raises(ValueError, match=r"ask for at most \d+ draws") as caught:
        model.fit(X, Y)
    proposed = int(str(caught.value).partition("at most ")[2].partition(" draws")[0])
    assert proposed > 10_000
    bayesglm.validation.check_draws(proposed, None, 2, 5)
    with pytest.raises(ValueError, match="GiB"):
        bayesglm.validation.check_draws(2 * proposed, None, 2, 5)


def test_usual_requests_are_not_refused(monkeypatch):
    # On the smallest machine that anybody has.
    monkeypatch.setattr(bayesglm.validation, "_memory", lambda: 1 << 30)
    model = BayesianLogisticRegression(random_state=0, draws=1000, chains=4).fit(X, Y > 0.0)
    assert model.sample_predictive(np.tile(X, (50, 1))).shape == (4000, 2000)
    assert BayesianLinearRegression(chains=50, draws=100, random_state=0).fit(X, Y).posterior_.shape == (
        50,
        100,
    )

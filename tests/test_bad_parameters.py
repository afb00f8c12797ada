"""Bad parameters of the estimator, case by case, with the message that the user reads."""

import decimal
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from bayesglm import (
    BayesianLinearRegression,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Normal,
    StudentT,
)
from tests.linear_data import check_refused, fit, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


PARAMETERS = [
    # the prior of the coefficients
    ({"prior_scale": -1}, ValueError, r"^prior_scale must be positive and finite; got -1"),
    ({"prior_scale": 0}, ValueError, r"^prior_scale must be positive"),
    ({"prior_scale": np.nan}, ValueError, r"^prior_scale must be positive"),
    ({"prior_scale": np.inf}, ValueError, r"^prior_scale must be positive and finite"),
    (
        {"prior_scale": "big"},
        TypeError,
        r"positive number, 'learn', 'learn by term' or None; got 'big'",
    ),
    ({"prior_scale": True}, TypeError, r"^prior_scale must be a positive number"),
    ({"prior_scale": [1.0, 2.0]}, TypeError, r"^prior_scale must be a positive number"),
    (
        {"prior": Normal},
        TypeError,
        r"^prior must be a prior, not the class Normal: write one such as Normal\(0, 1\)",
    ),
    ({"prior": "norml"}, ValueError, r"^prior='norml' is not the name of a prior; did you mean 'normal'\?"),
    ({"prior": "zzz"}, ValueError, r"^prior='zzz' is not the name of a prior; known are flat, normal,"),
    (
        {"prior": 3},
        TypeError,
        r"^prior must be a prior such as Normal\(0, 1\), the name of one, or None; got 3",
    ),
    ({"prior": [Normal()]}, TypeError, r"^prior must be a prior"),
    ({"prior": {"x9": Normal()}}, ValueError, r"^prior\['x9'\]: no column or term of that name; .*'x0'"),
    ({"prior": {"x1": 2.0}}, TypeError, r"^prior\['x1'\] must be a prior such as"),
    ({"prior": {"x1": "laplce"}}, ValueError, r"^prior\['x1'\]='laplce'.*did you mean 'laplace'"),
    ({"prior": {"Intercept": Normal()}}, ValueError, r"intercept_prior"),
    ({"prior": {0: Normal()}}, ValueError, r"^prior\[0\]: no column"),
    ({"prior": Normal(0, -1)}, ValueError, r"^prior: scale must be positive; got -1"),
    ({"prior": Normal(0, 0)}, ValueError, r"^prior: scale must be positive; got 0"),
    ({"prior": Normal(np.nan, 1)}, ValueError, r"^prior: loc must be a finite number; got nan"),
    ({"prior": Normal(0, "a")}, (ValueError, TypeError), r"^prior: scale must be a finite number; got 'a'"),
    (
        {"prior": Normal(0, [1, 2])},
        ValueError,
        r"^prior: scale has shape \(2,\), but there are 3 coefficients",
    ),
    (
        {"prior": Normal(0, 1, autoscale="x")},
        (ValueError, TypeError),
        r"^prior: autoscale must be True or False",
    ),
    ({"prior": StudentT(0, 0, 1)}, ValueError, r"^prior: df must be a positive"),
    ({"prior": "flat", "prior_scale": 1.0}, ValueError, r"^prior_scale has no meaning for prior=Flat\(\)"),
    ({"prior": {"x0": Normal(0, -2)}}, ValueError, r"^prior\['x0'\]: scale must be positive"),
    # the others
    (
        {"sigma_prior": Normal(0, 1)},
        ValueError,
        r"^sigma_prior must be a prior on the positive numbers.*HalfNormal",
    ),
    (
        {"sigma_prior": HalfNormal},
        TypeError,
        r"^sigma_prior must be a prior, not the class HalfNormal: write one such as HalfNormal\(1\)",
    ),
    ({"sigma_prior": 1.0}, TypeError, r"^sigma_prior must be a prior such as Half"),
    ({"sigma_prior": Gamma(-1, 1)}, ValueError, r"^sigma_prior: shape must be a positive"),
    ({"sigma_prior": InverseGamma(1, 0)}, ValueError, r"^sigma_prior: scale must be"),
    ({"sigma_prior": HalfCauchy(-1)}, ValueError, r"^sigma_prior: scale must be"),
    (
        {"intercept_prior": HalfNormal(1)},
        ValueError,
        r"^intercept_prior must be a prior on the real line.*Normal",
    ),
    ({"intercept_prior": 5}, TypeError, r"^intercept_prior must be a prior such as Normal"),
    ({"intercept_prior": "norml"}, ValueError, r"^intercept_prior='norml'.*did you mean 'normal'"),
    # the sampler
    ({"draws": 0}, ValueError, r"^draws must be at least 1; got 0"),
    ({"draws": 1.5}, TypeError, r"^draws must be an int of at least 1; got 1\.5"),
    ({"draws": None}, TypeError, r"^draws must be an int"),
    ({"draws": True}, TypeError, r"^draws must be an int"),
    ({"draws": "many"}, TypeError, r"^draws must be an int"),
    ({"draws": 10**9}, ValueError, r"^draws=1000000000 with chains=4.* GiB; ask for at most \d{4,} draws"),
    ({"chains": 0}, ValueError, r"^chains must be at least 1; got 0"),
    ({"chains": "4"}, TypeError, r"^chains must be an int"),
    (
        {"chains": 10**9},
        ValueError,
        r"chains=1000000000.* GiB; ask for .*fewer chains|chains must be at most",
    ),
    ({"tune": -1}, ValueError, r"^tune must be at least 0; got -1"),
    ({"tune": 1.5}, TypeError, r"^tune must be an int of at least 0"),
    ({"tune": 10**12}, ValueError, r"tune=1000000000000|^tune must be at most"),
    ({"target_accept": 1}, ValueError, r"^target_accept must be between 0 and 1; got 1"),
    ({"target_accept": 0.0}, ValueError, r"^target_accept must be between 0 and 1"),
    ({"target_accept": np.nan}, ValueError, r"^target_accept must be between 0 and 1"),
    ({"target_accept": "x"}, TypeError, r"^target_accept must be a number between 0 and 1"),
    ({"max_treedepth": 0}, ValueError, r"^max_treedepth must be at least 1"),
    ({"max_treedepth": 40}, ValueError, r"^max_treedepth must be at most 20"),
    ({"n_jobs": 0}, ValueError, r"^n_jobs must not be 0; give the number of threads, -1 .*, or None"),
    ({"n_jobs": "all"}, TypeError, r"^n_jobs must be an int \(-1 for all processors\) or None; got 'all'"),
    ({"n_jobs": 1.5}, TypeError, r"^n_jobs must be an int"),
    (
        {"random_state": "x"},
        (ValueError, TypeError),
        r"^random_state must be None, a non-negative int, .*; got 'x'",
    ),
    ({"random_state": -1}, ValueError, r"^random_state must be None, a non-negative int"),
    (
        {"progressbar": "yes"},
        TypeError,
        r"^progressbar must be True, False or None|^progressbar must be True or False",
    ),
    ({"center": "yes"}, TypeError, r"^center must be True or False"),
    ({"positive": 1}, TypeError, r"^positive must be True or False"),
    ({"fit_intercept": "no"}, TypeError, r"^fit_intercept must be True or False"),
    ({"formula": 3}, TypeError, r"^formula must be a string such as 'y ~ x"),
]


@pytest.mark.parametrize(("params", "error", "message"), PARAMETERS, ids=[str(p[0])[:60] for p in PARAMETERS])
def test_parameters(params, error, message):
    check_refused(lambda: fit(**params), error, message)


@pytest.mark.parametrize("params", [p[0] for p in PARAMETERS if "formula" not in p[0]], ids=str)
def test_parameters_are_checked_at_fit_not_before(params):
    repr(BayesianLinearRegression(**params))
    BayesianLinearRegression().set_params(**params)


def test_one_draw_and_one_chain_work():
    for params in (
        {"draws": 1},
        {"chains": 1},
        {"tune": 0},
        {"draws": 1, "chains": 1, "tune": 0, "prior": "laplace"},
    ):
        model = fit(**params)
        chains, draws = params.get("chains", 4), params.get("draws", 20)
        assert model.posterior_.draws["coef"].shape == (chains, draws, 3)
        assert len(str(model.summary())) > 100


def test_numbers_of_unusual_types():
    assert fit(y=[decimal.Decimal(str(v)) for v in y]).coef_ == pytest.approx(fit().coef_)
    assert fit(prior_scale=np.float32(2.0), draws=np.int64(20)).coef_.shape == (3,)
    assert fit(sample_weight=[1] * 60).coef_ == pytest.approx(fit().coef_)
    assert fit(sample_weight=pd.Series(np.ones(60))).coef_ == pytest.approx(fit().coef_)


def test_draws_beyond_memory_are_refused_before_anything_is_allocated():
    tracemalloc.start()
    try:
        check_refused(lambda: fit(draws=10**9), ValueError, r"GiB")
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_the_memory_that_is_named_is_what_a_fit_takes():
    with pytest.raises(ValueError, match=r"needs \d+ GiB") as caught:
        fit(draws=10**9)
    named = float(re.search(r"needs (\d+) GiB", str(caught.value))[1]) * 2**30 / 10**9
    peaks = []
    for draws in (5_000, 25_000):
        tracemalloc.start()
        fit(draws=draws)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    taken = (peaks[1] - peaks[0]) / 20_000
    assert taken < 1.3 * named, f"{taken:.0f} bytes a draw of all chains, not {named:.0f}"

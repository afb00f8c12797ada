"""Data that people have: separated, overdispersed, huge, zero, rare, collinear, badly scaled, few rows, many columns.

Under the defaults nothing diverges, nothing warns, and what is known is found.
"""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from bayesglm import BayesianGLM, BayesianLogisticRegression, Normal

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 2))
GROUP = RNG.integers(0, 500, 5000)
LEVELS = RNG.normal(size=500)


def poisson(**settings):
    return BayesianGLM(family="poisson", random_state=0, **settings)


def negative_binomial(**settings):
    return BayesianGLM(family="negative_binomial", random_state=0, **settings)


def logistic(**settings):
    return BayesianLogisticRegression(random_state=0, **settings)


CASES = {
    "separated": (logistic(), X, X[:, 0] > 0),
    "separated, many rows": (logistic(), np.repeat(X, 30, axis=0), np.repeat(X[:, 0] > 0, 30)),
    "separated classes": (logistic(), X, np.digitize(X[:, 0], [-0.4, 0.4])),
    "overdispersed, as Poisson": (poisson(), X, RNG.negative_binomial(0.3, 0.05, N)),
    "overdispersed": (negative_binomial(), X, RNG.negative_binomial(0.3, 0.05, N)),
    "no overdispersion": (negative_binomial(), X, RNG.poisson(5.0, N)),
    "counts of 100,000": (poisson(), X, RNG.poisson(1e5 * np.exp(0.1 * X[:, 0]))),
    "overdispersed counts of 100,000": (negative_binomial(), X, RNG.poisson(1e5 * RNG.gamma(5.0, 0.2, N))),
    "all zero": (poisson(), X, np.zeros(N)),
    "all zero, negative binomial": (negative_binomial(), X, np.zeros(N)),
    "one event in ten thousand": (logistic(draws=1000), RNG.normal(size=(20_000, 1)), np.arange(20_000) < 2),
    "collinear": (logistic(), np.column_stack([X, X.sum(axis=1)]), RNG.random(N) < 0.5),
    "badly scaled": (logistic(), X * [1e8, 1e-9] + [1e9, 0.0], RNG.random(N) < 0.5),
    "a constant column": (logistic(), np.column_stack([X, np.full(N, 7.0)]), RNG.random(N) < 0.5),
    "five rows": (logistic(), X[:5], [0, 1, 0, 1, 1]),
    "five counts": (poisson(), X[:5], [0, 1, 0, 4, 9]),
    "one row": (poisson(), X[:1], [3]),
    "more columns than rows": (logistic(), RNG.normal(size=(20, 50)), RNG.random(20) < 0.5),
    "more columns than counts": (poisson(), RNG.normal(size=(20, 50)), RNG.poisson(3.0, 20)),
    "500 dummies": (
        poisson(prior=Normal(0.0, 1.0), draws=500),
        (GROUP[:, np.newaxis] == np.arange(1, 500)).astype(float),
        RNG.poisson(np.exp(LEVELS[GROUP])),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_hard_data(name):
    model, rows, y = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Column 'x2' is 7 in every row")
        model.fit(rows, y)
    posterior = model.posterior_
    assert posterior.n_divergences == 0
    # The largest of five hundred, of half as many draws, is larger by chance.
    assert posterior.diagnostics.rhat.max() < (1.03 if name == "500 dummies" else 1.02)
    assert np.isfinite(posterior.stacked()).all()
    assert np.isfinite(model.predict_quantiles(rows[:5], [0.1, 0.9], kind="mean")).all()


def test_counts_of_a_hundred_thousand_are_known_to_their_standard_errors():
    model, rows, y = CASES["counts of 100,000"]
    coef = model.fit(rows, y).posterior_.draws["coef"].reshape(-1, 2)
    assert abs(coef[:, 0].mean() - 0.1) < 4.0 * coef[:, 0].std()
    assert coef[:, 0].std() == pytest.approx(1.0 / np.sqrt(y.sum() * X[:, 0].var()), rel=0.2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_levels_of_five_hundred_dummies_are_found():
    model, rows, y = CASES["500 dummies"]
    model = clone(model).set_params(draws=50, chains=2).fit(rows, y)
    level = np.append(0.0, model.coef_) + model.intercept_
    found = np.corrcoef(level, LEVELS)[0, 1]
    assert found > 0.8


def test_rare_events_keep_their_rate():
    model, rows, y = CASES["one event in ten thousand"]
    assert 3e-5 < model.fit(rows, y).predict_proba(rows)[:, 1].mean() < 4e-4


def test_badly_scaled_columns_are_the_same_model():
    model, rows, y = CASES["badly scaled"]
    plain = logistic().fit(X, y)
    np.testing.assert_allclose(model.fit(rows, y).predict_proba(rows), plain.predict_proba(X), atol=1e-6)

"""Extreme regressions under priors without a closed form, and of several classes, against importance sampling."""

import numpy as np
import pytest

from bayesglm import BayesianLinearRegression, BayesianLogisticRegression
from tests.acceptance.importance import assert_agree, assert_moments
from tests.acceptance.sampled_extreme_cases import DATA, SETTINGS, SHORT, Standardised, softmax, truth


@pytest.mark.parametrize(
    ("name", "prior"),
    [(name, prior) for prior in SETTINGS for name in (SHORT if prior in ("horseshoe", "r2d2") else DATA)],
)
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_linear(name, prior):
    X, y, weights = DATA[name]
    model = BayesianLinearRegression(random_state=0, draws=10_000, **SETTINGS[prior]).fit(X, y, weights)
    data = Standardised(X, y, weights)
    assert_agree(data.draws(model.posterior_.draws), *truth(data, prior), points=100_000, least=0.0175)


RNG = np.random.default_rng(4)
K = np.repeat([0, 1, 2], 5)
X = RNG.normal(size=15) + 0.5 * K
#: Predictor, classes, weights.
CLASSES = {
    "column times 1e-12": (1e-12 * X, K, None),
    "column at 1e12": (1e12 + X, K, None),
    "column times 1e100": (1e100 * X, K, None),
    "weights over 24 decades": (X, K, 10.0 ** np.random.default_rng(9).permutation(np.linspace(-12, 12, 15))),
    "weights of 1e12": (X, K, np.full(15, 1e12)),
    "one row of a class has weight": (X, K, (K < 2) + 1.0 * (np.arange(15) == 12)),
    "separated": (np.sort(X), K, None),
    "separated at 1e9, weights of 1e6": (np.sort(X) + 1e9, K, np.full(15, 1e6)),
    "a row a class": (X[[0, 5, 10]], K[[0, 5, 10]], None),
    "one distinct row": (np.full(15, 2.0), K, None),
    "a rare class": (X[[*range(15), 7]], np.append(K % 2, 2), np.append(np.full(15, 200.0), 1.0)),
    "six classes": (X, np.arange(15) % 6, None),
}


@pytest.mark.parametrize(
    ("name", "reference"),
    [*((name, None) for name in CLASSES), ("separated", 1), ("a rare class", 2), ("six classes", 0)],
)
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_classes(name, reference):
    x, labels, weights = CLASSES[name]
    x = np.asarray(x, np.longdouble)
    w = np.ones(len(x)) if weights is None else weights.astype(float)
    mean = w @ x / w.sum()
    sd = np.sqrt(w @ (x - mean) ** 2 / w.sum()) or np.longdouble(1.0)
    classes = labels.max() + 1
    rows = x.astype(float)[:, np.newaxis]
    model = BayesianLogisticRegression(random_state=0, draws=8000, reference=reference)
    model.fit(rows, labels, weights)
    draws = model.posterior_.draws
    if reference is not None:
        draws = {name: np.delete(values, reference, axis=2) for name, values in draws.items()}
    level = draws["Intercept"] + draws["coef"][..., 0] * mean
    found = np.concatenate([level, draws["coef"][..., 0] * sd], axis=-1)
    expected = softmax(((x - mean) / sd).astype(float), labels, w, classes, reference)
    assert_moments(np.moveaxis(found, -1, 0).astype(float), expected, least=0.02)
    probabilities = model.predict_proba(rows)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)

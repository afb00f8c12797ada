"""Fits so good that noise is a billionth of y: every route finds its size, or a warning says that it does not."""

import warnings

import numpy as np
import pytest

from bayesglm import R2D2, BayesianLinearRegression, Horseshoe, Laplace

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
NOISE = RNG.normal(size=60)
SETTINGS = {"draws": 1000, "random_state": 0, "progressbar": False}


@pytest.mark.parametrize("noise", [1e-4, 1e-9, 1e-12])
@pytest.mark.parametrize(
    "prior",
    [
        {},
        {"prior": Laplace(0, 1)},
        {"positive": True},
        {"prior_scale": "learn"},
        {"prior_scale": "learn by term"},
    ],
    ids=["normal", "Laplace", "positive", "learned scale", "a scale a term"],
)
def test_noise_is_found(prior, noise):
    """No prior is felt beside so little noise: coefficients have the t distribution of least squares."""
    y = 1.0 + X @ [1.0, 0.5, 0.25] + noise * NOISE
    if prior.get("prior_scale") == "learn by term":
        import pandas as pd

        frame = pd.DataFrame(X, columns=list("abc")).assign(y=y)
        model = BayesianLinearRegression("y ~ a + b + c", **SETTINGS, **prior).fit(frame)
    else:
        model = BayesianLinearRegression(**SETTINGS, **prior).fit(X, y)
    design = np.column_stack([np.ones(60), X])
    mean, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
    draws = model.posterior_.stacked()[:5].reshape(5, -1)
    # E sigma² is rss/(n - p - 3) under the flat prior of log sigma, which half a million times the scale leaves.
    sigma = np.sqrt(rss[0] / 54.0)
    sd = sigma * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    assert np.sqrt(np.mean(draws[4] ** 2)) == pytest.approx(sigma, rel=0.03)
    np.testing.assert_allclose(draws[:4].std(axis=1), sd, rtol=0.1)
    np.testing.assert_allclose((draws[:4].mean(axis=1) - mean) / sd, 0.0, atol=0.12)


@pytest.mark.parametrize("prior", [Horseshoe(), R2D2()], ids=["horseshoe", "R2D2"])
def test_noise_that_is_not_found_is_warned_of(prior):
    y = 1.0 + X @ [1.0, 0.5, 0.25] + 1e-9 * NOISE
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        BayesianLinearRegression(prior=prior, **SETTINGS).fit(X, y)
    assert any("treedepth" in str(w.message) or "R-hat" in str(w.message) for w in caught)

"""Simulation-based calibration of the priors that learn scales: horseshoe, R2D2, one shared scale.

As in `tests.acceptance.test_calibration`, with the same bins and tests. The horseshoe's slab, whose scale is a
multiple of sd(y) and so no prior that a truth could be drawn from, is out of the way here; it has its tests in
tests/kernel and tests/inference.
"""

import functools
import warnings

import numpy as np
import pytest

from bayesglm import R2D2, BayesianLinearRegression, HalfNormal, Horseshoe, Normal
from bayesglm.inference.sampling import Settings, run
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.gaussian import SummaryTarget
from bayesglm.kernel.positive_priors import HalfStudentT
from bayesglm.kernel.priors import Flat
from bayesglm.kernel.shrinkage import LearnedScaleMap
from bayesglm.kernel.target import AffineTarget
from tests.acceptance.test_calibration import CLOUD, SMALLEST_P, from_centred, keep_apart, p_values

pytestmark = pytest.mark.slow

REPLICATIONS = 400
X = CLOUD
UNIT = X.std(axis=0)


def horseshoe(rng):
    sigma, tau = abs(rng.normal()), 0.2 * abs(rng.standard_t(3.0))
    return sigma, sigma * tau * np.abs(rng.standard_t(3.0, 3)) * rng.normal(size=3) / UNIT, tau


def r2d2(rng):
    sigma, explained = abs(rng.normal()), rng.beta(1.2, 1.8)
    share = rng.dirichlet([0.5] * 3) * explained / (1 - explained)
    return sigma, sigma * np.sqrt(share) * rng.normal(size=3) / UNIT, explained


SPARSE = {
    "horseshoe": (Horseshoe(0.2, df_local=3.0, df_global=3.0, slab_scale=1e5), horseshoe),
    "r2d2": (R2D2(0.4, 3.0, 0.5), r2d2),
}


@functools.cache
def simulate(name):
    """Return truths (replications, k) and thinned draws (replications, ranked, k), the hyperparameter last."""
    prior, truth = SPARSE[name]
    rng = np.random.default_rng(2)
    truths, posteriors = [], []
    for replication in range(REPLICATIONS):
        sigma, coef, hyper = truth(rng)
        intercept, coef, sigma = from_centred(X, rng.normal(), coef, sigma)
        y = intercept + X @ coef + sigma * rng.normal(size=len(X))
        model = BayesianLinearRegression(
            prior=prior,
            intercept_prior=Normal(0, 1),
            sigma_prior=HalfNormal(1),
            draws=250,
            random_state=replication,
            progressbar=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a thousand draws are few; a biased posterior shows in the ranks
            draws = list(model.fit(X, y).posterior_.draws.values())
        shape = (*draws[0].shape[:2], -1)
        posteriors.append(keep_apart(np.concatenate([values.reshape(shape) for values in draws], axis=2)))
        truths.append([intercept, *coef, sigma, hyper])
    return np.array(truths), np.array(posteriors)


@functools.cache
def simulate_learned():
    """The same of one learned scale of all coefficients, sampled jointly with them: scale last."""
    rng = np.random.default_rng(3)
    truths, posteriors = [], []
    for replication in range(REPLICATIONS):
        sigma, scale = abs(rng.normal()), 0.5 * abs(rng.standard_t(4.0))
        coef = scale * rng.normal(size=3)
        y = X @ coef + sigma * rng.normal(size=len(X))
        s = summarize(X, y, intercept=False)
        plain = SummaryTarget(
            s.weight,
            0.0,
            s.rss,
            s.factor,
            s.rotated,
            False,
            np.zeros(3),
            np.zeros(3),
            Flat().bind([0, 1, 2]),
            None,
            HalfNormal(1).bind([0]).transformed(0.0, s.sigma_unit),
        )
        information = np.sum(s.factor**2, axis=0) / (s.rss / s.weight)
        unit = s.x_unit / s.y_unit
        target = MappedTarget(
            plain, LearnedScaleMap(unit, HalfStudentT(4.0, 0.5).bind([0]), None, information), 0
        )
        found = run(
            AffineTarget(target, np.zeros(target.dim), np.eye(target.dim)),
            Settings(4, 250),
            np.random.SeedSequence(replication),
            known_scale=False,
        )
        q = found.target.unwhiten(found.draws)
        inner = target.unwhiten(q)
        table = [inner[..., :3] / unit, np.exp(inner[..., 3:]) * s.sigma_unit, np.exp(q[..., 3:4])]
        posteriors.append(keep_apart(np.concatenate(table, axis=-1)))
        truths.append([*coef, sigma, scale])
    return np.array(truths), np.array(posteriors)


@pytest.mark.parametrize("name", SPARSE)
def test_ranks_of_sparse_priors_are_uniform(name):
    found = p_values(*simulate(name))
    assert np.all(found > SMALLEST_P), found


def test_ranks_of_a_learned_scale_are_uniform():
    found = p_values(*simulate_learned())
    assert np.all(found > SMALLEST_P), found


@pytest.mark.parametrize("name", SPARSE)
def test_a_wrong_hyperparameter_is_noticed(name):
    truths, posteriors = simulate(name)
    posteriors = posteriors.copy()
    posteriors[:, :, -1] **= 0.8
    assert p_values(truths, posteriors)[-1] < SMALLEST_P


def test_a_wrong_scale_is_noticed():
    truths, posteriors = simulate_learned()
    posteriors = posteriors.copy()
    posteriors[:, :, -1] *= 1.3
    assert p_values(truths, posteriors)[-1] < SMALLEST_P

"""The target of the general route: gradients, designs of all kinds, the curvature, the density of many points."""

import numpy as np
import pytest
from scipy import sparse

from bayesglm.families import (
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Gamma,
    Gaussian,
    InverseGaussian,
    Laplace,
    NegativeBinomial,
    Poisson,
    StudentT,
)
from bayesglm.inference.contrasts import contrasts
from bayesglm.kernel.design import BLOCK_ROWS, make_design
from bayesglm.kernel.positive_priors import HalfNormal, InverseGamma
from bayesglm.kernel.priors import JointPrior, Normal
from bayesglm.kernel.priors import StudentT as StudentTPrior
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.sweep import POINTS_AT_ONCE, sweep

N, P = 2 * BLOCK_ROWS + 37, 7
RNG = np.random.default_rng(0)
X = np.where(RNG.random((N, P)) < 0.5, 0.0, RNG.normal(size=(N, P)))
ETA = X @ RNG.normal(scale=0.3, size=P)
WEIGHT, OFFSET = RNG.uniform(0.5, 2.0, N), RNG.normal(scale=0.2, size=N)
TRIALS = RNG.integers(1, 9, N).astype(float)
P_ = 1.0 / (1.0 + np.exp(-ETA))
COUNTS = RNG.poisson(np.exp(ETA) * RNG.gamma(2.0, 0.5, N)).astype(float)
POSITIVE = np.exp(ETA) * RNG.gamma(2.0, 0.5, N)
CASES = {
    "logit": (Bernoulli(), (RNG.random(N) < P_).astype(float), None),
    "cloglog": (Bernoulli("cloglog"), (RNG.random(N) < P_).astype(float), None),
    "binomial probit": (Binomial("probit"), RNG.binomial(TRIALS.astype(int), P_).astype(float), TRIALS),
    "poisson": (Poisson(), COUNTS, None),
    "negative binomial": (NegativeBinomial(), COUNTS, None),
    "gaussian": (Gaussian(), ETA + RNG.normal(size=N), None),
    "standard errors": (Gaussian(), ETA + RNG.normal(size=N), RNG.uniform(0.1, 1.0, N)),
    "student t": (StudentT(), ETA + RNG.standard_t(4.0, size=N), None),
    "laplace": (Laplace(), ETA + RNG.laplace(size=N), None),
    "gamma": (Gamma(), POSITIVE, None),
    "inverse gaussian": (InverseGaussian(), POSITIVE, None),
    "beta": (Beta(), np.clip(RNG.beta(3 * P_, 3 * (1 - P_)), 1e-6, 1 - 1e-6), None),
    "classes": (Categorical(3), RNG.integers(0, 3, N).astype(float), None),
}
CASES["classes, reference"] = CASES["classes, all sets"] = CASES["classes"]
CONTRASTS = {"classes": contrasts(3), "classes, reference": contrasts(3, 1)}


def build(name, design, weighted=True, intercept=True, priors=True):
    family, y, extra = CASES[name]
    matrix = CONTRASTS.get(name)
    K = family.n_predictors if matrix is None else matrix.shape[1]
    aux = None
    for i, _ in enumerate(family.aux):
        own = (InverseGamma(2.0, 3.0) if i else HalfNormal(2.0)).bind([i])
        aux = own if aux is None else JointPrior(aux, own)
    coef = JointPrior(
        Normal(0.1, 2.5).bind(np.arange(K * P - 2)), StudentTPrior(4.0, 0.0, 1.0).bind([K * P - 2, K * P - 1])
    )
    return RegressionTarget(
        design,
        family,
        y,
        weight=WEIGHT if weighted else None,
        extra=extra,
        offset=OFFSET,
        contrasts=matrix,
        intercept=intercept,
        shift=X.mean(axis=0),
        coef_prior=coef if priors else None,
        intercept_prior=Normal(np.linspace(0.5, 0.7, K), 3.0).bind(np.arange(K)) if priors else None,
        aux_prior=aux if priors else None,
    )


def written_out(target, name, q, weighted, intercept):
    """The log density from its definition: family, priors, Jacobians of logarithms."""
    family, y, extra = CASES[name]
    matrix = CONTRASTS.get(name, np.eye(family.n_predictors))
    K, first = matrix.shape[1], int(intercept)
    linear = q[: K * (P + first)].reshape(K, P + first)
    coef = linear[:, first:]
    Z = (X - target.design.center) / target.design.unit
    eta = (Z @ coef.T + (linear[:, 0] if first else 0.0) + OFFSET[:, None]) @ matrix.T
    logs = q[K * (P + first) :]
    aux = {key: np.exp(value) for key, value in zip(family.aux, logs, strict=True)}
    rows = family.logpdf(y, eta if K > 1 else eta[:, 0], aux, extra)
    value = float((WEIGHT if weighted else 1.0) @ rows) if weighted else float(rows.sum())
    value += target.coef_prior.value_and_gradient(coef.ravel())[0]
    if first:
        level = linear[:, 0] - coef @ X.mean(axis=0)
        value += target.intercept_prior.value_and_gradient(level)[0]
    if family.aux:
        value += target.aux_prior.value_and_gradient(np.exp(logs))[0] + float(logs.sum())
    return value


EVERY = pytest.mark.parametrize("name", CASES)


@EVERY
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "none"])
def test_the_density_is_what_it_is_defined_to_be(name, weighted, intercept):
    target = build(name, make_design(X, X.mean(axis=0), X.std(axis=0)), weighted, intercept)
    rng = np.random.default_rng(1)
    for _ in range(3):
        q = rng.normal(scale=0.3, size=target.dim)
        value, gradient = target(q)
        assert value == pytest.approx(written_out(target, name, q, weighted, intercept), rel=1e-11)
        for j in range(target.dim):
            step = np.zeros(target.dim)
            step[j] = 1e-5
            slope = (target(q + step)[0] - target(q - step)[0]) / 2e-5
            # Rounding of the difference, and kinks that are crossed.
            near = 3.0 if name == "laplace" else 1e-6 * np.abs(gradient).max()
            assert abs(gradient[j] - slope) < near + 1e-9 * abs(value)


@EVERY
def test_sparse_rows_and_single_precision(name):
    center, unit = X.mean(axis=0), X.std(axis=0)
    dense = build(name, make_design(X, center, unit))
    thin = build(name, make_design(sparse.csr_array(X), center, unit))
    single = build(name, make_design(X, center, unit, np.float32))
    q = np.random.default_rng(2).normal(scale=0.3, size=dense.dim)
    value, gradient = dense(q)
    assert thin(q)[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(thin(q)[1], gradient, rtol=1e-9, atol=1e-9)
    # Predictors to 24 bits are other data, and these differ in the seventh digit.
    assert single(q)[0] == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(single(q)[1], gradient, rtol=1e-4, atol=1e-2 if name == "laplace" else 1e-4)
    np.testing.assert_allclose(thin.information(q), dense.information(q), rtol=1e-10, atol=1e-10)


@EVERY
def test_many_points_at_once(name):
    rng = np.random.default_rng(3)
    for design in (make_design(X), make_design(sparse.csr_array(X)), make_design(X, dtype=np.float32)):
        target = build(name, design)
        points = rng.normal(scale=0.3, size=(POINTS_AT_ONCE + 3, target.dim))
        one_by_one = [target(q)[0] for q in points]
        np.testing.assert_allclose(sweep(target, points), one_by_one, rtol=1e-12)
        np.testing.assert_allclose(sweep(target.clone(), points[:3]), one_by_one[:3], rtol=1e-12)


@EVERY
def test_information_is_the_rows_curvature(name):
    target = build(name, make_design(X, X.mean(axis=0), X.std(axis=0)), priors=False)
    family, y, extra = CASES[name]
    q = np.random.default_rng(4).normal(scale=0.3, size=target.dim)
    found = target.information(q)
    Z = np.column_stack([np.ones(N), (X - X.mean(axis=0)) / X.std(axis=0)])
    eta, aux = target.linear_predictor(q), np.exp(q[target.n_linear :])
    K = family.n_predictors
    if K == 1:
        curvature = family.value_and_curvature(y, eta[0], aux, weight=WEIGHT, extra=extra)[1]
        np.testing.assert_allclose(found, Z.T @ (curvature[:, None] * Z), rtol=1e-11, atol=1e-10)
        return
    p = family.probabilities(eta.T)
    blocks = [[Z.T @ (_shared(p, k, m)[:, None] * Z) for m in range(K)] for k in range(K)]
    matrix = np.kron(CONTRASTS.get(name, np.eye(K)), np.eye(P + 1))
    np.testing.assert_allclose(found, matrix.T @ np.block(blocks) @ matrix, rtol=1e-11, atol=1e-10)


def _shared(p, k, m):
    """The rows' curvature in linear predictors k and m of several classes."""
    return WEIGHT * ((k == m) * p[:, k] - p[:, k] * p[:, m])


def test_blocks_hold_the_standardised_rows():
    center, unit = X.mean(axis=0), X.std(axis=0)
    for rows in (X, sparse.csr_array(X)):
        design = make_design(rows, center, unit)
        found = np.vstack([design.block(b) for b in range(design.n_blocks)])
        np.testing.assert_allclose(found, (X - center) / unit, rtol=1e-13, atol=1e-15)
    assert make_design(X, dtype=np.float32).dtype == np.float32
    assert make_design(X).shape == (N, P)


def test_no_predictors_and_no_intercept():
    empty = np.zeros((N, 0))
    level = RegressionTarget(make_design(empty), Poisson(), COUNTS)
    value, gradient = level(np.array([0.2]))
    assert value == pytest.approx(float(Poisson().logpdf(COUNTS, 0.2, {}).sum()), rel=1e-12)
    assert gradient[0] == pytest.approx(float((COUNTS - np.exp(0.2)).sum()), rel=1e-12)
    nothing = RegressionTarget(make_design(empty), Poisson(), COUNTS, intercept=False)
    assert nothing.dim == 0
    assert nothing.information(np.zeros(0)).shape == (0, 0)


def test_what_does_not_fit_is_refused():
    design = make_design(X)
    with pytest.raises(ValueError, match="weight has shape"):
        RegressionTarget(design, Poisson(), COUNTS, weight=np.ones(3))
    target = RegressionTarget(design, Poisson(), COUNTS)
    with pytest.raises(ValueError, match="dimension 8"):
        target.information(np.zeros(3))
    with pytest.raises(ValueError, match="dimension 8"):
        sweep(target, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="contrasts has shape"):
        RegressionTarget(design, Categorical(3), CASES["classes"][1], contrasts=np.eye(2))
    with pytest.raises(TypeError, match="fit the model again"):
        target.__reduce__()

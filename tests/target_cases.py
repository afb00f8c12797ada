"""Targets for the tests of chains, and the measures they are judged by."""

import pickle
import time

import numpy as np

from bayesglm.inference.diagnostics import diagnose
from bayesglm.kernel.gaussian import ScaleTarget
from bayesglm.kernel.positive_priors import HalfNormal
from bayesglm.kernel.target import AffineTarget, PyTarget


def scale_target(dim=4):
    """A compiled target: standard normal coordinates and log sigma."""
    return ScaleTarget(dim, 30.0, 25.0, [20.0], [0.5], [0.7], HalfNormal().bind([0]))


def normal_target(dim):
    """A standard normal vector."""
    return PyTarget(dim, lambda q: (-0.5 * q @ q, -q))


def stretched(covariance, mean):
    """A normal density that is far from standard, behind the identity map; log sigma is one coordinate more."""
    dim = len(mean)
    inverse, shift = np.eye(dim + 1), np.zeros(dim + 1)
    inverse[:dim, :dim] = np.linalg.inv(np.linalg.cholesky(covariance))
    shift[:dim] = -inverse[:dim, :dim] @ mean
    return AffineTarget(
        AffineTarget(scale_target(dim + 1), shift, inverse), np.zeros(dim + 1), np.eye(dim + 1)
    )


def z_scores(draws, truth):
    """Distances of means over (chain, draw) from the truth, in Monte Carlo standard errors."""
    found = diagnose(np.moveaxis(draws, -1, 0))
    return (draws.mean(axis=(0, 1)) - truth) / found.mcse_mean


def slow_normal(dim, seconds):
    def density(q):
        time.sleep(seconds)
        return -0.5 * q @ q, -q

    return PyTarget(dim, density)


def snapshot(chain_states):
    return pickle.dumps([(s.position, s.step_size, s.bit_generator.state) for s in chain_states])


def gradient_error(target, q, step=1e-5):
    """Largest difference of gradient and a five-point difference quotient, relative to the gradient's size."""
    value, gradient = target(q)
    found = np.empty(len(q))
    for j, unit in enumerate(np.eye(len(q))):
        near = target(q + step * unit)[0] - target(q - step * unit)[0]
        far = target(q + 2 * step * unit)[0] - target(q - 2 * step * unit)[0]
        found[j] = (8 * near - far) / (12 * step)
    assert np.isfinite(value)
    return np.max(np.abs(found - gradient)) / (1 + np.max(np.abs(gradient)) + 1e-4 * abs(value))

"""Extreme regressions under priors that have no closed form, and of several classes: posteriors by importance sampling.

Everything is in standardised coordinates and from the definitions in docs/priors.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_expit, logsumexp

from bayesglm import Laplace
from tests.acceptance.importance import Moments, moments

#: Log density of points, their dimension, and from them to level, sum, difference and log sigma.
Truth = tuple[Callable[[np.ndarray], np.ndarray], int, Callable[[np.ndarray], np.ndarray]]


class Standardised:
    """Rows of two columns, less their means, in standard deviations, the columns given by half sum and half difference.

    Coefficients then are the sum and the difference of those of the columns; so that such as correlate at 1 - 1e-12,
    or are equal, are nearly independent.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None):
        self.w = np.ones(len(y)) if weights is None else weights
        x, w = np.asarray(X, np.longdouble), self.w.astype(np.longdouble)
        self.x_mean = w @ x / w.sum()
        sd = np.sqrt(w @ (x - self.x_mean) ** 2 / w.sum())
        self.x_sd = np.where(sd > 1e-15 * np.abs(self.x_mean), sd, 1.0)
        z = ((x - self.x_mean) / self.x_sd).astype(float)
        self.z = 0.5 * np.column_stack([z[:, 0] + z[:, 1], z[:, 0] - z[:, 1]])
        y = np.asarray(y, np.longdouble)
        self.y_mean = w @ y / w.sum()
        sd = np.sqrt(w @ (y - self.y_mean) ** 2 / w.sum())
        self.y_sd = sd if sd > 0 else np.longdouble(1.0)
        self.y = ((y - self.y_mean) / self.y_sd).astype(float)

    def draws(self, found: Any) -> np.ndarray:
        """Return draws of level, sum, difference and log sigma, shape (4, chains, draws)."""
        coef = found["coef"] * self.x_sd / self.y_sd
        level = found["Intercept"] + (found["coef"] * self.x_mean).sum(axis=-1) - self.y_mean
        sigma = np.log(found["sigma"] / self.y_sd)
        both = coef[..., 0] + coef[..., 1], coef[..., 0] - coef[..., 1]
        return np.array([level / self.y_sd, *both, sigma]).astype(float)


def _log_half_t(tau: np.ndarray, df: float, scale: float) -> np.ndarray:
    """Return the log density of a logarithm whose exponential is half-t, but for a constant.

    SciPy's distributions take longer to make than all else here.
    """
    return tau - 0.5 * (df + 1.0) * np.log1p(np.exp(2.0 * tau) / (df * scale**2))


# -- priors of each coefficient: level, coefficients and log sigma are sampled -----------------------------------------

EACH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "laplace": lambda b: -np.abs(b) / 2.5,
    "student_t": lambda b: -2.5 * np.log1p((b / 2.5) ** 2 / 4.0),
    "laplace of 0.01": lambda b: -np.abs(b) / 0.01,
    "positive": lambda b: -0.5 * (b / 2.5) ** 2,
}


def each(data: Standardised, prior: str) -> Truth:
    """Return the posterior under independent priors."""
    positive = prior == "positive"

    def coef(q: np.ndarray) -> np.ndarray:
        if positive:  # a coefficient and the other's share, both by logarithms: all of them are positive
            b = np.exp(np.clip(q[:, 1:3], -300, 300))
            return np.column_stack([b[:, 0] + b[:, 1], b[:, 0] - b[:, 1]])
        return q[:, 1:3]

    def log_density(q: np.ndarray) -> np.ndarray:
        both, tau = coef(q), np.clip(q[:, -1], -300, 300)
        single = np.column_stack([both.sum(axis=1), both[:, 0] - both[:, 1]]) / 2.0
        gap = (data.y - q[:, :1] - both @ data.z.T) ** 2 @ data.w
        found = -0.5 * np.exp(-2 * tau) * gap - data.w.sum() * tau + _log_half_t(tau, 4, 1.0)
        found += -0.5 * (q[:, 0] / 2.5) ** 2 + EACH[prior](single).sum(axis=1)
        found += q[:, 1:3].sum(axis=1) if positive else 0.0
        return np.where(np.isfinite(found), found, -np.inf)

    return log_density, 4, lambda q: np.column_stack([q[:, 0], coef(q), q[:, -1]])


# -- scales that are learned: they and log sigma are sampled, coefficients given them are normal -----------------------


def _learned(u: np.ndarray, sigma: np.ndarray, n: float) -> tuple[np.ndarray, np.ndarray]:
    scale = np.exp(u[:, :1])
    return np.repeat(scale**2, 2, axis=1), _log_half_t(u[:, 0], 4, 2.5)


def _horseshoe(u: np.ndarray, sigma: np.ndarray, n: float) -> tuple[np.ndarray, np.ndarray]:
    tau, local, slab = np.exp(u[:, :1]), np.exp(u[:, 1:3]), np.exp(u[:, 3:4])
    # One signal among two: the global scale is 1/(2 - 1)/sqrt(n). slab is c², InverseGamma(2, 2 2.5²).
    prior = _log_half_t(u[:, 0], 1, 1 / np.sqrt(n)) + _log_half_t(u[:, 1:3], 1, 1.0).sum(axis=1)
    prior += -2.0 * u[:, 3] - 2.0 * 2.5**2 / slab[:, 0]
    return 1 / (1 / (sigma[:, np.newaxis] * tau * local) ** 2 + 1 / slab), prior


def _r2d2(u: np.ndarray, sigma: np.ndarray, n: float) -> tuple[np.ndarray, np.ndarray]:
    # Logits of R², which is uniform, and of the first share, Beta(0.5, 0.5).
    share = np.exp(np.column_stack([log_expit(u[:, 1]), log_expit(-u[:, 1])]))
    prior = log_expit(u[:, 0]) + log_expit(-u[:, 0]) + 0.5 * (log_expit(u[:, 1]) + log_expit(-u[:, 1]))
    return (sigma**2 * np.exp(u[:, 0]))[:, np.newaxis] * share, prior


LEARNED = {"learn": (_learned, 1), "horseshoe": (_horseshoe, 4), "r2d2": (_r2d2, 2)}


def learned(data: Standardised, prior: str) -> Truth:
    """Return the posterior under priors whose scales are learned."""
    variances, dim = LEARNED[prior]
    n = data.w.sum()
    S, c, yy = (data.z.T * data.w) @ data.z, (data.z.T * data.w) @ data.y, data.w @ data.y**2
    turn = np.array([[1.0, 1.0], [1.0, -1.0]])

    def given(q: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return sigma, log prior, and the coefficients' normal distribution: mean and axes in units of a factor."""
        sigma = np.exp(np.clip(q[:, -1], -30, 30))
        own, log_prior = variances(np.clip(q[:, :-1], -60, 60), sigma, n)
        # Factors of the covariances of sum and difference.
        factor = turn * np.sqrt(own)[:, np.newaxis, :]
        inverse, axes = np.linalg.eigh(np.swapaxes(factor, 1, 2) @ (S / sigma[:, None, None] ** 2) @ factor)
        inverse = 1.0 + np.maximum(inverse, 0.0)
        pull = np.einsum("mij,mi->mj", axes, (np.swapaxes(factor, 1, 2) @ c) / sigma[:, None] ** 2)
        return sigma, log_prior, factor @ axes, inverse, pull

    def log_density(q: np.ndarray) -> np.ndarray:
        inside = (np.abs(q[:, :-1]) < 60).all(axis=1) & (np.abs(q[:, -1]) < 30)
        found = np.full(len(q), -np.inf)
        sigma, log_prior, _, inverse, pull = given(q[inside])
        tau = q[inside, -1]
        found[inside] = -n * tau - 0.5 * yy / sigma**2 + _log_half_t(tau, 4, 1.0) + log_prior
        found[inside] += 0.5 * (pull**2 / inverse - np.log(inverse)).sum(axis=1)
        found[inside] -= 0.5 * np.log(n / sigma**2 + 1 / 2.5**2)
        return np.where(np.isfinite(found), found, -np.inf)

    def function(q: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(1)
        sigma, _, factor, inverse, pull = given(q)
        unit = pull / inverse + rng.standard_normal((len(q), 2)) / np.sqrt(inverse)
        level = rng.standard_normal(len(q)) / np.sqrt(n / sigma**2 + 1 / 2.5**2)
        return np.column_stack([level, (factor @ unit[..., np.newaxis])[..., 0], q[:, -1]])

    return log_density, dim + 1, function


RNG = np.random.default_rng(21)
N = 15
Z = RNG.normal(size=(N, 2))
Y = 1.0 + Z @ [0.8, -0.3] + RNG.normal(size=N)
NEAR = np.column_stack([Z[:, 0], (1.0 - 1e-12) * Z[:, 0] + np.sqrt(2e-12) * Z[:, 1]])
ONE = np.tile(Z[:1], (N, 1))
#: Rows, responses, weights.
DATA: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {
    "scales 1e-12 and 1e12, offset 1e15": (Z * [1e-12, 1e12] + [0.0, 1e15], Y, None),
    "correlation 1 - 1e-12, scales 1e-12 and 1e12": (NEAR * [1e-12, 1e12], Y, None),
    "a column twice at 1e6": (Z[:, [0, 0]] + 1e6, Y, None),
    "one distinct row": (ONE + np.array([1e9, 0.0]), Y, None),
    "six rows, y of 1e140": (Z[:6], 1e140 * Y[:6], None),
    "y of 1e-140, columns 1e-12": (1e-12 * Z, 1e-140 * Y, None),
    "weights 1e-6 to 1e6": (Z, Y, np.geomspace(1e-6, 1e6, N)),
    "weights sum to 1e12": (Z, Y, np.full(N, 1e12 / N)),
}
#: Where scales are learned one by one: their sampling takes long.
SHORT = ["correlation 1 - 1e-12, scales 1e-12 and 1e12", "a column twice at 1e6", "six rows, y of 1e140"]
SETTINGS: dict[str, dict[str, Any]] = {
    "laplace": {"prior": "laplace"},
    "student_t": {"prior": "student_t"},
    "laplace of 0.01": {"prior": Laplace(0.0, 0.01, autoscale=True)},
    "positive": {"positive": True},
    "learn": {"prior_scale": "learn"},
    "horseshoe": {"prior": "horseshoe", "target_accept": 0.99},
    "r2d2": {"prior": "r2d2", "target_accept": 0.99},
}


def truth(data: Standardised, prior: str) -> Truth:
    """Return the posterior of level, sum, difference and log sigma."""
    return each(data, prior) if prior in EACH else learned(data, prior)


# -- classes -----------------------------------------------------------------------------------------------------------


def softmax(z: np.ndarray, labels: np.ndarray, w: np.ndarray, classes: int, reference: int | None) -> Moments:
    """Return the posterior of the levels and slopes of all classes (but the reference), for a standardised predictor.

    Written in the differences from one class, and not in contrasts: they have N(0, 2.5²) each, and where no class is
    the reference their correlation is a half, which makes coefficients that add up to zero of variance 2.5²/2 times
    1 - 1/K. Levels are around those of the classes' shares.
    """
    k, base = classes - 1, 0 if reference is None else reference
    others = np.delete(np.arange(classes), base)
    shares = np.log(np.bincount(labels, w, classes) + 0.5)
    levels = shares[others] - shares[base]
    covariance = np.eye(k) if reference is not None else 0.5 * (np.eye(k) + 1.0)
    precision = np.linalg.inv(2.5**2 * covariance)

    def full(q: np.ndarray) -> np.ndarray:
        return np.insert(q, base, 0.0, axis=-1)

    def log_density(q: np.ndarray) -> np.ndarray:  # of levels less what they are around
        eta = full(q[:, :k] + levels)[:, np.newaxis] + full(q[:, k:])[:, np.newaxis] * z[:, np.newaxis]
        own = np.take_along_axis(eta, labels[np.newaxis, :, np.newaxis], axis=-1)[..., 0]
        prior = sum(np.einsum("ij,jk,ik->i", u, precision, u) for u in (q[:, :k], q[:, k:]))
        return (own - logsumexp(eta, axis=-1)) @ w - 0.5 * prior

    def coded(q: np.ndarray) -> np.ndarray:
        q = q + np.append(levels, np.zeros(k))
        if reference is not None:
            return q
        return np.hstack(
            [full(part) - full(part).mean(axis=1, keepdims=True) for part in (q[:, :k], q[:, k:])]
        )

    return moments(log_density, 2 * k, function=coded)

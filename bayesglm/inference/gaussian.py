"""Gaussian likelihood and Gaussian priors: coordinates in which the posterior is diagonal.

Given sigma the coefficients are normal. Stacking the rows of likelihood and prior, [A/s0; B] = Q T,
and taking the singular values of the upper part of Q gives coordinates z in which both are diagonal
for every sigma at once: the generalised singular value decomposition, computed without ever
squaring a condition number. Everything the posterior needs is then a sum over coordinates, and
sigma is the only parameter left: its marginal density is known in closed form and integrated by
quadrature, so that moments carry no Monte Carlo error.

All of it happens in the standardised units of `bayesglm.inference.sufficient.Summary`; `Route`
leads back to the user's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from bayesglm.inference.moments import EPS
from bayesglm.inference.quadrature import SCORES, Grid, cumulate, integrate, normal_scores
from bayesglm.inference.settled import settle, settle_prior
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.gaussian import ScaleTarget
from bayesglm.kernel.priors import Prior

#: Knots are settled to 1e-3 standard deviations of log sigma (where weights are huge), or better.
WIDE = 2.0**14


@dataclass(frozen=True)
class GaussianPrior:
    """Independent normal priors in standardised units, some of them flat.

    The intercept is parameter 0, if there is one; its prior speaks of ``intercept - shift @ coef``.

    Attributes
    ----------
    loc, precision : ndarray of shape (k,)
        Precision 0 is flat.
    shift : ndarray of shape (p,)
    sigma : Prior
        Prior of sigma, bound to coordinate 0.
    """

    loc: np.ndarray
    precision: np.ndarray
    shift: np.ndarray
    sigma: Prior


class NotIdentifiedError(ValueError):
    """The posterior is improper.

    Attributes
    ----------
    columns : ndarray of int
        Columns of X among which the data cannot tell.
    """

    def __init__(self, columns: np.ndarray):
        super().__init__("the data do not identify the coefficients")
        self.columns = columns


class ConditionalGaussian:
    """The posterior of (intercept, coefficients, sigma) as a mixture over sigma of normals.

    Parameters
    ----------
    summary : Summary
    prior : GaussianPrior

    Attributes
    ----------
    target : ScaleTarget
        What NUTS samples: standard normal u and t, log sigma being a function of t. Its numbers are settled.
    marginal : ScaleTarget
        The same with all digits, and log sigma itself for t.
    grid : Grid
        Quadrature over log sigma, in standardised units.
    basis : ndarray of shape (k, k)
        Maps z to (intercept, coefficients) in standardised units.

    Raises
    ------
    NotIdentifiedError
        If a direction has neither data nor prior.
    ArithmeticError
        If the marginal posterior of sigma is improper.
    """

    def __init__(self, summary: Summary, prior: GaussianPrior):
        intercept, rank = summary.intercept, summary.rank
        k = prior.loc.size
        # Coordinates are computed at a sigma that the posterior allows, but not far below the size of y: rows of
        # the likelihood too large beside those of the prior would leave the latter no digits where they are alone.
        # Without residual degrees of freedom the data say nothing of sigma, and it is of the size of y.
        degrees = max(summary.weight - rank - intercept, 0.01 * summary.weight)
        size = float(np.exp(-summary.level))
        start = (
            float(np.clip(np.sqrt(summary.rss / degrees), 1e-3 * size, size)) if summary.rss > 0.0 else size
        )

        likelihood = np.zeros((rank + intercept, k))
        response = np.zeros(rank + intercept)
        if intercept:
            likelihood[0, 0] = np.sqrt(summary.weight)
        likelihood[intercept:, intercept:] = summary.factor
        response[intercept:] = summary.rotated
        rows = np.eye(k)
        if intercept:
            rows[0, 1:] = -prior.shift
        rows *= np.sqrt(prior.precision)[:, np.newaxis]
        aim = np.sqrt(prior.precision) * prior.loc

        proper = prior.precision > 0.0
        check_identified(summary, rows)
        q, triangle = np.linalg.qr(np.vstack([likelihood / start, rows[proper]]))
        right, cosine, sine = _cosine_sine(q[: len(likelihood)], q[len(likelihood) :])
        self.basis = solve_triangular(triangle, right) if k else np.zeros((0, 0))
        rotation = _canonical_rotation(self.basis, cosine, sine)
        self.basis, right = self.basis @ rotation, right @ rotation
        ahead, behind = q[: len(likelihood)] @ right, q[len(likelihood) :] @ right
        self.data_mean = _divided(ahead.T @ response / start, cosine**2)
        self.prior_mean = _divided(behind.T @ aim[proper], sine**2)
        self.data_precision = (cosine * start) ** 2
        self.prior_precision = sine**2

        informed = cosine > 0.0
        data, held = self.data_precision[informed], self.prior_precision[informed]
        gap = (self.data_mean - self.prior_mean)[informed]
        self.marginal = ScaleTarget(k + 1, summary.weight, summary.rss, data, held, gap, prior.sigma)
        self.grid: Grid = integrate(self.marginal.log_marginal)
        # The spline may be any, so that its rounding is none of the density.
        knots, slopes = normal_scores(cumulate(self.marginal.log_marginal, self.grid.nodes, 256))
        self.target = ScaleTarget(
            k + 1,
            float(settle(summary.weight)),
            float(settle(summary.rss)),
            settle(data),
            settle(held),
            settle(np.where(held > 0.0, gap, 0.0), _divided(np.ones(len(held)), np.sqrt(held))),
            settle_prior(prior.sigma),
            SCORES[0],
            SCORES[1] - SCORES[0],
            settle(knots, min(1.0, WIDE * self.grid.sd)),
            settle(slopes),
        )

    def conditional(self, log_sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of z given log sigma, shapes (..., k)."""
        data = np.exp(-2.0 * log_sigma)[..., np.newaxis] * self.data_precision
        total = data + self.prior_precision
        return (data * self.data_mean + self.prior_precision * self.prior_mean) / total, 1.0 / total

    def unwhiten(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map draws of `target`, shape (..., k + 1), to (intercept, coefficients) and sigma, standardised."""
        log_sigma = self.target.log_sigma(draws[..., -1])
        z, variance = self.conditional(log_sigma)
        np.sqrt(variance, out=variance)
        variance *= draws[..., :-1]
        z += variance
        return z @ self.basis.T, np.exp(log_sigma)

    def exists(self, power: float) -> bool:
        """Whether sigma has a moment of this order, and with it the coefficients' given flat priors."""
        return self.grid.right + power < -1e-9


def _cosine_sine(upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diagonalise both parts of a matrix with orthonormal columns: V, and the column norms of each part times V.

    A singular vector is determined well where its singular value is small, and poorly among values near 1. So
    the directions in which the lower part is small come from its singular vectors, and the others, among which
    the upper part is small, are then rotated to that part's (Van Loan 1985).
    """
    k = upper.shape[1]
    if k == 0:
        return np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    _, values, right = (
        np.linalg.svd(lower, full_matrices=True) if len(lower) else (None, np.zeros(0), np.eye(k))
    )
    sine = np.zeros(k)
    sine[: len(values)] = values
    vectors = right.T.copy()
    cosine = np.sqrt(np.sum((upper @ vectors) ** 2, axis=0))
    large = sine > np.sqrt(0.5)
    if large.any() and len(upper):
        _, values, rotation = np.linalg.svd(upper @ vectors[:, large], full_matrices=True)
        vectors[:, large] = vectors[:, large] @ rotation.T
        cosine[large] = 0.0
        cosine[np.flatnonzero(large)[: len(values)]] = values
        sine[large] = np.sqrt(np.sum((lower @ vectors[:, large]) ** 2, axis=0))
    # What rounding leaves of a flat prior or of absent data is neither.
    sine[sine < 20.0 * EPS * k] = 0.0
    cosine[cosine < 20.0 * EPS * k] = 0.0
    return vectors, cosine, sine


def _canonical_rotation(basis: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Return the rotation, shape (k, k), that makes coordinates depend on the data alone.

    The sign of a coordinate is arbitrary, and among coordinates of equal cosine (those that the data do not
    inform, or the dummies of a balanced design) any rotation will do: rounding chooses. Chosen here instead,
    equal data give equal draws: such coordinates are turned towards fixed directions (random ones, since any
    that mean something, such as single columns, can be orthogonal or alike to them all), and all point to one
    side.
    """
    k = len(cosine)
    rotation = np.eye(k)
    towards = np.random.Generator(np.random.PCG64(0)).standard_normal((k, k + 1))
    near = 64.0 * EPS * k
    apart = (np.abs(np.diff(cosine)) > near) | (np.abs(np.diff(sine)) > near)
    for group in np.split(np.arange(k), np.flatnonzero(apart) + 1):
        if len(group) > 1:
            onto = basis[:, group].T @ towards[:, 1 : len(group) + 1]
            rotation[np.ix_(group, group)] = np.linalg.qr(onto)[0]
    return rotation * np.where(towards[:, 0] @ basis @ rotation < 0.0, -1.0, 1.0)


def _divided(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return values / by, and 0 where by is 0."""
    return np.divide(values, by, out=np.zeros_like(values), where=by > 0.0)


def check_identified(summary: Summary, rows: np.ndarray) -> None:
    """Raise `NotIdentifiedError` unless the prior tells apart what the data do not.

    Parameters
    ----------
    summary : Summary
    rows : ndarray of shape (k, k)
        Rows of the prior's precision (a row of zeros is flat).
    """
    if len(summary.null):
        null = np.zeros((rows.shape[1], len(summary.null)))
        null[summary.intercept :] = summary.null.T
        held = rows @ null
        # Each row by its own size: what matters is the angle, and a row that rounding alone moves is none.
        size = np.sqrt(np.sum(rows**2, axis=1, keepdims=True))
        held = np.divide(held, size, out=np.zeros_like(held), where=size > 0.0)
        if np.linalg.matrix_rank(held, tol=1e-8) < len(summary.null):
            _, singular, right = np.linalg.svd(held)
            rank = int(np.count_nonzero(singular > 1e-8))
            free = summary.null.T @ right[rank:].T
            raise NotIdentifiedError(np.flatnonzero(np.abs(free).max(axis=1) > 1e-6))

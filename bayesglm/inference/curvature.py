"""Curvature of a regression's log posterior: exact in the likelihood, coordinate by coordinate in the prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayesglm.inference.prior_set import StandardisedPriors
from bayesglm.kernel.coefficient_maps import ElementwiseMap, MappedTarget
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, Prior, StudentT
from bayesglm.kernel.regression import RegressionTarget

#: Step of central differences in the logarithm of an auxiliary parameter, and in units of a coordinate's own size.
DIFFERENCE = 1e-4


def prior_curvature(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Return minus the second derivative of a bound prior at ``x``, shape (n,), never negative.

    Where Student's t is not concave its curvature as a mixture of normals stands in (that of iterated least squares);
    for Laplace's kink that of a normal prior of the same variance.
    """
    _, loc, scale, _ = prior.bound
    z = (x - loc) / scale
    if isinstance(prior, Flat):
        return np.zeros(len(z))
    if isinstance(prior, Normal):
        return np.asarray(1.0 / scale**2)
    if isinstance(prior, Laplace):
        return np.asarray(0.5 / scale**2)
    if isinstance(prior, (StudentT, Cauchy)):
        df = prior.df if isinstance(prior, StudentT) else 1.0
        exact = (df + 1.0) * (df - z**2) / (df + z**2) ** 2
        return np.asarray(np.where(exact > 0.0, exact, (df + 1.0) / (df + z**2)) / scale**2)
    raise TypeError(f"{prior} has no curvature on the real line; map its coefficients.")


class Curvature:
    """Minus the matrix of second derivatives of a target's log density, as a function of the point.

    Parameters
    ----------
    target : RegressionTarget or MappedTarget
        Mapped coefficient by coefficient, if it is mapped.
    priors : StandardisedPriors
    """

    def __init__(self, target: RegressionTarget | MappedTarget, priors: StandardisedPriors):
        self.target = target
        self.map = target.coef_map if isinstance(target, MappedTarget) else None
        self.inner: RegressionTarget = target.inner if isinstance(target, MappedTarget) else target
        self.priors = priors
        if self.map is not None and not isinstance(self.map, ElementwiseMap):
            raise TypeError("the coefficients' map must treat each by itself.")

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """Return the matrix, shape (dim, dim), at a point of the target's coordinates."""
        inner, first = self.inner, int(self.inner.intercept)
        p = inner.design.n_columns
        point = self.target.unwhiten(q) if isinstance(self.target, MappedTarget) else q
        matrix = np.zeros((inner.dim, inner.dim))
        n = inner.n_linear
        matrix[:n, :n] = inner.information(point)
        self._add_intercept(matrix, point, p)
        for k in range(inner.n_sets):
            block = slice(k * (p + first), (k + 1) * (p + first))
            if self.map is None:
                for prior in self.priors.coef:
                    where = np.asarray(prior.bound[0]) + block.start + first
                    matrix[where, where] += prior_curvature(prior, point[where])
        for i in range(n, inner.dim):
            matrix[i] = matrix[:, i] = -_central(lambda at: inner(at)[1], point, [i])
        if self.map is not None:
            self._pull_back(matrix, q, point, slice(first, first + p))
        return matrix

    def _add_intercept(self, matrix: np.ndarray, point: np.ndarray, p: int) -> None:
        """Add what the prior of ``intercept - shift @ coef`` says, set by set."""
        prior, m = self.priors.intercept, self.inner.n_sets
        if prior is None:
            return
        direction = np.append(1.0, -self.priors.shift)
        levels = point[: m * (p + 1)].reshape(m, p + 1) @ direction
        for k, curve in enumerate(prior_curvature(prior, levels)):
            block = slice(k * (p + 1), (k + 1) * (p + 1))
            matrix[block, block] += curve * np.outer(direction, direction)

    def _pull_back(self, matrix: np.ndarray, q: np.ndarray, point: np.ndarray, where: slice) -> None:
        """Change the coefficients' coordinates to the map's, in place."""
        assert self.map is not None
        u, along = q[where], self.inner(point)[1][where]
        ones, zeros = np.ones(len(u)), np.zeros(len(u))
        coef_map = self.map
        slope = coef_map.log_density_and_gradient(u, ones)[2] - coef_map.log_density_and_gradient(u, zeros)[2]
        with np.errstate(over="ignore", invalid="ignore"):  # which ends the search for a mode
            matrix[where] *= slope[:, np.newaxis]
            matrix[:, where] *= slope
        # Each coordinate has its own coefficient, so that one difference serves them all.
        step = DIFFERENCE * (1.0 + np.abs(u))
        up = coef_map.log_density_and_gradient(u + step, along)[2]
        down = coef_map.log_density_and_gradient(u - step, along)[2]
        diagonal = matrix[where, where].diagonal() + (down - up) / (2.0 * step)
        index = np.arange(where.start, where.stop)
        matrix[index, index] = np.maximum(diagonal, 1e-3 * matrix[where, where].diagonal() + 1e-12)


def _central(
    function: Callable[[np.ndarray], np.ndarray], point: np.ndarray, moved: Sequence[int]
) -> np.ndarray:
    """Return the derivative of a function along coordinates ``moved`` together, by a central difference."""
    step = np.zeros(len(point))
    step[list(moved)] = DIFFERENCE
    found: np.ndarray = (function(point + step) - function(point - step)) / (2.0 * DIFFERENCE)
    return found

"""The mode of a log density and the curvature there, by Newton's method with line search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, eigh, solve_triangular

#: Steps after which the point reached has to do.
MAX_STEPS = 100
#: Newton decrement, the squared distance to the mode in posterior standard deviations, at which it is reached.
TOLERANCE = 1e-18
#: A direction whose curvature is less than this share of the largest, in units where all diagonals are 1, has none.
FLAT = 1e-11


@dataclass(frozen=True)
class LaplaceFit:
    """A normal approximation: q = mode + factor @ z with z standard normal.

    Attributes
    ----------
    mode : ndarray of shape (dim,)
    factor : ndarray of shape (dim, dim)
    curvature : ndarray of shape (dim, dim)
        Minus the second derivatives of the log density at the mode, or what stood in for them.
    decrement : float
        What was left of the Newton decrement.
    flat : ndarray of shape (dim, m)
        Unit directions, in units where the diagonal of the curvature is 1, without curvature.
    """

    mode: np.ndarray
    factor: np.ndarray
    curvature: np.ndarray
    decrement: float
    flat: np.ndarray

    @property
    def converged(self) -> bool:
        """Whether the point is the mode, to a thousandth of a posterior standard deviation."""
        return self.decrement < 1e-6


def fit_laplace(
    target: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    curvature: Callable[[np.ndarray], np.ndarray],
    *,
    max_steps: int = MAX_STEPS,
    tolerance: float = TOLERANCE,
) -> LaplaceFit:
    """Climb to the mode and take the curvature there.

    Parameters
    ----------
    target : callable
        Maps a point to the log density and its gradient.
    start : ndarray of shape (dim,)
        A point where the density is positive.
    curvature : callable
        Maps a point to minus the matrix of second derivatives or a positive stand-in (Fisher's information).
    max_steps, tolerance
        When to stop: after so many steps, or at such a Newton decrement.

    Returns
    -------
    LaplaceFit
        Not `converged` where there is no mode or none was found: the caller decides whether it serves.
    """
    q = np.array(start, dtype=np.float64)
    value, gradient = target(q)
    decrement = np.inf
    matrix = curvature(q)
    for _ in range(max_steps):
        step = _ascend(matrix, gradient)
        decrement = float(gradient @ step)
        if not decrement > tolerance:
            break
        found = _line_search(target, q, value, step, decrement)
        if found is None:
            break
        ahead = curvature(found[0])
        if not np.isfinite(ahead).all():
            break  # on the way to infinity
        q, value, gradient = found
        matrix = ahead
        if decrement < 1e-9 and float(gradient @ _ascend(matrix, gradient)) > 0.25 * decrement:
            break  # rounding is all that is left
    step = _ascend(matrix, gradient)
    decrement = abs(float(gradient @ step))
    factor, flat = _square_root(matrix)
    return LaplaceFit(q, factor, matrix, decrement, flat)


def _line_search(
    target: Callable[[np.ndarray], tuple[float, np.ndarray]],
    q: np.ndarray,
    value: float,
    step: np.ndarray,
    decrement: float,
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return point, value and gradient after a step that gains enough (Armijo), halving it if need be, or None."""
    noise = 1e-13 * (1.0 + abs(value))
    size = 1.0
    while size > 1e-9:
        point = q + size * step
        new_value, new_gradient = target(point)
        enough = new_value >= value + 1e-4 * size * decrement - noise
        if enough and np.all(np.isfinite(new_gradient)):
            return point, new_value, new_gradient
        size *= 0.5
    return None


def _ascend(matrix: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return the step matrix⁻¹ gradient, of a matrix made positive definite where it is not."""
    if not len(gradient):
        return gradient
    scale, scaled = _equilibrated(matrix)
    try:
        factor = cholesky(scaled, lower=True)
        found: np.ndarray = cho_solve((factor, True), gradient / scale) / scale
    except np.linalg.LinAlgError:
        values, vectors = eigh(scaled)
        values = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(initial=1e-300))
        found = vectors @ (vectors.T @ (gradient / scale) / values) / scale
    return found


def _square_root(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a square root of the inverse, and the directions without curvature, which it gives unit width."""
    k = len(matrix)
    if not k:
        return np.zeros((0, 0)), np.zeros((0, 0))
    scale, scaled = _equilibrated(matrix)
    values, vectors = eigh(scaled)
    flat = values < FLAT * max(values[-1], 1e-300)
    if not flat.any() and values[0] > 1e-6 * values[-1]:
        lower = cholesky(scaled, lower=True)
        inverse: np.ndarray = solve_triangular(lower, np.eye(k), lower=True, trans="T")
        return inverse / scale[:, np.newaxis], np.zeros((k, 0))
    held = np.where(flat, np.maximum(np.abs(values), 1e-8), values)
    return vectors / np.sqrt(held) / scale[:, np.newaxis], vectors[:, flat]


def _equilibrated(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the square roots of the diagonal, and the matrix with both sides divided by them."""
    diagonal = np.diagonal(matrix)
    scale = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    return scale, matrix / np.outer(scale, scale)

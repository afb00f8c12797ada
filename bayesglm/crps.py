"""Continuous ranked probability score of mixtures of normals, in closed form or to rounding error.

For a predictive distribution F and independent Y, Y' ~ F the score of an observation y is
E|Y - y| - E|Y - Y'|/2 (Gneiting & Raftery 2007). Between normals both expectations are sums of
E|N(m, s²)| (Grimit et al. 2006): the first takes K terms, the second one for each of the K² pairs of
components. But the second is also a sum over pairs of nodes on a grid: mixtures of normals have no frequencies
beyond those of their narrowest component, so that thirty or forty values of the density say everything where the
components are about equally wide (sampling theorem; trapezoid rule, Trefethen & Weideman 2014), at a cost that grows
with K instead of K². Each row takes whichever costs less; both are accurate to rounding error.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import matmul_toeplitz
from scipy.special import erf, sici

from bayesglm.prediction import MixtureSource, blocks

#: Distance h of the nodes in units of the narrowest sd s: Y - Y' has exp(-(pi s / h)²) = 7e-15 beyond the grid's
#: frequencies.
_STEP = 0.55
#: The grid ends where every component is this many sds away: what lies beyond is below 1e-16.
_REACH = 8.3
#: What a pair of components costs, in values of a component's density; as measured.
_PAIR_COST = 4.0

_ROOT_2 = np.sqrt(2.0)
_ROOT_PI = np.sqrt(np.pi)


def crps(source: MixtureSource, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of an observation at every row; lower is better.

    Parameters
    ----------
    source : MixtureSource
        The predictive distributions; a new observation's, noise included.
    X : ndarray or sparse array of shape (n, p)
    y : ndarray of shape (n,)
        Observed responses.

    Returns
    -------
    ndarray of shape (n,)
        In the units of y. NaN for a row where X or y holds a NaN.

    Raises
    ------
    ValueError
        If y is not of shape (n,).
    """
    observed = np.asarray(y, dtype=float)
    n = X.shape[0]
    if observed.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one value for each row of X, got {observed.shape}.")
    result = np.full(n, np.nan)
    for rows, weights, means, sds in blocks(source, X, "response"):
        result[rows] = component_crps(observed[rows], weights, means, sds)
    return result


def component_crps(y: np.ndarray, weights: np.ndarray, means: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Scores (m,) of y (m,) under mixtures given as weights (K,), means (m, K) and sds (m, K) or (1, K)."""
    distance = mean_absolute(y[:, np.newaxis] - means, sds) @ weights
    # Measured from the mixture's mean, so that a large mean costs no digits of the spread.
    return distance - half_spread(weights, means - (means @ weights)[:, np.newaxis], sds)


def mean_absolute(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return E|N(mean, sd²)|; a normal without width is a point."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = mean / (sd * _ROOT_2)
        spread = np.exp(-z * z)
        spread *= sd * (_ROOT_2 / _ROOT_PI)
        spread += mean * erf(z)
    return np.where(sd == 0.0, np.abs(mean), spread)


def half_spread(weights: np.ndarray, offsets: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Return E|Y - Y'|/2 (m,) of mixtures given as weights (K,), offsets (m, K) and sds (m, K) or (1, K)."""
    # In units of the largest number, so that no square over- or underflows.
    unit = np.maximum(np.abs(offsets).max(axis=1), sds.max(axis=1))
    unit = np.where((unit > 0.0) & np.isfinite(unit), unit, 1.0)
    offsets = offsets / unit[:, np.newaxis]
    sds = sds / unit[:, np.newaxis]
    low = (offsets - _REACH * sds).min(axis=1)
    high = (offsets + _REACH * sds).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cells = np.ceil((high - low) / (_STEP * sds.min(axis=1)))
    grid = cells < 0.5 * _PAIR_COST * (len(weights) + 1)
    result = np.empty(len(offsets))
    if grid.any():
        result[grid] = _by_grid(weights, offsets[grid], sds[grid], low[grid], high[grid], cells[grid])
    if not grid.all():
        result[~grid] = _by_pairs(weights, offsets[~grid], sds[~grid])
    return unit * result


def _by_grid(
    weights: np.ndarray,
    offsets: np.ndarray,
    sds: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    cells: np.ndarray,
) -> np.ndarray:
    """Sum over pairs of nodes, every row on a grid of its own; the ends count for nothing."""
    step = (high - low) / cells
    inverse_sds = 1.0 / sds
    heights = inverse_sds * (weights / np.sqrt(2.0 * np.pi))
    density = np.zeros((len(offsets), int(cells.max())))
    alive = np.arange(len(offsets))
    for node in range(1, density.shape[1]):
        inside = node < cells[alive]
        if not inside.all():
            alive, offsets = alive[inside], offsets[inside]
            inverse_sds, heights = inverse_sds[inside], heights[inside]
        z = (low[alive] + node * step[alive])[:, np.newaxis] - offsets
        z *= inverse_sds
        z *= z
        z *= -0.5
        np.exp(z, out=z)
        density[alive, node] = np.einsum("ij,ij->i", z, heights)
    # |d| as a function without the frequencies beyond the grid's: what it becomes at the distances of nodes.
    apart = np.arange(density.shape[1])
    distance = (2.0 / np.pi) * (apart * sici(np.pi * apart)[0] + np.where(apart % 2, -1.0, 1.0) / np.pi)
    probability = density * step[:, np.newaxis]
    return 0.5 * step * np.einsum("ij,ji->i", probability, matmul_toeplitz(distance, probability.T))


def _by_pairs(weights: np.ndarray, offsets: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Sum over all pairs of components, one component against all that follow at a time."""
    variances = sds * sds
    total = sds @ (weights * weights) / _ROOT_PI
    for k in range(len(weights) - 1):
        width = np.sqrt(variances[:, k, np.newaxis] + variances[:, k + 1 :])
        distance = mean_absolute(offsets[:, k, np.newaxis] - offsets[:, k + 1 :], width)
        total += weights[k] * (distance @ weights[k + 1 :])
    return total

"""Continuous ranked probability score of mixtures of normals, in closed form or to rounding error.

For a predictive distribution F and independent Y, Y' ~ F the score of an observation y is
E|Y - y| - E|Y - Y'|/2 (Gneiting & Raftery 2007). Between normals both expectations are sums of
E|N(m, s²)| (Grimit et al. 2006): the first takes K terms, the second one for each of the K² pairs of
components. The second is also the integral of F (1 - F), whose integrand is analytic and dies out at both
ends, so that the trapezoid rule gives it to rounding error from some thirty evaluations of F where the
components are about equally wide (Trefethen & Weideman 2014). Each row takes whichever costs less.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf, ndtr

from bayesglm.prediction import MixtureSource, blocks

#: Distance of the nodes in units of the narrowest sd s: the rule errs by about exp(-(pi s / h)²), here 7e-15.
_STEP = 0.55
#: The grid ends where every component is this many sds away: what lies beyond is below 1e-16.
_REACH = 8.3
#: What a pair of components costs, in evaluations of a component's distribution function; as measured.
_PAIR_COST = 1.5

_ROOT_2 = np.sqrt(2.0)
_ROOT_PI = np.sqrt(np.pi)


def crps(source: MixtureSource, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of an observation at every row; lower is better.

    Parameters
    ----------
    source : MixtureSource
        The predictive distributions; a new observation's, noise included.
    X : ndarray of shape (n, p)
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
    if observed.shape != (len(X),):
        raise ValueError(f"y must have shape ({len(X)},), one value for each row of X, got {observed.shape}.")
    result = np.full(len(X), np.nan)
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
    """Integral of F (1 - F) by the trapezoid rule, every row on a grid of its own; the ends count for nothing."""
    step = (high - low) / cells
    total = np.zeros(len(offsets))
    inverse_sds = 1.0 / sds
    alive = np.arange(len(offsets))
    for node in range(1, int(cells.max())):
        inside = node < cells[alive]
        if not inside.all():
            alive, offsets, inverse_sds = alive[inside], offsets[inside], inverse_sds[inside]
        z = (low[alive] + node * step[alive])[:, np.newaxis] - offsets
        z *= inverse_sds
        below = ndtr(z, out=z) @ weights
        total[alive] += below * (1.0 - below)
    return total * step


def _by_pairs(weights: np.ndarray, offsets: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Sum over all pairs of components, one component against all that follow at a time."""
    variances = sds * sds
    total = sds @ (weights * weights) / _ROOT_PI
    for k in range(len(weights) - 1):
        width = np.sqrt(variances[:, k, np.newaxis] + variances[:, k + 1 :])
        distance = mean_absolute(offsets[:, k, np.newaxis] - offsets[:, k + 1 :], width)
        total += weights[k] * (distance @ weights[k + 1 :])
    return total

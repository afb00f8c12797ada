"""How heavy the tail of importance weights is: the shape k of a generalised Pareto distribution."""

from __future__ import annotations

import numpy as np


def pareto_k(log_weights: np.ndarray) -> float:
    """Return the shape of the generalised Pareto distribution of the largest weights.

    Below 0.5 the weights have a variance, so that sums of them follow the central limit theorem (Vehtari, Simpson,
    Gelman, Yao & Gabry 2024, Pareto smoothed importance sampling). ArviZ has this too, but takes longer to import
    than a fit takes.

    Parameters
    ----------
    log_weights : ndarray of shape (n,)
        Minus infinity is a weight of zero.

    Returns
    -------
    float
        Minus infinity if all weights are equal; infinity for fewer than 25 weights or one that is not a number.
    """
    n = len(log_weights)
    if n < 25 or np.any(np.isnan(log_weights)) or np.any(np.isposinf(log_weights)):
        return np.inf
    tail = int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n))))
    ordered = np.sort(log_weights)
    if not np.isfinite(ordered[-1]):
        return np.inf
    weights = np.exp(ordered - ordered[-1])
    excess = weights[-tail:] - weights[-tail - 1]
    if excess[-1] <= 1e-12:
        return -np.inf
    return _generalised_pareto_shape(excess)


def _generalised_pareto_shape(x: np.ndarray) -> float:
    """Return the posterior mean of the shape, x in ascending order and not negative (Zhang & Stephens 2009)."""
    n = len(x)
    n_points = 30 + int(np.sqrt(n))
    # Their prior of theta = -shape/scale is centred by the first quartile.
    quartile = max(x[int(n / 4 + 0.5) - 1], 1e-300)
    grid = 1.0 - np.sqrt(n_points / (np.arange(1, n_points + 1) - 0.5))
    theta = grid / (3.0 * quartile) + 1.0 / x[-1]
    shape = np.log1p(-theta[:, np.newaxis] * x).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1.0)
    weight = np.exp(profile - profile.max())
    mean = float(theta @ weight / weight.sum())
    k = float(np.log1p(-mean * x).mean())
    # A weak prior on k, worth ten observations at 0.5, for short tails.
    return (n * k + 5.0) / (n + 10.0)

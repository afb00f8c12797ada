"""How heavy the tail of importance weights is: the shape k of a generalised Pareto distribution."""

from __future__ import annotations

import numpy as np

from bayesglm.kernel.pareto import generalised_pareto


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
    tail = int(np.ceil(tail_length(n, 1.0)))
    ordered = np.sort(log_weights)
    if not np.isfinite(ordered[-1]):
        return np.inf
    weights = np.exp(ordered - ordered[-1])
    excess = weights[-tail:] - weights[-tail - 1]
    if excess[-1] <= 1e-12:
        return -np.inf
    return generalised_pareto(excess)[0]


def tail_length(n_draws: int, efficiency: float) -> float:
    """Return how many of the largest weights make the tail, a number that is not yet whole.

    Parameters
    ----------
    n_draws : int
    efficiency : float
        Effective sample size by draw; NaN where it is not known.
    """
    few = 0.2 * n_draws
    return min(few, 3.0 * np.sqrt(n_draws / efficiency)) if efficiency > 0.0 else few


def reliable_k(n_draws: int) -> float:
    """Return the shape up to which sums over smoothed weights are reliable, 0.7 or less (Vehtari et al. 2024)."""
    return min(1.0 - 1.0 / np.log10(n_draws), 0.7) if n_draws > 1 else -np.inf

"""Quantiles of mixtures of a family's distributions over posterior draws, as roots of their distribution function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesglm.kernel.family import Family

#: Every so many draws are enough to find out roughly where a quantile is.
_THINNED = 16
_LEAST = 64
#: Of the bracket, relative to the distance of the first guess from its neighbours: quantiles are this accurate.
_TOLERANCE = 1e-10
_MAX_ITERATIONS = 100


def mixture_quantile(
    family: Family,
    level: float,
    eta: np.ndarray,
    aux: Mapping[str, np.ndarray],
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Return the smallest y at which the mean of the distribution functions reaches ``level``, row by row.

    Parameters
    ----------
    family : Family
    level : float
        Between 0 and 1; at the ends of the range y is that of the family, which may be infinite.
    eta : ndarray of shape (m, S)
        Linear predictors of S draws.
    aux : mapping of ndarray of shape (S,)
    extra : ndarray of shape (m, 1), optional

    Returns
    -------
    ndarray of shape (m,)
    """
    if level in (0.0, 1.0):
        ends = np.asarray(family.quantile(level, eta, aux, extra))
        if level == 1.0:
            return np.full(len(eta), np.inf) if family.takes_exposure else ends.max(axis=1)
        return np.maximum(ends.min(axis=1), 0.0) if family.discrete else ends.min(axis=1)
    step = max(1, min(_THINNED, eta.shape[1] // _LEAST))
    some = {name: values[::step] for name, values in aux.items()}
    # The mixture's quantile lies between those of its components.
    found = np.asarray(family.quantile(level, eta[:, ::step], some, extra))
    low, high = found.min(axis=1), found.max(axis=1)
    low, high = _root(family, level, eta[:, ::step], some, extra, low, high, 1e-3)
    width = (
        np.maximum(high - low, 1.0)
        if family.discrete
        else np.maximum(high - low, 1e-3 * np.abs(high) + 1e-300)
    )
    low, high = _bracket(family, level, eta, aux, extra, low, high, width)
    return _root(family, level, eta, aux, extra, low, high, _TOLERANCE)[1]


def _reached(
    family: Family, level: float, y: np.ndarray, eta: np.ndarray, aux: Any, extra: np.ndarray | None
) -> np.ndarray:
    """Return how much of the mixture lies at or below y beyond ``level``, shape (m,)."""
    below = np.asarray(family.cdf(y[:, np.newaxis], eta, aux, extra))
    return below.mean(axis=1) - level


def _bracket(
    family: Family,
    level: float,
    eta: np.ndarray,
    aux: Any,
    extra: np.ndarray | None,
    low: np.ndarray,
    high: np.ndarray,
    width: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Widen an interval until the quantile lies in it: not reached at its lower end, reached at its upper one."""
    low, high, width = low - width, high + width, width.copy()
    for _ in range(_MAX_ITERATIONS):
        above = _reached(family, level, low, eta, aux, extra) >= 0.0
        below = _reached(family, level, high, eta, aux, extra) < 0.0
        if not (above.any() or below.any()):
            break
        width *= 2.0
        high, low = (
            np.where(above, low, np.where(below, high + width, high)),
            np.where(above, low - width, np.where(below, high, low)),
        )
    return low, high


def _root(
    family: Family,
    level: float,
    eta: np.ndarray,
    aux: Any,
    extra: np.ndarray | None,
    low: np.ndarray,
    high: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Narrow a bracket down: by false position, halving where that is slow; whole numbers for a discrete family."""
    low, high = low.copy(), high.copy()
    if family.discrete:
        low, high = np.floor(low) - 1.0, np.ceil(high)
    at_low = _reached(family, level, low, eta, aux, extra)
    at_high = _reached(family, level, high, eta, aux, extra)
    first = high - low
    for i in range(_MAX_ITERATIONS):
        scale = 1.0 if family.discrete else tolerance * first + 4.0 * np.spacing(np.abs(high))
        if np.all(high - low <= scale):
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            share = -at_low / (at_high - at_low)
        # Every third step halves, so that a flat end cannot hold the other one for long.
        share = np.where((i % 3 == 2) | ~np.isfinite(share), 0.5, np.clip(share, 0.02, 0.98))
        middle = low + share * (high - low)
        if family.discrete:
            middle = np.clip(np.floor(middle), low + 1.0, np.maximum(high - 1.0, low + 1.0))
        value = _reached(family, level, middle, eta, aux, extra)
        up = value >= 0.0
        low, at_low = np.where(up, low, middle), np.where(up, at_low, value)
        high, at_high = np.where(up, np.minimum(middle, high), high), np.where(up, value, at_high)
    return low, high

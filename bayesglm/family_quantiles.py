"""Quantiles of mixtures of a family's distributions over posterior draws, as roots of their distribution function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from bayesglm.kernel.family import Family

#: About so many of the draws are enough to find out roughly where a quantile is.
_FEW = 64
#: Accuracy of the first guess and of the quantile, as differences of Phi^-1(F): in local standard deviations.
_ROUGH, _TOLERANCE = 1e-2, 1e-10
#: Probabilities are computed to about this many units of rounding.
_ROUNDING = 8.0 * np.finfo(np.float64).eps
#: Furthest that a distribution function within rounding of 0 or 1 is taken to be from its target.
_FURTHEST = 10.0
_MAX_ITERATIONS = 200


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
    few = slice(None, None, max(1, eta.shape[1] // _FEW))
    some, few_aux = eta[:, few], {name: values[few] for name, values in aux.items()}
    # The quantile of those few lies between those of its components.
    with np.errstate(over="ignore", invalid="ignore"):
        each = np.asarray(family.quantile(level, some, few_aux, extra))
    low, high = each.min(axis=1), each.max(axis=1)
    result = np.empty(len(eta))
    positive = not family.discrete and bool(np.all(family.quantile(0.0, some, few_aux, extra) == 0.0))
    found = np.isfinite(low) & np.isfinite(high) & ((not positive) | (low > 0.0))
    rows, rest = np.flatnonzero(found), np.flatnonzero(~found)
    if rest.size:
        # Between quantiles that under- or overflow there is no slope to follow.
        own = None if extra is None else extra[rest]
        result[rest] = _by_halves(family, level, eta[rest], aux, own, positive or family.discrete)
    if rows.size:
        own = None if extra is None else extra[rows]
        # Positive numbers are looked for by their logarithms, however close to zero they are.
        each, low, high = (np.log(a[rows]) if positive else a[rows] for a in (each, low, high))
        start, width = each.mean(axis=1), np.maximum(high - low, 1e-3 * np.abs(high) + 1e-300)
        start, slope = _root(family, level, some[rows], few_aux, own, start, 1.0 / width, _ROUGH, positive)
        found, _ = _root(family, level, eta[rows], aux, own, start, slope, _TOLERANCE, positive)
        result[rows] = np.exp(found) if positive else found
    return result


def _root(
    family: Family,
    level: float,
    eta: np.ndarray,
    aux: Mapping[str, np.ndarray],
    extra: np.ndarray | None,
    start: np.ndarray,
    slope: np.ndarray,
    tolerance: float,
    positive: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve Phi^-1(F(y)) = Phi^-1(level) by secants inside a bracket; return roots and slopes, each (m,).

    In y or, if ``positive``, in log(y), which ``start`` and roots then are.

    For one normal distribution the left side is a straight line; predictive mixtures are close to that, and a few
    steps do. A step that leaves the bracket, or every third one while it is slow, is replaced by halving. Rows leave
    when they are done, so that what is found for one does not depend on the others.
    """
    target = float(ndtri(level))
    # What rounding of F means on this scale, which limits the accuracy of upper tails.
    noise = _ROUNDING * level * np.sqrt(2.0 * np.pi) * np.exp(0.5 * target * target)
    good = max(tolerance, noise)
    whole = family.discrete
    x = np.maximum(np.ceil(start), 0.0) if whole else start
    low = np.full(len(x), -1.0 if whole else -np.inf)
    high = np.full(len(x), np.inf)
    before, gap_before = np.full(len(x), np.nan), np.full(len(x), np.nan)
    reach = 2.0 / slope
    result, slopes = x.copy(), slope.copy()
    index = np.arange(len(x))
    with np.errstate(all="ignore"):
        for i in range(_MAX_ITERATIONS):
            y = np.exp(x) if positive else x
            below = np.asarray(family.cdf(y[:, np.newaxis], eta, aux, extra)).mean(axis=1)
            gap = np.clip(ndtri(below) - target, -_FURTHEST, _FURTHEST)
            reached = below >= level
            high, low = np.where(reached, x, high), np.where(reached, low, x)
            steeper = (gap - gap_before) / (x - before)
            slope = np.where(np.isfinite(steeper) & (steeper > 0.0), steeper, slope)
            step = np.clip(-gap / slope, -reach, reach)
            if whole:
                done = (high - low <= 1.0) | np.isnan(gap)
                ahead = np.clip(np.ceil(x + step), low + 1.0, high - 1.0)
            else:
                done = np.abs(gap) <= good
                done |= (high - low <= 4.0 * np.spacing(np.abs(x))) | np.isnan(gap)
                ahead = x + step
            middle = low + 0.5 * (high - low)
            slow = (i % 3 == 2) & (np.abs(gap) > 0.1 * np.abs(gap_before))
            halve = np.isfinite(middle) & (slow | ~((low < ahead) & (ahead < high)))
            ahead = np.where(halve, np.floor(middle) if whole else middle, ahead)
            if whole:
                result[index] = np.where(np.isnan(gap), np.nan, np.where(done, high, ahead))
            else:
                result[index] = np.where(np.isnan(gap), np.nan, np.where(done, x, ahead))
            slopes[index] = slope
            if done.all():
                break
            kept = ~done
            reach = np.maximum(reach, 2.0 * np.abs(ahead - x))
            before, gap_before, x = x[kept], gap[kept], ahead[kept]
            index, low, high, slope, reach = index[kept], low[kept], high[kept], slope[kept], reach[kept]
            if not kept.all():
                eta = eta[kept]
                extra = None if extra is None else extra[kept]
    return result, slopes


def _by_halves(
    family: Family,
    level: float,
    eta: np.ndarray,
    aux: Mapping[str, np.ndarray],
    extra: np.ndarray | None,
    positive: bool,
) -> np.ndarray:
    """Return the smallest double at which the mixture reaches ``level``, infinite where none does, by 64 halvings.

    Doubles are halved by their order, in which each has a whole number: its bits, less the sign.
    """
    infinite = np.float64(np.inf).view(np.int64)
    high = np.full(len(eta), infinite)
    low = np.full(len(eta), np.int64(-1) if positive else -infinite)
    with np.errstate(all="ignore"):
        for _ in range(64):
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            y = np.copysign(np.abs(middle).view(np.float64), middle)
            reached = np.asarray(family.cdf(y[:, np.newaxis], eta, aux, extra)).mean(axis=1) >= level
            high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    # Below the smallest double a continuous distribution has no value of its own.
    high = np.where((high == 1) & positive, 0, high)
    return np.copysign(np.abs(high).view(np.float64), high)

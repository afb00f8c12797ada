"""Quantiles of finite mixtures of normals: roots of their distribution functions, to rounding error."""

import numpy as np
from scipy.special import ndtr, ndtri

# Root finding: accuracy relative to the smaller of the mixture's sd and the quantile function's own slope.
_TOLERANCE = 1e-11
_MAX_ITERATIONS = 200
# Points among components with width get this fraction of the mixture's sd, well below the accuracy promised.
_ATOM_WIDTH = 1e-13

ROOT_2PI = np.sqrt(2.0 * np.pi)


def _rms(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted root mean square of each row, without squaring large or small numbers; zero stays zero."""
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    scale = np.where(largest > 0.0, largest, 1.0)
    scaled = values / scale[:, np.newaxis]
    scaled *= scaled
    return scale * np.sqrt(scaled @ weights)


def spread_of(weights: np.ndarray, offsets: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Standard deviation of each row's mixture, given the components' distances from its mean."""
    return np.hypot(_rms(weights, offsets), _rms(weights, sds))


def component_quantiles(weights: np.ndarray, means: np.ndarray, sds: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantiles (m, n_q) of mixtures given as weights (K,), means (m, K) and sds (m, K)."""
    points = np.broadcast_to((sds == 0.0).all(axis=1), len(means))
    if points.all():
        return _point_quantiles(weights, means, q)
    result = np.empty((len(means), q.size))
    if points.any():
        result[points] = _point_quantiles(weights, means[points], q)
        means, sds = means[~points], sds[~points]
    # Everything is measured from the mixture's mean, so that a large mean costs no digits of the spread.
    centre = means @ weights
    offsets = means - centre[:, np.newaxis]
    spread = spread_of(weights, offsets, sds)
    if (sds == 0.0).any():
        sds = np.maximum(sds, _ATOM_WIDTH * spread[:, np.newaxis])
    found = np.empty((len(offsets), q.size))
    # The upper half is solved as the lower half of the mirror image: 1 - F would lose the upper tail.
    for sign, columns in ((1.0, np.flatnonzero(q <= 0.5)), (-1.0, np.flatnonzero(q > 0.5))):
        if columns.size and sign < 0.0:
            offsets = np.negative(offsets, out=offsets)
        for column in columns:
            tail = q[column] if sign > 0.0 else 1.0 - q[column]
            if tail == 0.0:
                found[:, column] = -sign * np.inf
            else:
                found[:, column] = centre + sign * _solve(tail, weights, offsets, sds, spread)
    result[~points] = found
    return result


def _point_quantiles(weights: np.ndarray, values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantiles (m, n_q) of weighted points (m, K)."""
    if np.ptp(weights) == 0.0:
        return np.quantile(values, q, axis=1).T
    order = np.argsort(values, axis=1)
    cumulative = np.cumsum(weights[order], axis=1)
    result = np.empty((len(values), q.size))
    for column, level in enumerate(q):
        rank = np.minimum((cumulative < level).sum(axis=1), values.shape[1] - 1)
        position = np.take_along_axis(order, rank[:, np.newaxis], axis=1)
        result[:, column] = np.take_along_axis(values, position, axis=1)[:, 0]
    return result


def _solve(
    tail: float, weights: np.ndarray, offsets: np.ndarray, sds: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """The points (m,) below which each row's mixture has probability `tail`, at most one half.

    Halley's iteration on Phi^-1(F(x)) = Phi^-1(tail), inside a bracket. For one normal the left side is a
    straight line and the start is the answer; posterior predictive mixtures are close to that, and two
    evaluations do. A step that leaves the bracket or does not halve the one before it is replaced by
    bisection.
    """
    target = ndtri(tail)
    inverse_sds = 1.0 / sds
    # Every component has at most (at least) the probability asked for below the lowest (highest) of these.
    ends = offsets + target * sds
    low, high = ends.min(axis=1), ends.max(axis=1)
    del ends
    finest = np.broadcast_to(sds.min(axis=1), low.shape)
    x = np.clip(target * spread, low, high)
    result = np.empty_like(x)
    index = np.arange(x.size)
    allowed = np.full(x.size, np.inf)
    previous = np.full(x.size, np.nan)
    with np.errstate(all="ignore"):
        for _ in range(_MAX_ITERATIONS):
            below, density, density_slope = _evaluate(x, weights, offsets, inverse_sds)
            low = np.where(below < tail, x, low)
            high = np.where(below < tail, high, x)
            probit = ndtri(below)
            slope = density * ROOT_2PI * np.exp(0.5 * probit**2)
            step = (target - probit) / slope
            bend = density_slope / density + probit * slope
            step /= np.clip(np.nan_to_num(1.0 + 0.5 * step * bend, nan=1.0), 0.5, 2.0)

            tolerance = _TOLERANCE * np.fmin(spread, 1.0 / slope)
            # What is left after a step shrinks at least with the square of the step; `finest` guards the
            # regime.
            left = np.abs(step) * (step / previous) ** 2
            near = np.abs(step) <= 1e-3 * finest
            done = (np.abs(step) <= tolerance) | (near & (left <= 0.1 * tolerance))
            ahead = x + step
            trusted = (low < ahead) & (ahead < high) & (np.abs(step) <= 0.5 * allowed)
            middle = low + 0.5 * (high - low)
            ahead = np.where(done, np.clip(ahead, low, high), np.where(trusted, ahead, middle))
            done |= high - low <= tolerance

            result[index] = ahead
            if done.all():
                break
            allowed = np.abs(ahead - x)
            previous = np.where(trusted, step, np.nan)
            x = ahead
            if done.any():
                keep = ~done
                index, x, low, high = index[keep], x[keep], low[keep], high[keep]
                allowed, previous = allowed[keep], previous[keep]
                spread, finest, offsets = spread[keep], finest[keep], offsets[keep]
                if len(inverse_sds) > 1:
                    inverse_sds = inverse_sds[keep]
    return result


def _evaluate(
    x: np.ndarray, weights: np.ndarray, offsets: np.ndarray, inverse_sds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distribution function, density and the density's derivative (each (m,)) of every row's mixture at x."""
    z = x[:, np.newaxis] - offsets
    z *= inverse_sds
    below = ndtr(z) @ weights
    kernel = z * z
    kernel *= -0.5
    np.exp(kernel, out=kernel)
    kernel *= inverse_sds
    density = kernel @ weights / ROOT_2PI
    z *= inverse_sds
    kernel *= z
    return below, density, -(kernel @ weights) / ROOT_2PI

"""Integration of a smooth one-dimensional density by the trapezoid rule, to rounding error.

For an analytic integrand that dies out at both ends the trapezoid rule converges exponentially
(Trefethen & Weideman 2014), so a few dozen equally spaced nodes give all the digits of a double.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

#: The grid ends where the density has fallen to exp(-DROP) of its maximum.
DROP = 42.0
#: Where modes are looked for; far beyond any log sigma of standardised data.
SEARCH = np.arange(-60.0, 60.25, 0.25)
#: The largest number of cells: noise in the log density may keep the rule from settling.
LARGEST = 1 << 14
#: Knots of a map that makes a parameter standard normal: equally spaced standard normal scores.
SCORES = np.linspace(-6.0, 6.0, 97)
#: Nodes whose share of the integral is below this are left out of later sums.
NEGLIGIBLE = 1e-18

LogDensity = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Grid:
    """Nodes and weights (summing to 1) that stand for a density on the line.

    Attributes
    ----------
    nodes, weights : ndarray of shape (K,)
    mode : float
    sd : float
        Standard deviation of the density.
    left, right : float
        Derivative of the log density far beyond the grid: the density exists only if left > 0 > right,
        and the mean of exp(m x) only if right + m < 0.
    """

    nodes: np.ndarray
    weights: np.ndarray
    mode: float
    sd: float
    left: float
    right: float

    def beyond(self, power: float) -> float:
        """Return what exp(power x) has of its expectation beyond the right end, where the density is exponential."""
        slope = self.right + power
        if slope >= 0.0:
            return np.inf
        # The trapezoid sum goes on as a geometric series.
        ratio = np.exp(slope * (self.nodes[-1] - self.nodes[-2]))
        return float(self.weights[-1] * np.exp(power * self.nodes[-1]) * ratio / (1.0 - ratio))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the expectation of ``values``, given at the nodes along the first axis."""
        return self.weights @ values


def integrate(log_density: LogDensity) -> Grid:
    """Find where a log density lives and lay a grid over it.

    Parameters
    ----------
    log_density : callable
        Maps points of shape (m,) to the log density and its derivative, each of shape (m,). It need
        not be normalised.

    Returns
    -------
    Grid

    Raises
    ------
    ArithmeticError
        If the density does not fall off on both sides.
    """
    values, _ = log_density(SEARCH)
    _, ends = log_density(np.array([SEARCH[0] - 40.0, SEARCH[-1] + 40.0]))
    left, right = float(ends[0]), float(ends[1])
    best = int(np.nanargmax(np.where(np.isfinite(values), values, -np.inf)))
    if best in (0, len(SEARCH) - 1) or not left > 0.0 > right:
        raise ArithmeticError("the density does not fall off on both sides")
    mode = _root(log_density, SEARCH[best - 1], SEARCH[best + 1])
    peak = float(log_density(np.array([mode]))[0][0])
    near = log_density(mode + np.array([-1e-5, 1e-5]))[1]
    width = 1.0 / np.sqrt(max((near[0] - near[1]) / 2e-5, 1e-4))
    low = _end(log_density, mode, peak, -width)
    high = _end(log_density, mode, peak, width)
    # Prior and data that contradict each other give two modes: the grid covers whatever is not negligible.
    alive = SEARCH[(values > peak - DROP) & ((low > SEARCH) | (high < SEARCH))]
    size = 32
    if alive.size:
        step = SEARCH[1] - SEARCH[0]
        low, high = min(low, float(alive[0] - step)), max(high, float(alive[-1] + step))
        size = min(LARGEST, int(2.0 ** np.ceil(np.log2(2.0 * (high - low) / min(width, 1.0)))))

    # The log density is a difference of terms of its own size, taken at points that are rounded themselves:
    # that much noise is in it, and more nodes do not remove it.
    tolerance = 1e-13 + 16.0 * np.finfo(float).eps * (abs(peak) + 10.0 * abs(mode) / width)
    previous = np.zeros(3)
    while True:
        nodes = np.linspace(low, high, size + 1)
        weights = np.exp(log_density(nodes)[0] - peak)
        total = weights.sum() * (nodes[1] - nodes[0])
        mean = weights @ (nodes - mode) / weights.sum()
        square = weights @ (nodes - mode - mean) ** 2 / weights.sum()
        found = np.array([total, mean, square])
        if (
            np.all(np.abs(found - previous) <= tolerance * np.array([total, np.sqrt(square), square]))
            or size >= LARGEST
        ):
            break
        previous = found
        size *= 2
    weights /= weights.sum()
    # Not negligible for the mean of exp(2 x) either, which the long tail of few rows may carry.
    keep = weights * np.exp(np.clip(2.0 * (nodes - mode), 0.0, 700.0)) > NEGLIGIBLE
    keep[-2:] = True
    return Grid(nodes[keep], weights[keep] / weights[keep].sum(), mode, float(np.sqrt(square)), left, right)


def _root(log_density: LogDensity, low: float, high: float) -> float:
    """Return the zero of the slope between ``low`` and ``high`` by repeated subdivision."""
    for _ in range(9):
        points = np.linspace(low, high, 33)
        slopes = log_density(points)[1]
        i = int(np.argmax(slopes <= 0.0))
        if i == 0:
            return float(low)
        low, high = points[i - 1], points[i]
        if high - low <= 1e-13 * max(1.0, abs(low)):
            break
    return float(0.5 * (low + high))


def _end(log_density: LogDensity, mode: float, peak: float, width: float) -> float:
    """Return where the log density has fallen by `DROP`, looking from the mode in the direction of ``width``."""
    inner, outer = mode, mode + width
    while log_density(np.array([outer]))[0][0] > peak - DROP:
        inner, outer = outer, outer + 2.0 * (outer - mode)
    for _ in range(2):
        points = np.linspace(inner, outer, 17)
        below = log_density(points)[0] <= peak - DROP
        i = int(np.argmax(below))
        inner, outer = points[max(i - 1, 0)], points[i]
    return float(outer)


@dataclass(frozen=True)
class Cumulative:
    """The distribution function of a density on a fine grid, from either side.

    Attributes
    ----------
    nodes, below, above : ndarray of shape (m,)
        Points, probability below and above each of them; both tails keep their relative accuracy.
    density, slope : ndarray of shape (m,)
        The density and its derivative.
    log_density : callable
        As in `integrate`.
    """

    nodes: np.ndarray
    below: np.ndarray
    above: np.ndarray
    density: np.ndarray
    slope: np.ndarray
    log_density: LogDensity

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return quantiles: from the nearest node below by Newton's method, to about 1e-10."""
        q = np.asarray(q, dtype=np.float64)
        i = np.clip(np.searchsorted(self.below, q) - 1, 0, len(self.nodes) - 2)
        points = np.interp(q, self.below, self.nodes)
        # The log density is not normalised; the nodes know by how much.
        offset = self.log_density(self.nodes[i])[0] - np.log(np.maximum(self.density[i], 1e-300))
        for _ in range(4):
            values, slopes = self.log_density(points)
            density = np.exp(values - offset)
            step = points - self.nodes[i]
            covered = step / 2 * (self.density[i] + density) + step**2 / 12 * (
                self.slope[i] - density * slopes
            )
            points = points - (self.below[i] + covered - q) / density
            points = np.clip(points, self.nodes[i], self.nodes[i + 1])
        return points


def cumulate(log_density: LogDensity, nodes: np.ndarray, size: int) -> Cumulative:
    """Integrate a density cell by cell by the Hermite rule, which uses the derivatives as well.

    Parameters
    ----------
    log_density : callable
        As in `integrate`.
    nodes : ndarray
        Between the first and the last of which it lives.
    size : int
        Number of cells.
    """
    nodes = np.linspace(nodes[0], nodes[-1], size + 1)
    values, slopes = log_density(nodes)
    density = np.exp(values - values.max())
    derivative = density * slopes
    step = nodes[1] - nodes[0]
    cells = step / 2 * (density[:-1] + density[1:]) + step**2 / 12 * (derivative[:-1] - derivative[1:])
    cells = np.maximum(cells, 0.0)
    total = cells.sum()
    below = np.concatenate([[0.0], np.cumsum(cells)]) / total
    above = np.concatenate([np.cumsum(cells[::-1])[::-1], [0.0]]) / total
    return Cumulative(nodes, below, above, density / total, derivative / total, log_density)


def normal_scores(cumulative: Cumulative) -> tuple[np.ndarray, np.ndarray]:
    """Return the quantiles at the standard normal scores `SCORES`, and their derivatives by the score."""
    lower = cumulative.below < 0.5
    inner = np.where(lower, cumulative.below, cumulative.above)
    known = inner > 1e-14
    scores = np.where(lower, 1.0, -1.0)[known] * ndtri(inner[known])
    knots = np.interp(SCORES, scores, cumulative.nodes[known])
    # The derivative is phi(t) over the density; where the tails are cut off the chord serves. A cubic piece is
    # monotone if its end slopes are at most three times its chord (Fritsch & Carlson 1980).
    density = np.interp(SCORES, scores, cumulative.density[known])
    chords = np.diff(knots) / np.diff(SCORES)
    slopes = np.exp(-0.5 * SCORES**2) / np.sqrt(2.0 * np.pi) / np.maximum(density, 1e-300)
    least = np.minimum(np.append(chords[0], chords), np.append(chords, chords[-1]))
    most = np.maximum(np.append(chords[0], chords), np.append(chords, chords[-1]))
    return knots, np.clip(slopes, least, np.minimum(most, 3.0 * least))

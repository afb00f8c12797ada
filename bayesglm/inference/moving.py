"""Few rows: a map from normal scores whose positions and widths follow the scale of the noise.

Where there are hardly more rows than coefficients, the likelihood pins the coefficients down as far as the noise is
small, and how small it is, is known poorly: the density of both together is a funnel, and where all rows can be fitted
it has no mode. But given the scale the coefficients are nearly normal. So the conditional mode and curvature are
followed along the scale, from where its marginal density (by Laplace's method) begins to where it ends, and chains walk
in (u, t): t the normal score of the scale, u the coefficients less the mode, over the widths, that belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh, eigvalsh

from bayesglm.inference.curvature import Curvature
from bayesglm.inference.laplace import fit_laplace
from bayesglm.inference.quadrature import SCORES, cumulate, normal_scores
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.moving import MovingTarget
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.target import AffineTarget

#: The path ends where the marginal density of the scale has fallen to exp(-DROP) of its maximum, ...
DROP = 16.0
#: ... or here, in the logarithm of the scale, ...
FARTHEST = 75.0
#: ... or where curvatures have directions apart by such a factor, and begin to lose their digits. From there on the
#: density goes on as it falls; if it falls by less than this in a unit, it does not.
DIGITS, LEVEL = 1e11, 1e-6
#: Of the steps along the path: the first, the longest, and what the log density may do in one but go on straight.
FIRST, LONGEST, CHANGE = 0.25, 1.5, 1.5
#: Steps in each direction at most, and the shortest but where the density breaks off.
MOST_STEPS, LEAST_STEP = 100, 0.02
#: Climbs on the path: a conditional mode need not be known to many digits.
CLIMB, TOLERANCE = 30, 1e-8
#: Between these shares of the marginal distribution two curvatures are compared to find the coordinates.
SHARES = (0.1, 0.9)
#: The path's quantiles are taken to this normal score (a multiple of the distance between two), by so many cells.
OUTERMOST, CELLS = 4.0, 1024


class EndlessError(ArithmeticError):
    """The marginal density of the scale does not fall off as it grows: the posterior is improper."""


@dataclass(frozen=True)
class Stop:
    """A point of the path.

    Attributes
    ----------
    scale : float
        The logarithm of the scale.
    mode, slope : ndarray of shape (dim - 1,)
        The mode of the other coordinates given the scale, and its derivative.
    curvature : ndarray of shape (dim - 1, dim - 1)
        Minus the second derivatives there.
    log_density : float
        Of the scale, by Laplace's method, up to a constant.
    """

    scale: float
    mode: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    log_density: float


class Path:
    """Conditional modes along one coordinate of a target.

    Parameters
    ----------
    target : RegressionTarget or MappedTarget
    curvature : Curvature
    pivot : int
        The coordinate that is held.
    """

    def __init__(self, target: RegressionTarget | MappedTarget, curvature: Curvature, pivot: int):
        self.target, self.curvature, self.pivot = target, curvature, pivot
        self.others = np.delete(np.arange(target.dim), pivot)

    def point(self, scale: float, others: np.ndarray) -> np.ndarray:
        """Return the point of the target with this scale."""
        return np.insert(others, self.pivot, scale)

    def stop(self, scale: float, start: np.ndarray) -> Stop | None:
        """Climb from ``start`` with the scale held; None if there is no normal approximation."""
        others = self.others

        def density(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.target(self.point(scale, x))
            return value, gradient[others]

        def bend(x: np.ndarray) -> np.ndarray:
            return self.curvature(self.point(scale, x))[np.ix_(others, others)]

        if not np.isfinite(density(start)[0]):
            return None
        fit = fit_laplace(density, start, bend, max_steps=CLIMB, tolerance=TOLERANCE)
        point = self.point(scale, fit.mode)
        value = self.target(point)[0]
        try:
            root = cho_factor(fit.curvature)
        except (LinAlgError, ValueError):
            return None
        if not np.isfinite(value):
            return None
        slope = -cho_solve(root, self.curvature(point)[others, self.pivot])
        log_density = value - float(np.log(np.diagonal(root[0])).sum())
        return Stop(scale, fit.mode, slope, fit.curvature, log_density)

    def walk(self, start: Stop, sign: float, peak: float) -> tuple[list[Stop], bool]:
        """Follow the path in one direction; return its stops, and whether the density may go on beyond the last."""
        found, step, pace = [start], FIRST, 0.0
        for _ in range(MOST_STEPS):
            here = found[-1]
            if here.log_density < peak - DROP:
                return found[1:], False
            if sign * here.scale >= FARTHEST or _condition(here.curvature) > DIGITS:
                break
            there = self.stop(here.scale + sign * step, here.mode + sign * step * here.slope)
            change = np.nan if there is None else there.log_density - here.log_density
            bend = abs(change - pace * step)
            if there is None or (bend > 2.0 * CHANGE and step > LEAST_STEP):
                step *= 0.5
                if step < 0.1 * LEAST_STEP:
                    break
                continue
            found.append(there)
            peak, pace = max(peak, there.log_density), change / step
            step = min(LONGEST, step * float(np.clip(CHANGE / max(bend, 1e-3), 0.5, 2.0)))
        return found[1:], True


def moving_target(
    target: RegressionTarget | MappedTarget, curvature: Curvature, start: np.ndarray, pivot: int
) -> MovingTarget | None:
    """Return a target whose posterior is about standard normal, or None where the path breaks off.

    Parameters
    ----------
    target : RegressionTarget or MappedTarget
    curvature : Curvature
        Of the target.
    start : ndarray of shape (dim,)
        A point where the density is positive.
    pivot : int
        The coordinate that is the logarithm of the noise's scale, precision or shape.

    Raises
    ------
    EndlessError
        If the posterior is improper.
    """
    path = Path(target, curvature, pivot)
    first = path.stop(float(start[pivot]), np.delete(start, pivot))
    if first is None:
        return None
    up, open_up = path.walk(first, 1.0, first.log_density)
    down, open_down = path.walk(first, -1.0, max(stop.log_density for stop in (first, *up)))
    stops = [*reversed(down), first, *up]
    scales, values = np.array([(stop.scale, stop.log_density) for stop in stops]).T
    if len(stops) < 5:
        return None
    falls = np.diff(values)[[0, -1]] / np.diff(scales)[[0, -1]] * [-1.0, 1.0]
    if open_up and falls[1] > -LEVEL:
        raise EndlessError
    if open_down and falls[0] > -LEVEL:
        return None
    along = _Straight(CubicSpline(scales, values), scales)
    # Where the path has ended before the density, that goes on as it falls.
    left = np.maximum(values[[0, -1]] - values.max() + DROP, 0.0)
    ends = scales[[0, -1]] + left / np.abs(along(scales[[0, -1]], 1)) * [-1.0, 1.0]
    cumulative = cumulate(lambda x: (along(x), along(x, 1)), ends, CELLS)
    knots, rise = (a[np.abs(SCORES) <= OUTERMOST] for a in normal_scores(cumulative))
    if not np.all(rise > 0.0):
        return None
    basis, inverse = _coordinates(stops, np.interp(SHARES, cumulative.below, cumulative.nodes))
    origin = stops[int(values.argmax())].mode
    modes = np.array([inverse @ (stop.mode - origin) for stop in stops])
    slopes = np.array([inverse @ stop.slope for stop in stops])
    bends = np.array([((stop.curvature @ basis) * basis).sum(axis=0) for stop in stops])
    centre = _Straight(CubicHermiteSpline(scales, modes, slopes), scales)
    width = _Straight(CubicSpline(scales, -0.5 * np.log(bends)), scales)
    tables = np.zeros((4, len(knots), target.dim))
    tables[:2, :, pivot] = knots, rise
    tables[0][:, path.others], tables[1][:, path.others] = (
        centre(knots),
        centre(knots, 1) * rise[:, np.newaxis],
    )
    tables[2][:, path.others], tables[3][:, path.others] = width(knots), width(knots, 1) * rise[:, np.newaxis]
    factor = np.eye(target.dim)
    factor[np.ix_(path.others, path.others)] = basis
    whole = AffineTarget(target, path.point(0.0, origin), factor)
    return MovingTarget(whole, pivot, -OUTERMOST, SCORES[1] - SCORES[0], *tables)


class _Straight:
    """A spline that goes on straight beyond its knots."""

    def __init__(self, spline: CubicSpline | CubicHermiteSpline, knots: np.ndarray):
        self.spline, self.low, self.high = spline, knots[0], knots[-1]

    def __call__(self, x: np.ndarray, order: int = 0) -> np.ndarray:
        """Return values, or with ``order=1`` slopes."""
        inside = np.clip(x, self.low, self.high)
        if order:
            return np.asarray(self.spline(inside, 1))
        return np.asarray(self.spline(inside) + ((x - inside) * self.spline(inside, 1).T).T)


def _condition(matrix: np.ndarray) -> float:
    """Return the ratio of extreme eigenvalues in units in which all diagonals are 1."""
    size = np.sqrt(np.diagonal(matrix))
    values = eigvalsh(matrix / np.outer(size, size))
    return float(values[-1] / values[0]) if values[0] > 0.0 else np.inf


def _coordinates(stops: list[Stop], between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a basis in which the curvatures at two scales are diagonal, and its inverse.

    If the curvature is the prior's plus a multiple of the data's, it is diagonal at all scales then.
    """
    scales = np.array([stop.scale for stop in stops])
    low, high = (int(np.abs(scales - scale).argmin()) for scale in between)
    if low == high:
        low, high = max(low - 1, 0), min(high + 1, len(stops) - 1)
    size = np.sqrt(np.diagonal(stops[low].curvature))
    one, other = (stops[i].curvature / np.outer(size, size) for i in (low, high))
    basis = eigh(other, one)[1]
    # Signs of eigenvectors are anybody's choice: the largest entry is positive.
    basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    return basis / size[:, np.newaxis], basis.T @ one * size

"""Further modes of a posterior whose likelihood is not log-concave: Student's t noise, by climbs from many starts.

A normal approximation knows one mode, and chains that start there may never see another. Lines through a few rows
chosen at random (elemental subsets, Rousseeuw 1984) are near whatever a part of the rows agrees on; Newton's method
climbs from each. What it finds beside the highest mode is where other chains start, so that R-hat compares them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesglm.inference.laplace import LaplaceFit, fit_laplace
from bayesglm.inference.regression_data import RegressionData
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.continuous import StudentT
from bayesglm.kernel.regression import RegressionTarget

#: Climbs, and how many where each costs much.
STARTS, STARTS_LARGE = 12, 4
#: Numbers in the data from which on it does.
LARGE = 200_000
#: Newton decrement at which a climb is near enough to its mode for a chain to start there, and its steps at most.
REACHED, MOST_STEPS = 0.01, 50
#: Modes nearer than this, in posterior standard deviations of the higher one, are one.
APART = 3.0
#: Modes with less than this share of the mass of the highest one are left alone: log(1/1000).
NEGLIGIBLE = -6.9
#: A quarter of normal residuals are smaller than this share of their standard deviation.
QUARTER = 0.3186


def highest_and_others(
    data: RegressionData,
    target: RegressionTarget | MappedTarget,
    curvature: Callable[[np.ndarray], np.ndarray],
    first: LaplaceFit,
) -> tuple[LaplaceFit, list[LaplaceFit]]:
    """Return the mode with the most mass around it, and others that are apart from it.

    Parameters
    ----------
    data : RegressionData
    target : RegressionTarget or MappedTarget
    curvature : callable
    first : LaplaceFit
        What one climb has found.

    Returns
    -------
    (LaplaceFit, list of LaplaceFit)
        ``first`` and an empty list where the likelihood is log-concave.
    """
    if not isinstance(data.family, StudentT):
        return first, []
    found = [first]
    for start in _starts(data, target, first.mode):
        if np.isfinite(target(start)[0]):
            climbed = fit_laplace(target, start, curvature, max_steps=MOST_STEPS, tolerance=1e-2 * REACHED)
            if climbed.decrement < REACHED and all(_distance(one, climbed) > APART for one in found):
                found.append(climbed)
    masses = [_log_mass(target, one) if one.decrement < REACHED else -np.inf for one in found]
    best = int(np.argmax(masses))
    others = [
        one
        for one, mass in zip(found, masses, strict=True)
        if one is not found[best] and mass - masses[best] > NEGLIGIBLE and _distance(found[best], one) > APART
    ]
    # A mode that takes the first one's place is climbed to the top.
    return found[best] if not best else fit_laplace(target, found[best].mode, curvature), others


def _starts(
    data: RegressionData, target: RegressionTarget | MappedTarget, mode: np.ndarray
) -> list[np.ndarray]:
    """Return points whose linear predictors go through a few rows each; the same ones for the same data."""
    design, first = data.design, int(data.intercept)
    p, n = design.n_columns, design.n_rows
    k = p + first
    if n <= k:
        return []
    plain: RegressionTarget = target.inner if isinstance(target, MappedTarget) else target
    origin = np.array(target.unwhiten(mode) if isinstance(target, MappedTarget) else mode)
    origin[:k] = 0.0
    wanted = data.y - plain.linear_predictor(origin)[0]
    rng = np.random.default_rng(0)
    rows_a_block = len(design.block(0))
    found = []
    for _ in range(STARTS if n * max(p, 1) < LARGE else STARTS_LARGE):
        chosen = rng.choice(n, k, replace=False)
        rows = np.array([design.block(int(i) // rows_a_block)[int(i) % rows_a_block] for i in chosen])
        lines = np.column_stack([np.ones(k), rows]) if first else rows.reshape(k, p)
        theta = np.linalg.lstsq(lines, wanted[chosen], rcond=1e-6)[0]
        q = origin.copy()
        q[:k] = theta
        apart = np.quantile(np.abs(data.y - plain.linear_predictor(q)[0]), 0.25)
        q[k] = np.log(max(apart / QUARTER, 1e-6 * max(data.spread / data.y_unit, 1e-300)))
        if isinstance(target, MappedTarget):
            positive = target.coef_map.coefficients(np.full((1, p), -1.0))[0] > 0.0
            coef = np.where(
                positive, np.maximum(theta[first:], 0.05 * data.spread / data.y_unit), theta[first:]
            )
            q[first:k] = target.coef_map.at(coef)
        found.append(q)
    return found


def _distance(one: LaplaceFit, other: LaplaceFit) -> float:
    """Return how far apart they are, in standard deviations of the narrower approximation along the way."""
    gap = other.mode - one.mode
    return float(np.sqrt(max(gap @ one.curvature @ gap, gap @ other.curvature @ gap, 0.0)))


def _log_mass(target: Callable[[np.ndarray], tuple[float, np.ndarray]], fit: LaplaceFit) -> float:
    """Return the logarithm of the normal approximation's integral, up to a constant."""
    return float(target(fit.mode)[0]) + float(np.linalg.slogdet(fit.factor)[1])

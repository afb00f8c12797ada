"""Modes of a posterior whose likelihood is not log-concave: Student's t noise, by climbs from what the rows suggest.

A normal approximation knows one mode, and chains that start there may never see another. Whatever a part of the rows
agrees on is near a line through a few of them (elemental subsets, Rousseeuw 1984), or near what least squares makes of
the half of the rows nearest to it (the concentration steps of Rousseeuw & Van Driessen 2006); besides, least absolute
deviations, least squares on the rows above and below, and lines parallel to the mode's. Each is judged at several sigma
and df:
a line that few rows lie close to is a mode where both are small. Newton's method climbs from those that promise most.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np

from bayesglm.inference.laplace import LaplaceFit, fit_laplace
from bayesglm.inference.regression_data import RegressionData
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.continuous import StudentT
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.sweep import sweep

#: Lines through subsets of rows, all of them if there are no more; with more numbers in the rows than this, fewer do.
SUBSETS, FEW_NUMBERS, SUBSETS_MORE = 200, 2_000, 16
#: Numbers in the rows that are looked at; beyond that a sample of them is.
MOST_NUMBERS = 20_000
#: Climbs, and how many where each costs much: with so many numbers in the data.
CLIMBS, CLIMBS_LARGE, LARGE = 12, 4, 200_000
#: Logarithm of how much less than the most promising start may promise.
PROMISING = 30.0
#: Starts are one if their sigmas differ by less than this, in logarithms, and no coefficient by more sigmas than that.
SAME_SIGMA, APART_IN_SIGMA = 1.5, 2.0
#: What lines are judged at: sigma by these quantiles of their residuals, df.
QUANTILES: tuple[float, ...] = (0.1, 0.25, 0.4, 0.6)
DF: tuple[float, ...] = (0.5, 2.0, 20.0)
#: The same where rows are many.
QUANTILES_MORE: tuple[float, ...] = (0.25, 0.5)
DF_MORE: tuple[float, ...] = (1.0, 10.0)
#: Concentration steps: least squares on the nearest half, or quarter, of the rows.
CONCENTRATIONS, NEAREST = 3, (0.5, 0.25)
#: Levels of lines that are parallel to the one at the mode: quantiles of its residuals.
LEVELS = (0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.85, 0.95)
#: Reweighted least squares towards least absolute deviations.
REWEIGHTINGS = 15
#: Newton decrement at which a climb is near enough to its mode for a chain to start there, and its steps at most.
REACHED, MOST_STEPS = 0.01, 50
#: Steps after which a climb is looked at: it ends where it comes near a mode that is known.
STEPS_AT_ONCE = 6
#: Modes nearer than this, in posterior standard deviations of the higher one, are one.
APART = 3.0
#: Modes whose approximations have less than this share of the mass of the highest one are left alone: log(1/10,000).
#: (Those of narrow modes hold too little: their tails are long.)
NEGLIGIBLE = -9.2


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
        climbed = _climb(target, start, curvature, found)
        if climbed is not None:
            found.append(climbed)
    masses = [log_mass(target, one) if one.decrement < REACHED else -np.inf for one in found]
    best = int(np.argmax(masses))
    others = [
        one
        for one, mass in zip(found, masses, strict=True)
        if one is not found[best] and mass - masses[best] > NEGLIGIBLE and _distance(found[best], one) > APART
    ]
    # A mode that takes the first one's place is climbed to the top.
    return found[best] if not best else fit_laplace(target, found[best].mode, curvature), others


def log_mass(target: Callable[[np.ndarray], tuple[float, np.ndarray]], fit: LaplaceFit) -> float:
    """Return the logarithm of the normal approximation's integral, up to a constant."""
    return float(target(fit.mode)[0]) + float(np.linalg.slogdet(fit.factor)[1])


def _climb(
    target: RegressionTarget | MappedTarget,
    start: np.ndarray,
    curvature: Callable[[np.ndarray], np.ndarray],
    known: list[LaplaceFit],
) -> LaplaceFit | None:
    """Return the mode above a point, or None where it is one of those known or none is reached."""
    at = start
    for _ in range(0, MOST_STEPS, STEPS_AT_ONCE):
        climbed = fit_laplace(target, at, curvature, max_steps=STEPS_AT_ONCE, tolerance=1e-2 * REACHED)
        if any(_distance(one, climbed) < APART for one in known):
            return None
        if climbed.decrement < REACHED:
            return climbed
        at = climbed.mode
    return None


def _starts(
    data: RegressionData, target: RegressionTarget | MappedTarget, mode: np.ndarray
) -> list[np.ndarray]:
    """Return points to climb from, those that promise most first; the same ones for the same data."""
    first, n = int(data.intercept), data.design.n_rows
    p = data.design.n_columns
    k = p + first
    if n <= k:
        return []
    plain: RegressionTarget = target.inner if isinstance(target, MappedTarget) else target
    origin = np.array(target.unwhiten(mode) if isinstance(target, MappedTarget) else mode)
    level = origin.copy()
    level[:k] = 0.0
    rows, x = _some_rows(data)
    wanted = (data.y - plain.linear_predictor(level)[0])[rows]
    lines = _lines(x, wanted, origin[:k], data.intercept, np.random.default_rng(0))
    residuals = np.abs(wanted - lines @ x.T)
    quantiles, dfs = (QUANTILES, DF) if n * k < FEW_NUMBERS else (QUANTILES_MORE, DF_MORE)
    tails = dfs if len(origin) > k + 1 else dfs[:1]
    scales = np.maximum(
        np.quantile(residuals, quantiles, axis=1), 1e-6 * max(data.spread / data.y_unit, 1e-300)
    )
    points = np.tile(origin, (len(lines), len(quantiles) * len(tails), 1))
    points[..., :k] = lines[:, np.newaxis]
    points[..., k] = np.log(np.repeat(scales.T, len(tails), axis=1))
    if len(origin) > k + 1:
        points[..., k + 1] = np.log(np.tile(tails, len(quantiles)))
    flat = points.reshape(-1, len(origin))
    # The volume of a mode goes with sigma to the power of the number of coefficients.
    promises = np.nan_to_num(sweep(plain.clone(), flat) + k * flat[:, k], nan=-np.inf)
    # Of each line and sigma the best df.
    promises = promises.reshape(-1, len(tails))
    best = flat.reshape(*promises.shape, -1)[np.arange(len(promises)), promises.argmax(axis=1)]
    promise = promises.max(axis=1)
    chosen = [origin]
    climbs = CLIMBS if n * k < LARGE else CLIMBS_LARGE
    for i in np.argsort(-promise, kind="stable"):
        if not promise[i] > promise.max() - PROMISING or len(chosen) > climbs:
            break
        if all(_leads_elsewhere(best[i], q, k) for q in chosen):
            chosen.append(best[i])
    del chosen[0]
    if isinstance(target, MappedTarget):
        chosen = [_mapped(target, q, data, slice(first, k)) for q in chosen]
    return [q for q in chosen if np.isfinite(target(q)[0])]


def _leads_elsewhere(q: np.ndarray, other: np.ndarray, k: int) -> bool:
    """Whether a start differs from another in sigma, or in a coefficient by more than sigma."""
    if abs(q[k] - other[k]) > SAME_SIGMA:
        return True
    return bool(np.abs(q[:k] - other[:k]).max() > APART_IN_SIGMA * np.exp(min(q[k], other[k])))


def _mapped(target: MappedTarget, q: np.ndarray, data: RegressionData, where: slice) -> np.ndarray:
    """Return a point in the target's coordinates, its coefficients positive where they must be."""
    found, coef = q.copy(), q[where]
    positive = target.coef_map.coefficients(np.full((1, len(coef)), -1.0))[0] > 0.0
    found[where] = target.coef_map.at(
        np.where(positive, np.maximum(coef, 0.05 * data.spread / data.y_unit), coef)
    )
    return found


def _some_rows(data: RegressionData) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of rows, all of them if they are not many, and the rows with a 1 for the intercept."""
    design, n = data.design, data.design.n_rows
    k = design.n_columns + int(data.intercept)
    wanted = max(MOST_NUMBERS // k, 2 * k)
    rows = np.arange(n)
    if n > wanted:
        rows = np.sort(np.random.default_rng(0).choice(n, wanted, replace=False))
    at_once = len(design.block(0))
    blocks = {b: design.block(b) for b in np.unique(rows // at_once).tolist()}
    x = np.array([blocks[i // at_once][i % at_once] for i in rows.tolist()]).reshape(len(rows), -1)
    return rows, np.column_stack([np.ones(len(rows)), x]) if data.intercept else x


def _lines(
    x: np.ndarray, y: np.ndarray, mode: np.ndarray, intercept: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return coefficients that parts of the rows suggest, shape (m, k)."""
    n, k = x.shape
    many = SUBSETS if n * k < FEW_NUMBERS else SUBSETS_MORE
    if comb(n, k) <= many:
        subsets = np.array(list(combinations(range(n), k)))
    else:
        subsets = np.array([rng.choice(n, k, replace=False) for _ in range(many)])
    elemental = (np.linalg.pinv(x[subsets], rcond=1e-6) @ y[subsets][:, :, np.newaxis])[:, :, 0]
    least = mode[np.newaxis]
    for _ in range(REWEIGHTINGS):
        gaps = np.abs(y - least @ x.T)
        least = _weighted(x, y, 1.0 / np.maximum(gaps, 1e-4 * np.median(gaps) + 1e-300))
    sides = np.concatenate([y > (line @ x.T) for line in (least, mode[np.newaxis])])
    found = [least, _weighted(x, y, np.concatenate([sides, ~sides]).astype(float)), elemental]
    for share in NEAREST:
        near = np.concatenate([elemental, found[1]])
        for _ in range(CONCENTRATIONS):
            gaps = np.abs(y - near @ x.T)
            last = min(max(int(share * (n + k + 1)), k + 1), n) - 1
            edge = np.partition(gaps, last, axis=1)[:, [last]]
            near = _weighted(x, y, (gaps <= edge).astype(float))
        found.append(near)
    if n * k >= FEW_NUMBERS:
        del found[2]  # lines through k rows are a start for the others there, and no more
    if intercept:
        # Where priors hold the slopes, groups of rows differ in their levels alone.
        level = np.zeros((len(LEVELS), k))
        level[:, 0] = np.quantile(y - x @ mode, LEVELS)
        found.append(mode + level)
    lines = np.concatenate(found)
    return lines[np.isfinite(lines).all(axis=1)]


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return least-squares lines, one for each row of weights; a trace of a ridge where they determine none."""
    k = x.shape[1]
    weights = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-300)
    products = (x[:, :, np.newaxis] * x[:, np.newaxis, :]).reshape(len(x), k * k)
    gram = (weights @ products).reshape(-1, k, k)
    gram += 1e-9 * (np.trace(gram, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] + 1e-9) * np.eye(k)
    return np.asarray(np.linalg.solve(gram, (weights @ (x * y[:, np.newaxis]))[:, :, np.newaxis])[:, :, 0])


def _distance(one: LaplaceFit, other: LaplaceFit) -> float:
    """Return how far apart they are, in standard deviations of the narrower approximation along the way."""
    gap = other.mode - one.mode
    return float(np.sqrt(max(gap @ one.curvature @ gap, gap @ other.curvature @ gap, 0.0)))

"""What a Gaussian likelihood knows of one response, in standardised units, from the moments of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm.inference.moments import EPS, Moments, gather, stack_triangles
from bayesglm.kernel.target import HEAVY

#: Beyond these standard deviations of y, and of coefficients, variances over- or underflow.
SMALLEST, LARGEST = 1e-153, 5e153


class OutOfRangeError(FloatingPointError):
    """Variances of a response, or of a coefficient, are beyond the range of doubles.

    Attributes
    ----------
    response : int
    column : int or None
        Of X, whose coefficient it is; None if it is the response by itself.
    """

    def __init__(self, response: int, column: int | None):
        super().__init__("variances of y or of the coefficients are beyond the range of doubles")
        self.response, self.column = response, column


@dataclass(frozen=True)
class Summary:
    """The data of one response, in standardised units.

    Predictors enter as (x - x_mean)/x_unit and y as (y - y_mean)/y_unit; without an intercept
    nothing is subtracted. Sigma is in units of sigma_unit.

    Attributes
    ----------
    n_rows : int
        Rows with a positive weight.
    weight : float
        How many observations the rows count as: the sum of the weights if they are frequencies, the number of
        rows if they are precisions.
    intercept : bool
        Whether means were subtracted.
    x_mean, x_sd : ndarray of shape (p,)
        Weighted means and (population) standard deviations; sd is 0 for a constant column.
    x_remainder : ndarray of shape (p,)
        What rounding took from the means.
    y_mean, y_sd : float
    x_unit : ndarray of shape (p,)
    y_unit, sigma_unit : float
        They differ where weights are precisions: sigma is the noise of a row of weight 1.
    level : float
        Of more than `bayesglm.kernel.target.HEAVY` observations the units are those of the noise, not of y: sigma is
        known to so many digits that it must be near 1. The logarithm of their ratio; 0 for fewer observations.
    factor : ndarray of shape (rank, p)
        F with F'F the weighted cross-products of the predictors.
    rotated : ndarray of shape (rank,)
        c with F'c the weighted cross-products of predictors and y.
    rss : float
        Weighted residual sum of squares of the least-squares fit; at least what rounding leaves.
    least_squares : ndarray of shape (p,)
        The least-squares coefficients (of least norm, if there are many).
    null : ndarray of shape (p - rank, p)
        Orthonormal directions along which the predictors do not vary.
    singular : ndarray of shape (p,) or None
        Singular values of F before truncation; None where conditioning made them unnecessary.
    exact_fit : bool
        Whether the residuals are nothing but rounding error.
    """

    n_rows: int
    weight: float
    intercept: bool
    x_mean: np.ndarray
    x_remainder: np.ndarray
    x_sd: np.ndarray
    y_mean: float
    y_sd: float
    x_unit: np.ndarray
    y_unit: float
    sigma_unit: float
    level: float
    factor: np.ndarray
    rotated: np.ndarray
    rss: float
    least_squares: np.ndarray
    null: np.ndarray
    singular: np.ndarray | None
    exact_fit: bool

    @property
    def rank(self) -> int:
        """Number of directions in which the predictors vary."""
        return self.factor.shape[0]


def summarize(
    X: Any,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    intercept: bool = True,
    precision: bool = False,
    n_threads: int = 1,
) -> Summary:
    """Summarise the rows of (X, y), y of shape (n,): `moments.gather` and `summaries` in one."""
    moments = gather(X, y[:, np.newaxis], weights, n_threads=n_threads)
    return summaries(moments, intercept=intercept, precision=precision)[0]


def summaries(moments: Moments, *, intercept: bool = True, precision: bool = False) -> list[Summary]:
    """Summarise each response.

    Parameters
    ----------
    moments : Moments
        Of p predictors and k responses.
    intercept : bool, default=True
        Whether the model has an intercept, so that means are subtracted.
    precision : bool, default=False
        Whether weights are precisions, y_i ~ N(mean, sigma²/w_i), instead of frequencies.

    Returns
    -------
    list of k Summary

    Raises
    ------
    OutOfRangeError
        If variances would overflow.
    """
    p = len(moments.factor)
    weight, unit, trusted = moments.weight, moments.unit, moments.trusted
    factor, rotated, rss = moments.factor, moments.rotated, moments.rss
    varies = (moments.spread > 0.0) | (not intercept)
    if intercept:
        # Nothing is left of a constant column, so that its unit only has to be a number to reckon with; a response
        # keeps a tiny one, since what rounding leaves of it would underflow.
        tiny = (unit < 1e-100) & (np.arange(len(unit)) >= p)
        unit = np.where(varies | (unit > 1e100) | tiny, unit, 1.0)
    else:
        # The means come back in as one more row: orthogonal, so nothing is lost to the offset.
        row = np.sqrt(weight) * (moments.mean / unit)
        stacked = stack_triangles(np.hstack([factor, rotated]), row[np.newaxis])
        rss = rss + np.sum(stacked[p:, p:] ** 2, axis=0)
        factor, rotated = np.zeros((p, p)), np.zeros((p, len(rss)))
        upper = min(p, len(stacked))
        factor[:upper], rotated[:upper] = stacked[:upper, :p], stacked[:upper, p:]
        squares = np.concatenate([np.sum(factor**2, axis=0), np.sum(rotated**2, axis=0) + rss])
        norms = np.sqrt(squares / weight)
        norms[norms == 0.0] = 1.0
        factor, rotated, rss = factor / norms[:p], rotated / norms[p:], rss / norms[p:] ** 2
        unit, trusted = unit * norms, False

    # A column's size in its units: the numbers themselves are rounded by this much.
    size = np.hypot(moments.mean / unit, moments.spread / unit)
    count = float(moments.n_rows) if precision else weight
    scale = np.sqrt(weight / count)
    null, singular, rest = np.zeros((0, p)), None, np.zeros(len(rss))
    if not trusted and p:
        left, singular, right = np.linalg.svd(factor)
        # What rounding of the columns makes of a direction: of one between small columns, nothing that a large one has.
        rounding = 2.0 * EPS * np.sqrt(weight) * np.linalg.norm(right * (size[:p] * varies[:p]), axis=1)
        known = singular > np.maximum(rounding, max(10.0 * p * EPS * singular[0], 1e-300))
        rest = np.sum((left[:, ~known].T @ rotated) ** 2, axis=0)
        factor, rotated, null = (
            singular[known, np.newaxis] * right[known],
            left[:, known].T @ rotated,
            right[~known],
        )
    least_squares = np.linalg.lstsq(factor, rotated, rcond=None)[0] if p else np.zeros((0, len(rss)))

    found = []
    for j in range(len(rss)):
        # What rounding of y and of the products x_j b_j leaves, were the model exact (api.md section 4).
        resolution = EPS * (size[p + j] + np.abs(least_squares[:, j]) @ size[:p])
        floor = weight * (resolution if resolution > 0.0 else EPS) ** 2
        left_over = float(rss[j] + rest[j])
        # Weights are frequencies, so it is their sum that has to exceed what is fitted.
        interpolated = left_over <= _noise(moments.n_rows - len(factor) - intercept) ** 2 * floor
        exact_fit = bool(interpolated and count - len(factor) - intercept > 1e-9)
        if interpolated:
            left_over = max(left_over, floor) if exact_fit else 0.0
        noise = np.sqrt(left_over / weight)
        level = float(np.log(noise)) if count > HEAVY and noise > 0.0 else 0.0
        part = noise if level else 1.0
        with np.errstate(over="ignore"):
            ratio = unit[p + j] / unit[:p]
        if not SMALLEST < unit[p + j] < LARGEST:
            raise OutOfRangeError(j, None)
        beyond = np.flatnonzero((ratio < SMALLEST) | (ratio > LARGEST))
        if beyond.size:
            raise OutOfRangeError(j, int(beyond[0]))
        found.append(
            Summary(
                n_rows=moments.n_rows,
                weight=count,
                intercept=intercept,
                x_mean=moments.mean[:p],
                x_remainder=moments.remainder[:p],
                x_sd=moments.spread[:p],
                y_mean=float(moments.mean[p + j]),
                y_sd=float(moments.spread[p + j]),
                x_unit=unit[:p],
                y_unit=float(unit[p + j] * part),
                sigma_unit=float(unit[p + j] * part * scale),
                level=level,
                factor=factor / scale,
                rotated=rotated[:, j] / part / scale,
                rss=count if level else left_over / scale**2,
                least_squares=least_squares[:, j] / part,
                null=null,
                singular=singular,
                exact_fit=exact_fit,
            )
        )
    return found


def _noise(n_spare: int) -> float:
    """Return how far residuals of a perfect fit may be from 0, in units of what rounding leaves of one observation.

    Of 16,000 random perfect fits (2 to 1,100 rows, 1 to 100 columns, of full rank, offsets to 1e14, an intercept)
    half were within 0.17 and all within 2.6 (without an intercept, or of columns of which rounding leaves nothing,
    more may be left, which then is taken for noise, as it is); what triangular factors of many rows add to it had
    grown to 6.2 at a million. Without spare rows nothing but that can be left, so that there is no noise to mistake
    for it.
    """
    return 4.0 * max(1.0, n_spare / 1e4) ** 0.2 if n_spare > 0 else 10.0

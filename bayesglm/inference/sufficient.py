"""The data of a Gaussian likelihood in one pass: an accurate summary of fixed size.

Rows are read in blocks that stay in cache. Each block is shifted by the means of the first one and
multiplied with itself; blocks add up. Shifting before multiplying is what keeps columns with a large
offset accurate: what is lost to a first block that does not represent the rest is bounded by
n_rows/block_rows (the first block's own rows put that much variance into the column). Cross-products
square the condition number, so where they come out badly conditioned, or y is fitted almost
perfectly, the blocks are read a second time and reduced by orthogonal transformations instead
(tall-skinny QR; Demmel, Grigori, Hoemmen & Langou 2012), which does not square it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import lapack

EPS = float(np.finfo(np.float64).eps)

#: A block of this many bytes stays in the second-level cache beside its cross-products.
BLOCK_BYTES = 1 << 19
#: Blocks are added up in panels of this many; panels are what threads share out.
PANEL_BLOCKS = 8
#: Data smaller than this are read by one thread: two took longer for 16 MB (13 ms against 9 ms).
THREADED_BYTES = 1 << 26
#: Below this reciprocal condition number of the correlation matrix the data are read again: cross-products
#: would leave fewer than nine correct digits.
MIN_RCOND = 1e-6
#: The same for the share of y that the predictors leave unexplained.
MIN_UNEXPLAINED = 1e-6


@dataclass(frozen=True)
class Summary:
    """What a Gaussian likelihood needs to know of the data, in standardised units.

    Predictors enter as (x - x_mean)/x_unit and y as (y - y_mean)/y_unit; without an intercept
    nothing is subtracted.

    Attributes
    ----------
    n_rows : int
        Rows with a positive weight.
    weight : float
        Sum of the weights.
    intercept : bool
        Whether means were subtracted.
    x_mean, x_sd : ndarray of shape (p,)
        Weighted means and (population) standard deviations; sd is 0 for a constant column.
    y_mean, y_sd : float
    x_unit : ndarray of shape (p,)
    y_unit : float
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
    x_sd: np.ndarray
    y_mean: float
    y_sd: float
    x_unit: np.ndarray
    y_unit: float
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


@dataclass
class _Rows:
    """The rows of (X, y), weighted, shifted and scaled block by block."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    shift: np.ndarray
    unit: np.ndarray | None = None

    @property
    def block_rows(self) -> int:
        return max(64, BLOCK_BYTES // (8 * (self.X.shape[1] + 2)))

    def block(self, start: int, stop: int, memory: np.ndarray | None = None) -> np.ndarray:
        """Return rows start to stop as [1, X - shift, y - shift], shape (stop - start, p + 2), in ``memory``."""
        p = self.X.shape[1]
        n = min(stop, len(self.y)) - start
        rows = np.empty((n, p + 2)) if memory is None else memory[:n]
        rows[:, 0] = 1.0
        np.subtract(self.X[start:stop], self.shift[:p], out=rows[:, 1:-1])
        np.subtract(self.y[start:stop], self.shift[p], out=rows[:, -1])
        if self.unit is not None:
            rows[:, 1:] /= self.unit
        if self.weights is not None:
            rows *= np.sqrt(self.weights[start:stop])[:, np.newaxis]
        return rows

    def panels(self) -> Iterator[range]:
        """Yield the block starts of each panel; the split depends on nothing but the shape."""
        step = self.block_rows
        starts = range(0, len(self.y), step)
        for first in range(0, len(starts), PANEL_BLOCKS):
            yield starts[first : first + PANEL_BLOCKS]

    def reduce(self, panel: Callable[[_Rows, range], np.ndarray], n_threads: int) -> Iterator[np.ndarray]:
        """Yield ``panel(self, starts)`` for each panel, in order."""
        work = partial(panel, self)
        panels = list(self.panels())
        if n_threads == 1 or len(panels) == 1:
            yield from map(work, panels)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            yield from pool.map(work, panels)


def _prescale(block: np.ndarray) -> np.ndarray | None:
    """Return powers of two that bring columns into the range where squares neither over- nor underflow.

    None where nothing needs it, which is to say nearly always.
    """
    largest = np.abs(block).max(axis=0)
    extreme = (largest > 1e100) | ((largest > 0.0) & (largest < 1e-100))
    if not np.any(extreme & np.isfinite(largest)):
        return None
    return np.where(extreme & np.isfinite(largest), np.exp2(np.frexp(largest)[1].astype(float)), 1.0)


def _cross_products(rows: _Rows, starts: range) -> np.ndarray:
    """Return the cross-products of one panel, shape (p + 2, p + 2)."""
    width = rows.X.shape[1] + 2
    total = np.zeros((width, width))
    memory = np.empty((min(rows.block_rows, len(rows.y)), width))
    for start in starts:
        block = rows.block(start, start + rows.block_rows, memory)
        total += block.T @ block
    return total


def _triangle(rows: _Rows, starts: range) -> np.ndarray:
    """Return the triangular factor of one panel, shape (p + 2, p + 2)."""
    width = rows.X.shape[1] + 2
    triangle = np.zeros((width, width))
    step = max(rows.block_rows, 4 * width)
    for start in range(starts[0], starts[-1] + rows.block_rows, step):
        if start < len(rows.y):
            stop = min(start + step, starts[-1] + rows.block_rows)
            triangle = _stack_triangles(triangle, rows.block(start, stop))
    return triangle


def _stack_triangles(triangle: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the triangular factor of two blocks of rows."""
    return np.asarray(np.linalg.qr(np.vstack([triangle, block]), mode="r"))


def summarize(
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    intercept: bool = True,
    n_threads: int = 1,
) -> Summary:
    """Summarise the rows of (X, y).

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Predictors, any real dtype and memory layout; converted block by block.
    y : ndarray of shape (n,)
    weights : ndarray of shape (n,), optional
        Non-negative; a weight of k counts as k equal rows.
    intercept : bool, default=True
        Whether the model has an intercept, so that means are subtracted.
    n_threads : int, default=1
        Threads that share the blocks out; the result does not depend on it.

    Returns
    -------
    Summary

    Raises
    ------
    FloatingPointError
        If the sums are not finite: the data hold NaN, infinities, or squares beyond 1e308.
    """
    n, p = X.shape
    if X.nbytes < THREADED_BYTES:
        n_threads = 1
    rows = _Rows(X, y, weights, np.zeros(p + 1))
    start = 0 if weights is None else int(np.argmax(weights > 0.0))
    first = rows.block(start, start + rows.block_rows)
    prescale = _prescale(first[:, 1:])
    if prescale is not None:
        rows.unit = prescale
        first[:, 1:] /= prescale
    shift = first[:, 1:].sum(axis=0) / first[:, 0].sum()
    if not np.all(np.isfinite(shift)):
        raise FloatingPointError("the data hold values that are not finite")
    while True:
        rows.shift = shift if prescale is None else shift * prescale
        with np.errstate(over="ignore", invalid="ignore"):
            cross = np.zeros((p + 2, p + 2))
            for product in rows.reduce(_cross_products, n_threads):
                cross += product
        if not np.all(np.isfinite(cross)):
            raise FloatingPointError("the data hold values that are not finite")
        weight = float(cross[0, 0])
        offset = cross[0, 1:] / weight
        mean = shift + offset
        centred = cross[1:, 1:] - np.outer(offset, cross[0, 1:])
        variance = np.maximum(np.diag(centred) / weight, 0.0)
        # The first block stood for nothing (its weights are tiny, say): once more, from the means.
        if np.all(offset**2 <= 1e6 * variance + (EPS * np.abs(mean)) ** 2) or np.array_equal(shift, mean):
            break
        shift = mean

    # A column is constant if it varies by less than one unit in the last place of one row in a million would
    # make it vary: the mean of equal numbers is rounded, and leaves less than that.
    magnitude = np.sqrt(mean**2 + variance)
    spread = np.where(np.sqrt(variance) > 1e-3 * EPS * magnitude, np.sqrt(variance), 0.0)
    n_rows = n if weights is None else int(np.count_nonzero(weights))

    unit = np.where(spread > 0.0, spread, 1.0)
    triangle = _cholesky(centred, spread, unit, weight)
    if triangle is None:
        scale = np.ones(p + 1) if prescale is None else prescale
        precise = _Rows(X, y, weights, mean * scale, unit * scale)
        triangle = np.zeros((p + 2, p + 2))
        for panel in precise.reduce(_triangle, n_threads):
            triangle = _stack_triangles(triangle, panel)
        triangle = triangle[1:, 1:]
        triangle[:, spread == 0.0] = 0.0
        triangle = np.asarray(np.linalg.qr(triangle, mode="r"))
        trusted = False
    else:
        trusted = True
    if not intercept:
        # The means come back in as one more row: orthogonal, so nothing is lost to the offset.
        triangle = _stack_triangles(triangle, np.sqrt(weight) * (mean / unit)[np.newaxis])
        norms = np.sqrt(np.sum(triangle**2, axis=0) / weight)
        norms[norms == 0.0] = 1.0
        triangle, unit, trusted = triangle / norms, unit * norms, False
    # Rounding of the numbers themselves moves singular values by this much.
    rounding = 2.0 * EPS * np.sqrt(weight) * float(np.max(magnitude[:-1] / unit[:-1], initial=0.0))
    factor, rotated, rss, null, singular = _truncate(triangle, trusted, rounding)

    # What rounding of y and of the products x_j b_j leaves, were the model exact (api.md section 4).
    least_squares = np.linalg.lstsq(factor, rotated, rcond=None)[0] if p else np.zeros(0)
    resolution = EPS * (magnitude[-1] / unit[-1] + np.abs(least_squares) @ (magnitude[:-1] / unit[:-1]))
    floor = weight * (resolution if resolution > 0.0 else EPS) ** 2
    # Weights are frequencies, so it is their sum that has to exceed what is fitted.
    degrees = weight - factor.shape[0] - intercept
    interpolated = rss <= 100.0 * floor
    exact_fit = bool(interpolated and degrees > 1e-9)
    if interpolated:
        rss = max(rss, floor) if exact_fit else 0.0
    if prescale is not None:
        mean, spread = mean * prescale, spread * prescale
        unit = np.where((spread > 0.0) | (not intercept), unit * prescale, 1.0)
    ratio = unit[-1] / unit[:-1]
    if not 1e-150 < unit[-1] < 1e150 or np.any((ratio < 1e-153) | (ratio > 1e153)):
        raise FloatingPointError("variances of y or of the coefficients are beyond the range of doubles")
    return Summary(
        n_rows=n_rows,
        weight=weight,
        intercept=intercept,
        x_mean=mean[:-1],
        x_sd=spread[:-1],
        y_mean=float(mean[-1]),
        y_sd=float(spread[-1]),
        x_unit=unit[:-1],
        y_unit=float(unit[-1]),
        factor=factor,
        rotated=rotated,
        rss=rss,
        least_squares=least_squares,
        null=null,
        singular=singular,
        exact_fit=exact_fit,
    )


def _cholesky(centred: np.ndarray, spread: np.ndarray, unit: np.ndarray, weight: float) -> np.ndarray | None:
    """Return the triangular factor of the standardised rows, or None if cross-products do not determine it."""
    if not np.all(spread > 0.0):
        return None
    lower, info = lapack.dpotrf(centred / np.outer(unit, unit) / weight, lower=1, clean=1)
    if info != 0 or lower[-1, -1] ** 2 < MIN_UNEXPLAINED:
        return None
    p = len(unit) - 1
    if p:
        correlation = centred[:p, :p] / np.outer(unit[:p], unit[:p]) / weight
        norm = float(np.abs(correlation).sum(axis=0).max())
        rcond, _ = lapack.dpocon(np.asfortranarray(lower[:p, :p]), norm, uplo="L")
        if rcond < MIN_RCOND:
            return None
    return np.sqrt(weight) * lower.T


def _truncate(
    triangle: np.ndarray, trusted: bool, rounding: float
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, np.ndarray | None]:
    """Split [R, Q'y; 0, sqrt(rss)] and cut directions off in which the predictors do not vary."""
    p = triangle.shape[1] - 1
    full = np.zeros((p + 1, p + 1))
    full[: len(triangle)] = triangle
    factor, rotated, rss = full[:p, :p], full[:p, p], float(full[p, p] ** 2)
    if trusted or p == 0:
        return factor, rotated, rss, np.zeros((0, p)), None
    left, singular, right = np.linalg.svd(factor)
    rank = int(np.count_nonzero(singular > max(10.0 * p * EPS * singular[0], rounding, 1e-300)))
    rest = left[:, rank:].T @ rotated
    return (
        singular[:rank, np.newaxis] * right[:rank],
        left[:, :rank].T @ rotated,
        rss + float(rest @ rest),
        right[rank:],
        singular,
    )

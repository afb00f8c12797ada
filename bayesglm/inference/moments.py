"""One pass over the rows of (X, Y): means and cross-products, accurate, mergeable, of fixed size.

Rows are read in blocks that stay in cache. Each block is shifted by the means of the first one and
multiplied with itself; blocks add up. Shifting before multiplying is what keeps columns with a large
offset accurate: what is lost to a first block that does not represent the rest is bounded by
n_rows/block_rows (the first block's own rows put that much variance into the column). Cross-products
square the condition number, so where they come out badly conditioned, or a response is fitted almost
perfectly, the blocks are read a second time and reduced by orthogonal transformations instead
(tall-skinny QR; Demmel, Grigori, Hoemmen & Langou 2012), which does not square it. The same
transformations merge the moments of two sets of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack, solve_triangular

from bayesglm.inference import canonical

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
MIN_UNEXPLAINED = 1e-4


@dataclass(frozen=True)
class Moments:
    """What a Gaussian likelihood needs to know of rows of p predictors and k responses.

    Columns are those of (X, Y), q = p + k of them. They enter as (column - mean)/unit.

    Attributes
    ----------
    n_rows : int
        Rows with a positive weight.
    weight : float
        Sum of the weights.
    mean, spread : ndarray of shape (q,)
        Weighted means and (population) standard deviations; the latter are 0 for a constant column.
    unit : ndarray of shape (q,)
        The standard deviation, or for a constant column its size.
    factor : ndarray of shape (p, p)
        Upper triangular R with R'R the weighted cross-products of the predictors.
    rotated : ndarray of shape (p, k)
        C with R'C the weighted cross-products of predictors and responses.
    rss : ndarray of shape (k,)
        Weighted sums of squares that the predictors leave of the responses.
    trusted : bool
        Whether R is known to be well conditioned.
    remainder : ndarray of shape (q,)
        What rounding took from the means. With an offset of 1e9 that is 1e-7, which would be lost to the distance
        between the means of two parts.
    """

    n_rows: int
    weight: float
    mean: np.ndarray
    spread: np.ndarray
    unit: np.ndarray
    factor: np.ndarray
    rotated: np.ndarray
    rss: np.ndarray
    trusted: bool
    remainder: np.ndarray


@dataclass
class _Rows:
    """The rows of (X, Y), weighted, shifted and scaled block by block."""

    X: Any
    Y: np.ndarray
    weights: np.ndarray | None
    shift: np.ndarray
    unit: np.ndarray | None = None

    @property
    def width(self) -> int:
        return 1 + len(self.shift)

    @property
    def block_rows(self) -> int:
        return max(64, BLOCK_BYTES // (8 * self.width))

    def block(self, start: int, stop: int, memory: np.ndarray | None = None) -> np.ndarray:
        """Return rows start to stop as [1, X - shift, Y - shift], shape (stop - start, 1 + q), in ``memory``."""
        p = self.X.shape[1]
        n = min(stop, len(self.Y)) - start
        rows = np.empty((n, self.width)) if memory is None else memory[:n]
        X = self.X[start : start + n]
        rows[:, 0] = 1.0
        np.subtract(X.toarray() if sparse.issparse(X) else X, self.shift[:p], out=rows[:, 1 : p + 1])
        np.subtract(self.Y[start : start + n], self.shift[p:], out=rows[:, p + 1 :])
        if self.unit is not None:
            rows[:, 1:] /= self.unit
        if self.weights is not None:
            rows *= np.sqrt(self.weights[start : start + n])[:, np.newaxis]
        return rows

    def panels(self) -> Iterator[range]:
        """Yield the block starts of each panel; the split depends on nothing but the shape."""
        step = self.block_rows
        starts = range(0, len(self.Y), step)
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
    return np.where(extreme & np.isfinite(largest), np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)


def _cross_products(rows: _Rows, starts: range) -> np.ndarray:
    """Return the cross-products of one panel, shape (1 + q, 1 + q)."""
    total = np.zeros((rows.width, rows.width))
    memory = np.empty((min(rows.block_rows, len(rows.Y)), rows.width))
    for start in starts:
        block = rows.block(start, start + rows.block_rows, memory)
        total += block.T @ block
    return total


def _triangle(rows: _Rows, starts: range) -> np.ndarray:
    """Return the triangular factor of one panel, shape (1 + q, 1 + q)."""
    triangle = np.zeros((rows.width, rows.width))
    step = max(rows.block_rows, 4 * rows.width)
    for start in range(starts[0], starts[-1] + rows.block_rows, step):
        if start < len(rows.Y):
            stop = min(start + step, starts[-1] + rows.block_rows)
            triangle = stack_triangles(triangle, rows.block(start, stop))
    return triangle


def stack_triangles(*blocks: np.ndarray) -> np.ndarray:
    """Return the triangular factor of blocks of rows, one upon another."""
    return np.asarray(np.linalg.qr(np.vstack(blocks), mode="r"))


def gather(X: Any, Y: np.ndarray, weights: np.ndarray | None = None, *, n_threads: int = 1) -> Moments:
    """Read the rows of (X, Y).

    Parameters
    ----------
    X : ndarray or sparse array of shape (n, p)
        Predictors, any real dtype and memory layout; converted block by block.
    Y : ndarray of shape (n, k)
        Responses.
    weights : ndarray of shape (n,), optional
        Non-negative, some positive.
    n_threads : int, default=1
        Threads that share the blocks out; the result does not depend on it.

    Returns
    -------
    Moments
        The same to the last bit in whatever order the rows come, for X and Y of up to
        `bayesglm.inference.canonical.LARGEST` numbers in `MOST_ROWS` rows.

    Raises
    ------
    FloatingPointError
        If the sums are not finite: the data hold NaN, infinities, or squares beyond 1e308.
    """
    p = X.shape[1]
    n_rows = len(Y) if weights is None else int(np.count_nonzero(weights))
    if 8.0 * len(Y) * (p + Y.shape[1]) < THREADED_BYTES:
        n_threads = 1
    size = (X.nnz if sparse.issparse(X) else X.size) + Y.size
    if size <= canonical.LARGEST and len(Y) <= canonical.MOST_ROWS:
        X, Y, weights = canonical.canonical_rows(X, Y, weights)
    elif sparse.issparse(X):
        X = sparse.csr_array(X)
    rows = _Rows(X, Y, weights, np.zeros(p + Y.shape[1]))
    start = 0 if weights is None else int(np.argmax(weights > 0.0))
    first = rows.block(start, start + rows.block_rows)
    prescale = _prescale(first[:, 1:])
    if prescale is not None:
        rows.unit = prescale
        first[:, 1:] /= prescale
    with np.errstate(over="ignore", invalid="ignore"):
        shift = first[:, 1:].sum(axis=0) / first[:, 0].sum()
    if not np.all(np.isfinite(shift)):
        raise FloatingPointError("the data hold values that are not finite")
    while True:
        rows.shift = shift if prescale is None else shift * prescale
        with np.errstate(over="ignore", invalid="ignore"):
            cross = np.zeros((rows.width, rows.width))
            for product in rows.reduce(_cross_products, n_threads):
                cross += product
        if not np.all(np.isfinite(cross)):
            raise FloatingPointError("the data hold values that are not finite")
        weight = float(cross[0, 0])
        offset = cross[0, 1:] / weight
        mean, remainder = _sum(shift, offset)
        centred = cross[1:, 1:] - np.outer(offset, cross[0, 1:])
        variance = np.maximum(np.diag(centred) / weight, 0.0)
        # The first block stood for nothing (its weights are tiny, say): once more, from the means.
        if np.all(offset**2 <= 1e6 * variance + (EPS * np.abs(mean)) ** 2) or np.array_equal(shift, mean):
            break
        shift = mean

    spread = _spread(mean, np.sqrt(variance))
    unit = _unit(mean, spread)
    found = _cholesky(centred, spread, unit, weight, p)
    if found is None:
        scale = np.ones(len(mean)) if prescale is None else prescale
        precise = _Rows(X, Y, weights, mean * scale, unit * scale)
        triangle = np.zeros((rows.width, rows.width))
        for panel in precise.reduce(_triangle, n_threads):
            triangle = stack_triangles(triangle, panel)
        triangle = triangle[1:, 1:]
        triangle[:, spread == 0.0] = 0.0
        found = _split(stack_triangles(triangle), p)
        trusted = False
    else:
        trusted = True
    if prescale is not None:
        mean, spread, unit = mean * prescale, spread * prescale, unit * prescale
        remainder = remainder * prescale
    return Moments(n_rows, weight, mean, spread, unit, *found, trusted=trusted, remainder=remainder)


def merge(first: Moments, second: Moments) -> Moments:
    """Return the moments of the rows of both, equal to those of one pass over them to rounding."""
    p = len(first.factor)
    weight = first.weight + second.weight
    gap = (second.mean - first.mean) + (second.remainder - first.remainder)
    # Written so that equal means stay what they are: a constant column remains constant.
    mean, remainder = _sum(first.mean, first.remainder + gap * (second.weight / weight))
    unit = np.maximum(np.maximum(first.unit, second.unit), np.abs(gap))
    parts = [
        np.hstack([part.factor * (part.unit[:p] / unit[:p]), part.rotated * (part.unit[p:] / unit[p:])])
        for part in (first, second)
    ]
    between = np.sqrt(first.weight * (second.weight / weight)) * gap / unit
    factor, rotated, rss = _split(stack_triangles(*parts, between[np.newaxis]), p)
    for part in (first, second):
        rss = rss + part.rss * (part.unit[p:] / unit[p:]) ** 2
    squares = np.concatenate([np.sum(factor**2, axis=0), np.sum(rotated**2, axis=0) + rss])
    spread = _spread(mean, np.sqrt(squares / weight) * unit)
    wanted = _unit(mean, spread)
    ratio = np.where(spread > 0.0, unit / wanted, 0.0)
    return Moments(
        n_rows=first.n_rows + second.n_rows,
        weight=weight,
        mean=mean,
        spread=spread,
        unit=wanted,
        factor=factor * ratio[:p],
        rotated=rotated * ratio[p:],
        rss=rss * ratio[p:] ** 2,
        trusted=False,
        remainder=remainder,
    )


def _sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded sum and, exactly, what rounding took from it (Knuth's two-sum)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _spread(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return standard deviations, those of constant columns being zero.

    A column is constant if it varies by less than one unit in the last place of one row in a million would
    make it vary: the mean of equal numbers is rounded, and leaves less than that.
    """
    return np.where(sd > 1e-3 * EPS * np.hypot(mean, sd), sd, 0.0)


def _unit(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return what columns are measured in: their spread, or else their size, or else 1."""
    size = np.where(mean != 0.0, np.abs(mean), 1.0)
    return np.where(spread > 0.0, spread, size)


def _split(triangle: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split the triangular factor of (X, Y), of whatever height, into that of X and what becomes of Y."""
    q = triangle.shape[1]
    full = np.zeros((q, q))
    full[: len(triangle)] = triangle
    return full[:p, :p], full[:p, p:], np.sum(full[p:, p:] ** 2, axis=0)


def _cholesky(
    centred: np.ndarray, spread: np.ndarray, unit: np.ndarray, weight: float, p: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return factor, rotated and rss of the standardised rows, or None if cross-products do not determine them."""
    if not np.all(spread > 0.0):
        return None
    correlation = centred / np.outer(unit, unit) / weight
    lower, rotated = np.zeros((0, 0)), np.zeros((0, len(unit) - p))
    if p:
        lower, info = lapack.dpotrf(correlation[:p, :p], lower=1, clean=1)
        if info != 0:
            return None
        norm = float(np.abs(correlation[:p, :p]).sum(axis=0).max())
        rcond, _ = lapack.dpocon(np.asfortranarray(lower), norm, uplo="L")
        if rcond < MIN_RCOND:
            return None
        rotated = solve_triangular(lower, correlation[:p, p:], lower=True, check_finite=False)
    unexplained = np.diag(correlation)[p:] - np.sum(rotated**2, axis=0)
    if not np.all(unexplained >= MIN_UNEXPLAINED):
        return None
    return np.sqrt(weight) * lower.T, np.sqrt(weight) * rotated, weight * unexplained

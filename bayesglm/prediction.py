"""Predictive intervals, quantiles, densities and draws for new rows, in bounded memory whatever their number.

Given one value of the parameters a new observation is normal, so its posterior predictive distribution is a
finite mixture of normals, one component for each posterior draw or quadrature node. Nothing here simulates
what the mixture gives exactly: quantiles are roots of its distribution function and densities are its sums.
Rows are worked through in blocks, and the answer for a row does not depend on the rows beside it.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from bayesglm.mixture_quantiles import ROOT_2PI, component_quantiles, spread_of
from bayesglm.parallel import one_blas_thread
from bayesglm.validation import is_complex

# Bytes of temporaries a block of rows may need (one row with all components is the least): small enough for
# a processor's cache, measured up to 1.5 times faster than 32 MB, and large enough to hide NumPy's overhead.
_BUDGET = 4 * 2**20
_LIVE_ARRAYS = 8
_MANY_ROWS = 10_000
#: What reaches this size is refused: sums over draws would overflow.
LARGEST_PREDICTION = 1e300


#: Row numbers (m,) and numbers by row and draw (m, S), block by block.
Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class PointwiseDensity:
    """How probable a model's draws make what has been observed, row by row.

    Attributes
    ----------
    observed : ndarray of shape (n,) or (n, k)
        Responses of the rows in which nothing is missing.
    rows : ndarray of shape (n,)
        Positions of these rows among those given.
    weights : ndarray of shape (n,) or None
        How many rows each counts as; None: one.
    n_responses : int
    blocks : callable
        ``blocks(j, slice)`` yields the log densities of response j in that slice of the rows.
    """

    observed: np.ndarray
    rows: np.ndarray
    weights: np.ndarray | None
    n_responses: int
    blocks: Callable[[int, slice], Blocks]


class MixtureSource(Protocol):
    """The predictive distribution of every row as a mixture of the same number of normals."""

    @property
    def n_components(self) -> int:
        """Number of components K, the same for every row."""
        ...

    def components(self, X: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights (K,), means (m, K) and standard deviations (m, K) or (1, K) of the components.

        `X` are finite rows of the design, of shape (m, p). `kind` is "response" for a new observation, noise
        included, or "mean" for the regression line. The weights are not negative and sum to one. Standard
        deviations are not negative, and all zero for a row whose distribution is a set of points.
        """
        ...


@runtime_checkable
class ExactMoments(Protocol):
    """A source that knows mean and standard deviation of a new observation without its components."""

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd, each (m,), for rows X (m, p)."""
        ...


@dataclass(frozen=True, eq=False)
class DrawSource:
    """The mixture that a set of posterior draws defines: one component a draw, all of equal weight.

    For ``kind="mean"`` the components have no width: the distribution is the empirical one of the draws.

    Parameters
    ----------
    coef : ndarray of shape (S, p)
        Draws of the coefficients, the chains one after another.
    intercept : ndarray of shape (S,) or 0.0
        Draws of the intercept; zero for a model without one.
    sigma : ndarray of shape (S,)
        Draws of the noise standard deviation.
    """

    coef: np.ndarray
    intercept: np.ndarray | float
    sigma: np.ndarray

    @property
    def n_components(self) -> int:
        """Number of draws S."""
        return len(self.sigma)

    def components(self, X: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Equal weights (S,), means (m, S) and sds (1, S); see :class:`MixtureSource`."""
        n_draws = self.n_components
        means = X @ self.coef.T
        means += self.intercept
        sds = self.sigma[np.newaxis, :] if kind == "response" else np.zeros((1, n_draws))
        return np.full(n_draws, 1.0 / n_draws), means, sds


def moments(source: MixtureSource, X: np.ndarray, kind: str = "response") -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the predictive distribution of every row.

    Parameters
    ----------
    source, X, kind
        As in :func:`quantiles`.

    Returns
    -------
    mean, sd : ndarrays of shape (n,)
        NaN for a row that holds a NaN.
    """
    mean = np.full(X.shape[0], np.nan)
    sd = np.full(X.shape[0], np.nan)
    if kind == "response" and isinstance(source, ExactMoments):
        # Many small products: threads of BLAS would spend their time waiting for each other.
        with one_blas_thread() if X.shape[0] > _MANY_ROWS else nullcontext():
            for start, block in dense_blocks(X, X.shape[1]):
                here = slice(start, start + len(block))
                with np.errstate(over="ignore", invalid="ignore"):
                    mean[here], sd[here] = source.moments(block)
                # An sd may be infinite where there is none.
                bad = ~(np.abs(mean[here]) < LARGEST_PREDICTION) | np.isnan(sd[here])
                if bad.any():
                    refuse_overflow(bad & np.isfinite(block).all(axis=1), start)
        return mean, sd
    for rows, weights, means, sds in blocks(source, X, kind):
        mean[rows] = means @ weights
        sd[rows] = spread_of(weights, means - mean[rows, np.newaxis], sds)
    return mean, sd


def quantiles(source: MixtureSource, X: np.ndarray, q: ArrayLike, kind: str = "response") -> np.ndarray:
    """Exact quantiles of the predictive distribution of every row.

    Accurate to 1e-10 of the mixture's standard deviation, save at a level that falls into a gap between two
    modes: there the distribution function is flat and a rounding error of it moves the quantile. Where all
    components of a row are points they are the quantiles of a sample, interpolated linearly as by
    ``numpy.quantile``.

    Parameters
    ----------
    source : MixtureSource
    X : ndarray of shape (n, p)
    q : float or array of shape (n_q,)
        Probabilities in [0, 1]; 0 and 1 give minus and plus infinity.
    kind : {"response", "mean"}, default "response"
        A new observation, or the regression line.

    Returns
    -------
    ndarray of shape (n, n_q), or (n,) for a scalar q
        NaN for a row that holds a NaN.

    Raises
    ------
    ValueError
        If q is outside [0, 1], or kind is unknown, or a row is so far out that components overflow.
    """
    levels = as_levels(q)
    flat_levels = np.atleast_1d(levels)
    result = np.full((X.shape[0], flat_levels.size), np.nan)
    for rows, weights, means, sds in blocks(source, X, kind):
        result[rows] = component_quantiles(weights, means, sds, flat_levels)
    return result[:, 0] if levels.ndim == 0 else result


def intervals(
    source: MixtureSource, X: np.ndarray, coverage: float = 0.9, kind: str = "response"
) -> np.ndarray:
    """Equal-tailed interval of the predictive distribution of every row.

    Parameters
    ----------
    source, X, kind
        As in :func:`quantiles`.
    coverage : float, default 0.9
        Probability inside the interval, strictly between 0 and 1. Of the largest double below 1, whose upper end
        would be at 1, both ends are those of the whole range.

    Returns
    -------
    ndarray of shape (n, 2)
        Lower and upper ends; NaN for a row that holds a NaN.

    Raises
    ------
    ValueError
        If coverage is not strictly between 0 and 1, or kind is unknown.
    """
    return quantiles(source, X, interval_levels(coverage), kind)


def interval_levels(coverage: Any) -> np.ndarray:
    """Return the levels of the ends of an equal-tailed interval; 0 and 1 if the upper one cannot be told from 1."""
    number: Any = coverage if isinstance(coverage, Real) else np.nan
    if not 0.0 < number < 1.0:
        raise ValueError(f"coverage must lie strictly between 0 and 1, got {coverage!r}.")
    tail = 0.5 * (1.0 - float(number))
    return np.array([tail, 1.0 - tail]) if 1.0 - tail < 1.0 else np.array([0.0, 1.0])


def log_density(source: MixtureSource, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log predictive density of an observation at every row: the mixture's, noise included.

    Parameters
    ----------
    source, X
        As in :func:`quantiles`.
    y : ndarray of shape (n,)
        Observed responses.

    Returns
    -------
    ndarray of shape (n,)
        Natural logarithms, finite however far y lies in the tails, up to where they themselves are no doubles (1e154
        standard deviations away): there they are minus infinity. NaN for a row where X or y holds a NaN.

    Raises
    ------
    ValueError
        If y is not of shape (n,).
    """
    observed = np.asarray(y, dtype=float)
    if observed.shape != (X.shape[0],):
        raise ValueError(
            f"y must have shape ({X.shape[0]},), one value for each row of X, got {observed.shape}."
        )
    result = np.full(X.shape[0], np.nan)
    for rows, weights, means, sds in blocks(source, X, "response"):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            terms = (observed[rows, np.newaxis] - means) / sds
            terms *= terms
            terms *= -0.5
            terms += np.log(weights) - np.log(sds)
            largest = terms.max(axis=1)
            terms -= largest[:, np.newaxis]
            np.exp(terms, out=terms)
            total = largest + np.log(terms.sum(axis=1)) - np.log(ROOT_2PI)
        # An infinite y is further out than any component reaches: log 0, not infinity minus infinity.
        result[rows] = np.where(np.isneginf(largest), -np.inf, total)
    return result


def log_likelihoods(source: DrawSource, X: Any, y: np.ndarray, noise: np.ndarray | None = None) -> Blocks:
    """Yield the log density of an observation at every row under each draw, without rows that hold a NaN.

    Parameters
    ----------
    source : DrawSource
    X, y
        As in :func:`log_density`.
    noise : ndarray of shape (n,), optional
        By what factor a row is noisier than sigma says.
    """
    for rows, _, means, sds in blocks(source, X, "response"):
        widths = sds if noise is None else sds * noise[rows, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            means -= y[rows, np.newaxis]
            means /= widths
            means *= means
            means *= -0.5
            means -= np.log(widths * ROOT_2PI)
        yield rows, means


def draw(
    coef: np.ndarray,
    intercept: np.ndarray | float,
    sigma: np.ndarray,
    X: np.ndarray,
    draws: int | None = None,
    kind: str = "response",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Draws from the joint predictive distribution of the rows of X.

    Each draw uses one posterior draw for all rows, so that what a draw says about two rows belongs together.

    Parameters
    ----------
    coef, intercept, sigma
        Posterior draws as in :class:`DrawSource`, S of them.
    X : ndarray of shape (n_rows, p)
    draws : int or None, default None
        Number of draws. ``None``: one for each posterior draw, in their order. Up to S: that many distinct
        posterior draws chosen at random. More: every posterior draw as often as the others or once more,
        each time with fresh noise.
    kind : {"response", "mean"}, default "response"
        New observations, or the regression line.
    rng : numpy.random.Generator or None, default None
        Source of randomness; ``None`` for a fresh one.

    Returns
    -------
    ndarray of shape (n_draws, n_rows)
        NaN in the columns of rows that hold a NaN.

    Raises
    ------
    ValueError
        If draws is not a positive whole number, or kind is unknown, or a row is so far out that lines overflow.
    """
    check_kind(kind)
    generator = np.random.default_rng() if rng is None else rng
    order = choose_draws(draws, len(sigma), generator)
    result = np.empty((order.size, X.shape[0]))
    if kind == "response":
        generator.standard_normal(out=result)
    # Blocks of draws times blocks of rows: neither the chosen coefficients nor the means ever exist in full.
    draws_at_once = max(1, min(order.size, _BUDGET // (16 * (coef.shape[1] + 1))))
    rows_at_once = max(1, _BUDGET // (16 * max(coef.shape[1], draws_at_once)))
    constant = np.broadcast_to(intercept, (len(sigma),))
    for first in range(0, order.size, draws_at_once):
        chosen = order[first : first + draws_at_once]
        coef_chosen = coef[chosen]
        for start in range(0, X.shape[0], rows_at_once):
            chunk: Any = X[start : start + rows_at_once]
            rows = np.asarray(chunk.toarray() if sparse.issparse(chunk) else chunk, dtype=float)
            usable = np.isfinite(rows).all(axis=1)
            with np.errstate(over="ignore", invalid="ignore"):
                means = coef_chosen @ np.where(usable[:, np.newaxis], rows, 0.0).T
            means += constant[chosen, np.newaxis]
            refuse_large(start + np.arange(len(rows)), means.T)
            means[:, ~usable] = np.nan
            block = result[first : first + chosen.size, start : start + len(rows)]
            if kind == "response":
                block *= sigma[chosen, np.newaxis]
                block += means
            else:
                block[...] = means
    return result


def check_kind(kind: str) -> None:
    """Refuse a kind of prediction that there is not."""
    if not isinstance(kind, str) or kind not in ("response", "mean"):
        raise ValueError(f'kind must be "response" or "mean", got {kind!r}.')


def as_levels(q: ArrayLike) -> np.ndarray:
    """Probabilities as an array of no or one dimension."""
    try:
        levels = np.empty((0, 0)) if is_complex(q) else np.asarray(q, dtype=float)
    except (TypeError, ValueError, OverflowError):
        levels = np.empty((0, 0))
    if levels.ndim > 1:
        raise ValueError(f"q must be a number or a one-dimensional sequence of numbers, got {q!r}.")
    outside = levels[~((levels >= 0.0) & (levels <= 1.0))]
    if outside.size:
        raise ValueError(f"q must lie between 0 and 1, got {outside[0]:g}.")
    return levels


def choose_draws(draws: int | None, available: int, rng: np.random.Generator) -> np.ndarray:
    """Which posterior draws to use, as indices (n_draws,)."""
    if draws is None:
        return np.arange(available)
    if not isinstance(draws, Integral) or isinstance(draws, bool) or draws < 1:
        raise ValueError(
            f"draws must be a positive whole number, or None for every posterior draw, got {draws!r}."
        )
    whole, rest = divmod(int(draws), available)
    return np.concatenate([np.tile(np.arange(available), whole), rng.choice(available, rest, replace=False)])


def blocks(
    source: MixtureSource, X: np.ndarray, kind: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Row indices (m,) and their components, block by block, without the rows that hold a NaN or infinity."""
    check_kind(kind)
    for start, block in dense_blocks(X, max(source.n_components, X.shape[1])):
        usable = np.flatnonzero(np.isfinite(block).all(axis=1))
        if usable.size:
            with np.errstate(over="ignore", invalid="ignore"):
                weights, means, sds = source.components(block[usable], kind)
            refuse_large(start + usable, means)
            refuse_large(start + usable, sds)
            yield start + usable, weights, means, sds


def refuse_large(rows: np.ndarray, values: np.ndarray) -> None:
    """Refuse rows (m,) of which a value, of shape (m, ...) or (1, ...), is NaN or so large that sums overflow."""
    if values.max(initial=0.0) < LARGEST_PREDICTION and values.min(initial=0.0) > -LARGEST_PREDICTION:
        return
    bad = ~(np.abs(values) < LARGEST_PREDICTION).reshape(len(values), -1).all(axis=1)
    refuse_overflow(np.broadcast_to(bad, len(rows)), rows)


def refuse_overflow(bad: np.ndarray, rows: np.ndarray | int = 0) -> None:
    """Refuse the first of the rows (m,), or of those from a number on, that is marked."""
    if bad.any():
        first = int(np.argmax(bad))
        row = int(rows[first]) if isinstance(rows, np.ndarray) else rows + first
        raise ValueError(
            f"row {row} of X holds numbers so large that what is predicted of it overflows: correct the row, or leave "
            "it out."
        )


def dense_blocks(X: Any, widest: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows of X, dense or sparse, in blocks: the first one's number, and the block as doubles.

    With `widest` numbers a row in each of a few temporaries a block stays in cache.
    """
    size = max(1, _BUDGET // (8 * _LIVE_ARRAYS * max(widest, 1)))
    for start in range(0, X.shape[0], size):
        block = X[start : start + size]
        yield start, np.asarray(block.toarray() if sparse.issparse(block) else block, dtype=float)

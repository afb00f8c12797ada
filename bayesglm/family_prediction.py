"""Predictions of a model with any likelihood: moments, quantiles, densities, scores and draws for new rows.

Given one posterior draw a new observation has the family's distribution, so its posterior predictive distribution is
the mixture over the draws. Rows are worked through in blocks that stay in cache, and what is said of a row does not
depend on the rows beside it. A row that holds a NaN gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bayesglm.crps import component_crps
from bayesglm.family_quantiles import mixture_quantile
from bayesglm.kernel.continuous import Gaussian
from bayesglm.kernel.family import Family
from bayesglm.prediction import (
    Blocks,
    as_levels,
    check_kind,
    choose_draws,
    dense_blocks,
    refuse_large,
    refuse_overflow,
)

#: Counts up to this one are summed one by one for a score, until so much of the distribution is left.
_MOST_COUNTS, _LEFT = 256, 1e-10
#: Increment of the golden sequence: fractional parts of its multiples fill the interval evenly.
_GOLDEN = 0.6180339887498949
#: Draws that a score is computed from at most, and points of each.
_MOST_COMPONENTS, _LEVELS = 500, 8
#: What points that overflow count as.
_LARGEST = 1e300


@dataclass(frozen=True, eq=False)
class FamilySource:
    """Posterior draws of a model, the chains one after another.

    Parameters
    ----------
    family : Family
    coef : ndarray of shape (S, p) or (S, K, p)
        With an axis for the linear predictors, if there are several.
    intercept : ndarray of shape (S,) or (S, K), or 0.0
    aux : dict of ndarray of shape (S,)
    reached : float or ndarray of shape (K,)
        What of an offset each of several linear predictors has.
    """

    family: Family
    coef: np.ndarray
    intercept: np.ndarray | float
    aux: dict[str, np.ndarray]
    reached: float | np.ndarray = 1.0

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return len(self.coef)

    @property
    def n_classes(self) -> int:
        """Number of classes, of a family that has them."""
        return max(self.family.n_predictors, 2)

    def linear_predictors(self, X: np.ndarray, offset: np.ndarray | None) -> np.ndarray:
        """Return linear predictors of rows X (m, p), shape (m, S) or (m, S, K)."""
        shape = self.coef.shape[:-1]
        with np.errstate(over="ignore", invalid="ignore"):  # who asks looks at what comes out
            eta = (X @ self.coef.reshape(int(np.prod(shape)), X.shape[1]).T).reshape(len(X), *shape)
            eta += self.intercept
            if offset is not None:
                eta += offset.reshape(-1, *(1,) * (eta.ndim - 1)) * self.reached
        return eta


class Block(NamedTuple):
    """Usable rows of a block: their numbers, linear predictors, and what else they bring, as a column."""

    rows: np.ndarray
    eta: np.ndarray
    extra: np.ndarray | None


def blocks(
    source: FamilySource, X: Any, offset: np.ndarray | None, extra: np.ndarray | None
) -> Iterator[Block]:
    """Yield the rows of X that hold no NaN, block by block, with their linear predictors, none of which overflows."""
    width = source.n_draws * source.family.n_predictors
    for start, block in dense_blocks(X, max(width, X.shape[1])):
        here = slice(start, start + len(block))
        usable = np.isfinite(block).all(axis=1)
        for more in (offset, extra):
            usable &= True if more is None else np.isfinite(more[here])
        kept = np.flatnonzero(usable)
        if kept.size:
            own = None if offset is None else offset[here][kept]
            column = None if extra is None else extra[here][kept, np.newaxis]
            eta = source.linear_predictors(block[kept], own)
            refuse_large(start + kept, eta)
            yield Block(start + kept, eta, column)


def moments(
    source: FamilySource,
    X: Any,
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
    kind: str = "response",
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of every row, each of shape (n,).

    Parameters
    ----------
    source : FamilySource
    X : ndarray or sparse matrix of shape (n, p)
    offset, extra : ndarray of shape (n,), optional
    kind : {"response", "mean"}, default="response"
        Of a new observation, its own variance included, or of its mean given the parameters.
    """
    check_kind(kind)
    family, mean, sd = source.family, np.full(X.shape[0], np.nan), np.full(X.shape[0], np.nan)
    for rows, eta, own in blocks(source, X, offset, extra):
        means = family.mean(eta, source.aux, own)
        mean[rows] = _mean(means, rows)
        sd[rows] = spread = _root_mean_square(means - mean[rows, np.newaxis])
        if kind == "response":
            with np.errstate(over="ignore"):
                own_sd = np.sqrt(np.asarray(family.variance(eta, source.aux, own)))
            sd[rows] = np.hypot(spread, _root_mean_square(own_sd))
            if family.link != "identity":  # where noise may have no variance, whatever the linear predictor
                refuse_overflow(np.isinf(sd[rows]), rows)
    return mean, sd


def _mean(means: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean over draws (m,) of means (m, S) of the rows numbered; refuse a row of which it overflows."""
    with np.errstate(over="ignore"):
        found = np.asarray(means.mean(axis=1))
    refuse_overflow(np.isinf(found), rows)
    return found


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    """Return the root mean square (m,) over draws of values (m, S) whose squares may be no doubles."""
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    unit = np.where(
        (largest > 1e100) & np.isfinite(largest) | (largest < 1e-100) & (largest > 0.0), largest, 1.0
    )
    scaled = values / unit[:, np.newaxis] if np.any(unit != 1.0) else values
    scaled = scaled * scaled
    return np.asarray(unit * np.sqrt(scaled.mean(axis=1)))


def quantiles(
    source: FamilySource,
    X: Any,
    q: ArrayLike,
    kind: str = "response",
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Return quantiles of every row, shape (n, n_q), or (n,) for a single number q.

    Of a new observation: the smallest y at which the mixture's distribution function reaches q; of the mean given the
    parameters: those of its draws, interpolated as by `numpy.quantile`. A row of which a quantile overflows is refused.
    """
    check_kind(kind)
    levels = as_levels(q)
    flat = np.atleast_1d(levels)
    found = np.full((X.shape[0], flat.size), np.nan)
    for rows, eta, own in blocks(source, X, offset, extra):
        if kind == "mean":
            with np.errstate(invalid="ignore"):
                found[rows] = np.quantile(source.family.mean(eta, source.aux, own), flat, axis=1).T
            refuse_overflow(~np.isfinite(found[rows]).all(axis=1), rows)
        else:
            for j, level in enumerate(flat):
                found[rows, j] = mixture_quantile(source.family, level, eta, source.aux, own)
                if 0.0 < level < 1.0:
                    refuse_overflow(np.isinf(found[rows, j]), rows)
    return found[:, 0] if levels.ndim == 0 else found


def log_likelihoods(
    source: FamilySource,
    X: Any,
    y: np.ndarray,
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> Blocks:
    """Yield the log density of an observation at every row under each draw, without rows that hold a NaN."""
    for rows, eta, own in blocks(source, X, offset, extra):
        seen = np.flatnonzero(np.isfinite(y[rows]))
        own = None if own is None else own[seen]
        observed = y[rows[seen], np.newaxis]
        yield rows[seen], source.family.logpdf(observed, eta[seen], source.aux, own)


def log_density(
    source: FamilySource,
    X: Any,
    y: np.ndarray,
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Return the log predictive density, or probability, of an observation at every row, shape (n,).

    It is minus infinity where it is so small that it is no double.
    """
    found = np.full(X.shape[0], np.nan)
    for rows, terms in log_likelihoods(source, X, y, offset, extra):
        top = terms.max(axis=1, keepdims=True, initial=-np.inf)
        safe = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            found[rows] = safe[:, 0] + np.log(np.exp(terms - safe).mean(axis=1))
    return found


def crps(
    source: FamilySource,
    X: Any,
    y: np.ndarray,
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Return the continuous ranked probability score of an observation at every row, shape (n,).

    Exact, up to rounding, for the Gaussian family, for successes and failures, and for counts whose distribution ends
    below 256. Otherwise up to 500 draws, evenly thinned, contribute eight points of their own distributions each, at
    levels that fill the interval evenly and lie symmetrically: a sample of the mixture without randomness, whose score
    is computed exactly. It is within about one per cent of the mixture's.
    """
    family, found = source.family, np.full(X.shape[0], np.nan)
    points = _even_points(source.n_draws)
    for rows, eta, own in blocks(source, X, offset, extra):
        seen = np.flatnonzero(np.isfinite(y[rows]))
        if not seen.size:
            continue
        rows, eta, own = rows[seen], eta[seen], None if own is None else own[seen]
        observed = y[rows]
        mean = _mean(family.mean(eta, source.aux, own), rows)  # where it overflows, so does the score
        if hasattr(family, "probabilities"):
            found[rows] = (mean - observed) ** 2
        elif isinstance(family, Gaussian):
            equal = np.full(source.n_draws, 1.0 / source.n_draws)
            widths = np.sqrt(np.broadcast_to(family.variance(eta, source.aux, own), eta.shape))
            found[rows] = component_crps(observed, equal, eta, widths[:1] if own is None else widths)
        else:
            summed = _ends_early(source, eta, own) if family.discrete else np.zeros(len(rows), dtype=bool)
            for these, score in ((summed, _crps_of_counts), (~summed, points)):
                if these.any():
                    part = None if own is None else own[these]
                    found[rows[these]] = score(source, eta[these], part, observed[these])
    return found


def _ends_early(source: FamilySource, eta: np.ndarray, extra: np.ndarray | None) -> np.ndarray:
    """Return whether so little of a row's distribution lies beyond the counts that are summed, shape (m,)."""
    if extra is not None:
        return np.asarray(extra[:, 0] <= _MOST_COUNTS)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows does not end early
        means = source.family.mean(eta, source.aux, extra)
        spread = np.asarray(source.family.variance(eta, source.aux, extra)).mean(axis=1) + means.var(axis=1)
        early = means.mean(axis=1) + 6.0 * np.sqrt(spread) < _MOST_COUNTS
    if early.any():
        last = source.family.cdf(float(_MOST_COUNTS), eta[early], source.aux, None).mean(axis=1)
        early[early] = last > 1.0 - _LEFT
    return early


def _crps_of_counts(
    source: FamilySource, eta: np.ndarray, extra: np.ndarray | None, y: np.ndarray
) -> np.ndarray:
    """Return the squared distance of distribution functions, summed count by count, shape (m,)."""
    below, score = np.zeros(len(y)), np.maximum(-y, 0.0)
    index = np.arange(len(y))
    for count in range(_MOST_COUNTS + 1):
        below[index] += np.exp(source.family.logpdf(float(count), eta, source.aux, extra)).mean(axis=1)
        at = below[index]
        before = np.clip(y[index] - count, 0.0, 1.0)  # the part of [count, count + 1) that lies below y
        score[index] += before * at**2 + (1.0 - before) * (1.0 - at) ** 2
        ended = at > 1.0 - _LEFT
        if count == _MOST_COUNTS:
            ended[:] = True
        # Further up to y the distribution function is one.
        score[index[ended]] += np.maximum(y[index[ended]] - count - 1.0, 0.0)
        if ended.any():
            index, eta = index[~ended], eta[~ended]
            extra = None if extra is None else extra[~ended]
            if not index.size:
                break
    return score


def _even_points(n_draws: int) -> Callable[..., np.ndarray]:
    """Return the score by points at even levels of evenly thinned draws, a function as `_crps_of_counts`."""
    own = np.arange(0, n_draws, -(-n_draws // _MOST_COMPONENTS))
    start = np.modf(_GOLDEN * np.arange(1, len(own) + 1))[0]
    lower = np.concatenate([(j + start) / _LEVELS for j in range(_LEVELS // 2)])
    levels = np.concatenate([lower, 1.0 - lower])
    n = len(levels)
    # Half of E|Y - Y'| is the sum of (2 i - n + 1) y_i over n², points in ascending order.
    weight = (2.0 * np.arange(n) - n + 1.0) / (float(n) * n)

    def score(source: FamilySource, eta: np.ndarray, extra: np.ndarray | None, y: np.ndarray) -> np.ndarray:
        aux = {name: np.tile(values[own], _LEVELS) for name, values in source.aux.items()}
        with np.errstate(over="ignore"):
            points = np.asarray(
                source.family.quantile(levels, np.tile(eta[:, own], (1, _LEVELS)), aux, extra)
            )
        points = np.minimum(points, _LARGEST)  # infinities have no differences
        distance = np.abs(points - y[:, np.newaxis]).mean(axis=1)
        return np.asarray(distance - np.sort(points, axis=1) @ weight)

    return score


def draw(
    source: FamilySource,
    X: Any,
    draws: int | None = None,
    kind: str = "response",
    rng: np.random.Generator | None = None,
    offset: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """Draw from the joint predictive distribution of the rows, shape (n_draws, n).

    Each draw uses one posterior draw for all rows. With ``kind="mean"`` draws are means given the parameters, with
    more than two classes all their probabilities, shape (n_draws, n, n_classes). A row of which a draw overflows is
    refused.
    """
    check_kind(kind)
    generator = np.random.default_rng() if rng is None else rng
    order = choose_draws(draws, source.n_draws, generator)
    chosen = FamilySource(
        source.family,
        source.coef[order],
        source.intercept if np.ndim(source.intercept) == 0 else np.asarray(source.intercept)[order],
        {name: values[order] for name, values in source.aux.items()},
        source.reached,
    )
    several = source.family.n_predictors > 1
    wide = (source.n_classes,) if several and kind == "mean" else ()
    result = np.full((order.size, X.shape[0], *wide), np.nan)
    for rows, eta, own in blocks(chosen, X, offset, extra):
        if kind == "response":
            result[:, rows] = source.family.draw(generator, eta, chosen.aux, own).T
        elif several:
            result[:, rows] = source.family.probabilities(eta).swapaxes(0, 1)  # type: ignore[attr-defined]
        else:
            result[:, rows] = source.family.mean(eta, chosen.aux, own).T
        if not several:
            refuse_overflow(np.any(np.isinf(result[:, rows]), axis=0, keepdims=True)[0], rows)
    return result


def class_probabilities(source: FamilySource, X: Any, offset: np.ndarray | None = None) -> np.ndarray:
    """Return the probability of each class, averaged over the draws, shape (n, n_classes)."""
    found = np.full((X.shape[0], source.n_classes), np.nan)
    for rows, eta, _ in blocks(source, X, offset, None):
        mean = source.family.probabilities(eta).mean(axis=1)  # type: ignore[attr-defined]
        found[rows] = mean / mean.sum(axis=1, keepdims=True)
    return found


def class_quantiles(
    source: FamilySource, X: Any, q: ArrayLike, offset: np.ndarray | None = None
) -> np.ndarray:
    """Return posterior quantiles of the probability of the second of two classes, (n, n_q), or of all, (n, K, n_q)."""
    levels = as_levels(q)
    flat = np.atleast_1d(levels)
    several = source.family.n_predictors > 1
    wide = (source.n_classes,) if several else ()
    found = np.full((X.shape[0], *wide, flat.size), np.nan)
    for rows, eta, _ in blocks(source, X, offset, None):
        probabilities = source.family.probabilities(eta)  # type: ignore[attr-defined]
        if not several:
            probabilities = probabilities[..., 1]
        found[rows] = np.moveaxis(np.quantile(probabilities, flat, axis=1), 0, -1)
    return found[..., 0] if levels.ndim == 0 else found

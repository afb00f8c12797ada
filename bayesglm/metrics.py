"""Scores of predictive distributions: functions of arrays, and scorers for scikit-learn's ``scoring=``.

A proper score is best, on average, for whoever states the distribution that the observations really come from
(Gneiting & Raftery 2007): unlike R² it asks for honest uncertainty as well. The scorers take whatever
scikit-learn scores: models, pipelines that end in one, fitted searches.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from bayesglm.composition import Inner, look_inside
from bayesglm.crps import component_crps
from bayesglm.validation import check_fraction, check_weights

__all__ = [
    "CRPSScorer",
    "CoverageScorer",
    "IntervalScorer",
    "LogDensityScorer",
    "PinballScorer",
    "coverage_scorer",
    "crps_normal_mixture",
    "crps_scorer",
    "interval_coverage",
    "interval_score",
    "interval_scorer",
    "log_density_scorer",
    "pinball_scorer",
]


# -- functions of arrays ---------------------------------------------------------------------------------


def crps_normal_mixture(
    y_true: ArrayLike, weights: ArrayLike, means: ArrayLike, sds: ArrayLike
) -> np.ndarray:
    """Return the continuous ranked probability score of each observation; lower is better.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Observations.
    weights : array-like of shape (K,)
        Of the components of the predictive distributions; not negative, summing to one.
    means, sds : array-like of shape (n, K) or (K,)
        Of the components; standard deviations may be zero, for points.

    Returns
    -------
    ndarray of shape (n,)
        In closed form, accurate to rounding error; in the units of y.
    """
    observed = np.asarray(y_true, dtype=float)
    shares = np.asarray(weights, dtype=float)
    if observed.ndim != 1 or shares.ndim != 1:
        raise ValueError(
            f"y_true and weights must be one-dimensional; got shapes {observed.shape} and {shares.shape}."
        )
    if np.any(shares < 0.0) or not np.isclose(shares.sum(), 1.0, rtol=1e-9):
        raise ValueError("weights must not be negative and must sum to one.")
    shape = (len(observed), len(shares))
    try:
        centres = np.broadcast_to(np.asarray(means, dtype=float), shape)
        widths = np.broadcast_to(np.asarray(sds, dtype=float), shape)
    except ValueError:
        raise ValueError(
            f"means and sds must have shape {shape}, one row for each observation and one column for each component; "
            f"got {np.shape(means)} and {np.shape(sds)}."
        ) from None
    if np.any(widths < 0.0):
        raise ValueError("sds must not be negative.")
    return component_crps(observed, shares, centres, widths)


def interval_score(
    y_true: ArrayLike, interval: ArrayLike, coverage: float = 0.9, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean interval score of Gneiting & Raftery (2007); lower is better.

    The width of the interval, plus 2/(1 - coverage) times the distance by which y lies outside. It is least, on
    average, for the interval between the quantiles that leave (1 - coverage)/2 on either side.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
        Observations.
    interval : array-like of shape (n, 2) or (n, k, 2)
        Lower and upper ends, as from ``predict_interval``.
    coverage : float, default=0.9
        Probability that the interval was asked to hold.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        In the units of y; over several responses the mean.
    """
    check_fraction(coverage, "coverage")
    observed, low, high = _ends(y_true, interval)
    outside = np.maximum(np.maximum(low - observed, observed - high), 0.0)
    return _mean(high - low + 2.0 / (1.0 - coverage) * outside, sample_weight)


def interval_coverage(
    y_true: ArrayLike, interval: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Return the share of observations inside their intervals, ends included.

    Not a score: intervals from minus to plus infinity cover everything. It should be near the coverage asked
    for, neither below nor above.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, k)
    interval : array-like of shape (n, 2) or (n, k, 2)
        Lower and upper ends, as from ``predict_interval``.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    float
        Between 0 and 1; over several responses the mean.
    """
    observed, low, high = _ends(y_true, interval)
    inside = ((low <= observed) & (observed <= high)).astype(float)
    inside[np.isnan(observed) | np.isnan(low) | np.isnan(high)] = np.nan
    return _mean(inside, sample_weight)


def _ends(y_true: ArrayLike, interval: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return observations, lower and upper ends, all of the same shape."""
    observed, ends = np.asarray(y_true, dtype=float), np.asarray(interval, dtype=float)
    if ends.shape != (*observed.shape, 2):
        raise ValueError(
            f"interval must have shape {(*observed.shape, 2)}, a lower and an upper end for each value of y_true; got "
            f"{ends.shape}."
        )
    low, high = ends[..., 0], ends[..., 1]
    if np.any(low > high):
        row = int(np.argwhere(low > high)[0][0])
        raise ValueError(f"interval has its lower end above its upper one in row {row}.")
    return observed, low, high


def _mean(values: np.ndarray, sample_weight: ArrayLike | None) -> float:
    """Return the weighted mean over the rows of the values (n,) or, over responses, of their means."""
    weights = check_weights(sample_weight, len(values))
    found = values.reshape(len(values), -1).mean(axis=1)
    if weights is not None:  # a row that does not count may have an infinite score
        found, weights = found[weights > 0.0], weights[weights > 0.0]
    return float(np.average(found, weights=weights))


# -- scorers ---------------------------------------------------------------------------------------------


class _Scorer(BaseEstimator):
    """Base of the scorers: ``scorer(estimator, X, y)`` is a number, greater being better.

    A `BaseEstimator` for its parameters, clone, repr and ``set_score_request``; it has nothing to fit.
    """

    # What metadata routing may send along; "estimator" is an argument, not metadata.
    __metadata_request__score: ClassVar[dict[str, Any]] = {"estimator": UNUSED}

    #: What the model must be able to do.
    _method: str

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score the predictions for the rows of X.

        Parameters
        ----------
        estimator : estimator
            A fitted model of bayesglm, alone or at the end of pipelines and searches, also inside a
            TransformedTargetRegressor (CRPS: one whose transformation is linear).
        X : array-like or data frame
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the model's formula has a left side.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
            Greater is better. Rows whose formula meets a missing value are left out, as ``score`` does.
        """
        return self.score(estimator, X, y, sample_weight)

    # Metadata routing reads the requests of a scorer from a method of this name.
    def score(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Do as ``scorer(estimator, X, y, sample_weight)``, which is how scikit-learn calls it."""
        name = type(self).__name__
        inner = look_inside(estimator, X, self._method, name)
        observed, predicted = self._compare(inner, y)
        if len(observed) != len(predicted):
            raise ValueError(f"y has {len(observed)} rows, but X has {len(predicted)}.")
        weights = check_weights(sample_weight, len(observed))
        kept = np.ones(len(observed), bool)
        if getattr(inner.model, "formula", None) is not None:
            for values in (observed, predicted):
                kept &= ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
            if not kept.any():
                raise ValueError(f"{name} has no row to score: each of them holds a missing value.")
        if weights is not None and not kept.all():
            weights = check_weights(weights[kept], int(kept.sum()))
        return self._score(observed[kept], predicted[kept], weights)

    def _compare(self, inner: Inner, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return what was observed and what was predicted, row by row."""
        raise NotImplementedError

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the score of rows that are all there."""
        raise NotImplementedError

    def _accept_sample_weight(self) -> bool:
        # Newer versions of scikit-learn ask this where metadata routing is not enabled.
        return True


class _PointwiseScorer(_Scorer):
    """Base of the scorers that the model computes row by row, up to their sign."""

    def _compare(self, inner: Inner, y: Any) -> tuple[np.ndarray, np.ndarray]:
        values = self._values(inner, y)
        return values, values

    def _values(self, inner: Inner, y: Any) -> np.ndarray:
        """Return what the model says of each row."""
        raise NotImplementedError


class LogDensityScorer(_PointwiseScorer):
    """Mean log predictive density of the rows: the logarithmic score, natural logarithms.

    The strictest of the proper scores, and the one that leave-one-out cross-validation estimates. Over several
    responses it is the density of all of them together: the sum of their log densities.
    """

    _method = "log_predictive_density"

    def _values(self, inner: Inner, y: Any) -> np.ndarray:
        return inner.log_density(y)

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        return _mean(predicted.reshape(len(predicted), -1).sum(axis=1), weights)


class CRPSScorer(_PointwiseScorer):
    """Mean continuous ranked probability score, negated; in the units of y, and milder on outliers.

    For a prediction without uncertainty it is the mean absolute error. Over several responses the mean.
    """

    _method = "crps"

    def _values(self, inner: Inner, y: Any) -> np.ndarray:
        return inner.crps(y)

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        return -_mean(predicted, weights)


class IntervalScorer(_Scorer):
    """Mean interval score of ``predict_interval``, negated; see `interval_score`.

    Parameters
    ----------
    coverage : float, default=0.9
    """

    _method = "predict_interval"

    def __init__(self, coverage: float = 0.9):
        self.coverage = coverage

    def _compare(self, inner: Inner, y: Any) -> tuple[np.ndarray, np.ndarray]:
        return inner.observed(y), inner.interval(check_fraction(self.coverage, "coverage"))

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        return -interval_score(observed, predicted, self.coverage, weights)


class CoverageScorer(IntervalScorer):
    """Share of y inside ``predict_interval``: a diagnostic beside scores, not one to choose a model by.

    It is good if it is near `coverage`; a search that maximises it finds the widest intervals.

    Parameters
    ----------
    coverage : float, default=0.9
    """

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        return interval_coverage(observed, predicted, weights)


class PinballScorer(_Scorer):
    """Mean pinball loss of ``predict_quantiles``, negated; the mean over the quantiles and responses.

    Parameters
    ----------
    quantiles : float or sequence of floats, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Strictly between 0 and 1.
    """

    _method = "predict_quantiles"

    def __init__(self, quantiles: Any = (0.05, 0.25, 0.5, 0.75, 0.95)):
        self.quantiles = quantiles

    def _levels(self) -> np.ndarray:
        levels = np.atleast_1d(np.asarray(self.quantiles, dtype=float))
        if levels.ndim != 1 or levels.size == 0 or not np.all((levels > 0.0) & (levels < 1.0)):
            raise ValueError(
                f"quantiles must be one or several numbers strictly between 0 and 1; got {self.quantiles!r}."
            )
        return levels

    def _compare(self, inner: Inner, y: Any) -> tuple[np.ndarray, np.ndarray]:
        return inner.observed(y), inner.quantiles(self._levels())

    def _score(self, observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        from sklearn.metrics import mean_pinball_loss

        losses = [
            mean_pinball_loss(observed, predicted[..., i], alpha=float(level), sample_weight=weights)
            for i, level in enumerate(self._levels())
        ]
        return -float(np.mean(losses))


_SCORERS = {
    "coverage_scorer": CoverageScorer,
    "crps_scorer": CRPSScorer,
    "interval_scorer": IntervalScorer,
    "log_density_scorer": LogDensityScorer,
    "pinball_scorer": PinballScorer,
}

coverage_scorer: CoverageScorer
crps_scorer: CRPSScorer
interval_scorer: IntervalScorer
log_density_scorer: LogDensityScorer
pinball_scorer: PinballScorer


def __getattr__(name: str) -> _Scorer:
    # A new one for everybody who asks, as sklearn.metrics.get_scorer does: set_score_request changes a scorer.
    if name in _SCORERS:
        return _SCORERS[name]()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SCORERS])

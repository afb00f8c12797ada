"""What a fitted estimator says of new rows: means, intervals, quantiles, densities, scores and draws."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bayesglm import prediction
from bayesglm.crps import crps
from bayesglm.formula import FormulaDesign
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.inference.sampling import seed_sequence
from bayesglm.prediction import MixtureSource
from bayesglm.snapshot import of_one_fit
from bayesglm.validation import (
    check_predictive,
    check_response,
    check_rows,
    check_weights,
    raise_not_finite,
)

EPS = float(np.finfo(np.float64).eps)
#: Beyond this share of sigma, what products of predictors and coefficients lose to rounding is avoided.
MOST_LOST = 1e-10


def far_level(
    sources: Iterable[MixtureSource], coef: np.ndarray, x_mean: np.ndarray, sigma: float | np.ndarray
) -> np.ndarray | None:
    """Return the lines' heights at the predictors' means, if the intercept at 0 is too large to compute lines from.

    Parameters
    ----------
    sources : iterable of MixtureSource
        The posterior of each response; of draws, it costs as much as all of them to ask it of a row.
    coef : ndarray of shape (p,) or (k, p)
    x_mean : ndarray of shape (p,)
    sigma : float or ndarray of shape (k,)

    Returns
    -------
    ndarray of shape (k,) or None
        None where the intercept does as well.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lost = EPS * (np.abs(coef) @ np.abs(x_mean))
        if not np.any(np.isfinite(lost) & (lost > MOST_LOST * np.asarray(sigma))):
            return None
    return np.concatenate([prediction.moments(source, x_mean[np.newaxis])[0] for source in sources])


class PosteriorPredictor(RegressorMixin):
    """Prediction for the estimators; for several responses every result has one axis more.

    The axis of the responses, of length k, stands right behind that of the rows.
    """

    # scikit-learn's metadata routing: return_std passes through pipelines without being asked for.
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"return_std": True}

    coef_: np.ndarray
    intercept_: float | np.ndarray
    sigma_: float | np.ndarray
    posterior_: Posterior | JointPosterior
    # Of predictors so far from 0 that a large intercept takes digits away (integers near 2^53, say), else None.
    _level: np.ndarray | None
    _design: FormulaDesign | None

    @of_one_fit
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean of the posterior predictive distribution, row by row and without randomness.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        return_std : bool, default=False
            Return the standard deviation of a new observation as well, noise included.

        Returns
        -------
        mean : ndarray of shape (n,) or (n, k)
            With a formula, NaN for a row that holds a missing value.
        std : ndarray of shape (n,) or (n, k)
            Only with ``return_std``.
        """
        rows = self._rows(X)
        mean = self._line(rows)
        if not return_std:
            return mean
        return mean, self._each(lambda source, _: prediction.moments(source, rows)[1])

    @of_one_fit
    def predict_interval(self, X: Any, coverage: float = 0.9, kind: str = "response") -> np.ndarray:
        """Return equal-tailed intervals.

        Those of a pipeline or search: ``bayesglm.posterior_of(pipeline).predict_interval(X)``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        coverage : float, default=0.9
            Probability inside.
        kind : {"response", "mean"}, default="response"
            Of a new observation, or of the regression line.

        Returns
        -------
        ndarray of shape (n, 2) or (n, k, 2)
        """
        rows = self._rows(X)
        return self._each(lambda source, _: prediction.intervals(source, rows, coverage, kind))

    @of_one_fit
    def predict_quantiles(self, X: Any, q: Any, kind: str = "response") -> np.ndarray:
        """Return quantiles ``q`` of a new observation (or of the line), shape (n, len(q)) or (n, k, len(q)).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        q : float or array-like of shape (n_q,)
            Probabilities. For a single number the last axis is left out.
        kind : {"response", "mean"}, default="response"
            Of a new observation, or of the regression line.
        """
        rows = self._rows(X)
        return self._each(lambda source, _: prediction.quantiles(source, rows, q, kind))

    @of_one_fit
    def sample_predictive(
        self, X: Any, draws: int | None = None, kind: str = "response", random_state: Any = None
    ) -> np.ndarray:
        """Draw from the posterior predictive distribution.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        draws : int, optional
            None: one for every posterior draw.
        kind : {"response", "mean"}, default="response"
            New observations, or regression lines.
        random_state : None, int, RandomState or Generator

        Returns
        -------
        ndarray of shape (draws, n) or (draws, n, k)
        """
        rows = self._rows(X)
        parts = self.posterior_.parts
        check_predictive(draws, int(np.prod(parts[0].shape)), rows.shape[0], len(parts))
        rng = np.random.default_rng(seed_sequence(random_state))
        found = [prediction.draw(*part.flat(), rows, draws, kind, rng) for part in parts]
        return np.stack(found, axis=-1) if self._is_joint else found[0]

    @of_one_fit
    def log_predictive_density(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the log density of each observation under the posterior predictive distribution.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the formula has a left side.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            Of the responses one by one; they are independent, so that those of a row add up.
        """
        rows, observed = self._rows_and_response(X, y)
        return self._each(lambda source, j: prediction.log_density(source, rows, observed[:, j]))

    @of_one_fit
    def crps(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the continuous ranked probability score of each observation: smaller is better.

        It is the distance of the predictive distribution function from that of the observation, in the unit of
        y; for a distribution without spread it is the absolute error (Gneiting & Raftery 2007).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the formula has a left side.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
        """
        rows, observed = self._rows_and_response(X, y)
        return self._each(lambda source, j: crps(source, rows, observed[:, j]))

    @of_one_fit
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R² of the predictions, as scikit-learn's regressors do.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
        """
        check_is_fitted(self)
        if self._design is None and y is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                found = super().score(X, y, sample_weight)
            if np.isfinite(found) or len(y) < 2:
                return found
            fitted = np.asarray(self.predict(X))
            weights = check_weights(sample_weight, len(fitted))
            return _r2(np.asarray(y, dtype=np.float64).reshape(fitted.shape), fitted, weights)
        rows, observed = self._rows_and_response(X, y)
        fitted = self._line(rows).reshape(observed.shape)
        kept = np.all(np.isfinite(observed), axis=1) & np.all(np.isfinite(fitted), axis=1)
        weights = check_weights(sample_weight, len(kept))
        return _r2(observed[kept], fitted[kept], None if weights is None else weights[kept])

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _is_joint(self) -> bool:
        """Whether y had two dimensions."""
        return isinstance(self.posterior_, JointPosterior)

    def _line(self, rows: Any) -> np.ndarray:
        """Return the posterior mean of the regression line, shape (n,) or (n, k)."""
        level = getattr(self, "_level", None)
        if level is None:
            line = np.asarray(rows @ self.coef_.T + self.intercept_)
        else:
            line = np.empty((rows.shape[0], *self.coef_.shape[:-1]))
            for start, block in prediction.dense_blocks(rows, rows.shape[1]):
                line[start : start + len(block)] = (block - self._x_mean) @ self.coef_.T
            line += level
        if not _all_finite(line):
            bad = ~np.isfinite(line.reshape(len(line), -1)).all(axis=1)
            for start, block in prediction.dense_blocks(rows, rows.shape[1]):
                here = slice(start, start + len(block))
                prediction.refuse_overflow(bad[here] & np.isfinite(block).all(axis=1), start)
        return line

    def _each(self, compute: Any) -> np.ndarray:
        """Return ``compute(source, j)`` of the one response, or of all along an axis behind the rows'."""
        found = [compute(source_of(part), j) for j, part in enumerate(self.posterior_.parts)]
        return np.stack(found, axis=1) if self._is_joint else found[0]

    def _rows(self, X: Any) -> Any:
        """Return the rows of X as the design matrix without the intercept, shape (n, p)."""
        return read_rows(self, X)

    def _rows_and_response(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return design matrix and responses (n, k) of X, the latter from the formula if y is None."""
        return read_rows_and_response(self, X, y)


def _all_finite(values: np.ndarray) -> bool:
    """Whether all are finite; False as well if their sum overflows. A few numbers are looked at in 0.2 µs."""
    if values.size < 32:
        return all(map(math.isfinite, values.ravel().tolist()))
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


def source_of(part: Posterior) -> MixtureSource:
    """Return the predictive distribution of one response."""
    return part.exact or prediction.DrawSource(*part.flat())


def _r2(observed: np.ndarray, fitted: np.ndarray, weights: np.ndarray | None) -> float:
    """Return R² of numbers whose squares may be no doubles: it is that of any multiple of both."""
    from sklearn.metrics import r2_score

    largest = max(np.abs(values).max(initial=0.0) for values in (observed, fitted))
    unit = 2.0 ** np.floor(np.log2(largest)) if 1e100 < largest < np.inf else 1.0
    return float(r2_score(observed / unit, fitted / unit, sample_weight=weights))


def read_rows(estimator: Any, X: Any) -> Any:
    """Return the rows of X as a fitted estimator's design matrix without the intercept, shape (n, p)."""
    if "posterior_" not in estimator.__dict__:
        check_is_fitted(estimator)
    if estimator._design is None:
        return check_rows(estimator, X)
    return estimator._design.transform(X)


def read_rows_and_response(estimator: Any, X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Return design matrix and responses (n, k) of X, the latter from the formula if y is None."""
    rows = estimator._rows(X)
    if y is None:
        if estimator._design is None or not estimator._design.has_response:
            raise ValueError("y is None: give the observed responses of the rows of X.")
        return rows, estimator._design.response_of(X).reshape(rows.shape[0], -1)
    observed = check_response(y, rows.shape[0], len(estimator.posterior_.parts))
    if estimator._design is None:
        raise_not_finite(None, observed, ())
    return rows, observed

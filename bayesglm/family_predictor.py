"""What a fitted regressor with any likelihood says of new rows: means, intervals, quantiles, scores and draws."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from bayesglm import family_prediction
from bayesglm.family_rows import FamilyRows
from bayesglm.inference.sampling import seed_sequence
from bayesglm.prediction import interval_levels
from bayesglm.snapshot import of_one_fit
from bayesglm.validation import check_predictive, check_weights


class FamilyPredictor(RegressorMixin, FamilyRows):
    """Prediction for the regressors with any likelihood.

    Where a fit had an offset, exposure, trials or standard errors, predictions take them too: as arrays, or from the
    columns of the frame that `fit` was told. Left out, offset is 0, exposure 1, trials 1 (a probability is predicted)
    and standard_error 0.
    """

    # scikit-learn's metadata routing: return_std passes through pipelines without being asked for.
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"return_std": True}

    @of_one_fit
    def predict(
        self,
        X: Any,
        return_std: bool = False,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> Any:
        """Return the mean of the posterior predictive distribution, row by row and without randomness.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        return_std : bool, default=False
            Return the standard deviation of a new observation as well, its own variance included.
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.

        Returns
        -------
        mean : ndarray of shape (n,)
            With a formula, NaN for a row that holds a missing value. For Student-t noise the location.
        std : ndarray of shape (n,)
            Only with ``return_std``.
        """
        rows, offset, extra = self._new_rows(X, (offset, exposure, trials, standard_error))
        mean, sd = family_prediction.moments(
            self._source(), rows, offset, extra, "response" if return_std else "mean"
        )
        return (mean, sd) if return_std else mean

    @of_one_fit
    def predict_interval(
        self,
        X: Any,
        coverage: float = 0.9,
        kind: str = "response",
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> np.ndarray:
        """Return equal-tailed intervals, shape (n, 2).

        Those of a pipeline or search: ``bayesglm.posterior_of(pipeline).predict_interval(X)``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        coverage : float, default=0.9
            Probability inside (at least, where the response is discrete).
        kind : {"response", "mean"}, default="response"
            Of a new observation, or of its mean given the parameters.
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.
        """
        q = interval_levels(coverage)
        rows, offset, extra = self._new_rows(X, (offset, exposure, trials, standard_error))
        found = family_prediction.quantiles(self._source(), rows, q, kind, offset, extra)
        # Of a distribution hardly wider than rounding the ends may come out the wrong way round.
        return np.asarray(np.maximum.accumulate(found, axis=-1))

    @of_one_fit
    def predict_quantiles(
        self,
        X: Any,
        q: Any,
        kind: str = "response",
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> np.ndarray:
        """Return quantiles ``q`` of a new observation (or of its mean), shape (n, len(q)).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        q : float or array-like of shape (n_q,)
            Probabilities. For a single number the last axis is left out.
        kind : {"response", "mean"}, default="response"
            Of a new observation, or of its mean given the parameters.
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.
        """
        rows, offset, extra = self._new_rows(X, (offset, exposure, trials, standard_error))
        return family_prediction.quantiles(self._source(), rows, q, kind, offset, extra)

    @of_one_fit
    def sample_predictive(
        self,
        X: Any,
        draws: int | None = None,
        kind: str = "response",
        random_state: Any = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> np.ndarray:
        """Draw from the posterior predictive distribution, shape (draws, n).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        draws : int, optional
            None: one for every posterior draw.
        kind : {"response", "mean"}, default="response"
            New observations, or their means given the parameters.
        random_state : None, int, RandomState or Generator
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.
        """
        rows, offset, extra = self._new_rows(X, (offset, exposure, trials, standard_error))
        source = self._source()
        check_predictive(draws, source.n_draws, rows.shape[0], chosen=source.coef[0].size + 2.0)
        rng = np.random.default_rng(seed_sequence(random_state))
        return family_prediction.draw(source, rows, draws, kind, rng, offset, extra)

    @of_one_fit
    def crps(
        self,
        X: Any,
        y: Any = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> np.ndarray:
        """Return the continuous ranked probability score of each observation, shape (n,): smaller is better.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.
        """
        rows, observed, offset, extra = self._observed_rows(X, y, (offset, exposure, trials, standard_error))
        return family_prediction.crps(self._source(), rows, observed, offset, extra)

    @of_one_fit
    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> float:
        """Return D², the share of the deviance explained: R² for the Gaussian family.

        What is explained is measured against the mean of y, as a rate where there are exposures or trials; auxiliary
        parameters are at their posterior means.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.
        """
        rows, observed, offset, extra = self._observed_rows(X, y, (offset, exposure, trials, standard_error))
        family, source = self._family, self._source()
        fitted = family_prediction.moments(source, rows, offset, extra, "mean")[0]
        kept = np.isfinite(observed) & np.isfinite(fitted)
        weights = check_weights(sample_weight, len(kept))
        if weights is not None:  # a row that does not count may have an infinite deviance
            kept &= weights > 0.0
        w = np.ones(int(kept.sum())) if weights is None else weights[kept]
        y_, mean = observed[kept], fitted[kept]
        extra = None if extra is None else extra[kept]
        if family.extra != "trials" or extra is not None:
            family.check_response(y_, extra)
        size = np.ones(len(y_))
        if family.extra == "trials" and extra is not None:
            size = extra
        elif family.link == "log" and offset is not None:
            size = np.exp(offset[kept])
        null = size * ((w @ y_) / (w @ size))
        aux = {name: float((values / len(values)).sum()) for name, values in source.aux.items()}
        with np.errstate(over="ignore", invalid="ignore"):
            left = w @ family.deviance(y_, mean, aux, extra)
            total = w @ family.deviance(y_, null, aux, extra)
        if total == 0.0 or not np.isfinite(total):
            return 1.0 if left == 0.0 else 0.0
        if not np.isfinite(left):
            return -np.inf
        return float(1.0 - left / total)

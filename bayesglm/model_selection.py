"""Choosing a model by leave-one-out cross-validation without refitting, one fit for each candidate."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from bayesglm.composed_model import ComposedModel
from bayesglm.composition import last_step
from bayesglm.inference.caller import stack_level
from bayesglm.inference.progress import Progress
from bayesglm.leave_one_out import REMEDY, LooResult, estimate, loo, standard_error

__all__ = ["LooResult", "LooSearch", "loo"]


def _model_has(method: str) -> Callable[[Any], bool]:
    """Return whether the model that a search searches, or has found, has the method."""

    def check(search: Any) -> bool:
        model = last_step(getattr(search, "best_estimator_", search.estimator))
        getattr(model, method)  # if not, this says so
        return True

    return check


class LooSearch(MetaEstimatorMixin, BaseEstimator):
    """Search parameters by leave-one-out cross-validation without refitting: one fit for each candidate.

    As `sklearn.model_selection.GridSearchCV` with ``scoring=log_density_scorer`` and one fold a row, at the cost of
    no folds at all. The expected log predictive density (elpd) comes from PSIS-LOO; see `loo`.

    Parameters
    ----------
    estimator : estimator
        A model of bayesglm, alone or at the end of a pipeline. What the steps of a pipeline learn, they learn from all
        rows.
    param_grid : dict or list of dicts
        Values to try by name of the parameter, as for GridSearchCV.
    n_jobs : int, optional
        Processes, one candidate each; None: one. Each then samples in one thread unless the estimator asks for more.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted to all rows.
    best_params_, best_index_
        Its parameters, and their place in `results_`.
    best_score_ : float
        Its expected log predictive density of one row, in the units of ``log_density_scorer``.
    best_loo_ : LooResult
        All about it.
    results_ : dict of arrays
        Ready for ``pandas.DataFrame``. By candidate: ``params``, ``param_<name>``, ``elpd`` and its ``se``,
        ``mean_elpd`` (of one row), ``elpd_diff`` (to the best, negative) and its ``se_diff``, ``p``,
        ``max_pareto_k``, ``n_bad`` (rows whose k is too large), ``rank``, ``seconds``.
    n_features_in_, feature_names_in_
        Those of `best_estimator_`, if it has them.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from bayesglm import BayesianLinearRegression
    >>> from bayesglm.model_selection import LooSearch
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = BayesianLinearRegression(random_state=0)
    >>> LooSearch(model, {"prior_scale": [0.003, 0.03, 3]}).fit(X, y).best_params_
    {'prior_scale': 3}
    """

    def __init__(self, estimator: Any, param_grid: Any, *, n_jobs: int | None = None):
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> LooSearch:
        """Fit every candidate to all rows and keep the one that is expected to predict best.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
        y : array-like of shape (n,), optional
            Not needed if the model's formula has a left side.
        sample_weight : array-like of shape (n,), optional
            Frequencies; handed to the model, at the end of a pipeline too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If candidates predict different responses, or use different rows: their densities cannot be compared.

        Warns
        -----
        UserWarning
            If the estimate is not to be trusted for some candidates.
        """
        from sklearn.model_selection import ParameterGrid

        candidates = list(ParameterGrid(self.param_grid))
        tasks = (delayed(_try)(self.estimator, params, X, y, sample_weight) for params in candidates)
        found: list[LooResult] = []
        responses: list[np.ndarray] = []
        seconds: list[float] = []
        best_estimator: Any = None
        best = -np.inf
        # As they come, and only the best so far is kept: a fitted model holds all its draws.
        shown = getattr(last_step(self.estimator), "progressbar", None)
        with Progress(len(candidates), shown, doing="candidates") as progress:
            progress.begin(1, None)
            for fitted, result, observed, duration in Parallel(n_jobs=self.n_jobs, return_as="generator")(
                tasks
            ):
                if best_estimator is None or result.elpd > best:
                    best_estimator, best, best_index = fitted, result.elpd, len(found)
                found.append(result)
                responses.append(observed)
                seconds.append(duration)
                progress.update(len(found))
        for params, result, observed in zip(candidates, found, responses, strict=True):
            if not (
                np.array_equal(result.rows, found[0].rows)
                and np.array_equal(result.weights, found[0].weights)
                and np.array_equal(observed, responses[0])
            ):
                raise ValueError(
                    f"param_grid: candidates {candidates[0]} and {params} use different rows or responses, so their "
                    "densities cannot be compared: drop rows with missing values first, and keep the left side of the "
                    "formula."
                )
        if np.isnan(best):
            raise ValueError(
                f"LooSearch: the log density of candidate {candidates[best_index]} is not a number."
            )

        self.best_estimator_ = best_estimator
        self.best_index_ = best_index
        self.best_params_ = candidates[best_index]
        self.best_loo_ = found[best_index]
        self.best_score_ = self.best_loo_.mean
        self.results_ = _table(candidates, found, best_index, seconds)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(best_estimator, name):
                setattr(self, name, getattr(best_estimator, name))
        _warn_of_unreliable(found, best_index)
        return self

    # -- what the best estimator can do --------------------------------------------------------------

    def predict(self, X: Any, **params: Any) -> Any:
        """Predict with the best estimator; ``return_std=True`` is passed on."""
        return self._best().predict(X, **params)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R² of the best estimator's predictions."""
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.best_estimator_.score(X, y, **weights)

    @available_if(_model_has("predict_interval"))
    def predict_interval(
        self, X: Any, coverage: float = 0.9, kind: str | None = None, **row_arguments: Any
    ) -> np.ndarray:
        """Return equal-tailed intervals of the best model; see there."""
        return self._best().predict_interval(X, coverage, kind, **row_arguments)

    @available_if(_model_has("predict_quantiles"))
    def predict_quantiles(self, X: Any, q: Any, kind: str | None = None, **row_arguments: Any) -> np.ndarray:
        """Return quantiles of the best model; see there."""
        return self._best().predict_quantiles(X, q, kind, **row_arguments)

    @available_if(_model_has("sample_predictive"))
    def sample_predictive(
        self,
        X: Any,
        draws: int | None = None,
        kind: str | None = None,
        random_state: Any = None,
        **row_arguments: Any,
    ) -> np.ndarray:
        """Draw from the best model's posterior predictive distribution; see there."""
        return self._best().sample_predictive(X, draws, kind, random_state, **row_arguments)

    @available_if(_model_has("log_predictive_density"))
    def log_predictive_density(self, X: Any, y: Any = None, **row_arguments: Any) -> np.ndarray:
        """Return the log density of each observation under the best model; see there."""
        return self._best().log_predictive_density(X, y, **row_arguments)

    @available_if(_model_has("crps"))
    def crps(self, X: Any, y: Any = None, **row_arguments: Any) -> np.ndarray:
        """Return the continuous ranked probability score of each observation under the best model."""
        return self._best().crps(X, y, **row_arguments)

    @available_if(_model_has("to_arviz"))
    def to_arviz(self, X: Any = None, y: Any = None, **options: Any) -> Any:
        """Return everything that ArviZ needs about the best model; see there."""
        return self._best().to_arviz(X, y, **options)

    @available_if(_model_has("sample_posterior"))
    def sample_posterior(
        self, draws: int | None = None, random_state: Any = None, *, names: str = "coef"
    ) -> Any:
        """Return posterior draws of the best model; see there."""
        return self._best().sample_posterior(draws, random_state, names=names)

    @available_if(_model_has("summary"))
    def summary(self, coverage: float = 0.9) -> Any:
        """Return the best model's table of parameters; see there."""
        return self._best().summary(coverage)

    # -- inside --------------------------------------------------------------------------------------

    def _best(self) -> ComposedModel:
        check_is_fitted(self)
        return ComposedModel(self.best_estimator_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        for name in ("estimator_type", "regressor_tags", "target_tags", "input_tags"):
            setattr(tags, name, getattr(inner, name))
        return tags


def _try(
    estimator: Any, params: dict[str, Any], X: Any, y: Any, sample_weight: Any
) -> tuple[Any, LooResult, np.ndarray, float]:
    """Fit one candidate; return it, what leave-one-out says, the responses, and the seconds that it took."""
    start = time.perf_counter()
    candidate = clone(estimator).set_params(**clone(params, safe=False))
    fit_params = {}
    if sample_weight is not None:
        # Without metadata routing a pipeline takes the parameters of its steps by their names.
        prefix, step = "", candidate
        while hasattr(step, "steps") and not get_config()["enable_metadata_routing"]:
            name, step = step.steps[-1]
            prefix += f"{name}__"
        fit_params[f"{prefix}sample_weight"] = sample_weight
    candidate.fit(X, y, **fit_params)
    result, observed = estimate(candidate, X, y, sample_weight, {})
    return candidate, result, observed, time.perf_counter() - start


def _table(
    candidates: list[dict[str, Any]],
    found: list[LooResult],
    best: int,
    seconds: list[float],
) -> dict[str, Any]:
    """Return the results as columns, one entry a candidate."""
    table: dict[str, Any] = {"params": candidates}
    for name in sorted({name for params in candidates for name in params}):
        column = np.ma.MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
        for i, params in enumerate(candidates):
            if name in params:
                column[i] = params[name]
        table[f"param_{name}"] = column
    weights = found[best].weights
    differences = [result.elpd_i - found[best].elpd_i for result in found]
    elpd = np.array([result.elpd for result in found])
    table |= {
        "elpd": elpd,
        "se": np.array([result.se for result in found]),
        "mean_elpd": np.array([result.mean for result in found]),
        "elpd_diff": np.array([weights @ difference for difference in differences]),
        "se_diff": np.array([standard_error(difference, weights) for difference in differences]),
        "p": np.array([result.p for result in found]),
        "max_pareto_k": np.array([result.pareto_k.max() for result in found]),
        "n_bad": np.array([result.n_bad for result in found]),
        "rank": np.array([1 + int(np.sum(elpd > value)) for value in elpd]),
        "seconds": np.array(seconds),
    }
    return table


def _warn_of_unreliable(found: list[LooResult], best: int) -> None:
    bad = [result.n_bad for result in found]
    if any(bad):
        warnings.warn(
            f"PSIS-LOO is not reliable for {np.count_nonzero(bad)} of {len(bad)} candidates, the best "
            f"{'among' if bad[best] else 'not among'} them, with up to {max(bad)} rows whose Pareto k is above "
            f"{found[best].good_k:.2g}: {REMEDY}.",
            UserWarning,
            stacklevel=stack_level(),
        )

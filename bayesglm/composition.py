"""The fitted model inside pipelines, searches and transformations of y, what of X arrives there, and y's own scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import _num_samples, check_is_fitted

from bayesglm.transformed_target import TransformedTarget
from bayesglm.validation import as_numbers, check_fraction, raise_not_finite


@dataclass(frozen=True, eq=False)
class Inner:
    """The model at the end of a composition, which answers on y's own scale.

    Attributes
    ----------
    model : estimator
        Fitted, with methods such as ``predict_interval``.
    X : array or frame
        What the steps before the model make of the rows given.
    target : TransformedTarget or None
        How the model's y was transformed; None: it was not.
    asker : str
        Who asks, for errors.
    """

    model: Any
    X: Any
    target: TransformedTarget | None
    asker: str

    def observed(self, y: Any) -> np.ndarray:
        """Return the responses, from the model's formula if ``y`` is None; floats, shape (n,) or (n, k)."""
        if y is None:
            if self.target is not None:
                raise ValueError("y is None: give the observed responses of the rows of X.")
            values = self.model._rows_and_response(self.X, None)[1]
            return values[:, 0] if values.ndim == 2 else values
        values = as_numbers(y)
        if getattr(self.model, "formula", None) is None:
            raise_not_finite(None, values, ())
        # A column counts as several responses only for a model that was fitted to columns.
        column = values.ndim == 2 and values.shape[1] == 1 and not self._is_joint
        return values[:, 0] if column else values

    def predict(self, return_std: bool = False, **options: Any) -> Any:
        """Return predictions, and standard deviations of new observations."""
        if return_std:
            options["return_std"] = True
        found = self.model.predict(self.X, **options)
        if self.target is None:
            return found
        if not return_std:
            return self.target.to_user(found, self._n_responses)
        slope = self._slope("the standard deviation", "an interval")
        return self.target.to_user(found[0], self._n_responses), found[1] * abs(slope)

    def interval(self, coverage: float, **options: Any) -> np.ndarray:
        """Return equal-tailed intervals, shape (n, 2) or (n, k, 2)."""
        if self.target is None:
            return self.model.predict_interval(self.X, coverage, **options)
        tail = 0.5 * (1.0 - check_fraction(coverage, "coverage"))
        return self.quantiles(np.array([tail, 1.0 - tail]), **options)

    def quantiles(self, q: Any, **options: Any) -> np.ndarray:
        """Return quantiles, shape (n, q) or (n, k, q), without the last axis for a single number.

        Quantiles go through an increasing function as they are, and through a decreasing one as those of the
        complementary levels.
        """
        if self.target is None:
            return self.model.predict_quantiles(self.X, q, **options)
        levels = np.atleast_1d(np.asarray(q, dtype=float))
        asked = np.concatenate([levels, 1.0 - levels, [0.25, 0.75]])
        found = np.asarray(self.model.predict_quantiles(self.X, asked, **options))
        self._refuse_several("Quantiles", found.ndim > 2)
        usable = np.isfinite(found)
        found[usable] = self.target.to_user(found[usable])
        rise = found[:, -1] - found[:, -2]
        if np.any(rise > 0.0) and np.any(rise < 0.0):
            raise ValueError(
                "The inverse_func of TransformedTargetRegressor rises in some rows and falls in others, so quantiles "
                "cannot be carried through it: use a monotone function."
            )
        half = len(levels)
        found = found[:, half:-2] if np.any(rise < 0.0) else found[:, :half]
        return found[:, 0] if np.ndim(q) == 0 else found

    def draws(self, draws: int | None, **options: Any) -> np.ndarray:
        """Return draws of new observations, shape (draws, n) or (draws, n, k)."""
        found = self.model.sample_predictive(self.X, draws, **options)
        if self.target is None:
            return found
        shape = found.shape
        found = found.reshape(-1, self._n_responses)
        usable = np.isfinite(found).all(axis=1)
        found[usable] = self.target.to_user(found[usable], self._n_responses)
        return found.reshape(shape)

    def log_density(self, y: Any, **options: Any) -> np.ndarray:
        """Return the log density of each observation, shape (n,) or (n, k)."""
        if self.target is None:
            return self.model.log_predictive_density(self.X, y, **options)
        observed, transformed = self.transformed(y)
        jacobian = self.target.log_jacobian(observed)
        return self.model.log_predictive_density(self.X, transformed, **options) + jacobian

    def crps(self, y: Any, **options: Any) -> np.ndarray:
        """Return the continuous ranked probability score of each observation, shape (n,) or (n, k)."""
        if self.target is None:
            return self.model.crps(self.X, y, **options)
        slope = self._slope("the CRPS", "interval_scorer or pinball_scorer")
        return self.model.crps(self.X, self.transformed(y)[1], **options) * abs(slope)

    def to_arviz(self, y: Any, **options: Any) -> Any:
        """Return everything that ArviZ needs, with predictions, observations and log densities on y's own scale."""
        if self.target is None or self.X is None:
            return self.model.to_arviz(self.X, y, **options)
        observed, transformed = self.transformed(y)
        data = self.model.to_arviz(self.X, transformed, **options)
        (name,) = data["observed_data"].data_vars
        shown = data["observed_data"][name]
        rows = shown["obs"].values
        for group in ("posterior_predictive", "prior_predictive"):
            if group in data:
                values = data[group][name].values
                values[...] = self.target.to_user(values)
        data["log_likelihood"][name].values[...] += self.target.log_jacobian(observed)[rows]
        shown.values[...] = observed[rows]
        return data

    def transformed(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the responses (n,) as they are and as the model sees them, whose y was transformed."""
        assert self.target is not None
        self._refuse_several("Densities")
        observed = self.observed(y)
        return observed, self.target.to_model(observed)

    # -- inside --------------------------------------------------------------------------------------

    @property
    def _is_joint(self) -> bool:
        return bool(getattr(self.model, "_is_joint", False))

    @property
    def _n_responses(self) -> int:
        return len(self.model.posterior_.parts) if self._is_joint else 1

    def _slope(self, what: str, instead: str) -> float:
        """Return by what y changes with a unit of the model's scale, or refuse what needs it."""
        assert self.target is not None
        self._refuse_several(what[:1].upper() + what[1:])
        slope = self.target.slope()
        if slope is None:
            raise TypeError(
                f"{self.asker} cannot see through TransformedTargetRegressor, where the model knows {what} of "
                f"transformed y only: use {instead}, or the regressor inside."
            )
        return slope

    def _refuse_several(self, what: str, several: bool | None = None) -> None:
        if self._is_joint if several is None else several:
            raise ValueError(
                f"{what} of several responses cannot pass through TransformedTargetRegressor, whose transformer "
                "may mix them: transform each response before fit."
            )


def look_inside(estimator: Any, X: Any, method: str, asker: str) -> Inner:
    """Find the fitted model inside pipelines, searches and transformations of y.

    Parameters
    ----------
    estimator : estimator
        Fitted: a model, a Pipeline, a search such as GridSearchCV, a TransformedTargetRegressor, RFE, a
        FrozenEstimator, or any nesting of these.
    X : array-like, data frame or None
        Rows as the whole composition takes them; None: there are none.
    method : str
        What the model must be able to do.
    asker : str
        Who asks, for the error's text.

    Raises
    ------
    TypeError
        If what is found there cannot do it: it has no predictive distribution.
    ValueError
        If a step before the model leaves rows out or adds some, so that answers would belong to none of those given.
    """
    transformers: tuple[Any, ...] = ()
    while (following := following_step(estimator)) is not None:
        # A frozen estimator has all that the one inside it has, whose turn is next.
        if not isinstance(estimator, FrozenEstimator):
            if X is not None:
                X = _through(estimator, X)
            if hasattr(estimator, "transformer_"):
                transformers += (estimator.transformer_,)
        estimator = following
    if not hasattr(estimator, method):
        # A search or a TransformedTargetRegressor before its fit is no model; it then says that it is not fitted.
        check_is_fitted(estimator)
        raise TypeError(
            f"{asker} needs {method}, which {type(estimator).__name__} does not have: give an estimator of "
            "bayesglm, alone or at the end of pipelines and searches with refit=True."
        )
    return Inner(estimator, X, TransformedTarget(transformers) if transformers else None, asker)


def following_step(estimator: Any) -> Any:
    """Return what a composition hands its rows to, fitted if it is fitted itself; None for a model."""
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    if hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        return estimator.steps[-1][1]
    if _selects(estimator):
        return estimator.estimator_
    # A search that has chosen, or a regressor of transformed y.
    return getattr(estimator, "best_estimator_", getattr(estimator, "regressor_", None))


def last_step(estimator: Any) -> Any:
    """Return the model at the end of a composition."""
    while (following := following_step(estimator)) is not None:
        estimator = following
    return estimator


def _through(estimator: Any, X: Any) -> Any:
    """Return what of X a composition hands to its last step."""
    if hasattr(estimator, "steps") and len(estimator.steps) > 1:
        found = estimator[:-1].transform(X)
    elif _selects(estimator):
        found = estimator.transform(X)
    else:
        return X
    before, after = _count_rows(X), _count_rows(found)
    if before != after:
        raise ValueError(
            f"The steps before the model make {after} rows of the {before} given, so that answers would not belong to "
            "the rows of X: leave rows out before fit and predict, not in a step."
        )
    return found


def _selects(estimator: Any) -> bool:
    """Whether a fitted estimator selects columns for a model of its own, as RFE does."""
    # By what it has: importing scikit-learn's selectors takes as long as importing this package.
    return all(hasattr(estimator, name) for name in ("estimator_", "ranking_", "support_", "transform"))


def _count_rows(X: Any) -> int:
    """Return the number of rows of an array, a frame, or a mapping of columns."""
    # A sparse matrix of one kind (DOK) is a dict as well.
    frame = isinstance(X, Mapping) and not sparse.issparse(X)
    return len(next(iter(X.values()))) if frame else int(_num_samples(X))

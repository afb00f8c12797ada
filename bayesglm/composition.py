"""The fitted model inside pipelines and searches, what of X arrives there, and the scale on which it sees y."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bayesglm.validation import as_numbers, raise_not_finite


@dataclass(frozen=True, eq=False)
class Inner:
    """The model at the end of a composition.

    Attributes
    ----------
    model : estimator
        Fitted, with methods such as ``predict_interval``.
    X : array or frame
        What the steps before the model make of the rows given.
    inverse : callable or None
        Takes values (m,) from the scale on which the model sees y to y's own; increasing or decreasing. None:
        the scales are the same.
    """

    model: Any
    X: Any
    inverse: Callable[[np.ndarray], np.ndarray] | None = None

    def observed(self, y: Any) -> np.ndarray:
        """Return the responses, from the model's formula if ``y`` is None; floats, shape (n,) or (n, k)."""
        if y is None:
            values = self.model._rows_and_response(self.X, None)[1]
            return values[:, 0] if values.ndim == 2 else values
        values = as_numbers(y)
        if getattr(self.model, "formula", None) is None:
            raise_not_finite(None, values, ())
        # A column counts as several responses only for a model that was fitted to columns.
        column = values.ndim == 2 and values.shape[1] == 1 and not getattr(self.model, "_is_joint", False)
        return values[:, 0] if column else values

    def interval(self, coverage: float) -> np.ndarray:
        """Return equal-tailed intervals of new observations on y's own scale, shape (n, 2) or (n, k, 2)."""
        if self.inverse is None:
            return self.model.predict_interval(self.X, coverage)
        tail = 0.5 * (1.0 - coverage)
        return self.quantiles(np.array([tail, 1.0 - tail]))

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Return quantiles of new observations on y's own scale, shape (n, q) or (n, k, q).

        Quantiles go through an increasing function as they are, and through a decreasing one as those of the
        complementary levels.
        """
        if self.inverse is None:
            return self.model.predict_quantiles(self.X, levels)
        found = self.model.predict_quantiles(self.X, np.concatenate([levels, 1.0 - levels, [0.25, 0.75]]))
        if found.ndim > 2:
            raise ValueError(
                "Quantiles of several responses cannot pass through TransformedTargetRegressor, whose transformer "
                "may mix them: transform each response before fit."
            )
        usable = np.isfinite(found)
        found[usable] = self.inverse(found[usable])
        rise = found[:, -1] - found[:, -2]
        if np.any(rise > 0.0) and np.any(rise < 0.0):
            raise ValueError(
                "The inverse_func of TransformedTargetRegressor rises in some rows and falls in others, so quantiles "
                "cannot be carried through it: use a monotone function."
            )
        half = len(levels)
        return found[:, half:-2] if np.any(rise < 0.0) else found[:, :half]


def look_inside(estimator: Any, X: Any, method: str, asker: str) -> Inner:
    """Find the fitted model inside pipelines, searches and transformations of y.

    Parameters
    ----------
    estimator : estimator
        Fitted: a model, a Pipeline, a search such as GridSearchCV, a TransformedTargetRegressor, or any nesting of
        these.
    X : array-like or data frame
        Rows as the whole composition takes them.
    method : str
        What the model must be able to do.
    asker : str
        Who asks, for the error's text.

    Raises
    ------
    TypeError
        If what is found there cannot do it: it has no predictive distribution.
    """
    inverse: Callable[[np.ndarray], np.ndarray] | None = None
    while (following := following_step(estimator)) is not None:
        if hasattr(estimator, "steps") and len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        elif hasattr(estimator, "transformer_"):
            inverse = _through(estimator.transformer_, inverse)
        estimator = following
    if not hasattr(estimator, method):
        # A search or a TransformedTargetRegressor before its fit is no model; it then says that it is not fitted.
        check_is_fitted(estimator)
        raise TypeError(
            f"{asker} needs {method}, which {type(estimator).__name__} does not have: give an estimator of "
            "bayesglm, alone or at the end of pipelines and searches with refit=True."
        )
    return Inner(estimator, X, inverse)


def following_step(estimator: Any) -> Any:
    """Return what a composition hands its rows to, fitted if it is fitted itself; None for a model."""
    if hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        return estimator.steps[-1][1]
    # A search that has chosen, or a regressor of transformed y.
    return getattr(estimator, "best_estimator_", getattr(estimator, "regressor_", None))


def _through(
    transformer: Any, after: Callable[[np.ndarray], np.ndarray] | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the inverse of a transformer of y, followed by those of the compositions around it."""

    def inverse(values: np.ndarray) -> np.ndarray:
        own = np.asarray(transformer.inverse_transform(values.reshape(-1, 1)), dtype=float).reshape(-1)
        return own if after is None else after(own)

    return inverse

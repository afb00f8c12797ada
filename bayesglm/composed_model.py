"""The fitted model inside a pipeline or search, asked about rows as the whole composition takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bayesglm.composition import Inner, last_step, look_inside
from bayesglm.leave_one_out import LooResult, loo

__all__ = ["ComposedModel", "posterior_of"]


def posterior_of(estimator: Any) -> ComposedModel:
    """Return what a fitted pipeline or search knows beyond `predict`: intervals, quantiles, densities, draws.

    Parameters
    ----------
    estimator : estimator
        Fitted, with a model of bayesglm at its end: a Pipeline, a search such as GridSearchCV, a
        TransformedTargetRegressor, RFE or RFECV, a FrozenEstimator, any nesting of these, or the model itself.

    Returns
    -------
    ComposedModel
        Its methods are the model's. They take rows as the pipeline takes them, and speak of y as it was given to
        the pipeline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no model of bayesglm at its end.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from bayesglm import BayesianLinearRegression, posterior_of
    >>> X, y = load_diabetes(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), BayesianLinearRegression(random_state=0)).fit(X, y)
    >>> posterior_of(pipeline).predict_interval(X[:2]).round().tolist()
    [[116.0, 297.0], [-22.0, 159.0]]
    """
    check_is_fitted(look_inside(estimator, None, "predict_interval", "posterior_of").model)
    return ComposedModel(estimator)


class ComposedModel:
    """The fitted model at the end of a pipeline or search; from `posterior_of`.

    Rows X are those that the pipeline takes: a method sends them through the steps before the model. Where y was
    transformed (TransformedTargetRegressor), answers are on the scale of y itself. What rows bring besides
    predictors (``offset``, ``exposure``, ``trials``, ``standard_error``) is given as to the model's own methods.

    Parameters
    ----------
    estimator : estimator
        Fitted.

    Attributes
    ----------
    model : estimator
        The model inside, with ``coef_`` and ``posterior_`` of its own columns.
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    @property
    def model(self) -> Any:
        """The model inside, which takes what the steps before it make of rows."""
        return last_step(self.estimator)

    def __repr__(self) -> str:
        return f"posterior_of({type(self.estimator).__name__}): {self.model!r}"

    def transform(self, X: Any) -> Any:
        """Return what the steps before the model make of rows."""
        return self._inside(X, "predict_interval").X

    # -- new rows ------------------------------------------------------------------------------------

    def predict(self, X: Any, return_std: bool = False, **row_arguments: Any) -> Any:
        """Return predictions, and with ``return_std`` standard deviations of new observations.

        Where y was transformed these are the transformed predictions carried back, as scikit-learn does it, and
        standard deviations exist if the transformation is linear.
        """
        return self._inside(X, "predict").predict(return_std, **row_arguments)

    def predict_proba(self, X: Any, **row_arguments: Any) -> np.ndarray:
        """Return the probabilities of classes, averaged over the posterior."""
        inner = self._inside(X, "predict_proba")
        return inner.model.predict_proba(inner.X, **row_arguments)

    def predict_interval(
        self, X: Any, coverage: float = 0.9, kind: str | None = None, **row_arguments: Any
    ) -> np.ndarray:
        """Return equal-tailed intervals, shape (n, 2); see the model's method.

        Parameters
        ----------
        X : array-like or data frame
        coverage : float, default=0.9
        kind : {"response", "mean"}, optional
            Of a new observation, or of the mean given the parameters (carried back to the scale of y where y was
            transformed). None: the model's default, "response" for numbers and "mean" for classes.
        **row_arguments
        """
        return self._inside(X, "predict_interval").interval(coverage, **_kind(kind), **row_arguments)

    def predict_quantiles(self, X: Any, q: Any, kind: str | None = None, **row_arguments: Any) -> np.ndarray:
        """Return quantiles, shape (n, len(q)), or (n,) for a single number; ``kind`` as for intervals."""
        return self._inside(X, "predict_quantiles").quantiles(q, **_kind(kind), **row_arguments)

    def sample_predictive(
        self,
        X: Any,
        draws: int | None = None,
        kind: str | None = None,
        random_state: Any = None,
        **row_arguments: Any,
    ) -> np.ndarray:
        """Draw from the posterior predictive distribution, shape (draws, n); ``kind`` as for intervals."""
        inner = self._inside(X, "sample_predictive")
        return inner.draws(draws, random_state=random_state, **_kind(kind), **row_arguments)

    # -- observed rows -------------------------------------------------------------------------------

    def log_predictive_density(self, X: Any, y: Any = None, **row_arguments: Any) -> np.ndarray:
        """Return the log density of each observation, of y itself where it was transformed, shape (n,)."""
        return self._inside(X, "log_predictive_density").log_density(y, **row_arguments)

    def crps(self, X: Any, y: Any = None, **row_arguments: Any) -> np.ndarray:
        """Return the continuous ranked probability score of each observation, shape (n,): smaller is better.

        Where y was transformed it exists if the transformation is linear.
        """
        return self._inside(X, "crps").crps(y, **row_arguments)

    def loo(self, X: Any, y: Any = None, *, sample_weight: Any = None, **row_arguments: Any) -> LooResult:
        """Estimate how well rows are predicted that the model has not seen; as `bayesglm.model_selection.loo`."""
        return loo(self.estimator, X, y, sample_weight=sample_weight, **row_arguments)

    # -- the posterior -------------------------------------------------------------------------------

    def summary(self, *args: Any, **options: Any) -> Any:
        """Return the model's table of parameters, those of the columns that it sees; see there."""
        return self._inside(None, "summary").model.summary(*args, **options)

    def sample_posterior(self, *args: Any, **options: Any) -> Any:
        """Return the model's posterior draws as an ArviZ object; see there."""
        return self._inside(None, "sample_posterior").model.sample_posterior(*args, **options)

    def to_arviz(self, X: Any = None, y: Any = None, **options: Any) -> Any:
        """Return everything that ArviZ needs; see the model's method.

        Predictions, observations and their log densities are on the scale of y itself; parameters are those of the
        model.
        """
        return self._inside(X, "to_arviz").to_arviz(y, **options)

    # -- inside --------------------------------------------------------------------------------------

    def _inside(self, X: Any, method: str) -> Inner:
        return look_inside(self.estimator, X, method, "posterior_of")


def _kind(kind: str | None) -> dict[str, str]:
    """Return the argument, if there is one: models have defaults of their own."""
    return {} if kind is None else {"kind": kind}

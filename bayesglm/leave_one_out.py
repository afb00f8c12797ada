"""PSIS-LOO of a fitted model: how well it predicts rows that it has not seen, estimated without refitting.

The expected log predictive density of rows that the model has not seen is estimated from the posterior of all rows,
by importance sampling with Pareto-smoothed weights (Vehtari, Gelman & Gabry 2017; Vehtari et al. 2024), which ArviZ
does.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _num_samples

from bayesglm.arviz_export import OBSERVATIONS
from bayesglm.composition import look_inside
from bayesglm.inference.caller import stack_level
from bayesglm.validation import check_weights

#: What to do where importance sampling does not serve.
REMEDY = "use cross_val_score or GridSearchCV with scoring=log_density_scorer, which refit"


@dataclass(frozen=True, eq=False, repr=False)
class LooResult:
    """What leave-one-out cross-validation says about a model.

    Attributes
    ----------
    elpd : float
        Expected log predictive density of all rows, each predicted by a model that has not seen it; the sum over
        rows. Greater is better.
    se : float
        Its standard error, from the spread over the rows.
    p : float
        Effective number of parameters: by how much the log density of the rows is less when left out.
    elpd_i, pareto_k : ndarray of shape (n,)
        Of each row: its share of `elpd`, and the tail index of its importance weights. Where k exceeds `good_k`, the
        share is not to be trusted.
    good_k : float
        0.7, or less for fewer than 2200 draws.
    n_rows : float
        Number of rows; the sum of their weights where weights were given.
    rows : ndarray of shape (n,)
        Positions of the rows in the data given; others held missing values and were left out.
    """

    elpd: float
    se: float
    p: float
    elpd_i: np.ndarray
    pareto_k: np.ndarray
    good_k: float
    n_rows: float
    rows: np.ndarray

    @property
    def n_bad(self) -> int:
        """Number of rows whose share is not to be trusted."""
        return int(np.sum(~(self.pareto_k <= self.good_k)))

    @property
    def mean(self) -> float:
        """Expected log predictive density of one row, as ``log_density_scorer`` gives it."""
        return self.elpd / self.n_rows

    def __repr__(self) -> str:
        worst = float(np.max(self.pareto_k))
        verdict = f"all k at most {self.good_k:.2g}: reliable"
        if self.n_bad:
            verdict = f"{self.n_bad} of {len(self.pareto_k)} rows above {self.good_k:.2g}: not reliable"
        return (
            f"leave-one-out cross-validation (PSIS-LOO) of {self.n_rows:g} rows\n"
            f"elpd      {self.elpd:10.1f} ± {self.se:.1f}    {self.mean:.3f} a row\n"
            f"p         {self.p:10.1f}          effective number of parameters\n"
            f"largest k {worst:10.2f}          {verdict}"
        )


def loo(model: Any, X: Any, y: Any = None, *, sample_weight: Any = None) -> LooResult:
    """Estimate how well a fitted model predicts rows that it has not seen, without refitting.

    Parameters
    ----------
    model : estimator
        Fitted; alone, or at the end of a pipeline or search. What the steps before it have learnt, and priors with
        ``autoscale``, have seen all rows and stay as they are.
    X : array-like or data frame of shape (n, p)
        The rows that the model was fitted to, which it does not keep.
    y : array-like of shape (n,), optional
        Not needed if the model's formula has a left side.
    sample_weight : array-like of shape (n,), optional
        The frequencies given to `fit`: a row of weight k counts as k rows, which are left out one at a time.

    Returns
    -------
    LooResult

    Warns
    -----
    UserWarning
        If some rows are so influential that the estimate is not to be trusted.
    """
    result, _ = estimate(model, X, y, sample_weight)
    if result.n_bad:
        worst = int(result.rows[np.argmax(result.pareto_k)])
        warnings.warn(
            f"PSIS-LOO is not reliable, since {result.n_bad} of {len(result.rows)} rows have a Pareto k above "
            f"{result.good_k:.2g} (the largest is row {worst}'s): {REMEDY}.",
            UserWarning,
            stacklevel=stack_level(),
        )
    return result


def estimate(model: Any, X: Any, y: Any, sample_weight: Any) -> tuple[LooResult, np.ndarray]:
    """Return the result and the responses, by which one sees whether candidates can be compared."""
    inner = look_inside(model, X, "to_arviz", "loo")
    if inner.inverse is not None:
        raise TypeError(
            "loo cannot see through TransformedTargetRegressor, where the model knows the density of transformed y "
            "only: give it the regressor inside and the transformed y."
        )
    import arviz as az

    data = inner.model.to_arviz(inner.X, y)
    (name,) = data["log_likelihood"].data_vars
    log_likelihood = data["log_likelihood"][name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large k, which is told in one sentence
        try:
            found = az.loo(data, pointwise=True)
        except ValueError as error:  # ArviZ 1.x fits tails of five draws or more
            if "n_draws_tail" not in str(error):
                raise
            n_draws = log_likelihood.sizes["chain"] * log_likelihood.sizes["draw"]
            raise ValueError(f"PSIS-LOO of {n_draws} draws has too short a tail: increase draws.") from None
    # ArviZ 0.x and 1.x name the same things otherwise.
    elpd_i = np.asarray((found.elpd_i if hasattr(found, "elpd_i") else found.loo_i).values, dtype=float)
    pareto_k = np.asarray(found.pareto_k.values, dtype=float)
    values = log_likelihood.values.reshape(-1, *elpd_i.shape)
    largest = values.max(axis=0)
    in_sample = largest + np.log(np.mean(np.exp(values - largest), axis=0))

    rows = np.asarray(log_likelihood[OBSERVATIONS].values)
    weights = np.ones(len(rows))
    given = check_weights(sample_weight, count_rows(X))
    if given is not None:
        weights = given[rows]
    # Several responses are left out one by one, and a row's share is their sum.
    elpd_i, in_sample = (part.reshape(len(rows), -1).sum(axis=1) for part in (elpd_i, in_sample))
    pareto_k = pareto_k.reshape(len(rows), -1).max(axis=1)
    result = LooResult(
        elpd=float(weights @ elpd_i),
        se=standard_error(elpd_i, weights),
        p=float(weights @ (in_sample - elpd_i)),
        elpd_i=elpd_i,
        pareto_k=pareto_k,
        good_k=float(found.good_k),
        n_rows=float(weights.sum()),
        rows=rows,
    )
    return result, np.asarray(data["observed_data"][name].values)


def standard_error(shares: np.ndarray, weights: np.ndarray) -> float:
    """Return the standard error of the sum over rows of which each counts as often as it weighs."""
    size = weights.sum()
    squares = weights @ (shares - weights @ shares / size) ** 2
    return float(np.sqrt(size * squares / (size - 1.0))) if size > 1.0 else np.nan


def count_rows(X: Any) -> int:
    """Return the number of rows of an array, a frame, or a mapping of columns."""
    # A sparse matrix of one kind (DOK) is a dict as well.
    frame = isinstance(X, Mapping) and not sparse.issparse(X)
    return len(next(iter(X.values()))) if frame else int(_num_samples(X))

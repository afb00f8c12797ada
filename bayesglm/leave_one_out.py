"""PSIS-LOO of a fitted model: how well it predicts rows that it has not seen, estimated without refitting.

The expected log predictive density of rows that the model has not seen is estimated from the posterior of all rows,
by importance sampling with Pareto-smoothed weights (Vehtari, Gelman & Gabry 2017; Vehtari et al. 2024): what ArviZ
makes of the model's `to_arviz`, in blocks of rows, so that the densities of all rows under all draws never exist at
once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from bayesglm.arviz_export import arviz_version, elpd_data
from bayesglm.composition import look_inside
from bayesglm.inference.caller import stack_level
from bayesglm.inference.pareto import reliable_k, tail_length
from bayesglm.inference.progress import Progress
from bayesglm.inference.threads import in_threads
from bayesglm.kernel.pareto import leave_one_out
from bayesglm.parallel import one_blas_thread, thread_count
from bayesglm.prediction import PointwiseDensity
from bayesglm.row_arguments import ROW_ARGUMENTS

#: Rows that a thread works through before it takes others.
ROWS_A_PIECE = 512

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
    weights : ndarray of shape (n,)
        How many rows each counts as.
    n_draws : int
        Posterior draws that it was computed from.
    """

    elpd: float
    se: float
    p: float
    elpd_i: np.ndarray
    pareto_k: np.ndarray
    good_k: float
    n_rows: float
    rows: np.ndarray
    weights: np.ndarray
    n_draws: int

    @property
    def n_bad(self) -> int:
        """Number of rows whose share is not to be trusted."""
        return int(np.sum(~(self.pareto_k <= self.good_k)))

    @property
    def mean(self) -> float:
        """Expected log predictive density of one row, as ``log_density_scorer`` gives it."""
        return self.elpd / self.n_rows

    def to_arviz(self) -> Any:
        """Return what ``az.loo`` would: ``az.compare`` takes it, and ``az.plot_khat``.

        A row of weight k stands there k times.

        Returns
        -------
        arviz.ELPDData

        Raises
        ------
        ValueError
            If weights are not whole numbers, for which ArviZ has no place.
        """
        if np.any(self.weights != np.floor(self.weights)):
            row = int(self.rows[np.argmax(self.weights != np.floor(self.weights))])
            raise ValueError(
                f"to_arviz: row {row} has a weight that is no whole number, for which ArviZ has no place: use loo's "
                "own numbers."
            )
        times = self.weights.astype(int)
        return elpd_data(
            elpd=self.elpd,
            se=self.se,
            p=self.p,
            n_draws=self.n_draws,
            good_k=self.good_k,
            warning=self.n_bad > 0,
            elpd_i=np.repeat(self.elpd_i, times),
            pareto_k=np.repeat(self.pareto_k, times),
            rows=np.repeat(self.rows, times),
        )

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


def loo(model: Any, X: Any, y: Any = None, *, sample_weight: Any = None, **row_arguments: Any) -> LooResult:
    """Estimate how well a fitted model predicts rows that it has not seen, without refitting.

    Parameters
    ----------
    model : estimator
        Fitted; alone, or at the end of a pipeline or search. What the steps before it have learnt, and priors with
        ``autoscale``, have seen all rows and stay as they are. Inside a TransformedTargetRegressor the densities are
        those of y itself.
    X : array-like or data frame of shape (n, p)
        The rows that the model was fitted to, which it does not keep.
    y : array-like of shape (n,), optional
        Not needed if the model's formula has a left side.
    sample_weight : array-like of shape (n,), optional
        Those given to `fit`: a row of weight k counts as k rows, which are left out one at a time. Where weights are
        precisions, they say how noisy a row is, and it counts as one.
    **row_arguments
        ``offset``, ``exposure``, ``trials`` and ``standard_error``, as given to `fit`, if they were given there and
        not as names of columns.

    Returns
    -------
    LooResult

    Warns
    -----
    UserWarning
        If some rows are so influential that the estimate is not to be trusted.
    """
    result, _ = estimate(model, X, y, sample_weight, row_arguments)
    if result.n_bad:
        worst = int(result.rows[np.argmax(result.pareto_k)])
        warnings.warn(
            f"PSIS-LOO is not reliable, since {result.n_bad} of {len(result.rows)} rows have a Pareto k above "
            f"{result.good_k:.2g} (the largest is row {worst}'s): {REMEDY}.",
            UserWarning,
            stacklevel=stack_level(),
        )
    return result


def estimate(
    model: Any, X: Any, y: Any, sample_weight: Any, row_arguments: Mapping[str, Any]
) -> tuple[LooResult, np.ndarray]:
    """Return the result and the responses, by which one sees whether candidates can be compared."""
    for name in row_arguments:
        if name not in ROW_ARGUMENTS:
            raise TypeError(f"loo has no argument {name!r}: what rows bring are {', '.join(ROW_ARGUMENTS)}.")
    inner = look_inside(model, X, "to_arviz", "loo")
    observed, jacobian = None, np.zeros(1)
    if inner.target is not None:
        observed, y = inner.transformed(y)
        jacobian = inner.target.log_jacobian(observed)
    density = inner.model._pointwise(inner.X, y, sample_weight, **row_arguments)
    if observed is not None:
        observed, jacobian = observed[density.rows], jacobian[density.rows]
    if not len(density.rows):
        raise ValueError("loo has no row to leave out: each of them holds a missing value.")
    posterior = inner.model.posterior_
    n_draws = int(np.prod(posterior.parts[0].shape))
    length, strict = _tail(posterior, n_draws)
    with Progress(
        len(density.rows) * density.n_responses, inner.model.progressbar, doing="leave-one-out"
    ) as progress:
        found = _in_pieces(density, length, strict, inner.model.n_jobs, progress)

    weights = np.ones(len(density.rows)) if density.weights is None else density.weights
    # Several responses are left out one by one, and a row's share is their sum.
    pareto_k = found[1].max(axis=1)
    # The density of y is that of transformed y times a number for each row, which all draws share.
    elpd_i, in_sample = found[0].sum(axis=1) + jacobian, found[2].sum(axis=1) + jacobian
    result = LooResult(
        elpd=float(weights @ elpd_i),
        se=standard_error(elpd_i, weights),
        p=float(weights @ (in_sample - elpd_i)),
        elpd_i=elpd_i,
        pareto_k=pareto_k,
        good_k=float(reliable_k(n_draws)),
        n_rows=float(weights.sum()),
        rows=density.rows,
        weights=weights,
        n_draws=n_draws,
    )
    return result, density.observed if observed is None else observed


def _tail(posterior: Any, n_draws: int) -> tuple[int, bool]:
    """Return how many weights are smoothed, and whether only those count that exceed all others, as ArviZ has it.

    ArviZ before 1.0 rounds up, later versions down.
    """
    strict = arviz_version() < 1
    ess = posterior.diagnostics.ess_mean
    efficiency = 1.0 if posterior.parts[0].shape[0] == 1 else float(ess.mean()) / n_draws
    length = tail_length(n_draws, efficiency)
    whole = math.ceil(length) if strict else math.floor(length)
    if n_draws < 2 or (whole < 5 and not strict):
        raise ValueError(f"PSIS-LOO of {n_draws} draws has too short a tail: increase draws.")
    return whole, strict


def _in_pieces(
    density: PointwiseDensity, length: int, strict: bool, n_jobs: int | None, progress: Progress
) -> np.ndarray:
    """Return elpd, shape and log density of all rows and responses, shape (3, n, k), piece by piece in threads."""
    n = len(density.rows)
    found = np.full((3, n, density.n_responses), np.nan)
    starts = [(j, start) for j in range(density.n_responses) for start in range(0, n, ROWS_A_PIECE)]
    done, stopped = [0] * len(starts), Event()

    def piece(number: int) -> None:
        j, start = starts[number]
        for rows, terms in density.blocks(j, slice(start, start + ROWS_A_PIECE)):
            if stopped.is_set():
                return
            found[:, start + rows, j] = leave_one_out(np.ascontiguousarray(terms), length, strict)
            done[number] += len(rows)

    progress.begin(1, None)
    # Products of a block of rows with all draws are small: threads of BLAS would wait for each other.
    with one_blas_thread():
        in_threads(
            [partial(piece, number) for number in range(len(starts))],
            thread_count(n_jobs, len(starts)),
            on_wait=lambda: progress.update(sum(done)),
            on_failure=stopped.set,
        )
    return found


def standard_error(shares: np.ndarray, weights: np.ndarray) -> float:
    """Return the standard error of the sum over rows of which each counts as often as it weighs."""
    size = weights.sum()
    squares = weights @ (shares - weights @ shares / size) ** 2
    return float(np.sqrt(size * squares / (size - 1.0))) if size > 1.0 else np.nan

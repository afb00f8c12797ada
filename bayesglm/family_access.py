"""What a fitted estimator with any likelihood hands out of its posterior: draws for ArviZ, the summary table."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bayesglm import family_prediction
from bayesglm.arviz_export import NAMINGS
from bayesglm.family_report import family_summary
from bayesglm.family_rows import FamilyRows
from bayesglm.posterior_access import PosteriorAccess
from bayesglm.prediction import Blocks, PointwiseDensity
from bayesglm.report import SummaryTable
from bayesglm.row_arguments import ROW_ARGUMENTS, refuse_lost_trials
from bayesglm.snapshot import of_one_fit
from bayesglm.validation import check_bool, check_choice, check_fraction, check_memory, check_weights


class FamilyAccess(FamilyRows, PosteriorAccess):
    """Draws, ArviZ objects and the summary of the estimators with any likelihood."""

    _family: Any

    @of_one_fit
    def to_arviz(
        self,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        prior: bool = False,
        names: str = "coef",
        random_state: Any = None,
        **row_arguments: Any,
    ) -> Any:
        """Return everything that ArviZ's comparisons, predictive checks and sensitivity analyses need.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p), optional
            The training data or others. None: only what needs no rows.
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
            Those of `fit`: the log likelihood of a row that counts as w rows is w times as large.
        prior : bool, default=False
            Add ``prior`` and ``prior_predictive``, as many draws as the posterior has.
        names : {"coef", "terms"}, default="coef"
            "coef": coefficients are one variable, ``coef``, with the dimension ``feature``. "terms": each is a variable
            of its own under its own name, as in PyMC: ``x``, ``C(g)[T.b]``. There ``/`` becomes ``_``, and a name that
            means something else (``sigma``, ``phi``, ``Intercept``, ``coef``, ``class`` and the like) gets a ``_`` at
            its end.
        random_state : None, int, RandomState or Generator, default=None
            Of the predictive draws; None: the same as in `fit`.
        **row_arguments
            ``offset``, ``exposure``, ``trials`` and ``standard_error``, as in `fit`.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            With groups ``posterior``, ``sample_stats``, ``posterior_predictive``, ``log_likelihood``,
            ``log_prior``, ``observed_data`` and ``constant_data`` (without X if that is sparse); without rows,
            ``posterior`` and ``sample_stats``. Classes are numbered in the order of ``classes_``. Rows with missing
            values are left out.
        """
        check_choice(names, "names", NAMINGS)
        unknown = [name for name in row_arguments if name not in ROW_ARGUMENTS]
        if unknown:
            raise TypeError(
                f"to_arviz has no argument {unknown[0]!r}: what rows bring are {', '.join(ROW_ARGUMENTS)}."
            )
        if X is None:
            of_rows = {"y": y, "sample_weight": sample_weight, **row_arguments}
            return self._without_rows(of_rows, prior, names, random_state)
        rows, observed, weights, offset, extra, kept = self._complete_rows(X, y, sample_weight, row_arguments)
        check_bool(prior, "prior")
        part = self.posterior_.parts[0]
        size = int(np.prod(part.shape))
        K = self._family.n_predictors
        check_memory(
            (8.0 if prior else 5.0) * size * rows.shape[0] * K,
            f"to_arviz with {rows.shape[0]} rows and {size} draws",
            "give fewer rows, or fit with fewer draws",
        )
        rng = self._predictive_rng(random_state)
        response = self._shown_response
        eta, aux = self._predictors(part.draws, rows, offset)
        log_likelihood = self._family.logpdf(observed, eta, aux, extra)
        groups = {
            "posterior": dict(part.draws),
            "posterior_predictive": {response: self._family.draw(rng, eta, aux, extra)},
            "log_likelihood": {response: _weighted(log_likelihood, weights)},
            "observed_data": {response: observed},
            "constant_data": {
                **({"X": rows} if isinstance(rows, np.ndarray) else {}),
                **({} if weights is None else {"sample_weight": weights}),
                **({} if offset is None else {"offset": offset}),
                **({} if extra is None else {str(self._family.extra): extra}),
            },
            "log_prior": part.prior_set.log_density(part.draws, self._x_mean),
            "sample_stats": part.stats,
        }
        if prior:
            groups["prior"] = self._prior_draws(part, rng)
            eta, aux = self._predictors(groups["prior"], rows, offset)
            groups["prior_predictive"] = {response: self._family.draw(rng, eta, aux, extra)}
        return self._export(groups, names, kept)

    @of_one_fit
    def summary(self, coverage: float = 0.9, scale: str = "link") -> SummaryTable:
        """Return the table of parameters: moments, intervals, effective sizes, R-hat; prints well.

        Parameters
        ----------
        coverage : float, default=0.9
            Of the equal-tailed intervals.
        scale : {"link", "response"}, default="link"
            "response": coefficients as what they do to the response, exp(coef): odds ratios with a logit link,
            ratios of means with a log link, of hazards with a cloglog link; the intercept as the response where all
            predictors are zero.
        """
        check_is_fitted(self)
        check_fraction(coverage, "coverage")
        formula = None if self._design is None else self._design.formula
        return family_summary(
            self.posterior_.parts[0],
            self._family,
            type(self).__name__,
            formula,
            self._responses[0],
            coverage,
            scale,
        )

    # -- inside --------------------------------------------------------------------------------------

    def _complete_rows(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any, row_arguments: dict[str, Any]
    ) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray]:
        """Return design matrix, response, weights, offset and extra of complete rows, and which they are."""
        rows, observed = self._rows_and_response(X, y)
        offset, extra = self._row_arguments(X, rows.shape[0], row_arguments)
        refuse_lost_trials(self._family, observed, extra)
        weights = check_weights(sample_weight, rows.shape[0])
        kept = np.isfinite(observed)
        if isinstance(rows, np.ndarray):
            kept &= np.all(np.isfinite(rows), axis=1)
        for more in (offset, extra):
            kept &= True if more is None else np.isfinite(more)
        offset, extra, weights = (None if a is None else a[kept] for a in (offset, extra, weights))
        return rows[kept], observed[kept], weights, offset, extra, np.flatnonzero(kept)

    @of_one_fit
    def _pointwise(self, X: Any, y: Any, sample_weight: Any, **row_arguments: Any) -> PointwiseDensity:
        """Return the log densities of observed rows under each draw."""
        rows, observed, weights, offset, extra, kept = self._complete_rows(X, y, sample_weight, row_arguments)
        source = self._source()

        def blocks(_: int, here: slice) -> Blocks:
            more = (None if a is None else a[here] for a in (offset, extra))
            return family_prediction.log_likelihoods(source, rows[here], observed[here], *more)

        return PointwiseDensity(observed, kept, weights, 1, blocks)

    def _predictors(self, draws: Any, rows: Any, offset: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return linear predictors (chain, draw, n[, K]) and auxiliary parameters that broadcast against them."""
        coef = draws["coef"]
        lead = coef.shape[:-1]
        flat = coef.reshape(int(np.prod(lead)), coef.shape[-1])
        eta = np.asarray((rows @ flat.T).T).reshape(*lead, rows.shape[0])
        if "Intercept" in draws:
            eta = eta + draws["Intercept"][..., np.newaxis]
        if self._family.n_predictors > 1:
            eta = np.moveaxis(eta, 2, -1)  # classes last
            reached = self.posterior_.parts[0].prior_set.reached
            offset = None if offset is None else offset[:, np.newaxis] * reached
        if offset is not None:
            eta = eta + offset
        return eta, {name: draws[name][..., np.newaxis] for name in self._family.aux}


def _weighted(log_likelihood: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return log likelihoods times weights; a row without weight says nothing, even where it is impossible."""
    if weights is None:
        return log_likelihood
    return np.asarray(np.where(weights > 0.0, log_likelihood, 0.0) * weights)

"""What predictions of any likelihood begin with: rows, what they bring besides predictors, posterior draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesglm import family_prediction
from bayesglm.family_prediction import FamilySource
from bayesglm.formula import FormulaDesign
from bayesglm.kernel.family import Family
from bayesglm.predictor import read_rows, read_rows_and_response
from bayesglm.row_arguments import (
    ROW_ARGUMENTS,
    named_columns,
    refuse_lost_trials,
    refuse_offset_of_all,
    row_arguments,
)
from bayesglm.snapshot import of_one_fit


class FamilyRows:
    """Base of what the estimators with any likelihood say of new rows; not for use by itself."""

    posterior_: Any
    _design: FormulaDesign | None
    _family: Family
    _row_names: dict[str, str]

    @of_one_fit
    def log_predictive_density(
        self,
        X: Any,
        y: Any = None,
        *,
        offset: Any = None,
        exposure: Any = None,
        trials: Any = None,
        standard_error: Any = None,
    ) -> np.ndarray:
        """Return the log density, or probability, of each observation under the posterior predictive distribution.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        offset, exposure, trials, standard_error : array-like of shape (n,), float or str, optional
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        rows, observed, offset, extra = self._observed_rows(X, y, (offset, exposure, trials, standard_error))
        return family_prediction.log_density(self._source(), rows, observed, offset, extra)

    # -- inside --------------------------------------------------------------------------------------

    def _source(self) -> FamilySource:
        """Return the draws, the chains one after another."""
        part = self.posterior_.parts[0]
        size = int(np.prod(part.shape))
        flat = {name: values.reshape(size, *values.shape[2:]) for name, values in part.draws.items()}
        return FamilySource(
            self._family,
            flat["coef"],
            flat.get("Intercept", 0.0),
            {name: flat[name] for name in self._family.aux},
            part.prior_set.reached if self._family.n_predictors > 1 else 1.0,
        )

    def _rows(self, X: Any) -> Any:
        """Return the rows of X as the design matrix without the intercept, shape (n, p)."""
        return read_rows(self, X)

    def _rows_and_response(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        """Return design matrix and response (n,) of X, the latter from the formula if y is None."""
        rows, observed = read_rows_and_response(self, X, y)
        return rows, observed[:, 0]

    def _row_arguments(self, X: Any, n: int, given: dict[str, Any]) -> tuple[Any, Any]:
        """Return offset and extra of rows, from columns of X where `fit` was told their names."""
        known = {**self._row_names, **{name: value for name, value in given.items() if value is not None}}
        offset, extra = row_arguments(self._family, n, **named_columns(known, X, self._design))
        refuse_offset_of_all(self.posterior_.parts[0].prior_set, offset)
        return offset, extra

    def _new_rows(self, X: Any, given: tuple[Any, ...], rows: Any = None) -> tuple[Any, Any, Any]:
        """Return design matrix, offset and extra; ``given`` are the row arguments in their order."""
        rows = self._rows(X) if rows is None else rows
        offset, extra = self._row_arguments(X, rows.shape[0], dict(zip(ROW_ARGUMENTS, given, strict=True)))
        return rows, offset, extra

    def _observed_rows(self, X: Any, y: Any, given: tuple[Any, ...]) -> tuple[Any, np.ndarray, Any, Any]:
        """Return design matrix, response (n,), offset and extra of rows that have been observed."""
        rows, observed = self._rows_and_response(X, y)
        _, offset, extra = self._new_rows(X, given, rows)
        refuse_lost_trials(self._family, observed, extra)
        return rows, observed, offset, extra

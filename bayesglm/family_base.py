"""What the estimators of the general route share: validate, read the rows, choose priors, sample, store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import column_or_1d

from bayesglm import family_model_data
from bayesglm.argument_types import MatrixLike
from bayesglm.callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from bayesglm.family_access import FamilyAccess
from bayesglm.fitting import Fitting, ImproperError, added_up, tell
from bayesglm.formula import FormulaDesign
from bayesglm.formula_names import list_names
from bayesglm.hints import Elsewhere, named
from bayesglm.inference.constant_sums import constant_sums_of_rows
from bayesglm.inference.family_priors import resolve_family
from bayesglm.inference.general_route import GeneralRoute
from bayesglm.inference.posterior import Posterior
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.regression_data import RegressionData, regression_data
from bayesglm.inference.sampling import seed_sequence
from bayesglm.inference.whitening import UndeterminedError
from bayesglm.kernel.family import Family
from bayesglm.parallel import one_blas_thread
from bayesglm.row_arguments import named_columns, refuse_missing, refuse_offset_of_all, row_arguments
from bayesglm.saving import Saving
from bayesglm.validation import (
    check_arrays,
    check_bool,
    check_choice,
    check_draws,
    check_settings,
    check_weights,
    raise_not_finite,
    response_names,
)

EXACT_FIT = (
    "The data are fitted to rounding error: the coefficients are exact, and the noise is no more than the resolution "
    "of the numbers."
)


class Rows(NamedTuple):
    """The rows of a fit as arrays: predictors, response, weights, and which rows of the input they are."""

    X: Any
    y: np.ndarray
    weights: np.ndarray | None
    kept: np.ndarray | None


class FamilyModel(CallbackSupportMixin, Fitting, FamilyAccess, Saving):
    """Base of the estimators with any likelihood; not for use by itself. Arguments are those of the subclasses."""

    formula: str | None
    formula_namespace: Mapping[str, Any] | None
    formula_strict: bool
    _data: ClassVar[Any] = family_model_data
    weights_type = "frequency"
    coef_: np.ndarray
    intercept_: Any

    partial_fit: Any = Elsewhere(
        "the likelihood of all rows is needed at once, since only BayesianLinearRegression can sum rows up; fit it to "
        "all of them"
    )

    @named
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | str | None = None,
        exposure: ArrayLike | str | None = None,
        trials: ArrayLike | str | None = None,
        standard_error: ArrayLike | str | None = None,
    ) -> Self:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
            Predictors; with a formula, a pandas or polars data frame or a mapping of columns.
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
            Frequencies: a row of weight k counts as k equal rows.
        offset : array-like of shape (n,) or str, optional
            Added to the linear predictor. This argument and the following ones can be the name of a column of the
            frame, if there is a formula; predictions then look for it in theirs.
        exposure : array-like of shape (n,) or str, optional
            Of counts: the time, area or number that a mean is proportional to; an offset of its logarithm.
        trials : array-like of shape (n,) or str, optional
            Of the binomial family: the number of trials of each row.
        standard_error : array-like of shape (n,) or str, optional
            Of the Gaussian family: known standard errors of the responses, whose squares add to sigma².

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            In one sentence that names the parameter, column, term or row. The estimator is then as before.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the draws cannot be trusted, with the remedy.
        UserWarning
            If rows with missing values were left out, counts are no whole numbers, or columns add up to a constant
            beside an intercept.
        """
        given = {"offset": offset, "exposure": exposure, "trials": trials, "standard_error": standard_error}
        with self._all_or_nothing() as work:
            texts = work._fit(X, y, sample_weight, given)
        tell(texts, work.posterior_)
        return self

    @with_callbacks
    def _fit(self, X: Any, y: Any, sample_weight: Any, given: dict[str, Any]) -> list[str]:
        tasks = FitTasks(self, X, y, sample_weight)
        settings = check_settings(self)
        sampler = check_choice(self.sampler, "sampler", ("auto", "nuts"))
        dtype = check_choice(self.dtype, "dtype", ("float64", "float32"))
        self._forget()
        self._row_names = {name: value for name, value in given.items() if isinstance(value, str)}
        X, y = self._encoded(X, y)
        rows = self._read(X, y, sample_weight)
        family = self._make_family(rows)
        n_input = rows.X.shape[0] if rows.kept is None else len(rows.kept)
        brought = named_columns(given, X, self._design)
        offset, extra = row_arguments(family, n_input, **brought)
        refuse_missing(brought, rows.kept)
        if rows.kept is not None:
            offset, extra = (None if a is None else a[rows.kept] for a in (offset, extra))
        p, K = len(self._features), family.n_predictors
        check_draws(settings.draws, settings.tune, settings.chains, K * (p + 1) + 2)
        with one_blas_thread():
            try:
                data = regression_data(
                    rows.X,
                    rows.y,
                    family,
                    weights=rows.weights,
                    extra=extra,
                    offset=offset,
                    intercept=self._wants_intercept(),
                    dtype=dtype,
                )
            except FloatingPointError:
                raise_not_finite(rows.X, rows.y, self._features)
            priors = self._bound_priors(data)
            refuse_offset_of_all(priors, offset)
            try:
                route = GeneralRoute(data, priors, sampler)
            except UndeterminedError as error:
                raise ImproperError(self._undetermined(data, error.columns)) from None
            posterior = route.sample(
                settings,
                seed_sequence(self.random_state),
                data,
                priors,
                self._features,
                tasks.part(0, 1),
                self._labels() or priors.labels_of_scales(self._terms),
            )
        self._keep(family, data.intercept, data.x_mean, route, posterior)
        tasks.end()
        remark = family.remark(rows.y)
        if (
            self.aux_
            and data.family.link == "identity"
            and next(iter(self.aux_.values())) < 1e-12 * data.spread
        ):
            remark = EXACT_FIT
        about_columns = added_up(
            posterior, data.x_mean, self._features, partial(constant_sums_of_rows, rows.X)
        )
        return [text for text in (remark, *about_columns) if text is not None]

    def _bound_priors(self, data: RegressionData) -> PriorSet:
        """Bind the priors to the data's scale; `bayesglm.testing` puts priors that stay in its place."""
        return resolve_family(
            data,
            self._features,
            self._terms,
            prior=self.prior,
            prior_scale=self.prior_scale,
            intercept_prior=self.intercept_prior,
            aux_priors=self._aux_priors(),
            center=self.center,
            positive=self.positive,
            reference=self._reference_class(),
        )

    # -- what subclasses say -------------------------------------------------------------------------

    def _make_family(self, rows: Rows) -> Family:
        """Return the likelihood that the parameters describe."""
        raise NotImplementedError

    def _aux_priors(self) -> dict[str, Any]:
        """Return the priors of auxiliary parameters that were given, by name."""
        return {}

    def _reference_class(self) -> int | None:
        """Return the number of the class whose coefficients are to be zero, if one was named."""
        return None

    def _labels(self) -> dict[str, tuple[str, ...]] | None:
        """Return what further axes of the draws stand for."""
        return None

    def _encoded(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return data whose response is numbers."""
        return X, y

    # -- inside --------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Forget what the rows seen so far were called."""
        for name in ("feature_names_in_", "n_features_in_", "_design", "_features", "_terms", "_responses"):
            self.__dict__.pop(name, None)

    def _takes_booleans(self) -> bool:
        """Whether a formula's response may hold booleans."""
        return False

    def _wants_intercept(self) -> bool:
        wanted = check_bool(self.fit_intercept, "fit_intercept")
        return wanted and (self._design is None or self._design.intercept)

    def _read(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Return the rows as finite numbers, and remember what their columns are called."""
        kept = None
        if self.formula is None:
            self._design, self._terms = None, {}
            rows, Y = check_arrays(self, X, y)
            self._features = tuple(
                getattr(self, "feature_names_in_", [f"x{i}" for i in range(rows.shape[1])])
            )
            rows = rows.astype(np.float64, copy=False)
            weights = check_weights(sample_weight, len(Y))
            with np.errstate(over="ignore", invalid="ignore"):
                total = rows.data.sum() if hasattr(rows, "toarray") else rows.sum()
            if not np.isfinite(total):
                raise_not_finite(rows, np.zeros(0), self._features, overflow=False)
            self._responses = response_names(y, Y)
        else:
            design, found = FormulaDesign.learn(
                self.formula,
                X,
                y,
                namespace=self.formula_namespace,
                intercept=check_bool(self.fit_intercept, "fit_intercept"),
                strict=check_bool(self.formula_strict, "formula_strict"),
                booleans=self._takes_booleans(),
            )
            self._design, self._terms, self._features = design, design.terms, design.columns
            self.n_features_in_ = len(design.variables)
            self.feature_names_in_ = np.asarray(design.variables, dtype=object)
            rows, Y, kept = found.X, found.y, found.kept
            weights = check_weights(sample_weight, len(kept))
            weights = None if weights is None else check_weights(weights[kept], len(Y))
            self._responses = (design.response,)
        if Y.ndim == 2:
            if Y.shape[1] > 1:
                raise ValueError(
                    f"y has shape {Y.shape}, but {type(self).__name__} takes one response: fit one model for each."
                )
            Y = column_or_1d(Y, warn=True)
            self._responses = self._responses[:1]
        raise_not_finite(None, Y, ())
        return Rows(rows, np.ascontiguousarray(Y, dtype=np.float64), weights, kept)

    def _keep(
        self, family: Family, intercept: bool, x_mean: np.ndarray, route: GeneralRoute, posterior: Posterior
    ) -> None:
        """Set the fitted attributes."""
        self._family, self._routes, self.posterior_ = family, (route,), posterior
        self._intercept, self._x_mean = intercept, x_mean
        means = posterior.means()
        self._set_coefficients(np.array(means["coef"]), means.get("Intercept", 0.0))
        self.aux_ = {name: float(means[name]) for name in family.aux}
        for name, value in self.aux_.items():
            setattr(self, f"{name}_", value)

    def _set_coefficients(self, coef: np.ndarray, intercept: Any) -> None:
        self.coef_, self.intercept_ = coef, float(intercept)

    def _undetermined(self, data: RegressionData, columns: np.ndarray) -> str:
        """Say what a flat prior leaves undetermined."""
        if len(columns):
            shown = list_names([self._features[i] for i in columns])
            reason = (
                f"the {data.n_rows} rows do not tell the coefficients of {shown} apart or say nothing of them"
            )
        else:
            reason = (
                "the data push coefficients to infinity, as where a predictor separates the classes or a level of a "
                "factor has only zeros"
            )
        return (
            f"prior: {reason}, and a flat prior does not help: leave columns out, or give a proper prior such as "
            "Normal(0, 2.5, autoscale=True)."
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A formula with a left side needs no y.
        left, tilde, _ = str(self.formula or "").partition("~")
        tags.target_tags.required = not (tilde and left.strip())
        tags.input_tags.sparse = self.formula is None
        return tags

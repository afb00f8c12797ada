"""What the estimators share: validate, summarise, choose a route, sample, store, predict."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bayesglm import prediction
from bayesglm.arviz_export import gaussian_groups, to_arviz
from bayesglm.crps import crps
from bayesglm.formula import FormulaDesign
from bayesglm.inference.gaussian import NotIdentifiedError
from bayesglm.inference.posterior import Posterior
from bayesglm.inference.prior_set import PriorSet, resolve
from bayesglm.inference.route import Route, warn
from bayesglm.inference.sampling import Settings, seed_sequence
from bayesglm.inference.sufficient import Summary, summarize
from bayesglm.parallel import one_blas_thread
from bayesglm.report import SummaryTable, summary_table
from bayesglm.validation import (
    check_arrays,
    check_bool,
    check_draws,
    check_fraction,
    check_int,
    check_memory,
    check_response,
    check_rows,
    check_settings,
    check_weights,
    constant_response,
    not_identified,
    raise_not_finite,
)

#: Which child of the seed predictive draws use: far beyond any number of chains.
PREDICTIVE_STREAM = 1 << 20


class BayesianRegressor(RegressorMixin, BaseEstimator):
    """Base of the regressors; not for use by itself. Arguments are those of the subclasses."""

    # scikit-learn's metadata routing: return_std passes through pipelines without being asked for.
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"return_std": True}

    formula: str | None
    formula_namespace: Mapping[str, Any] | None
    coef_: np.ndarray
    intercept_: float
    sigma_: float
    posterior_: Posterior

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> BayesianRegressor:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
            Predictors; with a formula, a pandas or polars data frame or a mapping of columns.
        y : array-like of shape (n,), optional
            Response. Not needed if the formula has a left side; if both are given, ``y`` is used, and the
            left side must be a bare name.
        sample_weight : array-like of shape (n,), optional
            Frequencies: a row of weight k counts as k equal rows. Not a precision; and weights scaled to sum
            to 1 make all rows together count as one.

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
            If rows with missing values were left out, or y is fitted to rounding error.
        """
        with self._unchanged_on_failure():
            settings = check_settings(self)
            design, arrays, names, terms, weights = self._read(X, y, sample_weight)
            check_draws(settings.draws, settings.tune, settings.chains, len(names) + 2)
            intercept = check_bool(self.fit_intercept, "fit_intercept") and (
                design is None or design.intercept
            )
            with one_blas_thread():
                try:
                    summary = summarize(
                        arrays[0], arrays[1], weights, intercept=intercept, n_threads=settings.n_threads
                    )
                except FloatingPointError:
                    raise_not_finite(arrays[0], arrays[1], names)
                self._sample(summary, settings, names, terms)
            self._design = design
        exact_fit = self.posterior_.prior_set.exact_fit
        if summary.y_sd == 0.0:
            warnings.warn(constant_response(summary, exact_fit), UserWarning, stacklevel=2)
        elif exact_fit:
            warnings.warn(
                "The data are fitted to rounding error: the coefficients are exact, and sigma is no more than the "
                "resolution of the numbers, its prior being replaced by a half-Student-t of that scale.",
                UserWarning,
                stacklevel=2,
            )
        warn(self.posterior_)
        return self

    # -- prediction ----------------------------------------------------------------------------------

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean of the posterior predictive distribution, row by row and without randomness.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
        return_std : bool, default=False
            Return the standard deviation of a new observation as well, noise included.

        Returns
        -------
        mean : ndarray of shape (n,)
            With a formula, NaN for a row that holds a missing value.
        std : ndarray of shape (n,)
            Only with ``return_std``.
        """
        rows = self._rows(X)
        mean = rows @ self.coef_ + self.intercept_
        if not return_std:
            return mean
        exact = self.posterior_.exact
        return mean, (prediction.moments(self._mixture(), rows) if exact is None else exact.moments(rows))[1]

    def predict_interval(self, X: Any, coverage: float = 0.9, kind: str = "response") -> np.ndarray:
        """Return equal-tailed intervals.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
        coverage : float, default=0.9
            Probability inside.
        kind : {"response", "mean"}, default="response"
            Of a new observation, or of the regression line.

        Returns
        -------
        ndarray of shape (n, 2)
        """
        return prediction.intervals(self._mixture(), self._rows(X), coverage, kind)

    def predict_quantiles(self, X: Any, q: Any, kind: str = "response") -> np.ndarray:
        """Return quantiles ``q`` of a new observation (or of the line) for every row, shape (n, len(q))."""
        return prediction.quantiles(self._mixture(), self._rows(X), q, kind)

    def sample_predictive(
        self, X: Any, draws: int | None = None, kind: str = "response", random_state: Any = None
    ) -> np.ndarray:
        """Draw from the posterior predictive distribution.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
        draws : int, optional
            None: one for every posterior draw.
        kind : {"response", "mean"}, default="response"
            New observations, or regression lines.
        random_state : None, int, RandomState or Generator

        Returns
        -------
        ndarray of shape (draws, n)
        """
        rows = self._rows(X)
        if draws is not None:
            check_int(draws, "draws", 1)
            check_memory(
                3.0 * draws * len(rows), f"draws={draws} of {len(rows)} rows", "ask for fewer at a time"
            )
        rng = np.random.default_rng(seed_sequence(random_state))
        return prediction.draw(*self.posterior_.flat(), rows, draws, kind, rng)

    def log_predictive_density(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the log density of each observation under the posterior predictive distribution, shape (n,)."""
        rows, observed = self._rows_and_response(X, y)
        return prediction.log_density(self._mixture(), rows, observed)

    def crps(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the continuous ranked probability score of each observation, shape (n,); lower is better."""
        rows, observed = self._rows_and_response(X, y)
        return crps(self._mixture(), rows, observed)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R² of the predictions, as scikit-learn's regressors do.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
        """
        check_is_fitted(self)
        if self._design is None and y is not None:
            return super().score(X, y, sample_weight)
        rows, observed = self._rows_and_response(X, y)
        kept = np.isfinite(observed) & np.all(np.isfinite(rows), axis=1)
        weights = check_weights(sample_weight, len(kept))
        from sklearn.metrics import r2_score

        fitted = rows[kept] @ self.coef_ + self.intercept_
        return float(
            r2_score(observed[kept], fitted, sample_weight=None if weights is None else weights[kept])
        )

    # -- posterior -----------------------------------------------------------------------------------

    def sample_posterior(self, draws: int | None = None, random_state: Any = None) -> Any:
        """Return posterior draws as an ArviZ object.

        Parameters
        ----------
        draws : int, optional
            None: the draws of `fit`. A number: that many new ones a chain, the chains going on from where
            `fit` left them, without new warm-up. The estimator does not change, so the same call gives
            the same draws; another ``random_state`` gives others.
        random_state : None, int, RandomState or Generator
            Of the new draws.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            On ArviZ 0.x and 1.x, with groups ``posterior`` and ``sample_stats``.
        """
        check_is_fitted(self)
        found, stats = self._draws(draws, random_state)
        return self._export({"posterior": found, "sample_stats": stats})

    def to_arviz(
        self,
        X: Any,
        y: Any = None,
        *,
        prior: bool = False,
        random_state: Any = None,
    ) -> Any:
        """Return everything that ArviZ's comparisons, predictive checks and sensitivity analyses need.

        Parameters
        ----------
        X : array-like or data frame of shape (n, p)
            The training data, which the estimator does not keep, or others.
        y : array-like of shape (n,), optional
            Not needed if the formula has a left side.
        prior : bool, default=False
            Add ``prior`` and ``prior_predictive``, as many draws as the posterior has.
        random_state : None, int, RandomState or Generator, default=None
            Of the predictive draws; None: the same as in `fit`.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            With groups ``posterior``, ``sample_stats``, ``posterior_predictive``, ``log_likelihood``,
            ``log_prior``, ``observed_data`` and ``constant_data``. With a formula, rows with missing values
            are left out; the others keep their numbers. Every row counts once: weights of the fit are not in
            ``log_likelihood``.
        """
        rows, observed = self._rows_and_response(X, y)
        kept = np.isfinite(observed) & np.all(np.isfinite(rows), axis=1)
        rows, observed = rows[kept], observed[kept]
        check_bool(prior, "prior")
        size = self.posterior_.draws["sigma"].size
        check_memory(
            (8.0 if prior else 5.0) * size * len(rows),
            f"to_arviz with {len(rows)} rows and {size} draws",
            "give fewer rows, or fit with fewer draws",
        )
        entropy = self.posterior_.entropy if random_state is None else seed_sequence(random_state).entropy
        rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(PREDICTIVE_STREAM,)))
        drawn = None
        if prior:
            drawn = self.posterior_.prior_set.draw(rng, self.posterior_.draws["sigma"].size, self._x_mean)
        groups = gaussian_groups(self.posterior_.draws, rows, observed, self._response, rng, drawn)
        groups["sample_stats"] = self.posterior_.stats
        groups["log_prior"] = self.posterior_.prior_set.log_density(self.posterior_.draws, self._x_mean)
        return self._export(groups, np.flatnonzero(kept))

    def summary(self, coverage: float = 0.9) -> SummaryTable:
        """Return the table of parameters: moments, intervals, effective sizes, R-hat; prints well.

        Parameters
        ----------
        coverage : float, default=0.9
            Of the equal-tailed intervals.
        """
        check_is_fitted(self)
        check_fraction(coverage, "coverage")
        formula = None if self._design is None else self._design.formula
        return summary_table(self.posterior_, type(self).__name__, formula, self._response, coverage)

    # -- scikit-learn --------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A formula with a left side needs no y.
        left, tilde, _ = str(self.formula or "").partition("~")
        tags.target_tags.required = not (tilde and left.strip())
        return tags

    # -- inside --------------------------------------------------------------------------------------

    @contextmanager
    def _unchanged_on_failure(self) -> Iterator[None]:
        """Put the estimator back as it was if anything goes wrong, Ctrl-C included."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, tuple, tuple[str, ...], dict, Any]:
        """Return (design, (X, y), column names, terms, weights) from whatever came in."""
        if self.formula is None:
            for name in ("feature_names_in_", "n_features_in_"):
                self.__dict__.pop(name, None)
            arrays = check_arrays(self, X, y)
            names = tuple(getattr(self, "feature_names_in_", [f"x{i}" for i in range(arrays[0].shape[1])]))
            series = getattr(y, "name", None)
            self._response = series if isinstance(series, str) and series else "y"
            return None, arrays, names, {}, check_weights(sample_weight, len(arrays[1]))
        design, data = FormulaDesign.learn(
            self.formula,
            X,
            y,
            namespace=self.formula_namespace,
            intercept=check_bool(self.fit_intercept, "fit_intercept"),
        )
        weights = check_weights(sample_weight, len(data.kept))
        columns = [str(name) for name in (X.columns if hasattr(X, "columns") else X)]
        self.n_features_in_ = len(columns)
        self.feature_names_in_ = np.asarray(columns, dtype=object)
        self._response = design.response
        kept = None if weights is None else check_weights(weights[data.kept], int(data.kept.sum()))
        return design, (data.X, data.y), design.columns, design.terms, kept

    def _sample(self, summary: Summary, settings: Settings, names: tuple[str, ...], terms: dict) -> None:
        """Bind the priors, sample and set the fitted attributes."""
        priors: PriorSet = resolve(
            summary,
            names,
            terms,
            prior=self.prior,
            prior_scale=self.prior_scale,
            intercept_prior=self.intercept_prior,
            sigma_prior=self.sigma_prior,
            center=self.center,
            positive=self.positive,
        )
        try:
            route = Route(summary, priors)
        except NotIdentifiedError as error:
            raise ValueError(not_identified(summary, names, error.columns)) from None
        except ArithmeticError:
            raise ValueError(
                f"sigma_prior={priors.sigma.resolved()} leaves sigma without a proper posterior for {summary.n_rows} "
                f"rows and {summary.rank + summary.intercept} coefficients that the data determine: give a proper "
                "prior such as HalfNormal, or more rows."
            ) from None
        posterior = route.sample(settings, self.random_state, summary, priors, names)
        self._route = route
        self._x_mean = summary.x_mean
        self.posterior_ = posterior
        exact = posterior.exact
        means = (
            exact.mean if exact is not None else {k: v.mean(axis=(0, 1)) for k, v in posterior.draws.items()}
        )
        # A copy begins where memory is aligned, as after unpickling, so that products round the same.
        self.coef_ = np.array(means["coef"])
        self.intercept_ = float(means.get("Intercept", 0.0))
        self.sigma_ = float(means["sigma"])
        self.rank_ = summary.rank

    def _rows(self, X: Any) -> np.ndarray:
        """Return the rows of X as the design matrix without the intercept."""
        check_is_fitted(self)
        if self._design is None:
            return check_rows(self, X)
        return self._design.transform(X)

    def _rows_and_response(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return design matrix and response of X, the latter from the formula if y is None."""
        rows = self._rows(X)
        if y is None:
            if self._design is None or not self._design.has_response:
                raise ValueError("y is None: give the observed responses of the rows of X.")
            return rows, self._design.response_of(X)
        observed = check_response(y, len(rows))
        if self._design is None:
            raise_not_finite(None, observed, ())
        return rows, observed

    def _mixture(self) -> prediction.MixtureSource:
        """Return the predictive distribution: exact where it is known, else that of the draws."""
        check_is_fitted(self)
        return self.posterior_.exact or prediction.DrawSource(*self.posterior_.flat())

    def _draws(self, draws: int | None, random_state: Any) -> tuple[dict, dict]:
        posterior = self.posterior_
        if draws is None:
            if random_state is not None:
                raise ValueError("random_state is for new draws: give draws as well, or leave it out.")
            return posterior.draws, posterior.stats
        check_int(draws, "draws", 1)
        check_draws(draws, None, posterior.settings.chains, len(posterior.names))
        with one_blas_thread():
            return self._route.more(draws, posterior.settings, random_state)

    def _export(self, groups: dict, observations: np.ndarray | None = None) -> Any:
        posterior = self.posterior_
        return to_arviz(
            groups,
            features=posterior.features,
            observations=observations,
            response=self._response,
            attrs={
                "sampling_time": posterior.seconds,
                "tuning_steps": posterior.tune,
                "sampler": posterior.how,
                "modeling_interface": type(self).__name__,
            },
        )

"""What the estimators share: validate, read the data once, choose a route, sample, store; update and merge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from bayesglm.argument_types import MatrixLike
from bayesglm.callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from bayesglm.fitting import Fitting, ImproperError, about_the_fit, added_up, tell
from bayesglm.formula import FormulaDesign
from bayesglm.formula_data import learnt_the_same
from bayesglm.formula_names import list_names
from bayesglm.hints import named
from bayesglm.inference.constant_sums import constant_sums_of
from bayesglm.inference.gaussian import NotIdentifiedError
from bayesglm.inference.moments import Moments, gather, merge
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.inference.prior_set import PriorSet, resolve
from bayesglm.inference.route import Route
from bayesglm.inference.sampling import Settings, seed_sequence
from bayesglm.inference.sufficient import OutOfRangeError, Summary, summaries
from bayesglm.parallel import one_blas_thread
from bayesglm.posterior_access import PosteriorAccess
from bayesglm.predictor import PosteriorPredictor, far_level, source_of
from bayesglm.saving import Saving
from bayesglm.snapshot import snapshot
from bayesglm.validation import (
    check_arrays,
    check_bool,
    check_choice,
    check_draws,
    check_settings,
    check_weights,
    not_identified,
    raise_not_finite,
    raise_out_of_range,
    response_names,
)

#: Which child of the seed the first of several responses uses: far beyond any number of chains.
RESPONSE_STREAM = 1 << 21


class BayesianRegressor(CallbackSupportMixin, Fitting, PosteriorPredictor, PosteriorAccess, Saving):
    """Base of the regressors; not for use by itself. Arguments are those of the subclasses."""

    formula: str | None
    formula_namespace: Mapping[str, Any] | None
    formula_strict: bool
    sigma_: float | np.ndarray
    _features: tuple[str, ...]
    _terms: dict[str, list[int]]
    _shape: tuple[int, ...]
    # What weights of the rows seen so far mean, which a parameter set since does not change.
    _weighted_as: str

    @named
    def fit(self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Sample the posterior.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
            Predictors; with a formula, a pandas or polars data frame or a mapping of columns.
        y : array-like of shape (n,) or (n, k), optional
            Response, or k responses, each with a posterior of its own. Not needed if the formula has a left
            side; if both are given, ``y`` is used, and the left side must be a bare name.
        sample_weight : array-like of shape (n,), optional
            Frequencies, a row of weight k counting as k equal rows, unless ``weights_type="precision"``.

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
            If rows with missing values were left out, y is fitted to rounding error, or columns add up to a constant
            beside an intercept.
        """
        with self._all_or_nothing() as work:
            texts = work._fit(X, y, sample_weight)
        tell(texts, work.posterior_)
        return self

    @with_callbacks
    def _fit(self, X: Any, y: Any, sample_weight: Any) -> list[str]:
        tasks = FitTasks(self, X, y, sample_weight)
        settings = check_settings(self)
        self._forget()
        moments = self._read(X, y, sample_weight, settings)
        texts = self._sample(moments, settings, tasks)
        tasks.end()
        return texts

    @named
    def partial_fit(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Add rows to those seen so far and sample the posterior of all.

        However the rows are divided, the posterior is that of one `fit` to all of them, to rounding: what is
        kept of them are their means and cross-products. A formula keeps what it learnt from the first rows:
        levels of factors, knots of splines, the mean in ``center(x)``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`; and if ``weights_type`` is not that of the rows before, unless their weights are all 1. The
            estimator is then as before, without these rows.
        RuntimeError
            If another thread has fitted the estimator in the meantime, whose rows would be lost.

        Warns
        -----
        UserWarning
            If the rows so far do not determine the coefficients and a flat prior does not help. The rows are kept,
            and the estimator is fitted as soon as there are enough.
        """
        with self._all_or_nothing(adding=True) as work:
            settings = check_settings(work)
            before: Moments | None = work.__dict__.get("_moments")
            if before is None and "posterior_" in work.__dict__:
                _moments_of(work, "this estimator")
            if before is None:
                work._forget()
            else:
                _check_meaning(work, work, "the rows before")
            moments = work._read(X, y, sample_weight, settings, before)
            try:
                texts = work._sample(moments, settings)
            except ImproperError as error:
                work._unfit()
                texts = [f"Not fitted yet, so give more rows: {error}"]
        tell(texts, work.__dict__.get("posterior_"))
        return self

    @named
    def merge(self, *others: BayesianRegressor) -> Self:
        """Sample the posterior of the rows of this estimator and of others, fitted to other rows.

        To rounding it is that of one `fit` to all of the rows; nobody needs to hold them all.

        Parameters
        ----------
        *others : estimators
            Fitted to the same predictors and responses. They do not change. Priors and settings are this
            estimator's.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If one of them is no such estimator or not fitted, or has seen other columns, or if its formula has
            learnt something else, or if its weights mean something else (``weights_type``), unless they are
            all 1. The estimator is then as before.
        RuntimeError
            If another thread has fitted the estimator in the meantime, whose rows would be lost.
        """
        with self._all_or_nothing(adding=True) as work:
            moments = _moments_of(work, "this estimator")
            _check_meaning(work, work, "this estimator")
            for i, other in enumerate(others):
                other = snapshot(other) if isinstance(other, BayesianRegressor) else other
                _check_alike(work, other, f"others[{i}]")
                _check_meaning(work, other, f"others[{i}]")
                moments = merge(moments, _moments_of(other, f"others[{i}]"))
            texts = work._sample(moments, check_settings(work))
        tell(texts, work.posterior_)
        return self

    # -- scikit-learn --------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A formula with a left side needs no y.
        left, tilde, _ = str(self.formula or "").partition("~")
        tags.target_tags.required = not (tilde and left.strip())
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = self.formula is None
        return tags

    @property
    def singular_(self) -> np.ndarray:
        """Singular values of the predictors, centred if there is an intercept, as of `LinearRegression`."""
        check_is_fitted(self)
        fitted = snapshot(self)
        moments = _moments_of(fitted, "this estimator")
        p = len(moments.factor)
        factor = moments.factor * moments.unit[:p]
        if not fitted._intercept:
            factor = np.vstack([factor, np.sqrt(moments.weight) * moments.mean[:p]])
        found: np.ndarray = np.linalg.svd(factor, compute_uv=False)
        return found[: min(p, moments.n_rows)]

    # -- inside --------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Forget the rows seen so far and what they were called."""
        for name in (
            "feature_names_in_",
            "n_features_in_",
            "_moments",
            "_weighted_as",
            "_design",
            "_features",
            "_terms",
            "_responses",
        ):
            self.__dict__.pop(name, None)

    def _unfit(self) -> None:
        """Take back what says that the estimator is fitted."""
        for name in ("posterior_", "coef_", "intercept_", "sigma_", "rank_"):
            self.__dict__.pop(name, None)

    def _read(
        self, X: Any, y: Any, sample_weight: Any, settings: Settings, before: Moments | None = None
    ) -> Moments:
        """Read the rows once and return their moments, with those of ``before``."""
        again = before is not None
        if again and self.formula != (None if self._design is None else self._design.formula):
            raise ValueError(
                f"formula={self.formula!r} is another than that of the rows before: use fit to begin anew."
            )
        weights_type = check_choice(self.weights_type, "weights_type", ("frequency", "precision"))
        if self.formula is None:
            design, terms = None, {}
            rows, Y = check_arrays(self, X, y, reset=not again)
            features = tuple(getattr(self, "feature_names_in_", [f"x{i}" for i in range(rows.shape[1])]))
            weights = check_weights(sample_weight, len(Y), weights_type)
            responses = response_names(y, Y, self._responses if again else None)
        elif again:
            design, terms, features = self._design, self._terms, self._features
            assert design is not None
            data = design.more(X, y)
            responses = self._responses if data.y.ndim == 1 else response_names(y, data.y, self._responses)
        else:
            design, data = FormulaDesign.learn(
                self.formula,
                X,
                y,
                namespace=self.formula_namespace,
                intercept=check_bool(self.fit_intercept, "fit_intercept"),
                strict=check_bool(self.formula_strict, "formula_strict"),
            )
            terms, features = design.terms, design.columns
            self.n_features_in_ = len(design.variables)
            self.feature_names_in_ = np.asarray(design.variables, dtype=object)
            responses = (design.response,) if data.y.ndim == 1 else response_names(y, data.y)
        if self.formula is not None:
            rows, Y = data.X, data.y
            weights = check_weights(sample_weight, len(data.kept), weights_type)
            weights = None if weights is None else check_weights(weights[data.kept], len(Y), weights_type)
        if again and np.shape(Y)[1:] != self._shape:
            raise ValueError(
                f"y has shape {np.shape(Y)}, but the rows before had {len(self._responses)} responses in "
                f"{1 + len(self._shape)} dimensions: give y as before."
            )
        check_draws(
            settings.draws, settings.tune, settings.chains, max(1, len(responses)) * (len(features) + 2)
        )
        with one_blas_thread():
            try:
                moments = gather(rows, Y.reshape(len(Y), -1), weights, n_threads=settings.n_threads)
            except FloatingPointError:
                raise_not_finite(rows, Y, features)
            if before is not None:
                moments = merge(before, moments)
        self._design, self._terms, self._features = design, terms, features
        self._responses, self._shape = responses, np.shape(Y)[1:]
        return moments

    def _sample(self, moments: Moments, settings: Settings, tasks: FitTasks | None = None) -> list[str]:
        """Sample the posterior of every response, set the fitted attributes, and return what is to be told of it."""
        intercept = check_bool(self.fit_intercept, "fit_intercept")
        if self._design is not None:
            intercept = intercept and self._design.intercept
        self._moments, self._weighted_as = moments, self.weights_type
        seeds = seed_sequence(self.random_state)
        routes, parts = [], []
        with one_blas_thread():
            try:
                found = summaries(moments, intercept=intercept, precision=self.weights_type == "precision")
            except OutOfRangeError as error:
                name = f"y[{self._responses[error.response]!r}]" if self._shape else "y"
                column = None if error.column is None else self._features[error.column]
                raise_out_of_range(name, column)
            for j, summary in enumerate(found):
                # The first response gets the draws that it would get alone.
                own = seeds
                if j:
                    key = (*seeds.spawn_key, RESPONSE_STREAM + j)
                    own = np.random.SeedSequence(seeds.entropy, spawn_key=key)
                report = None if tasks is None else tasks.part(j, len(found))
                route, part = self._sample_one(summary, settings, own, report)
                routes.append(route)
                parts.append(part)
        self._keep(found, tuple(routes), tuple(parts))
        texts = [about_the_fit(*both) for both in zip(found, parts, strict=True)]
        named = [
            f"Response {name!r}: {text}" if self._shape else text
            for name, text in zip(self._responses, texts, strict=True)
            if text
        ]
        if found[0].rank < len(self._features):  # the same for all responses
            named += added_up(parts[0], self._x_mean, self._features, partial(constant_sums_of, found[0]))
        return named

    def _keep(
        self, found: Sequence[Summary], routes: tuple[Route, ...], parts: tuple[Posterior, ...]
    ) -> None:
        """Set the fitted attributes from what was found of each response."""
        intercept = self._intercept = found[0].intercept
        self._routes = routes
        self.posterior_ = JointPosterior(parts, self._responses) if self._shape else parts[0]
        means = [part.means() for part in parts]
        coef, sigma = np.array([mean["coef"] for mean in means]), np.array([mean["sigma"] for mean in means])
        level = np.array([mean.get("Intercept", 0.0) for mean in means])
        if self._shape:
            self.coef_, self.intercept_, self.sigma_ = coef, level if intercept else 0.0, sigma
        else:
            # A copy begins where memory is aligned, as after unpickling, so that products round the same.
            self.coef_, self.sigma_ = coef[0].copy(), float(sigma[0])
            self.intercept_ = float(level[0])
        self.rank_, self._x_mean = found[0].rank, found[0].x_mean
        sources = (source_of(part) for part in parts)
        self._level = far_level(sources, self.coef_, self._x_mean, self.sigma_) if intercept else None

    def _bound_priors(self, summary: Summary) -> PriorSet:
        """Bind the priors of one response to its scale; `bayesglm.testing` puts priors that stay in its place."""
        return resolve(
            summary,
            self._features,
            self._terms,
            prior=self.prior,
            prior_scale=self.prior_scale,
            intercept_prior=self.intercept_prior,
            sigma_prior=self.sigma_prior,
            center=self.center,
            positive=self.positive,
        )

    def _sample_one(
        self, summary: Summary, settings: Settings, seeds: Any, report: Callable[[float], None] | None
    ) -> tuple[Route, Posterior]:
        """Bind the priors of one response and sample its posterior."""
        priors = self._bound_priors(summary)
        try:
            route = Route(summary, priors)
        except NotIdentifiedError as error:
            raise ImproperError(not_identified(summary, self._features, error.columns)) from None
        except ArithmeticError:
            raise ImproperError(
                f"sigma_prior={priors.sigma.resolved()} leaves sigma without a proper posterior for {summary.n_rows} "
                f"rows and {summary.rank + summary.intercept} coefficients that the data determine: give a proper "
                "prior such as HalfNormal, or more rows."
            ) from None
        labels = priors.labels_of_scales(self._terms)
        return route, route.sample(settings, seeds, summary, priors, self._features, report, labels)


def _moments_of(estimator: Any, which: str) -> Moments:
    """Return what an estimator keeps of its rows."""
    if not isinstance(estimator, BayesianRegressor):
        raise TypeError(f"{which} must be an estimator to merge with, got {type(estimator).__name__}.")
    moments = estimator.__dict__.get("_moments")
    if moments is None:
        reason = (
            "was pickled by bayesglm 0.1.0, which kept none"
            if hasattr(estimator, "coef_")
            else "is not fitted"
        )
        raise NotFittedError(f"{which} has kept nothing of its rows, since it {reason}: fit it first.")
    return moments


def _check_meaning(estimator: Any, other: Any, which: str) -> None:
    """Refuse rows whose weights have another meaning than this estimator's, unless both meanings are one."""
    wanted = check_choice(estimator.weights_type, "weights_type", ("frequency", "precision"))
    moments, meaning = _moments_of(other, which), other.__dict__.get("_weighted_as", other.weights_type)
    # The posterior depends on the meaning through what the rows count as: their number, or the sum of weights.
    if wanted != meaning and not math.isclose(moments.weight, moments.n_rows, rel_tol=1e-9):
        raise ValueError(
            f"weights_type={wanted!r}, but the weights of {which} were given as weights_type={meaning!r} "
            f"({moments.n_rows} rows that weigh {moments.weight:.6g}), and one posterior cannot hold both: use the "
            "same weights_type for all rows, or fit to all of them anew."
        )


def _check_alike(estimator: Any, other: Any, which: str) -> None:
    """Refuse to merge what was fitted to other columns."""
    _moments_of(other, which)
    if type(other) is not type(estimator):
        raise TypeError(
            f"{which} is a {type(other).__name__}, this is a {type(estimator).__name__}: merge equals."
        )
    for attribute, what in (
        ("_features", "columns"),
        ("_responses", "responses"),
        ("_shape", "dimensions of y"),
    ):
        mine, theirs = getattr(estimator, attribute), getattr(other, attribute)
        if mine != theirs:
            raise ValueError(
                f"{which} was fitted to other {what}, {list_names(theirs)} instead of {list_names(mine)}: fit all "
                "to the same (a factor whose levels differ can name them, as in C(g, levels=[...]))."
            )
    designs = estimator._design, other._design
    if (designs[0] is None) != (designs[1] is None):
        raise ValueError(f"{which} has {'no' if designs[1] is None else 'a'} formula: merge equals.")
    if estimator._design is not None and not learnt_the_same(*designs):
        raise ValueError(
            f"{which} has a formula that learnt something else from its rows, such as the mean in center(x): let "
            "one estimator see all rows by partial_fit, or use terms that learn nothing."
        )

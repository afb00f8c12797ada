"""BayesianLogisticRegression: two classes or more, probabilities averaged over the posterior."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from bayesglm import family_prediction
from bayesglm.argument_types import CoefficientPriors, PriorLike, RandomState
from bayesglm.families import Bernoulli, Categorical
from bayesglm.family_base import FamilyModel, Rows
from bayesglm.formula_language import parse
from bayesglm.formula_names import list_names
from bayesglm.formula_response import refuse_labels_on_the_right
from bayesglm.inference.caller import stack_level
from bayesglm.inference.sampling import seed_sequence
from bayesglm.kernel.family import Family
from bayesglm.prediction import check_kind, interval_levels
from bayesglm.snapshot import of_one_fit
from bayesglm.validation import check_predictive, check_weights

#: Numbers that are taken for classes are rather measurements if they are more than this many, or, beyond a few, more
#: than one in so many rows.
MANY_CLASSES, FEW_CLASSES, ROWS_A_CLASS = 20, 5, 5.0
#: What logarithms of probabilities count as at least: that of the smallest double.
LEAST = float(np.log(5e-324))


class BayesianLogisticRegression(ClassifierMixin, FamilyModel):
    """Bayesian logistic regression with the interface of `sklearn.linear_model.LogisticRegression`.

    The log odds of the second of two classes are intercept + X @ coef + offset. Of more than two, each has a linear
    predictor of its own, and probabilities are as their exponentials (softmax). Coefficients then add up to zero over
    the classes and no class is treated in another way than the others, or they are log odds ratios against a class:
    see `reference`. Separated classes are no trouble: the prior keeps coefficients finite and the posterior says how
    little is known of them.

    Parameters
    ----------
    formula : str, optional
        A patsy formula, with or without its left side, whose column may hold text. None: X is the design matrix.
    prior : Prior, str, mapping or None, default=None
        Of the coefficients. None: ``Normal(0, 2.5, autoscale=True)``, that is N(0, (2.5/sd(x_j))²). See `BayesianGLM`.
        With more than two classes it is the prior of the difference between any two of them, or of the log odds ratio
        of each against the reference.
    prior_scale, intercept_prior, fit_intercept, center, positive, sampler, dtype
        See `BayesianGLM`.
    reference : label, optional
        With more than two classes, the class that the others are compared with: its coefficients are zero. None:
        coefficients add up to zero over the classes; but where a prior is neither flat nor a normal one around zero,
        the first class is the reference.
    chains, draws, tune, target_accept, max_treedepth, n_jobs, random_state, progressbar
        See `BayesianGLM`.
    formula_namespace : mapping, optional
        See `BayesianGLM`.
    formula_strict : bool, default=False
        See `BayesianGLM`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in ascending order.
    coef_ : ndarray of shape (1, p) or (n_classes, p)
        Posterior means. Of two classes, log odds ratios of the second; of more, a row for each of `classes_`.
    coef_names_ : ndarray of shape (p,)
        Names of the columns of ``coef_``, as in `BayesianGLM`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianLogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = np.where(rng.random(500) < 1 / (1 + np.exp(-X @ [2.0, -1.0])), "yes", "no")
    >>> model = BayesianLogisticRegression(random_state=0).fit(X, y)
    >>> model.predict([[1.0, 0.0]])
    array(['yes'], dtype='<U3')
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        reference: Any = None,
        sampler: str = "auto",
        dtype: str = "float64",
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
        self.reference = reference
        self.sampler = sampler
        self.dtype = dtype
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.target_accept = target_accept
        self.max_treedepth = max_treedepth
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progressbar = progressbar
        self.formula_namespace = formula_namespace
        self.formula_strict = formula_strict

    # -- predictions ---------------------------------------------------------------------------------

    @of_one_fit
    def predict(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Return the most probable class of every row, shape (n,).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        offset : array-like of shape (n,) or str, optional

        Raises
        ------
        ValueError
            With a formula, if a row holds a missing value: it has no class. `predict_proba` gives NaN for it.
        """
        probabilities = self.predict_proba(X, offset=offset)
        lost = np.flatnonzero(np.isnan(probabilities[:, 0]))
        if lost.size:
            raise ValueError(
                f"row {lost[0]} of X holds a missing value and belongs to no class: drop such rows, or use "
                "predict_proba, which gives NaN for them."
            )
        return self.classes_[probabilities.argmax(axis=1)]

    @of_one_fit
    def predict_proba(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Return the probability of each class, averaged over the posterior draws, shape (n, n_classes).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        offset : array-like of shape (n,) or str, optional
        """
        rows = self._rows(X)
        offset, _ = self._row_arguments(X, rows.shape[0], {"offset": offset})
        return family_prediction.class_probabilities(self._source(), rows, offset)

    @of_one_fit
    def predict_log_proba(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X, offset=offset)))

    @of_one_fit
    def decision_function(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Return the log odds of the averaged probabilities, of which the largest belongs to the class predicted.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        offset : array-like of shape (n,) or str, optional

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            Of the second of two classes against the first; of more classes each against their geometric mean, or
            against the reference.
        """
        # Of a probability that is 0 in doubles, log odds are large; differences of infinities are no numbers.
        logs = np.maximum(self.predict_log_proba(X, offset=offset), LEAST)
        if len(self.classes_) == 2:
            return np.asarray(logs[:, 1] - logs[:, 0])
        reference = self.posterior_.prior_set.reference
        against = logs.mean(axis=1) if reference is None else logs[:, reference]
        return np.asarray(logs - against[:, np.newaxis])

    @of_one_fit
    def predict_interval(
        self, X: Any, coverage: float = 0.9, kind: str = "mean", *, offset: Any = None
    ) -> np.ndarray:
        """Return equal-tailed intervals of probabilities.

        Those of a pipeline or search: ``bayesglm.posterior_of(pipeline).predict_interval(X)``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        coverage : float, default=0.9
        kind : {"mean"}, default="mean"
            A class is no number, so that there are intervals of its probability only.
        offset : array-like of shape (n,) or str, optional

        Returns
        -------
        ndarray of shape (n, 2) or (n, n_classes, 2)
            Of the second of two classes; of each of more classes.
        """
        return self.predict_quantiles(X, interval_levels(coverage), kind, offset=offset)

    @of_one_fit
    def predict_quantiles(self, X: Any, q: Any, kind: str = "mean", *, offset: Any = None) -> np.ndarray:
        """Return posterior quantiles of probabilities, shape (n, len(q)) or (n, n_classes, len(q)).

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        q : float or array-like of shape (n_q,)
            Probabilities. For a single number the last axis is left out.
        kind : {"mean"}, default="mean"
        offset : array-like of shape (n,) or str, optional
        """
        if not isinstance(kind, str) or kind != "mean":
            raise ValueError(
                f"kind={kind!r}: classes are no numbers, so that only kind='mean' has quantiles."
            )
        rows = self._rows(X)
        offset, _ = self._row_arguments(X, rows.shape[0], {"offset": offset})
        return family_prediction.class_quantiles(self._source(), rows, q, offset)

    @of_one_fit
    def sample_predictive(
        self,
        X: Any,
        draws: int | None = None,
        kind: str = "response",
        random_state: Any = None,
        *,
        offset: Any = None,
    ) -> np.ndarray:
        """Draw classes, or probabilities, from the posterior predictive distribution.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p)
        draws : int, optional
            None: one for every posterior draw.
        kind : {"response", "mean"}, default="response"
            Labels of new observations, or probabilities.
        random_state : None, int, RandomState or Generator
        offset : array-like of shape (n,) or str, optional

        Returns
        -------
        ndarray of shape (draws, n), or (draws, n, n_classes) for probabilities of more than two classes
        """
        rows = self._rows(X)
        offset, _ = self._row_arguments(X, rows.shape[0], {"offset": offset})
        source = self._source()
        check_kind(kind)
        wide = len(self.classes_) if kind == "mean" else 1
        check_predictive(draws, source.n_draws, rows.shape[0], wide, source.coef[0].size + 2.0)
        rng = np.random.default_rng(seed_sequence(random_state))
        found = family_prediction.draw(source, rows, draws, kind, rng, offset)
        if kind == "mean":
            return found
        lost = np.isnan(found)
        if lost.any():
            raise ValueError(
                f"row {int(np.argmax(lost.any(axis=0)))} of X holds a missing value; drop such rows."
            )
        return np.asarray(self.classes_[found.astype(np.intp)])

    @of_one_fit
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted, as scikit-learn's classifiers do.

        With a formula, of the rows that hold no missing value.
        """
        if self.formula is None and y is not None:
            return float(super().score(X, y, sample_weight))
        _, observed = self._rows_and_response(X, y)
        probabilities = self.predict_proba(X)
        kept = np.isfinite(observed) & np.isfinite(probabilities[:, 0])
        weights = check_weights(sample_weight, len(kept))
        weights = None if weights is None else weights[kept]
        return float(np.average(probabilities[kept].argmax(axis=1) == observed[kept], weights=weights))

    # -- inside --------------------------------------------------------------------------------------

    def _encoded(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return data in which classes are numbers, and remember which."""
        X, labels = self._labels_of(X, y)
        if labels is None:
            return X, y
        missing = _is_missing(labels)
        present = labels[~missing]
        if y is not None or self.formula is None:
            if missing.any():
                raise ValueError(f"y is missing in row {int(np.argmax(missing))}; drop such rows.")
            check_classification_targets(labels)
            if self.formula is not None:
                refuse_labels_on_the_right(self.formula, X, y)
        self.classes_ = np.unique(present)
        self._reference_class()
        _warn_of_measurements(self.classes_, len(present))
        return self._with_codes(X, y, labels, missing)

    def _labels_of(self, X: Any, y: Any) -> tuple[Any, np.ndarray | None]:
        """Return the labels: y, or the column that the formula has on its left."""
        if y is not None or self.formula is None:
            if y is None:
                return X, None  # which reading the arrays refuses
            if getattr(y, "ndim", 1) == 2 and np.shape(y)[1] > 1:
                raise ValueError(f"y has shape {np.shape(y)}, but one class is wanted for each row.")
            labels = np.asarray(column_or_1d(y, warn=True))
            # scikit-learn does not know NumPy's strings of variable width.
            return X, labels.astype(object) if labels.dtype.kind == "T" else labels
        response = self._left_column()
        if response is None:
            left = self.formula.partition("~")[0].strip()
            if left and "~" in self.formula:
                raise ValueError(
                    f"formula: {left!r} is no column but an expression, and classes are read from a column: compute "
                    "it as a column of the frame first."
                )
            return X, None
        if response not in list(X.columns if hasattr(X, "columns") else X):
            return X, None  # which reading the formula refuses
        return X, np.asarray(X[response])

    def _left_column(self) -> str | None:
        """Return the column on the left side of the formula, or None if there is something else."""
        return None if self.formula is None else parse(self.formula, True).bare_response

    def _with_codes(self, X: Any, y: Any, labels: np.ndarray, missing: np.ndarray) -> tuple[Any, Any]:
        """Return X and y with the numbers of classes in place of the labels."""
        codes = np.full(len(labels), np.nan)
        present = labels[~missing]
        try:
            known = np.minimum(np.searchsorted(self.classes_, present), len(self.classes_) - 1)
        except TypeError:  # numbers among strings, which have no order
            codes_of = {label: code for code, label in enumerate(self.classes_.tolist())}
            known = np.array([codes_of.get(label, 0) for label in present.tolist()])
        wrong = np.flatnonzero(self.classes_[known] != present)
        if wrong.size:
            row = int(np.flatnonzero(~missing)[wrong[0]])
            raise ValueError(
                f"y has the class {labels[row : row + 1].tolist()[0]!r} in row {row}, which the model was not fitted "
                f"to: it knows {', '.join(map(repr, self.classes_.tolist()[:8]))}."
            )
        codes[~missing] = known
        if y is not None:
            return X, codes
        response = self._left_column()
        assert response is not None
        if hasattr(X, "assign"):
            return X.assign(**{response: codes}), None
        if hasattr(X, "with_columns"):
            series = type(X[response])
            return X.with_columns(series(response, codes, nan_to_null=True)), None
        return {**X, response: codes}, None

    def _rows_and_response(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        _, labels = self._labels_of(X, y)
        if labels is not None:
            X, y = self._with_codes(X, y, labels, _is_missing(labels))
        return super()._rows_and_response(X, y)

    def _make_family(self, rows: Rows) -> Family:
        seen = rows.y if rows.weights is None else rows.y[rows.weights > 0.0]
        if len(np.unique(seen)) < 2:
            only = self.classes_.tolist()[int(seen[0])]
            raise ValueError(
                f"y holds one class only, {only!r}: a classifier needs rows of at least two classes (with a weight)."
            )
        return Bernoulli() if len(self.classes_) == 2 else Categorical(len(self.classes_))

    def _labels(self) -> dict[str, tuple[str, ...]] | None:
        if len(self.classes_) == 2:
            return None
        return {"coef": tuple(str(name) for name in self.classes_)}

    def _reference_class(self) -> int | None:
        if self.reference is None:
            return None
        labels = self.classes_.tolist()
        plain = isinstance(self.reference, str | Real | np.bool_)
        found = [number for number, label in enumerate(labels) if plain and label == self.reference]
        if not found:
            near = {str(label): repr(label) for label in labels}
            close = difflib.get_close_matches(str(self.reference), near, n=1)
            hint = f"did you mean {near[close[0]]}?" if close else f"there are {list_names(labels)}."
            raise ValueError(f"reference={self.reference!r} is none of the classes; {hint}")
        if len(labels) == 2 and found[0] == 1:
            raise ValueError(
                f"reference={self.reference!r} is the second of two classes, whose log odds against the first "
                "coefficients are, as in scikit-learn: leave reference out, and change their signs."
            )
        return found[0] if len(labels) > 2 else None

    def _set_coefficients(self, coef: np.ndarray, intercept: Any) -> None:
        rows = 1 if len(self.classes_) == 2 else len(self.classes_)
        self.coef_ = coef.reshape(rows, -1)
        self.intercept_ = np.broadcast_to(intercept, (rows,)).astype(np.float64)


def _warn_of_measurements(classes: np.ndarray, n_rows: int) -> None:
    """Warn of so many numbers as labels that they are rather measurements."""
    many = len(classes) > MANY_CLASSES or max(FEW_CLASSES, n_rows / ROWS_A_CLASS) < len(classes)
    numbers = classes.dtype.kind in "iuf" or (
        classes.dtype.kind == "O" and all(isinstance(label, Real) for label in classes)
    )
    if many and numbers:
        warnings.warn(
            f"y holds {len(classes)} different numbers in {n_rows} rows, each of which is taken for a class with "
            "coefficients of its own, which takes long: if they are measurements or counts, use a regressor, such as "
            "BayesianLinearRegression or BayesianPoissonRegressor.",
            UserWarning,
            stacklevel=stack_level(),
        )


def _is_missing(labels: np.ndarray) -> np.ndarray:
    """Whether a label is None or NaN."""
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    if labels.dtype.kind != "O":
        return np.zeros(len(labels), dtype=bool)
    return np.array([label is None or label != label for label in labels], dtype=bool)

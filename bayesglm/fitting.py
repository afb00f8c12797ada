"""What every fit promises: all of it or nothing, and what is to be told is told in the caller's name."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from bayesglm.formula_names import list_names
from bayesglm.inference.caller import stack_level
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.inference.route import warn
from bayesglm.inference.sufficient import Summary
from bayesglm.snapshot import snapshot
from bayesglm.validation import constant_response

#: How many times as wide as the line at the columns' means the intercept must be for a word about it.
MUCH_WORSE = 10.0
#: Draws a chain that suffice to see that.
DRAWS_LOOKED_AT = 100


class ImproperError(ValueError):
    """The rows do not determine the posterior; more of them may."""


class Fitting:
    """Base of what has a `fit`; not for use by itself."""

    @contextmanager
    def _all_or_nothing(self, adding: bool = False) -> Iterator[Any]:
        """Give a copy to work on, and in the end take over what it has become.

        If anything goes wrong, Ctrl-C included, nothing was changed. Other threads see the estimator as it was, and
        then in one step as it is; if several fit it at the same time, it is what the last of them has made of it.

        Parameters
        ----------
        adding : bool, default=False
            Rows are added to those of before: refuse to forget what another thread has added meanwhile.
        """
        work = snapshot(self)
        before = work.__dict__.get("_moments")
        try:
            yield work
        except ImproperError as error:
            raise ValueError(str(error)) from None
        parameters = inspect.signature(type(self)).parameters
        found = {name: value for name, value in work.__dict__.items() if name not in parameters}
        with _taking_over.lock:
            if adding and self.__dict__.get("_moments") is not before:
                raise RuntimeError(
                    "Another thread has fitted this estimator in the meantime, and its rows would be lost: let one "
                    "thread at a time add rows, or give each an estimator of its own and merge them."
                )
            # Parameters may have been set meanwhile.
            kept = {name: value for name, value in self.__dict__.items() if name in parameters}
            self.__dict__ = kept | found


class _TakingOver:
    """A lock for the moment in which an estimator becomes another; nobody holds it in a forked child."""

    def __init__(self) -> None:
        self.lock = Lock()


_taking_over = _TakingOver()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_taking_over.__init__)  # type: ignore[misc]


def about_the_fit(summary: Summary, posterior: Posterior) -> str | None:
    """Say what a constant or a perfectly fitted response means for priors and sigma."""
    exact_fit = posterior.prior_set.exact_fit
    if summary.y_sd == 0.0:
        return constant_response(summary, exact_fit)
    if exact_fit:
        return (
            "The data are fitted to rounding error: the coefficients are exact, and sigma is no more than the "
            "resolution of the numbers, its prior being replaced by a half-Student-t of that scale."
        )
    return None


def added_up(
    posterior: Posterior,
    x_mean: np.ndarray,
    features: Sequence[str],
    sums: Callable[[], list[np.ndarray]],
) -> list[str]:
    """Say which columns add up to a constant, if that leaves the intercept to the priors.

    Parameters
    ----------
    posterior : Posterior
    x_mean : ndarray of shape (p,)
    features : sequence of str
        Names of the columns.
    sums : function
        Returns sets of columns whose sum is constant; called only if the intercept is known much worse than the line
        at the means of the columns, as it is beside such columns under a wide prior.

    Returns
    -------
    list of str
        The sentence, or nothing.
    """
    if "Intercept" not in posterior.draws or not len(features):
        return []
    step = -(-posterior.shape[1] // DRAWS_LOOKED_AT)
    level, coef = (posterior.draws[name][:, ::step] for name in ("Intercept", "coef"))
    with np.errstate(over="ignore", invalid="ignore"):
        at_zero, at_means = level.std(axis=(0, 1)), (level + coef @ x_mean).std(axis=(0, 1))
        if not np.any(at_zero > MUCH_WORSE * at_means):
            return []
    found = sums()
    if not found:
        return []
    names, total = [features[j] for j in found[0]], float(x_mean[found[0]].sum())
    if len(names) == 1:
        which, remedy = f"Column {names[0]!r} is {total:.4g} in every row and so says", "leave it out"
    else:
        others = f" (and {len(found) - 1} more sets of columns to a constant)" if len(found) > 1 else ""
        which = f"Columns {list_names(names)} add up to {total:.4g} in every row{others} and so say"
        remedy = "leave one out, as OneHotEncoder(drop='first') and SplineTransformer(include_bias=False) do"
    return [
        f"{which} the same as the intercept, and only the priors tell them apart (the intercept's standard deviation "
        f"is {np.max(at_zero):.3g}, that of the line at the columns' means {np.max(at_means):.3g}): {remedy}, or give "
        "fit_intercept=False."
    ]


def tell(texts: list[str], posterior: Posterior | JointPosterior | None) -> None:
    """Warn of what is to be told of a fit, in the name of the line that called its method."""
    for text in texts:
        warnings.warn(text, UserWarning, stacklevel=stack_level())
    if posterior is not None:
        warn(posterior)

"""One fit at a time: what reads an estimator reads a copy of it, whatever other threads fit it to meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from bayesglm.hints import refuse_arguments

Estimator = TypeVar("Estimator")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def snapshot(estimator: Estimator) -> Estimator:
    """Return another estimator with the same attributes; nothing that they refer to is copied."""
    same: Any = object.__new__(type(estimator))
    # One step, during which no other thread runs: the attributes are all of the same fit.
    same.__dict__ = estimator.__dict__.copy()
    return same


def of_one_fit(
    method: Callable[Concatenate[Estimator, Arguments], Result],
) -> Callable[Concatenate[Estimator, Arguments], Result]:
    """Let a method see the attributes of a single fit, which take more than one step to read.

    Without it `predict` could take its coefficients from one fit and its intercept from the next.
    """

    @wraps(method)
    def on_a_copy(self: Estimator, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return method(snapshot(self), *args, **kwargs)
        except TypeError:
            refuse_arguments(method, self, args, kwargs)
            raise

    return on_a_copy

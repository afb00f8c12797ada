"""What every fit promises: all of it or nothing, and what is to be told is told in the caller's name."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from bayesglm.inference.caller import stack_level
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.inference.route import warn
from bayesglm.snapshot import snapshot


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


def tell(texts: list[str], posterior: Posterior | JointPosterior | None) -> None:
    """Warn of what is to be told of a fit, in the name of the line that called its method."""
    for text in texts:
        warnings.warn(text, UserWarning, stacklevel=stack_level())
    if posterior is not None:
        warn(posterior)

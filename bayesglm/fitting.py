"""What every fit promises: nothing is lost if it fails, and what is to be told is told in the caller's name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from bayesglm.inference.caller import stack_level
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.inference.route import warn


class ImproperError(ValueError):
    """The rows do not determine the posterior; more of them may."""


class Fitting:
    """Base of what has a `fit`; not for use by itself."""

    @contextmanager
    def _unchanged_on_failure(self) -> Iterator[None]:
        """Put the estimator back as it was if anything goes wrong, Ctrl-C included."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException as error:
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, ImproperError):
                raise ValueError(str(error)) from None
            raise


def tell(texts: list[str], posterior: Posterior | JointPosterior | None) -> None:
    """Warn of what is to be told of a fit, in the name of the line that called its method."""
    for text in texts:
        warnings.warn(text, UserWarning, stacklevel=stack_level())
    if posterior is not None:
        warn(posterior)

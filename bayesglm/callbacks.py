"""Callbacks of scikit-learn 1.9 (`sklearn.callback`): a fit reports its progress to them, where there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is: there are no callbacks to tear down."""
        return method


__all__ = ["CallbackSupportMixin", "FitTasks", "with_callbacks"]

#: Into how many tasks a fit is divided: a bar moves in steps of 5 %.
STEPS = 20


class FitTasks:
    """The tasks of one fit: a root, and one leaf for every twentieth of the sampling.

    What a callback answers is not asked for: draws of chains that were stopped halfway would be no posterior.

    Parameters
    ----------
    estimator : estimator
        Whose callbacks are to be told.
    X, y, sample_weight
        What the fit was given.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        self.estimator = estimator
        # As in scikit-learn: a scorer that knows no sample_weight must not be handed None for one.
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.done = 0
        self.root: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            self.root = estimator._init_callback_context(max_subtasks=STEPS)
            self.root.call_on_fit_task_begin(estimator=estimator, **self.data)

    def part(self, j: int, n_parts: int) -> Callable[[float], None] | None:
        """Return what takes the share that is done of part j of the sampling; None if nobody listens."""
        return None if self.root is None else lambda share: self._advance((j + share) / n_parts)

    def _advance(self, share: float) -> None:
        while self.done < int(share * STEPS + 1e-9):
            leaf = self.root.subcontext(task_name="sampling")
            leaf.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            leaf.call_on_fit_task_end(estimator=self.estimator, **self.data)
            self.done += 1

    def end(self) -> None:
        """Say that the estimator is fitted; a callback may ask for a copy of it that can predict."""
        if self.root is not None:
            # The copy has all attributes of the estimator already, so there are none to add.
            self.root.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes={}, **self.data
            )

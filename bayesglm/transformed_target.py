"""The scale of y itself, for a model that was fitted to transformed y: values, orders, densities carried back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Steps of a derivative, from a tenth of y on, each half as long as the one before.
_STEPS = 0.1 * 0.5 ** np.arange(20.0)
#: By how much slopes to either side may differ where there is one slope.
_KINK = 1e-3
#: Relative error of a derivative that is refused.
_MOST_ERROR = 1e-5


@dataclass(frozen=True, eq=False)
class TransformedTarget:
    """How y became what a model was fitted to.

    Attributes
    ----------
    transformers : tuple of transformer
        In the order in which they were applied to y.
    """

    transformers: tuple[Any, ...]

    def to_model(self, y: np.ndarray) -> np.ndarray:
        """Return y (n,) or (n, k) on the scale on which the model sees it, of the same shape."""
        values = y.reshape(len(y), -1)
        for transformer in self.transformers:
            values = np.asarray(transformer.transform(values), dtype=float)
        return values.reshape(y.shape)

    def to_user(self, values: np.ndarray, n_responses: int = 1) -> np.ndarray:
        """Return values of any shape on the scale of y; of several responses, these are the last axis."""
        found = values.reshape(-1, n_responses)
        for transformer in reversed(self.transformers):
            found = np.asarray(transformer.inverse_transform(found), dtype=float).reshape(found.shape)
        return found.reshape(values.shape)

    def slope(self) -> float | None:
        """Return by what y changes with a unit of the model's scale if that is the same everywhere, else None."""
        places = np.array([-100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0])
        with np.errstate(all="ignore"):
            found = self.to_user(places)
            slopes = np.diff(found) / np.diff(places)
        even = np.all(np.isfinite(slopes)) and np.ptp(slopes) <= 1e-9 * np.abs(slopes).max()
        return float(found[-1] - found[0]) / 200.0 if even else None

    def log_jacobian(self, y: np.ndarray) -> np.ndarray:
        """Return the logarithm of how fast the model's scale changes with y, in either direction, shape (n,).

        The density of y is that of transformed y times this factor. The derivative is numerical, of 1e-9 of itself
        where the transformation is smooth.

        Parameters
        ----------
        y : ndarray of shape (n,)
            NaN gives NaN.

        Raises
        ------
        ValueError
            If there is no such derivative at some y, or if another y would be transformed to the same value.
        """
        found = np.full(y.shape, np.nan)
        seen = np.flatnonzero(np.isfinite(y))
        if seen.size:
            found[seen] = self._log_slopes(y[seen], seen)
        return found

    def _log_slopes(self, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            back = self.to_user(self.to_model(y))
        self._refuse(
            np.abs(back - y) > 1e-6 * np.abs(y) + 1e-9 * np.abs(y).max(), y, rows, "does not lead back to"
        )
        # Zero has no size of its own to take a step by.
        size = np.where(y == 0.0, 1e-3 * (np.median(np.abs(y[y != 0.0])) if np.any(y) else 1.0), np.abs(y))

        def difference(step: float, ends: tuple[float, float] = (-1.0, 1.0)) -> np.ndarray:
            low, high = (y + end * step * size for end in ends)
            return (self.to_model(high) - self.to_model(low)) / (high - low)

        with np.errstate(all="ignore"):
            # Richardson's extrapolation to a step of zero, twice; the one that changes least is the best.
            first = np.array([difference(step) for step in _STEPS])
            second = (4.0 * first[1:] - first[:-1]) / 3.0
            third = (16.0 * second[1:] - second[:-1]) / 15.0
            error = np.abs(third - second[1:])
            best = np.where(np.isfinite(error), error, np.inf).argmin(axis=0)
            here = (best, np.arange(len(y)))
            slope, error = third[here], error[here]
            left, right = difference(1e-6, (-1.0, 0.0)), difference(1e-6, (0.0, 1.0))
            smooth = (error <= _MOST_ERROR * np.abs(slope)) & (np.abs(right - left) <= _KINK * np.abs(slope))
            self._refuse(~smooth, y, rows, "has no derivative at")
            return np.log(np.abs(slope))

    @staticmethod
    def _refuse(wrong: np.ndarray, y: np.ndarray, rows: np.ndarray, what: str) -> None:
        if np.any(wrong):
            i = int(np.argmax(wrong))
            raise ValueError(
                f"The transformer of TransformedTargetRegressor {what} y = {y[i]:g} in row {rows[i]}, so that y has no "
                "density there: use intervals or quantiles, or a smooth function."
            )

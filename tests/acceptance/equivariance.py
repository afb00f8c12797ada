"""What rescaling, shifting and permuting data does to a posterior, and whether draws of two posteriors agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm.inference.diagnostics import diagnose

EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Change:
    """The data x' = scale x[order] + shift, y' = y_scale y + y_shift, weights' = weight_scale weights.

    Under priors in the data's own units the coefficients are coef' = y_scale coef[order] / scale then, the intercept
    is y_scale intercept + y_shift - shift @ coef', and sigma' = |y_scale| sigma.
    """

    scale: Any = 1.0
    shift: Any = 0.0
    order: tuple[int, ...] | None = None
    y_scale: float = 1.0
    y_shift: float = 0.0
    weight_scale: float = 1.0

    def columns(self, X: np.ndarray) -> np.ndarray:
        """Return rows as changed."""
        return (X if self.order is None else X[:, self.order]) * self.scale + self.shift

    def response(self, y: np.ndarray) -> np.ndarray:
        """Return responses as changed."""
        return self.y_scale * y + self.y_shift

    def coef(self, coef: np.ndarray) -> np.ndarray:
        """Return what becomes of coefficients, shape (..., p)."""
        return self.y_scale * (coef if self.order is None else coef[..., self.order]) / self.scale

    def coef_back(self, coef: np.ndarray) -> np.ndarray:
        """Return which coefficients have become these."""
        found = np.empty_like(coef)
        found[..., slice(None) if self.order is None else list(self.order)] = coef * self.scale / self.y_scale
        return found

    def origin(self, p: int) -> np.ndarray:
        """Return the row, shape (1, p), that has become zeros."""
        found = np.empty(p)
        found[slice(None) if self.order is None else list(self.order)] = -np.ones(p) * self.shift / self.scale
        return found[np.newaxis]


def together(draws: dict[str, np.ndarray]) -> np.ndarray:
    """Return draws of shape (parameters, chains, draws); positive ones but the coefficients as logarithms."""
    found = []
    for name, values in draws.items():
        flat = values.reshape(*values.shape[:2], -1)
        found.append(flat if name in ("Intercept", "coef") else np.log(flat))
    return np.moveaxis(np.concatenate(found, axis=2), 2, 0)


def standard_scores(first: np.ndarray, second: np.ndarray, limit: float = 0.0175) -> np.ndarray:
    """Return by how many Monte Carlo errors two sets of draws differ in place and in width, shape (2, parameters).

    Draws have the shape (parameters, chains, draws). What is compared are means of bounded functions, so that heavy
    tails do not matter: with 4 x 4,000 good draws each a shift of 0.05 sd or a width of 5 % is 4.4 errors. A parameter
    known too poorly to see 0.1 sd counts as infinitely far off.
    """
    middle = np.median(first, axis=(1, 2), keepdims=True)
    unit = np.median(np.abs(first - middle), axis=(1, 2), keepdims=True)
    place = [np.arctan((draws - middle) / unit) for draws in (first, second)]
    found = []
    for a, b in (place, [np.abs(values) for values in place]):
        error = np.hypot(diagnose(a, 1).mcse_mean, diagnose(b, 1).mcse_mean)
        gap = b.mean(axis=(1, 2)) - a.mean(axis=(1, 2))
        found.append(np.where(error < limit, gap / error, np.inf))
    return np.array(found)

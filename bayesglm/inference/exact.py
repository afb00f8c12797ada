"""Exact marginals of a Gaussian model: moments and mixtures over sigma, free of Monte Carlo error."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesglm.inference.gaussian import ConditionalGaussian
from bayesglm.inference.quadrature import cumulate
from bayesglm.inference.sufficient import Summary

#: Numbers whose squares, and sums of many of them, are doubles.
LARGEST_SQUARED = 1e140


class ExactPosterior:
    """The posterior of a Gaussian model with Gaussian priors, on the user's scale.

    Given sigma everything is normal; sigma is integrated by quadrature. It is a
    `bayesglm.prediction.MixtureSource`. Whatever is squared is squared in standardised units: a y of 1e150 has
    standard deviations that are doubles, and variances that hardly are.

    Parameters
    ----------
    conditional : ConditionalGaussian
    summary : Summary

    Attributes
    ----------
    mean, sd : dict
        By variable: ``Intercept`` (float; absent without one), ``coef`` (ndarray of shape (p,)), ``sigma``
        (float). Moments that do not exist are infinite; where sigma has no mean, that of a
        coefficient under a flat prior is its centre of symmetry.
    magnitude : ndarray of shape (k,)
        Size of the numbers that add up to each parameter, the measure of its rounding error.
    """

    def __init__(self, conditional: ConditionalGaussian, summary: Summary):
        grid = conditional.grid
        self._intercept = summary.intercept
        self._x_shift = summary.x_mean if summary.intercept else np.zeros(len(summary.x_unit))
        self._x_remainder = summary.x_remainder if summary.intercept else np.zeros(len(summary.x_unit))
        self._y_shift = summary.y_mean if summary.intercept else 0.0
        self._x_unit = summary.x_unit
        self._y_unit = summary.y_unit
        self._sigma_unit = summary.sigma_unit
        self._basis = conditional.basis
        self._weights = grid.weights
        sigma = np.exp(grid.nodes)
        per_y = summary.sigma_unit / summary.y_unit
        self._noise_sds = sigma * per_y  # at the nodes, in units of y's
        self._z_mean, self._z_variance = conditional.conditional(grid.nodes)

        # Averages over sigma. Variances given sigma grow with sigma² where the prior is flat, so they
        # have a mean only if sigma² has one.
        self._mean_z = grid.mean(self._z_mean)
        spread = self._z_mean - self._mean_z
        self._covariance = (spread.T * grid.weights) @ spread
        variance = grid.mean(self._z_variance)
        finite = conditional.exists(2.0)
        beyond = grid.beyond(2.0) if finite else 0.0
        flat = conditional.prior_precision == 0.0
        variance[flat] += beyond / conditional.data_precision[flat]
        self._covariance[np.diag_indices(len(variance))] += variance
        self._endless = np.zeros(len(variance), bool) if finite else flat
        self._noise_sd = float(np.sqrt(grid.mean(sigma**2) + beyond)) * per_y if finite else np.inf

        rows, units = self._parameter_rows()
        self.magnitude = np.append(np.abs(rows) @ np.abs(self._mean_z) * units, 0.0)
        self.magnitude[: int(summary.intercept)] += abs(self._y_shift)
        centre = rows @ self._mean_z * units
        sd = self._sd(rows) * units
        self.mean: dict[str, np.ndarray | float] = {}
        self.sd: dict[str, np.ndarray | float] = {}
        if summary.intercept:
            self.mean["Intercept"] = float(centre[0] + self._y_shift)
            self.sd["Intercept"] = float(sd[0])
        self.mean["coef"], self.sd["coef"] = centre[summary.intercept :], sd[summary.intercept :]
        mean = float(grid.mean(sigma)) + grid.beyond(1.0)
        spread_of_sigma = grid.mean((sigma - mean) ** 2) + beyond if finite else np.inf
        self.mean["sigma"] = mean * summary.sigma_unit
        self.sd["sigma"] = float(np.sqrt(spread_of_sigma)) * summary.sigma_unit
        self._log_density = conditional.marginal.log_marginal
        self._grid = grid

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Version 0.1.0 knew weights as frequencies only, and nothing of what rounding takes from means.
        state = {"_sigma_unit": state["_y_unit"], "_x_remainder": np.zeros_like(state["_x_shift"]), **state}
        if "_noise" in state:  # and squared in the user's units
            state["_noise_sds"] = state.pop("_sigma") / state["_y_unit"]
            state["_noise_sd"] = float(np.sqrt(state.pop("_noise"))) / state["_y_unit"]
        self.__dict__.update(state)

    @property
    def n_components(self) -> int:
        """Number of quadrature nodes."""
        return len(self._weights)

    def components(self, X: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return weights (K,), means (m, K) and sds (m, K) of the rows' predictive distributions."""
        rows, unit = _within_squares(self._rows(X))
        means, variance = self._mixture(rows)
        means *= self._y_unit * unit
        means += self._y_shift
        if kind == "response":
            variance += (self._noise_sds / unit) ** 2
        sds = np.sqrt(variance, out=variance)
        sds *= self._y_unit * unit
        return self._weights, means, sds

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a new observation for every row of X, shape (m, p).

        What overflows is NaN; an infinite standard deviation is one that does not exist.
        """
        rows, unit = _within_squares(self._rows(X))
        mean, sd = rows @ self._mean_z, self._sd(rows)
        if isinstance(unit, float):
            return mean * self._y_unit + self._y_shift, np.hypot(sd, self._noise_sd) * self._y_unit
        unit = unit[:, 0]
        exists = np.isfinite(sd) & np.isfinite(self._noise_sd)
        found = np.hypot(sd, self._noise_sd / unit) * (self._y_unit * unit)
        found[exists & np.isinf(found)] = np.nan
        return mean * (self._y_unit * unit) + self._y_shift, found

    def parameter_components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mixtures of (Intercept, coef) as weights (K,), means (k, K), sds (k, K)."""
        rows, units = self._parameter_rows()
        means, variance = self._mixture(rows)
        means *= units[:, np.newaxis]
        means[: int(self._intercept)] += self._y_shift
        return self._weights, means, np.sqrt(variance) * units[:, np.newaxis]

    def sigma_quantile(self, q: np.ndarray) -> np.ndarray:
        """Return quantiles of sigma, free of Monte Carlo error."""
        cumulative = cumulate(self._log_density, self._grid.nodes, 1024)
        return np.exp(cumulative.quantile(q)) * self._sigma_unit

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Return the rows of X as functionals of z, shape (m, k), in units of y's."""
        rows = X - self._x_shift
        if self._x_remainder.any():
            rows -= self._x_remainder
        rows /= self._x_unit
        rows = rows @ self._basis[int(self._intercept) :]
        if self._intercept:
            rows += self._basis[0]
        return rows

    def _parameter_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (intercept at zero, coefficients) as functionals of z, shape (k, k), and their units."""
        first = int(self._intercept)
        rows, units = self._basis.copy(), np.full(len(self._basis), self._y_unit)
        units[first:] /= self._x_unit
        if first:
            rows[0] -= (self._x_shift / self._x_unit) @ rows[1:]
        return rows, units

    def _mixture(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows @ self._z_mean.T, rows**2 @ self._z_variance.T

    def _sd(self, rows: np.ndarray) -> np.ndarray:
        variance = np.einsum("ij,ij->i", rows @ self._covariance, rows)
        if self._endless.any():
            touched = np.abs(rows[:, self._endless]).max(axis=1) > 1e-12 * np.abs(rows).max(axis=1)
            variance = np.where(touched, np.inf, variance)
        return np.sqrt(np.maximum(variance, 0.0))


def _within_squares(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
    """Return rows whose squares are doubles, and what they are to be multiplied by: 1.0, or numbers (m, 1)."""
    if rows.max(initial=0.0) <= LARGEST_SQUARED and rows.min(initial=0.0) >= -LARGEST_SQUARED:
        return rows, 1.0
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    beyond = (largest > LARGEST_SQUARED) & np.isfinite(largest)
    unit = np.where(beyond, np.exp2(np.floor(np.log2(np.where(beyond, largest, 1.0)))), 1.0)
    return rows / unit, unit

"""Exact marginals of a Gaussian model: moments and mixtures over sigma, free of Monte Carlo error."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesglm.inference.gaussian import ConditionalGaussian
from bayesglm.inference.quadrature import cumulate
from bayesglm.inference.sufficient import Summary


class ExactPosterior:
    """The posterior of a Gaussian model with Gaussian priors, on the user's scale.

    Given sigma everything is normal; sigma is integrated by quadrature. It is a
    `bayesglm.prediction.MixtureSource`.

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
        self._sigma = np.exp(grid.nodes) * summary.sigma_unit
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
        self._noise = grid.mean(self._sigma**2) + beyond * summary.sigma_unit**2 if finite else np.inf

        rows = self._parameter_rows()
        self.magnitude = np.append(np.abs(rows) @ np.abs(self._mean_z), 0.0)
        self.magnitude[: int(summary.intercept)] += abs(self._y_shift)
        centre = rows @ self._mean_z
        sd = self._sd(rows)
        self.mean: dict[str, np.ndarray | float] = {}
        self.sd: dict[str, np.ndarray | float] = {}
        if summary.intercept:
            self.mean["Intercept"] = float(centre[0] + self._y_shift)
            self.sd["Intercept"] = float(sd[0])
        self.mean["coef"], self.sd["coef"] = centre[summary.intercept :], sd[summary.intercept :]
        mean = float(grid.mean(self._sigma)) + grid.beyond(1.0) * summary.sigma_unit
        spread_of_sigma = (
            grid.mean((self._sigma - mean) ** 2) + beyond * summary.sigma_unit**2 if finite else np.inf
        )
        self.mean["sigma"], self.sd["sigma"] = mean, float(np.sqrt(spread_of_sigma))
        self._log_density = conditional.marginal.log_marginal
        self._grid = grid

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Version 0.1.0 knew weights as frequencies only, and nothing of what rounding takes from means.
        self.__dict__.update(
            {"_sigma_unit": state["_y_unit"], "_x_remainder": np.zeros_like(state["_x_shift"]), **state}
        )

    @property
    def n_components(self) -> int:
        """Number of quadrature nodes."""
        return len(self._weights)

    def components(self, X: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return weights (K,), means (m, K) and sds (m, K) of the rows' predictive distributions."""
        means, variance = self._mixture(self._rows(X))
        means += self._y_shift
        if kind == "response":
            variance += self._sigma**2
        return self._weights, means, np.sqrt(variance)

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a new observation for every row of X, shape (m, p)."""
        rows = self._rows(X)
        return rows @ self._mean_z + self._y_shift, np.sqrt(self._sd(rows) ** 2 + self._noise)

    def parameter_components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mixtures of (Intercept, coef) as weights (K,), means (k, K), sds (k, K)."""
        means, variance = self._mixture(self._parameter_rows())
        means[: int(self._intercept)] += self._y_shift
        return self._weights, means, np.sqrt(variance)

    def sigma_quantile(self, q: np.ndarray) -> np.ndarray:
        """Return quantiles of sigma, free of Monte Carlo error."""
        cumulative = cumulate(self._log_density, self._grid, 1024)
        return np.exp(cumulative.quantile(q)) * self._sigma_unit

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Return the rows of X as functionals of z, shape (m, k)."""
        rows = X - self._x_shift
        if self._x_remainder.any():
            rows -= self._x_remainder
        rows /= self._x_unit
        rows = rows @ self._basis[int(self._intercept) :]
        if self._intercept:
            rows += self._basis[0]
        rows *= self._y_unit
        return rows

    def _parameter_rows(self) -> np.ndarray:
        """Return (intercept at zero, coefficients) as functionals of z, shape (k, k)."""
        first = int(self._intercept)
        rows = self._basis * self._y_unit
        rows[first:] /= self._x_unit[:, np.newaxis]
        if first:
            rows[0] -= self._x_shift @ rows[1:]
        return rows

    def _mixture(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows @ self._z_mean.T, rows**2 @ self._z_variance.T

    def _sd(self, rows: np.ndarray) -> np.ndarray:
        variance = np.einsum("ij,ij->i", rows @ self._covariance, rows)
        if self._endless.any():
            touched = np.abs(rows[:, self._endless]).max(axis=1) > 1e-12 * np.abs(rows).max(axis=1)
            variance = np.where(touched, np.inf, variance)
        return np.sqrt(np.maximum(variance, 0.0))

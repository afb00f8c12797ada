"""Posteriors of linear regression computed without a Markov chain, for the tests to hold the package against.

`gaussian_oracle` is for normal or flat priors on the coefficients: given sigma they are multivariate normal,
by dense textbook formulas, and sigma is integrated out on a grid of thousands of nodes in extended precision.
`tests.oracles_general` holds two more routes, for any priors, by brute force and by importance sampling.

Priors are frozen SciPy distributions; ``None`` is a flat one. Nothing here knows how the package works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import optimize
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

LOG_2PI = float(np.log(2 * np.pi))
NEGLIGIBLE = 45.0  # log density below its maximum at which a tail is cut: e^-45 = 3e-20


@dataclass(frozen=True)
class Model:
    """y_i ~ N(a + x_i'b, sigma^2), counted w_i times, with independent priors on a, every b_j and sigma.

    With `precision` instead y_i ~ N(a + x_i'b, sigma^2 / w_i), counted once.
    `center` says whether the prior of the intercept speaks of a + xbar'b (xbar: weighted means) or of a.
    """

    X: np.ndarray  # (n, p)
    y: np.ndarray  # (n,)
    coef: Sequence[Any]  # p frozen distributions, or None for flat
    sigma: Any  # a frozen distribution, or None for flat on sigma > 0
    intercept: Any = None  # a frozen distribution, or None for flat
    fit_intercept: bool = True
    center: bool = True
    weights: np.ndarray | None = None
    precision: bool = False

    @cached_property
    def count(self) -> float:
        """How many observations there are, each with one power of 1 / sigma."""
        return float(np.count_nonzero(self.w) if self.precision else self.w.sum())

    @cached_property
    def w(self) -> np.ndarray:
        """Weights (n,)."""
        return np.ones(len(self.y)) if self.weights is None else np.asarray(self.weights, float)

    @cached_property
    def shift(self) -> np.ndarray:
        """What the intercept's prior takes off x: the weighted means, or zeros."""
        if not (self.center and self.fit_intercept) or self.X.shape[1] == 0:
            return np.zeros(self.X.shape[1])
        return np.average(self.X, axis=0, weights=self.w)

    @property
    def names(self) -> list[str]:
        """Names of the parameters in the order used throughout: intercept, coefficients, sigma."""
        head = ["Intercept"] if self.fit_intercept else []
        return [*head, *(f"coef[{j}]" for j in range(self.X.shape[1])), "sigma"]

    def log_sigma_prior(self, sigma: np.ndarray) -> np.ndarray:
        """Log prior density of sigma (not of log sigma)."""
        return np.zeros_like(sigma) if self.sigma is None else self.sigma.logpdf(sigma)


class NormalMixture:
    """A mixture of normals (of points where the sd is 0)."""

    def __init__(self, weights: np.ndarray, means: np.ndarray, sds: np.ndarray, draws: bool = False) -> None:
        keep = weights > 1e-16 * weights.max()
        self.weights = (weights[keep] / weights[keep].sum()).astype(float)
        self.means = np.broadcast_to(means, weights.shape)[keep]
        self.sds = np.broadcast_to(sds, weights.shape)[keep]
        self.draws = draws  # weighted draws have a Monte Carlo error, quadrature nodes have none
        self.mean = float(self.weights @ self.means)
        self.sd = float(np.sqrt(self.weights @ (self.sds**2 + (self.means - self.mean) ** 2)))

    def expect(self, values: np.ndarray) -> tuple[float, float]:
        """Return the weighted mean of values at the components, and its Monte Carlo standard error."""
        mean = float(self.weights @ values)
        if not self.draws:
            return mean, 0.0
        return mean, float(np.sqrt(np.sum((self.weights * (values - mean)) ** 2)))

    def cdf_with_error(self, t: float) -> tuple[float, float]:
        """Return P(value <= t) and its Monte Carlo standard error."""
        spread = np.where(self.sds > 0, self.sds, 1.0)
        below = np.where(self.sds > 0, ndtr((t - self.means) / spread), self.means <= t)
        return self.expect(below.astype(float))

    @property
    def mean_error(self) -> float:
        """Monte Carlo standard error of the mean."""
        return self.expect(self.means)[1]

    @property
    def variance_error(self) -> float:
        """Monte Carlo standard error of the variance."""
        return self.expect(self.sds**2 + (self.means - self.mean) ** 2)[1]

    def logpdf(self, t: float) -> tuple[float, float]:
        """Return the log density at `t` and its Monte Carlo standard error (components must have an sd)."""
        logs = -0.5 * (LOG_2PI + ((t - self.means) / self.sds) ** 2) - np.log(self.sds)
        top = logs.max()
        value, error = self.expect(np.exp(logs - top))
        return float(top + np.log(value)), error / value

    def quantile(self, q: float) -> float:
        """Return the q-th quantile."""
        if np.all(self.sds == 0):
            order = np.argsort(self.means)
            return float(self.means[order][np.searchsorted(np.cumsum(self.weights[order]), q)])
        low, high = (float(f(self.means + k * self.sds)) for f, k in ((np.min, -10), (np.max, 10)))
        scale = self.sd if np.isfinite(self.sd) else 1.0
        return optimize.brentq(lambda t: self.cdf_with_error(t)[0] - q, low, high, xtol=1e-12 * scale)


class Tabulated:
    """A density by the nodes of a smooth increasing coordinate u; a panel ends where it has a kink."""

    mean_error = variance_error = 0.0

    def __init__(self, panels: Sequence[tuple[np.ndarray, np.ndarray]], value: Callable) -> None:
        self._value = value
        self._panels = [(u, CubicSpline(u, density).antiderivative()) for u, density in panels]
        self._masses = np.array([float(mass(u[-1])) for u, mass in self._panels])
        total = self._masses.sum()

        def moment(f: Callable) -> float:
            parts = [CubicSpline(u, density * f(value(u))).integrate(u[0], u[-1]) for u, density in panels]
            return float(sum(parts) / total)

        self.mean = moment(lambda v: v)
        self.sd = moment(lambda v: (v - self.mean) ** 2) ** 0.5

    def quantile(self, q: float) -> float:
        """Return the q-th quantile."""
        mass = q * self._masses.sum()
        before = np.concatenate([[0.0], np.cumsum(self._masses)])
        k = min(int(np.searchsorted(before, mass)) - 1, len(self._panels) - 1)
        u, cumulative = self._panels[k]
        return float(
            self._value(optimize.brentq(lambda t: float(cumulative(t)) + before[k] - mass, u[0], u[-1]))
        )

    def cdf_with_error(self, t: float) -> tuple[float, float]:
        """Return P(value <= t), and 0 for its Monte Carlo error."""
        below = 0.0
        for (u, cumulative), mass in zip(self._panels, self._masses, strict=True):
            if t >= self._value(u[-1]):
                below += mass
            elif t > self._value(u[0]):
                below += float(cumulative(optimize.brentq(lambda v: float(self._value(v)) - t, u[0], u[-1])))
        return below / self._masses.sum(), 0.0


@dataclass(frozen=True)
class Oracle:
    """A posterior: `marginals` by parameter, and `line(x)`: means and sds of a + x'b given each node."""

    marginals: Mapping[str, Any]
    weights: np.ndarray
    sigmas: np.ndarray
    line: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # -> means, sds given each node
    draws: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.marginals[name]

    def predictive(self, x: np.ndarray) -> NormalMixture:
        """Return the distribution of a new observation at x (p,)."""
        means, sds = self.line(np.asarray(x, float))
        return NormalMixture(self.weights, means, np.sqrt(sds**2 + self.sigmas**2), self.draws)

    def mean_at(self, x: np.ndarray) -> NormalMixture:
        """Return the posterior of the regression line at x (p,)."""
        means, sds = self.line(np.asarray(x, float))
        return NormalMixture(self.weights, means, sds, self.draws)


def log_sigma_grid(log_density: Callable, nodes: int) -> np.ndarray:
    """Return equally spaced log sigma covering all that matters of density x max(1, sigma^2)."""
    low, high = -40.0, 40.0
    for _ in range(2):
        grid, step = np.linspace(low, high, 801, retstep=True)
        value = log_density(grid)
        value = value + np.maximum(0.0, 2 * (grid - grid[np.argmax(value)]))
        inside = grid[value > value.max() - NEGLIGIBLE]
        low, high = inside[0] - step, inside[-1] + step
    return np.linspace(low, high, nodes)


def _batched_cholesky(A: np.ndarray) -> np.ndarray:
    """Lower Cholesky factors of A (..., d, d) in A's own (extended) precision."""
    L = np.zeros_like(A)
    for j in range(A.shape[-1]):
        L[..., j, j] = np.sqrt(A[..., j, j] - np.sum(L[..., j, :j] ** 2, axis=-1))
        for i in range(j + 1, A.shape[-1]):
            L[..., i, j] = (A[..., i, j] - np.sum(L[..., i, :j] * L[..., j, :j], axis=-1)) / L[..., j, j]
    return L


def _batched_solve(L: np.ndarray, b: np.ndarray) -> np.ndarray:
    """L^-1 b for lower triangular L (..., d, d) and b (..., d, m)."""
    out = np.zeros(np.broadcast_shapes(L.shape[:-2], b.shape[:-2]) + b.shape[-2:], L.dtype)
    for i in range(L.shape[-1]):
        out[..., i, :] = (b[..., i, :] - np.einsum("...k,...km->...m", L[..., i, :i], out[..., :i, :])) / L[
            ..., i, i, None
        ]
    return out


def gaussian_oracle(model: Model, nodes: int = 4001, form: str = "auto") -> Oracle:
    """Return the posterior under normal or flat priors on intercept and coefficients, and any on sigma.

    `form`: "precision" works with the d x d posterior precision (any priors), "covariance" with the n x n
    covariance of y (normal priors only); "auto" takes the smaller system.
    """
    keep = model.w > 0
    X, y, w = (np.asarray(v, np.longdouble)[keep] for v in (model.X, model.y, model.w))
    dists = [*([model.intercept] if model.fit_intercept else []), *model.coef]
    assert all(d is None or d.dist.name == "norm" for d in dists)
    m = np.array([0.0 if d is None else d.mean() for d in dists], np.longdouble)
    s = np.array([np.inf if d is None else d.std() for d in dists], np.longdouble)
    # theta = (intercept as its prior speaks of it, coefficients); the last rows of `back` report it at zero.
    shift = model.shift.astype(np.longdouble)
    D = X - shift
    back = np.eye(len(dists), dtype=np.longdouble)
    if model.fit_intercept:
        D = np.column_stack([np.ones(len(y), np.longdouble), D])
        back[0, 1:] = -shift
    scale = np.where(np.isfinite(s), s, 1 / np.sqrt(np.maximum((w[:, None] * D**2).sum(0), 1e-300)))
    D, back, precision, centre = D * scale, back * scale, (scale / s) ** 2, m / scale
    if form == "auto":
        form = "covariance" if np.isfinite(s).all() and len(y) < len(dists) else "precision"
    residual0 = y - D @ centre

    def given_sigma(log_sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log p(y | sigma) up to a constant, the mean of theta, and T of its covariance T'T or 1 - T'T."""
        s2 = np.exp(2 * log_sigma.astype(np.longdouble))[:, None, None]
        if form == "precision":
            A = np.diag(precision) + (D.T * w) @ D / s2
            L = _batched_cholesky(A)
            half = _batched_solve(L, ((D.T * w) @ residual0)[:, None] / s2)
            root = _batched_solve(L, np.broadcast_to(np.eye(len(m), dtype=np.longdouble), A.shape))  # L^-1
            delta = np.einsum("kij,ki->kj", root, half[..., 0])
            residual = residual0 - delta @ D.T
            quad = (w * residual**2).sum(1) / s2[:, 0, 0] + (precision * delta**2).sum(1)
            log_det = 2 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(1)
            log_lik = -model.count * log_sigma - (quad + log_det) / 2
            return log_lik, centre + delta, root
        V = D @ D.T + s2 * np.diag(1 / w)
        L = _batched_cholesky(V)
        half = _batched_solve(L, np.broadcast_to(residual0[:, None], (len(s2), len(y), 1)))
        gain = _batched_solve(L, np.broadcast_to(D, (len(s2), *D.shape)))  # L^-1 D
        delta = np.einsum("kij,ki->kj", gain, half[..., 0])
        log_det = 2 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(1)
        # y_i counted w_i times is N(mean, sigma^2 / w_i) once, and w_i - 1 more powers of 1 / sigma.
        log_lik = -(half[..., 0] ** 2).sum(1) / 2 - log_det / 2 - (model.count - len(y)) * log_sigma
        return log_lik, centre + delta, gain

    def log_density(log_sigma: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            value = given_sigma(log_sigma)[0].astype(float) + log_sigma
            value += model.log_sigma_prior(np.exp(log_sigma))
        return np.where(np.isfinite(value), value, -np.inf)

    grid = log_sigma_grid(log_density, nodes)
    log_lik, means, roots = given_sigma(grid)
    log_post = log_lik + grid + model.log_sigma_prior(np.exp(grid))
    weights = np.exp(log_post - log_post.max())
    weights /= weights.sum()

    def components(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        direction = row @ back
        square = ((roots @ direction) ** 2).sum(1)
        if form == "covariance":
            square = np.maximum(direction @ direction - square, 0.0)
        return means @ direction, np.sqrt(square)

    def mixture(row: np.ndarray) -> NormalMixture:
        at, spread = components(row)
        out = NormalMixture(weights, at.astype(float), spread.astype(float))
        # Moments once more in extended precision: the exact route is held against them to 1e-8.
        mean = weights @ at
        out.mean, out.sd = float(mean), float(np.sqrt(weights @ (spread**2 + (at - mean) ** 2)))
        return out

    rows = np.eye(len(m), dtype=np.longdouble)
    marginals: dict[str, Any] = {name: mixture(row) for name, row in zip(model.names[:-1], rows, strict=True)}
    marginals["sigma"] = Tabulated([(grid, np.exp(log_post - log_post.max()).astype(float))], np.exp)
    head = [1.0] if model.fit_intercept else []

    def line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at, spread = components(np.array([*head, *x], np.longdouble))
        return at.astype(float), spread.astype(float)

    return Oracle(marginals, weights.astype(float), np.exp(grid), line)


def effective_draws(oracle: Oracle) -> float:
    """Return Kish's effective number of an importance sample."""
    return float(1 / np.sum((oracle.weights / oracle.weights.sum()) ** 2))


def mcse(values: np.ndarray) -> float:
    """Return the standard error of the mean of values (chain, draw), from the means of 50 batches a chain."""
    chains, draws = values.shape
    size = max(draws // 50, 1)
    batches = values[:, : draws // size * size].reshape(chains, -1, size).mean(axis=2)
    return float(batches.std(ddof=1) / np.sqrt(batches.size))

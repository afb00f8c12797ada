"""Data on which models must fail or just do not, and what their posteriors are by quadrature."""

from typing import Any

import numpy as np
from scipy import stats

from bayesglm.inference.diagnostics import diagnose

#: Monte Carlo errors within which a share of draws counts as right.
CLOSE = 5.0


def is_right(draws: np.ndarray, quantiles: dict[float, float]) -> bool:
    """Whether shares of draws (chain, draw) below known quantiles are right, within Monte Carlo errors."""
    for level, value in quantiles.items():
        below = (draws < value).astype(float)
        size = diagnose(below[np.newaxis]).ess_mean[0]
        size = min(size, below.size) if np.isfinite(size) else len(draws)
        if abs(below.mean() - level) > CLOSE * np.sqrt(level * (1.0 - level) / size) + 0.5 / below.size:
            return False
    return True


def quartiles(dist: Any) -> dict[float, float]:
    return {level: float(dist.ppf(level)) for level in (0.1, 0.25, 0.5, 0.75, 0.9)}


def separated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(100, 3))
    return X, (X[:, 0] > 0.3).astype(int)


def nearly_separated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A level of a factor has zeros only."""
    X = np.column_stack([rng.normal(size=100), np.arange(100) < 12])
    return X, (rng.random(100) < 0.5) * (X[:, 1] == 0)


def zeros(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(80, 2)), np.zeros(80)


def twins(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(100, 2))
    return x[:, [0, 1, 1]], x @ [1.0, 0.5] + rng.normal(size=100)


def twin_classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X, y = twins(rng)
    return X, (y > 0).astype(int)


def wide(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(20, 30))
    return X, X[:, 0] + rng.normal(size=20)


def wide_classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X, y = wide(rng)
    return X, (y > np.median(y)).astype(int)


def clusters(gap: float, n: int = 60, share: float = 0.5, p: int = 1) -> Any:
    """Responses in two clusters, of which X says nothing."""

    def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        where = np.where(np.arange(n) < share * n, -0.5 * gap, 0.5 * gap)
        return rng.normal(size=(n, p)), where + rng.normal(size=n)

    return data


def conflict(n: int) -> Any:
    """A slope of zero, known to 1/sqrt(n), and a prior that is sure of ten."""

    def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 1))
        return x, rng.normal(size=n)

    return data


def two_dispersions(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Half of the counts are of Poisson's distribution, half far more dispersed."""
    few, many = rng.poisson(5.0, 60), rng.poisson(5.0 * rng.gamma(0.15, 1 / 0.15, 60))
    return rng.normal(size=(120, 1)), np.concatenate([few, many]).astype(float)


def sparse_signal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(60, 40))
    return X, X[:, 0] + 0.5 * rng.normal(size=60)


def sparse_twins(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(60, 20))
    X = np.column_stack([x, x[:, 0] + 0.01 * rng.normal(size=60)])
    return X, 2.0 * x[:, 0] + 0.5 * rng.normal(size=60)


def plain_counts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(200, 3))
    return X, rng.poisson(np.exp(0.5 + X @ [0.3, -0.2, 0.0])).astype(float)


def against_the_wall(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(100, 1))
    return X, rng.poisson(np.exp(-0.3 * X[:, 0])).astype(float)


def straight_line(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(50, 2))
    return X, X @ [1.0, 2.0] + 0.3 * rng.normal(size=50)


def location_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with a grid of intercept and log sigma; the slope's prior holds it at zero."""
    mu, log_sigma = np.linspace(y.min() - 5, y.max() + 5, 1201)[:, np.newaxis], np.linspace(-3.0, 4.0, 161)
    sigma = np.exp(log_sigma)
    logs = -0.5 * (sigma / 3.0) ** 2 + log_sigma - len(y) * log_sigma
    logs = logs - sum(np.log1p(((value - mu) / sigma) ** 2) for value in y)
    weights = np.exp(logs - logs.max()).sum(axis=1)
    below = np.cumsum(weights) / weights.sum()
    known = {level: float(np.interp(level, below, mu[:, 0])) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["Intercept"]), known)


def counts_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare phi with a grid of intercept and log phi; the slope's prior holds it at zero."""
    mu = np.exp(np.linspace(-1.0, 5.0, 601))[:, np.newaxis]
    log_phi = np.linspace(-5.0, 6.0, 801)
    phi = np.exp(log_phi)
    logs = stats.invgamma.logpdf(phi, 0.4, scale=0.3) + log_phi
    values, times = np.unique(y, return_counts=True)
    logs = logs + sum(
        k * stats.nbinom.logpmf(v, phi, phi / (phi + mu)) for v, k in zip(values, times, strict=True)
    )
    below = np.cumsum(np.exp(logs - logs.max()).sum(axis=0))
    known = {level: float(np.interp(level, below / below[-1], phi)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["phi"]), known)


def positive_by_quadrature(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with quadrature: one positive coefficient, no intercept."""
    grid, x = np.linspace(0.0, 3.0, 20_001), X[:, 0]
    logs = (x @ y) * grid - np.exp(np.outer(grid, x)).sum(axis=1) - 0.5 * grid**2
    below = np.cumsum(np.exp(logs - logs.max()))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)


def slope_by_grid(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with a grid of slope and log sigma; cells are narrow where the prior is."""
    x, far = X[:, 0], np.sinh(np.linspace(-14.0, 14.0, 8001)) * 1e-4
    grid = np.unique(np.concatenate([10.0 + far, np.linspace(-30.0, 30.0, 8001)]))
    log_sigma = np.linspace(-4.0, 4.0, 401)
    sigma = np.exp(log_sigma)[:, np.newaxis]
    rss = y @ y - 2 * (x @ y) * grid + (x @ x) * grid**2
    logs = -len(y) * log_sigma[:, np.newaxis] - 0.5 * rss / sigma**2 + log_sigma[:, np.newaxis]
    logs = logs - 0.5 * (sigma / 3.0) ** 2 + stats.cauchy(10.0, 1e-3).logpdf(grid)
    weights = np.exp(logs - logs.max()).sum(axis=0)
    area = 0.5 * (weights[1:] + weights[:-1]) * np.diff(grid)
    below = np.append(0.0, np.cumsum(area))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)


def slope_by_quadrature(model: Any, X: np.ndarray, y: np.ndarray) -> bool:
    """Compare with quadrature: known sigma of 1, no intercept, t prior of scale 0.1 around ten."""
    x = X[:, 0]
    grid = np.linspace(-2.0, 12.0, 200_001)
    logs = -0.5 * (x @ x) * grid**2 + (x @ y) * grid + stats.t(2.0, 10.0, 0.05).logpdf(grid)
    below = np.cumsum(np.exp(logs - logs.max()))
    known = {level: float(np.interp(level, below / below[-1], grid)) for level in (0.1, 0.5, 0.9)}
    return is_right(np.asarray(model.posterior_.draws["coef"])[..., 0], known)
